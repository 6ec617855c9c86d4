"""Errors of somebody else's code in one line; pydantic's without the input."""

from __future__ import annotations

import re

from pydantic import ValidationError

__all__ = ["explain"]

# Members of a union are named in the place of an error, between the keys.
_MEMBER = re.compile(r"bool|dict|float|int|str|tuple|.*\W.*")


def explain(error: Exception) -> str:
    """What is wrong, by `error`; of a ValidationError the fields and reasons, not the values."""
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"[:200]
    found: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        steps = (step for step in problem["loc"] if not _MEMBER.fullmatch(str(step)))
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
        text = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        text = text.replace("Extra inputs are not permitted", "is not known")
        found.setdefault(place.removeprefix("."), []).append(text.replace("tuple", "list"))
    # Of the members of a union the one that fits best fails in the deepest place.
    return "; ".join(
        f"{place}: {' or '.join(texts).replace('or must be', 'or')}" if place else "; ".join(texts)
        for place, texts in found.items()
        if not any(other.startswith((f"{place}.", f"{place}[")) for other in found)
    )
