"""The work of one client in `vesselog bench`: the request to send and the recording to write."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ..core.client.call import Call
    from ..core.client.plan import Plan
    from ..core.truth.session import Session
    from ..core.vessel import Vessel

__all__ = ["Job"]


@dataclass
class Job:
    """The request, and the recording for its answers.

    warming: stop each stream at its first frame. frames: the number read so far, for the progress
    line.
    """

    model: str
    fields: dict[str, Any]
    vessels: dict[str, Vessel]
    plan: Plan
    folder: Path
    name: str
    streams: int
    warming: bool = False
    frames: int = 0

    def __post_init__(self) -> None:
        self._session: Session | None = None
        self._opening = threading.Lock()

    def record_as(self, name: str) -> None:
        """End the warm-up: from now on answers are recorded under this name and counted."""
        if self._session is not None:
            self._session.close()
            self._session = None
        self.name, self.warming, self.frames = name, False, 0

    @contextmanager
    def call(self) -> Generator[Call]:
        """Record one call, from its request to its end.

        Errors of the transport are recorded and not raised; all others are raised.
        """
        from ..core.client.call import Call, SharedSettings
        from ..core.clock import SYSTEM_CLOCK
        from ..core.http.closing_servers import ClosingServers
        from ..core.http.failures import classify
        from ..core.settings import Limits, Retries, Timeouts
        from ..core.truth.session import Session

        settings = SharedSettings(Timeouts(), Limits(), Retries(), SYSTEM_CLOCK, ClosingServers())
        with self._opening:
            if self._session is None:
                self._session = Session.open(self.folder, self.name)
        writer = self._session.begin(self.plan.record)
        call = Call(self.plan, writer, settings)
        try:
            yield call
        except Exception as failure:
            error = classify(
                failure,
                self.plan.origin,
                settings.timeouts,
                settings.limits,
                answering=call.status is not None,
            )
            if error is None:
                call.leave("error")
                raise
            call.finish(error)
        except BaseException:
            call.leave("cancelled")
            raise
        else:
            if self.warming:
                call.leave("cancelled")
            else:
                call.finish()

    def take(self, call: Call, data: bytes) -> bool:
        """Record the bytes that arrived; returns whether to read more."""
        frames = len(call.receive(data))
        return self.count(frames) and not call.enough

    def count(self, frames: int) -> bool:
        """Count recorded frames; returns whether to read more."""
        self.frames += frames
        return not (self.warming and frames)
