"""One attempt at one request: what arrives is framed, decoded and recorded here, then seen."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from ..clock import Clock
from ..completion import Metrics, Outcome
from ..errors import ProtocolError, ProviderError, RecordingError, TruncatedError, VesselogError
from ..exchange import Exchange, Step
from ..http.body import PART_BYTES, part_size
from ..http.closing_servers import ClosingServers
from ..http.inflate import Inflater
from ..metrics import Meter
from ..native import NativeMessages
from ..response_headers import kept_headers
from ..settings import Limits, Retries, Timeouts
from ..truth.call_writer import Writer
from ..vessel import Progress
from .deadlines import Deadlines
from .plan import Plan
from .retry import retry_delay, take_retry_advice

__all__ = ["Call", "SharedSettings"]

_OPEN, _TERMINATED = Progress.OPEN, Progress.TERMINATED


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """Settings shared by all attempts of a stream."""

    timeouts: Timeouts
    limits: Limits
    retries: Retries
    clock: Clock
    closing_servers: ClosingServers


class Call:
    """The state of one attempt, the first being 0.

    cuts: what arrives goes through `pieces` before `receive`. drains: the body is read to its end
    behind the dialect's terminator, to keep the connection. enough: nothing more is to be read.
    status, headers: the response's, None and empty before it; only the headers that are kept,
    where all_headers has all of them, the secret ones too.
    outcome: None while it runs. error: why it failed, to be raised after all steps were handed out.
    may_be_retried: whether another attempt may follow, as long as no answer has begun. retry_in:
    seconds after which it follows, None if none does.
    natives: after the end, the messages in the provider's own form. gate: what has to pass before
    anything written is shown; None at most durability levels.
    """

    def __init__(
        self, plan: Plan, writer: Writer, settings: SharedSettings, attempt: int = 0
    ) -> None:
        self._writer = writer
        self._lock = writer.write_lock
        self._clock = settings.clock
        self._started = writer.started
        with self._lock as t:
            # The moment of the request line by the client's clock, where all times begin.
            self._begun = (self._clock.monotonic() - (t - writer.started)) / 1e6
        self._exchange = Exchange(
            plan.vessel,
            plan.request,
            call=writer.call,
            max_frame_bytes=settings.limits.max_frame_bytes,
            masker=plan.masker,
        )
        self._masker = plan.masker
        self._reads_all = plan.request.reading != "answer"
        self._meter = Meter()
        self._attempt = attempt
        self._retries = settings.retries
        self._final: Metrics | None = None
        self._inflater: Inflater | None = None
        self._arrived = self._begun
        self.deadlines = Deadlines(settings.timeouts, self._begun)
        self.gate = writer.gate
        self.cuts = False
        self.drains = True
        self.enough = False
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.all_headers: Mapping[str, str] = {}
        self.outcome: Outcome | None = None
        self.error: VesselogError | None = None
        self.may_be_retried = True
        self.retry_in: float | None = None
        self.natives: NativeMessages = {}

    @property
    def metrics(self) -> Metrics:
        """How the answer arrived so far; after the end, as the recording has it."""
        if self._final is not None:
            return self._final
        return self._meter.metrics(round(self._clock.monotonic() - self._begun * 1e6))

    def pause(self) -> None:
        """Nothing has been read since the last data arrived."""
        self.deadlines.pause(self._arrived)

    def resume(self) -> None:
        """Reading goes on."""
        self.deadlines.resume(self._clock.monotonic() / 1e6)

    def parts(self, content: bytes) -> Iterator[bytes]:
        """The request's body in parts, each with the write deadline of its own."""
        for start in range(0, len(content), PART_BYTES):
            self.deadlines.sending(self._clock.monotonic() / 1e6)
            yield content[start : start + PART_BYTES]
        self.deadlines.sent()

    def respond(self, status: int, headers: Mapping[str, str]) -> None:
        """The response's status and headers have arrived. Raises RecordingError."""
        self.status, self.all_headers = status, headers
        self._exchange.respond(status, headers.get("content-type", ""))
        kept = kept_headers(headers).items()
        self.headers = {name: self._masker.text(value) for name, value in kept}
        self._writer.response(status, self.headers)
        encoding = headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in {"", "identity"}:
            self._inflater = Inflater(encoding)
            self.cuts = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The data without its content encoding, in pieces of the size that `part_size` tells.

        Raises ProtocolError.
        """
        for part in (data,) if self._inflater is None else self._inflater.pieces(data):
            size = part_size(part)
            for start in range(0, len(part), size):
                yield part[start : start + size]

    def receive(self, data: bytes) -> list[Step]:
        """A piece of the body has arrived: the steps that it completes, recorded.

        Raises RecordingError.
        """
        exchange, lock = self._exchange, self._lock
        t = lock.enter()
        try:
            since = t - self._started
            steps = exchange.take(data, since / 1e6)
            if steps:
                self._writer.frames(steps, t)
                self._meter.add(steps, since)
        finally:
            lock.leave()
        self._arrived = arrived = self._begun + since / 1e6
        for step in steps:
            if step.frame.data is not None:
                break
        else:
            if not exchange.whole:
                return steps
        progress = exchange.progress
        self.deadlines.data(arrived, progress, counted=self._meter.usage is not None)
        self.enough = not self._reads_all and (
            exchange.error is not None or (progress is _TERMINATED and not self.drains)
        )
        return steps

    def finish(self, failure: VesselogError | None = None) -> list[Step]:
        """The body has ended, or reading it has failed.

        The last steps, recorded, and the verdict. An error status is the verdict even where its
        body could not be read, and damaged compression is one where what was read seemed whole.
        """
        if self.outcome is not None:
            return []
        if failure is None and self._inflater is not None:
            failure = self._inflater.cut_off()
        exchange = self._exchange
        with self._lock as t:
            since = t - self._started
            steps = list(exchange.finish(since / 1e6, whole=failure is None))
            self._writer.frames(steps, t)
            self._meter.add(steps, since)
        cause = failure if exchange.succeeded else None
        unreadable = exchange.error is not None or isinstance(cause, ProtocolError)
        if exchange.progress is _OPEN or unreadable:
            self.fail(cause if cause is not None else exchange.error)
        else:
            self._end("complete")
        return steps

    def leave(self, outcome: Outcome) -> None:
        """The caller wants no more of it. An answer that is whole already stays complete.

        Raises RecordingError, which is the verdict then: whoever still reads must get it too.
        """
        if self.outcome is not None:
            return
        try:
            if self._exchange.progress is _OPEN or self._exchange.error is not None:
                with self._lock as t:
                    self._writer.frames([*self._exchange.undecoded()], t)
                self._end(outcome)
            else:
                self.finish()
        except RecordingError as error:
            self.fail(error)
            raise

    def abandon(self) -> None:
        """Nobody can ask for it any more. Safe in a finaliser."""
        if self.outcome is None:
            self.outcome = "abandoned"
            self._writer.abandon()

    def fail(self, error: VesselogError | None) -> None:
        """This is the verdict, whatever it was before."""
        if error is not None:
            error.headers = self.headers
        if isinstance(error, ProviderError):
            take_retry_advice(error, datetime.fromtimestamp(self._clock.wall() / 1e6, UTC))
        self.error = error
        self.retry_in = None
        if isinstance(error, RecordingError):
            with suppress(RecordingError):  # a file that takes no more lines takes no end either
                self._end("error", error)
            return
        begun = self.status is not None and self._exchange.succeeded
        if error is not None and self.may_be_retried and not begun:
            chance = random.Random()  # noqa: S311 - spreads retries, protects nothing
            self.retry_in = retry_delay(self._retries, self._attempt, error, chance)
        self._end("truncated" if isinstance(error, TruncatedError) else "error", error)

    def _end(self, outcome: Outcome, error: VesselogError | None = None) -> None:
        self._final = self.metrics
        self.natives = self._exchange.native()
        self.outcome = outcome  # last: who sees it may ask for the others, from another thread
        usage = self._meter.usage
        self._writer.end(
            outcome,
            error=error,
            usage=usage.model_dump(exclude_none=True) if usage else None,
            metrics=self._final.model_dump(exclude_none=True),
            retry_in=self.retry_in,
            natives=self.natives,
        )
