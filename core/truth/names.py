"""Session names: safe as file names, and not to be guessed when they are generated."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from time import gmtime, strftime

from ..errors import SessionNameError

__all__ = ["SUFFIX", "check_session_name", "new_session_name", "timestamp", "wall_of"]

SUFFIX = ".jsonl"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


def check_session_name(name: str) -> str:
    """`name` itself. Raises SessionNameError unless it is 1 to 128 of `A-Z a-z 0-9 . _ -`."""
    if _NAME.fullmatch(name) is None:
        raise SessionNameError(
            f"bad session name {name!r:.140}: use 1 to 128 of the characters A-Z a-z 0-9 . _ -"
        )
    return name


def new_session_name(wall: int) -> str:
    """The time (microseconds since 1970) and 128 random bits."""
    moment = strftime("%Y%m%dT%H%M%SZ", gmtime(wall // 1_000_000))
    return f"{moment}-{secrets.token_hex(16)}"


def timestamp(wall: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC."""
    seconds, micros = divmod(wall, 1_000_000)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{micros:06d}Z"


def wall_of(text: object) -> int | None:
    """What `timestamp` wrote, back in microseconds; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
