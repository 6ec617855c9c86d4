"""What the command line adds to an error, and how it names the library's settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import recording
from loopback import Conversation, LoopbackServer, Script
from vesselog.cli import main
from vesselog.cli.error_advice import in_shell_words
from vesselog.core.framing import Framing, Splitter

MISSING = b'{"error":"model not found"}'


def silent(talk: Conversation) -> None:
    talk.head()
    talk.wait_for_hangup()


def starting_then_silent(talk: Conversation) -> None:
    talk.begin()
    talk.chunk(talk.frames("Hel", "lo")[0])
    talk.wait_for_hangup()


@pytest.mark.parametrize(
    ("script", "timeout"), [(silent, "first_chunk"), (starting_then_silent, "idle")]
)
def test_a_timeout_names_the_option_and_not_the_python_setting(
    script: Script, timeout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["chat", "ollama/m", "hi", "--timeout", f"{timeout}=0.2"]
    with LoopbackServer([script]) as server:
        assert main([*arguments, "--base-url", server.url]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "0.2 s" in error
    assert f"--timeout {timeout}=SECONDS" in error
    assert "Timeouts(" not in error


@pytest.mark.parametrize("value", ["idle", "idle=", "idle=-1", "idle=nan", "idle=inf", "nap=1"])
def test_a_bad_timeout_is_wrong_usage(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "ollama/m", "hi", "--timeout", value]) == 2
    assert "is not of the form NAME=SECONDS" in capsys.readouterr().err


def test_none_switches_a_timeout_off(capsys: pytest.CaptureFixture[str]) -> None:
    with LoopbackServer([lambda talk: talk.answer("Hello")]) as server:
        options = ["--timeout", "idle=none", "--base-url", server.url]
        assert main(["chat", "ollama/m", "hi", *options]) == 0
    assert capsys.readouterr().out == "Hello\n"


def test_a_long_list_of_models_is_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({"data": [{"id": f"model-{number}"} for number in range(15)]}).encode()
    with LoopbackServer([lambda talk: talk.whole(MISSING, 404), lambda t: t.whole(body)]) as server:
        assert main(["chat", "openai/nope", "hi", "--base-url", server.url]) == 4
    error = capsys.readouterr().err
    assert "openai has no model 'nope'; it has: model-0, model-1, " in error
    assert error.count("model-") == 12
    assert "and 3 more" in error


def test_a_misspelt_model_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({"data": [{"id": "gpt-5-mini"}, {"id": "whisper"}]}).encode()
    with LoopbackServer([lambda talk: talk.whole(MISSING, 404), lambda t: t.whole(body)]) as server:
        assert main(["chat", "openai/gtp5-mini", "hi", "--base-url", server.url]) == 4
    assert capsys.readouterr().err.count("; did you mean 'gpt-5-mini'?") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["azure/m"], "azure has no default address: give --base-url, or set AZURE_OPENAI_"),
        (["openai/m", "--think"], "does not take --think, but an effort such as --effort low"),
        (["openai/m", "--think"], "put what the server takes anyway into --set extra_body=JSON"),
        (["openai/m", "--effort", "2048"], "openai does not take --effort 2048"),
        (["anthropic/m", "--generate"], "anthropic takes chat messages only: leave out --generate"),
        (
            ["openai/m", "--completion", "--set", "tools=[]"],
            "; leave out --generate or --completion",
        ),
        (["ollama/m", "--base-url", "x y"], "the base URL must be http:// or https://"),
    ],
)
def test_options_are_named_and_not_python_settings(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chat", *arguments, "hi"]) == 2
    assert words in capsys.readouterr().err


def test_the_words_of_a_server_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    body = b'{"error":"think=True is not supported; give messages"}'
    with LoopbackServer([lambda talk: talk.whole(body, 400)]) as server:
        assert main(["chat", "ollama/m", "hi", "--base-url", server.url]) == 4
    assert "think=True is not supported; give messages" in capsys.readouterr().err


def test_a_limit_that_no_option_changes_is_not_advised() -> None:
    splitter = Splitter(Framing.NDJSON, 4)
    splitter.split(b"12345")
    assert splitter.error is not None
    assert "Limits(" in splitter.error.message
    assert in_shell_words(splitter.error) == "a frame is larger than 4 bytes"


def test_an_unknown_host_is_not_a_server_that_is_not_running(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "ollama", "--base-url", "http://no-such-host.invalid"]) == 1
    error = capsys.readouterr().err
    assert "the host name is unknown): check its spelling" in error
    assert error.endswith("; give its address with --base-url\n")
    assert "ollama serve" not in error


def test_a_missing_key_names_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    with LoopbackServer([lambda talk: talk.whole(b'{"error":"who?"}', 401)]) as server:
        assert main(["chat", "openai/m", "hi", "--base-url", server.url]) == 4
    assert "who?; --api-key-env VAR names the variable" in capsys.readouterr().err


def damage(path: Path) -> None:
    """Replace a line in the middle of a recording."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], b"oops\n", *lines[5:]]))


@pytest.mark.parametrize("session", ["s", "last"])
@pytest.mark.parametrize("more", [[], ["--generate"]])
def test_a_session_that_cannot_be_continued_names_what_helps(
    more: list[str], session: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether its history is read before it is opened for writing or not."""
    path = recording(tmp_path, "a", "b", "c")
    damage(path)
    arguments = ["chat", "ollama/m", "hi", "--recordings", str(tmp_path), "--session", session]
    assert main([*arguments, *more]) == 1
    assert capsys.readouterr().err.endswith(
        "; `vesselog salvage FILE -o NEW.jsonl` copies what can be read\n"
    )
    path.write_bytes(b"oops\n")
    assert main([*arguments, *more]) == 1
    assert "salvage" not in capsys.readouterr().err


def test_a_list_with_a_damaged_recording_names_what_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none.jsonl").write_bytes(b"oops\n")
    assert main(["ls", str(tmp_path)]) == 1
    assert "salvage" not in capsys.readouterr().err
    damage(recording(tmp_path, "a", "b", "c"))
    assert main(["ls", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith(
        "damaged: `vesselog salvage FILE -o NEW.jsonl` copies what can be read\n"
    )


@pytest.mark.parametrize("command", ["show", "replay", "follow", "decode", "recover"])
def test_a_damaged_recording_names_what_helps(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path, "a", "b", "c")
    damage(path)
    assert main([command, str(path)]) == 1
    assert capsys.readouterr().err.endswith(
        "; `vesselog salvage FILE -o NEW.jsonl` copies what can be read\n"
    )
    path.write_bytes(b"oops\n")
    assert main([command, str(path)]) != 0
    assert "salvage" not in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"oops\n"])
def test_salvage_of_a_file_without_lines_does_not_advise_salvage(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(content)
    assert main(["salvage", str(path), "-o", str(tmp_path / "new.jsonl")]) == 1
    assert capsys.readouterr().err == f"vesselog: {path} has no line of a recording\n"


@pytest.mark.parametrize("command", [["chat", "ollama/m", "hi"], ["models", "ollama"]])
def test_an_address_that_cannot_be_used_names_the_variable_that_it_comes_from(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://[")
    assert main(command) == 2
    assert capsys.readouterr().err.endswith("; it comes from the variable OLLAMA_HOST\n")
    assert main([*command, "--base-url", "http://["]) == 2
    assert "OLLAMA_HOST" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["salvage", "rederive"])
def test_an_empty_file_is_not_to_be_salvaged(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert main([command, str(empty), "-o", str(tmp_path / "new.jsonl")]) == 1
    assert "copies what can be read" not in capsys.readouterr().err
