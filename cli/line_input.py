"""Reads what a person types at a prompt, with the editing and the history of GNU readline."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType

from .output import DIM, print_error, print_note
from .termination import Terminated

__all__ = ["LineInput"]

_CONTINUATION = "... "


class LineInput:
    """The prompt of a conversation. earlier: texts for the history, the oldest first."""

    def __init__(self, earlier: Iterable[str] = ()) -> None:
        self._readline = _readline()
        if self._readline is not None:
            for text in earlier:
                self._readline.add_history(text)

    def read(self, prompt: str) -> str | None:
        """The next text that is not blank; a line that ends with a backslash goes on in the next.

        None at the end: Ctrl-D, or Ctrl-C twice at an empty prompt.
        """
        interrupted = False
        while True:
            try:
                text = self._lines(prompt)
                text.encode()  # other bytes may have become surrogates
            except EOFError:
                print_note()
                return None
            except UnicodeError:
                print_error("the input is not UTF-8")
                continue
            except Terminated:
                raise
            except KeyboardInterrupt:
                print_note()
                if self._typed():  # the line is given up, and nothing else
                    interrupted = False
                elif interrupted:
                    return None
                else:
                    interrupted = True
                    print_note("Ctrl-D, or Ctrl-C again, ends the conversation", DIM)
                continue
            if text.strip():
                return text
            interrupted = False

    def _lines(self, prompt: str) -> str:
        lines: list[str] = []
        while (line := self._line(prompt)).endswith("\\"):
            lines.append(line[:-1])
            prompt = _CONTINUATION
        return "\n".join([*lines, line])

    def _line(self, prompt: str) -> str:
        if sys.stdout.isatty():
            return input(prompt)
        # `input` would write the prompt among the results.
        sys.stderr.write(prompt)
        sys.stderr.flush()
        if line := sys.stdin.readline():
            return line.removesuffix("\n")
        raise EOFError

    def _typed(self) -> str:
        """What stood in the line when it was interrupted."""
        return "" if self._readline is None else self._readline.get_line_buffer()


def _readline() -> ModuleType | None:
    """The module, if Python was built with it and both ends are a terminal.

    Importing it alone makes `input` use it, and may write to stdout.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    try:
        import readline
    except ImportError:  # Windows
        return None
    return readline
