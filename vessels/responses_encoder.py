"""Writes the answers of any provider in the dialect of OpenAI's Responses API.

https://developers.openai.com/api/docs/api-reference/responses-streaming. Reasoning, text and calls
become items in the order in which they begin. An item of reasoning or a message ends where another
begins; the pieces of calls may come in turns, so calls all end with the answer. Only the first
choice is written: the API has no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..core.chunk import StreamChunk
from ..core.completion import Completion
from .answer_calls import AnswerCall, AnswerCalls
from .answer_encoder import AnswerEncoder, event
from .responses_shape import (
    call_event,
    call_item,
    completion_to_response,
    message_item,
    output_logprobs,
    reasoning_item,
    response_object,
    text_event,
)

__all__ = ["ResponsesEncoder"]


class ResponsesEncoder(AnswerEncoder):
    """Its events have a `sequence_number`, from 0.

    model: where the provider names none. identifier: of the response, instead of the provider's;
    it may be set until the first chunk. created: seconds since 1970. asked: the request's body,
    parts of which a response repeats.
    """

    heartbeat: ClassVar[bytes] = b": keep-alive\n\n"

    def __init__(
        self,
        *,
        model: str,
        identifier: str,
        created: int = 0,
        asked: Mapping[str, Any] | None = None,
    ) -> None:
        self.identifier = identifier
        self._model = model
        self._created = created
        self._asked = asked
        self._begun = False
        self._sequence = 0
        self._output: list[dict[str, Any]] = []  # an item that has not ended as it began
        self._open = ""  # the kind of the item that texts go to
        self._parts: list[dict[str, Any]] = []
        self._pieces: list[str] = []
        self._logprobs: list[dict[str, Any]] = []
        self._calls = AnswerCalls()

    def write(self, chunk: StreamChunk) -> bytes:
        """The events of a chunk."""
        events: list[bytes] = []
        if not self._begun:
            self._begin(chunk.model, events)
        if chunk.choice:
            return b"".join(events)
        if chunk.reasoning:
            self._say("reasoning", "summary_text", chunk.reasoning, events)
        if chunk.text:
            logprobs = output_logprobs(chunk.logprobs, "content")
            self._say("message", "output_text", chunk.text, events, logprobs)
        if chunk.refusal:
            self._say("message", "refusal", chunk.refusal, events)
        for delta in chunk.tool_calls:
            for call in self._calls.add(delta):
                self._call(call, events)
        return b"".join(events)

    def end(self, completion: Completion) -> bytes:
        """The end of all items, and the response with its output and token counts."""
        events: list[bytes] = []
        if not self._begun:
            self._begin(completion.model, events)
        self._end_items(events)
        response = {**self.whole(completion), "output": self._output}
        events.append(self._event(f"response.{response['status']}", response=response))
        return b"".join(events)

    def fail(self, code: str, message: str) -> bytes:
        """The response with what came of its output, and why it failed."""
        events: list[bytes] = []
        if not self._begun:
            self._begin(None, events)
        self._end_items(events)
        error = {"code": code, "message": message}
        response = self._response("failed", self._output, error=error)
        events.append(self._event("response.failed", response=response))
        return b"".join(events)

    def whole(self, completion: Completion) -> dict[str, Any]:
        """A `response`."""
        return completion_to_response(
            completion,
            response_id=self.identifier,
            model=self._model,
            created=self._created,
            asked=self._asked,
        )

    @property
    def _number(self) -> str:
        """What the ids of items are made of."""
        return self.identifier.removeprefix("resp_")

    def _response(self, status: str, output: list[Any], **more: Any) -> dict[str, Any]:
        more |= {"model": self._model, "created": self._created, "asked": self._asked}
        return response_object(self.identifier, status, output, **more)

    def _begin(self, model: str | None, events: list[bytes]) -> None:
        self._begun = True
        self._model = model or self._model
        response = self._response("in_progress", [])
        events += [
            self._event("response.created", response=response),
            self._event("response.in_progress", response=response),
        ]

    def _event(self, kind: str, **fields: Any) -> bytes:
        written = event({"type": kind, "sequence_number": self._sequence, **fields}, kind)
        self._sequence += 1
        return written

    def _say(
        self,
        item: str,
        part: str,
        text: str,
        events: list[bytes],
        logprobs: list[dict[str, Any]] | None = None,
    ) -> None:
        if self._open != item:
            self._close(events)
            number = f"{self._number}_{len(self._output)}"
            begun = message_item(f"msg_{number}", [], status="in_progress")
            self._add(reasoning_item(f"rs_{number}") if item == "reasoning" else begun, events)
            self._open = item
        if not self._parts or self._parts[-1]["type"] != part:
            self._end_part(events)
            key = "refusal" if part == "refusal" else "text"
            new: dict[str, Any] = {"type": part, key: ""}
            if part == "output_text":
                new["annotations"] = []
            self._parts.append(new)
            name = "reasoning_summary_part" if item == "reasoning" else "content_part"
            events.append(self._event(f"response.{name}.added", **self._place(), part=dict(new)))
        self._pieces.append(text)
        fields: dict[str, Any] = {"delta": text}
        if part == "output_text":
            fields["logprobs"] = logprobs or []
            self._logprobs += logprobs or ()
        events.append(self._event(f"{text_event(part)}.delta", **self._place(), **fields))

    def _place(self) -> dict[str, Any]:
        """Where the text is that comes now."""
        index = len(self._output) - 1
        key = "summary_index" if self._open == "reasoning" else "content_index"
        return {
            "item_id": self._output[index]["id"],
            "output_index": index,
            key: len(self._parts) - 1,
        }

    def _add(self, item: dict[str, Any], events: list[bytes]) -> int:
        self._output.append(item)
        index = len(self._output) - 1
        events.append(self._event("response.output_item.added", output_index=index, item=item))
        return index

    def _end_part(self, events: list[bytes]) -> None:
        if not self._parts:
            return
        part, text = self._parts[-1], "".join(self._pieces)
        self._pieces = []
        key = "refusal" if part["type"] == "refusal" else "text"
        part[key] = text
        fields: dict[str, Any] = {key: text}
        if part["type"] == "output_text":
            fields["logprobs"] = self._logprobs
            if self._logprobs:
                part["logprobs"] = self._logprobs
            self._logprobs = []
        place = self._place()
        name = "reasoning_summary_part" if self._open == "reasoning" else "content_part"
        events.append(self._event(f"{text_event(part['type'])}.done", **place, **fields))
        events.append(self._event(f"response.{name}.done", **place, part=dict(part)))

    def _close(self, events: list[bytes]) -> None:
        """End the item that texts go to."""
        if not self._open:
            return
        self._end_part(events)
        index = len(self._output) - 1
        begun = self._output[index]
        key = "summary" if self._open == "reasoning" else "content"
        item = {**begun, key: self._parts}
        if "status" in item:
            item["status"] = "completed"
        self._output[index] = item
        self._open, self._parts = "", []
        events.append(self._event("response.output_item.done", output_index=index, item=item))

    def _call(self, call: AnswerCall, events: list[bytes]) -> None:
        """Begin a call, and say what has come of it."""
        if call.number is None:
            self._close(events)
            number = f"{self._number}_{len(self._output)}"
            call.number = self._add(call_item(call, number, text=""), events)
        if piece := call.take():
            place = self._place_of(call)
            events.append(self._event(f"{call_event(call)}.delta", **place, delta=piece))

    def _place_of(self, call: AnswerCall) -> dict[str, Any]:
        index = call.number or 0
        return {"item_id": self._output[index]["id"], "output_index": index}

    def _end_items(self, events: list[bytes]) -> None:
        self._close(events)
        self._calls.close()
        for call in self._calls:
            self._call(call, events)
        for call in self._calls:
            place = self._place_of(call)
            index = place["output_index"]
            text = call.text or ("" if call.custom else "{}")
            item = call_item(call, f"{self._number}_{index}", text=text, status="completed")
            self._output[index] = item
            whole = {"input": text} if call.custom else {"arguments": text, "name": call.name}
            events += [
                self._event(f"{call_event(call)}.done", **place, **whole),
                self._event("response.output_item.done", output_index=index, item=item),
            ]
