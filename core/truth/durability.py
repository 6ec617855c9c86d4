"""What a chunk survives once it was handed out: the durability levels, each named by that.

- "process": the death of the process, kill -9 too. A power cut may take the last seconds.
- "interval": a power cut too, but for the last 50 ms and the time that the disk takes to sync.
- "power": a power cut too, and it takes nothing.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from ..errors import ConfigurationError

__all__ = ["Level", "level_of"]

Level = Literal["process", "interval", "power"]


def level_of(name: str) -> Level:
    """The level of this name. Raises ConfigurationError."""
    if name in get_args(Level):
        return cast("Level", name)
    raise ConfigurationError(
        f'there is no durability {name!r}: choose "process", "interval" or "power"',
        setting="durability",
    )
