"""Requests of the Gemini API are read whole: what is built of them again is equal."""

from __future__ import annotations

from typing import Any

import pytest

from strict_openai import check_openai
from vesselog.vessels import Gemini, InvalidRequestError, OpenAI

ROUTE = "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse"
PNG = {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}
WEATHER = {"name": "weather", "description": "The weather.", "parametersJsonSchema": {"a": [1]}}


def user(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "parts": [_part(part) for part in parts], **more}


def model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": [_part(part) for part in parts]}


def _part(part: Any) -> dict[str, Any]:
    return {"text": part} if isinstance(part, str) else part


def call(city: str, **more: Any) -> dict[str, Any]:
    return {"functionCall": {"name": "weather", "args": {"city": city}, **more}}


def result(response: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": "weather", "response": response, **more}}


HELLO = user("Hello")


def body_of(*contents: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"contents": list(contents), **fields}


def config(**fields: Any) -> dict[str, Any]:
    return body_of(HELLO, generationConfig=fields)


def again(body: Any, route: str = ROUTE) -> dict[str, Any]:
    vessel = Gemini()
    built = vessel.request(vessel.read_request(route, body)).body
    assert built is not None
    return built


@pytest.mark.parametrize(
    "body",
    [
        body_of(HELLO),
        body_of(HELLO, systemInstruction={"parts": [{"text": "Be brief."}]}),
        body_of(
            HELLO, systemInstruction={"role": "system", "parts": [{"text": "a"}, {"text": "b"}]}
        ),
        body_of(HELLO, systemInstruction={"parts": []}),
        body_of(
            user(
                "What?",
                PNG,
                {**PNG, "mediaResolution": {"level": "HIGH"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "AA"}},
                {"fileData": {"fileUri": "https://h/files/1"}},
                {"fileData": {"fileUri": "https://h/files/1", "mimeType": "video/mp4"}},
                {"text": "there", "videoMetadata": {"fps": 1}},
                x=1,
            )
        ),
        body_of(
            HELLO,
            model({"text": "Hm.", "thought": True}, {**call("Oslo"), "thoughtSignature": "S"}),
            user(result({"result": "cold"})),
            model(call("Kiel", id="c1"), call("Bonn", id="c2")),
            user(
                result({"a": 1}, id="c1", willContinue=False),
                result({"result": "5"}, id="c2", parts=[PNG]),
                "And now?",
                PNG,
            ),
            model("Fine."),
            user("Bye."),
            tools=[{"functionDeclarations": [WEATHER]}, {"googleSearch": {}}],
        ),
        body_of(HELLO, model(call("Oslo")), user(result({"result": 5})), user("Well?")),
        body_of(HELLO, model(call("Oslo")), user(result({"result": None}))),
        body_of(HELLO, model(call("Oslo")), user(result({"result": '{"a": 1}'}))),
        body_of(HELLO, model(call("Oslo")), user(result({"output": "x", "result": 1}))),
        body_of(HELLO, cachedContent="c", safetySettings=[], labels={"a_b": "c"}),
        body_of(HELLO, tools=[{"functionDeclarations": [WEATHER], "codeExecution": {}}]),
        body_of(
            HELLO,
            tools=[{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
        ),
        body_of(HELLO, tools=[], toolConfig={"functionCallingConfig": {"mode": "ANY"}}),
        body_of(
            HELLO,
            toolConfig={
                "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}
            },
        ),
        body_of(HELLO, toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}, "x": 1}),
        config(temperature=0, topP=0.5, topK=3, maxOutputTokens=9, seed=1, candidateCount=2),
        config(temperature="hot", stopSequences="x", seed=1.5, candidateCount=0),
        config(stopSequences=["e"], responseLogprobs=True, logprobs=3),
        config(responseLogprobs=False, logprobs=3),
        config(responseMimeType="application/json"),
        config(responseMimeType="application/json", responseJsonSchema={"type": "object"}),
        config(responseMimeType="application/json", responseSchema={"type": "OBJECT"}),
        config(responseMimeType="text/x.enum", responseSchema={"type": "STRING"}),
        config(responseJsonSchema={"type": "object"}),
        config(responseMimeType="application/json", responseJsonSchema={"type": "text"}),
        config(thinkingConfig={"includeThoughts": True}),
        config(thinkingConfig={"includeThoughts": True, "thinkingLevel": "low"}),
        config(thinkingConfig={"includeThoughts": True, "thinkingBudget": 99}),
        config(thinkingConfig={"thinkingBudget": 0}),
        config(thinkingConfig={"thinkingBudget": -1}),
        config(thinkingConfig="much"),
        body_of(HELLO, generationConfig={}),
        body_of(HELLO, generationConfig=None, model="models/m", stream=True),
        body_of(HELLO, generationConfig="x"),
    ],
)
def test_a_request_is_built_again_as_it_came(body: dict[str, Any]) -> None:
    assert again(body) == body


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"contents": [{"parts": [{"text": "Hello"}]}]}, body_of(HELLO)),
        ({"contents": {"role": "user", "parts": [{"text": "Hello"}]}}, body_of(HELLO)),
        (body_of(HELLO, model(), HELLO), body_of(HELLO, HELLO)),
        (
            body_of(HELLO, model(call("x")), {"role": "function", "parts": [result({"a": 1})]}),
            body_of(HELLO, model(call("x")), user(result({"a": 1}))),
        ),
        (
            body_of(HELLO, model(call("x")), user(result({"a": 1})), user("a", "b")),
            body_of(HELLO, model(call("x")), user(result({"a": 1}), "a", "b")),
        ),
        (
            body_of(
                user({"inline_data": {"mime_type": "image/png", "data": "iVBO"}}),
                system_instruction={"parts": [{"text": "Be brief."}]},
                generation_config={
                    "max_output_tokens": 5,
                    "thinking_config": {"thinking_budget": 0},
                },
                tools=[{"function_declarations": [{"name": "f", "parameters": {"a_b": 1}}]}],
            ),
            body_of(
                user(PNG),
                systemInstruction={"parts": [{"text": "Be brief."}]},
                generationConfig={"maxOutputTokens": 5, "thinkingConfig": {"thinkingBudget": 0}},
                tools=[{"functionDeclarations": [{"name": "f", "parameters": {"a_b": 1}}]}],
            ),
        ),
    ],
)
def test_what_is_built_otherwise_means_the_same(given: Any, wanted: Any) -> None:
    assert again(given) == wanted


