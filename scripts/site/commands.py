"""The page with every command of the command line, read from its parsers."""

from __future__ import annotations

import argparse
import os
import re

from vesselog.cli.entry import parser

__all__ = ["page"]

_HEADING = """# Commands and options

Every command with its options, as `--help` prints them. [The command line](../cli.md) explains them
with examples.
"""


def page() -> str:
    """The text of the page."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        return _page(parser())
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _page(top: argparse.ArgumentParser) -> str:
    commands = next(
        action for action in top._actions if isinstance(action, argparse._SubParsersAction)
    )
    told = {choice.dest: choice.help or "" for choice in commands._choices_actions}
    _, _, statuses = " ".join((top.epilog or "").split()).partition("exit status: ")
    rows = [f"- {_plain(status)}\n" for status in re.split(r", (?=\d)", statuses)]
    parts = [f"{_HEADING}\n## Exit status\n\n", *rows]
    for name, command in commands.choices.items():
        parts.append(f"\n## vesselog {name}\n\n{_plain(command.description or told[name])}\n\n")
        parts.append(f"```text\n{command.format_usage()}```\n\n")
        parts += [_entry(action) for action in command._actions]
        if command.epilog and command.epilog != top.epilog:
            parts.append(f"\n{_plain(command.epilog)}\n")
    return "".join(parts)


def _entry(action: argparse.Action) -> str:
    """One argument: how it is written, and what it does."""
    if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
        return ""
    value = action.metavar or (
        f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest.upper()
    )
    if isinstance(value, tuple):
        value = " ".join(value)
    if action.option_strings:
        shown = ", ".join(action.option_strings)
        written = shown if action.nargs == 0 else f"{shown} {value}"
    else:
        written = value
    text = (action.help or "").replace("%%", "%").replace("%(default)s", str(action.default))
    return f"`{written}`\n:   {_plain(text) or 'See above.'}\n\n"


def _plain(text: str) -> str:
    """Text as Markdown that shows it unchanged."""
    marked = " ".join(text.split())
    for mark in "\\`*_<>[]|":
        marked = marked.replace(mark, f"\\{mark}")
    return marked
