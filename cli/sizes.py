"""Numbers for people."""

from __future__ import annotations

__all__ = ["bytes_in_words"]


def bytes_in_words(count: int) -> str:
    """A number of bytes in the largest unit that it has one of: 412 B, 3.1 kB, 1.4 GB."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.95:
            break
        size, unit = size / 1000, larger
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
