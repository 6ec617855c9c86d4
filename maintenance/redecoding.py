"""Decodes a recorded call again: its frames, by the same exchange as a live answer.

The vessel is the installed one that the request line names. The end of the answer is decoded only
if it was decoded when it was recorded: not if the caller left or the writer died.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..core.completion import Outcome
from ..core.errors import (
    ConfigurationError,
    ProtocolError,
    ProviderError,
    RecordingError,
    TruncatedError,
    UnknownVesselError,
    VesselogError,
)
from ..core.exchange import Exchange, Step
from ..core.native import NativeMessages
from ..core.registry import find_vessel
from ..core.truth.recorded_frame import RecordedFrame
from ..core.truth.recording import ending_error
from ..core.truth.scan import is_whole
from ..core.vessel import Progress, Vessel, WireRequest

__all__ = ["Redecoding"]

# A recorded frame was short enough when it was recorded.
_NO_LIMIT = 1 << 62

# Found by decoding; any other error came from outside, and stays as it was recorded.
_VERDICTS = (ProtocolError, ProviderError, TruncatedError)


class Redecoding:
    """Decodes one call's answer. vessel: the vessel that does it.

    Raises UnknownVesselError if it is not installed, ConfigurationError if it cannot be made by its
    name alone, RecordingError if the request line does not say what it needs.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        name = request.get("vessel")
        if not isinstance(name, str):
            raise UnknownVesselError("its request names no vessel")
        self.vessel = _made(name)
        try:
            wire = _wire(request)
            self._exchange = Exchange(
                self.vessel, wire, call=_number(request), max_frame_bytes=_NO_LIMIT
            )
        except Exception as error:  # noqa: BLE001 - the decoder and the request may be anyone's
            raise RecordingError(
                f"{name} cannot decode the answer to its request: {type(error).__name__}: {error}"
            ) from None
        self._of_any_kind = wire.reading == "frames"
        self._t = 0.0
        self._judging = False

    def respond(self, response: Mapping[str, Any]) -> None:
        """Take the response line."""
        status, headers = response.get("status"), response.get("headers")
        kind = (
            cast("dict[str, Any]", headers).get("content-type") if isinstance(headers, dict) else ""
        )
        self._exchange.respond(
            status if isinstance(status, int) else 200, kind if isinstance(kind, str) else ""
        )

    def feed(self, frame: RecordedFrame) -> list[Step]:
        """What the exchange makes of the next frame: mostly one step."""
        self._t = (frame.t - frame.started) / 1e6
        return self._exchange.take(frame.raw, self._t) if frame.raw else []

    def finish(self, end: Mapping[str, Any] | None) -> list[Step]:
        """The last steps of a call with this end line; None if it has none."""
        self._judging = end is not None and _was_decoded_to_its_end(end)
        if end is None or not self._judging:
            return []
        return list(self._exchange.finish(self._t, whole=not self._from_outside(ending_error(end))))

    def native(self) -> NativeMessages:
        """The assistant's message of each choice in the provider's own form."""
        return self._exchange.native()

    def verdict(self, end: Mapping[str, Any]) -> tuple[Outcome, VesselogError | None] | None:
        """Outcome and error by the vessel's rules, after `finish`; None if it does not decide them.

        As in a live answer, an error from outside counts if the answer was not whole.
        """
        if not self._judging:
            return None
        exchange = self._exchange
        recorded = ending_error(end)
        if exchange.progress is not Progress.OPEN and exchange.error is None:
            return "complete", None
        outside = self._from_outside(recorded)
        error = recorded if outside and exchange.succeeded else exchange.error
        return ("truncated" if isinstance(error, TruncatedError) else "error"), error

    def _from_outside(self, error: VesselogError | None) -> bool:
        if self._of_any_kind and isinstance(error, TruncatedError):
            return True  # its compressed data broke off: nothing else tells the end of such a body
        return error is not None and not isinstance(error, _VERDICTS)


def _made(name: str) -> Vessel:
    try:
        return find_vessel(name)()
    except VesselogError:
        raise
    except Exception as error:  # noqa: BLE001 - the vessel may be anyone's
        raise ConfigurationError(
            f"the vessel {name!r} cannot be made: {type(error).__name__}: {error}"
        ) from None


def _number(request: Mapping[str, Any]) -> int:
    call = request.get("call")
    return call if is_whole(call) else 1


def _wire(request: Mapping[str, Any]) -> WireRequest:
    body, url, model = request.get("body"), request.get("url"), request.get("model")
    reading = request.get("reading")
    return WireRequest(
        url=url if isinstance(url, str) else "",
        body=cast("dict[str, Any]", body) if isinstance(body, dict) else None,
        method=str(request.get("method")),
        stream=request.get("stream") is not False,
        split_think=request.get("split_think", False),
        reading="all" if reading == "all" else "frames" if reading == "frames" else "answer",
        model=model if isinstance(model, str) else None,
    )


def _was_decoded_to_its_end(end: Mapping[str, Any]) -> bool:
    """Whether the body was read until it ended or failed: only then was its end decoded."""
    outcome = end.get("outcome")
    if outcome != "error":
        return isinstance(outcome, str) and outcome in {"complete", "truncated"}
    error = end.get("error")
    # Without an error the vessel itself failed. After a RecordingError nothing more was read.
    return isinstance(error, dict) and cast("dict[str, Any]", error).get("type") != "RecordingError"
