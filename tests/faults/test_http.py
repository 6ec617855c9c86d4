"""A server's faults, for every vessel and client: one typed ending, one `end` line, in time."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dialects import VESSELS, Dialect, dialect_of
from http_faults import FAULTS, PATIENT, SILENCE, TOTAL, Fault, Sending, whole_answer
from invariants import check, yielded_by
from lateness import MOST_LATE, Lateness
from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from reporting import Figure
from talking import Heard, every_client, talking
from vesselog import ProtocolError, ProviderError, Retries

# KiB for each stream: eight times the largest frame that is read.
MOST_MEMORY = 8 * 32 * 1024

# Answers that are read up to the largest frame, and the clients that meet every other vessel first.
# Each vessel meets them with both transports, and with the sync and the async client.
LARGE = {"a-line-of-a-gigabyte", "gzip-bomb"}
EVEN = {"sync", "fast"}


@contextmanager
def memory() -> Iterator[list[int]]:
    """By how many KiB this process's memory has grown at its peak."""

    def read(name: str) -> int:
        text = Path("/proc/self/status").read_text()
        return int(text.partition(name + ":")[2].split()[0])

    grown: list[int] = []
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = read("VmRSS")
    yield grown
    grown.append(read("VmHWM") - before)


@pytest.fixture(scope="module")
def trust() -> ssl.SSLContext:
    """Made once: it is what takes longest in making a client."""
    return ssl.create_default_context()


def vessels_of(name: str, kind: str) -> list[Dialect]:
    """Those that meet this fault with this kind of client: all, or half of them."""
    if name not in LARGE:
        return list(VESSELS.values())
    return list(VESSELS.values())[0 if kind in EVEN else 1 :: 2]


def check_one(heard: Heard, fault: Fault, sent: bytes) -> None:
    kind = None if heard.error is None else type(heard.error)
    assert kind in fault.verdicts, repr(heard.error)
    outcome = {None: "complete", "TruncatedError": "truncated"}.get(kind and kind.__name__, "error")
    heard.check(outcome, error=kind)
    (call,) = check(heard.stream.path, yielded=yielded_by(heard), report=heard.report)
    if fault.plain:
        recorded = b"".join(frame.raw for frame in call.frames())
        assert bytes(sent).startswith(recorded)
    if kind is not None:
        assert "there" not in heard.text or "Hi there" in heard.text


@every_client
@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str, kind: str, trust: ssl.SSLContext, figure: Figure) -> None:
    """Its vessels at once by one client, which then goes on as if nothing had been."""
    fault = FAULTS[name]
    sent: dict[str, Sending] = {}
    faulty = threading.Event()
    faulty.set()

    def script(conversation: Conversation) -> None:
        sending = Sending(conversation)
        if faulty.is_set():
            sent[dialect_of(conversation.request).name] = sending
            fault.script(sending)
        else:
            whole_answer(sending)

    with LoopbackServer([script]) as server:
        vessels = {each.name: each.vessel(base_url=server.url) for each in vessels_of(name, kind)}
        settings: dict[str, Any] = {
            "vessels": vessels,
            "timeouts": fault.timeouts,
            "retries": Retries(count=0),
            "ssl_context": trust,
        }
        with talking(kind, **settings) as talker:
            streams = {each: talker.stream(f"{each}/m") for each in vessels}
            with Lateness() as lateness, memory() as grown:
                begun = time.monotonic()
                answers = {each: talker.begin(stream) for each, stream in streams.items()}
                heard = {each: answer.result(PATIENCE) for each, answer in answers.items()}
                took = time.monotonic() - begun
            for each, one in heard.items():
                check_one(one, fault, sent[each].body)
            assert took < fault.seconds + MOST_LATE + lateness.seconds
            assert grown[0] < MOST_MEMORY * len(vessels)
            faulty.clear()
            for each in vessels:
                talker.hear(f"{each}/m", timeouts=PATIENT).check("complete")
        server.wait_until(lambda: server.open_connections == 0)
        assert not [each for each in server.requests if each.path == "/stolen"]


def test_the_faults_are_many_enough(figure: Figure) -> None:
    assert len(FAULTS) >= 25
    figure(
        f"{len(FAULTS)} HTTP faults × {len(VESSELS)} vessels × 3 clients: one typed ending and "
        f"one end line each; deadlines of {SILENCE} s of silence, {TOTAL} s in all, kept to 1 s"
    )


@every_client
@pytest.mark.parametrize("name", ["too-many-requests-in-seconds", "too-many-requests-by-date"])
def test_retry_after_is_understood_in_both_forms(name: str, kind: str) -> None:
    def script(conversation: Conversation) -> None:
        FAULTS[name].script(Sending(conversation))

    with (
        LoopbackServer([script]) as server,
        talking(kind, server, retries=Retries(count=0)) as talker,
    ):
        heard = talker.hear().check("error", error=ProviderError)
        assert heard.error.retry_after == (7 if "seconds" in name else pytest.approx(60, abs=30))
        check(heard.stream.path, yielded=yielded_by(heard))


@every_client
@pytest.mark.parametrize(
    "name", ["reset-before-headers", "html-with-status-503", "too-many-requests-in-seconds"]
)
def test_each_attempt_has_one_end(name: str, kind: str) -> None:
    """Retries go on until one is answered, or none is left; those behind a lost request do not."""
    bad = FAULTS[name]
    good = iter([False, False, True])

    def script(conversation: Conversation) -> None:
        sending = Sending(conversation)
        whole_answer(sending) if next(good) else bad.script(sending)

    retries = Retries(count=2, backoff=0.01, longest=0.01)
    with LoopbackServer([script]) as server, talking(kind, server, retries=retries) as talker:
        heard = talker.hear()
    calls = check(heard.stream.path, yielded=yielded_by(heard))
    assert all(call.end is not None for call in calls)
    if name == "reset-before-headers":
        assert len(calls) == 1  # the request may have been read: it is not sent again
    else:
        assert [call.outcome for call in calls] == ["error", "error", "complete"]
        assert heard.error is None


@every_client
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_in_one_piece_of_a_gigabyte(status: int, kind: str) -> None:
    """And one that says what is wrong: neither is read to its end."""

    def script(conversation: Conversation) -> None:
        conversation.head(status, "application/json")
        conversation.chunk(b'{"error": "')
        piece = b"a" * (1 << 20)
        for _ in range(1024):
            conversation.chunk(piece)

    with LoopbackServer([script]) as server, talking(kind, server) as talker:
        with memory() as grown, pytest.raises(ProtocolError, match="is larger than"):
            talker.complete()
        assert grown[0] < MOST_MEMORY
        server.wait_until(lambda: server.open_connections == 0)
    (path,) = Path("recordings").iterdir()
    (call,) = check(path)
    assert call.outcome == "error"


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """After everything above in this process."""
    assert len(os.listdir("/proc/self/fd")) < 60
