"""The `vesselog` program: runs the chosen command and prints its errors in one line.

A command is a module with a function `add(commands)`, which adds it to the parser and sets `run` to
the function to call. Command modules import the rest of the library inside their functions, so that
`--help` is fast.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NoReturn

from ..core.nearest import did_you_mean
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
    prune,
    recover,
    rederive,
    replay,
    salvage,
    serve,
    show,
    verify,
    vessels,
)
from .error_advice import bad_variable, in_shell_words, salvage_advice
from .exit_status import EPILOG, ExitStatus, status_of
from .find_recording import find_named
from .termination import signals_raise

__all__ = ["main", "parser"]

_COMMANDS = (
    *(
        demo,
        chat,
        serve,
        replay,
        ls,
        show,
        follow,
        verify,
        recover,
        salvage,
        rederive,
        diff,
        decode,
    ),
    *(prune, vessels, models, bench, new_vessel),
)


class _HelpFormatter(argparse.HelpFormatter):
    """Never breaks a line inside a name such as vesselog-sync."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.indent("\n".join(self._split_lines(text, width)), indent)


class _Parser(argparse.ArgumentParser):
    """Prints usage errors in one line, and allows options between a command's arguments."""

    commands: Mapping[str, _Parser] = MappingProxyType({})
    _mixing = False

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, formatter_class=_HelpFormatter)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse as argparse does, but also accept `chat MODEL --generate PROMPT`."""
        if self._mixing or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Parse a command line; a misspelt command or option gets the nearest name."""
        given = list(sys.argv[1:] if args is None else args)
        commands = self.commands
        if not given:
            self.error("give a command, for example: vesselog demo")
        if not given[0].startswith("-") and given[0] not in commands:
            self.error(f"there is no command {given[0]!r}{did_you_mean(given[0], commands)}")
        chosen, program = commands.get(given[0], self), []
        if "--" in given and chosen.get_default("program") is not None:
            given, program = given[: given.index("--")], given[given.index("--") + 1 :]
        parsed, unknown = self.parse_known_args(given, namespace)
        if unknown:
            chosen.refuse(unknown)
        if program:
            parsed.program = program
        return parsed

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Report arguments that the command does not take."""
        name = unknown[0].partition("=")[0]
        if not name.startswith("-"):
            asks = any(action.dest == "prompt" for action in self._actions)
            hint = "; put quotes around a text of several words" if asks else ""
            self.error(f"unexpected argument {name!r}{hint}")
        options = self._option_string_actions
        if "--set" in options and (field := _request_field(name)):
            self.error(f"there is no option {name}: write --set {field}=VALUE")
        self.error(f"there is no option {name}{did_you_mean(name, options)}")

    def error(self, message: str) -> NoReturn:
        output.print_error(f"{message}; see {self.prog} --help", self.prog)
        raise SystemExit(ExitStatus.USAGE)


def _request_field(option: str) -> str:
    """The field of a request that is written like this option, or ""."""
    from ..core.request import RequestFields

    field = option.lstrip("-").replace("-", "_")
    return field if field in RequestFields.__annotations__.keys() - {"prompt"} else ""


def parser() -> argparse.ArgumentParser:
    """Make the parser for the whole command line."""
    top = _Parser(
        prog="vesselog",
        description="Stream answers from language models and record each chunk before it is "
        "printed; replay, check and decode the recordings.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"vesselog {VERSION}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add(commands)
    top.commands = commands.choices
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (default: `sys.argv`); returns the exit status."""
    _prepare_streams()
    with signals_raise() as received:
        status = _run(argv)
    if received.signal is not None and status == ExitStatus.INTERRUPTED:
        return ExitStatus(128 + received.signal)  # as a shell reports a signal
    return status


def _run(argv: Sequence[str] | None) -> int:
    arguments = argparse.Namespace()
    try:
        arguments = parser().parse_args(argv)
        with _logs_made_safe():
            find_named(arguments)
            return int(arguments.run(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitStatus.OK
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        _discard_output()  # the reader closed the pipe (`| head`)
        return ExitStatus.OK
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        try:
            sys.stdout.flush()
        except OSError:
            _discard_output()
            file = file or "cannot write to stdout: "
        output.print_error(f"{file}{error.strerror or type(error).__name__}")
        return ExitStatus.FAILURE
    except Exception as error:
        from ..core.errors import VesselogError

        if not isinstance(error, VesselogError):
            raise
        message = in_shell_words(error) + bad_variable(error, arguments)
        output.print_error(message + salvage_advice(error, arguments))
        return status_of(error)


def _discard_output() -> None:
    """Stdout failed: at exit Python would try to write what is still buffered, and report it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _logs_made_safe() -> Generator[None]:
    """Print what libraries log the way the program prints: file names and URLs are in it."""
    import logging

    class Printer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for line in self.format(record).split("\n"):
                output.print_note(line)

    given, logging.lastResort = logging.lastResort, Printer(logging.WARNING)
    try:
        yield
    finally:
        logging.lastResort = given


def _prepare_streams() -> None:
    """Make sure that writing to stdout and stderr cannot fail because of the stream itself."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the parent process closed it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            # A character that the terminal's encoding does not have must not stop the output.
            stream.reconfigure(errors="replace")
