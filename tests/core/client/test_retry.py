"""What is tried again, when, and what never is: a request that may have been paid for."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from talking import KINDS, every_client, every_dialect, talking
from vesselog import (
    ConnectionFailedError,
    ProtocolError,
    ProviderError,
    Recording,
    Retries,
    StreamTimeoutError,
    Timeouts,
    TruncatedError,
    VesselogError,
)
from vesselog.core.client.retry import parse_retry_after

QUICK = Retries(backoff=0.01)
NOW = datetime(2026, 11, 21, 7, 17, tzinfo=UTC)


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


def status(code: int, **headers: str) -> Any:
    return lambda conversation: conversation.whole(b'{"error": "no"}', code, **headers)


class TestRetries:
    @pytest.mark.parametrize("code", [408, 429, 502, 503, 504])
    def test_of_these_statuses(self, code: int):
        error = ProviderError("no", status=code)
        assert Retries().delay(0, error, random.Random(0)) is not None

    @pytest.mark.parametrize("code", [200, 307, 400, 401, 403, 404, 409, 413, 422, 500, 501, 529])
    def test_of_no_other(self, code: int):
        error = ProviderError("no", status=code, retryable=True)
        assert Retries().delay(0, error, random.Random(0)) is None

    @pytest.mark.parametrize(
        ("error", "again"),
        [
            (ConnectionFailedError("no", phase="connect"), True),
            (StreamTimeoutError("no", phase="connect"), True),
            (ConnectionFailedError("no", phase="response"), False),
            (ConnectionFailedError("no", phase="body"), False),
            (StreamTimeoutError("no", phase="first_chunk"), False),
            (StreamTimeoutError("no", phase="pool"), False),
            (StreamTimeoutError("no", phase="write"), False),
            (StreamTimeoutError("no", phase="idle"), False),
            (ProviderError("in band", phase="body"), False),
            (TruncatedError("no"), False),
            (ProtocolError("no"), False),
        ],
        ids=lambda value: getattr(value, "phase", None),
    )
    def test_of_connections_that_were_never_made(self, error: VesselogError, again: bool):  # noqa: FBT001
        assert (Retries().delay(0, error, random.Random(0)) is not None) == again

    @given(st.integers(0, 200), st.integers(), st.floats(0, 10), st.floats(0, 100))
    def test_waits_are_doubled_spread_and_capped(
        self, attempt: int, seed: int, backoff: float, longest: float
    ):
        retries = Retries(count=1000, backoff=backoff, longest=longest)
        error = ConnectionFailedError("no", phase="connect")
        delay = retries.delay(attempt, error, random.Random(seed))
        full = backoff * 2.0**attempt
        assert delay is not None
        assert min(longest, full * 0.75) <= delay <= min(longest, full)

    def test_as_often_as_told(self):
        error = ConnectionFailedError("no", phase="connect")
        delays = [Retries(count=2).delay(attempt, error, random.Random(0)) for attempt in range(4)]
        assert [delay is not None for delay in delays] == [True, True, False, False]

    def test_the_server_says_when_up_to_the_longest(self):
        error = ProviderError("no", status=429, retry_after=7.0)
        assert Retries(backoff=100).delay(0, error, random.Random(0)) == 7.0
        assert Retries(longest=5).delay(0, error, random.Random(0)) == 5


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0.0),
            ("120", 120.0),
            ("1.5", 1.5),
            ("-3", 0.0),
            (" 7 ", 7.0),
            (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
            (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
            ("Saturday, 21-Nov-26 07:18:00 GMT", 60.0),
            ("Sat Nov 21 07:18:00 2026", 60.0),
            ("Sat, 21 Nov 2026 08:18:00 +0100", 60.0),
            ("", None),
            (None, None),
            ("soon", None),
            ("Wed", None),
            ("Sat, 99 Nov 2026 07:18:00 GMT", None),
        ],
    )
    def test_both_forms(self, value: str | None, seconds: float | None):
        assert parse_retry_after(value, NOW) == seconds

    @given(st.text())
    def test_whatever_stands_there(self, value: str):
        seconds = parse_retry_after(value, NOW)
        assert seconds is None or seconds >= 0


@every_client
@every_dialect
def test_a_busy_server_is_asked_again_and_each_attempt_recorded(kind: str, model: str):
    scripts = [status(503), status(429), answer]
    with LoopbackServer(scripts) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear(model).check("complete")
        assert heard.text == "Hi there"
        assert [call.outcome for call in heard.calls] == ["error", "error", "complete"]
        assert [call.retry_of for call in heard.calls] == [None, 1, 1]
        assert [call.error and call.error.status for call in heard.calls] == [503, 429, None]
        assert len({request.body for request in server.requests}) == 1
        assert heard.stream.call == 3
        assert talker.complete(model).outcome == "complete"


@every_client
def test_the_frames_of_attempts_that_failed_are_not_handed_out(kind: str):
    with (
        LoopbackServer([status(503), answer]) as server,
        talking(kind, server, retries=QUICK) as talker,
    ):
        stream = talker.stream()
        talker.open(stream)
        if kind.startswith("sync"):
            first = next(stream.frames())
        else:
            first = talker._loop.begin(anext(stream.frames())).result(PATIENCE)
        assert b"Hi" in first.frame.raw
        talker.leave(stream)


@every_client
def test_after_the_last_attempt_its_error_is_raised(kind: str):
    with LoopbackServer([status(503)]) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear().check("error", error=ProviderError)
        assert heard.error.status == 503
        assert (heard.error.call, len(server.requests), len(heard.calls)) == (3, 3, 3)


@pytest.mark.parametrize(
    ("kind", "form"), [*((kind, "seconds") for kind in KINDS), ("sync", "date")]
)
def test_retry_after_is_honoured(kind: str, form: str):
    """In either form; a second is the least that a date can tell."""
    begun = time.monotonic()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2))
    scripts = [status(429, retry_after="0.4" if form == "seconds" else date), answer]
    with LoopbackServer(scripts) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear().check("complete")
        assert time.monotonic() - begun >= (0.4 if form == "seconds" else 0.9)
        assert heard.calls[0].error.status == 429


@every_client
def test_retry_after_is_capped_and_told(kind: str):
    scripts = [status(429, retry_after="86400")]
    retries = Retries(count=1, longest=0.05)
    with LoopbackServer(scripts) as server, talking(kind, server, retries=retries) as talker:
        heard = talker.hear().check("error", error=ProviderError)
        assert heard.error.retry_after == 86400.0
        assert len(server.requests) == 2


@every_client
def test_a_refused_connection_is_tried_again(kind: str):
    """Nothing was sent. The server is there by the third attempt."""
    with LoopbackServer([answer]) as server, talking(kind, server, retries=QUICK) as talker:
        server.stop_listening()
        attempts = 0

        def count(path: Any) -> int:
            return 0 if path is None else len(list(Recording(path).calls()))

        stream = talker.stream()
        heard = talker.begin(stream).result(PATIENCE)
        attempts = count(stream.path)
        heard.check("error", error=ConnectionFailedError)
        assert heard.error.phase == "connect"
        assert "is the server running?" in str(heard.error)
        assert "Connection refused" in str(heard.error)
        assert attempts == 3


@every_client
@pytest.mark.parametrize("how", ["cut", "reset"])
def test_a_server_that_dies_after_the_request_is_never_asked_again(kind: str, how: str):
    def dies(conversation: Conversation) -> None:
        getattr(conversation, how)()

    with LoopbackServer([dies]) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear().check("error", error=ConnectionFailedError)
        assert heard.error.phase == "response"
        assert "is not sent again" in str(heard.error)
        assert (len(server.requests), len(heard.calls)) == (1, 1)


@every_client
def test_a_kept_connection_that_died_with_the_request_is_never_asked_again(kind: str):
    """On a connection that was good before, too."""

    def dies(conversation: Conversation) -> None:
        conversation.cut()

    with LoopbackServer([answer, dies]) as server, talking(kind, server, retries=QUICK) as talker:
        talker.hear().check("complete")
        talker.hear().check("error", error=ConnectionFailedError)
        assert len(server.requests) == 2


@every_client
def test_a_connection_that_the_server_closed_while_idle_is_not_used(kind: str):
    def answers_and_closes(conversation: Conversation) -> None:
        conversation.answer("Hi")
        conversation.cut()

    with LoopbackServer([answers_and_closes]) as server, talking(kind, server) as talker:
        for _ in range(3):
            talker.hear().check("complete")
            server.wait_until(lambda: server.open_connections == 0)
        assert len(server.requests) == server.connections == 3


@every_client
def test_a_broken_answer_is_never_asked_again(kind: str):
    def breaks(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(conversation.frames("Hi")[0])
        conversation.cut()

    with LoopbackServer([breaks]) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear().check("error", error=ConnectionFailedError)
        assert (heard.text, heard.error.phase) == ("Hi", "body")
        assert heard.error.completion.text == "Hi"
        assert len(server.requests) == 1


@every_client
def test_no_retries_at_all(kind: str):
    with (
        LoopbackServer([status(503), answer]) as server,
        talking(kind, server, retries=Retries(count=0)) as talker,
    ):
        talker.hear().check("error", error=ProviderError)
        assert len(server.requests) == 1


@every_client
def test_the_total_is_for_each_attempt(kind: str):
    """Waiting to try again is no part of an answer that takes too long."""
    scripts = [status(503, retry_after="1.2"), answer]
    with LoopbackServer(scripts) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear(timeouts=Timeouts(total=1)).check("complete")
        assert heard.text == "Hi there"
