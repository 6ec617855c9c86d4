"""The invariants of the ground truth, asserted by every fault test.

I1  What was yielded is in the file.
I2  What reads back is a gap-free prefix of what was produced.
I3  Reopening never glues onto a torn tail.
I4  Damage in the middle is told from a torn tail, and refused.
I5  After a failed write or sync the session is poisoned.
I6  No `end` line means interrupted, never complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

import sessions
from talking import Heard
from vesselog import (
    AsyncStream,
    RecordingCorruptError,
    RecordingError,
    Stream,
    StreamChunk,
    TruncatedError,
    VerifyReport,
    replay,
    verify,
)
from vesselog.core.truth.call_writer import Writer
from vesselog.core.truth.recording import RecordedCall, Recording
from vesselog.core.truth.session import Session

__all__ = [
    "Produce",
    "Yielded",
    "check",
    "check_damage_is_refused",
    "check_poisoned",
    "check_reopening",
    "prompt_of",
    "yielded_by",
    "yielded_from",
]

# A writer that died before its first write leaves an empty file, in mid-write a torn tail.
_LEFT_BY_THE_DEAD = {"empty", "interrupted", "torn"}

Produce = Callable[[str], Iterable[bytes]]
"""Gives the pieces of the payload that the server produces for a prompt."""


class Yielded(NamedTuple):
    """A chunk that a caller was given."""

    path: Path
    call: int
    seq: int
    text: str


def check(
    path: Path,
    *,
    yielded: Iterable[Yielded] = (),
    produced: Produce | None = None,
    report: VerifyReport | None = None,
) -> list[RecordedCall]:
    """I1, I2 and I6 of a file that nobody writes, and that nothing but writers touched.

    Gives its calls. A file that does not exist holds nothing of what was yielded. report: what
    `verify` said of it, if it has been asked.
    """
    mine = [each for each in yielded if each.path.absolute() == path.absolute()]
    if not path.exists():
        assert not mine, f"{path} is gone, and {len(mine)} chunks were yielded"
        return []
    report = report or verify(path)
    wrong = [
        each
        for each in report.findings
        if each.severity == "error" and each.kind not in _LEFT_BY_THE_DEAD
    ]
    assert not wrong, wrong
    calls = list(Recording(path).calls())
    chunks = {call.number: list(call.chunks()) for call in calls}
    for each in mine:
        stored = chunks.get(each.call, [])
        assert each.seq < len(stored), f"I1: {each} was yielded, the file has {len(stored)}"
        assert stored[each.seq].text == each.text, f"I1: {each} was yielded"
    for call in calls:
        assert [chunk.seq for chunk in chunks[call.number]] == list(range(len(chunks[call.number])))
        if produced is not None:
            _check_prefix(call, produced)
        if call.end is None:
            _check_interrupted(call)
    return calls


def check_reopening(
    path: Path, *, yielded: Iterable[Yielded] = (), produced: Produce | None = None
) -> list[RecordedCall]:
    """All of `check`, then I3: go on with the file, and all of it again.

    Gives the calls, without the one that was added.
    """
    mine = list(yielded)
    check(path, yielded=mine, produced=produced)
    before = path.read_bytes() if path.exists() else b""
    torn = Recording(path).torn if before else 0
    whole = before[: len(before) - torn]
    aside = path.with_name(path.name + ".torn")
    kept = aside.read_bytes() if aside.exists() else b""

    session = Session.open(path.parent, path.stem)
    writer = session.begin(sessions.request())
    seen = sessions.write(writer, [sessions.step(0, "added")])
    writer.end("complete")
    session.close()

    assert path.read_bytes().startswith(whole), "I3: what was whole has changed"
    assert not aside.exists() or aside.read_bytes() == kept + before[len(whole) :]
    assert not torn or aside.exists()
    sessions.read(path)  # strict: every line whole, checked and in order
    report = verify(path)
    assert report.ok, report.findings
    *earlier, added = check(path, yielded=mine, report=report)
    assert list(added.chunks()) == seen
    assert added.outcome == "complete"
    assert all(call.end is not None for call in earlier)
    if produced is not None:
        for call in earlier:
            _check_prefix(call, produced)
    return earlier


def check_damage_is_refused(path: Path) -> None:
    """I4: neither read past in silence nor written to, and not repaired."""
    before = path.read_bytes()
    assert not verify(path).ok
    with pytest.raises(RecordingCorruptError):
        list(Recording(path).lines())
    with pytest.raises(RecordingCorruptError):
        Session.open(path.parent, path.stem)
    assert path.read_bytes() == before
    assert not path.with_name(path.name + ".torn").exists()


def check_poisoned(session: Session, writer: Writer) -> None:
    """I5: after a failure nothing is taken any more, and the file stays as it is."""
    before = session.path.read_bytes() if session.path.exists() else None
    with pytest.raises(RecordingError):
        sessions.write(writer, [sessions.step(1000)])
    with pytest.raises(RecordingError):
        writer.response(200, {})
    with pytest.raises(RecordingError):
        session.begin(sessions.request())
    with pytest.raises(RecordingError):
        writer.end("complete")
    session.close()
    assert before == (session.path.read_bytes() if session.path.exists() else None)


def yielded_by(heard: Heard) -> list[Yielded]:
    """What a caller of a client was given."""
    return [yielded_from(heard.stream, chunk) for chunk in heard.chunks]


def yielded_from(stream: Stream | AsyncStream, chunk: StreamChunk) -> Yielded:
    """A chunk that a caller has just been given."""
    assert stream.path is not None
    assert stream.call is not None
    return Yielded(stream.path, stream.call, chunk.seq, chunk.text)


def prompt_of(call: RecordedCall) -> str:
    """What the call asked."""
    return str(call.request["body"]["messages"][-1]["content"])


def _check_prefix(call: RecordedCall, produced: Produce) -> None:
    recorded = b"".join(frame.raw for frame in call.frames())
    payload = b""
    for piece in produced(prompt_of(call)):
        if len(payload) >= len(recorded):
            break
        payload += piece
    assert payload.startswith(recorded), f"I2: call {call.number} of {call.path}"


def _check_interrupted(call: RecordedCall) -> None:
    assert call.outcome == "interrupted", "I6"
    assert call.completion().outcome is None, "I6"
    with pytest.raises(TruncatedError):
        list(replay(call.path, 0, call=call.number))
