"""Something happens between any two steps of the code, as a signal handler does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Moment", "at_step"]

# Tracing in Python 3.13 leaves instructions out, but no line.
_STEP = "opcode" if sys.version_info < (3, 13) else "line"


class Moment:
    """So many steps after now. came: whether there were as many."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @property
    def came(self) -> bool:
        return self.left <= 0


@contextmanager
def at_step(number: int, of: str, act: Callable[[], object]) -> Iterator[Moment]:
    """Do it after so many steps of this thread through files whose path begins with `of`."""
    moment = Moment(number)

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(of) or _finalises(frame):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = _STEP == "opcode", _STEP == "line"
        if event == _STEP:
            moment.left -= 1
            if moment.left == 0:
                act()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield moment
    finally:
        sys.settrace(before)


def _finalises(frame: FrameType | None) -> bool:
    """Python prints an interrupt of a finaliser and goes on."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None
