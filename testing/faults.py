"""Recordings with a fault made into them: for tests of what a program does with one.

    path = faulty("answers.jsonl", cut_at=3)
    with replaying(path) as client: ...

The file that comes out is as sound as one that was recorded when that happened: its chunks, its
outcomes and its hashes are made again by the vessel.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.truth.recorded_frame import RecordedFrame
from ..maintenance.redecoding import Redecoding
from ..vessels import (
    ConfigurationError,
    ConnectionFailedError,
    ProviderError,
    StreamTimeoutError,
    VesselogError,
)
from .rewriting import DraftCall, draft_calls, write_calls
from .sessions import checked_path

__all__ = ["faulty"]

_WORDS = "a fault that a test asked for"
# As servers say an error in a stream that has begun. Its vessel says which of them a dialect knows.
_ERROR_FRAMES = (
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"%b"}}\n\n',
    b'event: error\ndata: {"type":"error","code":"server_error","message":"%b","param":null}\n\n',
    b'data: {"error":{"message":"%b","type":"server_error","code":503,"status":"UNAVAILABLE"}}\n\n',
    b'{"error":"%b"}\n',
)
_REFUSAL = (
    '{"error":{"message":"%s","type":"error","code":%d,"status":"UNAVAILABLE"},"type":"error"}'
)
_OLLAMA_REFUSAL = '{"error":"%s"}'


def faulty(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    call: int | None = None,
    cut_at: int | None = None,
    reset_at: int | None = None,
    stall_at: int | None = None,
    stall_seconds: float = 300.0,
    error_at: int | None = None,
    error: bytes | None = None,
    first_status: int | None = None,
    status: int | None = None,
) -> Path:
    """Make a recording with a fault from the one at `path`; returns the new file's path.

    Give exactly one fault: an argument whose name ends in `_at` or `status`. The frames of an
    answer are counted from 0. A replay of the new recording raises the error that is named.

    Args:
        path: The recording.
        out: The new file; by default one in a new folder for temporary files.
        call: The number of the only call that gets the fault; by default all calls get it.
        cut_at: The body ends before this frame: TruncatedError.
        reset_at: The connection breaks before this frame: ConnectionFailedError.
        stall_at: Before this frame nothing comes for `stall_seconds`: StreamTimeoutError.
        stall_seconds: That time, in seconds; a replay at the speed "max" does not wait.
        error_at: An error comes in place of this frame: ProviderError.
        error: The frame of that error, for a vessel that knows none of the usual forms.
        first_status: The request is refused with this HTTP status; the next one is answered.
        status: The request is refused with this HTTP status: ProviderError.

    Raises:
        ConfigurationError: There is not exactly one fault, or the answer cannot have it.
        SessionNameError: The name of `out` cannot be a session's name.
        RecordingError: The recording cannot be read, or the new file cannot be written.
    """
    faults = {
        "cut_at": cut_at,
        "reset_at": reset_at,
        "stall_at": stall_at,
        "error_at": error_at,
        "first_status": first_status,
        "status": status,
    }
    given = [(name, value) for name, value in faults.items() if value is not None]
    if len(given) != 1:
        raise ConfigurationError(f"give one fault of {', '.join(faults)}")
    ((name, value),) = given
    if type(value) is not int:
        raise ConfigurationError(f"{name}={value!r} is no whole number", setting=name)
    if out is None:
        target = Path(tempfile.mkdtemp(prefix="vesselog-")) / Path(path).name
    else:
        target = checked_path(out)
    calls = draft_calls([Path(path)])
    chosen = [each for each in calls if call in {None, each.source[1]}]
    if not chosen:
        raise ConfigurationError(f"{path} has no call {call}", setting="call")
    changed: list[DraftCall] = []
    for each in calls:
        if each not in chosen:
            changed.append(each)
        elif name in {"status", "first_status"}:
            changed += _refused(each, value, again=name == "first_status")
        else:
            changed.append(_broken(each, name, value, error, round(stall_seconds * 1e6)))
    write_calls(changed, target, {"faulty": {name: value, "file": Path(path).name}})
    return target


def _broken(call: DraftCall, name: str, at: int, error: bytes | None, stall: int) -> DraftCall:
    """The call with its answer broken at a frame."""
    frames = call.of_type("frame")
    if not 0 <= at < len(frames):
        raise ConfigurationError(
            f"{name}={at}: the answer of call {call.source[1]} has {len(frames)} frames; the first "
            "is 0",
            setting=name,
        )
    if not call.of_type("response"):
        raise ConfigurationError(f"call {call.source[1]} has no answer", setting=name)
    kept = [line for line in call.lines if line["type"] not in {"frame", "end"}] + frames[:at]
    t = frames[at]["t"]
    end: dict[str, Any] = {"type": "end", "t": t, "outcome": "truncated", "metrics": {}}
    before = call.of_type("end")
    if before and "metrics" in before[0]:
        end["metrics"] = before[0]["metrics"]
    if name == "error_at":
        raw = error or _error_frame(call, frames[:at])
        kept.append({"type": "frame", "t": t, "raw": raw.decode()})
        return DraftCall([*kept, end], call.source, changed=True)
    ending: VesselogError | None = None
    if name == "stall_at":
        end["t"] = t + stall
        phase = "idle" if at else "first_chunk"
        message = f"no data for {stall / 1e6:g} seconds ({phase}): {_WORDS}"
        ending = StreamTimeoutError(message, phase=phase, setting=f"timeouts.{phase}")
    elif name == "reset_at":
        ending = ConnectionFailedError(f"the connection broke: {_WORDS}", phase="body")
    if ending is not None:
        end |= {"outcome": "error", "error": ending.to_record()}
    return DraftCall([*kept, end], call.source, changed=True)


def _error_frame(call: DraftCall, frames: list[dict[str, Any]]) -> bytes:
    """An error in band as the call's dialect says it."""
    ndjson = any(str(line.get("raw", "")).startswith("{") for line in call.of_type("frame"))
    for form in _ERROR_FRAMES:
        raw = form % _WORDS.encode()
        if ndjson == raw.startswith(b"{") and _is_error(call, frames, raw):
            return raw
    raise ConfigurationError(
        f"the vessel {call.request.get('vessel')} knows none of the usual errors: give error=",
        setting="error",
    )


