"""A conversation as the Messages API wants it, wherever its messages came from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anthropic_bodies import SIGNATURE, answer, completion_of, events_of, sent, whole
from decoding import delta, openai
from strict_anthropic import check_anthropic
from vesselog.core.errors import InvalidRequestError
from vesselog.core.request import ImagePart

USER = {"role": "user", "content": "?"}


def conversation(*messages: Any) -> list[dict[str, Any]]:
    """The messages of a request that the API takes, behind a question."""
    body = sent(messages=[USER, *messages])
    assert check_anthropic(body) is None
    return body["messages"][1:]


def result(identifier: Any, content: Any = "1", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": content, **more}


def native(*blocks: Any, **more: Any) -> dict[str, Any]:
    """An answer of this vessel, as a caller may have stored it."""
    own = {"role": "assistant", "content": list(blocks)}
    return {"role": "assistant", "content": "", "native": {"anthropic": own}, **more}


def test_system_messages_stand_apart() -> None:
    plain = {"role": "system", "content": "Be brief."}
    user = {"role": "user", "content": "hi"}
    assert sent(messages=[plain, user])["system"] == "Be brief."
    cached = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}
    developer = {"role": "developer", "content": [cached]}
    body = sent(messages=[plain, developer, user])
    assert body["system"] == [{"type": "text", "text": "Be brief."}, cached]
    assert body["messages"] == [user]
    with pytest.raises(InvalidRequestError, match="before all others"):
        sent(messages=[user, plain])


def test_a_conversation_with_tools() -> None:
    call = {"id": "t1", "function": {"name": "f", "arguments": '{"a": 1}'}}
    other = {"id": "t2", "function": {"name": "g", "arguments": ""}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [call, other]},
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {"role": "tool", "tool_call_id": "t2", "content": "bad", "is_error": True},
        {"role": "user", "content": "and now?"},
    ]
    assert sent(messages=messages)["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "t2", "content": "bad", "is_error": True},
            ],
        },
        {"role": "user", "content": "and now?"},
    ]


def test_images_and_parts_of_the_apis_own() -> None:
    document = {"type": "document", "source": {"type": "text", "data": "d"}}
    parts = [
        {"type": "text", "text": "look"},
        ImagePart.from_bytes(b"\x89PNG").model_dump(),
        {"type": "image_url", "image_url": {"url": "https://x/y.jpg"}},
        document,
    ]
    (message,) = sent(messages=[{"role": "user", "content": parts}])["messages"]
    inline = {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert message["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image", "source": inline},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.jpg"}},
        document,
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "a", "name": "bob"},
        {"role": "tool", "content": "a"},
        {"role": "function", "name": "f", "content": "a"},
        {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"name": "sql"}}]},
        {"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x"}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "x"}}]},
        {"role": "tool", "tool_call_id": "t", "content": [{"type": "video_url", "video_url": {}}]},
    ],
)
def test_messages_it_cannot_express(message: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        sent(messages=[{"role": "user", "content": "a"}, message])


def test_an_image_in_a_result() -> None:
    call = {"id": "t1", "function": {"name": "f"}}
    parts = [
        {"type": "text", "text": "look"},
        {"type": "text", "text": ""},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
    ]
    answers = conversation({"role": "assistant", "tool_calls": [call]}, result("t1", parts))
    (made,) = answers[1]["content"]
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert made["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image", "source": source},
    ]


# Answers of this vessel.


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_goes_back_as_it_came(*, streamed: bool) -> None:
    blocks = [
        {"type": "thinking", "thinking": "one", "signature": SIGNATURE},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        {"type": "thinking", "thinking": "two", "signature": "S2"},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
    ]
    body = events_of(blocks, "tool_use") if streamed else whole(blocks, "tool_use")
    told = json.loads(json.dumps(completion_of(body).to_message()))
    sent_back = conversation(told, result("t1"), result("t2"))
    assert sent_back[0] == {"role": "assistant", "content": blocks}
    assert [each["tool_use_id"] for each in sent_back[1]["content"]] == ["t1", "t2"]


def test_what_the_api_refuses_is_left_out_of_an_answer() -> None:
    blank = [{"type": "text", "text": each} for each in ("", "\n\n")]
    said = {"type": "text", "text": "Hi\n"}
    assert conversation(native(blank[0], said, blank[1]), USER) == [
        {"role": "assistant", "content": [said]},
        USER,
    ]
    assert conversation(native(*blank), USER) == [USER]
    assert conversation(native(), USER) == [USER]


@pytest.mark.parametrize("given", ["[1]", "{", 7, None])
def test_an_input_that_is_no_object_is_wrapped(given: Any) -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": given}
    call = {"id": "t", "function": {"name": "f", "arguments": given if given == "{" else "{}"}}
    sent_back = conversation(native(block, tool_calls=[call]), result("t"))
    wanted = {} if given is None else {"INVALID_JSON": given}
    assert sent_back[0]["content"] == [{**block, "input": wanted}]


def test_the_same_id_in_two_answers_is_made_distinct_in_both_forms() -> None:
    called = {"type": "tool_use", "id": "call_0", "name": "f", "input": {}}
    turn = [completion_of(whole([called])).to_message(), result("call_0")]
    sent_back = conversation(*turn, *turn)
    first, second = (sent_back[each]["content"][0]["id"] for each in (0, 2))
    assert first == "call_0" != second
    assert [sent_back[each]["content"][0]["tool_use_id"] for each in (1, 3)] == [first, second]


@pytest.mark.parametrize("odd", [[], {}, None, 5])
def test_an_id_that_is_no_text_is_replaced(odd: Any) -> None:
    called = {"type": "tool_use", "id": odd, "name": "f", "input": {}}
    call = {"function": {"name": "f"}}
    sent_back = conversation(native(called, tool_calls=[call]), {"role": "tool", "content": "1"})
    assert sent_back[0]["content"][0]["id"] == sent_back[1]["content"][0]["tool_use_id"]


def test_an_id_that_the_api_refuses_is_replaced_in_both_forms() -> None:
    """Servers behind the dialect make ids such as functions.f:0."""
    called = {"type": "tool_use", "id": "functions.f:0", "name": "f", "input": {}}
    other = {**called, "id": "t2"}
    told = completion_of(whole([called, other])).to_message()
    sent_back = conversation(told, result("t2"), result("functions.f:0"))
    made = [each["id"] for each in sent_back[0]["content"]]
    assert made[1] == "t2"
    assert [each["tool_use_id"] for each in sent_back[1]["content"]] == made[::-1]


# Answers of other providers.


def call(identifier: str, name: str, arguments: str, index: int = 0) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": identifier, "function": function}


def test_the_answer_of_another_provider() -> None:
    calls = [call("functions.f:0", "f", '{"a": 1}'), call("b", "g", "{half", 1)]
    found = openai(
        delta(reasoning="Hm.", content="Hi"), delta(tool_calls=calls), delta("tool_calls")
    )
    first, second = found.completion.tool_calls
    sent_back = conversation(found.completion.to_message(), result(first.id), result(second.id))
    content = sent_back[0]["content"]
    assert content[0] == {"type": "text", "text": "Hi"}
    assert [each["input"] for each in content[1:]] == [{"a": 1}, {"INVALID_JSON": "{half"}]
    made = [each["id"] for each in content[1:]]
    assert [each["tool_use_id"] for each in sent_back[1]["content"]] == made


def test_a_refusal_of_another_provider_is_its_text() -> None:
    found = openai(delta(refusal="No."), delta("stop"))
    assert conversation(found.completion.to_message()) == [{"role": "assistant", "content": "No."}]


@pytest.mark.parametrize("content", ["", " \n", None, [], [{"type": "text", "text": " "}]])
def test_an_answer_that_says_nothing_is_left_out(content: Any) -> None:
    assert conversation({"role": "assistant", "content": content}, USER) == [USER]
    called = {
        "role": "assistant",
        "content": content,
        "tool_calls": [{"id": "t", "function": {"name": "f"}}],
    }
    assert [each["type"] for each in conversation(called, result("t"))[0]["content"]] == [
        "tool_use"
    ]


def test_the_form_of_another_provider_is_not_sent() -> None:
    told = {"role": "assistant", "content": "Hi", "native": {"openai": {"content": "Hi", "x": 1}}}
    assert conversation(told) == [{"role": "assistant", "content": "Hi"}]


def test_a_cut_answer_can_go_back() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "S"}
    frames = events_of([{"type": "text", "text": "Let me think."}, thinking])
    for count in range(len(frames) + 1):
        told = completion_of([b"".join(frames[:count])]).to_message()
        conversation(told, USER)
    assert answer(*frames[:-3]).outcome == "TruncatedError"
