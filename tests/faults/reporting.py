"""What the fault tests tell at the end: figures, and what could not be injected on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["FIGURES", "MISSING", "Figure", "Mount"]

Figure = Callable[[str], None]
Mount = Callable[..., Path]

FIGURES: list[str] = []
MISSING: dict[str, list[str]] = {}
