"""Clients that lose their connections, and go on by the id of the last event."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

__all__ = ["Answer", "Event", "Visitor", "events_of", "visitor"]


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event. id: None where it has none."""

    id: str | None
    name: str
    data: Any


def _event(block: bytes) -> Event | None:
    """None for a comment."""
    lines = [line.partition(b": ") for line in block.split(b"\n") if line[:1] != b":"]
    fields = {name: value for name, _, value in lines}
    if b"data" not in fields:
        return None
    data = fields[b"data"]
    value = None if data == b"[DONE]" else json.loads(data)
    position = fields[b"id"].decode() if b"id" in fields else None
    return Event(position, fields.get(b"event", b"").decode(), value)


async def events_of(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """Its events; ends without a word where the connection breaks."""
    buffer = b""
    try:
        async for piece in response.content.iter_any():
            *blocks, buffer = (buffer + piece).split(b"\n\n")
            for block in blocks:
                if (event := _event(block)) is not None:
                    yield event
    except (aiohttp.ClientError, ConnectionError):
        return


@dataclass
class Answer:
    """What one client has of an answer."""

    events: list[Event] = field(default_factory=list[Event])
    connections: int = 0

    @property
    def last(self) -> str | None:
        """The id of the last event that had one."""
        return next((event.id for event in reversed(self.events) if event.id is not None), None)

    @property
    def ended(self) -> bool:
        """Whether it has its terminal event."""
        return self.last is not None and self.last.endswith(":end")


@dataclass
class Visitor:
    """One user of the chat."""

    http: aiohttp.ClientSession
    url: str
    session: str
    cookies: dict[str, str]

    def ask(self, message: str) -> Any:
        """The response to a question, as a context manager."""
        body = {"message": message, "session": self.session}
        return self.http.post(f"{self.url}/chat", json=body, cookies=self.cookies)

    def resume(self, answer: Answer, query: str = "after=-1") -> Any:
        """What follows, as a context manager."""
        headers = {} if answer.last is None else {"Last-Event-ID": answer.last}
        address = f"{self.url}/sessions/{self.session}?{query}"
        return self.http.get(address, headers=headers, cookies=self.cookies)

    async def read(
        self, answer: Answer, at_most: float = float("inf"), query: str = "after=-1"
    ) -> None:
        """Read that many further events, then drop the connection; or all that it gives.

        A server that is being started anew is asked again.
        """
        try:
            async with self.resume(answer, query) as response:
                assert response.status in {200, 204}, (response.status, await response.text())
                answer.connections += 1
                count = 0
                async for event in events_of(response):
                    answer.events.append(event)
                    count += 1
                    if count >= at_most:
                        return
        except aiohttp.ClientError:
            return

    async def read_all(self, every: float, query: str = "after=-1") -> Answer:
        """Drop the connection after every so many events, until the terminal one."""
        answer = Answer()
        while not answer.ended:
            await self.read(answer, every, query)
        return answer


async def visitor(http: aiohttp.ClientSession, url: str) -> Visitor:
    """A new user with a new conversation."""
    async with http.post(f"{url}/conversations") as named:
        cookies = {name: morsel.value for name, morsel in named.cookies.items()}
        session = (await named.json())["session"]
    return Visitor(http, url, session, cookies)
