"""Foreign text never controls the terminal that it is printed on, and never forges a line."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import json_lines
from loopback import Conversation, LoopbackServer
from sessions import request, step, write
from vesselog import ProviderError
from vesselog.cli import main
from vesselog.cli.terminal_text import safe_json, safe_line, safe_text
from vesselog.core.jsontext import dumps, loads
from vesselog.core.truth.session import Session
from warm_python import Popen, run

CONTROLS = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))}
# The property Bidi_Control of Unicode: PropList.txt.
BIDI = {
    chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
SEPARATORS = {"\u2028", "\u2029"}
ALL = "".join(sorted(CONTROLS | BIDI | SEPARATORS))
# Also what a file's name cannot have, or argv.
NASTY = f"a\nforged row{ALL}b\x1b]0;title\x07\x9b31m\u202egnp"
IN_A_NAME = NASTY.replace("\0", "").replace("/", "")


def unsafe(printed: str) -> set[str]:
    """The characters in it that control a terminal; tabs and line feeds do not count."""
    found = {each for each in printed if unicodedata.category(each) in {"Cc", "Zl", "Zp"}}
    return (found | BIDI & set(printed)) - {"\t", "\n"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Runs a command: its status, and what it printed on stdout and stderr."""
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str, terminal: bool) -> tuple[int, str, str]:
        kind = Terminal if terminal else io.StringIO
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", kind(newline=""))
            patch.setattr(sys, "stderr", kind(newline=""))
            status = main(arguments)
            return status, sys.stdout.getvalue(), sys.stderr.getvalue()  # type: ignore[attr-defined]

    return run


def hostile(folder: Path, name: str = "s") -> Path:
    """A recording with such text in everything that a server or an editor may put there."""
    session = Session.open(folder, name)
    body = {"model": NASTY, "messages": [{"role": "user", "content": NASTY}]}
    writer = session.begin(request(body, model=NASTY, method=NASTY, url=f"http://x/{NASTY}"))
    writer.response(200, {"content-type": NASTY, "server": NASTY})
    call = {"slot": "0", "id": NASTY, "name": NASTY, "arguments": json.dumps(NASTY)}
    write(
        writer,
        [
            step(0, NASTY, reasoning=NASTY, tool_calls=[call]),
            step(1, NASTY, refusal=NASTY, choice=1, model=NASTY),
            step(2, finish_reason="stop", raw_finish_reason=NASTY),
        ],
    )
    writer.end("error", error=ProviderError(NASTY))
    session.close()
    return session.path


# The text of the answer, which a pipe gets exactly.
ANSWERS = {"replay", "show", "follow"}


READING = ("ls", "show", "replay", "follow", "verify", "diff", "salvage", "rederive", "recover")
JSON_OR_TEXT = pytest.mark.parametrize("options", [["--json"], []], ids=["json", "text"])
TERMINAL_OR_PIPE = pytest.mark.parametrize("place", ["terminal", "pipe"])


@TERMINAL_OR_PIPE
@JSON_OR_TEXT
@pytest.mark.parametrize("name", READING)
def test_no_command_prints_a_control_character_of_a_recording(
    name: str,
    options: list[str],
    place: str,
    tmp_path: Path,
    printed: Callable[..., tuple[int, str, str]],
) -> None:
    made = hostile(tmp_path / "in")
    folder = tmp_path / IN_A_NAME
    folder.mkdir()
    path = made.rename(folder / f"{IN_A_NAME}.jsonl")
    other = hostile(tmp_path / "in", "other")
    other.write_text(other.read_text("utf-8").replace("gnp", "exe"), "utf-8", newline="")
    arguments = {
        "ls": [str(folder)],
        "replay": [str(path), "--speed", "max"],
        "diff": [str(path), str(other)],
        "salvage": [str(other), "-o", str(folder / "new.jsonl")],
        "rederive": [str(path), "-o", str(folder / "new.jsonl")],
    }.get(name, [str(path)])
    status, out, err = printed(name, *arguments, *options, terminal=place == "terminal")
    assert status in {0, 1, 2, 4, 6}
    assert out or err
    if place == "pipe" and not options and name in ANSWERS:
        for line in NASTY.split("\n"):
            assert line in out
            out, err = out.replace(line, ""), err.replace(line, "")
    assert not unsafe(out + err)
    if options and out:
        assert all(json_lines(out))
    if name == "ls" and not options:
        assert len(out.splitlines()) == 2


