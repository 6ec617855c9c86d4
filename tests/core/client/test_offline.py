"""An app's whole conversation with its models, from recordings alone: no network, no keys."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines, openai_events
from patience import PATIENCE
from sessions import ManualClock, request, step, write
from talking import Heard, Talker, talking
from vesselog import (
    AsyncClient,
    Client,
    ClientStateError,
    ConfigurationError,
    ConnectionFailedError,
    ModelInfo,
    ProviderError,
    Recording,
    RecordingCorruptError,
    RecordingError,
    RecordingLockedError,
    ReplayMissError,
    Retries,
    SessionNameError,
    UsageError,
    WireRequest,
    verify,
)
from vesselog.core.replay.compare_requests import request_key
from vesselog.core.truth.session import Session
from vesselog.vessels import Azure, Ollama, OpenAI

BOTH = pytest.mark.parametrize("kind", ["sync", "async"])
NOWHERE = "http://127.0.0.1:9"
TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}


class Model:
    """A server that calls a tool, is busy once for "retry", and knows nothing of "missing"."""

    def __init__(self) -> None:
        self.busy = 1

    def __call__(self, talk: Conversation) -> None:
        if talk.request.method == "GET":
            talk.whole(b'{"version": "0.9"}')
            return
        asked = talk.request.json
        said = asked["messages"][-1]["content"]
        if said == "retry" and self.busy:
            self.busy -= 1
            talk.whole(b'{"error": "busy"}', 503, retry_after="0")
        elif said == "missing":
            talk.whole(b'{"error": "no such model"}', 404)
        elif said == "long":
            talk.head()
            talk.chunk(ollama_lines("One, ")[0])
            talk.wait_for_hangup()
        elif said == "cut":
            talk.stream(ollama_lines("Hal", "f")[:1])
        elif asked.get("tools") and asked["messages"][-1]["role"] == "user":
            call = {"function": {"name": "clock", "arguments": {}}}
            message = {"role": "assistant", "content": "", "tool_calls": [call]}
            line = {"model": "m", "message": message, "done": True, "done_reason": "stop"}
            talk.stream([json.dumps(line).encode() + b"\n"])
        elif "chat/completions" in talk.request.path and asked.get("stream"):
            talk.stream(openai_events("Gu", "ten Tag"), "text/event-stream")
        else:
            talk.answer("Hi", " there")


def app(talker: Talker) -> list[Any]:
    """What an app asks, and all that it sees."""
    seen: list[Any] = []

    def see(heard: Heard) -> Heard:
        error = heard.error
        told = None if error is None else (type(error), str(error), error.__dict__.get("status"))
        seen.extend([heard.chunks, heard.outcome, heard.stream.completion, told])
        return heard

    seen.append(talker.complete("lab/m", "hi"))
    see(talker.hear("lab/m", "hi", temperature=0.5))
    see(talker.hear("open/m", "hi"))
    answer = see(talker.hear("lab/m", "what time is it?", tools=[TOOL])).stream.completion
    messages = [{"role": "user", "content": "what time is it?"}, answer.to_message()]
    messages.append({"role": "tool", "tool_name": "clock", "content": "noon"})
    seen.append(talker.complete("lab/m", messages, tools=[TOOL]))
    see(talker.hear("lab/m", "retry"))
    see(talker.hear("lab/m", "cut"))
    see(talker.hear("lab/m", "missing"))
    stream = talker.stream("lab/m", "missing")  # an app tells an error status at the entry
    with pytest.raises(ProviderError, match="no such model") as refused:
        talker.open(stream)
    seen.append((refused.value.status, stream.outcome))
    stream = talker.stream("lab/m", "long")
    heard = talker.begin(stream, lambda chunk: stream.cancel()).result(PATIENCE)
    seen.append((heard.text, heard.outcome, heard.error))
    return seen


def record_app(kind: str, folder: str = "recorded") -> list[Any]:
    """The app with a live server, which also tells its version."""

    with (
        LoopbackServer([Model()]) as server,
        talking(kind, server, recordings=folder, retries=Retries(backoff=0)) as talker,
    ):
        seen = app(talker)
        wire = WireRequest(f"{server.url}/api/version", method="GET", stream=False)
        talker.begin(talker._here(lambda: talker.client.send("lab", wire))).result(PATIENCE)
    return seen


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forbids connections and look-ups of names, once it is called."""

    def forbidden(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("the network was touched")

    def forbid() -> None:
        for name in ("connect", "connect_ex", "sendto", "bind"):
            monkeypatch.setattr(socket.socket, name, forbidden)
        for name in ("getaddrinfo", "gethostbyname", "create_connection"):
            monkeypatch.setattr(socket, name, forbidden)

    return forbid


@pytest.fixture(params=["sync", "async"])
def offline(
    request: pytest.FixtureRequest, no_network: Callable[[], None]
) -> tuple[str, list[Any]]:
    """The kind of client, what the app saw of a live server, and a way to replay it."""
    kind: str = request.param
    live = record_app(kind)
    no_network()
    return kind, live


def replaying(kind: str, **settings: Any) -> Any:
    return talking(kind, NOWHERE, **{"replay": "recorded", **settings})


def test_an_app_sees_offline_what_it_saw_of_the_server(offline: tuple[str, list[Any]]) -> None:
    kind, live = offline
    with replaying(kind) as talker:
        assert app(talker) == live
        assert talker.models("lab") == [ModelInfo("m")]
        assert talker.models("open") == [ModelInfo("m")]
        assert [talker.server_version("lab") for _ in range(2)] == ["0.9", "0.9"]
    assert not Path("recordings").exists()


def without_places(seen: list[Any]) -> list[Any]:
    """Completions without the session and the call that they are recorded in."""
    plain: list[Any] = []
    for each in seen:
        if hasattr(each, "model_dump"):
            plain.append(each.model_copy(update={"session": None, "call": None}))
        elif isinstance(each, list):
            plain.append([chunk.model_dump(exclude={"call"}) for chunk in each])
        else:
            plain.append(each)
    return plain


def test_what_is_recorded_while_replaying_is_clean_and_replays_the_same(
    offline: tuple[str, list[Any]],
) -> None:
    kind, live = offline
    with replaying(kind, recordings="again") as talker:
        seen = app(talker)
    assert without_places(seen) == without_places(live)
    paths = sorted(Path("again").iterdir())
    assert len(paths) == 10
    for path in paths:
        report = verify(path)
        assert report.ok, report.findings
        assert report.drifting == 0
        (call,) = Recording(path).calls()
        source = call.request["replay_of"]
        (original,) = [
            each
            for each in Recording(f"recorded/{source['session']}.jsonl").calls()
            if each.number == source["call"]
        ]
        assert call.outcome == original.outcome
        assert call.request["body"] == original.request["body"]
        if call.outcome != "cancelled":
            assert [frame.raw for frame in call.frames()] == [
                frame.raw for frame in original.frames()
            ]
            assert without_places([list(call.chunks())]) == without_places(
                [list(original.chunks())]
            )
            assert call.metrics == original.metrics
    with replaying(kind, replay="again") as talker:
        assert without_places(app(talker)) == without_places(live)


@BOTH
def test_each_chunk_is_in_the_new_recording_before_it_is_handed_out(kind: str) -> None:
    record_app(kind)
    with replaying(kind, recordings="again", durability="power") as talker:
        stream = talker.stream("lab/m", "hi", session="chat", temperature=0.5)
        talker.open(stream)
        assert stream.path == Path("again/chat.jsonl").absolute()
        for chunk in talker.take(stream, 2):
            assert chunk in list(Recording(stream.path).chunks())
        talker.leave(stream)
        again = talker.hear("lab/m", "retry", session="chat")
        assert (again.stream.session, again.stream.call) == ("chat", 2)
        assert again.stream.completion.call == 2
    report = verify(Path("again/chat.jsonl"))
    assert report.ok, report.findings


@BOTH
def test_a_stream_that_is_left_while_it_is_recorded_has_its_end(kind: str) -> None:
    record_app(kind)
    with replaying(kind, recordings="again", repeat=True) as talker:
        streams = [talker.stream("lab/m", "hi", session=name, temperature=0.5) for name in "abc"]
        for stream in streams:
            talker.open(stream)
            assert talker.take(stream, 1)[0].text == "Hi"
        talker.leave(streams[0])
        streams[1].cancel()
        # And "c" still runs when the client is closed.
    for stream, name in zip(streams, "abc", strict=True):
        (call,) = Recording(f"again/{name}.jsonl").calls()
        assert (call.outcome, stream.outcome) == ("cancelled", "cancelled")
        assert stream.completion.metrics == call.metrics
        assert call.metrics is not None
        assert call.metrics.chunks == 1
        report = verify(Path(f"again/{name}.jsonl"))
        assert report.ok, report.findings


@BOTH
def test_leaving_after_the_last_word_is_complete_as_it_is_live(kind: str) -> None:
    record_app(kind)
    with replaying(kind, recordings="again") as talker:
        stream = talker.stream("open/m", "hi")
        talker.open(stream)
        while talker.take(stream, 1)[0].finish_reason is None:
            pass
        talker.leave(stream)
        assert stream.outcome == "complete"
        assert stream.completion.native is not None
    (call,) = Recording(next(Path("again").iterdir())).calls()
    assert call.outcome == "complete"
    assert verify(call.path).ok


@BOTH
def test_a_whole_answer_finds_a_recorded_stream_and_is_recorded_clean(kind: str) -> None:
    record_app(kind)
    with replaying(kind, recordings="again") as talker:
        assert talker.complete("open/m", "hi").text == "Guten Tag"
    report = verify(next(Path("again").iterdir()))
    assert report.ok, report.findings


@BOTH
def test_a_session_that_another_writer_has_is_refused_as_live(kind: str) -> None:
    record_app(kind)
    other = Session.open(Path("again"), "chat")
    writer = other.begin(request())
    with replaying(kind, recordings="again") as talker:
        heard = talker.hear("lab/m", "retry", session="chat")
        assert isinstance(heard.error, RecordingLockedError)
        assert heard.chunks == []
    writer.end("complete")
    other.close()


@BOTH
def test_a_stream_entered_after_its_client_was_closed_is_not_recorded(kind: str) -> None:
    record_app(kind)
    with replaying(kind, recordings="again") as talker:
        stream = talker.stream("lab/m", "hi", temperature=0.5)
        talker.close()
        with pytest.raises(ClientStateError, match="closed"):
            talker.open(stream)
        assert stream.outcome == "error"
    assert not Path("again").exists()


@BOTH
def test_overlapping_streams_of_one_session_are_recorded_apart(kind: str) -> None:
    record_app(kind)
    with replaying(kind, recordings="again") as talker:
        one = talker.stream("lab/m", "hi", session="chat", temperature=0.5)
        two = talker.stream("open/m", "hi", session="chat")
        talker.open(one)
        talker.open(two)
        texts: tuple[list[str], list[str]] = [], []
        for stream, said in ((one, texts[0]), (two, texts[1])) * 2:
            said.append(talker.take(stream, 1)[0].text)
        texts[1].append(talker.take(two, 1)[0].text)
        for stream in (one, two):
            talker.leave(stream)
    assert ["".join(said) for said in texts] == ["Hi there", "Guten Tag"]
    calls = list(Recording("again/chat.jsonl").calls())
    assert ["".join(chunk.text for chunk in call.chunks()) for call in calls] == [
        "Hi there",
        "Guten Tag",
    ]
    report = verify(Path("again/chat.jsonl"))
    assert report.ok, report.findings


@BOTH
def test_exclusive_turns_wait_for_each_other_and_meta_is_kept_as_live(kind: str) -> None:
    record_app(kind)
    with replaying(kind, recordings="again", meta={"user": "x"}) as talker:
        first = talker.stream("lab/m", "hi", session="chat", exclusive=True, temperature=0.5)
        talker.open(first)
        behind = [
            talker.stream(model, said, session="chat", exclusive=True, meta={"turn": turn})
            for turn, (model, said) in enumerate([("lab/m", "retry"), ("open/m", "hi")])
        ]
        waiting = [talker.begin(stream) for stream in behind]
        behind[0].cancel()
        left = waiting[0].result(PATIENCE)
        assert (left.error, left.text, left.outcome) == (None, "", "cancelled")
        assert not waiting[1].done()
        talker.leave(first)
        assert waiting[1].result(PATIENCE).text == "Guten Tag"
    one, two = Recording("again/chat.jsonl").calls()
    assert (one.outcome, two.outcome) == ("cancelled", "complete")
    assert (one.request["meta"], two.request["meta"]) == ({"user": "x"}, {"user": "x", "turn": 1})
    report = verify(Path("again/chat.jsonl"))
    assert report.ok, report.findings


@BOTH
def test_what_was_not_recorded_is_a_miss_that_says_so(kind: str) -> None:
    with (
        LoopbackServer([lambda talk: talk.answer("Hi")]) as server,
        talking(kind, server, recordings="recorded") as talker,
    ):
        talker.hear()
    with replaying(kind) as talker:
        with pytest.raises(ReplayMissError, match=r"GET /api/version was not recorded"):
            talker.server_version("lab")
        with pytest.raises(ReplayMissError, match=r"GET /v1/models .* nor was any model of 'open'"):
            talker.models("open")
        with pytest.raises(SessionNameError):
            talker.stream("lab/m", "hi", session="a/b")


def test_no_key_is_needed() -> None:
    server = "https://example.openai.azure.com/openai/v1"
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    session = Session.open(Path("recorded"), "a")
    url = f"{server}/chat/completions"
    key = request_key("/openai/v1/chat/completions", body)
    writer = session.begin(request(body, url=url, vessel="azure", key=key))
    writer.response(200, {"content-type": "text/event-stream"})
    write(writer, [step(0, "Hi")])
    writer.end("complete")
    session.close()
    vessels = {"azure": Azure(base_url=server), "openai": OpenAI()}
    with Client(replay="recorded", vessels=vessels, environment={}) as client:
        assert client.complete("azure/m", "hi").text == "Hi"


@BOTH
def test_repeated_requests_get_the_last_answer_again(kind: str) -> None:
    scripts: list[Any] = [lambda talk, text=text: talk.answer(text) for text in "ab"]
    with (
        LoopbackServer(scripts) as server,
        talking(kind, server, recordings="recorded") as talker,
    ):
        assert [talker.hear().text for _ in "ab"] == ["a", "b"]
    with replaying(kind, repeat=True) as talker:
        assert [talker.hear().text for _ in range(4)] == ["a", "b", "b", "b"]
    with replaying(kind) as talker:
        assert [talker.hear().text for _ in range(2)] == ["a", "b"]
        assert isinstance(talker.hear().error, ReplayMissError)


@BOTH
def test_by_messages_another_model_gets_the_answer(kind: str) -> None:
    with (
        LoopbackServer([lambda talk: talk.answer("Hi")]) as server,
        talking(kind, server, recordings="recorded") as talker,
    ):
        talker.hear()
    with replaying(kind, match="messages") as talker:
        assert talker.hear("lab/another", "hi", temperature=1).text == "Hi"
        assert isinstance(talker.hear("lab/another", "other words").error, ReplayMissError)


def timed(gaps: tuple[float, ...], *, status: int = 200) -> None:
    """One call: the response and each frame after a gap, the end at once."""
    clock = ManualClock()
    session = Session.open(Path("recorded"), "a", clock=clock)
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    writer = session.begin(request(body))
    clock.pass_seconds(gaps[0])
    writer.response(status, {"content-type": "application/x-ndjson"})
    for seq, gap in enumerate(gaps[1:]):
        clock.pass_seconds(gap)
        write(writer, [step(seq, str(seq))])
    if status == 200:
        writer.end("complete")
    else:
        writer.end("error", error=ProviderError("busy", status=status))
    session.close()


class Waits:
    """The waits of sources, which do not take place; the client's clock moves instead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from vesselog.core.replay.recorded_source import AsyncRecordedSource, RecordedSource

        self.clock = ManualClock()
        self.seconds: list[float] = []

        async def wait_async(_: object, seconds: float) -> None:
            self.wait(seconds)

        monkeypatch.setattr(RecordedSource, "_wait", lambda _, seconds: self.wait(seconds))
        monkeypatch.setattr(AsyncRecordedSource, "_wait", wait_async)

    def wait(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.clock.pass_seconds(seconds)


@BOTH
@pytest.mark.parametrize(
    ("speed", "waits"),
    [
        (1.0, [1.0, 2.0, 0.5, 0.0]),
        (4, [0.25, 0.5, 0.125, 0.0]),
        (0, [0.0] * 4),
        ("max", [0.0] * 4),
        (None, [0.0] * 4),
    ],
)
def test_an_answer_is_played_at_the_recorded_pace(
    kind: str, speed: Any, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response comes after a second, the frames after two more and a half."""
    timed((1.0, 2.0, 0.5))
    waited = Waits(monkeypatch)
    with replaying(kind, speed=speed, clock=waited.clock) as talker:
        heard = talker.hear()
    assert (heard.error, heard.text, waited.seconds) == (None, "01", waits)
    assert [chunk.t for chunk in heard.chunks] == [3.0, 3.5]


@BOTH
def test_a_refusal_is_raised_when_it_came(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timed((1.5,), status=503)
    waited = Waits(monkeypatch)
    with (
        replaying(kind, speed=1.0, clock=waited.clock) as talker,
        pytest.raises(ProviderError, match="busy"),
    ):
        talker.open(talker.stream())
    assert waited.seconds == [1.5, 0.0]


@BOTH
@pytest.mark.parametrize("gaps", [(3600.0, 0.0), (0.0, 3600.0)], ids=["beginning", "frame"])
@pytest.mark.parametrize("how", ["cancel", "stop", "close"])
def test_a_wait_ends_when_the_stream_is_cancelled(
    kind: str, gaps: tuple[float, ...], how: str
) -> None:
    timed(gaps)
    waiting = threading.Event()
    with replaying(kind, speed=1.0, recordings="again") as talker:
        stream = talker.stream()
        until_begin, until_next = stream._source.until_begin, stream._source.until_next

        def told(until: Callable[[], float]) -> float:
            seconds = until()
            if seconds > 1:
                waiting.set()
            return seconds

        stream._source.until_begin = lambda: told(until_begin)
        stream._source.until_next = lambda: told(until_next)
        reading = talker.begin(stream)
        assert waiting.wait(PATIENCE)
        if how == "cancel":
            stream.cancel()
        elif how == "stop":
            assert stream.session is not None
            assert talker.client.stop(stream.session) == 1
        else:
            talker.close()
        heard = reading.result(PATIENCE)
        assert (heard.error, heard.text, heard.outcome) == (None, "", "cancelled")
    (call,) = Recording(next(Path("again").iterdir())).calls()
    assert call.outcome == "cancelled"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"speed": 1.0}, "speed is a setting of replay"),
        ({"speed": 0}, "speed is a setting of replay"),
        ({"repeat": True}, "repeat is a setting of replay"),
        ({"replay": "recorded", "speed": -1}, "no speed -1"),
        ({"replay": "recorded", "speed": "fast"}, "no speed 'fast'"),
        ({"replay": "recorded", "speed": float("nan")}, "no speed nan"),
        ({"replay": "recorded", "repeat": 3}, "repeat=3"),
        ({"match": "strict"}, "match is a setting of replay"),
        ({"replay": "recorded", "match": "guess"}, "no match 'guess'"),
        ({"replay": "recorded", "recordings": "recorded"}, "the same folder"),
        ({"replay": "recorded/a.jsonl", "recordings": "recorded"}, "the same folder"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    kind: Any, settings: dict[str, Any], named: str
) -> None:
    timed((0.0,))
    with pytest.raises(ConfigurationError, match=named) as caught:
        kind(vessels={"lab": Ollama(base_url=NOWHERE)}, environment={}, **settings)
    assert isinstance(caught.value, UsageError)
    assert caught.value.setting in {"speed", "repeat", "match", "recordings"}


