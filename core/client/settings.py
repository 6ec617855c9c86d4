"""What a client can be told, with the defaults that practice gave."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import ConfigurationError

__all__ = ["Limits", "Timeouts"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines in seconds; None means no limit, except where a number is needed.

    connect: until the connection stands, TLS included. write: between two parts of the request
    sent. pool: for a free connection, when all `max_connections` are in use. first_chunk: from the
    request to the first data; a cold model may load for minutes. idle: between data; keep-alive
    comments do not count. total: for the whole call, its retries apart. grace: after the answer's
    end, for the usage and the dialect's last word. drain: after that last word, for the end of the
    body, so that the connection can be used again.
    """

    connect: float | None = 10.0
    write: float | None = 30.0
    pool: float | None = 5.0
    first_chunk: float | None = 300.0
    idle: float | None = 300.0
    total: float | None = None
    grace: float = 2.0
    drain: float = 0.1

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and not value >= 0:
                raise ConfigurationError(
                    f"Timeouts({each.name}={value!r}): give seconds, or None for no limit",
                    setting=each.name,
                )


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a client holds.

    max_connections: open at once, over all servers. max_keepalive: of them idle ones kept for
    reuse, for `keepalive_expiry` seconds. max_frame_bytes: the largest frame that is read.
    """

    max_connections: int = 1000
    max_keepalive: int = 20
    keepalive_expiry: float = 30.0
    max_frame_bytes: int = 8 * 1024 * 1024

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not value >= (0 if "keepalive" in each.name else 1):
                raise ConfigurationError(
                    f"Limits({each.name}={value!r}) is too small", setting=each.name
                )
