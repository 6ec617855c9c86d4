"""Checks of endings: a cut is a truncation, an error in band is raised."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from ..vessels import Frame, Progress, ProviderError, TruncatedError
from .running import COMPLETE, Case, Ran, shown
from .splits import framing_of

__all__ = ["cut_anywhere", "error_frame", "errors_in_band", "whole_at_the_end"]

_SPEECH = ("text", "reasoning", "refusal", "tool_calls")


def cut_anywhere(case: Case, most: int, chance: random.Random) -> Iterator[str]:
    """A cut after each frame, and inside it, is a TruncatedError until the answer is complete."""
    whole = case.whole
    if whole.outcome != COMPLETE:
        return
    frames = whole.frames
    for number in _sampled(range(len(frames)), most, chance):
        before = b"".join(frames[:number])
        wanted = COMPLETE if whole.done_after(number) else TruncatedError.__name__
        for kept in (b"", _part(case, frames[number], chance)):
            if kept is None:
                continue
            ran = case.run(before + kept)
            where = f"{'inside' if kept else 'before'} frame {number}"
            if ran.outcome != wanted:
                message = "" if ran.error is None else f" ({shown(ran.error)})"
                yield f"a cut {where} gives {ran.outcome}{message}, not {wanted}"
                return
            if ran.said[: _said_before(whole, number)] != _said(whole, number):
                yield f"a cut {where} changes the chunks before it"
                return


def whole_at_the_end(case: Case) -> Iterator[str]:
    """`progress` never goes back, and no content comes after the answer is complete."""
    whole = case.whole
    before = Progress.OPEN
    for number, (step, progress) in enumerate(zip(whole.steps, whole.progress, strict=True)):
        if progress < before:
            yield f"at frame {number} progress goes back from {before.name} to {progress.name}"
            return
        if before is not Progress.OPEN and any(
            fields.get(name) for fields in step.fields for name in _SPEECH
        ):
            yield f"the answer was {before.name} before frame {number}, which brings more of it"
            return
        before = progress


def errors_in_band(
    case: Case, errors: Sequence[bytes], most: int, chance: random.Random
) -> Iterator[str]:
    """An error between any two frames is raised, after the chunks that came before it."""
    whole = case.whole
    if whole.outcome != COMPLETE or not _is_stream(case):
        return
    frames = whole.frames
    places = [number for number in range(len(frames)) if not whole.done_after(number)]
    for error in errors:
        for number in _sampled(places, most, chance):
            ran = case.run(b"".join((*frames[:number], error, *frames[number:])))
            if ran.outcome != ProviderError.__name__:
                yield (
                    f"an error before frame {number} gives {ran.outcome}, not a ProviderError: "
                    f"{shown(error)}"
                )
                return
            if ran.said != _said(whole, number):
                yield f"an error before frame {number} changes the chunks before it"
                return


def error_frame(case: Case) -> bytes | None:
    """The frame of a stream that is an error in band and nothing else."""
    if not 200 <= case.body.status < 300 or not _is_stream(case):
        return None
    # The steps after it have the error too, but were not decoded.
    step = next((step for step in case.whole.steps if step.error is not None), None)
    if step is None or step.fields or not isinstance(step.error, ProviderError):
        return None
    return step.frame.raw.rstrip(b"\r\n") + b"\n\n"


def _is_stream(case: Case) -> bool:
    return framing_of(case) is case.vessel.framing


def _sampled(numbers: Sequence[int], most: int, chance: random.Random) -> Sequence[int]:
    return numbers if len(numbers) <= most else sorted(chance.sample(numbers, most))


def _part(case: Case, raw: bytes, chance: random.Random) -> bytes | None:
    """The beginning of a frame, None where it has the same payload as the whole."""
    if len(raw) < 2:
        return None
    kept = raw[: chance.randrange(1, len(raw))]
    framing = framing_of(case)
    if Frame(kept, framing).data in {None, Frame(raw, framing).data}:
        return None
    return kept


def _said_before(whole: Ran, number: int) -> int:
    return sum(len(step.fields) for step in whole.steps[:number])


def _said(whole: Ran, number: int) -> list[dict[str, object]]:
    return whole.said[: _said_before(whole, number)]
