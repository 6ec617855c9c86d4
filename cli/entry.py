"""The `vesselog` command: finds the command asked for, and turns what it raises into one line.

A command is a module with `add(commands)`, which describes it to argparse, and the function that it
names as `run`. Modules of commands import nothing heavy but inside their functions: `--help` should
not wait for a client that nobody asked for.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ..core.version import VERSION
from . import (
    bench,
    chat,
    decode,
    demo,
    diff,
    follow,
    ls,
    models,
    new_vessel,
    output,
    recover,
    rederive,
    replay,
    salvage,
    show,
    verify,
    vessels,
)
from .statuses import EPILOG, ExitStatus, status_of

__all__ = ["main", "parser"]

_COMMANDS = (
    *(demo, chat, replay, ls, show, follow, verify, recover, salvage, rederive, diff, decode),
    *(vessels, models, bench, new_vessel),
)


class _Parser(argparse.ArgumentParser):
    """Complains in one line, and takes options between the arguments of a command."""

    _mixing = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """As for every parser, but `chat MODEL --generate PROMPT` is understood too."""
        if self._mixing or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False

    def error(self, message: str) -> NoReturn:
        output.complain(f"{message}; see {self.prog} --help", self.prog)
        raise SystemExit(ExitStatus.USAGE)


def parser() -> argparse.ArgumentParser:
    """What `vesselog` understands."""
    top = _Parser(
        prog="vesselog",
        description="Stream from language models, each chunk recorded before it is shown; replay, "
        "check and decode the recordings.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"vesselog {VERSION}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, `sys.argv` by default; gives the exit status."""
    _prepare_streams()
    try:
        arguments = parser().parse_args(argv)
        return int(arguments.run(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitStatus.OK
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has seen enough. What is still buffered would be complained about at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.OK
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        output.complain(f"{name}{error.strerror or type(error).__name__}")
        return ExitStatus.FAILURE
    except Exception as error:
        from ..core.errors import VesselogError

        if not isinstance(error, VesselogError):
            raise
        output.complain(error.message)
        return status_of(error)


def _prepare_streams() -> None:
    """Make sure that whatever is said can be written."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started the command
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            # A character that the terminal's encoding lacks must not end the answer.
            stream.reconfigure(errors="replace")
