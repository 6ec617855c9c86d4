"""Measures when the chunks of an answer arrive, in constant memory."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from .assembler import merge
from .chunk import Timings, Usage
from .completion import Metrics
from .make_chunk import TEXT_ALONE

if TYPE_CHECKING:
    from .exchange import Step

__all__ = ["Meter"]

# Gaps fall into classes as wide as 1/16 of their lowest value: percentiles are right to 3 %.
_SUBDIVISION_BITS = 4


class Meter:
    """Counts chunks and the gaps between them. Times: whole microseconds since the request left."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._last = 0
        self._longest = 0
        self._classes: defaultdict[int, int] = defaultdict(int)
        self.usage: Usage | None = None
        self.timings: Timings | None = None

    def add(self, steps: Sequence[Step], t: int) -> None:
        """Count the chunks of steps that arrived together at `t`."""
        count = 0
        for step in steps:
            for chunk in step.chunks:
                count += 1
                if chunk.__pydantic_fields_set__ is TEXT_ALONE:
                    continue
                if chunk.usage is not None:
                    self.usage = merge(self.usage, chunk.usage)
                if chunk.timings is not None:
                    self.timings = merge(self.timings, chunk.timings)
        if not count:
            return
        if self._first is None:
            self._first = t
        else:
            gap = t - self._last
            exponent = gap.bit_length() - _SUBDIVISION_BITS - 1
            index = gap if exponent <= 0 else (exponent << _SUBDIVISION_BITS) + (gap >> exponent)
            self._classes[index] += 1
            if gap > self._longest:  # noqa: PLR1730 - `max` costs as much as all the rest
                self._longest = gap
        if count > 1:
            self._classes[0] += count - 1
        self._last = t

    def metrics(self, duration: int) -> Metrics:
        """The figures so far, for an answer that took `duration` microseconds."""
        tokens = self.usage.output_tokens if self.usage else None
        measured = self.timings.eval if self.timings else None
        streamed = (self._last - self._first) / 1e6 if self._first is not None else 0.0
        gaps = sum(self._classes.values())
        return Metrics(
            time_to_first_chunk=None if self._first is None else self._first / 1e6,
            duration=duration / 1e6,
            chunks=gaps if self._first is None else gaps + 1,
            inter_chunk_p50=self._percentile(0.50) if gaps else None,
            inter_chunk_p95=self._percentile(0.95) if gaps else None,
            inter_chunk_max=self._longest / 1e6 if gaps else None,
            output_tokens_per_second=tokens / measured if tokens and measured else None,
            clock_output_tokens_per_second=tokens / streamed if tokens and streamed else None,
        )

    def _percentile(self, share: float) -> float:
        indices = sorted(self._classes)
        seen = list(accumulate(self._classes[index] for index in indices))
        index = indices[bisect_left(seen, share * seen[-1])]
        return min(_middle_of(index), self._longest) / 1e6


def _middle_of(index: int) -> float:
    exponent = (index >> _SUBDIVISION_BITS) - 1
    if exponent <= 0:
        return float(index)
    lowest = ((index & 15) + 16) << exponent
    return lowest + (1 << exponent) / 2
