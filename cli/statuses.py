"""Exit statuses: the same for every command, and the same as `docs/cli.md` and `--help` say."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.errors import VesselogError

__all__ = ["EPILOG", "ExitStatus", "status_of"]


class ExitStatus(IntEnum):
    """How a command ended.

    FAILURE is everything from outside that has no status of its own: no connection, a deadline, a
    file that cannot be read or written, a recording that is not sound; for `diff`, a difference. A
    reader of the output that has seen enough (`| head`) is no failure.
    """

    OK = 0
    FAILURE = 1
    USAGE = 2
    TRUNCATED = 3
    PROVIDER = 4
    UNDECODABLE = 5
    DRIFT = 6
    INTERRUPTED = 130


EPILOG = (
    "exit status: 0 done and complete, 1 failed (connection, deadline, file, recording not sound) "
    "or different, "
    "2 wrong usage, 3 the answer was truncated, 4 the provider answered with an error, "
    "5 the answer cannot be decoded, 6 a recording is sound but decodes differently today, "
    "130 interrupted"
)


def status_of(error: VesselogError) -> ExitStatus:
    """The exit status that an error gives."""
    from ..core.errors import ProtocolError, ProviderError, TruncatedError, UsageError

    match error:
        case UsageError():
            return ExitStatus.USAGE
        case TruncatedError():
            return ExitStatus.TRUNCATED
        case ProviderError():
            return ExitStatus.PROVIDER
        case ProtocolError():
            return ExitStatus.UNDECODABLE
        case _:
            return ExitStatus.FAILURE
