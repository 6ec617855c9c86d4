"""What the clients of a `vesselog bench` have to do, and how it is recorded."""

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
    """What is asked, and where it is recorded.

    warming: leave each stream at its first frame. frames: read so far, for the progress.
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
        """Warm-up is over: what comes is recorded under this name, and counted."""
        if self._session is not None:
            self._session.close()
            self._session = None
        self.name, self.warming, self.frames = name, False, 0

    @contextmanager
    def call(self) -> Generator[Call]:
        """One recorded call, from its request to how it ended.

        Raises what is no failure of the transport.
        """
        from ..core.client.call import Call
        from ..core.client.shared_settings import SharedSettings
        from ..core.clock import SYSTEM_CLOCK
        from ..core.http.closing_servers import ClosingServers
        from ..core.http.failures import classify
        from ..core.settings import Limits, Retries, Timeouts
        from ..core.truth.session import Session

        settings = SharedSettings(Timeouts(), Limits(), Retries(), SYSTEM_CLOCK, ClosingServers())
        with self._opening:
            if self._session is None:
                self._session = Session.open(self.folder, self.name)
        writer = self._session.begin({**self.plan.record, "key": self.plan.key})
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
        """Record what came. Whether more is wanted."""
        frames = len(call.receive(data))
        return self.count(frames) and not call.enough

    def count(self, frames: int) -> bool:
        """Count frames that are recorded. Whether more is wanted."""
        self.frames += frames
        return not (self.warming and frames)
