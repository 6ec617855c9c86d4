"""Wall-clock times as recordings hold them: ISO 8601 in UTC, with microseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from time import gmtime, strftime

__all__ = ["parse_timestamp", "timestamp"]


def timestamp(wall: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC."""
    seconds, micros = divmod(wall, 1_000_000)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{micros:06d}Z"


def parse_timestamp(text: object) -> int | None:
    """What `timestamp` wrote, in microseconds since 1970; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return None
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
