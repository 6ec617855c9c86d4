"""The assistant's message of the OpenAI dialect, as it goes back to the provider."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from decoding import DONE, JSON, Decoded, decode, delta, openai, sse
from vesselog.vessels import Frame, Framing, OpenAI, WireRequest

STOP = delta("stop")


def native(*deltas: dict[str, Any]) -> dict[str, Any]:
    """The message of a stream of these deltas."""
    found = openai(*(delta(**fields) for fields in deltas), STOP)
    assert found.outcome == "complete"
    return found.natives[0]


def whole(message: dict[str, Any]) -> Decoded:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"object": "chat.completion", "choices": [choice]}
    return decode(OpenAI(), json.dumps(answer).encode(), JSON, stream=False)


@pytest.mark.parametrize(
    ("deltas", "message"),
    [
        ([{"role": "assistant", "content": ""}, {"content": "Hi"}], {"content": "Hi"}),
        ([{"role": "assistant", "content": ""}], {"content": ""}),
        ([{"content": None, "refusal": "I "}, {"refusal": "can't"}], {"refusal": "I can't"}),
        (
            [{"reasoning_content": "H"}, {"reasoning_content": "m"}, {"content": "Hi"}],
            {"content": "Hi", "reasoning_content": "Hm"},
        ),
        ([{"reasoning": "Hm", "content": ""}], {"content": "", "reasoning": "Hm"}),
        ([{"thinking": "Hm"}], {"thinking": "Hm"}),
        (
            [{"content": "Hi", "padding": "abc", "refusal": None, "annotations": []}],
            {"content": "Hi"},
        ),
        ([{"role": "tool", "content": "Hi"}], {"role": "tool", "content": "Hi"}),
    ],
)
def test_texts_are_joined_under_the_names_that_the_provider_gave_them(
    deltas: list[dict[str, Any]], message: dict[str, Any]
) -> None:
    assert native(*deltas) == {"role": "assistant", "content": None, **message}


def test_texts_that_are_read_without_parsing_are_in_it() -> None:
    """The fast path reads all but the first of each kind; the order of parts stays."""
    thoughts = [{"reasoning_content": f"r{each} ", "content": None} for each in range(50)]
    words = [{"content": f"w{each} ", "reasoning_content": None} for each in range(50)]
    made = native(*thoughts, *words)
    assert made == {
        "role": "assistant",
        "content": "".join(f"w{each} " for each in range(50)),
        "reasoning_content": "".join(f"r{each} " for each in range(50)),
    }


def test_keys_beside_the_text_are_kept_though_the_frames_are_alike_but_for_it() -> None:
    repeated = [{"content": f"w{each} ", "channel": "final", "lane": "x"} for each in range(9)]
    assert native({"content": "", "lane": "w"}, *repeated)["channel"] == "final"
    told = [{"content": f"w{each} ", "token_ids": [7]} for each in range(9)]
    assert native(*told)["token_ids"] == [7] * 9
    signed = [{"content": "a", "signature": each} for each in ("S", "I", "G")]
    assert native(*signed, {"content": "b"}, {"content": "c"})["signature"] == "SIG"


def test_parts_of_the_content_keep_their_order() -> None:
    """Mistral: thinking in parts, then the text as text; Databricks: reasoning with a signature."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "H"}], "closed": True}
    more = {"type": "thinking", "thinking": [{"type": "text", "text": "m"}], "closed": True}
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    made = native(
        {"content": ""},
        {"content": [thought]},
        {"content": [more]},
        {"content": "a"},
        {"content": "b"},
        {"content": [image]},
        {"content": [image, {"type": "text", "text": "c"}]},
        {"content": [more]},
        {"content": "d"},
    )
    assert made["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "closed": True},
        {"type": "text", "text": "ab"},
        image,
        {"type": "text", "text": "c"},
        more,
        {"type": "text", "text": "d"},
    ]


def test_a_signature_belongs_to_the_part_that_it_came_with() -> None:
    def summary(**fields: Any) -> dict[str, Any]:
        part = {"type": "reasoning", "summary": [{"type": "summary_text", **fields}]}
        return {"content": [part]}

    made = native(
        summary(text="H", signature=""),
        summary(text="m", signature=""),
        summary(text="", signature="S1"),
        summary(text="Oh", signature="S2"),
        {"content": "Hi"},
    )
    assert made["content"] == [
        {
            "type": "reasoning",
            "summary": [
                {"type": "summary_text", "text": "Hm", "signature": "S1"},
                {"type": "summary_text", "text": "Oh", "signature": "S2"},
            ],
        },
        {"type": "text", "text": "Hi"},
    ]


