"""Suggests the known name that a misspelt one most likely meant."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest_names"]


def nearest_names(
    name: str, known: Iterable[str], *, most: int = 1, similarity: float = 0.6
) -> list[str]:
    """The known names that are at least so similar to `name` (0 to 1), the most similar first."""
    import difflib  # noqa: PLC0415 - a millisecond, for misspelt names alone

    return difflib.get_close_matches(name, list(known), most, similarity)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """For the end of a message: `; did you mean 'ollama'?`, or nothing if no name is similar."""
    near = nearest_names(name, known)
    return f"; did you mean {near[0]!r}?" if near else ""
