"""Reading an answer costs time linear in its bytes, whatever it holds and however it is cut.

Each case is a body that grows with a number. It is read through the exchange and the assembler at
one size and at eight times that: what is quadratic takes 64 times as long.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from decoding import NDJSON, SSE, decode
from reporting import Figure
from vesselog.core.jsontext import dumps
from vesselog.core.vessel import Vessel
from vesselog.vessels import Anthropic, Gemini, Ollama, OpenAI, OpenAIResponses

DOUBLINGS = 3
MOST_A_DOUBLING = 3.0  # what is linear takes 2, what is quadratic 4
LEAST = 0.004  # seconds: a size that takes less tells nothing

VESSELS: dict[str, Vessel] = {
    "openai": OpenAI(base_url="http://x/v1"),
    "ollama": Ollama(base_url="http://x"),
    "anthropic": Anthropic(base_url="http://x", max_tokens=9),
    "gemini": Gemini(base_url="http://x"),
    "responses": OpenAIResponses(base_url="http://x"),
}


class Case(NamedTuple):
    """pieces: the body of this size, as it is read. size: where to begin."""

    dialect: str
    pieces: Callable[[int], list[bytes]]
    size: int
    settings: dict[str, Any]


CASES: dict[str, Case] = {}


def case(*dialects: str, size: int = 1000, **settings: Any) -> Callable[..., Any]:
    """Makes cases of a function of the size and, where there are several, the dialect."""

    def make(function: Callable[..., list[bytes]]) -> Any:
        for dialect in dialects:
            name = f"{dialect}-{function.__name__.replace('_', '-')}"

            def pieces(size: int, dialect: str = dialect) -> list[bytes]:
                return function(size, dialect) if len(dialects) > 1 else function(size)

            CASES[name] = Case(dialect, pieces, size, settings)
        return function

    return make


# One event of each dialect.


def sse(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def openai(delta: Any = None, **more: Any) -> bytes:
    return sse({"id": "c", "choices": [{"index": 0, "delta": delta or {}}], **more})


def ollama(message: Any = None, **more: Any) -> bytes:
    return json.dumps({"model": "m", "message": message or {}, **more}).encode() + b"\n"


def gemini(*parts: Any, **more: Any) -> bytes:
    return sse({"candidates": [{"content": {"parts": list(parts)}, "index": 0}], **more})


def anthropic(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\n".encode() + sse({"type": kind, **more})


def response(kind: str, **more: Any) -> bytes:
    kind = f"response.{kind}"
    return f"event: {kind}\n".encode() + sse({"type": kind, **more})


def said(text: str, output: int = 0, content: int = 0) -> bytes:
    place = {"item_id": f"i{output}", "output_index": output, "content_index": content}
    return response("output_text.delta", delta=text, **place)


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    return b"".join(
        (
            anthropic("content_block_start", index=index, content_block=content),
            *(anthropic("content_block_delta", index=index, delta=each) for each in deltas),
            anthropic("content_block_stop", index=index),
        )
    )


BEGUN = anthropic("message_start", message={"id": "m", "role": "assistant", "content": []})
WORD = {
    "openai": openai({"content": "a"}),
    "ollama": ollama({"content": "a"}),
    "anthropic": anthropic(
        "content_block_delta", index=0, delta={"type": "text_delta", "text": "a"}
    ),
    "gemini": gemini({"text": "a"}),
    "responses": said("a"),
}
ALL = tuple(WORD)
EVENTS = ("openai", "anthropic", "gemini", "responses")


def call(number: int, **function: Any) -> dict[str, Any]:
    return {"index": number, "id": f"c{number}", "function": {"name": f"f{number}", **function}}


# Tool calls.


@case("openai")
def tool_calls_in_one_frame(size: int) -> list[bytes]:
    return [openai({"tool_calls": [call(each, arguments="{}") for each in range(size)]})]


@case("openai")
def tool_calls_in_frames_of_their_own(size: int) -> list[bytes]:
    return [openai({"tool_calls": [call(each, arguments="{}")]}) for each in range(size)]


@case("openai")
def tool_calls_of_one_index(size: int) -> list[bytes]:
    calls = [{**call(each, arguments="{}"), "index": 0} for each in range(size)]
    return [openai({"tool_calls": [each]}) for each in calls]


@case("openai")
def tool_calls_without_index(size: int) -> list[bytes]:
    calls = [call(each, arguments="{}") for each in range(size)]
    for each in calls:
        del each["index"]
    return [openai({"tool_calls": calls})]


@case("openai")
def pieces_of_many_open_tool_calls(size: int) -> list[bytes]:
    begun = [openai({"tool_calls": [call(each)]}) for each in range(size)]
    more = [
        openai({"tool_calls": [{"index": each, "function": {"arguments": "1"}}]})
        for each in range(size)
    ]
    return begun + more


@case("openai", size=2000)
def pieces_of_a_tool_name(size: int) -> list[bytes]:
    first = openai({"tool_calls": [{"index": 0, "function": {"name": "a"}}]})
    more = openai({"tool_calls": [{"index": 0, "function": {"name": "b" * 500}}]})
    return [first] + [more] * size


@case("openai", size=2000)
def arguments_in_pieces(size: int) -> list[bytes]:
    begun = openai({"tool_calls": [call(0)]})
    piece = openai({"tool_calls": [{"index": 0, "function": {"arguments": "[1,"}}]})
    return [begun] + [piece] * size


@case("openai", size=2000)
def arguments_in_pieces_each_with_the_name(size: int) -> list[bytes]:
    def piece(arguments: str) -> bytes:
        function = {"name": "f", "arguments": arguments}
        return openai({"tool_calls": [{"index": 0, "function": function}]})

    return [piece('{"a": "')] + [piece("a" * 200)] * size


@case("ollama")
def tool_calls_in_one_line(size: int) -> list[bytes]:
    calls = [{"function": {"name": f"f{each}", "arguments": {"a": 1}}} for each in range(size)]
    return [ollama({"tool_calls": calls})]


@case("ollama")
def tool_calls_in_lines_of_their_own(size: int) -> list[bytes]:
    calls = [{"function": {"name": f"f{each}", "arguments": {"a": 1}}} for each in range(size)]
    return [ollama({"tool_calls": [each]}) for each in calls]


@case("gemini")
def function_calls_in_one_event(size: int) -> list[bytes]:
    calls = [{"functionCall": {"name": f"f{each}", "args": {"a": 1}}} for each in range(size)]
    return [gemini(*calls)]


@case("gemini")
def function_calls_with_signatures(size: int) -> list[bytes]:
    return [
        gemini({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s" * 20})
        for _ in range(size)
    ]


def part_of_call(path: str, value: str) -> bytes:
    piece = {"jsonPath": path, "stringValue": value, "willContinue": True}
    return gemini({"functionCall": {"name": "f", "partialArgs": [piece], "willContinue": True}})


@case("gemini")
def arguments_in_pieces_with_their_path(size: int) -> list[bytes]:
    return [part_of_call("$.a", "a" * 50)] * size + [gemini({"functionCall": {}})]


@case("gemini")
def arguments_in_ever_new_places(size: int) -> list[bytes]:
    pieces = [part_of_call(f"$.a[{each}].b", "a") for each in range(size)]
    return [*pieces, gemini({"functionCall": {}})]


@case("ollama")
def calls_in_pieces_of_text(size: int) -> list[bytes]:
    begun = ollama({"tool_calls": [call(0, arguments='{"a": "')]})
    more = {"index": 0, "id": "", "function": {"name": "", "arguments": "a" * 50}}
    return [begun, *[ollama({"tool_calls": [more]})] * size]


@case("anthropic")
def tool_use_blocks(size: int) -> list[bytes]:
    piece = {"type": "input_json_delta", "partial_json": "{}"}
    return [BEGUN] + [
        block(each, {"type": "tool_use", "id": f"c{each}", "name": "f"}, piece)
        for each in range(size)
    ]


# Blocks and parts.


@case("anthropic", size=3000)
def thinking_blocks(size: int) -> list[bytes]:
    thought = {"type": "thinking_delta", "thinking": "a"}
    signature = {"type": "signature_delta", "signature": "s" * 20}
    made = [
        block(each, {"type": "thinking", "thinking": ""}, thought, signature)
        for each in range(size)
    ]
    return [BEGUN, *made]


@case("anthropic", size=3000)
def redacted_thinking_blocks(size: int) -> list[bytes]:
    return [BEGUN] + [
        block(each, {"type": "redacted_thinking", "data": "x"}) for each in range(size)
    ]


@case("anthropic", size=3000)
def citations(size: int) -> list[bytes]:
    said = {"type": "citations_delta", "citation": {"url": "u"}}
    return [BEGUN] + [block(each, {"type": "text", "text": "a"}, said) for each in range(size)]


@case("anthropic")
def blocks_that_never_end(size: int) -> list[bytes]:
    return [BEGUN] + [
        anthropic("content_block_start", index=each, content_block={"type": "text", "text": "a"})
        for each in range(size)
    ]


@case("anthropic", "openai", "gemini", size=500)
def counts_under_ever_new_names(size: int, dialect: str) -> list[bytes]:
    made: list[bytes] = [BEGUN] if dialect == "anthropic" else []
    for each in range(size):
        usage = {f"tokens_{each}": each, "output_tokens": each}
        match dialect:
            case "anthropic":
                made.append(anthropic("message_delta", delta={}, usage=usage))
            case "gemini":
                made.append(gemini({"text": "a"}, usageMetadata=usage))
            case _:
                made.append(openai({"content": "a"}, usage=usage))
    return made


@case("gemini", size=500)
def parts_of_a_kind_of_their_own(size: int) -> list[bytes]:
    return [gemini({"executableCode": {"code": str(each)}}) for each in range(size)]


@case("gemini", size=500)
def parts_of_a_kind_of_their_own_in_one_event(size: int) -> list[bytes]:
    return [gemini(*({"executableCode": {"code": str(each)}} for each in range(size)))]


@case("gemini", size=4000)
def texts_in_one_event(size: int) -> list[bytes]:
    return [gemini(*({"text": "abcdefgh" * 8} for _ in range(size)))]


@case("openai", size=500)
def reasoning_details_in_pieces(size: int) -> list[bytes]:
    detail = {"type": "reasoning.text", "text": "a", "index": 0}
    return [openai({"reasoning": "a", "reasoning_details": [detail]})] * size


@case("openai", size=500)
def reasoning_details_of_ever_new_indexes(size: int) -> list[bytes]:
    return [
        openai({"reasoning_details": [{"type": "reasoning.text", "text": "a", "index": each}]})
        for each in range(size)
    ]


@case("openai", size=500)
def annotations_in_pieces(size: int) -> list[bytes]:
    return [openai({"content": "a", "annotations": [{"url": str(each)}]}) for each in range(size)]


@case("openai", size=500)
def a_sound_in_pieces(size: int) -> list[bytes]:
    return [openai({"audio": {"id": "s", "data": "AAAA"}})] * size


@case("openai", size=500)
def texts_and_parts_in_turn(size: int) -> list[bytes]:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}
    return [openai({"content": [thought]}), openai({"content": "b"})] * size


@case("openai", size=2000)
def arguments_that_are_whole_again_and_again(size: int) -> list[bytes]:
    begun = openai({"tool_calls": [call(0, arguments='{"a": "' + "a" * 5000 + '"}')]})
    more = openai({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    return [begun] + [more] * size


@case("openai", size=2000)
def arguments_that_can_never_be_whole(size: int) -> list[bytes]:
    more = openai({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    return [openai({"tool_calls": [call(0, arguments="abc")]})] + [more] * size


@case("openai")
def arguments_that_begin_as_no_value(size: int) -> list[bytes]:
    return [openai({"function_call": {"name": "f", "arguments": "a"}})] * size


@case("openai")
def arguments_that_are_an_endless_number(size: int) -> list[bytes]:
    return [openai({"function_call": {"name": "f", "arguments": "1"}})] * size


@case("openai")
def ever_new_keys_of_one_object(size: int) -> list[bytes]:
    return [openai(x={"y": {f"k{number}": 1}}) for number in range(size)]


@case("openai", size=4000)
def content_in_parts(size: int) -> list[bytes]:
    return [openai({"content": [{"type": "text", "text": "abcdefgh" * 8}] * size})]


# Items of a response.


def item(number: int, kind: str = "message", **more: Any) -> dict[str, Any]:
    return {"id": f"i{number}", "type": kind, **more}


def text_part(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], **more}


def function(number: int, arguments: str = "") -> dict[str, Any]:
    return item(number, "function_call", call_id=f"c{number}", name="f", arguments=arguments)


def begun(content: dict[str, Any], output: int) -> bytes:
    return response("output_item.added", output_index=output, item=content)


def done(content: dict[str, Any], output: int) -> bytes:
    return response("output_item.done", output_index=output, item=content)


@case("responses")
def items_in_events_of_their_own(size: int) -> list[bytes]:
    return [
        begun(item(each), each) + said("a", each) + done(item(each, content=[text_part("a")]), each)
        for each in range(size)
    ]


@case("responses")
def items_that_all_come_again_at_the_end(size: int) -> list[bytes]:
    items = [item(each, content=[text_part("a" * 600)]) for each in range(size)]
    made = [done(each, number) for number, each in enumerate(items)]
    return [*made, response("completed", response={"output": items})]


@case("responses")
def items_without_any_name(size: int) -> list[bytes]:
    content = {"type": "message", "content": [text_part("a")]}
    return [response("output_item.done", item=content)] * size


@case("responses")
def items_of_one_id(size: int) -> list[bytes]:
    return [begun(item(0), each) + said("a", each) for each in range(size)]


@case("responses")
def items_of_one_index(size: int) -> list[bytes]:
    return [begun(item(each), 0) + said("a", 0) for each in range(size)]


@case("responses")
def a_large_item_whose_id_others_have(size: int) -> list[bytes]:
    parts = [text_part("a" * 500) for _ in range(size)]
    made = [done(item(0, content=[text_part(str(each))]), each) for each in range(1, size)]
    return [done(item(0, content=parts), 0), *made]


@case("responses")
def a_large_item_that_comes_again_in_part(size: int) -> list[bytes]:
    parts = [text_part("a" * 500) for _ in range(size)]
    return [done(item(0, content=parts), 0), *[done(item(0, content=parts[:1]), 0)] * size]


@case("responses")
def calls_in_pieces_in_turn(size: int) -> list[bytes]:
    made = [begun(function(each), each) for each in range(size)]
    for each in range(size):
        place = {"item_id": f"i{each}", "output_index": each}
        made.append(response("function_call_arguments.delta", delta="1", **place))
    return made


@case("responses")
def calls_whose_arguments_are_held_back(size: int) -> list[bytes]:
    made: list[bytes] = []
    for each in range(size):
        place = {"item_id": f"i{each}", "output_index": each}
        made += [begun(function(each), each)]
        made += [response("function_call_arguments.delta", delta='"{', **place)] * 3
    return made


@case("responses")
def arguments_that_are_held_back(size: int) -> list[bytes]:
    piece = response("function_call_arguments.delta", delta='"' + "a" * 50, output_index=0)
    return [begun(function(0), 0), *[piece] * size]


@case("responses")
def calls_of_one_id(size: int) -> list[bytes]:
    return [begun({**function(each), "call_id": "c"}, each) for each in range(size)]


@case("responses", size=500)
def a_text_that_is_whole_again_and_again(size: int) -> list[bytes]:
    """Each time with a word that it does not begin with, or less than all of it."""
    whole = [
        response("output_text.done", output_index=0, content_index=0, text=text)
        for text in ("b", "a")
    ]
    return [begun(item(0), 0)] + [said("a" * 2000) + whole[each % 2] for each in range(size)]


@case("responses", size=500)
def a_part_that_is_whole_again_and_again(size: int) -> list[bytes]:
    place = {"output_index": 0, "content_index": 0}
    whole = response("content_part.done", **place, part=text_part("a"))
    return [begun(item(0), 0)] + [said("a" * 2000) + whole] * size


@case("responses")
def parts_with_ever_new_keys(size: int) -> list[bytes]:
    place = {"output_index": 0, "content_index": 0}
    return [
        response("content_part.added", **place, part=text_part("", **{f"k{each}": 1}))
        for each in range(size)
    ]


@case("responses")
def parts_in_events_of_their_own(size: int) -> list[bytes]:
    return [
        response("content_part.added", output_index=0, content_index=each, part=text_part(""))
        + said("a", content=each)
        for each in range(size)
    ]


@case("responses")
def parts_of_a_summary(size: int) -> list[bytes]:
    return [
        response("reasoning_summary_text.delta", delta="a", output_index=0, summary_index=each)
        for each in range(size)
    ]


@case("responses")
def texts_without_index(size: int) -> list[bytes]:
    return [response("output_text.delta", delta="a", item_id=str(each)) for each in range(size)]


@case("responses")
def annotations_in_events_of_their_own(size: int) -> list[bytes]:
    return [
        response("output_text.annotation.added", output_index=0, annotation={"url": str(each)})
        for each in range(size)
    ]


@case("responses")
def annotations_that_come_again_with_the_part(size: int) -> list[bytes]:
    made: list[bytes] = []
    for each in range(size):
        place = {"output_index": 0, "content_index": 0}
        made.append(response("output_text.annotation.added", **place, annotation={"url": "u"}))
        if each % 50 == 0:
            made.append(response("content_part.done", **place, part=text_part("", annotations=[])))
    return made


@case("responses")
def news_of_a_tool(size: int) -> list[bytes]:
    news = response("web_search_call.searching", output_index=0, item_id="i0")
    return [begun(item(0, "web_search_call"), 0), *[news] * size]


@case("responses")
def a_tool_of_the_api_that_is_done_again(size: int) -> list[bytes]:
    return [done(item(0, "web_search_call", x=each), 0) for each in range(size)]


@case("responses")
def log_probabilities_of_pieces(size: int) -> list[bytes]:
    token = {"token": "a", "logprob": -1.0, "top_logprobs": []}
    piece = response("output_text.delta", delta="a", output_index=0, logprobs=[token])
    return [piece] * size


@case("responses")
def a_response_that_begins_again(size: int) -> list[bytes]:
    return [response("in_progress", response={"id": f"r{each}"}) for each in range(size)]


# Choices.


@case("openai")
def choices_in_one_frame(size: int) -> list[bytes]:
    made = [{"index": each, "delta": {"content": "a"}} for each in range(size)]
    return [sse({"choices": made})]


@case("openai")
def choices_in_frames_of_their_own(size: int) -> list[bytes]:
    made = [{"index": each, "delta": {"content": "a"}} for each in range(size)]
    return [sse({"choices": [each]}) for each in made]


@case("openai", size=2000)
def choices_that_finish_in_frames_of_their_own(size: int) -> list[bytes]:
    made = [
        {"index": each, "delta": {"content": "a"}, "finish_reason": "stop"} for each in range(size)
    ]
    return [sse({"choices": [each]}) for each in made]


@case("openai", size=2000)
def choices_whose_indexes_have_one_hash(size: int) -> list[bytes]:
    made = [{"index": each * ((1 << 61) - 1), "delta": {"content": "a"}} for each in range(1, size)]
    # NaN has the standard module read it, which takes integers of any size.
    return [sse({"choices": [each], "x": float("nan")}) for each in made]


@case("gemini", size=2000)
def candidates_that_finish_in_events_of_their_own(size: int) -> list[bytes]:
    return [
        sse(
            {
                "candidates": [
                    {"index": each, "content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}
                ]
            }
        )
        for each in range(size)
    ]


# Keys, log probabilities, values.


@case(*ALL, size=2000)
def unknown_keys_in_one_frame(size: int, dialect: str) -> list[bytes]:
    keys = {f"x{each}": each for each in range(size)}
    match dialect:
        case "openai":
            return [openai({"content": "a"}, **keys)]
        case "ollama":
            return [ollama({"content": "a", **keys})]
        case "gemini":
            return [gemini({"text": "a"}, **keys)]
        case "responses":
            return [said("a"), response("in_progress", response=keys)]
        case _:
            return [BEGUN, anthropic("message_delta", delta=keys)]


@case(*ALL)
def ever_new_keys(size: int, dialect: str) -> list[bytes]:
    match dialect:
        case "openai":
            return [openai({"content": "a"}, **{f"x{each}": 1}) for each in range(size)]
        case "ollama":
            return [ollama({"content": "a"}, **{f"x{each}": 1}) for each in range(size)]
        case "gemini":
            return [gemini({"text": "a"}, **{f"x{each}": 1}) for each in range(size)]
        case "responses":
            return [response(f"x{each}", a=1) for each in range(size)]
        case _:
            return [BEGUN] + [anthropic(f"x{each}", a=1) for each in range(size)]


@case("openai", size=500)
def log_probabilities(size: int) -> list[bytes]:
    token = {"token": "a", "logprob": -1.0, "top_logprobs": []}
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [token]}}
    return [sse({"choices": [choice]})] * size


@case("openai", size=500)
def log_probabilities_under_ever_new_names(size: int) -> list[bytes]:
    return [
        sse({"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {f"t{each}": [1]}}]})
        for each in range(size)
    ]


@case(*ALL, size=20_000)
def deep_json(size: int, dialect: str) -> list[bytes]:
    word = WORD[dialect]
    at = word.index(b"{")
    return [word[:at] + b'{"x": ' + b"[" * size + b"]" * size + b"," + word[at + 1 :]]


@case(*ALL, size=20_000)
def deep_json_that_is_cut(size: int, dialect: str) -> list[bytes]:
    prefix = b"" if dialect == "ollama" else b"data: "
    return [prefix + b'{"x":' * size + b"\n\n"]


@case("openai", "ollama", size=3000)
def values_in_one_frame(size: int, dialect: str) -> list[bytes]:
    value = WORD[dialect].removeprefix(b"data: ").strip()
    return [(b"" if dialect == "ollama" else b"data: ") + value * size + b"\n\n"]


@case(*ALL, size=100_000)
def digits(size: int, dialect: str) -> list[bytes]:
    word = WORD[dialect]
    at = word.index(b"{")
    return [word[:at] + b'{"x": ' + b"9" * size + b"," + word[at + 1 :]]


@case(*ALL, size=20_000)
def halves_of_characters(size: int, dialect: str) -> list[bytes]:
    return [WORD[dialect].replace(b'"a"', b'"' + rb"\ud83d" * size + b'"')]


@case("openai", "ollama", size=2000)
def halves_of_characters_in_frames_of_their_own(size: int, dialect: str) -> list[bytes]:
    return [WORD[dialect].replace(b'"a"', rb'"\ud83d"')] * size


@case("openai", "ollama", size=2000, split_think=True)
def white_space_before_a_tag(size: int, dialect: str) -> list[bytes]:
    return [WORD[dialect].replace(b'"a"', b'"' + b" " * 40 + b'"')] * size


@case("openai", "ollama", size=2000, split_think=True)
def a_tag_that_nearly_ends(size: int, dialect: str) -> list[bytes]:
    begun = WORD[dialect].replace(b'"a"', b'"<think>"')
    return [begun] + [WORD[dialect].replace(b'"a"', b'"</think</thin"')] * size


# Framing.


@case(*EVENTS, size=4000)
def comments(size: int, dialect: str) -> list[bytes]:
    return [b": ping\n\n" * size + WORD[dialect]]


@case(*EVENTS, size=20_000)
def comments_in_one_event(size: int, dialect: str) -> list[bytes]:
    return [b": ping\n" * size + WORD[dialect]]


@case(*ALL, size=20_000)
def empty_lines(size: int, dialect: str) -> list[bytes]:
    return [WORD[dialect] + b"\n" * size]


@case(*EVENTS, size=4000)
def empty_lines_that_end_in_carriage_returns(size: int, dialect: str) -> list[bytes]:
    return [WORD[dialect] + b"\r\n" * size + b"\r" * size]


@case(*ALL, size=4000)
def empty_lines_one_at_a_time(size: int, dialect: str) -> list[bytes]:
    return [WORD[dialect]] + [b"\n"] * size


@case(*ALL, size=20_000)
def white_space_before_the_answer(size: int, dialect: str) -> list[bytes]:
    return [b" "] * size + [WORD[dialect]]


@case(*EVENTS, size=10_000)
def event_names(size: int, dialect: str) -> list[bytes]:
    return [b"event: a\n" * size + WORD[dialect]]


@case(*EVENTS, size=200_000)
def a_long_event_name(size: int, dialect: str) -> list[bytes]:
    return [b"event: " + b"a" * size + b"\n" + WORD[dialect]]


@case(*EVENTS, size=5000)
def data_lines(size: int, dialect: str) -> list[bytes]:
    return [b"data: 1\n" * size + b"\n"]


@case(*EVENTS, size=5000)
def lines_that_are_no_field(size: int, dialect: str) -> list[bytes]:
    return [b"   \t  \n   x\n" * size + WORD[dialect]]


@case(*EVENTS, size=100_000)
def a_line_of_white_space(size: int, dialect: str) -> list[bytes]:
    return [b" " * size + b"\n" + WORD[dialect]]


@case(*ALL, size=20_000)
def a_line_in_tiny_pieces(size: int, dialect: str) -> list[bytes]:
    word = WORD[dialect].replace(b'"a"', b'"' + b"a" * size + b'"')
    return [word[at : at + 1] for at in range(len(word))]


@case(*EVENTS, size=20_000)
def a_line_with_a_carriage_return_in_tiny_pieces(size: int, dialect: str) -> list[bytes]:
    line = b":\r" + b"a" * size
    return [line[at : at + 1] for at in range(len(line))] + [b"\n\n", WORD[dialect]]


@case(*EVENTS, size=20_000)
def many_lines_of_one_event_in_tiny_pieces(size: int, dialect: str) -> list[bytes]:
    return [b":a\n"] * size + [WORD[dialect]]


@case(*ALL, size=20_000)
def a_body_in_tiny_pieces(size: int, dialect: str) -> list[bytes]:
    return [b"<"] + [b"a"] * size


@case("openai", "ollama", size=4000)
def lines_under_a_wrong_name(size: int, dialect: str) -> list[bytes]:
    return [b"[1]\n" * size]


def read(case: Case, pieces: list[bytes]) -> None:
    kind = NDJSON if case.dialect == "ollama" else SSE
    _ = decode(VESSELS[case.dialect], pieces, kind, **case.settings).completion


def recorded(case: Case, size: int) -> int:
    """Bytes of what is recorded of the chunks, their frames apart."""
    kind = NDJSON if case.dialect == "ollama" else SSE
    steps = decode(VESSELS[case.dialect], case.pieces(size), kind, **case.settings).steps
    return sum(len(dumps(step.fields)) for step in steps if step.fields)


def seconds(case: Case, size: int, enough: float = 0) -> float:
    """The median of three readings, in CPU seconds; a first one that is at most `enough` is enough.

    What other processes do can only make a reading longer.
    """
    pieces = case.pieces(size)
    taken: list[float] = []
    for _ in range(3):
        begun = time.thread_time()
        read(case, pieces)
        taken.append(time.thread_time() - begun)
        if taken[-1] > 1 or taken[0] <= enough:
            break  # long enough to be sure of, or short enough
    return statistics.median(taken)


@pytest.mark.parametrize("name", CASES)
def test_time_is_linear_in_size(name: str, figure: Figure) -> None:
    case = CASES[name]
    gc.collect()
    gc.disable()
    try:
        seconds(case, 10)
        size = case.size
        while (small := seconds(case, size)) < LEAST and size < 1 << 17:
            size *= 2
        most = max(small, LEAST) * MOST_A_DOUBLING**DOUBLINGS
        large = seconds(case, size << DOUBLINGS, enough=most)
    finally:
        gc.enable()
    ratio = (large / max(small, LEAST)) ** (1 / DOUBLINGS)
    figure(
        f"{name}: {ratio:.2f} times the time for twice the size "
        f"({size}: {small * 1000:.1f} ms, {size << DOUBLINGS}: {large * 1000:.0f} ms)"
    )
    assert ratio <= MOST_A_DOUBLING


@pytest.mark.parametrize("name", CASES)
def test_what_is_recorded_is_linear_in_size(name: str) -> None:
    """A chunk does not repeat what those before it said."""
    small, large = (recorded(CASES[name], size) for size in (100, 100 << DOUBLINGS))
    assert large <= max(small, 1000) * MOST_A_DOUBLING**DOUBLINGS
