"""Writes the chunks of any answer as the events of OpenAI's Responses API.

https://developers.openai.com/api/docs/api-reference/responses-streaming. Reasoning, text and calls
become items in the order in which they begin. An item of reasoning or a message ends where another
begins; calls may come in turns, so they all end with the answer. Only the first choice is written:
the API has no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.chunk import StreamChunk, ToolCallDelta, Usage
from ..core.completion import Completion
from .responses_call import WrittenCall
from .responses_shape import (
    completion_to_response,
    message_item,
    output_logprobs,
    reasoning_item,
    response_object,
)

__all__ = ["ResponseEvents"]

Event = dict[str, Any]


class ResponseEvents:
    """The events of one answer, in order, each with its `sequence_number`, from 0.

    response_id: of the response. created: seconds since 1970. asked: the request's body, parts of
    which the response repeats.
    """

    def __init__(
        self,
        response_id: str,
        *,
        model: str = "",
        created: int = 0,
        asked: Mapping[str, Any] | None = None,
    ) -> None:
        self._id = response_id
        self._model = model
        self._created = created
        self._asked = asked
        self._number = response_id.removeprefix("resp_")
        self._sequence = 0
        self._output: list[dict[str, Any]] = []  # an item that has not ended as it began
        self._open = ""  # the kind of the item that texts go to
        self._parts: list[dict[str, Any]] = []
        self._pieces: list[str] = []
        self._logprobs: list[dict[str, Any]] = []
        self._calls: dict[str, WrittenCall] = {}

    def begin(self) -> list[Event]:
        """The events before any content."""
        response = self._response("in_progress", output=[])
        return [
            self._event("response.created", response=response),
            self._event("response.in_progress", response=response),
        ]

    def write(self, chunk: StreamChunk) -> list[Event]:
        """The events of a chunk."""
        if chunk.choice != 0:
            return []
        events: list[Event] = []
        if chunk.reasoning:
            self._say("reasoning", "summary_text", chunk.reasoning, events)
        if chunk.text:
            logprobs = output_logprobs(chunk.logprobs, "content")
            self._say("message", "output_text", chunk.text, events, logprobs)
        if chunk.refusal:
            self._say("message", "refusal", chunk.refusal, events)
        for delta in chunk.tool_calls:
            self._call(delta, events)
        return events

    def end(self, completion: Completion) -> list[Event]:
        """The last events of an answer that came to its end."""
        events: list[Event] = []
        self._close(events)
        self._end_calls(events)
        response = completion_to_response(
            completion, response_id=self._id, created=self._created, asked=self._asked
        )
        response |= {"output": self._output, "model": self._model or response["model"]}
        events.append(self._event(f"response.{response['status']}", response=response))
        return events

    def fail(self, code: str, message: str, usage: Usage | None = None) -> list[Event]:
        """The last event of an answer that failed, with what came of it."""
        error = {"code": code, "message": message}
        self._close([])
        self._end_calls([])
        response = self._response("failed", output=self._output, error=error, usage=usage)
        return [self._event("response.failed", response=response)]

    def _response(self, status: str, output: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return response_object(
            self._id,
            status,
            output,
            model=self._model,
            created=self._created,
            asked=self._asked,
            **more,
        )

    def _event(self, kind: str, **fields: Any) -> Event:
        event = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return event

    def _say(
        self,
        item: str,
        part: str,
        text: str,
        events: list[Event],
        logprobs: list[dict[str, Any]] | None = None,
    ) -> None:
        if self._open != item:
            self._close(events)
            self._begin_item(item, events)
        if not self._parts or self._parts[-1]["type"] != part:
            self._end_part(events)
            key = "refusal" if part == "refusal" else "text"
            begun: dict[str, Any] = {"type": part, key: ""}
            if part == "output_text":
                begun["annotations"] = []
            self._parts.append(begun)
            name = "reasoning_summary_part" if item == "reasoning" else "content_part"
            events.append(self._event(f"response.{name}.added", **self._place(), part=dict(begun)))
        self._pieces.append(text)
        fields: dict[str, Any] = {"delta": text}
        if part == "output_text":
            fields["logprobs"] = logprobs or []
            self._logprobs += logprobs or ()
        events.append(self._event(f"{_name_of(part)}.delta", **self._place(), **fields))

    def _place(self) -> dict[str, Any]:
        """Where the text is that comes now."""
        index = len(self._output) - 1
        key = "summary_index" if self._open == "reasoning" else "content_index"
        return {
            "item_id": self._output[index]["id"],
            "output_index": index,
            key: len(self._parts) - 1,
        }

    def _begin_item(self, kind: str, events: list[Event]) -> None:
        self._open, self._parts = kind, []
        number = f"{self._number}_{len(self._output)}"
        if kind == "reasoning":
            item = reasoning_item(f"rs_{number}", None)
        else:
            item = message_item(f"msg_{number}", [], status="in_progress")
        self._add(item, events)

    def _add(self, item: dict[str, Any], events: list[Event]) -> int:
        self._output.append(item)
        index = len(self._output) - 1
        events.append(self._event("response.output_item.added", output_index=index, item=item))
        return index

    def _end_part(self, events: list[Event]) -> None:
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
        events.append(self._event(f"{_name_of(part['type'])}.done", **place, **fields))
        events.append(self._event(f"response.{name}.done", **place, part=dict(part)))

    def _close(self, events: list[Event]) -> None:
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

    def _call(self, delta: ToolCallDelta, events: list[Event]) -> None:
        call = self._calls.get(delta.slot)
        if call is None:
            self._close(events)
            self._announce(events)
            call = self._calls[delta.slot] = WrittenCall()
        call.add(delta)
        if delta.arguments:
            self._announce(events)
            fields = {**self._of(call), "delta": delta.arguments}
            events.append(self._event(f"{call.event}.delta", **fields))

    def _announce(self, events: list[Event]) -> None:
        """Begin the items of calls: their names are whole when arguments or another call come."""
        for call in self._calls.values():
            if call.index is None:
                number = f"{self._number}_{len(self._output)}"
                self._close(events)
                call.index = self._add(call.item(number, begun=True), events)

    def _of(self, call: WrittenCall) -> dict[str, Any]:
        index = call.index or 0
        return {"item_id": self._output[index]["id"], "output_index": index}

    def _end_calls(self, events: list[Event]) -> None:
        self._announce(events)
        for call in self._calls.values():
            index = call.index or 0
            item = self._output[index] = call.item(f"{self._number}_{index}")
            events.append(self._event(f"{call.event}.done", **self._of(call), **call.whole))
            events.append(self._event("response.output_item.done", output_index=index, item=item))


def _name_of(part: str) -> str:
    return "response.reasoning_summary_text" if part == "summary_text" else f"response.{part}"
