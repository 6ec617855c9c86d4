"""What both clients share: their settings, which are checked at once, and their end."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from talking import every_client, every_client_at_once, talking
from vesselog import (
    AsyncClient,
    Client,
    ClientStateError,
    ConfigurationError,
    Limits,
    Retries,
    SessionNameError,
    StreamTimeoutError,
    Timeouts,
    UsageError,
    VesselogError,
    WireRequest,
)
from vesselog.vessels import Ollama

BOTH = pytest.mark.parametrize("kind", [Client, AsyncClient])


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


@BOTH
@pytest.mark.parametrize(
    ("setting", "value", "advice"),
    [
        ("api_key", "sk-canary-0123456789", r"vessels=\{.*OpenAI\(api_key="),
        ("base_url", "http://h", r"vessels=\{.*OpenAI\(base_url="),
        ("timeout", 3, r"timeouts=vesselog\.Timeouts\("),
        ("max_retries", 3, r"retries=vesselog\.Retries\(count="),
        ("temprature", 1, r"help\(vesselog\.Client\)"),
        ("recording", "misspelt", r"help\(vesselog\.Client\)"),
        ("timeouts", 3, r"write timeouts=vesselog\.Timeouts\(total=3"),
        ("timeouts", {"idle": 3}, r"must be a Timeouts: write .*Timeouts\(idle=3\)"),
        ("limits", 10, r"write limits=vesselog\.Limits\(max_connections=10\)"),
        ("retries", 0, r"write retries=vesselog\.Retries\(count=0\)"),
        ("retries", False, r"must be a Retries"),
        ("timeouts", Retries(), r"must be a Timeouts"),
    ],
)
def test_a_mistaken_setting_gets_advice(kind: Any, setting: str, value: Any, advice: str):
    with pytest.raises(ConfigurationError, match=advice) as caught:
        kind(**{setting: value})
    assert isinstance(caught.value, UsageError)
    assert caught.value.setting == setting
    assert setting in str(caught.value)
    assert "canary" not in str(caught.value)


@BOTH
def test_its_settings_are_spelt_out(kind: Any):
    parameters = inspect.signature(kind).parameters
    assert {"recordings", "timeouts", "limits", "retries", "http2", "fast"} <= set(parameters)
    documented = inspect.getdoc(kind.__init__)
    for name, parameter in parameters.items():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            assert name in documented, name


@BOTH
@pytest.mark.parametrize(
    "settings",
    [
        {"recordings": "a-file"},
        {"replay": "a-file"},
        {"replay": "a-folder-that-is-not-there"},
        {"durability": "for-ever"},
        {"http_client": object()},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_that_cannot_work_are_told_at_once(kind: Any, settings: Any, tmp_path: Path):
    (tmp_path / "a-file").write_text("not a recording\n")
    with pytest.raises(VesselogError):
        kind(environment={}, **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]


class TestTimeoutsOfACall:
    def test_fields_left_out_keep_the_clients_values(self):
        clients = Timeouts(connect=1, first_chunk=2, idle=3, total=4)
        assert Timeouts(idle=30).over(clients) == Timeouts(
            connect=1, first_chunk=2, idle=30, total=4
        )
        assert Timeouts().over(clients) == clients

    def test_one_that_says_none_takes_the_limit_away(self):
        assert Timeouts(total=None).over(Timeouts(total=4)).total is None

    def test_one_that_repeats_the_default_means_it(self):
        default = Timeouts().idle
        assert Timeouts(idle=default).over(Timeouts(idle=1)).idle == default

    @every_client_at_once
    def test_the_clients_deadline_holds_beside_the_calls(self, kind: str):
        def silent(conversation: Conversation) -> None:
            conversation.wait_for_hangup()

        clients = Timeouts(first_chunk=0.2)
        with LoopbackServer([silent]) as server, talking(kind, server, timeouts=clients) as talker:
            heard = talker.hear(timeouts=Timeouts(idle=30))
            heard.check("error", error=StreamTimeoutError)
            assert heard.error.phase == "first_chunk"
            assert "0.2 s" in str(heard.error)
            with pytest.raises(StreamTimeoutError):
                talker.complete(timeouts=Timeouts(idle=30))

    @every_client
    @pytest.mark.parametrize("wrong", [3, 3.0, {"idle": 3}, Limits()], ids=repr)
    def test_of_another_type_they_are_told_before_anything_is_sent(self, kind: str, wrong: Any):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            for ask in (talker.stream, talker.complete):
                with pytest.raises(ConfigurationError, match=r"vesselog\.Timeouts\("):
                    ask(timeouts=wrong)
            assert (server.requests, Path("recordings").exists()) == ([], False)


@every_client
def test_a_closed_client_says_so(kind: str):
    with LoopbackServer([answer]) as server, talking(kind, server) as talker:
        talker.close()
        for attempt in (talker.stream, talker.complete, talker.models, talker.server_version):
            with pytest.raises(ClientStateError):
                attempt()


@every_client
def test_closed_twice_it_is_closed(kind: str):
    with LoopbackServer([answer]) as server, talking(kind, server) as talker:
        talker.hear().check("complete")
        for _ in range(2):
            talker.close()
        server.wait_until(lambda: server.open_connections == 0)


@every_client
def test_a_stream_that_was_never_opened_may_be_left_after_its_client(kind: str):
    with talking(kind, "http://127.0.0.1:9") as talker:
        stream = talker.stream()
        talker.close()
        talker.leave(stream)
        stream.cancel()


@every_client
def test_closed_unused_it_leaves_nothing(kind: str, tmp_path: Path):
    with talking(kind, "http://127.0.0.1:9") as talker:
        talker.close()
    assert list(tmp_path.iterdir()) == []


@every_client
def test_closed_while_many_streams_run_each_is_recorded_once(kind: str):
    def talks_on(conversation: Conversation) -> None:
        conversation.begin()
        while not conversation.server.released.wait(0.005):
            conversation.chunk(conversation.frames("on ")[0])

    with LoopbackServer([talks_on]) as server, talking(kind, server) as talker:
        streams = [talker.stream(session="all") for _ in range(12)]
        futures = [talker.begin(stream) for stream in streams]
        server.wait_until(lambda: len(server.requests) == 12)
        talker.close()
        for future in futures:
            assert future.result(PATIENCE).outcome == "cancelled"
        server.wait_until(lambda: server.open_connections == 0)
        futures[0].result().check("cancelled")


@pytest.mark.parametrize("setting", ["recordings", "replay"])
def test_a_working_folder_that_was_deleted_is_told(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigurationError, match="absolute path") as caught:
        Client(**{setting: "r"})
    assert caught.value.setting == setting


@pytest.mark.parametrize("name", [3, b"a", ["a"]])
def test_a_session_is_named_by_a_text(name: Any, tmp_path: Path) -> None:
    with Client(recordings=tmp_path) as client:
        for use in (
            lambda: client.stream("ollama/m", "Hi", session=name),
            lambda: client.recording(name),
            lambda: client.delete(name),
        ):
            with pytest.raises(SessionNameError, match="1 to 128"):
                use()


@pytest.mark.parametrize("value", ["no", None, 1])
def test_exclusive_is_true_or_false(value: Any, tmp_path: Path) -> None:
    with (
        Client(recordings=tmp_path) as client,
        pytest.raises(ConfigurationError, match="True or False") as caught,
    ):
        client.stream("ollama/m", "Hi", session="s", exclusive=value)
    assert caught.value.setting == "exclusive"


WRONG = (None, 3, True, "x", b"x", [], {}, object())
# What a client and its methods take of these; None, 3 and the others are wrong everywhere else.
TAKEN = {
    **dict.fromkeys(("recordings", "replay"), (None, "x")),
    **dict.fromkeys(("headers", "meta", "vessels", "environment"), (None, {})),
    **dict.fromkeys(("http2", "fast"), (None, True)),
    **dict.fromkeys(("timeouts", "limits", "retries", "ssl_context", "http_client"), (None,)),
    **dict.fromkeys(("model", "vessel"), ("x",)),
    **dict.fromkeys(("session", "messages"), (None, "x")),
    "exclusive": (True,),
    "lock_wait": (3,),
    "speed": (None, 3),
    "match": (None, [], {}),
    "repeat": (True,),
}


def wrong_values(function: Any) -> list[tuple[str, Any]]:
    """The arguments of a function, each with all values that are none of its type."""
    names = inspect.signature(function).parameters.keys() - {"self", "fields", "mistaken"}
    return [
        (name, value)
        for name in sorted(names)
        for value in WRONG
        if not any(type(value) is type(each) and value == each for each in TAKEN.get(name, ()))
    ]


@BOTH
def test_a_setting_of_another_type_is_told(kind: Any, tmp_path: Path) -> None:
    for setting, wrong in wrong_values(kind):
        given = {"replay": tmp_path} if setting in {"speed", "match", "repeat"} else {}
        with pytest.raises(ConfigurationError) as caught:
            kind(**{"environment": {}, **given, setting: wrong})
        assert caught.value.setting == setting, str(caught.value)
        assert setting in str(caught.value)


@every_client
@pytest.mark.parametrize("method", ["stream", "complete", "send", "models", "server_version"])
def test_an_argument_of_another_type_is_told_before_anything_is_sent(
    kind: str, method: str
) -> None:
    with LoopbackServer([answer]) as server, talking(kind, server) as talker:
        asked = getattr(talker.client, method)
        request = WireRequest(f"{server.url}/api/chat", {"model": "m"})
        right = {"model": "lab/m", "messages": "hi", "vessel": "lab", "request": request}
        taken = {name: right[name] for name in inspect.signature(asked).parameters if name in right}
        for name, wrong in wrong_values(asked):
            with pytest.raises(UsageError) as caught:
                talker._call(lambda given={**taken, name: wrong}: asked(**given))
            assert name in str(caught.value), f"{name}={wrong!r}: {caught.value}"
        assert (server.requests, Path("recordings").exists()) == ([], False)


def test_what_is_wrong_in_an_argument_is_not_repeated() -> None:
    """It may be a key."""
    for given in ({"headers": "Bearer sk-canary"}, {"vessels": ["sk-canary"]}):
        with pytest.raises(ConfigurationError) as caught:
            Client(**given)  # type: ignore[arg-type]
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("vessels", [{"lab": Ollama}, {"lab": "ollama"}, {3: Ollama()}])
def test_vessels_are_vessels_by_names(vessels: Any) -> None:
    with pytest.raises(ConfigurationError, match="a vessel"):
        Client(vessels=vessels)
