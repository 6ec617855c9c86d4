"""Anthropic's blocks come one after the other, however the pieces of an answer are mixed."""

from __future__ import annotations

import json
from typing import Any

from vesselog.core.chunk import StreamChunk, Usage
from vesselog.core.completion import Completion
from vesselog.vessels.anthropic_encoder import AnthropicEncoder


def encoder() -> AnthropicEncoder:
    return AnthropicEncoder(model="m", identifier="msg_1")


def piece(slot: str, arguments: str = "", **fields: Any) -> StreamChunk:
    return StreamChunk(tool_calls=[{"slot": slot, "arguments": arguments, **fields}])


def named(slot: str) -> StreamChunk:
    return piece(slot, id=f"id{slot}", name="f")


def told(body: bytes) -> list[str]:
    """The events of blocks in short: begin, text, end, each with the index."""
    lines = [line for line in body.decode().split("\n") if line.startswith("data: ")]
    short: list[str] = []
    for event in (json.loads(line.removeprefix("data: ")) for line in lines):
        match event["type"]:
            case "content_block_start":
                block = event["content_block"]
                short.append(f"{event['index']}+{block.get('id', block['type'])}")
            case "content_block_delta":
                delta = event["delta"]
                text = next(value for key, value in delta.items() if key != "type")
                short.append(f"{event['index']}:{text}")
            case "content_block_stop":
                short.append(f"{event['index']}-")
            case _:
                pass
    return short


def test_the_pieces_of_a_parallel_call_wait_until_the_first_is_whole() -> None:
    made = encoder()
    body = b"".join(
        map(
            made.write,
            [
                *(named("0"), piece("0", '{"a"')),
                *(named("1"), piece("1", '{"b":')),
                piece("0", ":1}"),
                piece("1", "2}"),
            ],
        )
    )
    assert told(body) == ["0+id0", '0:{"a"', "0::1}", "0-", "1+id1", '1:{"b":', "1:2}"]
    assert told(made.end(Completion(finish_reason="tool_calls"))) == ["1-"]


def test_text_behind_half_a_call_waits_for_its_end() -> None:
    made = encoder()
    body = b"".join(
        map(
            made.write,
            [named("0"), piece("0", '{"a'), StreamChunk(text="Then"), piece("0", '":1}')],
        )
    )
    assert told(body) == ["0+id0", '0:{"a', '0:":1}', "0-", "1+text", "1:Then"]


def test_a_call_that_never_becomes_whole_ends_with_the_answer() -> None:
    made = encoder()
    chunks = [named("0"), piece("0", '{"a'), StreamChunk(text="Then")]
    body = b"".join(map(made.write, chunks)) + made.end(Completion(finish_reason="length"))
    assert told(body) == ["0+id0", '0:{"a', "0-", "1+text", "1:Then", "1-"]


def test_thinking_ends_where_text_begins() -> None:
    made = encoder()
    chunks = [StreamChunk(reasoning="Hm"), StreamChunk(reasoning="m"), StreamChunk(text="Hi")]
    assert told(b"".join(map(made.write, chunks))) == [
        *("0+thinking", "0:Hm", "0:m", "0-"),
        *("1+text", "1:Hi"),
    ]


def test_cached_tokens_are_counted_apart() -> None:
    usage = Usage(input_tokens=10, output_tokens=4, cached_input_tokens=6, cache_write_tokens=1)
    assert encoder().whole(Completion(usage=usage))["usage"] == {
        "input_tokens": 3,
        "output_tokens": 4,
        "cache_read_input_tokens": 6,
        "cache_creation_input_tokens": 1,
    }
    more = Usage(input_tokens=3, cached_input_tokens=5)
    assert encoder().whole(Completion(usage=more))["usage"]["input_tokens"] == 0


def test_other_choices_than_the_first_are_not_written() -> None:
    made = encoder()
    assert told(made.write(StreamChunk(choice=1, text="b"))) == []
