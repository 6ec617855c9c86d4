"""Session names: safe as file names, and impossible to guess when they are generated."""

from __future__ import annotations

import re
import secrets
from calendar import timegm
from time import gmtime, strftime

from ..errors import SessionNameError

__all__ = ["SUFFIX", "check_session_name", "new_session_name", "time_in_name"]

SUFFIX = ".jsonl"

_NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,128}")
_GENERATED = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]{32}", re.ASCII)


def check_session_name(name: str) -> str:
    """`name`. Raises SessionNameError unless it is 1 to 128 of `A-Z a-z 0-9 . _ -`, not `..`."""
    if type(name) is not str or _NAME.fullmatch(name) is None:
        raise SessionNameError(
            f"bad session name {name!r:.140}: use 1 to 128 of A-Z a-z 0-9 . _ -, but not . or .."
        )
    return name


def new_session_name(wall: int) -> str:
    """The time (microseconds since 1970) and 128 random bits."""
    moment = strftime("%Y%m%dT%H%M%SZ", gmtime(wall // 1_000_000))
    return f"{moment}-{secrets.token_hex(16)}"


def time_in_name(name: str) -> int | None:
    """The second in which a generated name was made, in microseconds since 1970; else None."""
    found = _GENERATED.fullmatch(name)
    if found is None:
        return None
    try:
        return timegm(tuple(map(int, found.groups()))) * 1_000_000
    except ValueError:
        return None