@BOTH
@pytest.mark.parametrize("speed", ["max", 1e6])
def test_damage_ends_the_answer_and_what_was_read_before_it_is_recorded(
    kind: str, speed: Any
) -> None:
    timed((0.0, 0.0, 0.0, 0.0))
    path = Path("recorded/a.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"text":"1"', b'"text":123'))
    with replaying(kind, speed=speed, recordings="again") as talker:
        heard = talker.hear()
    assert isinstance(heard.error, RecordingCorruptError)
    assert (heard.text, heard.outcome) == ("0", "error")
    (call,) = Recording(next(Path("again").iterdir())).calls()
    assert [chunk.text for chunk in call.chunks()] == ["0"]
    assert isinstance(call.error, RecordingCorruptError)


@BOTH
def test_nothing_is_handed_out_that_cannot_be_recorded(kind: str) -> None:
    timed((0.0, 0.0, 1.0, 1.0))
    with replaying(kind, recordings="again") as talker:
        stream = talker.stream()
        talker.open(stream)
        assert talker.take(stream, 1)[0].text == "0"
        stream.path.unlink()
        # The file is checked once a second, of the session's time.
        heard = talker.begin(stream, opened=True).result(PATIENCE)
    assert isinstance(heard.error, RecordingError)
    assert "deleted" in str(heard.error)
    assert (heard.text, heard.outcome) == ("", "error")
    assert heard.error.completion is not None
    assert heard.error.completion.text == "0"


def test_the_answer_of_no_connection_is_no_connection() -> None:
    session = Session.open(Path("recorded"), "a")
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    error = ConnectionFailedError("no connection", phase="connect")
    session.begin(request(body)).end("error", error=error)
    session.close()
    with (
        replaying("sync", recordings="again") as talker,
        pytest.raises(ConnectionFailedError, match="no connection"),
    ):
        talker.open(talker.stream())
    (call,) = Recording(next(Path("again").iterdir())).calls()
    assert (call.outcome, call.response) == ("error", None)
    assert verify(call.path).ok
