"""Requests of Anthropic's Messages API are read whole: what is built of them again is equal."""

from __future__ import annotations

from typing import Any

import pytest

from strict_openai import check_openai
from vesselog.vessels import Anthropic, ImagePart, InvalidRequestError, OpenAI

ROUTE = "/v1/messages"
HELLO = {"role": "user", "content": "Hello"}
CACHE = {"cache_control": {"type": "ephemeral"}}
TOOL = {"name": "weather", "description": "The weather.", "input_schema": {"type": "object"}}
PIXEL = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}


def body_of(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 5, "messages": list(messages), "stream": False, **fields}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def call(identifier: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": identifier, "name": "weather", "input": {"city": "Oslo"}}


def result(identifier: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": identifier, **more}


def turn(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def of_user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def again(body: Any) -> dict[str, Any]:
    vessel = Anthropic()
    built = vessel.request(vessel.read_request(ROUTE, body)).body
    assert built is not None
    return built


THINKING = {"type": "thinking", "thinking": "Two.", "signature": "S"}


@pytest.mark.parametrize(
    "body",
    [
        body_of(HELLO, system="Be brief."),
        body_of(HELLO, system=[text("Be brief.", **CACHE), text("Briefer.")], stream=True),
        body_of(HELLO, system="", metadata={"user_id": "u"}, top_k=5, service_tier="auto"),
        body_of(HELLO, system=[]),
        body_of(
            of_user(
                text("What?", **CACHE),
                PIXEL | CACHE,
                {"type": "image", "source": {"type": "url", "url": "https://h/i.png"}},
                {"type": "image", "source": {"type": "file", "file_id": "f"}},
                {"type": "image", "source": {"type": "url", "url": "data:image/png;base64,x"}},
                {"type": "image", "source": {**PIXEL["source"], "media_type": "a,b;c"}},
                {"type": "document", "source": {"type": "text", "data": "d"}, "title": None},
            )
        ),
        body_of(
            HELLO,
            turn(THINKING, text("Hm.", citations=[]), call("t1"), THINKING, call("t2")),
            of_user(
                result("t1", content="cold", is_error=True),
                result("t2", content=[text("cold"), PIXEL], **CACHE),
                text("And now?", **CACHE),
                PIXEL,
            ),
            turn({"type": "redacted_thinking", "data": "x"}, call("t3"), call("t4")),
            of_user(result("t3"), result("t4", content=[])),
            {"role": "assistant", "content": "Fine."},
            {"role": "user", "content": "Bye."},
            tools=[TOOL],
        ),
        body_of(HELLO, turn(call("t1")), of_user(result("t1", content="1")), HELLO),
        body_of(HELLO, {"role": "assistant", "content": "Once upon"}),
        body_of(
            HELLO,
            turn(
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
                text("It is."),
            ),
            HELLO,
            container="c1",
        ),
        body_of(HELLO, temperature=0, top_p=0.5, stop_sequences=["a"], thinking=None),
        body_of(HELLO, temperature="hot", stop_sequences="a", stream=1, seed=3, n=2, prompt="x"),
        body_of(HELLO, thinking={"type": "enabled", "budget_tokens": 2000}),
        body_of(HELLO, thinking={"type": "adaptive"}, output_config={"effort": "low"}),
        body_of(HELLO, thinking={"type": "adaptive", "display": "omitted"}),
        body_of(HELLO, thinking={"type": "disabled"}),
        body_of(HELLO, output_config={"format": {"type": "json_schema", "schema": {"a": 1}}}),
        body_of(HELLO, output_config={"format": {"type": "json_schema", "schema": {}}, "x": 1}),
        body_of(HELLO, tools=[TOOL | CACHE, {"type": "web_search_20250305", "name": "web_search"}]),
        body_of(HELLO, tools=[{"type": "custom", **TOOL, "strict": True, "defer_loading": True}]),
        body_of(HELLO, tools=[TOOL], tool_choice={"type": "any"}),
        body_of(HELLO, tools=[TOOL], tool_choice={"type": "tool", "name": "weather"}),
        body_of(HELLO, tool_choice={"type": "auto", "disable_parallel_tool_use": True}),
        body_of(HELLO, tools=[], tool_choice={"type": "none"}, context_management={"edits": []}),
    ],
)
def test_a_request_is_built_again_as_it_came(body: dict[str, Any]) -> None:
    assert again(body) == body


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        # What the API refuses is left out, as from any other conversation.
        ([HELLO, turn(text(" "), text("Hi"))], [HELLO, turn(text("Hi"))]),
        ([HELLO, turn(), HELLO], [HELLO, HELLO]),
        # Two messages of the user, one after the other, are one for the API.
        (
            [HELLO, turn(call("t")), of_user(result("t")), of_user(text("And?"))],
            [HELLO, turn(call("t")), of_user(result("t"), text("And?"))],
        ),
        (
            [HELLO, turn(call("t")), of_user(text("And?"), result("t"))],
            [HELLO, turn(call("t")), of_user(text("And?")), of_user(result("t"))],
        ),
        ([HELLO, turn(call("t")), of_user(result("t", content=None))], None),
    ],
)
def test_what_is_built_otherwise_means_the_same(given: Any, wanted: Any) -> None:
    wanted = wanted or [HELLO, turn(call("t")), of_user(result("t"))]
    assert again(body_of(*given)) == body_of(*wanted)


def test_the_universal_form_has_what_others_need() -> None:
    answer = turn(THINKING, text("Hm"), call("t1"))
    chat = Anthropic().read_request(
        "https://api.anthropic.com/v1/messages?beta=true",
        body_of(
            of_user(text("What?"), PIXEL),
            answer,
            of_user(result("t1", content="cold"), text("Well?", **CACHE)),
            system="Be brief.",
            tools=[{**TOOL, **CACHE}],
            tool_choice={"type": "any"},
            stop_sequences=["e"],
            output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        ),
    )
    assert chat.messages is not None
    system, asked, said, told, more = chat.messages
    assert (system.role, system.content) == ("system", "Be brief.")
    assert asked.images[0] == ImagePart.model_validate(
        {"image_url": {"url": "data:image/png;base64,iVBO"}}
    )
    assert (said.content, said.native) == ("Hm", {"anthropic": answer})
    assert said.tool_calls is not None
    assert said.tool_calls[0].id == "t1"
    assert (told.role, told.tool_call_id, told.content) == ("tool", "t1", "cold")
    assert (more.role, more.text) == ("user", "Well?")
    assert (chat.max_tokens, chat.stop, chat.tool_choice) == (5, ("e",), "required")
    assert chat.response_format == {"type": "object"}
    assert chat.tools is not None
    assert chat.tools[0].function is not None
    assert chat.tools[0].function.parameters == {"type": "object"}


def test_another_provider_gets_nothing_of_the_dialect() -> None:
    chat = Anthropic().read_request(
        ROUTE,
        body_of(
            of_user(text("What?", **CACHE)),
            turn(THINKING, call("t1"), call("t2")),
            of_user(result("t1", content="cold", is_error=True, **CACHE), result("t2")),
            system=[text("Be brief.", **CACHE)],
            tools=[{**TOOL, **CACHE}],
        ),
    )
    body = OpenAI().request(chat.model_copy(update={"extra_body": None})).body
    assert body is not None
    assert check_openai(body) is None
    assert body["messages"][1]["content"] == [text("What?")]
    assert [tool.keys() for tool in body["tools"]] == [{"type", "function"}]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (None, "body"),
        ({"max_tokens": 5, "messages": [HELLO]}, "model"),
        ({"model": "m", "max_tokens": 5}, "messages"),
        ({"model": "m", "messages": [HELLO]}, "max_tokens"),
        (body_of(HELLO, system=5), "system"),
        (body_of({"role": "system", "content": "x"}), r"messages\[0\].role"),
        (body_of({"role": "user"}), r"messages\[0\].content"),
        (body_of({"role": "user", "content": "x", "name": "ann"}), r"messages\[0\].name"),
        (body_of(of_user({"text": "x"})), r"messages\[0\]: content"),
        (body_of(of_user({"type": "text"})), r"messages\[0\]: content"),
        (
            body_of(HELLO, of_user({"type": "tool_result"})),
            r"messages\[1\].content\[0\].tool_use_id",
        ),
        (body_of(of_user(result("t", content=5))), r"messages\[0\].content\[0\].content"),
        (body_of(of_user(result("t", name="x"))), r"messages\[0\].content\[0\].name"),
        (body_of({**of_user(result("t")), "x": 1}), r"messages\[0\].x"),
        (body_of(turn({"type": "tool_use", "id": "t"})), r"messages\[0\]: tool_calls.0"),
        (body_of({"role": "assistant", "content": None}), r"messages\[0\].content"),
        (body_of(HELLO, tools=[{"name": "x"}]), r"tools\[0\].input_schema"),
        (body_of(HELLO, tool_choice={"type": "function"}), "tool_choice"),
    ],
)
def test_what_is_not_of_the_dialect_is_refused_with_its_place(body: Any, place: str) -> None:
    with pytest.raises(InvalidRequestError, match=place):
        Anthropic().read_request(ROUTE, body)


def test_other_routes_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="route"):
        Anthropic().read_request("/v1/messages/count_tokens", body_of(HELLO))
