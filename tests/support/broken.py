"""A small dialect done right, and the same with one thing wrong each: what the kit has to find.

`{"say": "text"}` says, `{"end": "stop"}` ends, `{"problem": "text"}` fails; server-sent events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from vesselog.core.chunk import ChunkFields, StreamChunk
from vesselog.core.errors import InvalidRequestError, ProviderError
from vesselog.core.frame import Frame
from vesselog.core.jsontext import dumps
from vesselog.core.request import ChatRequest, chat_request
from vesselog.core.vessel import Decoder, Progress, Vessel, WireRequest
from vesselog.vessels import error_of_status, route_url

NOT_SENT = {"options", "extra_body", "split_think"}


class ToyDecoder(Decoder):
    """The decoder done right."""

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        if frame.data is None:
            return ()
        return self.read(frame.json())

    def read(self, event: dict[str, Any]) -> Iterable[ChunkFields]:
        if "problem" in event:
            raise ProviderError(event["problem"])
        fields: ChunkFields = {}
        if event.get("say"):
            fields["text"] = event["say"]
        if event.get("end"):
            fields["finish_reason"] = event["end"]
            self.progress = Progress.TERMINATED
        return [fields] if fields else []


class Toy(Vessel):
    """The vessel done right."""

    name = "toy"
    version = "1"
    default_base_url = "http://127.0.0.1:1"
    makes: type[ToyDecoder] = ToyDecoder

    def request(self, chat: ChatRequest) -> WireRequest:
        url = route_url(self.base_url, "/say", routes=["/say"], root="")
        return WireRequest(url=url, body=self.body(chat), stream=chat.stream)

    def body(self, chat: ChatRequest) -> dict[str, Any]:
        """The request itself, as JSON."""
        fields = chat.model_dump(mode="json", exclude_none=True, exclude=NOT_SENT)
        for message in fields.get("messages", ()):
            message.pop("native", None)
        return {**fields, **(chat.options or {}), **(chat.extra_body or {})}

    def decoder(self, request: WireRequest) -> Decoder:
        return self.makes()

    def failure(self, status: int, text: str) -> ProviderError:
        return error_of_status(self.name, status, text)

    def encode(self, chunk: StreamChunk) -> bytes | None:
        event: dict[str, Any] = {"say": chunk.text} if chunk.text else {}
        if chunk.finish_reason:
            event["end"] = chunk.finish_reason
        return b"data: " + dumps(event) + b"\n\n"


class Reading(Toy):
    """It reads its requests, and does it right."""

    def read_request(self, route: str, body: Any) -> ChatRequest:
        if not isinstance(body, dict):
            raise InvalidRequestError("body: must be an object")
        known = {key: body[key] for key in body if key in ChatRequest.model_fields}
        extra = {key: body[key] for key in body if key not in known}
        return chat_request(**{"model": "", **known}, extra_body=extra or None)


class Forgetful(Reading):
    """Of a request that it reads it forgets what it does not know."""

    def read_request(self, route: str, body: Any) -> ChatRequest:
        return super().read_request(route, body).model_copy(update={"extra_body": None})


class Trusting(Reading):
    """It reads any body as if it were one of its own."""

    def read_request(self, route: str, body: Any) -> ChatRequest:
        return super().read_request(route, {"messages": [], **body, "model": str(body["model"])})


class Shared(Toy):
    """Its decoders share their state."""

    class makes(ToyDecoder):  # noqa: N801 - stands in the place of an attribute
        spoken: list[str] = []  # noqa: RUF012 - shared by all: that is what is wrong

        def read(self, event: dict[str, Any]) -> Iterable[ChunkFields]:
            self.spoken.append(event.get("say", ""))
            for fields in super().read(event):
                yield {**fields, "extra": {"pieces": len(self.spoken)}}


class Hasty(Toy):
    """The answer is whole as soon as it begins."""

    class makes(ToyDecoder):  # noqa: N801
        def read(self, event: dict[str, Any]) -> Iterable[ChunkFields]:
            chunks = super().read(event)
            self.progress = Progress.FINISHED
            return chunks


class Retreating(Toy):
    """Its progress goes back."""

    class makes(ToyDecoder):  # noqa: N801
        def read(self, event: dict[str, Any]) -> Iterable[ChunkFields]:
            chunks = super().read(event)
            if not chunks:
                self.progress = Progress.FINISHED
            return chunks


class Deaf(Toy):
    """An error is an event like any other."""

    class makes(ToyDecoder):  # noqa: N801
        def read(self, event: dict[str, Any]) -> Iterable[ChunkFields]:
            return () if "problem" in event else super().read(event)


class Strict(Toy):
    """A field that it does not know is an error."""

    class makes(ToyDecoder):  # noqa: N801
        def read(self, event: dict[str, Any]) -> Iterable[ChunkFields]:
            if not event.keys() <= {"say", "end", "problem", "note"}:
                raise ValueError("what is this?")
            return super().read(event)


class LineMinded(Toy):
    """It looks for LF in the raw text."""

    class makes(ToyDecoder):  # noqa: N801
        def decode(self, frame: Frame) -> Iterable[ChunkFields]:
            return super().decode(frame) if "}\n\n" in frame.text else ()


class Lossy(Toy):
    """It leaves out what is short."""

    class makes(ToyDecoder):  # noqa: N801
        def read(self, event: dict[str, Any]) -> Iterable[ChunkFields]:
            return [each for each in super().read(event) if len(each.get("text", "long")) > 1]


class WrongBack(Toy):
    """It encodes in capitals."""

    def encode(self, chunk: StreamChunk) -> bytes | None:
        return b"data: " + dumps({"say": chunk.text.upper()}) + b"\n\n"


class Raising(Toy):
    """An error body that is no object surprises it."""

    def failure(self, status: int, text: str) -> ProviderError:
        import json

        return ProviderError(json.loads(text)["error"], status=status)


class Unstreaming(Toy):
    """It asks for a stream, whatever was asked of it."""

    def request(self, chat: ChatRequest) -> WireRequest:
        made = super().request(chat)
        return replace(made, body={**self.body(chat), "stream": True}, stream=True, content=b"")


class Counting(Toy):
    """Numbers its requests, in a header."""

    asked = 0

    def request(self, chat: ChatRequest) -> WireRequest:
        Counting.asked += 1
        return replace(super().request(chat), headers={"x-number": str(Counting.asked)})


class Clockwork(Toy):
    """It looks at a clock."""

    class makes(ToyDecoder):  # noqa: N801
        def read(self, event: dict[str, Any]) -> Iterable[ChunkFields]:
            import time

            chunks = list(super().read(event))
            return [{**chunks[0], "extra": {"now": time.time_ns()}}] if chunks else []


class Lenient(Toy):
    """What it cannot read is the end."""

    class makes(ToyDecoder):  # noqa: N801
        def decode(self, frame: Frame) -> Iterable[ChunkFields]:
            try:
                return super().decode(frame)
            except ValueError:
                self.progress = Progress.FINISHED
                return ()


class Silent(Toy):
    """It hears and says nothing."""

    class makes(ToyDecoder):  # noqa: N801
        def read(self, event: dict[str, Any]) -> Iterable[ChunkFields]:
            for fields in super().read(event):
                del fields
            return ()


class Unreadable(Toy):
    """It expects another dialect."""

    class makes(ToyDecoder):  # noqa: N801
        def read(self, event: dict[str, Any]) -> Iterable[ChunkFields]:
            return super().read(event["data"])
