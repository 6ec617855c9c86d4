"""The Python calls of one chunk: how many there are, and which, in order.

One stream comes over loopback, paced so that each read brings one chunk, while a profiler notes
every call in the event loop's thread. A chunk's calls are those from asyncio's call of the
protocol's `data_received`, which is counted, to the caller's own function, which is not. A call is
a Python function that begins or a generator or coroutine that resumes: each level of an `await`
counts, the caller's coroutine included. What the event loop does in between counts too. Calls of C
functions are counted apart.
"""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import CodeType, FrameType
from typing import Any, Self

from child_process import Figures, serve
from clients import open_client
from model_server import running_server

__all__ = ["CallRecorder", "Hop", "Journey"]

_RATE = 200
_CHUNKS = 250
# Chunks at both ends of the stream that are not counted: the first ones fill caches.
_MARGIN = 25
# On a busy machine several chunks share a read; so many must have had one of their own.
_ENOUGH = 50
# asyncio's transport calls one of these with every read. Libraries call them too, to go on with
# bytes that they hold back.
_READS = ("data_received", "buffer_updated")
_ASYNCIO = str(Path(asyncio.__file__).parent)
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Hop:
    """One Python call of a chunk. depth: calls it is nested in. c_calls: C functions it calls."""

    code: CodeType
    depth: int
    c_calls: int


@dataclass(frozen=True)
class Journey:
    """One chunk's calls from the read to the caller.

    c_calls: those of C functions, the event loop's among them. after: Python calls from the caller
    to the next read.
    """

    hops: tuple[Hop, ...]
    c_calls: int
    after: int

    @property
    def codes(self) -> tuple[CodeType, ...]:
        """The functions in order: what makes two journeys alike."""
        return tuple(hop.code for hop in self.hops)


class CallRecorder:
    """Notes the calls of the thread that enters it, until it is left.

    `seen` is the caller's function, called with each piece of text.
    """

    def __init__(self) -> None:
        self._events: list[tuple[str, CodeType, bool]] = []

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        self._events.append((event, frame.f_code, event == "call" and _is_read(frame)))

    def seen(self, _text: str) -> None:
        """The caller's code: here a chunk's journey ends."""

    def journeys(self) -> list[Journey | None]:
        """For each read whose text came to the caller, its calls; None if chunks shared a read."""
        found: list[Journey | None] = []
        read: _Read | None = None
        for event, code, begins in self._events:
            if begins:
                if read and read.texts:
                    found.append(read.journey())
                read = _Read()
            if read:
                read.add(event, code)
        if read and read.texts:
            found.append(read.journey())
        return found


def _is_read(frame: FrameType) -> bool:
    back = frame.f_back
    return (
        frame.f_code.co_name in _READS
        and back is not None
        and back.f_code.co_filename.startswith(_ASYNCIO)
    )


class _Read:
    """Everything from one read to the next. texts: how often the caller was given one."""

    def __init__(self) -> None:
        self.texts = 0
        self._codes: list[CodeType] = []
        self._depths: list[int] = []
        self._c_calls: Counter[int] = Counter()
        self._stack: list[int] = []
        self._after = 0

    def add(self, event: str, code: CodeType) -> None:
        if event == "return":
            if self._stack:
                self._stack.pop()
        elif event == "c_call":
            if not self.texts:
                self._c_calls[self._stack[-1] if self._stack else -1] += 1
        elif event == "call":
            if code is CallRecorder.seen.__code__:
                self.texts += 1
            elif self.texts:
                self._after += 1
            else:
                self._codes.append(code)
                self._depths.append(len(self._stack))
            self._stack.append(len(self._codes) - 1)

    def journey(self) -> Journey | None:
        if self.texts != 1:
            return None
        hops = [
            Hop(code, depth, self._c_calls[number])
            for number, (code, depth) in enumerate(zip(self._codes, self._depths, strict=True))
        ]
        return Journey(tuple(hops), self._c_calls.total(), self._after)


async def _record(client: str) -> list[Journey]:
    """The journeys of the chunks in the middle of a stream."""
    if "sync" in client.split("-"):
        raise RuntimeError(f"{client}: only an async client's chunks stay in one thread")
    recorder = CallRecorder()
    with running_server() as address:
        async with open_client(client, f"{address}/paced-{_RATE}-{_CHUNKS}", 1) as ask:
            with recorder:
                await asyncio.ensure_future(ask(recorder.seen))
    middle = recorder.journeys()[_MARGIN:-_MARGIN]
    whole = [journey for journey in middle if journey is not None]
    if len(whole) < _ENOUGH:
        raise RuntimeError(f"{client}: only {len(whole)} chunks came in a read of their own")
    return whole


def calls(client: str) -> Figures:
    """Calls for one chunk, on average: Python's to the caller, C's to the caller, and after it."""
    journeys = asyncio.run(_record(client))
    return {
        "calls": fmean(len(journey.hops) for journey in journeys),
        "c_calls": fmean(journey.c_calls for journey in journeys),
        "calls_after": fmean(journey.after for journey in journeys),
    }


def hops(client: str) -> Figures:
    """The way that most chunks take, one line a call, as text."""
    journeys = asyncio.run(_record(client))
    [(codes, count)] = Counter(journey.codes for journey in journeys).most_common(1)
    journey = next(journey for journey in journeys if journey.codes == codes)
    head = (
        f"{client}: {count} of {len(journeys)} chunks went exactly this way: "
        f"{len(journey.hops)} Python calls, {journey.c_calls} calls of C functions; "
        f"then {journey.after} Python calls until the next read"
    )
    lines = [_line(number, hop) for number, hop in enumerate(journey.hops, 1)]
    return {"text": "\n".join([head, *lines])}


def _line(number: int, hop: Hop) -> str:
    c_calls = f"  (+{hop.c_calls} C)" if hop.c_calls else ""
    name = f"{_short_path(hop.code.co_filename)}:{hop.code.co_qualname}"
    return f"{number:4} {'  ' * hop.depth}{name}{c_calls}"


def _short_path(path: str) -> str:
    """A file by its path in this checkout, in its package or in the standard library."""
    for root in (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), str(_ROOT)):
        if path.startswith(root + os.sep):
            return path[len(root) + 1 :]
    return path


if __name__ == "__main__":
    serve({"calls": calls, "hops": hops})
