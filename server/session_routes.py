"""The sessions of a client over HTTP: resume a running answer, list, stop, read a conversation.

It reads the recordings, so that reader and writer may be different processes of one machine, and
never asks the model. This file is made of Starlette, an extra: `vesselog.server` imports it when it
is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..core.client.async_client import AsyncClient
from ..core.errors import (
    InvalidRequestError,
    RecordingCorruptError,
    RecordingError,
    SessionNameError,
    UsageError,
)
from ..core.follow.follow import Follow
from ..core.jsontext import dumps
from ..core.replay.pace import Speed, checked_speed
from ..core.truth.file_lock import has_writer
from ..core.truth.find_request import find_request
from ..core.truth.recorded_frame import chunks_of
from ..core.truth.recording import Recording
from .asgi import Application
from .check_arguments import check_async_client, check_callable, check_heartbeat
from .event_ids import EventId, whole_number
from .event_stream import EventStream
from .paced import Paced
from .protocols import Protocol, ProtocolName, protocol_of
from .protocols.problem import problem_of
from .session_calls import calls_in
from .stop_elsewhere import stop_elsewhere

__all__ = ["Authorize", "sessions_app"]

Authorize = Callable[[Request, str], bool | Awaitable[bool]]
"""Whether the sender of this request may use this session."""

# Protocols of parts, whose beginnings a client needs: always sent from the beginning.
_OF_PARTS = {"ai-sdk", "ag-ui"}
# Facts of a session that are the operator's; of `meta` the title is shown.
_PRIVATE = {"path", "meta"}


def sessions_app(
    client: AsyncClient,
    *,
    authorize: Authorize,
    protocol: ProtocolName = "vesselog",
    heartbeat: float | None = 15.0,
) -> Application:
    """Make an ASGI application for the sessions in a client's folder, to be mounted in another.

    `GET /{session}` sends an answer, while it is written or later; `?protocol=` may name another
    protocol. With the header `Last-Event-ID`, or with `?call=` and `?after=`, it goes on after that
    chunk; the status is 204 if the last event was the terminal one. Without any of them the last
    answer is sent whole if it has not ended; else the status is 204. An answer whose writer died
    ends with the error `interrupted`. With `?speed=1` the chunks come at the pace at which they
    were recorded, with 2 twice as fast.

    `GET /` lists the sessions, each with the `title` that its `meta` has,
    `GET /{session}/messages` gives the conversation as messages that can be sent again,
    `GET /{session}/calls` gives each question with its answer and how that ended, and
    `POST /{session}/stop` cancels the answers of a session: 204, or 409 if none is running. Of
    those that another process of this machine writes it stops what an EventStream sends.

    Args:
        client: The client whose folder has the sessions, and whose streams `stop` cancels.
        authorize: Called with the request and the session's name before anything of a session is
            read. What it refuses is answered as if it did not exist, by 404.
        protocol: How answers are written, as for EventStream.
        heartbeat: After this many seconds of silence a comment is sent, which keeps the connection
            open; None for no comments.

    Raises:
        ConfigurationError: A setting cannot be used; `client` is a sync Client.
    """
    check_async_client(client, "sessions_app")
    check_callable(authorize, "authorize", "authorize(request, session)")
    protocol_of(protocol)
    check_heartbeat(heartbeat)
    routes = _Sessions(client, authorize, protocol, heartbeat)
    return Starlette(
        routes=[
            Route("/", routes.list),
            Route("/{session}", routes.of(routes.resume)),
            Route("/{session}/messages", routes.of(routes.messages)),
            Route("/{session}/calls", routes.of(routes.calls)),
            Route("/{session}/stop", routes.of(routes.stop), methods=["POST"]),
        ]
    )


class _Sessions:
    """What the routes answer."""

    def __init__(
        self,
        client: AsyncClient,
        authorize: Authorize,
        protocol: ProtocolName,
        heartbeat: float | None,
    ) -> None:
        self._client = client
        self._authorize = authorize
        self._protocol = protocol
        self._heartbeat = heartbeat

    def of(
        self, answer: Callable[[Request, Recording], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """A route of one session, for those who may use it."""

        async def respond(request: Request) -> Response:
            name: str = request.path_params["session"]
            try:
                if not await self._allows(request, name):
                    return _refused(404, "no_session")
                return await answer(request, await asyncio.to_thread(self._client.recording, name))
            except (SessionNameError, RecordingError) as error:
                if not _unreadable(error):
                    return _refused(404, "no_session")
                problem = problem_of(error, session=name, call=None)
                return _refused(problem.status, problem.code)
            except UsageError as error:  # of what the request says: no paths, no settings
                return _refused(400, "invalid_request", error.message)

        return respond

    async def resume(self, request: Request, recording: Recording) -> Response:
        """The rest of an answer."""
        name = cast("ProtocolName", request.query_params.get("protocol", self._protocol))
        protocol = protocol_of(name)
        speed = checked_speed(cast("Speed", request.query_params.get("speed", "max")))
        position = _position(request, recording.session)
        if position is None:
            if await asyncio.to_thread(_has_ended, recording):
                return Response(status_code=204)
            position = None, -1
        call, after = position
        if after is None:
            return Response(status_code=204)
        begin = -1 if name in _OF_PARTS else after
        if begin >= 0:
            await asyncio.to_thread(_begin_later, protocol, recording, call)
        followed = await asyncio.to_thread(Follow, recording.path, call=call, after=begin)
        source = Paced(followed, speed, from_start=begin < 0) if speed else followed
        return EventStream(source, protocol, heartbeat=self._heartbeat)

    async def messages(self, _: Request, recording: Recording) -> Response:
        """The conversation so far."""
        conversation = await asyncio.to_thread(recording.messages)
        return _said([each.model_dump(mode="json", exclude_none=True) for each in conversation])

    async def calls(self, _: Request, recording: Recording) -> Response:
        """The questions and answers."""
        return _said(await asyncio.to_thread(calls_in, recording))

    async def stop(self, _: Request, recording: Recording) -> Response:
        """Cancel what runs."""
        name, path = recording.path.stem, recording.path
        if self._client.stop(name):
            return Response(status_code=204)
        if await asyncio.to_thread(has_writer, path) and await stop_elsewhere(path):
            return Response(status_code=204)
        return _refused(409, "not_running")

    async def list(self, request: Request) -> Response:
        """The sessions that the sender may use."""
        listed: list[dict[str, Any]] = []
        async for each in self._client.sessions():
            if await self._allows(request, each.name):
                summary = each.to_dict()
                told = {name: summary[name] for name in summary if name not in _PRIVATE}
                listed.append({**told, "title": each.meta.get("title")})
        return _said(listed)

    async def _allows(self, request: Request, session: str) -> bool:
        verdict = self._authorize(request, session)
        return bool(await verdict if isawaitable(verdict) else verdict)


def _unreadable(error: Exception) -> bool:
    """Whether a recording is there, but damaged or not to be read."""
    reason = error.__context__
    return isinstance(error, RecordingCorruptError) or (
        isinstance(reason, OSError) and not isinstance(reason, FileNotFoundError)
    )


def _said(value: Any, status: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(dumps(value), status, headers, media_type="application/json")


def _refused(status: int, code: str, message: str | None = None) -> Response:
    return _said({"error": {"code": code, **({"message": message} if message else {})}}, status)


def _position(request: Request, session: str) -> tuple[int | None, int | None] | None:
    """The call and the chunk after which an answer is asked for, None if it is not said.

    The chunk is None if nothing is left. Raises InvalidRequestError.
    """
    last = request.headers.get("last-event-id")
    if last:
        position = EventId.parse(last)
        if position.session != session:
            raise InvalidRequestError("the last event is of another session")
        return position.call, position.seq
    query = request.query_params
    if query.keys().isdisjoint({"call", "after"}):
        return None
    asked = query.get("call")
    return None if asked is None else whole_number(asked), whole_number(query.get("after", "-1"))


def _begin_later(protocol: Protocol, recording: Recording, call: int | None) -> None:
    """Begin an answer that is sent from its middle: its first chunk names the model and the id."""
    found = find_request(recording.path, call)
    if found is None:
        return
    for line in recording.scanned(found.offset, found.number):
        if line.fields["type"] == "frame" and line.call == found.call:
            for first in chunks_of(line, line.call, 0)[:1]:
                protocol.begin(recording.session, first.call)
                protocol.chunk(first.model_copy(update={"tool_calls": ()}))  # nothing is sent of it
                return


def _has_ended(recording: Recording) -> bool:
    """Whether the last call has ended, and no other attempt at it follows."""
    found = find_request(recording.path)
    if found is None:
        return True
    lines = recording.scanned(found.offset, found.number)
    ends = (line.fields for line in lines if line.fields["type"] == "end")
    return any(end.get("call") == found.call and "retry_in" not in end for end in ends)