@TERMINAL_OR_PIPE
@JSON_OR_TEXT
def test_no_name_of_a_model_forges_a_row(
    options: list[str], place: str, printed: Callable[..., tuple[int, str, str]]
) -> None:
    body = json.dumps({"models": [{"name": NASTY, "modified_at": NASTY}]}).encode()
    with LoopbackServer([lambda talk: talk.whole(body)]) as server:
        status, out, err = printed(
            "models", "ollama", "--base-url", server.url, *options, terminal=place == "terminal"
        )
    assert (status, err) == (0, "")
    assert not unsafe(out)
    assert out.count("\n") == (1 if options else 2)
    if options:
        assert json.loads(out)["model"] == f"ollama/{NASTY}"


@JSON_OR_TEXT
def test_no_error_of_a_provider_controls_the_terminal(
    options: list[str], printed: Callable[..., tuple[int, str, str]]
) -> None:
    def missing(talk: Conversation) -> None:
        if talk.request.method == "GET":
            talk.whole(json.dumps({"models": [{"name": NASTY}]}).encode())
        else:
            talk.whole(json.dumps({"error": NASTY}).encode(), 404)

    with LoopbackServer([missing]) as server:
        line = ["chat", "ollama/m", "hi", "--base-url", server.url, *options]
        for terminal in (True, False):
            status, out, err = printed(*line, terminal=terminal)
            assert status == 4
            assert not unsafe(out + err)


def test_a_warning_of_the_library_is_printed_as_safely(
    tmp_path: Path, printed: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is set up for logging, as in the program."""
    path = hostile(tmp_path).rename(tmp_path / f"{IN_A_NAME}.jsonl")
    path.write_text(path.read_text("utf-8").replace("gnp", "exe"), "utf-8", newline="")

    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    _, _, err = printed("ls", str(tmp_path), terminal=True)
    _, _, more = printed("verify", str(path), terminal=True)
    _, _, shown = printed("show", str(path), terminal=True)
    assert "does not match its check" in shown
    assert not unsafe(err + more + shown)


def test_raw_bytes_are_exact_in_a_pipe_and_safe_on_a_terminal(tmp_path: Path) -> None:

    path = hostile(tmp_path)
    line = [sys.executable, "-m", "vesselog", "show", "--raw", str(path)]
    piped = run(line, stdout=subprocess.PIPE, check=True).stdout
    assert json.loads(piped.partition(b"\n")[0])["message"]["content"] == NASTY
    assert b"\x7f" in piped
    above, below = pty.openpty()
    with Popen(line, stdout=below) as process:
        os.close(below)
        shown = b""
        try:
            while piece := os.read(above, 1 << 16):
                shown += piece
        except OSError:  # the other end is closed
            pass
        assert process.wait() == 0
    os.close(above)
    assert not unsafe(shown.decode().replace("\r\n", "\n"))


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(ALL)))
def test_any_text_is_safe_and_any_json_keeps_its_value(text: str) -> None:
    assert not unsafe(safe_text(text))
    line = safe_line(text)
    assert not unsafe(line)
    assert not {"\t", "\n"} & set(line)
    assert len(line) == len(text)
    value = {text: [text, {"x": text}]}
    escaped = safe_json(dumps(value).decode())
    assert not unsafe(escaped)
    assert loads(escaped) == value


def test_what_controls_nothing_stays() -> None:
    text = "Zürich, עברית, العربية, 日本語, 👩\u200d💻, e\u0301 \u00a0\ufeff"
    assert safe_text(text) == safe_line(text) == safe_json(text) == text
    assert safe_text("a\tb\nc") == "a\tb\nc"
