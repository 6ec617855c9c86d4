"""docs/dialects.md says what the code does: its lists are the rules, its table is tried out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from decoding import Decoded, decode
from house import ROOT
from round_trips import DIALECTS
from vesselog.core.assembler import Assembler
from vesselog.core.chunk import StreamChunk
from vesselog.server.gateway.request_rules import (
    LEFT_OUT_OF_PARTS,
    LEFT_OUT_OF_TOOLS,
    OPTIONS_LEFT_OUT,
    RULES,
    SAMPLING,
)

PAGE = (ROOT / "docs/dialects.md").read_text("utf-8")
NAME = re.compile(r"`([^`]+)`")
DEFAULT = re.compile(r"`(\w+)`: ([^·|]+?) (?=·|$)")


def rows(first: str) -> dict[str, list[str]]:
    """The cells of a table's rows, by the first one. first: the head of its first column."""
    table = PAGE[PAGE.index(f"\n| {first}") :].lstrip("\n").partition("\n\n")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.split("\n")]
    return {line[0]: line[1:] for line in lines[2:]}


def call(slot: str = "0", **fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{"slot": slot, "id": f"id{slot}", "name": "f", **fields}]}


def choice(name: str) -> Callable[[Decoded], Any]:
    return lambda found: getattr(found.completion, name)


def tokens(name: str) -> Callable[[Decoded], Any]:
    return lambda found: getattr(found.completion.usage, name, None)


def calls(found: Decoded) -> Any:
    return [
        (each.id, each.name, each.arguments_text, each.type) for each in found.completion.tool_calls
    ]


STOP = {"finish_reason": "stop"}
USAGE = {"input_tokens": 9, "output_tokens": 5}
LOGPROBS = {"content": [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
# For each row of the table: chunks, and what of the answer is to come back.
PROBES: dict[str, tuple[list[dict[str, Any]], Callable[[Decoded], Any]]] = {
    "text": ([{"text": "a"}, STOP], choice("text")),
    "reasoning": ([{"reasoning": "a"}, STOP], choice("reasoning")),
    "a refusal apart from the text": ([{"refusal": "a"}, STOP], choice("refusal")),
    "several choices": (
        [{"text": "a", **STOP}, {"choice": 1, "text": "b", **STOP}],
        lambda found: [each.text for each in found.completion.choices],
    ),
    "tool calls, several in parallel": (
        [call(arguments='{"a":1}'), call("1", arguments="{}"), {"finish_reason": "tool_calls"}],
        calls,
    ),
    "arguments as they arrive": (
        [
            call(arguments='{"a"'),
            {"tool_calls": [{"slot": "0", "arguments": ":1}"}]},
            {"finish_reason": "tool_calls"},
        ],
        lambda found: [
            each.arguments for chunk in found.chunks for each in chunk.tool_calls if each.arguments
        ],
    ),
    "arguments that are no JSON object": (
        [call(arguments='{"a'), {"finish_reason": "tool_calls"}],
        calls,
    ),
    "calls of tools that take free text": (
        [call(arguments="SELECT 1", type="custom"), {"finish_reason": "tool_calls"}],
        calls,
    ),
    "finish reason `stop`": ([{"text": "a", **STOP}], choice("finish_reason")),
    "finish reason `length`": (
        [{"text": "a", "finish_reason": "length"}],
        choice("finish_reason"),
    ),
    "finish reason `tool_calls`": (
        [{**call(arguments="{}"), "finish_reason": "tool_calls"}],
        choice("finish_reason"),
    ),
    "finish reason `content_filter`": (
        [{"text": "a", "finish_reason": "content_filter"}],
        choice("finish_reason"),
    ),
    "finish reason `other`": (
        [{"text": "a", "finish_reason": "other"}],
        choice("finish_reason"),
    ),
    "input and output tokens": (
        [{"text": "a", **STOP, "usage": USAGE}],
        lambda found: (tokens("input_tokens")(found), tokens("output_tokens")(found)),
    ),
    "cached input tokens": (
        [{"text": "a", **STOP, "usage": {**USAGE, "cached_input_tokens": 3}}],
        tokens("cached_input_tokens"),
    ),
    "tokens written to the cache": (
        [{"text": "a", **STOP, "usage": {**USAGE, "cache_write_tokens": 2}}],
        tokens("cache_write_tokens"),
    ),
    "reasoning tokens": (
        [{"text": "a", **STOP, "usage": {**USAGE, "reasoning_tokens": 2}}],
        tokens("reasoning_tokens"),
    ),
    "log probabilities": (
        [{"text": "a", "logprobs": LOGPROBS, **STOP}],
        lambda found: (found.completion.logprobs or {}).get("content"),
    ),
    "the provider's durations": (
        [{"text": "a", **STOP, "timings": {"total": 2.0}}],
        lambda found: found.completion.timings,
    ),
    "the answer's id": ([{"text": "a", "response_id": "r", **STOP}], choice("response_id")),
    "the model": ([{"text": "a", "model": "other", **STOP}], choice("model")),
    "citations, and other fields that only one provider has": (
        [{"text": "a", "extra": {"citations": [1]}, **STOP}],
        choice("extra"),
    ),
}


def test_the_table_of_answers_has_a_trial_for_every_row() -> None:
    assert rows("| openai | ollama").keys() == PROBES.keys()


@pytest.mark.parametrize("row", PROBES)
def test_the_table_of_answers_is_true(row: str) -> None:
    given, part = PROBES[row]
    chunks = [StreamChunk(**fields) for fields in given]
    assembler = Assembler()
    for chunk in chunks:
        assembler.add(chunk)
    completion = assembler.completion(outcome="complete")
    found: list[str] = []
    original = Decoded([], None, DIALECTS["openai"].vessel.decoder, {})  # type: ignore[arg-type]
    original.chunks = chunks
    for dialect in DIALECTS.values():
        encoder = dialect.encoder()
        body = b"".join(map(encoder.write, chunks)) + encoder.end(completion)
        again = decode(dialect.vessel, body, dialect.kind, usage=True)
        assert again.error is None
        found.append("yes" if part(again) == part(original) else "no")
    assert rows("| openai | ollama")[row] == found


def test_the_fields_that_are_left_out_are_listed() -> None:
    listed = rows("client | always")
    assert listed.keys() == RULES.keys()
    for client, (always, sometimes) in listed.items():
        rules = RULES[client]
        assert set(NAME.findall(always)) == rules.left_out
        defaults = {name: json.loads(value) for name, value in DEFAULT.findall(f"{sometimes} ")}
        assert {name: (value,) for name, value in defaults.items()} == rules.defaults
        assert rules.read.isdisjoint(rules.left_out | rules.defaults.keys())


def test_the_options_that_are_left_out_are_listed() -> None:
    (line,) = (line for line in PAGE.split("\n") if line.startswith("Of Ollama's `options`"))
    assert set(NAME.findall(line)) - {"options"} == OPTIONS_LEFT_OUT


def test_the_sampling_is_listed() -> None:
    listed = {
        row.strip("`"): cells[0].split(", ") for row, cells in rows("field | upstreams").items()
    }
    assert listed == {name: sorted(dialects) for name, dialects in SAMPLING.items()}


def test_what_is_left_out_of_parts_and_tools_is_said() -> None:
    said = [
        line for line in PAGE.split("\n") if "are left out, " in line or "are left out, but" in line
    ]
    names = set(NAME.findall(" ".join(said)))
    assert names >= LEFT_OUT_OF_PARTS
    assert names >= LEFT_OUT_OF_TOOLS.keys()
