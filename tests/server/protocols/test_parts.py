"""An answer as parts: when tool calls begin and end, whatever their deltas look like."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vesselog import StreamChunk, ToolCallDelta
from vesselog.server.protocols import AiSdkEvents
from vesselog.server.protocols.parts import Part, Parts


def chunk(slot: str = "0", finish: Any = None, **fields: Any) -> StreamChunk:
    calls = (ToolCallDelta(slot=slot, **fields),) if fields else ()
    return StreamChunk(tool_calls=calls, finish_reason=finish)


def told(*chunks: StreamChunk, end: bool = True) -> list[tuple[str, str, str, str]]:
    """Event, id, name and text of each part of a tool call."""
    parts = Parts()
    read = [part for each in chunks for part in parts.read(each)]
    read += parts.end() if end else []
    return [(part.event, part.id, part.name, part.text) for part in read]


def test_a_call_begins_when_its_name_is_whole() -> None:
    """Names come in pieces, and ids later; the arguments begin when the name has ended."""
    assert told(chunk(name="get_"), chunk(name="it"), chunk(arguments="{"), end=False) == []
    assert told(
        chunk(name="get_"),
        chunk(name="it"),
        chunk(arguments="{"),
        chunk(id="a", arguments="}"),
        chunk(finish="tool_calls"),
    ) == [
        ("start", "a", "get_it", ""),
        ("delta", "a", "get_it", "{}"),
        ("end", "a", "get_it", "{}"),
    ]


def test_a_call_without_an_id_waits_for_the_one_that_it_gets_at_the_end() -> None:
    """The decoder gives it with the last chunk, or after the finish."""
    ends = [("start", "a", "f", ""), ("delta", "a", "f", "{}"), ("end", "a", "f", "{}")]
    call = chunk(name="f", arguments="{}")
    assert told(call, chunk(id="a", finish="stop")) == ends
    assert told(call, chunk(finish="stop"), chunk(id="a")) == ends


def test_a_call_that_never_gets_an_id_is_named_after_its_slot() -> None:
    assert told(chunk("7", name="f"))[0] == ("start", "call_7", "f", "")


def test_a_call_without_arguments_ends_all_the_same() -> None:
    assert told(chunk(id="a", name="f"), chunk(finish="tool_calls")) == [
        ("start", "a", "f", ""),
        ("end", "a", "f", ""),
    ]


def test_calls_behind_the_finish_are_not_lost() -> None:
    late = chunk("1", id="b", name="g", arguments="{}")
    assert ("end", "b", "g", "{}") in told(chunk(id="a", name="f", finish="stop"), late)


@pytest.mark.parametrize(
    ("part", "arguments"),
    [
        (Part("tool", "end", 0, '{"n": 123456789012345678901}'), {"n": 123456789012345678901}),
        (Part("tool", "end", 0, ""), {}),
        (Part("tool", "end", 0, "SELECT 1", custom=True), "SELECT 1"),
    ],
)
def test_arguments_are_exact(part: Part, arguments: object) -> None:
    assert part.arguments() == arguments


def test_arguments_that_are_no_json_are_told_as_such() -> None:
    protocol = AiSdkEvents()
    protocol.begin(None, None)
    sent = protocol.chunk(chunk(id="a", name="f", arguments='{"cut', finish="length"))
    *_, last = [json.loads(line[6:]) for line in sent.split(b"\n") if line]
    assert (last["type"], last["input"]) == ("tool-input-error", '{"cut')


def test_a_custom_tool_streams_its_text() -> None:
    protocol = AiSdkEvents()
    protocol.begin(None, None)
    sent = protocol.chunk(
        chunk(id="a", name="sql", type="custom", arguments="SELECT 1", finish="stop")
    )
    first, _, last = [json.loads(line[6:]) for line in sent.split(b"\n") if line]
    assert first["inputEncoding"] == "text"
    assert last == {
        "type": "tool-input-available",
        "toolCallId": "a",
        "toolName": "sql",
        "input": "SELECT 1",
    }
