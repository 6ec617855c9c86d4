"""Google's Gemini dialect. The bodies follow the documentation's examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cutting import check_cuts, check_splits
from decoding import JSON, SSE, Decoded, decode
from loopback import Conversation, LoopbackServer
from vesselog import AsyncClient, Client, Recording, replay, verify
from vesselog.core.errors import InvalidRequestError, ProviderError
from vesselog.core.exchange import Exchange
from vesselog.core.jsontext import dumps
from vesselog.core.request import ImagePart, chat_request
from vesselog.core.vessel import ModelInfo, Progress
from vesselog.vessels import Gemini

WORDS = st.sampled_from(
    [
        "candidates",
        "content",
        "parts",
        "text",
        "functionCall",
        "name",
        "args",
        "finishReason",
        "STOP",
        "usageMetadata",
        "promptFeedback",
        "index",
        "error",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
SIGNATURE = "CiIBVKhc7vB+vaaq6rA/KC79Ts7iXagIOA4EBOyBFDpl+pxPCmcBVKhc7g"


def event(
    *parts: dict[str, Any], finish: str | None = None, index: int = 0, **fields: Any
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "modelVersion": "gemini-2.5-flash",
        "responseId": "48SHaPHp",
        **fields,
    }


def usage(thoughts: int | None = None, answer: int | None = None) -> dict[str, Any]:
    counts = {"promptTokenCount": 38, "totalTokenCount": 38 + (thoughts or 0) + (answer or 0)}
    if answer is not None:
        counts["candidatesTokenCount"] = answer
    if thoughts is not None:
        counts["thoughtsTokenCount"] = thoughts
    return {"usageMetadata": counts}


def frame(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def call(name: str, args: dict[str, Any], **part: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": args}, **part}


HELLO = [
    frame(event({"text": "Hello"}, **usage(answer=1))),
    frame(event({"text": " wörld"}, **usage(answer=2))),
    frame(event({"text": "!"}, finish="STOP", **usage(answer=3))),
]
THINKING = [
    frame(event({"text": "**Counting**\n\n", "thought": True}, **usage(68))),
    frame(event({"text": "Days left.\n", "thought": True}, **usage(168))),
    frame(event({"text": "It is "}, **usage(168, 3))),
    frame(event({"text": "21.", "thoughtSignature": SIGNATURE}, finish="STOP", **usage(168, 6))),
]
TOOLS = [
    frame(event({"text": "Counting.\n", "thought": True}, **usage(68))),
    frame(
        event(
            call("now", {}, thoughtSignature=SIGNATURE),
            call("sum", {"x": 2**70, "y": 1}),
            finish="STOP",
            **usage(68, 6),
        )
    ),
]


def answer(*values: Any, **settings: Any) -> Decoded:
    body = b"".join(each if isinstance(each, bytes) else frame(each) for each in values)
    return decode(Gemini(), body, SSE, **settings)


def sent(**fields: Any) -> dict[str, Any]:
    fields.setdefault("messages", "hi")
    body = Gemini().request(chat_request("m", **fields)).body
    assert body is not None
    return body


def config(**fields: Any) -> Any:
    return sent(**fields)["generationConfig"]


# What is read.


def test_a_plain_stream() -> None:
    found = answer(*HELLO)
    assert (found.outcome, found.progress, found.repairs) == ("complete", Progress.FINISHED, [])
    assert [chunk.text for chunk in found.chunks] == ["Hello", " wörld", "!"]
    completion = found.completion
    assert (completion.finish_reason, completion.raw_finish_reason) == ("stop", "STOP")
    assert (completion.response_id, completion.model) == ("48SHaPHp", "gemini-2.5-flash")
    assert [chunk.role for chunk in found.chunks] == ["assistant", None, None]
    assert completion.extra == {}


def test_thoughts_are_reasoning_and_count_as_output() -> None:
    completion = answer(*THINKING).completion
    assert completion.reasoning == "**Counting**\n\nDays left.\n"
    assert completion.text == "It is 21."
    assert completion.extra == {}
    assert completion.usage is not None
    assert completion.usage.model_dump(exclude_none=True) == {
        "input_tokens": 38,
        "output_tokens": 174,
        "total_tokens": 212,
        "reasoning_tokens": 168,
    }


def test_counts_by_modality_are_details_of_the_usage() -> None:
    details = [
        {"modality": "TEXT", "tokenCount": 11},
        {"modality": "IMAGE", "tokenCount": 6},
        {"modality": "AUDIO", "tokenCount": 4},
    ]
    counts = {
        "promptTokenCount": 21,
        "toolUsePromptTokenCount": 243,
        "cachedContentTokenCount": 11,
        "candidatesTokenCount": 126,
        "totalTokenCount": 390,
        "promptTokensDetails": details,
    }
    completion = answer(event({"text": "a"}, finish="STOP", usageMetadata=counts)).completion
    assert completion.usage is not None
    assert (completion.usage.input_tokens, completion.usage.cached_input_tokens) == (264, 11)
    kept = {"toolUsePromptTokenCount": 243, "promptTokensDetails": details}
    assert (completion.usage.details, completion.extra) == (kept, {})


def test_function_calls_with_their_signatures() -> None:
    completion = answer(*TOOLS).completion
    assert [(each.name, each.arguments) for each in completion.tool_calls] == [
        ("now", {}),
        ("sum", {"x": 2**70, "y": 1}),
    ]
    assert (completion.finish_reason, completion.raw_finish_reason) == ("tool_calls", "STOP")
    assert len({each.id for each in completion.tool_calls} - {None}) == 2


def test_a_failure_told_as_finish_reason_fails() -> None:
    value = event(finish="MALFORMED_FUNCTION_CALL")
    value["candidates"][0]["finishMessage"] = "Malformed function call: print(now("
    found = answer(event({"text": "Let me"}), value)
    assert isinstance(found.error, ProviderError)
    assert found.error.code == "MALFORMED_FUNCTION_CALL"
    assert "print(now(" in found.error.message
    assert (found.completion.text, found.completion.finish_reason) == ("Let me", "error")


def test_a_blocked_prompt_is_a_content_filter() -> None:
    feedback = {"blockReason": "SAFETY", "safetyRatings": [{"category": "C"}]}
    for values in ([{"promptFeedback": feedback}], [HELLO[0], {"promptFeedback": feedback}]):
        found = answer(*values)
        assert found.outcome == "complete"
        completion = found.completion
        assert (completion.finish_reason, completion.raw_finish_reason) == (
            "content_filter",
            "SAFETY",
        )
        assert completion.extra["promptFeedback"] == feedback


def test_an_empty_answer_is_truncated() -> None:
    assert answer({"candidates": [], "modelVersion": "m"}).outcome == "TruncatedError"
    assert answer(event({"text": "a"}, finish="FINISH_REASON_UNSPECIFIED")).outcome != "complete"


def test_an_error_in_band() -> None:
    error = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
    found = answer(HELLO[0], {"error": error})
    assert isinstance(found.error, ProviderError)
    assert (found.error.code, found.error.retryable) == ("503", True)
    assert "overloaded" in found.error.message
    assert found.completion.text == "Hello"


def test_an_error_status() -> None:
    error = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}
    for body in ({"error": error}, [{"error": error}]):
        failure = Gemini().failure(400, json.dumps(body))
        assert failure.message == "gemini answered 400: API key not valid."
        assert not failure.retryable


def test_candidates_are_choices_and_all_are_waited_for() -> None:
    request = Gemini().request(chat_request("m", "hi", n=2))
    frames = [
        frame(event({"text": "a"}, finish="STOP", **usage(answer=1))),
        frame(event({"text": "b"}, index=1, finish="STOP", **usage(answer=2))),
    ]
    for count, whole in ((1, False), (2, True)):
        exchange = Exchange(Gemini(), request)
        exchange.respond(200, SSE)
        steps = exchange.take(b"".join(frames[:count]))
        chunks = [chunk for step in steps for chunk in step.chunks]
        list(exchange.finish())
        assert (exchange.error is None) is whole
        assert [(chunk.choice, chunk.text) for chunk in chunks] == [(0, "a"), (1, "b")][:count]


def test_other_parts_and_fields_are_kept() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(28)"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "28\n"}}
    ratings = [{"category": "C", "probability": "NEGLIGIBLE"}]
    last = event({"text": "It is 28."}, finish="STOP", createTime="2026-01-01T00:00:00Z")
    last["candidates"][0]["safetyRatings"] = ratings
    completion = answer(event(code), event(result), last).completion
    assert completion.text == "It is 28."
    assert completion.extra == {
        "safetyRatings": ratings,
        "createTime": "2026-01-01T00:00:00Z",
    }


def test_a_part_with_text_and_a_call_says_both() -> None:
    (chunk,) = answer(event({"text": "a", **call("f", {})}, finish="STOP")).chunks
    assert (chunk.text, chunk.tool_calls[0].name, chunk.extra) == ("a", "f", {})


def test_log_probabilities_in_the_universal_form() -> None:
    value = event({"text": "a"}, finish="STOP")
    chosen = {"token": "a", "tokenId": 1, "logProbability": -0.5}
    value["candidates"][0]["logprobsResult"] = {
        "chosenCandidates": [chosen],
        "topCandidates": [{"candidates": [chosen, {"token": "b", "logProbability": -1}]}],
    }
    assert answer(value).completion.logprobs == {
        "content": [
            {
                "token": "a",
                "logprob": -0.5,
                "top_logprobs": [
                    {"token": "a", "logprob": -0.5},
                    {"token": "b", "logprob": -1},
                ],
            }
        ]
    }


@pytest.mark.parametrize("frames", [HELLO, THINKING, TOOLS], ids=["hello", "thinking", "tools"])
def test_split_anywhere_and_cut_anywhere(frames: list[bytes]) -> None:
    check_splits(Gemini(), b"".join(frames), SSE)
    check_cuts(Gemini(), frames, SSE, whole_after=len(frames))


@given(st.data())
def test_no_mutation_breaks_it_or_loses_text(data: st.DataObject) -> None:
    """Frames dropped, doubled, swapped: what text is left is told, unless it failed before."""
    frames = data.draw(st.sampled_from([HELLO, THINKING, TOOLS]))
    picked = data.draw(st.lists(st.sampled_from(range(len(frames))), max_size=2 * len(frames)))
    chosen = [frames[number] for number in picked]
    found = answer(*chosen)
    assert found.outcome in {"complete", "TruncatedError"}
    assert found.completion.text == "".join(answer(each).completion.text for each in chosen)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)))
def test_no_json_breaks_it(value: Any) -> None:
    found = decode(Gemini(), b"data: " + dumps(value) + b"\n\n", SSE)
    assert found.outcome in {"complete", "ProtocolError", "ProviderError", "TruncatedError"}


def test_a_stream_that_came_as_a_json_list() -> None:
    """Without alt=sse, through a gateway that leaves it out."""
    values = [json.loads(each.removeprefix(b"data: ")) for each in HELLO]
    body = json.dumps(values).encode()
    found = check_splits(Gemini(), body, JSON)
    assert (found.outcome, found.completion.text) == ("complete", "Hello wörld!")
    assert decode(Gemini(), body[:-30], JSON).outcome == "TruncatedError"


def test_a_whole_answer() -> None:
    value = event({"text": "Hm.", "thought": True}, {"text": "Hi"}, {"text": "!"}, **usage(5, 2))
    value["candidates"][0] |= {"finishReason": "STOP"}
    body = json.dumps(value, indent=2).encode()
    found = check_splits(Gemini(), body, JSON, stream=False)
    assert (found.outcome, found.repairs, len(found.chunks)) == ("complete", [], 1)
    assert (found.completion.reasoning, found.completion.text) == ("Hm.", "Hi!")
    assert decode(Gemini(), body[:-9], JSON, stream=False).outcome == "TruncatedError"


def test_a_whole_answer_without_a_reason() -> None:
    body = json.dumps(event({"text": "Hi"})).encode()
    found = decode(Gemini(), body, JSON, stream=False)
    assert (found.outcome, found.repairs) == ("complete", ["missing-finish-reason"])


def test_the_openai_dialect_is_a_protocol_error() -> None:
    assert answer({"choices": []}).outcome == "ProtocolError"


# What is sent.


def test_a_plain_request() -> None:
    request = Gemini().request(chat_request("gemini-2.5-flash", "hi"))
    root = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash"
    assert request.url == f"{root}:streamGenerateContent?alt=sse"
    assert request.body == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert (request.model, request.stream) == ("gemini-2.5-flash", True)
    whole = Gemini().request(chat_request("gemini-2.5-flash", "hi", stream=False))
    assert (whole.url, whole.stream) == (f"{root}:generateContent", False)


@pytest.mark.parametrize(
    "base",
    [
        "http://x",
        "http://x/v1beta",
        "http://x/v1beta/",
        "http://x/v1beta/models",
        "http://x/v1beta/models/other:generateContent",
    ],
)
def test_any_form_of_address(base: str) -> None:
    url = Gemini(base_url=base).request(chat_request("m", "a", stream=False)).url
    assert url == "http://x/v1beta/models/m:generateContent"


def test_a_path_before_the_version_as_the_official_sdk_reads_it() -> None:
    url = Gemini(base_url="http://x/google/").request(chat_request("m", "a", stream=False)).url
    assert url == "http://x/google/v1beta/models/m:generateContent"


def test_models_that_say_where_they_are() -> None:
    url = Gemini(base_url="http://x").request(chat_request("tunedModels/t", "a", stream=False)).url
    assert url == "http://x/v1beta/tunedModels/t:generateContent"
    body = {"models": [{"name": "models/gemini-2.5-flash", "displayName": "G"}]}
    assert Gemini().read_models(body) == [ModelInfo("gemini-2.5-flash")]
    listing = Gemini(base_url="http://x?a=b").models_request()
    assert listing is not None
    assert listing.url == "http://x/v1beta/models?a=b&pageSize=1000"


def test_sampling_and_what_passes_untouched() -> None:
    fields = {"temperature": 0, "top_p": 0.5, "max_tokens": 9, "seed": 0, "n": 2, "stop": "x"}
    assert config(**fields) == {
        "temperature": 0,
        "topP": 0.5,
        "maxOutputTokens": 9,
        "seed": 0,
        "candidateCount": 2,
        "stopSequences": ["x"],
    }
    safety = [{"category": "C", "threshold": "BLOCK_NONE"}]
    body = sent(
        temperature=1,
        options={"topK": 4, "temperature": 2},
        extra_body={"safetySettings": safety, "generationConfig": {"topK": 5}},
    )
    assert body["generationConfig"] == {"temperature": 2, "topK": 5}
    assert body["safetySettings"] == safety


class Answer(BaseModel):
    n: int


def test_formats_logprobs_and_thinking() -> None:
    schema = Answer.model_json_schema()
    wanted = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    assert config(response_format=Answer) == wanted
    assert config(response_format=schema) == wanted
    assert config(response_format="json") == {"responseMimeType": "application/json"}
    assert "generationConfig" not in sent(response_format={"type": "text"})
    assert config(logprobs=True) == {"responseLogprobs": True}
    assert config(logprobs=3) == {"responseLogprobs": True, "logprobs": 3}
    assert config(think=True) == {"thinkingConfig": {"includeThoughts": True}}
    assert config(think=False) == {"thinkingConfig": {"thinkingBudget": 0}}
    assert config(think="low") == {
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "low"}
    }
    assert config(think=512) == {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 512}}
    assert config(think=0) == {"thinkingConfig": {"thinkingBudget": 0}}


def test_images() -> None:
    parts = [
        {"type": "text", "text": "look"},
        ImagePart.from_bytes(b"\x89PNG", "image/jpeg").model_dump(),
        {"type": "image_url", "image_url": {"url": "https://x/files/1"}},
        {"type": "own", "videoMetadata": {"fps": 1}},
    ]
    (content,) = sent(messages=[{"role": "user", "content": parts}])["contents"]
    assert content["parts"] == [
        {"text": "look"},
        {"inlineData": {"mimeType": "image/jpeg", "data": "iVBORw=="}},
        {"fileData": {"fileUri": "https://x/files/1"}},
        {"videoMetadata": {"fps": 1}},
    ]


def test_tools_and_their_choice() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    function = {"name": "f", "description": "d", "parameters": schema, "strict": True}
    tools = [{"type": "function", "function": function}, {"type": "own", "googleSearch": {}}]
    assert sent(tools=tools)["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "d", "parametersJsonSchema": schema}
            ]
        },
        {"googleSearch": {}},
    ]
    named = {"type": "function", "function": {"name": "f"}}
    for choice, calling in (
        ("auto", {"mode": "AUTO"}),
        ("required", {"mode": "ANY"}),
        ("none", {"mode": "NONE"}),
        (named, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ):
        wanted = {"functionCallingConfig": calling}
        assert sent(tools=tools, tool_choice=choice)["toolConfig"] == wanted
    with pytest.raises(InvalidRequestError, match="perhaps"):
        sent(tools=tools, tool_choice="perhaps")


@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": "late"},
        {"role": "user", "content": "a", "name": "bob"},
        {"role": "tool", "content": "a"},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}],
        },
    ],
)
def test_messages_it_cannot_express(message: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        sent(messages=[{"role": "user", "content": "a"}, message])


def test_what_it_has_no_word_for() -> None:
    with pytest.raises(InvalidRequestError, match="keep_alive"):
        sent(keep_alive=1)
    with pytest.raises(InvalidRequestError, match="custom"):
        sent(tools=[{"type": "custom", "custom": {"name": "f"}}])
    with pytest.raises(InvalidRequestError, match="prompt"):
        Gemini().request(chat_request("m", prompt="a"))


# Through the clients.


def answering(conversation: Conversation) -> None:
    request = conversation.request
    assert request.headers["x-goog-api-key"] == "AIza-0123456789"
    assert "AIza" not in request.path
    if request.path.endswith(":streamGenerateContent?alt=sse"):
        conversation.stream(THINKING, SSE)
    else:
        assert request.path == "/v1beta/models/m:generateContent"
        conversation.whole(json.dumps(event({"text": "Hi!"}, finish="STOP")).encode())


def vessels(server: LoopbackServer) -> dict[str, Any]:
    return {"gemini": Gemini(base_url=server.url, api_key="AIza-0123456789")}


def test_recorded_and_replayed(tmp_path: Path) -> None:
    with (
        LoopbackServer([answering]) as server,
        Client(recordings=tmp_path, vessels=vessels(server), environment={}) as client,
    ):
        with client.stream("gemini/m", "how many?") as stream:
            chunks = list(stream)
        answered = client.complete("gemini/m", "hello")
    assert stream.path is not None
    assert verify(stream.path).ok
    assert list(replay(stream.path, speed=0)) == chunks
    assert stream.completion.text == "It is 21."
    assert answered.text == "Hi!"
    (call_line,) = Recording(stream.path).calls()
    assert call_line.request["model"] == "m"
    assert "AIza" not in stream.path.read_text("utf-8")
    # The path tells a stream from a whole answer; the key does not.
    with Client(replay=tmp_path, vessels=vessels(server)) as client:
        assert client.complete("gemini/m", "how many?").text == "It is 21."


async def test_async_says_the_same(tmp_path: Path) -> None:
    with LoopbackServer([answering]) as server:
        settings: Any = {"vessels": vessels(server), "environment": {}}
        async with AsyncClient(recordings=tmp_path, **settings) as client:
            async with client.stream("gemini/m", "how many?") as stream:
                chunks = [chunk async for chunk in stream]
            answered = await client.complete("gemini/m", "hello")
    assert [chunk.model_dump(exclude={"t"}) for chunk in chunks] == [
        chunk.model_dump(exclude={"t"}) for chunk in answer(*THINKING).chunks
    ]
    assert answered.text == "Hi!"


def test_key_from_the_environment() -> None:
    assert Gemini().configured({"GEMINI_API_KEY": "a"}).api_key == "a"
    both = {"GEMINI_API_KEY": "a", "GOOGLE_API_KEY": "b"}
    assert Gemini().configured(both).api_key == "b"
    assert Gemini(base_url="http://other").configured(both).api_key is None
