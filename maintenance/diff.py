"""Compares two recordings, call by call: the answers, how they ended, and when they arrived.

Names, ids and wall-clock times differ between any two runs, and are not compared.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

from ..core.completion import Choice, Completion
from ..core.truth.recording import RecordedCall, Recording

__all__ = ["Difference", "diff"]

_TEXTS = frozenset({"text", "reasoning", "refusal"})


class Difference(NamedTuple):
    """One difference.

    Attributes:
        call: The call's place in the two recordings, from 1.
        choice: The number of the choice, from 0.
        subject: What differs: one of the words in help(vesselog.diff).
        a: The value in the first recording, as a JSON value; None where there is none.
        b: The value in the second one.
    """

    call: int
    choice: int
    subject: str
    a: Any
    b: Any

    @property
    def at(self) -> int | None:
        """For text, reasoning and refusal: how many characters are the same before they differ."""
        if self.subject not in _TEXTS:
            return None
        pairs = enumerate(zip(self.a, self.b, strict=False))
        shorter = min(len(self.a), len(self.b))
        return next((place for place, (one, other) in pairs if one != other), shorter)

    def to_dict(self) -> dict[str, Any]:
        """The difference as JSON values."""
        return {**self._asdict(), "at": self.at}


def diff(
    a: str | os.PathLike[str], b: str | os.PathLike[str], *, timing: bool = True
) -> list[Difference]:
    """The differences between two recordings; an empty list if they are equal.

    The subjects are call (one has more of them), model, text, reasoning, refusal, tool_calls,
    finish, usage, outcome, error and timing.

    Args:
        a: One recording.
        b: The other one.
        timing: Whether times are compared too.

    Raises:
        RecordingError: One of them cannot be read.
    """
    pairs = zip_longest(Recording(a).calls(), Recording(b).calls())
    return [
        difference
        for place, (one, other) in enumerate(pairs, 1)
        for difference in _of_calls(place, one, other, timing=timing)
    ]


def _of_calls(
    place: int, one: RecordedCall | None, other: RecordedCall | None, *, timing: bool
) -> Iterator[Difference]:
    if one is None or other is None:
        numbers = (each.number if each is not None else None for each in (one, other))
        yield Difference(place, 0, "call", *numbers)
        return
    first, second = one.completion(), other.completion()
    both = zip_longest(first.choices, second.choices)
    for index, (choice, counterpart) in enumerate(both):
        before, after = _answer(choice or Choice()), _answer(counterpart or Choice())
        for subject in before:
            yield from _pair(place, index, subject, before[subject], after[subject])
    facts, others = _facts(one, first, timing=timing), _facts(other, second, timing=timing)
    for subject in facts:
        yield from _pair(place, 0, subject, facts[subject], others[subject])


def _pair(call: int, choice: int, subject: str, a: Any, b: Any) -> Iterator[Difference]:
    if a != b:
        yield Difference(call, choice, subject, a, b)


def _answer(choice: Choice) -> dict[str, Any]:
    return {
        "text": choice.text,
        "reasoning": choice.reasoning,
        "refusal": choice.refusal,
        "tool_calls": [f"{call.name}({call.arguments_text})" for call in choice.tool_calls],
        "finish": choice.raw_finish_reason or choice.finish_reason,
    }


def _facts(call: RecordedCall, completion: Completion, *, timing: bool) -> dict[str, Any]:
    error = call.error
    facts: dict[str, Any] = {
        "model": call.request.get("model"),
        "usage": _figures(completion.usage),
        "outcome": call.outcome,
        "error": None if error is None else f"{type(error).__name__}: {error.message}",
    }
    if timing:
        facts["timing"] = {
            **_figures(call.metrics),
            **{f"provider_{name}": value for name, value in _figures(completion.timings).items()},
        }
    return facts


def _figures(model: Any) -> dict[str, Any]:
    return {} if model is None else model.model_dump(exclude_none=True)
