"""Runs a body through the exchange, as the clients do, and compares two runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..core.assembler import Assembler
from ..core.exchange import Exchange, Step
from ..vessels import Completion, Progress, StreamChunk, Vessel, VesselogError, WireRequest
from .bodies import Body

__all__ = ["COMPLETE", "Case", "Ran", "begin", "difference", "ending", "run", "shown"]

COMPLETE = "complete"
_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a run. progress: after each step."""

    steps: tuple[Step, ...]
    progress: tuple[Progress, ...]
    error: VesselogError | None

    @property
    def outcome(self) -> str:
        """`complete`, or the error's type."""
        return COMPLETE if self.error is None else type(self.error).__name__

    @property
    def frames(self) -> list[bytes]:
        """The exact bytes of each frame."""
        return [step.frame.raw for step in self.steps]

    @property
    def chunks(self) -> list[StreamChunk]:
        """All chunks."""
        return [chunk for step in self.steps for chunk in step.chunks]

    @property
    def said(self) -> list[dict[str, object]]:
        """The fields of all chunks."""
        return [fields for step in self.steps for fields in step.fields]

    @property
    def completion(self) -> Completion:
        """The chunks added up."""
        assembler = Assembler()
        for chunk in self.chunks:
            assembler.add(chunk)
        return assembler.completion()

    def done_after(self, frames: int) -> bool:
        """Whether the answer was complete after so many frames."""
        return frames > 0 and self.progress[frames - 1] is not Progress.OPEN


@dataclass(frozen=True, slots=True)
class Case:
    """One body for one vessel. whole: the run in which it comes in one piece."""

    vessel: Vessel
    body: Body
    request: WireRequest
    whole: Ran

    def run(self, content: bytes | Iterable[bytes]) -> Ran:
        """A run of other bytes in place of the body's."""
        return run(self.vessel, self.request, self.body, content)


def begin(vessel: Vessel, request: WireRequest, body: Body) -> Exchange:
    """An exchange whose response has begun."""
    exchange = Exchange(vessel, request)
    exchange.respond(body.status, body.content_type)
    return exchange


def run(
    vessel: Vessel, request: WireRequest, body: Body, content: bytes | Iterable[bytes] | None = None
) -> Ran:
    """Run a body, or other bytes in its place, in the given pieces."""
    given = body.content if content is None else content
    exchange = begin(vessel, request, body)
    steps: list[Step] = []
    progress: list[Progress] = []
    for piece in [given] if isinstance(given, bytes) else given:
        exchange.feed(piece)
        while (step := exchange.pull()) is not None:
            steps.append(step)
            progress.append(exchange.progress)
    for step in exchange.finish():
        steps.append(step)
        progress.append(exchange.progress)
    return Ran(tuple(steps), tuple(progress), exchange.error)


def difference(whole: Ran, other: Ran, *, frames: bool = True) -> str | None:
    """How another run differs from that of the whole body; None if it does not.

    frames: whether the frames' exact bytes and repairs have to be the same too.
    """
    for number, (said, instead) in enumerate(zip(whole.said, other.said, strict=False)):
        if said != instead:
            return f"chunk {number} is {shown(instead)}, not {shown(said)}"
    if len(whole.said) != len(other.said):
        return f"there are {len(other.said)} chunks, not {len(whole.said)}"
    if whole.outcome != other.outcome:
        return f"it ends as {ending(other)}, not as {ending(whole)}"
    return _other_frames(whole, other) if frames else None


def _other_frames(whole: Ran, other: Ran) -> str | None:
    for number, pair in enumerate(zip(whole.steps, other.steps, strict=False)):
        frame, instead = (step.frame for step in pair)
        if frame.raw != instead.raw:
            return f"frame {number} is {shown(instead.raw)}, not {shown(frame.raw)}"
        if frame.repairs != instead.repairs:
            return f"frame {number} has the repairs {instead.repairs}, not {frame.repairs}"
    if len(whole.steps) != len(other.steps):
        return f"there are {len(other.steps)} frames, not {len(whole.steps)}"
    return None


def shown(value: Any) -> str:
    """A value in a message: an error's own words as they are, all else as Python shows it."""
    text = value.message if isinstance(value, VesselogError) else repr(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def ending(ran: Ran) -> str:
    """How a run ended, in a message: `complete`, or the error's type and its words."""
    return COMPLETE if ran.error is None else f"{ran.outcome} ({shown(ran.error)})"
