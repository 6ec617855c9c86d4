"""Responses of the Responses API again, from the recordings: whole, or from an event on.

https://developers.openai.com/api/docs/api-reference/responses-streaming and …/guides/background:

    GET  /v1/responses/{id}                                   the response, as far as it has come
    GET  /v1/responses/{id}?stream=true&starting_after=N      its events after number N
    POST /v1/responses/{id}/cancel                            ends it, if it still runs

Nothing is asked for again: an answer that still runs is followed while it is written. One that the
upstream gave in this dialect is sent as it was recorded, any other is written again, which gives
the same events. What is not recorded here, or broke off here although the provider may have the
rest, is the upstream's to answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple, cast

from starlette.datastructures import QueryParams
from starlette.responses import Response, StreamingResponse

from ...core.assembler import Assembler
from ...core.client.async_client import AsyncClient
from ...core.errors import ConfigurationError, ProviderError, RecordingError
from ...core.follow.follow import Follow
from ...core.frame import Frame
from ...core.framing import Framing
from ...core.jsontext import dumps
from ...core.truth.recording import RecordedCall, Recording
from ...vessels.responses_encoder import ResponsesEncoder
from .follow_frames import FollowFrames
from .problems import invalid, problem_response
from .response_ids import Place, asked_at, call_at, find_response, place_of

__all__ = ["ResponseRoutes"]

_PATH = re.compile(r"(?:/openai)?(?:/v1)?/responses/([A-Za-z0-9._:-]{1,300})(/cancel)?/?")
_ENDS = ("completed", "incomplete", "failed", "cancelled")
_NAME = "openai-responses"


class _Found(NamedTuple):
    """A recorded answer.

    own: it was given in this dialect. streamed: as events. created: when it was asked for, in
    seconds since 1970.
    """

    call: RecordedCall
    identifier: str
    own: bool
    streamed: bool
    created: int


class ResponseRoutes:
    """client: whose recordings are read. stop: ends a call that runs here, and says whether."""

    def __init__(self, client: AsyncClient, stop: Callable[[Place], Awaitable[bool]]) -> None:
        self._client = client
        self._stop = stop

    async def is_kept(self, session: str | None) -> bool:
        """Whether the answers of a session are found here; those of a replay are not."""
        try:
            await asyncio.to_thread(self._client.recording, session or "")
        except (RecordingError, ConfigurationError):
            return False
        return True

    async def answer(self, method: str, path: str, query: str) -> Response | None:
        """The answer to a request; None if it is for the upstream."""
        asked = _PATH.fullmatch(path)
        if asked is None or method != ("POST" if asked[2] else "GET"):
            return None
        try:
            found = await self._find(asked[1])
        except (RecordingError, ConfigurationError):  # there is none, or nothing is recorded
            found = None
        if found is None:
            return None
        if asked[2]:
            return await self._cancel(found)
        given = QueryParams(query)
        if given.get("stream") not in {"true", "True", "1"}:
            return _said(await asyncio.to_thread(_whole, found))
        after = given.get("starting_after", "-1")
        if not re.fullmatch(r"-1|[0-9]{1,15}", after):
            headers, body = problem_response(_NAME, invalid(f"{after!r:.40} is no number"))
            return Response(body, 400, headers)
        frames = _recorded(found) if found.own and found.streamed else _written(found)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(
            _after(frames, int(after)), headers=headers, media_type="text/event-stream"
        )

    async def _cancel(self, found: _Found) -> Response | None:
        body = found.call.request.get("body")
        background = isinstance(body, dict) and cast("dict[str, Any]", body).get("background")
        if found.own and background is True:
            return None  # which the provider runs
        await self._stop(Place(found.call.session, found.call.number))
        return _said(await asyncio.to_thread(_whole, found))

    async def _find(self, identifier: str) -> _Found | None:
        place = place_of(identifier)
        if place is None:
            # Any of the files tells the folder.
            async for session in self._client.sessions():
                folder = session.path.parent
                place = await asyncio.to_thread(find_response, folder, identifier)
                break
        if place is None:
            return None
        recording = await asyncio.to_thread(self._client.recording, place.session)
        return await asyncio.to_thread(_found, recording, place.call, identifier)


def _found(recording: Recording, number: int, identifier: str) -> _Found | None:
    """The answer, unless there is none, or the provider may have more of it."""
    call = call_at(recording, number)
    if call is None:
        return None
    request = call.request
    own = str(request.get("url", "")).partition("?")[0].endswith("/responses")
    streamed = request.get("stream") is not False
    found = _Found(call, identifier, own, streamed, asked_at(recording, call))
    if own and call.end is not None and call.outcome != "error":
        ended = call.outcome == "complete" and _last_response(call).get("status") in _ENDS
        return found if ended else None  # it goes on in the provider's background
    return found


def _whole(found: _Found) -> dict[str, Any]:
    """The response so far."""
    call = found.call
    known = _last_response(call) if found.own else {}
    if known.get("status") in _ENDS:
        return known
    completion = call.completion()
    encoder = _encoder(found)
    if completion.outcome is None:
        running = {**encoder.whole(completion), "status": "in_progress"}
        return {**known, **running} if known else running
    made = encoder.whole(completion)
    error = call.error
    if error is not None and made["status"] == "failed":
        made["error"] = {"code": _code(error), "message": error.message}
    return made


def _last_response(call: RecordedCall) -> dict[str, Any]:
    """The last response that a recorded answer has."""
    found: dict[str, Any] = {}
    for frame in call.frames():
        value = _value(frame.raw)
        if value.get("object") == "response":
            found = value
        elif isinstance(value.get("response"), dict):
            found = value["response"]
    return found


async def _recorded(found: _Found) -> AsyncIterator[tuple[int, bytes]]:
    """The recorded frames, each with the number of its event."""
    number = -1
    follow = FollowFrames(found.call.path, call=found.call.number)
    async for raw in follow.frames():
        value = _value(raw)
        given = value.get("sequence_number")
        number = given if type(given) is int else number + bool(value)
        yield number, raw
    if follow.outcome != "complete" and not isinstance(follow.error, ProviderError):
        event: dict[str, Any] = {"type": "error", "code": follow.outcome, "param": None}
        event |= {"message": f"the answer is {follow.outcome}", "sequence_number": number + 1}
        yield number + 1, b"event: error\ndata: " + dumps(event) + b"\n\n"


async def _written(found: _Found) -> AsyncIterator[tuple[int, bytes]]:
    """The answer, written again: each event with its number."""
    encoder, assembler = _encoder(found), Assembler()
    follow = Follow(found.call.path, call=found.call.number)
    number = 0
    async for chunk in follow:
        assembler.add(chunk)
        for event in _events(encoder.write(chunk)):
            yield number, event
            number += 1
    if follow.outcome == "complete":
        last = encoder.end(assembler.completion(outcome="complete"))
    else:
        error = follow.error
        said = f"the answer is {follow.outcome}" if error is None else error.message
        last = encoder.fail(_code(error) if error else str(follow.outcome), said)
    for event in _events(last):
        yield number, event
        number += 1


async def _after(frames: AsyncIterator[tuple[int, bytes]], number: int) -> AsyncIterator[bytes]:
    async for place, data in frames:
        if place > number:
            yield data


def _events(data: bytes) -> list[bytes]:
    """The events in what an encoder wrote, in whose JSON no line ends."""
    return [event + b"\n\n" for event in data.split(b"\n\n") if event]


def _encoder(found: _Found) -> ResponsesEncoder:
    model = found.call.request.get("model")
    return ResponsesEncoder(
        model=str(model or ""), identifier=found.identifier, created=found.created
    )


def _value(raw: bytes) -> dict[str, Any]:
    """The JSON object in a frame or a body; an empty one if there is none."""
    stripped = raw.lstrip()
    frame = Frame(raw, Framing.BODY if stripped.startswith(b"{") else Framing.SSE)
    try:
        value = frame.json()
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _code(error: Any) -> str:
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else "server_error"


def _said(value: dict[str, Any]) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(dumps(value), headers=headers, media_type="application/json")
