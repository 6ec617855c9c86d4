"""`vesselog serve`, as a process and by its settings."""

from __future__ import annotations

import argparse
import gc
import re
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from commands import command, serving, start
from loopback import Conversation, LoopbackServer, openai_events
from patience import PATIENCE
from vesselog import Recording
from vesselog.cli.entry import parser
from vesselog.cli.serve import base_urls
from vesselog.cli.serve_command import environment_for
from vesselog.cli.serve_settings import ServeSettings, read_settings
from vesselog.core.errors import ConfigurationError
from vesselog.core.request import chat_request

CHAT = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}'


def streamed(talk: Conversation) -> None:
    talk.stream(list(openai_events("a", "b")), "text/event-stream")


def read_on(stream: Any) -> threading.Thread:
    """Keep a pipe from filling up."""
    thread = threading.Thread(target=stream.read, daemon=True)
    thread.start()
    return thread


def test_what_it_records_it_replays_and_a_signal_ends_answers_honestly(tmp_path: Path) -> None:
    begun = threading.Event()

    def endless(talk: Conversation) -> None:
        talk.head(content_type="text/event-stream")
        talk.chunk(openai_events("a")[0])
        begun.set()
        talk.wait_for_hangup()

    with (
        LoopbackServer([streamed, endless]) as upstream,
        serving(f"--upstream=up=openai@{upstream.url}/v1", "--recordings", str(tmp_path)) as (
            process,
            url,
        ),
        httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as http,
    ):
        answer = http.post("/v1/chat/completions", content=CHAT)
        assert answer.content == b"".join(openai_events("a", "b"))
        assert http.get("/healthz").text == "ok\n"
        counted = 'vesselog_requests_total{upstream="up",dialect="openai",outcome="complete"} 1'
        assert counted in http.get("/metrics").text
        with http.stream("POST", "/v1/chat/completions", content=CHAT) as cut:
            assert begun.wait(PATIENCE)
            parts = cut.iter_raw()
            received = next(parts)
            process.send_signal(signal.SIGTERM)
            received += b"".join(parts)
        assert b"server_stopping" in received
        assert process.wait(PATIENCE) == 0
    sessions = {answer.headers["x-vesselog-session"], cut.headers["x-vesselog-session"]}
    calls = [next(iter(Recording(tmp_path / f"{each}.jsonl").calls())) for each in sessions]
    assert {call.outcome for call in calls} == {"complete", "cancelled"}

    with (
        serving("--replay", str(tmp_path), "--speed", "max") as (process, url),
        httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as http,
    ):
        assert http.post("/v1/chat/completions", content=CHAT).content == answer.content
        miss = http.post("/v1/chat/completions", content=CHAT.replace(b'"m"', b'"n"'))
        assert miss.status_code == 404
        assert 'body.model (recorded: "m", asked: "n")' in miss.json()["error"]["message"]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


# What programs of other dialects ask an Ollama for, and where its answer has the text.
ASKED = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": b'{"model":"m","max_tokens":9,"stream":true,'
    b'"messages":[{"role":"user","content":"x"}]}',
    "/api/chat": CHAT,
}


def test_what_it_translated_it_replays_translated_and_asks_nobody(tmp_path: Path) -> None:
    """Beside the upstream that was recorded, which is gone then."""
    with (
        LoopbackServer([lambda talk: talk.answer("Ahoy, ", "moin")] * 3) as upstream,
        serving(f"--upstream=up=ollama@{upstream.url}", "--recordings", str(tmp_path)) as (_, url),
        httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as http,
    ):
        given = {path: http.post(path, content=body).text for path, body in ASKED.items()}
    assert all("moin" in each for each in given.values())
    with (
        serving(
            *(f"--upstream=up=ollama@{upstream.url}", "--replay", str(tmp_path)),
            *("--speed", "max"),
        ) as (_, url),
        httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as http,
    ):
        for path, body in ASKED.items():
            answer = http.post(path, content=body)
            assert answer.status_code == 200
            assert texts_in(answer.text) == texts_in(given[path])
        assert http.get("/api/tags").json()["models"] == [{"name": "m", "model": "m"}]
        miss = http.post("/v1/messages", content=ASKED["/v1/messages"].replace(b'"x"', b'"y"'))
        assert miss.status_code == 404
        assert "was not recorded" in miss.json()["error"]["message"]
        counted = 'vesselog_requests_total{upstream="up",dialect="openai",outcome="complete"} 1'
        assert counted in http.get("/metrics").text
    assert len(list(tmp_path.glob("*.jsonl"))) == 3


def texts_in(answer: str) -> list[str]:
    """The pieces of text in a stream of any of the dialects."""
    return re.findall(r'"(?:content|text)":"([^"]*)"', answer)


ASKS = """
import os, sys, urllib.request
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
urllib.request.urlopen(urllib.request.Request(url, sys.argv[1].encode())).read()
print(os.environ["OLLAMA_HOST"])
sys.exit(7)
"""


