"""Calls written anew: sound, and the same answers, whether decoded again or not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from house import ROOT
from loopback import Conversation, LoopbackServer
from vesselog import Recording, RecordingError, Retries, verify
from vesselog.testing import recording, replaying
from vesselog.testing.rewriting import draft_calls, write_calls

SAMPLES = sorted((ROOT / "recordings/samples").glob("*.jsonl"))
OUT = Path("out.jsonl")


def said(path: Path) -> list[tuple[Any, ...]]:
    """What the calls of a recording come to, without their numbers."""
    return [
        (
            call.request["body"],
            call.outcome,
            str(call.error),
            call.completion().model_dump(exclude={"session", "call", "metrics"}),
            [(chunk.text, chunk.t) for chunk in call.chunks()],
            b"".join(frame.raw for frame in call.frames()),
        )
        for call in Recording(path).calls()
    ]


@pytest.mark.parametrize("again", [False, True], ids=["kept", "decoded"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_written_anew_says_the_same(sample: Path, *, again: bool) -> None:
    calls = draft_calls([sample])
    for call in calls:
        call.changed = again
    write_calls(calls, OUT, {"why": "a test"})
    assert [each for each in verify(OUT).findings if each.severity != "note"] == []
    assert said(OUT) == said(sample)
    written = Recording(OUT)
    assert (written.session, written.header["meta"]) == ("out", {"why": "a test"})
    assert OUT.stat().st_mode & 0o777 == 0o600


def test_calls_of_several_files_are_in_the_order_of_their_times() -> None:
    write_calls(draft_calls(SAMPLES[:3]), OUT, {})
    write_calls(draft_calls([*SAMPLES[3:], OUT]), OUT, {})
    assert [each.severity for each in verify(OUT).findings if each.severity != "note"] == []
    times = [call.started for call in Recording(OUT).calls()]
    assert times == sorted(times)
    assert len(times) == sum(len(draft_calls([path])) for path in SAMPLES)
    assert sorted(map(repr, said(OUT))) == sorted(repr(e) for path in SAMPLES for e in said(path))


def test_retries_still_name_the_call_that_they_repeat() -> None:
    def refuse(conversation: Conversation) -> None:
        conversation.whole(b'{"error": "busy"}', status=503)

    def answer(conversation: Conversation) -> None:
        conversation.answer("Yes.")

    with LoopbackServer([answer, refuse, answer]) as server:
        settings: dict[str, Any] = {"environment": {"OLLAMA_HOST": server.url}}
        with recording(OUT, retries=Retries(backoff=0), **settings) as client:
            for question in ("one", "two"):
                client.complete("ollama/m", question)
    assert verify(OUT).findings == []
    assert [call.retry_of for call in Recording(OUT).calls()] == [None, None, 2]
    with replaying(OUT) as client:
        assert [client.complete("ollama/m", each).text for each in ("one", "two")] == ["Yes."] * 2


def test_what_cannot_be_written_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    write_calls([], OUT, {})
    before = OUT.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(RecordingError, match=r"cannot write .*out\.jsonl: No space left"):
            write_calls(draft_calls(SAMPLES[:1]), OUT, {})
    assert OUT.read_bytes() == before
    assert [path.name for path in Path().iterdir()] == ["out.jsonl"]
