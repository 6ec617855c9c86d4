"""The sync driver: sends a plan over httpx and reads the answer, one blocking read at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx

from ..exchange import Step
from .attempts import Attempts
from .call import Call
from .circumstances import Circumstances
from .interrupt import Alarm, Interrupted, Wait
from .ledger import Entry
from .plan import Plan

__all__ = ["LiveSource"]

# For httpx and httpcore, which want a number where there is no limit. The alarm knows the real
# deadline.
_FOR_EVER = 1e9


class LiveSource:
    """One stream's connection to its server, retries inside.

    `open` sends the request and waits for the headers; `read` gives the next recorded steps, none
    at the end.
    """

    def __init__(
        self,
        plan: Plan,
        http: httpx.Client,
        enter: Callable[[], Entry],
        circumstances: Circumstances,
    ) -> None:
        self._plan = plan
        self._http = http
        self._timeouts = circumstances.timeouts
        self._attempts = Attempts(plan, enter, circumstances)
        self._alarm = Alarm(self._left)
        self._response: httpx.Response | None = None
        self._body: Iterator[bytes] = iter(())
        self._early: list[Step] = []

    @property
    def facts(self) -> Attempts:
        """What is known of the stream."""
        return self._attempts

    def open(self) -> None:
        """Send the request and wait for the headers, with retries. Raises RecordingError."""
        attempts = self._attempts
        attempts.enter()
        try:
            self._early = self._attempt()
            while (delay := attempts.retry_delay()) is not None:
                self._free()
                attempts.waiting = True
                try:
                    self._alarm.sleep(delay)
                except Interrupted:
                    self.leave()
                    return
                attempts.waiting = False
                self._early = self._attempt()
        except BaseException:
            self.leave()
            raise
        if attempts.outcome is not None:
            self._close()

    def read(self) -> list[Step]:
        """The next steps, recorded; none when the answer is over."""
        if self._early:
            early, self._early = self._early, []
            return early
        call = self._attempts.current
        while call is not None and call.outcome is None:
            steps = self._read(call)
            if call.outcome is not None:
                self._close()
            if steps:
                return steps
        return []

    def cancel(self) -> None:
        """End the stream, from any thread."""
        self._alarm.ring()

    def leave(self) -> None:
        """The caller wants no more: write the outcome, free the connection."""
        try:
            if self._attempts.current is not None:
                self._attempts.leave(self._attempts.current)
        finally:
            self._close()

    def abandon(self) -> None:
        """Nobody holds the stream any more."""
        self._attempts.abandon()
        self._free()
        self._attempts.drop()
        self._alarm.close()

    def _attempt(self) -> list[Step]:
        call = self._attempts.begin()
        try:
            response = self._response = self._http.send(self._request(), stream=True)
            call.respond(response.status_code, response.headers)
            self._body = _raw(response)
        except Interrupted as interrupted:
            return self._attempts.stopped(call, interrupted.phase)
        except Exception as failure:  # noqa: BLE001 - told apart by type, a bug is raised again
            return self._attempts.failed(call, failure)
        steps: list[Step] = []
        while not response.is_success and call.outcome is None:
            steps += self._read(call)
        return steps

    def _read(self, call: Call) -> list[Step]:
        call.resume()
        try:
            data = next(self._body, None)
            call.pause()
            steps = call.finish() if data is None else call.receive(data)
            return steps + call.finish() if call.failed else steps
        except Interrupted as interrupted:
            return self._attempts.stopped(call, interrupted.phase)
        except Exception as failure:  # noqa: BLE001 - told apart by type, a bug is raised again
            return self._attempts.failed(call, failure)

    def _request(self) -> httpx.Request:
        timeouts = self._timeouts
        wait = Wait.of(self._alarm, _FOR_EVER if timeouts.connect is None else timeouts.connect)
        timeout = {"connect": wait, "read": wait, "write": timeouts.write, "pool": timeouts.pool}
        return self._http.build_request(
            self._plan.request.method,
            self._plan.url,
            headers=dict(self._plan.headers),
            content=self._plan.request.content or None,
            extensions={"timeout": timeout},
        )

    def _left(self) -> tuple[float | None, str]:
        call = self._attempts.current
        return (None, "total") if call is None or call.outcome is not None else call.left()

    def _free(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def _close(self) -> None:
        self._free()
        self._attempts.close()
        self._alarm.close()


def _raw(response: httpx.Response) -> Iterator[bytes]:
    """The body as it comes; httpx would count and copy it again."""
    stream = response.stream
    if not isinstance(stream, httpx.SyncByteStream):
        raise TypeError("the http_client given is not a sync one")
    return iter(stream)
