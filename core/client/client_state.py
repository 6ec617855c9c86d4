"""What the sync and the async client share: settings, sessions, plans and running streams."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Never, TypeVar, Unpack

import httpx

from ..clock import SYSTEM_CLOCK, Clock
from ..completion import Outcome
from ..errors import ClientStateError, ConfigurationError, RecordingError
from ..http.clients import check_http_client, make_http_client
from ..http.closing_servers import ClosingServers
from ..http.proxies import ProxyRules
from ..replay.answer_copy import StillClock
from ..replay.compare_requests import Match
from ..replay.pace import Speed
from ..replay.replayed_answer import ReplayedAnswer, Replaying
from ..request import Message, RequestFields
from ..settings import (
    Durability,
    Limits,
    Retries,
    Timeouts,
    absolute_path,
    check_arguments,
    check_exclusive,
    check_lock_wait,
    check_meta,
    check_setting,
    check_unknown,
    level_of,
)
from ..truth.recording import Recording
from ..truth.session_names import SUFFIX, check_session_name
from ..truth.session_pool import Entry, OpenSession, SessionPool
from ..vessel import Unpicklable, Vessel, WireRequest
from .async_stream import AsyncStream
from .attempts import Attempts
from .call import SharedSettings
from .driver import Driver
from .hand_over import TaskHandOver, ThreadHandOver
from .plan import Plan, Planner
from .questions import question_settings
from .stream import Stream

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["ClientState", "Messages"]

Messages = str | Sequence[Message | Mapping[str, Any]] | None
"""A string (one user message), or messages as dicts or Message; None where `prompt` is given."""

# Known by its identity: with `replay` it means that nothing is recorded.
_DEFAULT_FOLDER = Path("recordings")

_Stream = TypeVar("_Stream", Stream, AsyncStream)


class ClientState(Unpicklable, Generic[_Stream]):
    """The settings and methods that both clients have."""

    _closes_given_client = False

    def __init__(
        self,
        *,
        recordings: str | os.PathLike[str] | None = _DEFAULT_FOLDER,
        durability: Durability = "process",
        lock_wait: float = 0,
        meta: Mapping[str, Any] | None = None,
        replay: str | os.PathLike[str] | None = None,
        speed: Speed | None = None,
        match: Match | None = None,
        repeat: bool = False,
        vessels: Mapping[str, Vessel] | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        retries: Retries | None = None,
        http2: bool = False,
        fast: bool | None = None,
        http_client: httpx.AsyncClient | None = None,
        ssl_context: SSLContext | None = None,
        environment: Mapping[str, str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        **mistaken: Never,
    ) -> None:
        """Make a client.

        Args:
            recordings: The folder that sessions are written to, by default `recordings` in the
                working folder. None records nothing; that is the default with `replay`.
            durability: What a recorded chunk survives: "process" the death of this process,
                "interval" a power cut too except for the last 50 ms, "power" a power cut.
            lock_wait: Seconds to wait for a session that another process writes.
            meta: JSON values, such as a user or trace id, recorded with each request.
            replay: A recording, or a folder of them, from which all requests are answered; nothing
                is sent to a server.
            speed: The pace of replayed answers: 1.0 as recorded, 2.0 twice as fast, 0 or "max"
                (the default) as fast as they are read.
            match: Which recorded answer a request gets: "strict" (the default), "messages", "order"
                or "route". A request that matches none is a ReplayMissError.
            repeat: With `replay`: a request that was recorded less often than it is made gets its
                last answer again. Without it that is a ReplayMissError.
            vessels: Vessels by names of your own, which come before the installed ones.
            headers: Sent with each request.
            timeouts: Deadlines in seconds; see Timeouts.
            limits: Bounds on connections and frames; see Limits.
            retries: How often a failed request is sent again; see Retries.
            http2: Speak HTTP/2 where the server does (the extra `http2`).
            fast: Use httpx-aiohttp (the extra `fast`), which costs less CPU time per chunk. None
                uses it where it is installed and `http2` is not asked for.
            http_client: An httpx.AsyncClient, or a client with its interface, that sends the
                requests. `Client` closes it, `AsyncClient` does not.
            ssl_context: Which certificates are trusted.
            environment: Where hosts and keys are looked up, in place of os.environ.
            clock: The source of times, for tests.
            **mistaken: Any other name is a ConfigurationError, which says what to write.

        Raises:
            ConfigurationError: A setting cannot be used; `setting` names it.
        """
        check_unknown(mistaken)
        check_arguments(recordings=recordings, replay=replay, vessels=vessels, headers=headers)
        check_arguments(http2=http2, fast=fast, ssl_context=ssl_context)
        check_arguments(environment=environment, clock=clock)
        self._settings = SharedSettings(
            timeouts=check_setting("timeouts", timeouts, Timeouts),
            limits=check_setting("limits", limits, Limits),
            retries=check_setting("retries", retries, Retries),
            clock=clock,
            closing_servers=ClosingServers(http2=http2),
        )
        # Resolved once: the process may change its folder while a stream runs.
        source = None if replay is None else absolute_path("replay", replay)
        self._replaying = Replaying.of(source, speed, match, repeat=repeat, clock=clock)
        if source is not None and recordings is _DEFAULT_FOLDER:
            recordings = None
        self._folder = None if recordings is None else absolute_path("recordings", recordings)
        if source is not None and self._folder in {source, source.parent}:
            raise ConfigurationError(
                f"what is replayed from {source} cannot be recorded to the same folder: every run "
                "would add to the answers of the next",
                setting="recordings",
            )
        self._sessions = SessionPool(
            self._folder,
            level_of(durability),
            clock if source is None else StillClock(clock),
            check_lock_wait(lock_wait),
        )
        self._meta = check_meta(meta, {})
        proxies = ProxyRules()
        self._planner = Planner(
            vessels or {},
            os.environ if environment is None else environment,
            headers or {},
            proxies,
        )
        self._own = http_client is None
        if http_client is not None:
            check_http_client(http_client, http2=http2, fast=fast, ssl_context=ssl_context)
        elif source is None:
            http_client = make_http_client(
                self._settings.limits, ssl_context, proxies, http2=http2, fast=fast
            )
        self._http = http_client  # None: a client that replays
        self._running: set[Driver] = set()
        self._process = os.getpid()
        self._closed = False

    def stream(
        self,
        model: str,
        messages: Messages = None,
        *,
        session: str | None = None,
        exclusive: bool = False,
        meta: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[RequestFields],
    ) -> _Stream:
        """Ask a model for a streamed answer.

        Args:
            model: An address, "vessel/model", such as "ollama/qwen3:1.7b".
            messages: The conversation: a string (one user message), or messages as dicts or
                Message. Leave it out to give `prompt` for the generate and completions routes.
            session: A session's name; its calls are recorded in one file. None makes a new file.
            exclusive: Wait for the calls of the session before this one, and let later ones wait.
            meta: JSON values recorded with the request, merged with the client's.
            timeouts: Deadlines in seconds; fields left out keep the client's values. `total` also
                limits the wait for the session.
            headers: Sent with this request, over the client's.
            **fields: Those of RequestFields: `prompt`, `tools`, `tool_choice`, `functions`,
                `function_call`, `response_format`, `temperature`, `top_p`, `max_tokens` (tokens),
                `stop`, `seed`, `n`, `logprobs`, `think`, `keep_alive` (seconds, or "5m"),
                `options`, `extra_body`, `split_think`. help(vesselog.ChatRequest) explains each.

        Returns:
            A stream that is not yet open: the request is sent when it is entered by `with` (or
            `async with`), or at the first chunk if it is iterated without.

        Raises:
            UsageError: The request cannot be made; nothing was sent. ConfigurationError for the
                vessel, an address or a key; InvalidRequestError for messages and fields;
                SessionNameError; ClientStateError for a client that is closed or was forked.

        What goes wrong later is raised by the stream: see Stream.
        """
        self._check_usable()
        plan = self._planner.chat(model, messages, {**fields, "stream": True}, headers)
        return self._stream(plan, session, timeouts, exclusive=exclusive, meta=meta)

    def send(
        self,
        vessel: str,
        request: WireRequest,
        *,
        session: str | None = None,
        exclusive: bool = False,
        meta: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Stream:
        """Send a prepared request, its body exactly as given.

        session, exclusive, meta, timeouts and headers are as for `stream`, which explains them.

        Args:
            vessel: The name of the vessel that gives the key and decodes the answer.
            request: The address and the body.

        Returns:
            A stream as `stream` returns it; its `frames()` gives the answer's frames.

        Raises:
            UsageError: The request cannot be sent, as with `stream`.
        """
        self._check_usable()
        plan = self._planner.wire(vessel, request, headers)
        return self._stream(plan, session, timeouts, exclusive=exclusive, meta=meta)

    def recording(self, name: str) -> Recording:
        """The session of this name in the client's folder, also while it is written.

        Args:
            name: The session's name, which is the file's without its suffix.

        Raises:
            SessionNameError: It cannot be a session's name.
            RecordingError: The file is missing or cannot be read.
            ConfigurationError: The client records nothing.
        """
        return Recording(self._path_of(name))

    def stop(self, session: str) -> int:
        """Cancel the streams of this client that are recorded in a session.

        Args:
            session: The session's name.

        Returns:
            How many streams were cancelled.
        """
        replayed = set[ReplayedAnswer]() if self._replaying is None else self._replaying.running
        running = [each for each in self._running | replayed if each.facts.session == session]
        for each in running:
            each.cancel()
        return len(running)

    def _path_of(self, name: str) -> Path:
        return self._recordings() / (check_session_name(name) + SUFFIX)

    def _recordings(self) -> Path:
        """The client's folder. Raises ConfigurationError if it records nothing."""
        if self._folder is None:
            raise ConfigurationError(
                "this client records nothing, and so has no sessions", setting="recordings"
            )
        return self._folder

    def _stream(
        self,
        plan: Plan,
        session: str | None,
        timeouts: Timeouts | None,
        *,
        exclusive: bool = False,
        meta: Mapping[str, Any] | None = None,
    ) -> _Stream:
        """The stream of a call. Raises SessionNameError and ConfigurationError."""
        if session is not None:
            check_session_name(session)
        check_exclusive(exclusive, session)
        merged = check_meta(meta, self._meta)
        if merged:
            plan = replace(plan, record={**plan.record, "meta": merged})
        settings = self._settings
        if timeouts is not None:
            given = check_setting("timeouts", timeouts, Timeouts)
            settings = replace(settings, timeouts=given.over(settings.timeouts))

        async def open_session() -> Entry:
            self._check_usable()
            patience = settings.timeouts.total
            return await self._sessions.open(
                session, meta=merged, exclusive=exclusive, patience=patience
            )

        if self._replaying is None:
            return self._driven(Attempts(plan, open_session, settings))
        records = self._folder is not None
        return self._replayed(self._replaying, plan.record, open_session if records else None)

    def _asked(self, plan: Plan) -> _Stream:
        """The stream of a question, which is not recorded."""
        settings = question_settings(self._settings)
        return self._driven(Attempts(plan, self._sessions.unrecorded, settings))

    def _replayed(
        self, replaying: Replaying, request: Mapping[str, Any], open_session: OpenSession | None
    ) -> _Stream:
        raise NotImplementedError

    def _driven(self, attempts: Attempts) -> _Stream:
        raise NotImplementedError

    def _driver(self, attempts: Attempts, hand_over: TaskHandOver | ThreadHandOver) -> Driver:
        assert self._http is not None  # noqa: S101 - who replays sends nothing
        return Driver(attempts, self._http, hand_over, self._running)

    def _check_usable(self) -> None:
        """Raise ClientStateError where using the client could only do harm."""
        if self._closed:
            raise ClientStateError("the client is closed")
        if os.getpid() != self._process:
            raise ClientStateError(
                "the client was made before a fork: its connections and files belong to the "
                "parent; make a client in the child"
            )

    def _check_complete(self, outcome: Outcome | None) -> None:
        """Raise ClientStateError where an answer in one piece was ended by closing the client."""
        if self._closed and outcome == "cancelled":
            raise ClientStateError("the client was closed before the answer was complete")

    def _ending(self) -> Callable[[], Coroutine[Any, Any, None]]:
        """What ends the client's streams and connections; it does not hold the client."""
        http = self._http if self._own or self._closes_given_client else None
        return partial(_end, self._running, http, self._sessions)


async def _end(running: set[Driver], http: httpx.AsyncClient | None, sessions: SessionPool) -> None:
    """Cancel what runs, and close the connections. Raises RecordingError."""
    failures: list[RecordingError] = []
    drivers = tuple(running)
    for driver in drivers:
        try:
            driver.leave()
        except RecordingError as failure:
            failures.append(failure)
    try:
        await asyncio.gather(*(driver.finished() for driver in drivers))
    finally:
        if http is not None:
            await http.aclose()
    await sessions.flushed()
    if failures:
        raise failures[0]
