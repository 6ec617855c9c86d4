"""Where the answer is recorded that has a response id of the Responses API.

An id that the gateway gave holds the session and the call. One that a provider gave is looked for
in the recordings, those written last first.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ...core.clock import parse_timestamp
from ...core.errors import RecordingError, SessionNameError
from ...core.truth.recording import RecordedCall, Recording
from ...core.truth.session_list import files_by_age
from ...core.truth.session_names import check_session_name

__all__ = ["Place", "asked_at", "call_at", "find_response", "place_of", "response_id"]

_PREFIX = "resp_v1"
_PLACE = re.compile(r"(.+):([1-9][0-9]{0,14})")
# An id that is not there costs a look at so many files, a few milliseconds for each hundred.
_MOST_FILES = 1000


class Place(NamedTuple):
    """A call of a session."""

    session: str
    call: int


def response_id(place: Place) -> str:
    """The id of an answer, in characters that an id may have."""
    text = f"{place.session}:{place.call}"
    return _PREFIX + urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(identifier: str) -> Place | None:
    """The place in an id that the gateway gave; None for any other."""
    given = identifier.removeprefix(_PREFIX)
    if given == identifier:
        return None
    try:
        text = urlsafe_b64decode(given + "=" * (-len(given) % 4)).decode()
        found = _PLACE.fullmatch(text)
        return None if found is None else Place(check_session_name(found[1]), int(found[2]))
    except (ValueError, SessionNameError):
        return None


def call_at(recording: Recording, number: int) -> RecordedCall | None:
    """The call with this number. Raises RecordingError."""
    return next((call for call in recording.calls() if call.number == number), None)


def asked_at(recording: Recording, call: RecordedCall) -> int:
    """When the call's request was written, in seconds since 1970; 0 if the recording does not say.

    Raises RecordingError.
    """
    began: int | None = None  # the session, in microseconds since 1970
    for line in recording.scanned():
        if line.fields["type"] == "open":
            opened = parse_timestamp(line.fields.get("at"))
            began = None if opened is None else opened - line.t
        elif line.fields.get("call") == call.number:
            break
    return 0 if began is None else (began + call.started) // 1_000_000


def find_response(folder: Path, identifier: str) -> Place | None:
    """Where a provider's response with this id is recorded. Raises RecordingError."""
    for _, path in islice(files_by_age(folder), _MOST_FILES):
        try:
            if identifier.encode() in Path(path).read_bytes():
                for call in Recording(path).calls():
                    if _is_of(call, identifier):
                        return Place(call.session, call.number)
        except (OSError, RecordingError):
            continue  # deleted meanwhile, or damaged
    return None


def _is_of(call: RecordedCall, identifier: str) -> bool:
    """Whether the first id that the answer gives is this one."""
    given = (chunk.response_id for chunk in call.chunks() if chunk.response_id)
    return next(given, None) == identifier
