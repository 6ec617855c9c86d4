"""Servers that break the rules of HTTP/2, or use the odd ones, on both clients.

Every answer ends in one typed error or whole; what was recorded is what the server sent as this
answer; a request is sent again only if the server says that it did not work on it; and the next
stream of the same client is answered over a connection that works.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from amounts import amount
from dialects import DIALECTS
from hostile_http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOODS,
    GREETINGS,
    HARMLESS,
    HEADERS,
    ILLEGAL,
    INTERNAL_ERROR,
    OK,
    REFUSALS,
    REFUSED_STREAM,
    RST_STREAM,
    SHAPES,
    Script,
    go_away,
    number,
    random_frames,
)
from http_faults import PATIENT, SILENCE, TEXTS
from invariants import check, yielded_by
from lateness import lasting
from patience import PATIENCE
from reporting import Figure
from scripted_http2 import Answer, ScriptedHttp2, certificates, frame, tunnelling
from talking import Heard, Talker, talking
from vesselog import (
    ConnectionFailedError,
    ProtocolError,
    ProviderError,
    Retries,
    StreamTimeoutError,
    TruncatedError,
)
from vesselog.core.truth.recording import RecordedCall
from vesselog.vessels import Ollama

BOTH = pytest.mark.parametrize("kind", ["sync", "async"])

# Answers among random frames, for each client.
FUZZED = 150

PLACES = ("before the answer", "beside a chunk", "after a chunk")


def says(odd: Callable[[int], bytes], place: str) -> Script:
    """Goes on with the answer behind it, as if nothing were wrong."""

    def script(answer: Answer) -> None:
        bad = odd(answer.stream)
        if place == "before the answer":
            answer.raw(bad)
            answer.whole()
            return
        if place == "beside a chunk":
            answer.head()
            answer.connection.send_data(answer.stream, answer.frames[0])
            answer.raw(answer.connection.data_to_send(), bad)
        else:
            answer.some(1)
            answer.wait_until_heard()
            answer.raw(bad)
        for each in answer.frames[1:]:
            answer.data(each)
        answer.data(b"", end=True)

    return script


@pytest.fixture
def server(nothing_left: None) -> Iterator[ScriptedHttp2]:
    with ScriptedHttp2(certificates()[0]) as running:
        yield running


def talking_to(server: ScriptedHttp2, kind: str, **settings: Any) -> Any:
    given: dict[str, Any] = {
        "http2": True,
        "ssl_context": certificates()[1],
        "timeouts": PATIENT,
        "retries": Retries(count=1, backoff=0),
        **settings,
    }
    return talking(kind, server.url, **given)


def once(server: ScriptedHttp2, script: Script) -> None:
    """Every stream but the first is answered whole."""

    def scripted(answer: Answer) -> None:
        server.script = Answer.whole
        script(answer)

    server.script = scripted


def hear(
    server: ScriptedHttp2, talker: Talker, messages: str = "hi"
) -> tuple[Heard, list[RecordedCall]]:
    """A stream to its end, and its recorded calls, which hold what the server sent and no more."""
    stream = talker.stream(messages=messages)
    heard = talker.begin(stream, lambda chunk: server.heard.set()).result(PATIENCE)
    calls = check(heard.stream.path, yielded=yielded_by(heard))
    whole = b"".join(DIALECTS["ollama"].frames(*TEXTS))
    for call in calls:
        assert whole.startswith(b"".join(each.raw for each in call.frames()))
    return heard, calls


def check_next(server: ScriptedHttp2, talker: Talker, *, connection: int) -> None:
    """The client's next stream is whole, over this connection; no place in the pool is lost."""
    heard, _ = hear(server, talker)
    assert heard.check("complete").text == "".join(TEXTS)
    assert server.streams[-1][0] == connection
    client = talker.client
    assert client._http._limit._free._value == client._settings.limits.max_connections