@pytest.mark.parametrize(
    ("route", "name", "stream"),
    [
        ("/v1beta/models/gemini-3-pro:generateContent", "gemini-3-pro", False),
        ("https://h/gw/v1beta/tunedModels/mine:streamGenerateContent", "tunedModels/mine", True),
        (
            "/v1/projects/p/locations/l/publishers/google/models/gemini-3:generateContent",
            "projects/p/locations/l/publishers/google/models/gemini-3",
            False,
        ),
        ("/models/a%20b:generateContent", "a b", False),
    ],
)
def test_the_model_and_the_stream_are_in_the_route(route: str, name: str, stream: bool) -> None:  # noqa: FBT001
    chat = Gemini().read_request(route, body_of(HELLO))
    assert (chat.model, chat.stream) == (name, stream)
    assert Gemini().request(chat).url.partition("?")[0].endswith(route.partition("models")[2])


@pytest.mark.parametrize("path", ["models/maker/m-1:free", "models/maker%2Fm-1:free"])
def test_another_providers_model_may_have_a_slash_in_its_name(path: str) -> None:
    read = Gemini().read_request(f"/v1beta/{path}:generateContent", body_of(HELLO))
    assert read.model == "maker/m-1:free"


@pytest.mark.parametrize("old", ["gemini-2.5-flash", "gemini-1.5-pro"])
def test_an_image_beside_a_result_is_built_again_for_models_before(old: str) -> None:
    body = body_of(HELLO, model(call("x")), user(result({"result": "a"}), PNG, result({"a": 1})))
    assert again(body, f"/v1beta/models/{old}:generateContent")["contents"][2]["parts"][:2] == [
        result({"result": "a"}),
        PNG,
    ]


