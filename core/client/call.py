"""One attempt at one request: what arrives is framed, decoded and recorded here, then seen.

The sync and the async driver push bytes in and hand out the steps; everything else about a call is
the same for both and stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import httpx

from ..clock import Clock
from ..completion import Metrics, Outcome
from ..errors import ProviderError, RecordingError, TruncatedError, VesselogError
from ..exchange import Exchange, Step
from ..metrics import Meter
from ..truth.writer import Writer
from ..vessel import Progress
from .deadlines import Deadlines
from .inflate import Inflater
from .plan import Plan
from .retry import parse_retry_after
from .settings import Limits, Timeouts

__all__ = ["Call"]


class Call:
    """The state of one attempt.

    drains: the body is read to its end behind the dialect's last word, to keep the connection.
    outcome: None while it runs. error: why it failed, to be raised after all steps were handed out.
    gate: what the steps, and the end, have to pass before they are shown; mostly there is none.
    """

    def __init__(
        self, plan: Plan, writer: Writer, timeouts: Timeouts, limits: Limits, clock: Clock
    ) -> None:
        self._writer = writer
        self._turn = writer.write_lock
        self._clock = clock
        self._started = writer.started
        with self._turn as t:
            # The moment of the request line by the client's clock, so that all times begin with it.
            self._begun = (clock.monotonic() - (t - writer.started)) / 1e6
        self._exchange = Exchange(
            plan.vessel, plan.request, max_frame_bytes=limits.max_frame_bytes, masker=plan.masker
        )
        self._masker = plan.masker
        self._meter = Meter()
        self._final: Metrics | None = None
        self._inflater: Inflater | None = None
        self._headers: Mapping[str, str] = {}
        self.status: int | None = None
        self._arrived: float | None = None
        self.deadlines = Deadlines(timeouts, self._begun)
        self.gate = writer.gate
        self.drains = True
        self.outcome: Outcome | None = None
        self.error: VesselogError | None = None

    @property
    def number(self) -> int:
        """The call's number in its session."""
        return self._writer.call

    @property
    def answering(self) -> bool:
        """Whether the response has begun."""
        return self.status is not None

    @property
    def metrics(self) -> Metrics:
        """How the answer arrived so far; after the end, as the recording has it."""
        if self._final is not None:
            return self._final
        return self._meter.metrics(round(self._clock.monotonic() - self._begun * 1e6))

    def left(self) -> tuple[float | None, str]:
        """Seconds until the deadline, None for never, and the phase that then ends."""
        end, phase = self.deadlines.next()
        return (None if end is None else end - self._clock.monotonic() / 1e6), phase

    def late(self) -> bool:
        """Whether the deadline has passed; asked while somebody reads."""
        return self.deadlines.passed(self._clock.monotonic() / 1e6)

    def pause(self) -> None:
        """Nobody has been reading since the last piece arrived."""
        if self._arrived is not None:
            self.deadlines.pause(self._arrived)

    def resume(self) -> None:
        """Reading goes on; nobody has been since the last piece arrived."""
        self.deadlines.resume(self._clock.monotonic() / 1e6, self._arrived)

    def respond(self, status: int, headers: httpx.Headers) -> None:
        """The response's status and headers have arrived. Raises RecordingError."""
        self.status = status
        self._headers = headers
        self._exchange.respond(status, headers.get("content-type", ""))
        shown = {name: self._masker.text(value) for name, value in headers.items()}
        self._writer.response(status, shown)
        encoding = headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in {"", "identity"}:
            self._inflater = Inflater(encoding)

    def pieces(self, data: bytes) -> Iterable[bytes]:
        """The bytes that arrived, without the encoding that nobody asked for.

        Raises ProtocolError.
        """
        return (data,) if self._inflater is None else self._inflater.pieces(data)

    def pieces_of(self, body: Iterator[bytes]) -> Iterator[bytes]:
        """The same for a whole body."""
        if self._inflater is None:
            return body
        return (piece for data in body for piece in self.pieces(data))

    def receive(self, data: bytes) -> list[Step]:
        """A piece of the body has arrived: the steps it completes, recorded.

        Raises RecordingError.
        """
        exchange, turn = self._exchange, self._turn
        t = turn.enter()
        try:
            since = t - self._started
            steps = exchange.take(data, since / 1e6)
            if steps:
                self._writer.frames(steps, t)
                self._meter.add(steps, since)
        finally:
            turn.leave()
        self._arrived = arrived = self._begun + since / 1e6
        heard = False
        for step in steps:
            if step.frame.data is not None:
                heard = True
        if heard or exchange.whole:
            self.deadlines.data(arrived, exchange.progress)
        return steps

    def finish(self, failure: VesselogError | None = None) -> list[Step]:
        """The body has ended, or reading it has failed.

        The last steps, recorded, and the verdict. An error status is the verdict even where its
        body could not be read.
        """
        if self.outcome is not None:
            return []
        with self._turn as t:
            since = t - self._started
            steps = list(self._exchange.finish(since / 1e6))
            if steps:
                self._writer.frames(steps, t)
                self._meter.add(steps, since)
        if self._exchange.progress is Progress.OPEN or self._exchange.error is not None:
            told = failure if self._exchange.succeeded else None
            self._fail(told if told is not None else self._exchange.error)
        else:
            self._end("complete")
        return steps

    def leave(self, outcome: Outcome) -> None:
        """The caller wants no more of it. An answer that is whole already stays so.

        Raises RecordingError, which is the verdict then: whoever still reads has to be told too.
        """
        if self.outcome is not None:
            return
        try:
            if self._exchange.progress is Progress.OPEN or self._exchange.error is not None:
                self._end(outcome)
            else:
                self.finish()
        except RecordingError as error:
            self.lose(error)
            raise

    def lose(self, error: RecordingError) -> None:
        """It cannot be recorded to its end: whatever the verdict was, it is this."""
        self._fail(error)

    def abandon(self) -> None:
        """Nobody can ask for it any more. Safe in a finaliser."""
        if self.outcome is None:
            self.outcome = "abandoned"
            self._writer.abandon()

    @property
    def read_enough(self) -> bool:
        """Whether to `finish` and read no further: the answer has failed, or needs no drain."""
        if self._exchange.error is not None:
            return True
        return not self.drains and self._exchange.progress is Progress.TERMINATED

    def _fail(self, error: VesselogError | None) -> None:
        if isinstance(error, ProviderError):
            now = datetime.fromtimestamp(self._clock.wall() / 1e6, UTC)
            error.retry_after = parse_retry_after(self._headers.get("retry-after"), now)
        self.error = error
        if isinstance(error, RecordingError):
            with suppress(RecordingError):  # a file that takes no more lines takes no end either
                self._end("error", error)
            return
        self._end("truncated" if isinstance(error, TruncatedError) else "error", error)

    def _end(self, outcome: Outcome, error: VesselogError | None = None) -> None:
        self._final = self.metrics
        self.outcome = outcome
        usage = self._meter.usage
        self._writer.end(
            outcome,
            error=error,
            usage=usage.model_dump(exclude_none=True) if usage else None,
            metrics=self._final.model_dump(exclude_none=True),
        )
