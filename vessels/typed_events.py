"""Finds the typed events in a frame of an answer, however they are dressed.

https://docs.claude.com/en/docs/build-with-claude/streaming; OpenAI's Responses API has such events
too. Gateways leave out the `type` that the event's name has too, send pings as words, comments or
empty objects, JSON without `data:`, and several events in one frame. A frame that has no event is
named as a repair and skipped; one that may have lost a part of the answer is a ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from ..core.frame import Frame
from ..core.jsontext import dumps, loads_exact
from ..core.mending import mend_value
from .concatenated_json import DONE, json_values
from .provider_errors import error_in, error_in_band, error_in_event

__all__ = ["Event", "events_in", "object_of", "text_under"]

Event = dict[str, Any]

# What half an event has, and a word like `ping` has not.
_OF_JSON = re.compile(r'[{}\[\]"]')


def events_in(frame: Frame, vessel: str, *, whole: str = "") -> Iterator[Event]:
    """The events of `frame`, each with its `type`. Raises ProviderError, of `vessel`, for an error.

    `whole` is the `object` of an answer that is not streamed: it has no `type`, and gets this one.
    """
    data, text = frame.data, frame.text.strip("\ufeff \t\r\n")
    lines = _bare_lines(text) if frame.ignored else []
    if frame.event == "ping" and (data is None or _says_nothing(data)):
        return _events(lines, frame, vessel, whole)
    if data is not None:
        return _events([*_values(data, frame, vessel), *lines], frame, vessel, whole)
    if text[:1] in {"{", "["}:
        frame.repair("data-without-field-name")
        return _events(_values(text, frame, vessel), frame, vessel, whole)
    for line in text.replace("\r", "\n").split("\n"):
        if line.startswith("error:"):
            frame.repair("error-as-field")
            raise error_in_band(vessel, _value_or_text(line[6:].strip()))
    if frame.event == "error":
        raise error_in_band(vessel, next(iter(lines), None))
    return iter(())


def _says_nothing(data: str) -> bool:
    """Whether the data of a ping has no event in it, nor half of one."""
    value = _value_or_text(data)
    if isinstance(value, str):
        return not _OF_JSON.search(value)
    return not (
        isinstance(value, list)
        or (isinstance(value, dict) and ("type" in value or "error" in value))
    )


def _bare_lines(text: str) -> list[Any]:
    """The errors in lines without a field's name, beside an event: a strict parser drops them."""
    lines = [line for line in text.replace("\r", "\n").split("\n") if line.startswith("{")]
    values = [_value_or_text(line) for line in lines]
    return [value for value in values if isinstance(value, dict) and "error" in value]


def _value_or_text(text: str) -> Any:
    try:
        return loads_exact(text)
    except ValueError:
        return text


def _values(text: str, frame: Frame, vessel: str) -> list[Any]:
    """The JSON values in a payload. An integer may be of any size: some are a tool's input."""
    try:
        return [frame.json() if text is frame.data else loads_exact(text)]
    except ValueError:
        pass
    if text.strip() == DONE:
        frame.repair("done-marker")
        return []
    if text.startswith(":"):
        frame.repair("comment-as-data")
        return []
    try:
        values = json_values(text, frame)
    except ValueError:
        if frame.event == "error":
            raise error_in_band(vessel, text) from None
        if _OF_JSON.search(text):
            raise
        frame.repair("unknown-event")
        return []
    if len(values) > 1:
        frame.repair("glued-events")
    return [value for value in values if value != DONE]


def _events(values: Iterable[Any], frame: Frame, vessel: str, whole: str) -> Iterator[Event]:
    for value in values:
        several = cast("list[Any]", value) if isinstance(value, list) else []
        for each in several or [value]:
            if isinstance(each, dict):
                yield from _event(cast("Event", each), frame, vessel, whole)
            else:
                frame.repair("unknown-event")


def _event(event: Event, frame: Frame, vessel: str, whole: str) -> Iterator[Event]:
    kind = event.get("type")
    if whole and event.get("object") == whole and frame.event != "error":
        yield {**event, "type": whole}
        return
    if (
        whole
        and kind is None
        and frame.event == "message"
        and isinstance(event.get("output"), list)
    ):
        frame.repair("missing-event-type")
        yield {**event, "type": whole}
        return
    if kind == "error" or frame.event == "error" or error_in(event):
        raise error_in_band(vessel, error_in(event) or event, event)
    if (name := str(kind or frame.event)).endswith("Exception"):  # Bedrock's names of errors
        raise error_in_band(vessel, {**event, "type": name}, event)
    if kind and isinstance(kind, str):
        yield event
    elif event.get("role") == "assistant" and "content" in event:  # a whole message of Anthropic's
        frame.repair("missing-event-type")
        yield {**event, "type": "message"}
    elif frame.event != "message":  # which every event without a name is
        frame.repair("missing-event-type")
        yield {**event, "type": frame.event}
    elif event.keys() != {"message"} and (error := error_in_event(event)):
        raise error_in_band(vessel, error)
    else:
        frame.repair("unknown-event")


def text_under(place: Event, name: str, frame: Frame) -> str:
    """The text under `name` in `place`; "" for null and false, JSON of others (repairs `frame`)."""
    value = place.get(name)
    if isinstance(value, str):
        return value
    if value is None or value is False:
        return ""
    frame.repair("unexpected-type")
    return dumps(mend_value(value, frame)).decode()


def object_of(value: Any, frame: Frame) -> Event:
    """`value` if it is an object, else an empty one, which is a repair of `frame`."""
    if isinstance(value, dict):
        return cast("Event", value)
    if value is not None:
        frame.repair("unexpected-type")
    return {}
