"""Recordings with faults, of every dialect: as a live client would have recorded them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from house import ROOT
from vesselog import (
    ConfigurationError,
    ConnectionFailedError,
    ProviderError,
    Recording,
    StreamTimeoutError,
    TruncatedError,
    VesselogError,
    replay,
    verify,
)
from vesselog.testing import faulty, recording, replaying
from vesselog.vessels import Anthropic

BODIES = {
    "anthropic": "text.sse",
    "gemini": "text.sse",
    "ollama": "text.ndjson",
    "openai": "text.sse",
}


@pytest.fixture
def recorded() -> Callable[[str], Path]:
    def recorded(dialect: str, calls: int = 1) -> Path:
        body = (ROOT / "tests/bodies" / dialect / BODIES[dialect]).read_bytes()
        kind = "application/x-ndjson" if dialect == "ollama" else "text/event-stream"
        http = httpx.AsyncClient(
            transport=httpx.MockTransport(
                lambda _: httpx.Response(200, content=body, headers={"content-type": kind})
            )
        )
        path = Path(f"{dialect}.jsonl")
        vessels = {"anthropic": Anthropic(max_tokens=9, api_key="k")}
        with recording(path, http_client=http, vessels=vessels) as client:
            for number in range(calls):
                with client.stream(f"{dialect}/m", f"Hi {number}") as stream:
                    assert list(stream)
        return path

    return recorded


def ask(path: Path, dialect: str) -> tuple[str, VesselogError | None]:
    vessels = {"anthropic": Anthropic(max_tokens=9)}
    text = ""
    with replaying(path, leftover=True, vessels=vessels) as client:
        try:
            with client.stream(f"{dialect}/m", "Hi 0") as stream:
                for chunk in stream:
                    text += chunk.text
        except VesselogError as error:
            return text, error
    return text, None


@pytest.mark.parametrize("dialect", BODIES)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"cut_at": 2}, TruncatedError),
        ({"cut_at": 0}, TruncatedError),
        ({"reset_at": 2}, ConnectionFailedError),
        ({"stall_at": 2}, StreamTimeoutError),
        ({"error_at": 2}, ProviderError),
        ({"status": 529}, ProviderError),
    ],
    ids=str,
)
def test_a_fault_is_raised_and_the_file_is_sound(
    dialect: str,
    fault: dict[str, int],
    error: type[VesselogError],
    recorded: Callable[[str], Path],
) -> None:
    whole = recorded(dialect)
    path = faulty(whole, **fault)  # type: ignore[arg-type]
    text, raised = ask(path, dialect)
    assert type(raised) is error
    assert verify(path).findings == []
    (name, at) = next(iter(fault.items()))
    frames = [frame.raw for frame in next(Recording(whole).calls()).frames()]
    kept = [frame.raw for frame in next(Recording(path).calls()).frames()]
    if name == "status":
        assert raised.status == at
        assert "a fault that a test asked for" in raised.message
    else:
        assert kept[:at] == frames[:at]
        assert len(kept) == at + (name == "error_at")
        said, _ = ask(whole, dialect)
        assert said.startswith(text)


def test_a_request_is_refused_first_and_then_answered(recorded: Callable[[str], Path]) -> None:
    path = faulty(recorded("openai"), "busy.jsonl", first_status=429)
    assert path == Path("busy.jsonl").absolute()
    assert verify(path).findings == []
    with replaying(path) as client:
        with pytest.raises(ProviderError) as raised:
            client.complete("openai/m", "Hi 0")
        assert (raised.value.status, raised.value.retryable) == (429, True)
        assert client.complete("openai/m", "Hi 0").outcome == "complete"


def test_one_call_of_several_gets_the_fault(recorded: Callable[..., Path]) -> None:
    path = faulty(recorded("ollama", 3), call=2, cut_at=1)
    assert [call.outcome for call in Recording(path).calls()] == [
        *("complete", "truncated", "complete"),
    ]


def test_a_stall_lasts_as_long_as_was_asked_for(recorded: Callable[[str], Path]) -> None:
    path = faulty(recorded("ollama"), stall_at=2, stall_seconds=7)
    (call,) = Recording(path).calls()
    last = list(call.frames())[-1]
    assert ((call.ended or 0) - last.t) / 1e6 == pytest.approx(7, abs=1)
    with pytest.raises(StreamTimeoutError, match="no data for 7 seconds"):
        list(replay(path, speed=0))


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ({}, "give one fault of cut_at"),
        ({"cut_at": 1, "error_at": 1}, "give one fault of cut_at"),
        ({"cut_at": 99}, "has 4 frames"),
        ({"cut_at": -1}, "has 4 frames"),
        ({"cut_at": "1"}, "cut_at='1' is no whole number"),
        ({"status": 200}, "200 is no error status"),
        ({"cut_at": 1, "call": 2}, "has no call 2"),
    ],
    ids=str,
)
def test_a_fault_that_the_answer_cannot_have_is_refused(
    fault: dict[str, int], match: str, recorded: Callable[[str], Path]
) -> None:
    with pytest.raises(ConfigurationError, match=match):
        faulty(recorded("ollama"), **fault)  # type: ignore[arg-type]


def test_an_error_frame_may_be_given(recorded: Callable[[str], Path]) -> None:
    raw = b'data: {"error": {"message": "my own", "code": "busy"}}\n\n'
    _, raised = ask(faulty(recorded("openai"), error_at=1, error=raw), "openai")
    assert "my own" in str(raised)
    assert raised is not None
    assert raised.code == "busy"