def test_reasoning_details_are_joined_by_their_index() -> None:
    """OpenRouter: texts and summaries in pieces, with a signature; encrypted ones whole."""
    kept = {"type": "reasoning.encrypted", "data": "E1", "id": "call-1", "index": 0}
    other = {**kept, "data": "E2", "id": "call-2"}
    apart = {"type": "reasoning.encrypted", "data": "E3"}
    made = native(
        {"reasoning_details": [{"type": "reasoning.text", "text": "H", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "s", "index": 1}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "H", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "t", "index": 1}]},
        {"reasoning_details": [{"type": "reasoning.text", "signature": "SIG", "index": 0}, kept]},
        {"reasoning_details": [other, apart]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "format": "f", "id": None}]},
    )
    assert made["reasoning_details"] == [
        {"type": "reasoning.text", "text": "HH", "index": 0, "signature": "SIG", "format": "f"},
        {"type": "reasoning.summary", "summary": "st", "index": 1},
        kept,
        other,
        apart,
    ]


def test_a_function_call_is_one_where_it_was_the_only_form() -> None:
    made = native(
        {"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}
    )
    call = {"name": "f", "arguments": "{}"}
    assert made == {"role": "assistant", "content": None, "function_call": call}
    function = {"name": "f", "arguments": "{}"}
    called = [{"index": 0, "id": "a", "type": "function", "function": function}]
    both = native({"function_call": call, "tool_calls": called})
    assert "function_call" not in both
    assert both["tool_calls"] == [{"id": "a", "type": "function", "function": function}]


def test_a_sound_in_pieces_goes_back_by_its_id_and_is_whole_in_extra() -> None:
    told = [
        {"role": "assistant", "audio": {"id": "s", "transcript": "Ahoy"}},
        {"audio": {"data": "AAAA"}},
        {"audio": {"data": "AAAA", "transcript": " there"}},
        {"audio": {"expires_at": 9}},
    ]
    found = openai(*(delta(**fields) for fields in told), DONE)
    assert found.natives[0]["audio"] == {"id": "s", "transcript": "Ahoy there", "expires_at": 9}
    assert found.completion.extra["audio"] == {
        "id": "s",
        "transcript": ["Ahoy", " there"],
        "data": ["AAAA", "AAAA"],
        "expires_at": 9,
    }


def test_a_sound_of_a_whole_answer_is_as_it_came() -> None:
    sound = {"id": "s", "data": "A" * 9000, "transcript": "Ahoy"}
    found = whole({"role": "assistant", "content": None, "audio": sound})
    assert found.natives[0]["audio"] == found.completion.extra["audio"] == sound


@pytest.mark.parametrize("size", [3, 3000])
def test_lists_told_in_pieces_are_joined_whatever_their_size(size: int) -> None:
    notes = [{"type": "url_citation", "url_citation": {"url": x * size}} for x in "abc"]
    pictures = [{"type": "image_url", "image_url": {"url": x * size}, "index": 0} for x in "ab"]
    told = [
        {"content": "x", "annotations": notes[:1], "images": pictures[:1]},
        {"content": "y", "annotations": notes[1:2], "citations": ["u"]},
        {"content": "z", "annotations": notes[2:], "citations": ["u", "v"]},
        {"content": "", "images": pictures[1:]},
    ]
    found = openai(*(delta(**fields) for fields in told), STOP)
    for kept in (found.natives[0], found.completion.extra):
        assert kept["annotations"] == notes
        assert kept["images"] == pictures
        assert kept["citations"] == ["u", "v"]


def test_each_choice_has_its_own() -> None:
    both = delta(content="a", note="x")
    both["choices"].append({"index": 1, "delta": {"content": "b", "note": "y"}})
    found = openai(both, delta(content="c"), STOP, delta("stop", index=1), n=2)
    assert found.natives == {
        0: {"role": "assistant", "content": "ac", "note": "x"},
        1: {"role": "assistant", "content": "b", "note": "y"},
    }


def test_what_is_about_the_choice_or_the_answer_is_not_in_it() -> None:
    event = delta(content="a")
    event["choices"][0] |= {"logprobs": {"content": []}, "native_finish_reason": "x"}
    found = openai({**event, "obfuscation": "xy", "usage": {"prompt_tokens": 1}}, STOP)
    assert found.natives[0] == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "Hi"},
        {"role": "assistant", "content": None, "refusal": "no", "annotations": []},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": []}], "x": {"y": None}},
        {"content": "", "reasoning_details": [{"text": "a"}, {"text": "b"}], "tool_calls": None},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "index": 0,
                    "id": "a",
                    "function": {"name": "f", "arguments": {"x": 1}},
                    "extra_content": {"google": {"thought_signature": "s"}},
                }
            ],
        },
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
    ],
)
def test_the_message_of_a_whole_answer_is_as_it_came(message: dict[str, Any]) -> None:
    assert whole({**message, "padding": "abc"}).natives[0] == message