@BOTH
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ILLEGAL)
def test_what_no_server_may_send(kind: str, name: str, place: str, server: ScriptedHttp2) -> None:
    """It is not sent again: the server may have worked on it."""
    once(server, says(ILLEGAL[name], place))
    with talking_to(server, kind) as talker:
        heard, calls = hear(server, talker)
        heard.check("error", error=ConnectionFailedError)
        assert heard.error.phase == ("response" if place == "before the answer" else "body")
        assert len(calls) == 1
        assert heard.text in {"", *TEXTS[:1]}
        if place == "after a chunk":
            assert heard.text == TEXTS[0]
            assert heard.error.completion.text == TEXTS[0]
        check_next(server, talker, connection=2)
    assert server.streams == [(1, 1), (2, 1)]


@BOTH
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_odd_and_allowed(kind: str, name: str, place: str, server: ScriptedHttp2) -> None:
    """A server that shuts down gracefully, too: the stream that it covers is read to its end."""
    once(server, says(HARMLESS[name], place))
    with talking_to(server, kind) as talker:
        heard, calls = hear(server, talker)
        assert heard.check("complete").text == "".join(TEXTS)
        assert len(calls) == 1
        check_next(server, talker, connection=2 if "go-away" in name else 1)


# Endings of an answer of which so many frames were sent.
@BOTH
@pytest.mark.parametrize("sent", [0, 1, 2])
@pytest.mark.parametrize("then", ["close", "go-away for all but it", "go-away with an error"])
def test_a_shutdown_that_is_cut_short(
    kind: str, then: str, sent: int, server: ScriptedHttp2
) -> None:
    def script(answer: Answer) -> None:
        answer.some(sent)
        if sent:
            answer.wait_until_heard()
        answer.raw(go_away(answer.stream))
        if then == "close":
            answer.cut()
        else:
            all_but = then == "go-away for all but it"
            answer.raw(go_away(0) if all_but else go_away(answer.stream, INTERNAL_ERROR))

    once(server, script)
    with talking_to(server, kind) as talker:
        heard, calls = hear(server, talker)
        heard.check("error", error=ConnectionFailedError)
        assert heard.error.phase == "body"
        assert heard.text == "".join(TEXTS[:sent])
        assert len(calls) == 1
        check_next(server, talker, connection=2)


@BOTH
@pytest.mark.parametrize("earlier", [0, 1])
@pytest.mark.parametrize("size", [1, 3_000_000])
@pytest.mark.parametrize("how", REFUSALS)
def test_a_request_that_the_server_did_not_work_on_is_sent_again(
    kind: str, how: str, size: int, earlier: int, server: ScriptedHttp2
) -> None:
    """Each attempt is a recorded call. earlier: answers over the same connection before it."""
    with talking_to(server, kind) as talker:
        for _ in range(earlier):
            check_next(server, talker, connection=1)
        once(server, REFUSALS[how])
        heard, calls = hear(server, talker, "x" * size)
        assert heard.check("complete").text == "".join(TEXTS)
        assert [call.outcome for call in calls] == ["error", "complete"]
        assert calls[0].end["error"]["phase"] == "refused"
        assert server.streams[earlier:] == [(1, 1 + 2 * earlier), (2, 1)]
        check_next(server, talker, connection=2)


@BOTH
@pytest.mark.parametrize("how", REFUSALS)
def test_a_refusal_in_an_answer_is_a_broken_answer(
    kind: str, how: str, server: ScriptedHttp2
) -> None:
    def script(answer: Answer) -> None:
        answer.some(1)
        answer.wait_until_heard()
        REFUSALS[how](answer)

    once(server, script)
    with talking_to(server, kind) as talker:
        heard, calls = hear(server, talker)
        heard.check("error", error=ConnectionFailedError)
        assert (heard.error.phase, heard.text) == ("body", TEXTS[0])
        assert len(calls) == 1
        check_next(server, talker, connection=2)


@BOTH
@pytest.mark.parametrize("code", [*range(14), 0xDEADBEEF])
@pytest.mark.parametrize("sent", [-1, 0, 1])
def test_a_reset(kind: str, code: int, sent: int, server: ScriptedHttp2) -> None:
    """sent: frames of the answer before it, -1 for not even its headers."""

    def script(answer: Answer) -> None:
        if sent >= 0:
            answer.some(sent)
        if sent > 0:
            answer.wait_until_heard()
        answer.raw(frame(RST_STREAM, 0, answer.stream, number(code)))

    once(server, script)
    refused = code == REFUSED_STREAM and sent < 0
    with talking_to(server, kind, retries=Retries(count=0 if refused else 1)) as talker:
        heard, _ = hear(server, talker)
        heard.check("error", error=ConnectionFailedError)
        assert heard.error.phase == ("refused" if refused else "response" if sent < 0 else "body")
        assert heard.text == "".join(TEXTS[: max(sent, 0)])
        check_next(server, talker, connection=2)


