"""Ollama's own dialect: requests, answers, endings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from decoding import JSON, NDJSON, decode, ollama
from vesselog.core.errors import ConfigurationError, InvalidRequestError
from vesselog.core.jsontext import dumps
from vesselog.core.request import ImagePart, Message, TextPart, chat_request
from vesselog.core.vessel import ModelInfo, Progress
from vesselog.vessels import Ollama

LAST = {
    "model": "m",
    "created_at": "2026-11-21T08:09:12Z",
    "message": {"role": "assistant", "content": ""},
    "done_reason": "stop",
    "done": True,
    "total_duration": 5_000_000_000,
    "load_duration": 1_000_000_000,
    "prompt_eval_count": 19,
    "prompt_eval_duration": 500_000_000,
    "eval_count": 12,
    "eval_duration": 2_500_000_000,
}


def line(text: str = "", **message: Any) -> dict[str, Any]:
    told = {"role": "assistant", "content": text, **message}
    return {"model": "m", "created_at": "2026-11-21T08:09:12.5Z", "message": told, "done": False}


def sent(**fields: Any) -> dict[str, Any]:
    if "prompt" not in fields:
        fields.setdefault("messages", "hi")
    body = Ollama().request(chat_request("m", **fields)).body
    assert body is not None
    return body


def test_a_plain_request() -> None:
    request = Ollama().request(chat_request("qwen3:1.7b", "hi"))
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:11434/api/chat")
    assert json.loads(request.content) == {
        "model": "qwen3:1.7b",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }


def test_a_prompt_goes_to_generate() -> None:
    request = Ollama().request(chat_request("m", prompt="once", stream=False))
    assert request.url == "http://127.0.0.1:11434/api/generate"
    assert request.body == {"model": "m", "prompt": "once", "stream": False}
    assert not request.stream


def test_sampling_goes_into_options_where_options_win() -> None:
    body = sent(
        temperature=0,
        top_p=0.5,
        seed=0,
        stop="x",
        max_tokens=5,
        options={"top_p": 0.9, "num_ctx": 8192},
        extra_body={"options": {"num_ctx": 1}, "raw": True},
    )
    assert body["options"] == {
        "temperature": 0,
        "top_p": 0.9,
        "seed": 0,
        "stop": ["x"],
        "num_predict": 5,
        "num_ctx": 1,
    }
    assert body["raw"] is True
    assert "max_tokens" not in body


@pytest.mark.parametrize("keep_alive", [0, -1, "10m", 1.5])
@pytest.mark.parametrize("think", [True, False, "low", "medium", "high"])
def test_keep_alive_and_think_are_passed_on(keep_alive: Any, think: Any) -> None:
    body = sent(keep_alive=keep_alive, think=think)
    assert (body["keep_alive"], body["think"]) == (keep_alive, think)


class City(BaseModel):
    name: str


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("json", "json"),
        ({"type": "json_object"}, "json"),
        (SCHEMA, SCHEMA),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}, SCHEMA),
        (City, City.model_json_schema()),
        ({"type": "text"}, None),
    ],
)
def test_formats(asked: Any, given: Any) -> None:
    assert sent(response_format=asked).get("format") == given


@pytest.mark.parametrize(
    ("asked", "given"),
    [(True, (True, None)), (False, (False, None)), (2, (True, 2)), (None, (None, None))],
)
def test_log_probabilities_asked_for(asked: Any, given: Any) -> None:
    body = sent(logprobs=asked)
    assert (body.get("logprobs"), body.get("top_logprobs")) == given


def test_images_are_base64() -> None:
    parts = (TextPart(text="what "), ImagePart.from_bytes(b"hi"), TextPart(text="is it"))
    (message,) = sent(messages=[Message(role="user", content=parts)])["messages"]
    assert message == {"role": "user", "content": "what is it", "images": ["aGk="]}


@pytest.mark.parametrize("url", ["https://x/cat.png", "http://x", "data:image/png,hi", "data:x"])
def test_other_images_are_refused(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(InvalidRequestError, match="image"):
        sent(messages=[{"role": "user", "content": [part]}])


def test_a_conversation_with_tools() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]
    called = {"id": "1", "function": {"name": "f", "arguments": '{"a": "x"}'}}
    body = sent(
        tools=tools,
        tool_choice="auto",
        messages=[
            {"role": "developer", "content": "d"},
            {"role": "assistant", "content": "", "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "1", "content": "4"},
            {"role": "tool", "name": "g", "content": "5"},
        ],
    )
    assert body["tools"] == tools
    assert body["messages"] == [
        {"role": "system", "content": "d"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": "x"}}}],
        },
        {"role": "tool", "content": "4", "tool_name": "f", "tool_call_id": "1"},
        {"role": "tool", "content": "5", "tool_name": "g"},
    ]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", {}),
        ("{}", {}),
        ({"a": 1}, {"a": 1}),
        ('{"a":1}', {"a": 1}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ('{"a"', {"INVALID_JSON": '{"a"'}),
    ],
)
def test_arguments_in_the_history_are_objects(arguments: Any, given: Any) -> None:
    message = {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "f", "arguments": arguments}}],
    }
    (call,) = sent(messages=[message])["messages"][0]["tool_calls"]
    assert call == {"function": {"name": "f", "arguments": given}}


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function"}},
        {"functions": [{"name": "f"}]},
        {"function_call": "auto"},
        {"prompt": "x", "tools": [{"type": "function"}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        {"think": 512},
        {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [{"type": "custom", "custom": {"name": "f", "input": "x"}}],
                }
            ]
        },
    ],
)
def test_what_the_dialect_cannot_express_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="ollama"):
        sent(**fields)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (None, "http://127.0.0.1:11434"),
        ("http://gpu:11434", "http://gpu:11434"),
        ("http://gpu:11434/", "http://gpu:11434"),
        ("gpu", "http://gpu:11434"),
        ("gpu:8080", "http://gpu:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        ("[::1]", "http://[::1]:11434"),
        ("http://gpu", "http://gpu"),
        ("https://ollama.com", "https://ollama.com"),
        ("https://h/prefix", "https://h/prefix"),
        ("gpu/prefix/", "http://gpu:11434/prefix"),
        ("http://gpu:1/api", "http://gpu:1"),
        ("http://gpu:1/api/chat", "http://gpu:1"),
        ("http://gpu:1/api/generate/", "http://gpu:1"),
        (' "gpu:8080" ', "http://gpu:8080"),
    ],
)
def test_forms_of_a_host(host: str | None, url: str) -> None:
    for vessel in (Ollama(base_url=host), Ollama().configured({"OLLAMA_HOST": host or ""})):
        assert vessel.request(chat_request("m", "x")).url == f"{url}/api/chat"
        assert vessel.request(chat_request("m", prompt="x")).url == f"{url}/api/generate"
        models, version = vessel.models_request(), vessel.version_request()
        assert models
        assert version
        assert (models.method, models.url) == ("GET", f"{url}/api/tags")
        assert (version.method, version.url) == ("GET", f"{url}/api/version")


@pytest.mark.parametrize("host", ["ftp://gpu", "gpu:port", "gp u", "http://[::1", "//x", "/x"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="http://"):
        Ollama(base_url=host).request(chat_request("m", "x"))


def test_models_and_version() -> None:
    listed = {"models": [{"name": "m:latest", "size": 7, "modified_at": "2026-11-21T08:09:12Z"}]}
    assert Ollama().read_models(listed) == [
        ModelInfo("m:latest", size=7, modified="2026-11-21T08:09:12Z")
    ]
    assert Ollama().read_models({"models": None}) == []
    assert Ollama().read_version({"version": "0.9.3"}) == "0.9.3"


def test_a_plain_stream() -> None:
    found = ollama(line("Hel"), line("lo"), line("!"), LAST)
    assert (found.outcome, found.progress) == ("complete", Progress.TERMINATED)
    assert [list(step.fields) for step in found.steps][:3] == [
        [{"seq": 0, "role": "assistant", "text": "Hel", "model": "m"}],
        [{"seq": 1, "text": "lo"}],
        [{"seq": 2, "text": "!"}],
    ]
    completion = found.completion
    assert (completion.text, completion.finish_reason) == ("Hello!", "stop")
    assert completion.usage
    assert completion.usage.model_dump(exclude_none=True) == {
        "input_tokens": 19,
        "output_tokens": 12,
    }
    assert completion.timings
    assert completion.timings.model_dump() == {
        "total": 5.0,
        "load": 1.0,
        "prompt_eval": 0.5,
        "eval": 2.5,
    }
    assert found.repairs == []


def test_generate() -> None:
    lines = [{"model": "m", "created_at": "t", "response": text, "done": False} for text in "abc"]
    found = ollama(*lines, {**LAST, "message": None, "response": "", "context": [1] * 2000})
    assert (found.outcome, found.completion.text) == ("complete", "abc")
    assert found.completion.extra == {"context": [1] * 2000}, "a next prompt may need it"
    thinking = [{**each, "response": "", "thinking": each["response"]} for each in lines]
    assert ollama(*thinking, LAST).completion.reasoning == "abc"


def test_thinking() -> None:
    found = ollama(line(thinking="Th"), line(thinking="ink"), line("a"), line("b"), LAST)
    assert (found.completion.reasoning, found.completion.text) == ("Think", "ab")
    assert found.repairs == []


@pytest.mark.parametrize("stream", [True, False])
def test_a_whole_answer(stream: bool) -> None:  # noqa: FBT001
    whole = {**LAST, "message": {"role": "assistant", "content": "Hi", "thinking": "t"}}
    found = decode(Ollama(), json.dumps(whole).encode(), JSON, stream=stream)
    assert found.outcome == "complete"
    assert (found.completion.text, found.completion.reasoning) == ("Hi", "t")


def test_a_whole_answer_over_several_lines() -> None:
    found = decode(Ollama(), json.dumps(LAST, indent=2).encode(), JSON, stream=False)
    assert found.outcome == "complete"


@pytest.mark.parametrize("reason", ["load", "unload", "custom"])
def test_answers_that_are_no_answers(reason: str) -> None:
    body = {"model": "m", "message": {"content": ""}, "done_reason": reason, "done": True}
    found = decode(Ollama(), json.dumps(body).encode(), JSON)
    assert found.outcome == "complete"
    assert (found.completion.finish_reason, found.completion.raw_finish_reason) == ("other", reason)


def test_a_server_that_gives_no_reason() -> None:
    found = ollama(line("a"), {key: LAST[key] for key in LAST if key != "done_reason"})
    assert (found.outcome, found.completion.finish_reason) == ("complete", None)


def test_figures_that_are_missing_are_none() -> None:
    found = ollama(line("a"), {"model": "m", "done": True, "done_reason": "stop", "eval_count": 3})
    assert found.completion.usage
    assert found.completion.usage.input_tokens is None
    assert found.completion.timings is None


def test_tool_calls_are_whole() -> None:
    first = {"function": {"index": 0, "name": "f", "arguments": {"x": 1}}}
    second = {"id": "call_b", "function": {"index": 0, "name": "f", "arguments": {"x": 2}}}
    found = ollama(line(tool_calls=[first]), line(tool_calls=[second]), LAST)
    calls = found.completion.tool_calls
    assert [(call.name, call.arguments) for call in calls] == [("f", {"x": 1}), ("f", {"x": 2})]
    assert calls[1].id == "call_b"
    assert calls[0].id not in {None, "", "call_b"}
    assert found.completion.finish_reason == "tool_calls"
    assert found.completion.raw_finish_reason == "stop"
    assert found.repairs == ["tool-id-made"]


def test_large_integers_in_arguments_are_exact() -> None:
    call = {"function": {"name": "f", "arguments": {"x": 2**100}}}
    (made,) = ollama(line(tool_calls=[call]), LAST).completion.tool_calls
    assert made.arguments == {"x": 2**100}


def test_log_probabilities_have_the_universal_form() -> None:
    lines = [{**line("a"), "logprobs": [{"token": token, "logprob": -1.0}]} for token in "ab"]
    assert ollama(*lines, LAST).completion.logprobs == {
        "content": [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -1.0}]
    }


def test_blank_and_glued_lines() -> None:
    glued = json.dumps(line("b")).encode() + json.dumps(line("c")).encode() + b"\n"
    found = ollama(b"\n", line("a"), b"\r\n", glued, LAST)
    assert (found.outcome, found.completion.text) == ("complete", "abc")
    assert found.repairs == ["glued-lines"]


@pytest.mark.parametrize("content_type", [NDJSON, JSON, "text/plain", "", "text/event-stream"])
def test_the_content_type_does_not_matter(content_type: str) -> None:
    body = b"".join(json.dumps(each).encode() + b"\n" for each in (line("a"), line("b"), LAST))
    found = decode(Ollama(), body, content_type)
    assert (found.outcome, found.completion.text) == ("complete", "ab")


def test_the_last_line_may_lack_its_end() -> None:
    assert ollama(line("a"), json.dumps(LAST).encode()).outcome == "complete"


@pytest.mark.parametrize(
    "lines", [[], [b"\n"], [line("a")], [line("a"), json.dumps(LAST).encode()[:-5]]]
)
def test_an_end_before_done_is_truncated(lines: list[Any]) -> None:
    found = ollama(*lines)
    assert found.outcome == "TruncatedError"


@pytest.mark.parametrize("lines", [[], [line("a")]])
def test_an_error_line(lines: list[Any]) -> None:
    found = ollama(*lines, {"error": "model runner has unexpectedly stopped"})
    assert found.outcome == "ProviderError"
    assert str(found.error) == (
        "ollama failed while answering: model runner has unexpectedly stopped"
    )
    assert found.steps[-1].error is found.error
    assert found.completion.text == ("a" if lines else "")


def test_an_error_status() -> None:
    found = decode(Ollama(), b'{"error":"model \\"x\\" not found"}', JSON, status=404)
    assert found.error
    assert str(found.error) == 'ollama answered 404: model "x" not found'
    assert (found.error.status, found.error.retryable) == (404, False)


@pytest.mark.parametrize(
    "data",
    [
        b"<html>busy</html>",
        b"upstream connect error or disconnect/reset before headers",
        b'{"choices":[]}',
        b'{"message":{"content":"a"}',
    ],
)
def test_what_is_not_the_dialect_is_an_error_after_what_came(data: bytes) -> None:
    found = ollama(line("a"), data + b"\n", LAST)
    assert found.outcome == "ProtocolError"
    assert found.completion.text == "a"
    assert found.steps[1].frame.raw == data + b"\n"


keys = st.sampled_from(
    ["message", "content", "response", "done", "tool_calls", "function", "error"]
)
shapes = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)


@given(st.lists(shapes, max_size=4))
def test_any_json_gives_chunks_or_a_typed_error(lines: list[Any]) -> None:
    found = ollama(*lines)
    assert found.raw == b"".join(dumps(each) + b"\n" for each in lines)


@given(st.binary(max_size=200))
def test_any_bytes_give_chunks_or_a_typed_error(body: bytes) -> None:
    assert decode(Ollama(), body, NDJSON).raw == body


def test_every_split_and_every_cut() -> None:
    call = {"function": {"name": "f", "arguments": {"x": "👍"}}}
    lines = [line("Grüße \u2028\u0085"), line(thinking="t"), line(tool_calls=[call]), LAST]
    body = b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in lines)
    whole = decode(Ollama(), body, NDJSON).said
    for at in range(len(body)):
        assert decode(Ollama(), [body[:at], body[at:]], NDJSON).said == whole
        cut = decode(Ollama(), body[:at], NDJSON)
        assert cut.raw == body[:at]
        assert cut.outcome == ("TruncatedError" if at < len(body) - 1 else "complete")
