"""`vesselog chat`: the answer on stdout, everything else on stderr, each chunk recorded."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands import command, json_lines, start
from loopback import Conversation, LoopbackServer, Script, ollama_lines, sse
from patience import PATIENCE
from vesselog import Recording, StreamChunk, verify
from vesselog.cli import main
from warm_python import run

LINES = ollama_lines("Hel", "lo ", "wörld")
TAGS = json.dumps({"models": [{"name": "story:latest"}, {"name": "tiny:1b"}]}).encode()


def chat(server: LoopbackServer, *arguments: str, model: str = "ollama/m") -> int:
    return main(["chat", model, *arguments, "--base-url", server.url])


def answering(*frames: bytes) -> LoopbackServer:
    return LoopbackServer([lambda talk: talk.stream(frames or LINES)])


def events(*texts: str) -> list[bytes]:
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    return sse(*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})


def only_recording() -> Recording:
    (path,) = Path("recordings").glob("*.jsonl")
    assert verify(path).ok
    return Recording(path)


def test_the_answer_is_on_stdout_and_the_rest_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with answering() as server:
        assert chat(server, "Say hello") == 0
    out, err = capsys.readouterr()
    assert out == "Hello wörld\n"
    recording = only_recording()
    told, path = err.splitlines()
    assert told.startswith("complete, stop · 4 chunks in ")
    assert "tokens 3 in, 3 out (3000.0/s)" in told
    assert Path(path) == recording.path.absolute()
    assert server.requests[0].json == {
        "model": "m",
        "messages": [{"role": "user", "content": "Say hello"}],
        "stream": True,
    }


def test_json_is_the_chunks_then_the_completion(capsys: pytest.CaptureFixture[str]) -> None:
    with answering() as server:
        assert chat(server, "hi", "--json") == 0
    out, err = capsys.readouterr()
    *chunks, completion = json_lines(out)
    assert {chunk["type"] for chunk in chunks} == {"chunk"}
    (call,) = only_recording().calls()
    stored = [chunk.model_copy(update={"raw": ""}) for chunk in call.chunks()]
    assert [StreamChunk.model_validate(chunk) for chunk in chunks] == stored
    assert completion["type"] == "completion"
    assert completion["text"] == "Hello wörld"
    assert completion["outcome"] == "complete"
    assert completion["path"] == str(call.path.absolute())
    assert err == ""


def test_reasoning_is_not_part_of_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    thought = b'{"message":{"role":"assistant","content":"","thinking":"hm, "},"done":false}\n'
    with answering(thought, thought, *LINES) as server:
        assert chat(server, "hi", "--think") == 0
    out, err = capsys.readouterr()
    assert out == "Hello wörld\n"
    assert err.startswith("hm, hm, \n\n")
    assert server.requests[0].json["think"] is True


def test_tool_calls_and_further_choices_are_answers_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call = {"index": 0, "id": "1", "function": {"name": "get", "arguments": '{"a": 1}'}}
    frames = sse(
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "stop"}]},
        {"choices": [{"index": 1, "delta": {"content": "two"}, "finish_reason": "stop"}]},
    )
    with LoopbackServer([lambda talk: talk.stream(frames, "text/event-stream")]) as server:
        assert chat(server, "hi", "-o", "n=2", model="openai/m") == 0
    out, err = capsys.readouterr()
    assert out == 'get({"a": 1})\ntwo\n'
    assert "choice 1" in err
    assert server.requests[0].json["n"] == 2


@pytest.mark.parametrize(
    ("model", "arguments", "path"),
    [
        ("ollama/m", ("--generate", "Once"), "/api/generate"),
        ("ollama/m", ("Once", "--completion"), "/api/generate"),
        ("openai/m", ("--completion", "Once"), "/v1/completions"),
        ("openai/m", ("Once", "--generate"), "/v1/completions"),
    ],
)
def test_a_prompt_may_be_sent_as_a_prompt(
    model: str, arguments: tuple[str, ...], path: str
) -> None:
    frames = LINES if model == "ollama/m" else events("x")
    with LoopbackServer([lambda talk: talk.stream(frames, "x/y")]) as server:
        assert chat(server, *arguments, model=model) == 0
    assert server.requests[0].path == path
    assert server.requests[0].json["prompt"] == "Once"


def test_system_effort_and_options_reach_the_server() -> None:
    with answering() as server:
        options = ("-o", "temperature=0", "-o", 'stop=["a"]', "--option", "note=1 or 2")
        assert chat(server, "--system", "Be brief", "hi", "--no-think", *options) == 0
        assert chat(server, "--effort", "low", "--generate", "hi", "--system", "Be brief") == 0
    first, second = (request.json for request in server.requests)
    assert first["messages"][0] == {"role": "system", "content": "Be brief"}
    assert first["think"] is False
    assert first["options"] == {"temperature": 0, "stop": ["a"], "note": "1 or 2"}
    assert second["think"] == "low"
    assert second["system"] == "Be brief"


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_the_prompt_may_come_from_stdin(arguments: tuple[str, ...]) -> None:
    with answering() as server:
        stdin = "Grüße\nzweite Zeile\n".encode()
        done = command("chat", "ollama/m", *arguments, "--base-url", server.url, stdin=stdin)
    assert (done.returncode, done.stdout) == (0, "Hello wörld\n")
    assert server.requests[0].json["messages"][0]["content"] == "Grüße\nzweite Zeile\n"


def test_the_key_is_taken_from_the_variable_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-0123456789abcdef")
    with answering() as server:
        assert chat(server, "hi", "--api-key-env", "MY_KEY") == 0
        assert server.requests[0].headers["authorization"] == "Bearer sk-0123456789abcdef"
        assert chat(server, "hi", "--api-key-env", "NOT_SET") == 2
    assert "NOT_SET: this environment variable is not set" in capsys.readouterr().err
    for key in ("sk-0123456789abcdef", "0123456789abcdef", "ABCDEF0123456789"):
        assert chat(server, "hi", "--api-key-env", key) == 2
        error = capsys.readouterr().err
        assert key not in error
        assert "give the name of a variable, never the key itself" in error
    assert "sk-0123456789abcdef" not in only_recording().path.read_text()


def test_a_named_session_goes_on(tmp_path: Path) -> None:
    with answering() as server:
        for prompt in ("one", "two"):
            folder = str(tmp_path / "kept")
            assert chat(server, prompt, "--session", "talk", "--recordings", folder) == 0
    assert [call.number for call in Recording(tmp_path / "kept/talk.jsonl").calls()] == [1, 2]


def test_a_session_may_be_named_as_a_table_cut_it() -> None:
    with answering() as server:
        assert chat(server, "one", "--session", "a-long-name") == 0
        assert chat(server, "two", "--session", "a-lo…") == 0
        assert chat(server, "two", "--session", "b…") == 1
        assert chat(server, "three", "--session", "a-lo") == 0
    names = sorted(path.stem for path in Path("recordings").iterdir())
    assert names == ["a-lo", "a-long-name"]
    assert len(list(Recording("recordings/a-long-name.jsonl").calls())) == 2


def test_nothing_is_recorded_when_nothing_should_be(capsys: pytest.CaptureFixture[str]) -> None:
    with answering() as server:
        assert chat(server, "hi", "--no-record") == 0
    assert not Path("recordings").exists()
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["qwen3:1.7b", "hi"], ["did you mean ollama/qwen3:1.7b?"]),
        (["ollama/", "hi"], ["names no model"]),
        (["ollama/m", "hi", "--session", "../x"], ["bad session name"]),
        (["ollama/m", "hi", "--base-url", "nowhere:x:y"], ["base URL"]),
        (["ollama/m", ""], ["prompt is empty"]),
        (["ollama/m", "\udcff"], ["not UTF-8"]),
        (["ollama/m", "hi", "--recordings", __file__], ["is not a folder"]),
        (["ollama/m", "hi", "--completion", "--system", "x"], ["--system"]),
        (["openai/m", "hi", "--think"], ["effort"]),
        (["ollama/m", "hi", "-o", "temperature"], ["KEY=VALUE", "see vesselog chat --help"]),
        (["ollama/m", "hi", "--generate", "--completion"], ["not allowed with"]),
        ([], ["MODEL"]),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    assert main(["chat", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert all(word in err for word in words), err
    assert not Path("recordings").exists()


def test_the_error_for_a_stopped_server_says_how_to_start_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with LoopbackServer([]) as server:
        pass
    assert chat(server, "hi") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert server.url in err
    assert "`ollama serve`" in err
    assert str(only_recording().path) in err


def test_the_error_for_a_missing_model_lists_the_models_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = b'{"error":"model \'nope\' not found"}'
    with LoopbackServer([lambda t: t.whole(missing, 404), lambda t: t.whole(TAGS)]) as server:
        assert chat(server, "hi", model="ollama/nope") == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "`ollama pull nope`" in err
    assert "story:latest, tiny:1b" in err
    assert server.requests[1].path == "/api/tags"


def test_another_404_keeps_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    """The server has the model, so something else was not found."""
    lost = b'{"error":"lost"}'
    with LoopbackServer([lambda t: t.whole(lost, 404), lambda t: t.whole(TAGS)]) as server:
        assert chat(server, "hi", model="ollama/story") == 4
    assert "ollama answered 404: lost" in capsys.readouterr().err


def test_the_part_of_a_truncated_answer_that_arrived_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with answering(*LINES[:2]) as server:
        assert chat(server, "hi") == 3
    out, err = capsys.readouterr()
    assert out == "Hello \n"
    told, path, complaint = err.splitlines()
    assert told.startswith("truncated · 2 chunks")
    assert Path(path).exists()
    assert complaint.startswith("vesselog: the body ended before the answer did")


def test_an_error_in_mid_answer_has_the_status_of_the_provider(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with answering(LINES[0], b'{"error":"out of memory"}\n') as server:
        assert chat(server, "hi", "--json") == 4
    out, err = capsys.readouterr()
    assert json_lines(out)[-1]["outcome"] == "error"
    assert json_lines(out)[-1]["error"]["type"] == "ProviderError"
    assert err == "vesselog: ollama failed while answering: out of memory\n"


def endless(talk: Conversation) -> None:
    talk.head()
    while True:
        talk.chunk(LINES[0])


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_answer_which_is_recorded_as_cancelled(
    number: signal.Signals, status: int
) -> None:
    with LoopbackServer([endless]) as server:
        process = start("chat", "ollama/m", "hi", "--base-url", server.url)
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(6) == b"HelHel"
        process.send_signal(number)
        process.stdout.read()
        told = process.stderr.read().decode()
        assert process.wait(PATIENCE) == status
        process.stdout.close()
        process.stderr.close()
    assert told.startswith("cancelled · ")
    assert "Traceback" not in told
    (call,) = only_recording().calls()
    assert call.outcome == "cancelled"


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    with LoopbackServer([endless]) as server:
        process = start("chat", "ollama/m", "hi", "--base-url", server.url)
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(3) == b"Hel"
        process.stdout.close()
        told = process.stderr.read().decode()
        assert process.wait(PATIENCE) == 0
        process.stderr.close()
    assert told == ""
    (call,) = only_recording().calls()
    assert call.outcome == "cancelled"


def test_every_token_is_out_before_the_next_one_comes() -> None:
    """The server sends the next token only after the test has read the previous one."""
    with LoopbackServer([]) as server:

        def script(talk: Conversation) -> None:
            talk.head()
            for line in LINES:
                talk.chunk(line)
                assert server.released.wait(PATIENCE)
                server.released.clear()
            talk.end()

        server.scripts.append(script)
        process = start("chat", "ollama/m", "hi", "--base-url", server.url)
        assert process.stdout is not None
        for token in ("Hel", "lo ", "wörld"):
            assert process.stdout.read(len(token.encode())) == token.encode()
            server.released.set()
        process.communicate(timeout=PATIENCE)
        server.released.set()
    assert process.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_behind_stdout_is_one_line() -> None:
    with answering() as server, Path("/dev/full").open("wb") as full:
        process = start("chat", "ollama/m", "hi", "--base-url", server.url, stdout=full)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err.decode() == "vesselog: cannot write to stdout: No space left on device\n"


def test_a_closed_stdout_is_no_reason_to_fail() -> None:
    with answering() as server:
        line = [sys.executable, "-m", "vesselog", "chat", "ollama/m", "hi"]
        shell = ["sh", "-c", 'exec "$0" "$@" >&-', *line, "--base-url", server.url]
        done = subprocess.run(shell, stderr=subprocess.PIPE, check=False, timeout=PATIENCE)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_a_terminal_never_gets_escape_sequences_from_a_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    with answering(*ollama_lines("a\x1b]52;c;x\x07b\tc\n\x9bd")) as server:
        assert chat(server, "hi") == 0
    assert sys.stdout.getvalue() == "a␛]52;c;x␇b\tc\n\ufffdd\n"  # type: ignore[attr-defined]


def test_without_a_prompt_to_continue_a_terminal_is_not_waited_for() -> None:
    """Only messages make a conversation."""
    above, below = pty.openpty()
    done = run(
        [sys.executable, "-m", "vesselog", "chat", "ollama/m", "--generate"],
        stdin=below,
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    os.close(above)
    os.close(below)
    assert done.returncode == 2
    assert done.stderr == b"vesselog: the prompt is missing: give PROMPT, or pipe it to stdin\n"


def test_any_field_of_the_request_may_be_set(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}', "utf-8")
    with answering() as server:
        fields = ("temperature=0", "seed=1", "max_tokens=5", 'stop=["a"]', "keep_alive=5m")
        options = [word for field in fields for word in ("--set", field)]
        options += ["--set", f"response_format=@{schema}", "-o", "top_k=3"]
        options += ["--set", 'options={"top_k":1,"min_p":2}', "--effort", "2048"]
        assert chat(server, "hi", *options, model="ollama/m") in {0, 2}
        assert chat(server, "hi", *options[:-2], model="ollama/m") == 0
        sent = server.requests[-1].json
    assert sent["options"] == {
        "temperature": 0,
        "seed": 1,
        "num_predict": 5,
        "stop": ["a"],
        "top_k": 3,
        "min_p": 2,
    }
    assert sent["format"] == {"type": "object"}
    assert sent["keep_alive"] == "5m"


def test_an_effort_may_be_a_number_of_tokens() -> None:
    frames = events("x")
    with LoopbackServer([lambda talk: talk.stream(frames, "text/event-stream")]) as server:
        assert chat(server, "hi", "--effort", "2048", model="openrouter/m") == 0
        assert chat(server, "hi", "--effort", "low", model="openrouter/m") == 0
    assert [request.json["reasoning"] for request in server.requests] == [
        {"max_tokens": 2048},
        {"effort": "low"},
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "temprature=0"], "no such field; did you mean 'temperature'?"),
        (["--set", "zzz=0"], "the fields are extra_body, "),
        (["--set", "messages=[]"], "no such field"),
        (["--set", "temperature"], "FIELD=VALUE"),
        (["--set", "temperature=warm"], "temperature"),
        (["--set", "tools=@nowhere.json"], "cannot read the file nowhere.json: No such file"),
        (["--set", "tools=@text"], "the file is not JSON"),
        (["--effort", "1.5"], "is not an effort"),
        (["--effort", ""], "is not an effort"),
        (["--image", "nowhere.png"], "cannot read the image nowhere.png: No such file"),
        (["--image", "text"], "text is not an image of a known type (PNG, "),
        (["--image", "."], "cannot read the image .: Is a directory"),
        (["--image", "large"], "the image large is larger than 20 MB"),
        (["--image", "text", "--generate"], "--image goes with a chat message"),
        (["--session", "last"], "there is no last recording"),
    ],
)
def test_wrong_fields_and_files_are_told_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    Path("text").write_text("This is text", "utf-8")
    with Path("large").open("wb") as large:
        large.truncate(20_000_001)
    assert main(["chat", "ollama/m", "hi", *arguments]) == (1 if "last" in arguments else 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err
    assert not Path("recordings").exists()


def test_the_history_ends_with_an_answer_that_a_question_can_follow() -> None:
    """A failed question, and a call of a tool that got no result, are left out."""
    tool = {"function": {"name": "get", "arguments": {}}}
    calling = b'{"message":{"role":"assistant","content":"","tool_calls":[%s]},"done":true}\n'
    scripts: list[Script] = [
        lambda talk: talk.answer("One"),
        lambda talk: talk.whole(b'{"error":"no"}', 400),
        lambda talk: talk.stream([calling % json.dumps(tool).encode()]),
        lambda talk: talk.answer("Two"),
    ]
    with LoopbackServer(scripts) as server:
        statuses = [chat(server, prompt, "--session", "s") for prompt in ("a", "b", "c", "d")]
        assert statuses == [0, 4, 0, 0]
        said = [[each["content"] for each in sent.json["messages"]] for sent in server.requests]
    assert said == [["a"], ["a", "One", "b"], ["a", "One", "c"], ["a", "One", "d"]]


def test_a_session_may_be_continued_with_another_provider() -> None:
    scripts: list[Script] = [
        lambda talk: talk.stream(events("One"), "text/event-stream"),
        lambda talk: talk.answer("Two"),
    ]
    with LoopbackServer(scripts) as server:
        options = ("--session", "s", "--system", "Be brief")
        assert chat(server, "first", *options, model="openai/m") == 0
        assert chat(server, "second", *options[:2], model="ollama/m") == 0
    assert server.requests[1].json["messages"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "One"},
        {"role": "user", "content": "second"},
    ]
