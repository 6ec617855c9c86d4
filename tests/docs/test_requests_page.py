"""Checks docs/requests.md: its tables say which fields and parts each vessel takes."""

from __future__ import annotations

from typing import Any

import pytest

import vesselog
from pages import ROOT
from vesselog import Choice, Completion, InvalidRequestError, StreamChunk, ToolCall, Usage
from vesselog.vessels import BUILT_IN, chat_request

TEXT = (ROOT / "docs/requests.md").read_text("utf-8")
VESSELS = ("ollama", "openai", "anthropic", "gemini")
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FIELDS: dict[str, Any] = {
    "prompt": "Hi",
    "tools": [TOOL],
    "tool_choice": "required",
    "functions": [TOOL["function"]],
    "function_call": "auto",
    "response_format": {"type": "object", "properties": {}},
    "temperature": 0,
    "top_p": 0.5,
    "max_tokens": 5,
    "stop": "x",
    "seed": 1,
    "n": 2,
    "logprobs": True,
    "think": True,
    "keep_alive": "5m",
    "options": {},
    "extra_body": {},
    "split_think": True,
}
PIXEL = "data:image/png;base64,AAAA"
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [CALL]}]


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def asked(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "Hi"}, *parts]}]


def answered(content: Any, **more: Any) -> list[dict[str, Any]]:
    return [*ASKED, {"role": "tool", "tool_call_id": "c", "name": "f", "content": content, **more}]


PARTS: dict[str, list[dict[str, Any]]] = {
    "text": asked(),
    "an image as a `data:` URL": asked(image(PIXEL)),
    "an image at an http(s) address": asked(image("https://example.org/ship.png")),
    "text as a tool's result": answered("Sunny."),
    "an image in a tool's result": answered([image(PIXEL)]),
    "a system message at the beginning": [{"role": "system", "content": "Be brief."}, *asked()],
    "a system message later": [*asked(), {"role": "system", "content": "Be brief."}],
}


def rows(heading: str) -> dict[str, list[str]]:
    """The table below a heading, by its first column."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {each[0]: each[1:] for each in cells}


def taken(vessel: str, messages: Any, **fields: Any) -> str:
    made = BUILT_IN[vessel]()
    given = {"max_tokens": 9, **fields} if vessel == "anthropic" else fields
    try:
        made.request(chat_request("m", messages, **given))
    except InvalidRequestError:
        return "–"
    return "yes"


@pytest.mark.parametrize("field", FIELDS)
def test_the_table_of_fields_is_true(field: str) -> None:
    fields = {field: FIELDS[field], **({"tools": [TOOL]} if field == "tool_choice" else {})}
    messages = None if field == "prompt" else "Hi"
    assert rows("Fields")[f"`{field}`"][-4:] == [
        taken(vessel, messages, **fields) for vessel in VESSELS
    ]


def test_the_table_of_fields_has_every_field() -> None:
    assert {*rows("Fields")} == {f"`{name}`" for name in vesselog.RequestFields.__annotations__}
    assert {*FIELDS} == {*vesselog.RequestFields.__annotations__}


@pytest.mark.parametrize("part", PARTS)
def test_the_table_of_messages_is_true(part: str) -> None:
    assert rows("Messages")[part] == [taken(vessel, PARTS[part]) for vessel in VESSELS]


@pytest.mark.parametrize(
    ("heading", "kinds"),
    [
        ("The answer", (Choice, Completion)),
        ("Tool calls", (ToolCall,)),
        ("Chunks", (StreamChunk,)),
        ("Token counts", (Usage,)),
    ],
)
def test_every_attribute_is_in_a_table(heading: str, kinds: tuple[type[Any], ...]) -> None:
    names = {name for kind in kinds for name in kind.model_fields}
    assert names <= {name.strip("`") for name in rows(heading)}


def test_every_error_is_in_the_table() -> None:
    errors = {
        name
        for name in vesselog.__all__
        if isinstance(kind := getattr(vesselog, name), type)
        and issubclass(kind, vesselog.VesselogError)
    }
    assert {name.strip("`") for name in rows("Errors")} == errors
