"""Chooses one call of a recording, for what only makes sense for one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.truth.recording import RecordedCall

__all__ = ["only_call"]


def only_call(path: Path, wanted: int | None, purpose: str) -> RecordedCall:
    """The call with this number, or the only one if `wanted` is None.

    purpose: a verb, for the message. Raises InvalidRequestError if there are several and none is
    wanted, RecordingError if the call is not there or the file cannot be read.
    """
    from ..core.errors import InvalidRequestError, RecordingError
    from ..core.truth.recording import Recording

    calls = [call for call in Recording(path).calls() if wanted in {None, call.number}]
    if not calls:
        missing = "calls" if wanted is None else f"call {wanted}"
        raise RecordingError(f"{path} has no {missing}")
    if wanted is None and len(calls) > 1:
        raise InvalidRequestError(
            f"{path} has {len(calls)} calls: give the one to {purpose} with --call N "
            f"(1 to {calls[-1].number})"
        )
    return calls[0]
