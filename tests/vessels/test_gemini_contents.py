"""Conversations of any origin as the contents of a Gemini request."""

from __future__ import annotations

from typing import Any

import pytest

from answering import sent
from vesselog.core.errors import InvalidRequestError
from vesselog.core.request import ImagePart
from vesselog.vessels import Gemini

PNG = ImagePart.from_bytes(b"\x89PNG").model_dump()
INLINE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
STAND_IN = {"thoughtSignature": "skip_thought_signature_validator"}


def contents(*messages: dict[str, Any], model: str = "gemini-3-pro") -> Any:
    asked = {"role": "user", "content": "?"}
    return sent(Gemini(), [asked, *messages], model)["contents"][1:]


def calling(*identifiers: str | None, **fields: Any) -> dict[str, Any]:
    calls = [
        {"id": each, "function": {"name": "f", "arguments": '{"a": 1}'}} for each in identifiers
    ]
    return {"role": "assistant", "tool_calls": calls, **fields}


def result(identifier: str | None, content: Any = "4") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": content}


def test_a_conversation_with_tools() -> None:
    named = {"role": "tool", "name": "g", "content": "[3]"}
    found = contents(calling("c1", content="Well."), result("c1", '{"b": 2}'), named)
    call = {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, **STAND_IN}
    assert found == [
        {"role": "model", "parts": [{"text": "Well."}, call]},
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"b": 2}}},
                {"functionResponse": {"name": "g", "response": {"result": "[3]"}}},
            ],
        },
    ]


def test_a_call_of_another_provider_has_what_stands_for_a_signature() -> None:
    """The first of a message, and only for models that want signatures."""
    for model, wanted in (
        ("gemini-3-pro", STAND_IN),
        ("gemini-flash-latest", STAND_IN),
        ("gemini-2.5-flash", {}),
        ("gemini-2", {}),
    ):
        (told, _) = contents(calling("1", "2"), result("1"), model=model)
        first, second = told["parts"]
        assert {key: first[key] for key in first if key != "functionCall"} == wanted
        assert "thoughtSignature" not in second


def test_results_are_in_the_order_of_the_calls() -> None:
    (_, results) = contents(calling("1", "2"), result("2"), result("1"))
    assert [part["functionResponse"]["id"] for part in results["parts"]] == ["1", "2"]


@pytest.mark.parametrize("model", ["gemini-3-pro", "gemini-4", "gemini-flash-latest"])
def test_an_image_in_a_result_is_part_of_the_response(model: str) -> None:
    content = [{"type": "text", "text": '{"seen": true}'}, PNG, PNG]
    (_, results) = contents(calling("1"), result("1", content), model=model)
    response = {"id": "1", "name": "f", "response": {"seen": True}, "parts": [INLINE, INLINE]}
    assert results["parts"] == [{"functionResponse": response}]


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-1.5-pro", "tunedModels/gemini-2"])
def test_an_image_in_a_result_is_the_next_part_for_models_before(model: str) -> None:
    results = [result("1", [{"type": "text", "text": "a"}, PNG]), result("2")]
    (_, told) = contents(calling("1", "2"), *results, model=model)
    first, image, second = told["parts"]
    assert image == INLINE
    assert first["functionResponse"] == {"id": "1", "name": "f", "response": {"result": "a"}}
    assert second["functionResponse"]["id"] == "2"


def test_a_file_in_a_result_is_the_next_part() -> None:
    link = {"type": "image_url", "image_url": {"url": "https://x/files/1"}}
    (_, told) = contents(calling("1"), result("1", [link]))
    assert told["parts"][1:] == [{"fileData": {"fileUri": "https://x/files/1"}}]


@pytest.mark.parametrize("role", ["user", "tool"])
def test_a_part_that_the_api_does_not_have_is_refused(role: str) -> None:
    part = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    message = {"role": role, "content": [part], **({"tool_call_id": "1"} if role == "tool" else {})}
    with pytest.raises(InvalidRequestError, match="input_audio"):
        contents(calling("1"), message)


def test_an_empty_answer_is_left_out() -> None:
    found = contents({"role": "assistant", "content": ""}, {"role": "user", "content": "and now?"})
    assert found == [{"role": "user", "parts": [{"text": "and now?"}]}]


def test_malformed_arguments_are_wrapped() -> None:
    message = calling("1")
    message["tool_calls"][0]["function"]["arguments"] = '{"a"'
    (told,) = contents(message)
    assert told["parts"][0]["functionCall"]["args"] == {"INVALID_JSON": '{"a"'}


def test_the_form_of_another_provider_is_not_sent() -> None:
    message = {"role": "assistant", "content": "a", "native": {"openai": {"content": "b"}}}
    assert contents(message) == [{"role": "model", "parts": [{"text": "a"}]}]


@pytest.mark.parametrize(
    ("text", "sent_as"),
    [
        *((each, {"result": each}) for each in ("1.10", "1e5", "NaN", "[1]", "true", "", "x")),
        ("12345678901234567890123", {"result": "12345678901234567890123"}),
        ('{"a":1,"a":2}', {"result": '{"a":1,"a":2}'}),
        ('{"a":[{"b":1,"b":1}]}', {"result": '{"a":[{"b":1,"b":1}]}'}),
        ('{"a":1.00000000000000000001}', {"result": '{"a":1.00000000000000000001}'}),
        ('{"a":NaN}', {"result": '{"a":NaN}'}),
        ('{"a":"\\ud800"}', {"result": '{"a":"\\ud800"}'}),
        ('{"a":1.10,"b":0.1}', {"a": 1.1, "b": 0.1}),
        ('{"a":12345678901234567890123}', {"a": 12345678901234567890123}),
        ("{}", {}),
    ],
)
def test_a_result_is_an_object_only_where_nothing_of_its_text_is_lost(
    text: str, sent_as: Any
) -> None:
    _, results = contents(calling("c1"), result("c1", text))
    assert results["parts"][0]["functionResponse"]["response"] == sent_as