def test_the_universal_form_has_what_others_need() -> None:
    answer = model({"text": "Hm.", "thought": True}, "Look:", call("Oslo", id="c1"))
    chat = Gemini().read_request(
        ROUTE,
        body_of(
            user("What?", PNG),
            answer,
            user(result({"result": "cold"}, id="c1"), "Well?"),
            systemInstruction={"parts": [{"text": "Be brief."}]},
            tools=[
                {"functionDeclarations": [{"name": "weather", "parameters": {"type": "OBJECT"}}]}
            ],
            toolConfig={"functionCallingConfig": {"mode": "ANY"}},
            generationConfig={
                "stopSequences": ["e"],
                "responseMimeType": "application/json",
                "responseSchema": {"type": "ARRAY", "items": {"type": "STRING"}},
                "topK": 3,
            },
        ),
    )
    assert chat.messages is not None
    system, asked, said, told, more = chat.messages
    assert (system.role, system.content) == ("system", "Be brief.")
    assert asked.images[0].image_url.url == "data:image/png;base64,iVBO"
    assert (said.content, said.native) == ("Look:", {"gemini": answer})
    assert said.tool_calls is not None
    assert said.tool_calls[0].id == "c1"
    assert (told.role, told.name, told.tool_call_id, told.content) == (
        *("tool", "weather", "c1", "cold"),
    )
    assert more.text == "Well?"
    assert (chat.stop, chat.tool_choice) == (("e",), "required")
    assert chat.response_format == {"type": "array", "items": {"type": "string"}}
    body = OpenAI().request(chat.model_copy(update={"extra_body": None, "options": None})).body
    assert body is not None
    assert check_openai(body) is None
    assert body["tools"][0]["function"] == {"name": "weather", "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (7, "body"),
        ({}, "contents"),
        ({"contents": []}, "messages"),
        (body_of({"role": "pirate", "parts": []}), r"contents\[0\].role"),
        (body_of({"role": "user", "parts": "x"}), r"contents\[0\].parts"),
        (body_of(user(5)), r"contents\[0\].parts\[0\]"),
        (body_of(user({"type": "text", "text": "x"})), r"contents\[0\].parts\[0\].type"),
        (body_of(user({"x": 1}, "a")), r"contents\[0\].parts\[0\]"),
        (body_of(user("x", name="ann")), r"contents\[0\].name"),
        (body_of(user(result({"a": 1}), x=1)), r"contents\[0\].x"),
        (body_of(user({"functionResponse": 5})), r"parts\[0\].functionResponse"),
        (body_of(user({"functionResponse": {"name": "f"}})), "functionResponse.response"),
        (body_of(user(result({}, role="x"))), "functionResponse.role"),
        (body_of(model({"functionCall": {}})), r"contents\[0\]: tool_calls.0"),
        (body_of(HELLO, systemInstruction="x"), "systemInstruction"),
        (body_of(HELLO, tools=[{"functionDeclarations": [{}]}]), "tools\\[0\\].function.name"),
    ],
)
def test_what_is_not_of_the_dialect_is_refused_with_its_place(body: Any, place: str) -> None:
    with pytest.raises(InvalidRequestError, match=place):
        Gemini().read_request(ROUTE, body)


@pytest.mark.parametrize(
    "route", ["/v1beta/models/m:embedContent", "/v1beta:generateContent", "/models:generateContent"]
)
def test_other_routes_are_refused(route: str) -> None:
    with pytest.raises(InvalidRequestError, match="route"):
        Gemini().read_request(route, body_of(HELLO))
