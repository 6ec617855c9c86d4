"""Drawn conversations and requests, in the universal form."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from vesselog.vessels import ChatRequest, chat_request

__all__ = ["chats", "json_values"]

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_WORD = st.text("abcdefghij_-", min_size=1, max_size=8)
_LEAF = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | _TEXT | st.floats(-9, 9)


def json_values(leaves: int = 6) -> st.SearchStrategy[Any]:
    """Any JSON value."""
    return st.recursive(
        _LEAF,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
        max_leaves=leaves,
    )


_OBJECT = st.dictionaries(_WORD, json_values(), max_size=3)
_SCHEMA = st.fixed_dictionaries(
    {"type": st.sampled_from(["object", "string", ["object", "null"]])},
    optional={"properties": _OBJECT, "required": st.lists(_WORD, max_size=2)},
)
_SAID = st.builds(lambda text: f"x{text}", _TEXT)
_PART = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, _SAID),
    st.builds(
        lambda kind, data: {
            "type": "image_url",
            "image_url": {"url": f"data:image/{kind};base64,{data}"},
        },
        st.sampled_from(["png", "jpeg"]),
        st.text("ABCD", min_size=1, max_size=9),
    ),
)
_CONTENT = _SAID | st.lists(_PART, min_size=1, max_size=3)
_TOOL = st.builds(
    lambda name, more: {"type": "function", "function": {"name": name, **more}},
    _WORD,
    st.fixed_dictionaries({}, optional={"description": _TEXT, "parameters": _SCHEMA}),
)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "stream": st.booleans(),
    "tools": st.lists(_TOOL, max_size=2),
    "tool_choice": st.sampled_from(
        ["auto", "none", "required", {"type": "function", "function": {"name": "f"}}]
    ),
    "response_format": st.just("json") | _SCHEMA,
    "temperature": st.floats(0, 2) | st.integers(0, 2),
    "top_p": st.floats(0, 1),
    "max_tokens": st.integers(0, 2**40),
    "stop": _TEXT | st.lists(_TEXT, min_size=1, max_size=3),
    "seed": st.integers(-(2**40), 2**40),
    "n": st.integers(1, 4),
    "logprobs": st.booleans() | st.integers(0, 20),
    "think": st.booleans() | st.sampled_from(["low", "high", "none"]) | st.integers(0, 9000),
    "keep_alive": st.sampled_from(["5m", -1, 0.5]),
    "options": st.dictionaries(_WORD, json_values(3), max_size=2),
    "extra_body": st.dictionaries(_WORD, json_values(3), max_size=2),
}


@st.composite
def chats(draw: st.DrawFn, refused: frozenset[str] = frozenset()) -> ChatRequest:
    """A conversation, with calls and their results, and fields. refused: not to be given."""
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(_SAID)})
    count = 0
    for _ in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(_CONTENT)})
        calls: list[dict[str, Any]] = []
        for _ in range(draw(st.integers(0, 2))):
            arguments = draw(_OBJECT | st.just("") | st.just("{half"))
            function = {"name": draw(_WORD), "arguments": arguments}
            calls.append({"id": f"call{count:05}", "type": "function", "function": function})
            count += 1
        answer: dict[str, Any] = {"role": "assistant", "content": draw(_TEXT)}
        messages.append(answer | ({"tool_calls": calls} if calls else {}))
        messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": draw(_SAID)}
            for call in draw(st.permutations(calls))
        ]
    messages.append({"role": "user", "content": draw(_CONTENT)})
    known = {name: field for name, field in _FIELDS.items() if name not in refused}
    fields = draw(st.fixed_dictionaries({}, optional=known))
    return chat_request("gemini-3-pro", messages, **fields)
