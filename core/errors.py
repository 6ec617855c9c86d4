"""All errors of the library, as one tree.

    VesselogError
    ├── UsageError                  the call was wrong; nothing was sent, nothing was written
    │   ├── ConfigurationError      base URL, key, header, setting, missing extra
    │   │   └── UnknownVesselError
    │   ├── InvalidRequestError     messages, parameters, something the dialect cannot express
    │   ├── SessionNameError
    │   └── ClientStateError        closed, forked, or used from another event loop
    ├── ConnectionFailedError       no connection, or it broke
    ├── StreamTimeoutError          a deadline passed; `phase` and `setting` name it
    ├── ProviderError               the provider refused or failed: by HTTP status, or in band
    ├── TruncatedError              the answer ended before its end
    ├── ProtocolError               the answer cannot be read
    ├── ReplayMissError             no recorded answer for this request
    └── RecordingError              the ground truth could not be written or read
        ├── RecordingLockedError    another writer holds the session
        └── RecordingCorruptError   not a recording, or damaged in the middle

An error never holds a secret. It can be pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .response_headers import request_id_of

if TYPE_CHECKING:
    from .completion import Completion

__all__ = [
    "ClientStateError",
    "ConfigurationError",
    "ConnectionFailedError",
    "InvalidRequestError",
    "ProtocolError",
    "ProviderError",
    "RecordingCorruptError",
    "RecordingError",
    "RecordingLockedError",
    "ReplayMissError",
    "SessionNameError",
    "StreamTimeoutError",
    "TruncatedError",
    "UnknownVesselError",
    "UsageError",
    "VesselogError",
    "error_from_record",
]


class VesselogError(Exception):
    """Base of all errors of this library.

    Every error has these attributes, None where they do not apply.

    Attributes:
        message: The text of the error.
        phase: What was being done: "pool", "connect", "write", "first_chunk", "idle", "total",
            "body" …
        setting: The setting that was wrong, or whose deadline or limit was exceeded.
        status: The HTTP status.
        code: The provider's own error code.
        retryable: Whether the same request may succeed later.
        retry_after: Seconds that the server asks to wait.
        headers: The response headers that are recorded (rate limits, ids, retry advice), names in
            lower case; empty if none came.
        completion: The part of the answer that had arrived.
        session: The name of the recording that has the call.
        call: The call's number in it.
        seq: The number of the call's last chunk.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        phase: str | None = None,
        setting: str | None = None,
        status: int | None = None,
        code: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        completion: Completion | None = None,
        session: str | None = None,
        call: int | None = None,
        seq: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.phase = phase
        self.setting = setting
        self.status = status
        self.code = code
        if retryable is not None:
            self.retryable = retryable
        self.retry_after = retry_after
        self.headers: dict[str, str] = dict(headers)
        self.completion = completion
        self.session = session
        self.call = call
        self.seq = seq
        self._request_id = request_id

    @property
    def request_id(self) -> str | None:
        """The server's id for the request, to quote to its support; None if it sent none."""
        return request_id_of(self.headers) or self._request_id

    def to_record(self) -> dict[str, Any]:
        """What a recording's `end` line keeps of this error."""
        record = {name: getattr(self, name) for name in _RECORDED}
        record["request_id"] = self._request_id  # one in the headers is recorded with them
        given = {name: value for name, value in record.items() if value is not None}
        return {"type": type(self).__name__, **given}


class UsageError(VesselogError):
    """The library was used wrongly: nothing was sent and nothing was written."""


class ConfigurationError(UsageError):
    """A setting is wrong: base URL, key, header, a missing extra; `setting` may name it."""


class UnknownVesselError(ConfigurationError):
    """No vessel of this name is installed or configured."""


class InvalidRequestError(UsageError):
    """The request is malformed, or has something that the provider's API cannot express."""


class SessionNameError(UsageError):
    """A session name is not 1 to 128 of the characters A-Z a-z 0-9 . _ -."""


class ClientStateError(UsageError):
    """The client is closed, was forked, or belongs to another event loop."""


class ConnectionFailedError(VesselogError):
    """There is no connection, or it broke before the answer's end."""

    retryable = True


class StreamTimeoutError(VesselogError):
    """A deadline passed; `phase` says which and `setting` names what sets it."""

    retryable = True


class ProviderError(VesselogError):
    """The provider refused or failed: an HTTP error status, or an error within an answer."""


class TruncatedError(VesselogError):
    """The answer stopped before its end, although no error was reported."""

    retryable = True


class ProtocolError(VesselogError):
    """The answer cannot be read: it is not in the vessel's dialect, or exceeds a limit."""


class RecordingError(VesselogError):
    """A recording could not be written or read."""


class RecordingLockedError(RecordingError):
    """Another client, or another process, is writing the session."""

    retryable = True


class RecordingCorruptError(RecordingError):
    """The file is not a recording, or is damaged before its end (see vesselog.salvage)."""


class ReplayMissError(VesselogError):
    """There is no recorded answer for this request, or none is left."""


def error_from_record(record: dict[str, Any]) -> VesselogError:
    """The error that `to_record` stored; an unknown type gives the base class.

    What is damaged is left out.
    """
    given: dict[str, Any] = {"message": ""}
    for name, kinds in _RECORDED.items():
        if isinstance(value := record.get(name), kinds):
            given[name] = value
    return _TYPES.get(str(record.get("type")), VesselogError)(**given)


_RECORDED: dict[str, type | tuple[type, ...]] = {
    "phase": str,
    "status": int,
    "code": str,
    "message": str,
    "retryable": bool,
    "retry_after": (int, float),
    "request_id": str,
}
_TYPES = {
    name: kind
    for name, kind in tuple(globals().items())
    if isinstance(kind, type) and issubclass(kind, VesselogError)
}
