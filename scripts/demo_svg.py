"""Draws docs/demo.svg, the demo as a picture that moves, from a real run; scripts/demo-svg runs it.

The program runs on a terminal of 80 columns. What was on each line, and from when to when, is drawn
as text that is shown for that time; the whole is repeated. Readers who ask their system for less
motion see the last state.
"""

from __future__ import annotations

import os
import pty
import re
import sys
import time
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import pyte

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, ROWS = 80, 60
SCREEN = 200  # columns: a longer line is a command with the path of this checkout, which is cut
WIDTH, HEIGHT, MARGIN = 8.43, 18, 16  # of a character, in pixels, at 14 pixels of font size
PAUSE = 5.0  # seconds that the last state stays before the repetition
SHORTEST = 0.1  # seconds; states that follow each other faster are drawn as one


class Run(NamedTuple):
    """Text that is drawn in one piece, from a column on."""

    column: int
    text: str
    bold: bool


class State(NamedTuple):
    """What was on a line from a time on, in seconds."""

    since: float
    runs: tuple[Run, ...]


def main() -> None:
    """Run the program, and write the picture."""
    lines, duration = record([str(ROOT / ".venv/bin/vesselog"), "demo"])
    picture = draw(lines, duration)
    (ROOT / "docs/demo.svg").write_text(picture, "utf-8")
    print(f"docs/demo.svg: {len(picture) / 1000:.0f} kB, {duration:.1f} s")


def record(command: list[str]) -> tuple[list[list[State]], float]:
    """Run a command on a terminal; gives the states of its lines, and how long it ran."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ |= {"COLUMNS": str(COLUMNS), "LINES": str(ROWS), "TERM": "xterm-256color"}
        os.execv(command[0], command)  # noqa: S606 - a program of this checkout
    screen = pyte.Screen(SCREEN, ROWS)
    stream = pyte.ByteStream(screen)
    lines: list[list[State]] = [[State(0, ())] for _ in range(ROWS)]
    start = time.monotonic()
    while data := _read(terminal):
        stream.feed(data)
        now = time.monotonic() - start
        for row in screen.dirty:
            _note(lines[row], State(now, _runs(screen.buffer[row])))
        screen.dirty.clear()
    duration = time.monotonic() - start
    _, status = os.waitpid(process, 0)
    if status:
        sys.exit(f"{command} failed")
    return lines, duration


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the program has ended
        return b""


def _runs(row: Any) -> tuple[Run, ...]:
    runs: list[Run] = []
    fresh = True
    for column in range(SCREEN):
        cell = row[column]
        joins = "\U0001f3fb" <= cell.data <= "\U0001f3ff"  # a skin tone, of the character before it
        if (fresh and not joins) or cell.bold != runs[-1].bold:
            runs.append(Run(column, cell.data, cell.bold))
        else:
            runs[-1] = runs[-1]._replace(text=runs[-1].text + cell.data)
        fresh = not cell.data  # after a character that takes two columns
    while runs and not runs[-1].text.strip():
        runs.pop()
    return tuple(runs)


def _note(states: list[State], state: State) -> None:
    """Add what a line shows now, unless it shows that already."""
    if states[-1].runs == state.runs:
        return
    if len(states) > 1 and state.since - states[-1].since < SHORTEST:
        states[-1] = State(states[-1].since, state.runs)
    else:
        states.append(state)


def draw(lines: list[list[State]], duration: float) -> str:
    """The picture."""
    whole = duration + PAUSE
    used = max(row for row, states in enumerate(lines) if states[-1].runs) + 1
    rules: list[str] = []
    texts: list[str] = []
    for row, states in enumerate(lines[:used]):
        following = [*(state.since for state in states[1:]), whole]
        for number, (state, until) in enumerate(zip(states, following, strict=True)):
            if not state.runs:
                continue
            name = f"r{row}s{number}"
            last = number == len(states) - 1
            begin, end = 100 * state.since / whole, 100 * until / whole
            steps = f"0%{{opacity:0}}{begin:.2f}%{{opacity:1}}"
            steps += "" if last else f"{end:.2f}%{{opacity:0}}"
            rules.append(f"@keyframes {name}{{{steps}}}.{name}{{animation-name:{name}}}")
            kind = name if last else f"{name} passing"
            y = MARGIN + (row + 1) * HEIGHT - 4
            texts.append(f'<text class="{kind}" x="{MARGIN}" y="{y}">{_spans(state.runs)}</text>')
    width, height = 2 * MARGIN + COLUMNS * WIDTH, 2 * MARGIN + used * HEIGHT
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" \
role="img" aria-label="vesselog demo: answers are streamed, recorded, resumed and replayed">
<style>
text{{font:14px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;fill:#e6edf3;\
white-space:pre;animation:{whole:.2f}s step-end infinite}}
.b{{font-weight:bold}}
{chr(10).join(rules)}
@media (prefers-reduced-motion:reduce){{text{{animation:none}}.passing{{opacity:0}}}}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
{chr(10).join(texts)}
</svg>
"""


def _spans(runs: tuple[Run, ...]) -> str:
    """The runs of a line, with paths relative to the checkout."""
    spans: list[str] = []
    for run in runs:
        shown = re.sub(r"\S*/(?=\.venv/|recordings/)", "", run.text)[:COLUMNS].rstrip(" ")
        x = f"{MARGIN + run.column * WIDTH:.1f}"
        look = ' class="b"' if run.bold else ""
        spans.append(f'<tspan x="{x}"{look}>{escape(shown)}</tspan>')
    return "".join(spans)


if __name__ == "__main__":
    main()
