"""What is in the file of a call that is being recorded.

Nothing here can be left half-done by an interrupt: a KeyboardInterrupt may come between any two
instructions of a thread that writes to a session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ..exchange import Step

__all__ = ["CallState", "PayloadTally"]


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


class CallState:
    """One call. begun: its request line is in the file. ended: its end line is in the file.

    unconfirmed: the steps whose lines were given to the file last.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.begun = False
        self.ended = False
        self.unconfirmed: Sequence[Step] = ()
        # Frames and bytes of payload, their digest, and the steps that were counted last.
        self._counted: tuple[int, int, Any, Sequence[Step]] = 0, 0, sha256(), self.unconfirmed

    def confirm(self) -> None:
        """The request line, or the frames given to the file last, are in the file.

        May be called twice for the same lines; they count once.
        """
        self.begun = True
        frames, size, digest, counted = self._counted
        steps = self.unconfirmed
        if steps is not counted:
            one = len(steps) == 1  # the usual case, and quicker
            payload = steps[0].frame.raw if one else b"".join([step.frame.raw for step in steps])
            digest = digest.copy()
            digest.update(payload)
            # One assignment, which an interrupt cannot split.
            self._counted = frames + len(steps), size + len(payload), digest, steps

    def tally(self) -> dict[str, Any]:
        """What was recorded of the payload so far, as keys of an `end` line."""
        frames, size, digest, _ = self._counted
        return PayloadTally(frames, size, digest).record()
