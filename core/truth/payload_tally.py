"""Counts a call's payload: frames, bytes and SHA-256, as its `end` line states them."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

__all__ = ["PayloadTally"]


@dataclass(slots=True)
class PayloadTally:
    """The payload counted so far. size: in bytes."""

    frames: int = 0
    size: int = 0
    digest: Any = field(default_factory=sha256)

    def add(self, payload: bytes) -> None:
        """Count a frame."""
        self.frames += 1
        self.size += len(payload)
        self.digest.update(payload)

    def record(self) -> dict[str, Any]:
        """The keys of an `end` line."""
        return {"frames": self.frames, "bytes": self.size, "sha256": self.digest.hexdigest()}
