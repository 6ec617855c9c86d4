"""Text that arrives in pieces, with a note beside each line, on a terminal and in a log."""

from __future__ import annotations

import io
import re

import pytest

from vesselog.cli.live_text import LiveText
from vesselog.cli.output import DIM
from vesselog.cli.terminal_text import columns

STORY = "A vessel leaves the harbour at dawn. Every wave it meets goes into the log, and stays."


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def grown(stream: io.StringIO, text: str, *, style: str = "") -> list[str]:
    """Print the text in pieces of three characters; the note counts them. Returns the lines."""
    pieces = [text[start : start + 3] for start in range(0, len(text), 3)]
    count = 0
    live = LiveText(stream, lambda: f"{count} pieces", style=style)
    for piece in pieces:
        count += 1
        live.add(piece)
    live.end()
    assert stream.getvalue().endswith("\n")
    return stream.getvalue()[:-1].split("\n")


def test_a_log_has_each_line_once_with_the_figure_of_its_time() -> None:
    lines = grown(io.StringIO(), STORY)
    assert lines == [
        "  A vessel leaves the harbour at dawn. Every wave it    │ 18 pieces",
        "  meets goes into the log, and stays.                   │ 29 pieces",
    ]


def test_a_terminal_shows_the_same_in_the_end() -> None:
    stream = Terminal()
    written = grown(stream, STORY)
    last = [line.rpartition("\r")[2] for line in written]
    assert [re.sub(r"\x1b\[[0-9;]*[mK]", "", line) for line in last] == grown(io.StringIO(), STORY)
    assert stream.getvalue().count("\r") > 25, "each piece is shown when it comes"


def test_line_feeds_begin_lines_and_blank_ends_do_not_show() -> None:
    lines = grown(io.StringIO(), "one\n\ntwo  ")
    assert [line.partition("│")[0].strip() for line in lines] == ["one", "", "two"]


def test_a_word_longer_than_a_line_is_broken() -> None:
    lines = grown(io.StringIO(), "x" * 120)
    assert "".join(line.partition("│")[0].strip() for line in lines) == "x" * 120


def test_wide_characters_take_two_columns() -> None:
    assert columns("日本語 OK e\u0301") == 11
    lines = grown(io.StringIO(), "良い航海を " * 12)
    bars = {columns(line.partition("│")[0]) for line in lines}
    assert len(bars) == 1


def test_a_narrow_screen_has_no_room_for_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = grown(io.StringIO(), STORY)
    assert all("│" not in line and len(line) < 40 for line in lines)
    assert " ".join(line.strip() for line in lines) == STORY


def test_styles_go_only_to_terminals_and_control_characters_to_none() -> None:
    assert "\x1b[2m" in "".join(grown(Terminal(), "quiet", style=DIM))
    assert "\x1b" not in "".join(grown(io.StringIO(), "quiet", style=DIM))
    assert "␛[31m" in "".join(grown(Terminal(), "\x1b[31mred"))