def test_content_that_is_an_object_goes_back_as_its_text() -> None:
    found = whole({"role": "assistant", "content": {"port": "Bremen"}})
    assert found.completion.text == '{"port":"Bremen"}'
    assert found.natives[0] == {"role": "assistant", "content": '{"port":"Bremen"}'}


def test_half_an_answer_has_what_came() -> None:
    function = {"name": "f", "arguments": '{"x'}
    found = openai(
        delta(content="a"), delta(tool_calls=[{"index": 0, "id": "c", "function": function}])
    )
    assert found.outcome == "TruncatedError"
    assert found.natives[0] == {
        "role": "assistant",
        "content": "a",
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }


@pytest.mark.parametrize("events", [[], [b": ping\n\n"], [delta(role="assistant")], [DONE]])
def test_there_is_none_where_nothing_came(events: list[Any]) -> None:
    assert openai(*events).natives == {}


def test_asking_for_it_changes_nothing() -> None:
    decoder = OpenAI().decoder(WireRequest(url="http://x", body={"model": "m"}))
    for content in ("a", [{"type": "image_url"}], "b"):
        list(decoder.decode(Frame(sse(delta(content=content, x="y")), Framing.SSE)))
        assert decoder.native() == decoder.native()
    assert decoder.native()[0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url"},
        {"type": "text", "text": "b"},
    ]


def test_json_that_is_nested_deeply_is_kept() -> None:
    deep: Any = "end"
    for level in range(200):
        deep = {"x": deep} if level % 2 else [deep]
    assert native({"content": "a", "odd": deep}, {"content": "b"})["odd"] == deep


# Any message, cut into deltas anywhere.

TEXT = st.text(min_size=1, max_size=8)
NAMES = st.sampled_from(["reasoning_content", "reasoning", "refusal", "thinking"])
SCALARS = st.one_of(st.integers(-9, 9), st.booleans(), st.floats(0, 1))
# An unknown text whose first two pieces are the same is taken for a value that is sent again.
UNKNOWN_TEXT = st.text("abcdefgh", min_size=1, max_size=8).filter(lambda x: len({*x}) == len(x))
ENTRIES = st.builds(
    lambda kind, value: {"type": kind, kind: {"value": value}},
    st.sampled_from(["url_citation", "file", "image_url"]),
    st.integers(-9, 9),
)
UNKNOWN = st.recursive(
    st.one_of(SCALARS, UNKNOWN_TEXT),
    lambda inner: st.dictionaries(st.sampled_from(["k1", "k2", "k3"]), inner, min_size=1),
    max_leaves=5,
)
DETAILS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"type": st.just("reasoning.text"), "text": TEXT}),
        st.fixed_dictionaries({"type": st.just("reasoning.summary"), "summary": TEXT}),
        st.fixed_dictionaries({"type": st.just("reasoning.encrypted"), "data": UNKNOWN_TEXT}),
    ),
    min_size=1,
    max_size=4,
).map(lambda details: [{**detail, "index": at} for at, detail in enumerate(details)])
CALLS = st.lists(
    st.builds(
        lambda name, arguments, extra: {
            "type": "function",
            "function": {"name": name, "arguments": arguments},
            **extra,
        },
        st.sampled_from(["tide", "wind"]),
        st.dictionaries(TEXT, SCALARS, max_size=3).map(json.dumps),
        st.one_of(st.just({}), UNKNOWN_TEXT.map(lambda x: {"extra_content": {"google": {"s": x}}})),
    ),
    min_size=1,
    max_size=3,
).map(lambda calls: [{"id": f"call-{at}", **call} for at, call in enumerate(calls)])
CONTENT = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.lists(
        st.one_of(
            TEXT.map(lambda x: {"type": "text", "text": x}),
            TEXT.map(lambda x: {"type": "thinking", "thinking": [{"type": "text", "text": x}]}),
        ),
        min_size=1,
        max_size=4,
    ).filter(lambda parts: all(a["type"] != b["type"] for a, b in pairwise(parts))),
)
MESSAGES = st.builds(
    lambda content, texts, optional: {"role": "assistant", "content": content, **texts, **optional},
    CONTENT,
    st.dictionaries(NAMES, TEXT, max_size=2),
    st.fixed_dictionaries(
        {},
        optional={
            "reasoning_details": DETAILS,
            "tool_calls": CALLS,
            "annotations": st.lists(ENTRIES, min_size=1, max_size=4, unique_by=str),
            "token_ids": st.lists(st.integers(0, 3), min_size=1, max_size=6),
            "provider_fields": st.dictionaries(st.sampled_from(["k1", "k2"]), UNKNOWN, min_size=1),
        },
    ),
)


