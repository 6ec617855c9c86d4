"""Exit statuses. Every command uses the same ones; `docs/cli.md` and `--help` list them."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.errors import VesselogError

__all__ = ["EPILOG", "ExitStatus", "status_of"]


class ExitStatus(IntEnum):
    """How a command ended.

    FAILURE covers everything that has no status of its own: no connection, a timeout, a file that
    cannot be read or written, a damaged recording, and for `diff` a difference. When the reader of
    the output closes the pipe early (`| head`), the status is OK.
    """

    OK = 0
    FAILURE = 1
    USAGE = 2
    TRUNCATED = 3
    PROVIDER = 4
    UNDECODABLE = 5
    DRIFT = 6
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


EPILOG = (
    "exit status: 0 done and complete, 1 failed (no connection, a timeout, a file error, a damaged "
    "recording; for diff, the recordings differ), "
    "2 wrong usage, 3 the answer was truncated, 4 the provider answered with an error, "
    "5 the answer cannot be decoded, 6 a recording is undamaged but decodes differently now, "
    "129 the terminal was closed, 130 interrupted by Ctrl-C, 143 by SIGTERM"
)


def status_of(error: VesselogError) -> ExitStatus:
    """Choose the exit status for an error by its type."""
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
