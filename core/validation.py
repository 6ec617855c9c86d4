"""pydantic's validation errors in one line, without the input."""

from __future__ import annotations

from pydantic import ValidationError

__all__ = ["explain"]


def explain(error: ValidationError) -> str:
    """Which fields are wrong, and why. Their values may be private and are left out."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    described: list[str] = []
    for problem in problems:
        place = ".".join(str(step) for step in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        described.append(f"{place}: {text}" if place else text)
    return "; ".join(described)
