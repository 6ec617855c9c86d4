"""A KeyboardInterrupt between any two steps of the recorder leaves a whole file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sessions import kinds, request, step, write
from vesselog import verify
from vesselog.core.truth import session as truth
from vesselog.core.truth.session import Session, Writer

TRUTH = str(Path(truth.__file__).parent)
# Tracing in Python 3.13 leaves instructions out, but no line.
STEP = "opcode" if sys.version_info < (3, 13) else "line"


def finalises(frame: FrameType | None) -> bool:
    """Python prints an interrupt of a finaliser and goes on."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


def interrupted(act: Callable[[], object], moment: int) -> bool:
    """Do it, but for an interrupt after so many steps of the recorder. Was there one?"""
    left = moment

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(TRUTH) or finalises(frame):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = STEP == "opcode", STEP == "line"
        if event == STEP:
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


ACTS: dict[str, Callable[[Session, Writer], object]] = {
    "begin": lambda session, _: session.begin(request()),
    "frames": lambda _, writer: write(writer, [step(1), step(2)]),
    "response": lambda _, writer: writer.response(200, {}),
    "end": lambda _, writer: writer.end("complete"),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_interrupt_at_any_moment_leaves_a_whole_file(tmp_path: Path, act: str) -> None:
    for moment in count(0):  # the first goes through: Python 3.12 tells of no instruction yet
        session = Session.open(tmp_path, str(moment))
        writer = session.begin(request())
        write(writer, [step(0)])
        was = interrupted(lambda: ACTS[act](session, writer), moment)  # noqa: B023 - done at once
        writer.end("cancelled")
        session.close()
        found = [each.message for each in verify(session.path).findings]
        # Who began has no writer if an interrupt came just then: nobody ended that call.
        assert found in ([], ["call 2 has no end"] if act == "begin" else []), moment
        ends = [kind for kind in kinds(session.path) if kind.startswith("end")]
        assert len(ends) + len(found) == kinds(session.path).count("request")
        if moment and not was:
            break
    assert moment > 30, "it was never interrupted"