@BOTH
@pytest.mark.parametrize("code", [0, 2, REFUSED_STREAM])
@pytest.mark.parametrize("ended", [False, True])
def test_a_reset_behind_a_complete_answer(
    kind: str,
    ended: bool,
    code: int,
    server: ScriptedHttp2,
) -> None:
    def script(answer: Answer) -> None:
        answer.head()
        for each in answer.frames:
            answer.connection.send_data(answer.stream, each)
        if ended:
            answer.connection.end_stream(answer.stream)
        reset = frame(RST_STREAM, 0, answer.stream, number(code))
        answer.raw(answer.connection.data_to_send(), reset)

    once(server, script)
    with talking_to(server, kind) as talker:
        heard, calls = hear(server, talker)
        assert heard.check("complete").text == "".join(TEXTS)
        assert len(calls) == 1
        check_next(server, talker, connection=1 if ended else 2)


@BOTH
@pytest.mark.parametrize("how", ["closed", "go-away and closed", "go-away"])
def test_a_kept_connection_that_the_server_ended(
    kind: str, how: str, server: ScriptedHttp2
) -> None:
    """The next stream gets a new one at once, and its request is sent once."""
    over = threading.Event()

    def script(answer: Answer) -> None:
        server.script = Answer.whole
        answer.whole()
        assert over.wait(PATIENCE)
        if how != "closed":
            answer.raw(go_away(answer.stream))
        if how != "go-away":
            answer.cut()
        over.clear()

    server.script = script
    with talking_to(server, kind, retries=Retries(count=0)) as talker:
        hear(server, talker)[0].check("complete")
        over.set()
        while over.is_set():
            pass
        check_next(server, talker, connection=2)
        assert server.streams == [(1, 1), (2, 1)]


@BOTH
@pytest.mark.parametrize("place", PLACES)
def test_an_http_client_of_the_callers_own(kind: str, place: str, server: ScriptedHttp2) -> None:
    """httpcore alone: endings are typed, but a GOAWAY ends a stream that it covers."""
    own = httpx.AsyncClient(http2=True, verify=certificates()[1], trust_env=False)
    given = {"http_client": own, "http2": False, "ssl_context": None, "fast": None}
    with talking_to(server, kind, retries=Retries(count=0), **given) as talker:
        for odd in (*ILLEGAL.values(), go_away):
            once(server, says(odd, place))
            heard, _ = hear(server, talker)
            assert type(heard.error) in {ConnectionFailedError, ProtocolError}
            server.heard.clear()
        if kind == "async":
            talker._call(own.aclose)


