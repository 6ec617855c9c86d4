"""The durability levels: what a chunk survives once it was handed out.

- "process": the death of the process, also by kill -9. A power cut may take the last seconds.
- "interval": a power cut too, except for the last 50 ms and the time that the disk takes to sync.
- "power": a power cut too, without any loss.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from ..errors import ConfigurationError

__all__ = ["Durability", "level_of"]

Durability = Literal["process", "interval", "power"]


def level_of(name: str) -> Durability:
    """The durability level of this name. Raises ConfigurationError."""
    if name in get_args(Durability):
        return cast("Durability", name)
    raise ConfigurationError(
        f'there is no durability {name!r}: choose "process", "interval" or "power"',
        setting="durability",
    )
