"""Errors of somebody else's code in one line; pydantic's without the input."""

from __future__ import annotations

from pydantic import ValidationError

__all__ = ["explain"]


def explain(error: Exception) -> str:
    """What is wrong; of a ValidationError which fields, and why. Their values may be private."""
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"[:200]
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    described: list[str] = []
    for problem in problems:
        place = ".".join(str(step) for step in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        described.append(f"{place}: {text}" if place else text)
    return "; ".join(described)