@BOTH
def test_through_a_proxy(kind: str, server: ScriptedHttp2, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tunnel's connection outlives a GOAWAY, is not shared, and is closed by a cancel."""
    left: list[int] = []

    def silent(answer: Answer) -> None:
        answer.some(1)
        while answer.socket.recv(65536):
            pass
        left.append(answer.number)

    vessels = {"lab": Ollama(base_url="https://models.example")}
    with tunnelling(server.url) as proxy, ExitStack() as stack:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        talker = stack.enter_context(talking_to(server, kind, vessels=vessels))
        once(server, says(go_away, "after a chunk"))
        heard, _ = hear(server, talker)
        assert heard.check("complete").text == "".join(TEXTS)
        server.script = silent
        streams = [talker.stream() for _ in range(2)]
        for each in streams:
            talker.open(each)
            talker.take(each, 1)
        for each in streams:
            talker.leave(each)
        while sorted(left) != [2, 3]:
            pass


@BOTH
@pytest.mark.parametrize("name", SHAPES)
def test_an_answer_of_an_odd_shape(kind: str, name: str, server: ScriptedHttp2) -> None:
    script, error = SHAPES[name]
    once(server, script)
    with talking_to(server, kind, retries=Retries(count=0)) as talker:
        heard, calls = hear(server, talker)
        outcome = {None: "complete", TruncatedError: "truncated"}.get(error, "error")
        heard.check(outcome, error=error)
        if error is None:
            assert heard.text == "".join(TEXTS)
        assert len(calls) == 1
        check_next(server, talker, connection=2 if error is ConnectionFailedError else 1)


@BOTH
@pytest.mark.parametrize(
    ("name", "sent"),
    [
        *((name, -1) for name in FLOODS if name not in {"empty data", "padding"}),
        *((name, 1) for name in FLOODS if name != "early hints"),
    ],
)
def test_a_flood_is_no_data(kind: str, name: str, sent: int, server: ScriptedHttp2) -> None:
    """The deadlines hold, and end it."""

    def script(answer: Answer) -> None:
        if sent > 0:
            answer.some(sent)
            answer.wait_until_heard()
        flood = FLOODS[name](answer.stream) * 50
        while True:
            answer.raw(flood)

    once(server, script)
    quick = PATIENT.model_copy(update={"first_chunk" if sent < 0 else "idle": SILENCE})
    with talking_to(server, kind) as talker:
        stream = talker.stream(timeouts=quick)
        with lasting(SILENCE):
            heard = talker.begin(stream, lambda chunk: server.heard.set()).result(PATIENCE)
        heard.check("error", error=StreamTimeoutError)
        assert heard.error.phase == ("first_chunk" if sent < 0 else "idle")
        assert heard.text == "".join(TEXTS[: max(sent, 0)])
        check_next(server, talker, connection=2)


@BOTH
@pytest.mark.parametrize("then", ["silence", "close", "answer"])
@pytest.mark.parametrize("name", GREETINGS)
def test_a_server_that_does_not_begin_with_its_settings(
    kind: str, name: str, then: str, server: ScriptedHttp2
) -> None:
    scripts: dict[str, Script] = {
        "silence": lambda _: None,
        "close": Answer.cut,
        "answer": Answer.whole,
    }
    server.greeting = GREETINGS[name]
    server.script = scripts[then]
    quick = PATIENT.model_copy(update={"first_chunk": SILENCE})
    with talking_to(server, kind, retries=Retries(count=0)) as talker:
        heard = talker.hear(timeouts=quick)
        if (name, then) == ("nothing", "answer"):
            assert heard.check("complete").text == "".join(TEXTS)
        else:
            assert heard.outcome == "error"
            assert type(heard.error) in {ConnectionFailedError, StreamTimeoutError}
            assert heard.text == ""
        server.greeting, server.script = None, Answer.whole
        check_next(server, talker, connection=1 if heard.error is None else 2)


@BOTH
def test_random_frames(kind: str, server: ScriptedHttp2, figure: Figure) -> None:
    """Among the frames of an answer; every stream has one typed ending, and nothing is lost."""
    endings: Counter[str] = Counter()

    def script(answer: Answer) -> None:
        chance = random.Random(seed)
        pieces = [frame(HEADERS, END_HEADERS, answer.stream, OK)]
        pieces += [frame(DATA, 0, answer.stream, each) for each in answer.frames]
        pieces += [frame(DATA, END_STREAM, answer.stream)]
        for _ in range(chance.choice((1, 1, 3))):
            odd = random_frames(chance, answer.stream)
            pieces.insert(chance.randrange(len(pieces) + 1), odd)
        if chance.random() < 0.5:
            pieces = [b"".join(pieces)]
        for each in pieces:
            answer.raw(each)
        answer.cut()

    with talking_to(server, kind, retries=Retries(count=0)) as talker:
        for seed in range(amount("SEED"), amount("SEED") + FUZZED):
            server.script = script
            heard, _ = hear(server, talker)
            error = heard.error
            assert type(error) in {
                *(type(None), ConnectionFailedError),
                *(TruncatedError, ProtocolError, ProviderError),
            }, (seed, error)
            endings[type(error).__name__] += 1
            if seed % 10 == 0:
                server.script = Answer.whole
                check_next(server, talker, connection=server.streams[-1][0] + 1)
    figure(f"{FUZZED} answers among random HTTP/2 frames, {kind}: {dict(endings)}")