def _is_error(call: DraftCall, frames: list[dict[str, Any]], raw: bytes) -> bool:
    again = Redecoding(call.request)
    for line in call.of_type("response"):
        again.respond(line)
    last = {"type": "frame", "raw": raw.decode()}
    errors: list[VesselogError | None] = []
    for n, line in enumerate([*frames, last]):
        frame = RecordedFrame.of({**line, "n": n, "call": 1, "t": 0}, 0, "a frame")
        errors = [step.error for step in again.feed(frame)]
    return any(isinstance(each, ProviderError) for each in errors)


def _refused(call: DraftCall, status: int, *, again: bool) -> Iterator[DraftCall]:
    """The call as one that is refused, and then, if it is asked again, the call itself."""
    if not 400 <= status <= 599:
        raise ConfigurationError(f"{status} is no error status", setting="status")
    t = call.request["t"]
    ndjson = call.request.get("vessel") == "ollama"
    body = _OLLAMA_REFUSAL % _WORDS if ndjson else _REFUSAL % (_WORDS, status)
    headers = {"content-type": "application/json"}
    yield DraftCall(
        [
            dict(call.request),
            {"type": "response", "t": t, "status": status, "headers": headers},
            {"type": "frame", "t": t, "raw": body},
            {"type": "end", "t": t, "outcome": "truncated"},  # the decoder decides
        ],
        (f"{call.source[0]} refused", call.source[1]),
        changed=True,
    )
    if again:
        yield call
