"""What a yielded chunk survives: the durability levels, each as a policy.

- "process": the death of the process, kill -9 too. A power cut may take the last seconds.
- "interval": the same, and a power cut takes 50 ms at most.
- "power": a power cut takes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..errors import ConfigurationError

__all__ = ["Durability", "policy_of"]


class Durability(Protocol):
    """What a session does for its level. A failure raises OSError, and poisons the session."""

    def created(self, fd: int, folder: Path) -> None:
        """The file was created in this folder and has its first lines."""
        ...

    def written(self, fd: int) -> None:
        """Lines were written; what they say is not yielded before this returns."""
        ...

    def closing(self, fd: int) -> None:
        """The session is about to close the file."""
        ...


class _Process:
    """What the kernel has taken outlives the process: nothing to do."""

    def created(self, fd: int, folder: Path) -> None: ...

    def written(self, fd: int) -> None: ...

    def closing(self, fd: int) -> None: ...


_PROCESS = _Process()


def policy_of(level: str) -> Durability:
    """The policy of this name. Raises ConfigurationError."""
    if level == "process":
        return _PROCESS
    if level in {"interval", "power"}:
        raise ConfigurationError(
            f'durability "{level}" is not available yet; there is "process"', setting="durability"
        )
    raise ConfigurationError(
        f'no durability {level!r}: choose "process", "interval" or "power"', setting="durability"
    )