def cut(draw: Any, text: str) -> list[str]:
    """The text in pieces."""
    spots = sorted({draw(st.integers(0, len(text))) for _ in range(draw(st.integers(0, 3)))})
    return [text[a:b] for a, b in zip([0, *spots], [*spots, len(text)], strict=True)]


def grouped(draw: Any, entries: list[Any]) -> list[list[Any]]:
    """The entries in lists of one or several."""
    size = draw(st.integers(1, len(entries)))
    return [entries[at : at + size] for at in range(0, len(entries), size)]


def pieces_of(draw: Any, key: str, value: Any) -> list[dict[str, Any]]:
    """The deltas that tell one key of the message, in order."""
    if key == "content" and isinstance(value, list):
        return [delta for part in value for delta in part_pieces(draw, part, alone=len(value) == 1)]
    if key == "reasoning_details":
        return [
            {key: [{**detail, name: piece}]}
            for detail in value
            for name in ("text", "summary", "data")
            if name in detail
            for piece in cut(draw, detail[name])
        ]
    if key == "tool_calls":
        return [delta for at, call in enumerate(value) for delta in call_pieces(draw, at, call)]
    if isinstance(value, str) and key != "role":
        return [{key: piece} for piece in cut(draw, value)]
    if isinstance(value, list):
        return [{key: entries} for entries in grouped(draw, value)]
    if isinstance(value, dict):
        return [{key: {name: inner}} for name in value for inner in inner_pieces(draw, value[name])]
    return [{key: value}]


def part_pieces(draw: Any, part: dict[str, Any], *, alone: bool) -> list[dict[str, Any]]:
    """A text beside other parts may be told as text."""
    if part["type"] == "text":
        texts = [{"type": "text", "text": piece} for piece in cut(draw, part["text"])]
        if not alone and draw(st.booleans()):
            return [{"content": told["text"]} for told in texts]
        return [{"content": [told]} for told in texts]
    (thought,) = part["thinking"]
    return [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]}
        for piece in cut(draw, thought["text"])
    ]


def inner_pieces(draw: Any, value: Any) -> list[Any]:
    if isinstance(value, str):
        return cut(draw, value)
    if isinstance(value, dict):
        return [{name: inner} for name in value for inner in inner_pieces(draw, value[name])]
    return [value]


def call_pieces(draw: Any, at: int, call: dict[str, Any]) -> list[dict[str, Any]]:
    function = call["function"]
    first = {**call, "index": at, "function": {"name": function["name"], "arguments": ""}}
    return [
        {"tool_calls": [first]},
        *(
            {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}
            for piece in cut(draw, function["arguments"])
        ),
    ]


@given(message=MESSAGES, data=st.data())
def test_any_message_cut_into_deltas_anywhere_comes_back(
    message: dict[str, Any], data: Any
) -> None:
    assume(len(message) > 2 or message["content"] is not None)
    told = [delta for key in message for delta in pieces_of(data.draw, key, message[key])]
    found = openai(*(delta(**fields) for fields in told), delta("stop"))
    assert found.outcome == "complete"
    (choice,) = found.completion.choices
    assert choice.native == message
    content = message["content"]
    if not isinstance(content, list):
        assert choice.text == (content or "")
    else:
        assert choice.text == "".join(part.get("text", "") for part in content)
    assert choice.refusal == message.get("refusal", "")
    assert [(call.id, call.name, call.arguments_text) for call in choice.tool_calls] == [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls", ())
    ]
    assert whole(message).natives[0] == message