def test_a_command_is_run_with_the_base_urls_and_gives_its_exit_status(tmp_path: Path) -> None:
    with LoopbackServer([streamed]) as upstream:
        options = [f"--upstream=up=openai@{upstream.url}/v1", "--recordings", str(tmp_path)]
        done = command(
            "serve", "--port", "0", *options, "--", sys.executable, "-c", ASKS, CHAT.decode()
        )
    assert done.returncode == 7
    assert done.stdout.startswith("http://127.0.0.1:")
    (path,) = tmp_path.glob("*.jsonl")
    (call,) = Recording(path).calls()
    assert call.outcome == "complete"


def test_a_signal_reaches_the_command(tmp_path: Path) -> None:
    waits = "import signal, sys; print('ready', flush=True); signal.pause()"
    with LoopbackServer([streamed]) as upstream:
        process = start(
            *("serve", "--port", "0", f"--upstream=up=openai@{upstream.url}/v1"),
            *("--recordings", str(tmp_path), "--", sys.executable, "-c", waits),
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM


def settings_of(*arguments: str) -> ServeSettings:
    parsed: argparse.Namespace = parser().parse_args(["serve", *arguments])
    return read_settings(parsed)


def test_upstreams_are_named_on_the_command_line() -> None:
    settings = settings_of(
        "--upstream=local=ollama@http://127.0.0.1:1?a=b@c", "--upstream=anthropic"
    )
    told = {name: (each.vessel, each.base_url) for name, each in settings.upstreams.items()}
    assert told == {
        "local": ("ollama", "http://127.0.0.1:1?a=b@c"),
        "anthropic": ("anthropic", None),
    }


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(
        """
        port = 1
        recordings = "kept"
        max_requests = 7
        allow_origin = ["https://app.example"]
        timeouts = { first_chunk = 10, idle = 5.5 }

        [upstreams.local]
        vessel = "ollama"

        [upstreams.lab]
        vessel = "openai"
        base_url = "https://lab.example/v1"
        api_key_env = "LAB_KEY"
        """
    )
    settings = settings_of("--config", str(file), "--port", "2")
    assert (settings.port, settings.max_requests) == (2, 7)
    assert settings.recordings == tmp_path / "kept", "from where the file is"
    assert list(settings.upstreams) == ["local", "lab"]
    assert settings.upstreams["lab"].api_key_env == "LAB_KEY"
    assert settings.allow_origin == ("https://app.example",)
    assert settings.timeouts == {"first_chunk": 10, "idle": 5.5}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('port = "x"', r"serve\.toml: port: .*integer"),
        ("port = 70000", r"serve\.toml: port: "),
        ("prot = 1", r"serve\.toml: prot: "),
        ('[upstreams.local]\nvessel = "ollama"\nurl = "x"', r"upstreams\.local\.url: "),
        ("[upstreams.local]", r"upstreams\.local\.vessel: "),
        ('match = "fuzzy"', r"match: .*'strict'"),
        ('durability = "disk"', r"durability: "),
        ("a = [", r"serve\.toml is not TOML"),
        ("prot = 1", "did you mean 'port'"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_key(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        settings_of("--config", str(file))


@pytest.mark.parametrize(("speed", "factor"), [('"max"', 0), ("2", 2), ("0.5", 0.5)])
def test_the_pace_of_a_replay_in_the_file_is_as_on_the_command_line(
    tmp_path: Path, speed: str, factor: float
) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(f'replay = "kept"\nspeed = {speed}\n')
    assert settings_of("--config", str(file)).speed == factor
    file.write_text('replay = "kept"\nspeed = "fast"\n')
    with pytest.raises(ConfigurationError, match="speed: must be a valid number"):
        settings_of("--config", str(file))


def test_an_unknown_vessel_is_told_with_its_key() -> None:
    settings = settings_of("--upstream", "a=olama")
    told = r"upstreams\.a\.vessel: there is no vessel named 'olama'.* did you mean 'ollama'"
    with pytest.raises(ConfigurationError, match=told):
        settings.upstreams["a"].make("a")


def test_the_most_tokens_of_an_upstream_are_for_vessels_that_need_it(tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    text = '[upstreams.a]\nvessel = "%s"\nmax_tokens = 9\n'
    file.write_text(text % "anthropic")
    settings = settings_of("--config", str(file))
    request = settings.upstreams["a"].make("a").request(chat_request("m", "hi"))
    assert (request.body or {})["max_tokens"] == 9
    file.write_text(text % "ollama")
    with pytest.raises(ConfigurationError, match=r"upstreams\.a\.max_tokens: .* ollama has no"):
        settings_of("--config", str(file)).upstreams["a"].make("a")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give an upstream"),
        (("--upstream=a=ollama", "--upstream=a=openai"), "have the name 'a'"),
        (("--upstream=a=ollama", "--record-missing"), "setting of replay"),
        (("--upstream=a=ollama", "--match=order"), "match is a setting of replay"),
        (("--replay", "x", "--record-missing"), "needs an upstream"),
        (("--upstream=a=ollama", "--api-key-env=b=KEY"), "no upstream of this name"),
        (("--config", "/nowhere/x.toml"), "cannot read /nowhere/x.toml: No such file"),
    ],
)
def test_settings_that_do_not_go_together_are_told(arguments: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        settings_of(*arguments)


@pytest.mark.parametrize("stated", ["upstreams = 5", 'upstreams = {a = "ollama"}'])
def test_a_key_for_no_upstream_is_told_whatever_the_file_has(tmp_path: Path, stated: str) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(stated)
    with pytest.raises(ConfigurationError, match="--api-key-env a: there is no upstream of this"):
        settings_of("--config", str(file), "--api-key-env=a=KEY")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--upstream=a/b=ollama",), "an upstream cannot be named 'a/b'"),
        (("--upstream=a=ollama", "--recordings", "/dev/null/x"), "cannot record to /dev/null/x"),
        (("--upstream=a=ollama", "--recordings", "/dev/null"), "/dev/null: it is not a folder"),
        (("--upstream=local",), "; give NAME=VESSEL, as local=ollama"),
    ],
)
def test_what_cannot_work_is_told_at_the_start(arguments: Sequence[str], told: str) -> None:
    done = command("serve", "--port", "0", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_key_in_place_of_its_variables_name_is_not_shown() -> None:
    for given in ("sk-very-secret-key", "skverysecretkey"):
        settings = settings_of("--upstream=a=openai@http://x/v1", f"--api-key-env=a={given}")
        with pytest.raises(ConfigurationError) as caught:
            settings.upstreams["a"].make("a")
        assert given not in str(caught.value)


def test_the_key_of_a_variable_is_the_upstreams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "sk-of-the-lab-1234")
    settings = settings_of("--upstream=a=openai@https://x/v1", "--api-key-env=a=LAB_KEY")
    assert settings.upstreams["a"].make("a").api_key == "sk-of-the-lab-1234"


def test_the_token_comes_from_a_file_or_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VESSELOG_TOKEN", "from-the-variable")
    assert settings_of("--upstream=ollama").token() == "from-the-variable"
    file = tmp_path / "token"
    file.write_text("from-the-file\n")
    assert settings_of("--upstream=ollama", "--token-file", str(file)).token() == "from-the-file"
    file.write_text("")
    with pytest.raises(ConfigurationError, match="is empty"):
        settings_of("--upstream=ollama", "--token-file", str(file)).token()


def test_the_commands_environment_keeps_what_is_the_users() -> None:
    url = "http://127.0.0.1:1"
    own = {"OPENAI_API_KEY": "own", "NO_PROXY": "example.com", "PATH": "/bin"}
    made = environment_for(url, None, own)
    assert base_urls(url).items() <= made.items()
    assert made["OPENAI_API_KEY"] == "own"
    assert made["NO_PROXY"].split(",")[:2] == ["example.com", "127.0.0.1"]
    assert "ANTHROPIC_API_KEY" not in made
    with_token = environment_for(url, "the-token", own)
    assert with_token["OPENAI_API_KEY"] == "own"
    assert with_token["ANTHROPIC_API_KEY"] == "the-token"


@pytest.mark.parametrize(
    ("variable", "address", "upstream"),
    [
        ("OPENAI_BASE_URL", "http://127.0.0.1:8484/v1", "openai"),
        ("OLLAMA_HOST", "localhost:8484", "ollama"),
    ],
)
def test_a_server_is_not_its_own_upstream(
    variable: str,
    address: str,
    upstream: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from vesselog.cli import main

    monkeypatch.setenv(variable, address)
    assert main(["serve", f"--upstream={upstream}"]) == 2
    assert "is this server itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("upstream", "told"),
    [
        ("azure", "give --upstream azure=azure@https://… (in a file, base_url), or set AZURE_OPEN"),
        ("a=azure@https://x.openai.azure.com/models", "'a': this azure route needs a version: add"),
        ("a=openai@ftp://x", "the upstream 'a': the base URL must be http:// or https://"),
        ("a=ollama@http://h:99999", "the upstream 'a': the base URL must be http:// or https://"),
    ],
)
def test_an_address_that_cannot_be_asked_is_told_with_its_upstream(
    upstream: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And with what this command takes; it has no --base-url."""
    from vesselog.cli import main

    for name in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_BASE", "AZURE_OPENAI_API_VERSION"):
        monkeypatch.delenv(name, raising=False)
    assert main(["serve", "--upstream=ok=ollama", f"--upstream={upstream}"]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "--base-url" not in said


def test_collections_do_not_visit_what_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector looks only at what came later, so that it does not hold up the streams."""
    from vesselog.cli import main
    from vesselog.server.serving import Serving

    run, frozen = Serving.run, list[int]()

    def run_once(serving: Serving) -> None:
        frozen.append(gc.get_freeze_count())
        serving.stop()
        run(serving)

    monkeypatch.setattr(Serving, "run", run_once)
    try:
        assert main(["serve", "--port=0", "--upstream=ollama", f"--recordings={tmp_path}"]) == 0
    finally:
        gc.unfreeze()
    assert frozen[0] > 10_000


def test_without_uvicorn_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vesselog.cli import main

    for name in [each for each in sys.modules if each.startswith("vesselog.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--upstream=ollama"]) == 2
    assert "pip install 'vesselog[server]'" in capsys.readouterr().err
