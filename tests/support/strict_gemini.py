"""The Gemini API in an agent loop: its answers, and what it refuses.

https://ai.google.dev/gemini-api/docs/thought-signatures and …/docs/function-calling: Gemini 3
answers 400 where the first call of a step has no signature, where the results of a step are not
those of its calls, and where a part is empty or has an unknown field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from decoding import sse
from strict_provider import Body, StrictProvider
from vesselog.vessels import Gemini

__all__ = ["GEMINI_PROVIDERS", "check_gemini"]

_SIGNATURES = {f"U2lnbmF0dXJl{number}" for number in range(9)}
# What stands for a signature in a history of another provider.
_STAND_IN = "skip_thought_signature_validator"
_BODY = {"contents", "generationConfig", "systemInstruction", "toolConfig", "tools"}
_DATA = {
    *("codeExecutionResult", "executableCode", "fileData", "functionCall", "functionResponse"),
    *("inlineData", "text"),
}
_PART = {*_DATA, "thought", "thoughtSignature", "videoMetadata"}
_CALL, _RESPONSE = {"args", "id", "name"}, {"id", "name", "parts", "response"}


def check_gemini(body: Body) -> str | None:
    """What the API would say to a request's contents; None if it takes them."""
    return next(_faults(body), None)


def _faults(body: Body) -> Iterator[str]:
    if unknown := body.keys() - _BODY:
        yield f"Unknown names: {sorted(unknown)}"
    if body["contents"][-1]["role"] != "user":
        yield "the contents must end with a turn of the user"
    waiting: list[dict[str, Any]] = []
    for number, content in enumerate(body["contents"]):
        at = f"contents[{number}]"
        if content.keys() != {"role", "parts"}:
            yield f"Unknown names in {at}: {sorted(content)}"
        if not content["parts"]:
            yield f"{at}.parts must not be empty"
        for part in content["parts"]:
            for fault in _part_faults(part):
                yield f"{at}: {fault}"
        results = [each for part in content["parts"] if (each := part.get("functionResponse"))]
        yield from _result_faults(at, results, waiting)
        signed = [part for part in content["parts"] if "functionCall" in part]
        if signed and content["role"] != "model":
            yield f"{at}: only the model calls functions"
        if signed and not signed[0].get("thoughtSignature"):
            yield f"{at}: function call is missing a thought_signature"
        waiting = [part["functionCall"] for part in signed]


def _part_faults(part: dict[str, Any]) -> Iterator[str]:
    if not part.keys() <= _PART or len(part.keys() & _DATA) > 1:
        yield f"not a part: {sorted(part)}"
    signature = part.get("thoughtSignature")
    if signature is None and not any(part.get(key) for key in _DATA):
        yield "a part without data"
    if signature is not None and signature not in _SIGNATURES | {_STAND_IN}:
        yield "Thought signature is not valid"
    call, response = part.get("functionCall"), part.get("functionResponse")
    if call is not None and not (call.keys() <= _CALL and isinstance(call.get("args"), dict)):
        yield f"not a call: {call}"
    if response is not None and not (
        response.keys() <= _RESPONSE and isinstance(response.get("response"), dict)
    ):
        yield f"not a response: {response}"


def _result_faults(
    at: str, results: list[dict[str, Any]], waiting: list[dict[str, Any]]
) -> Iterator[str]:
    """The results of a step are those of the calls before them, one for each, in their order."""
    if len(results) != len(waiting):
        yield f"{at}: {len(results)} function responses for {len(waiting)} function calls"
        return
    for result, call in zip(results, waiting, strict=True):
        said = str(result["response"])
        city = call["args"].get("city", "")
        if (result["name"], result.get("id")) != (call["name"], call.get("id")):
            yield f"{at}: {result} is no response to {call}"
        if "city" in said and city not in said:
            yield f"{at}: {result} is the response to another call than {call}"


def _call(city: str, identifier: str = "") -> dict[str, Any]:
    known = {"id": identifier} if identifier else {}
    return {"functionCall": {**known, "name": "weather", "args": {"city": city}}}


def _turn(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def _signed(part: dict[str, Any], number: int) -> dict[str, Any]:
    return {**part, "thoughtSignature": f"U2lnbmF0dXJl{number}"}


_IMAGE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo" * 3000}}
_TURNS = (
    _turn(
        {"text": "Two cities.", "thought": True},
        _signed(_call("Bremen"), 1),
        _call("Rostock"),
    ),
    _turn(
        {"text": "Two more.", "thought": True},
        {"text": "And now?"},
        _signed(_call("Kiel", "k1"), 2),
        _call("Zürich", "k2"),
        {"executableCode": {"language": "PYTHON", "code": "1"}},
    ),
    _turn({"text": "In "}, _signed({"text": "Kiel."}, 3), _signed({"text": ""}, 4)),
    _turn({"text": "Hm.", "thought": True}, {"text": "Ahoy!"}, _signed(_IMAGE, 5)),
)


def _event(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"candidates": [{"index": 0, "content": _turn(*parts), **more}], "modelVersion": "m"}


def _frames(turn: dict[str, Any]) -> list[bytes]:
    """Texts in two pieces, and calls with an id in pieces of their arguments."""
    events: list[dict[str, Any]] = []
    for part in turn["parts"]:
        if part.get("text") and "thoughtSignature" not in part:
            half = len(part["text"]) // 2
            events += [_event({**part, "text": part["text"][:half]})]
            events += [_event({**part, "text": part["text"][half:]})]
        elif "id" in part.get("functionCall", {}):
            call = part["functionCall"]
            head = {"id": call["id"], "name": call["name"], "willContinue": True}
            said = call["args"]["city"]
            events.append(_event({**part, "functionCall": head}))
            for text in (said[:2], said[2:]):
                piece = {"jsonPath": "$.city", "stringValue": text, "willContinue": True}
                more = {"partialArgs": [piece], "willContinue": True}
                events.append(_event({"functionCall": more}))
            events.append(_event({"functionCall": {}}))
        else:
            events.append(_event(part))
    return [sse(event) for event in (*events, _event(finishReason="STOP"))]


def _whole(turn: dict[str, Any]) -> bytes:
    return json.dumps(_event(*turn["parts"], finishReason="STOP")).encode()


GEMINI_PROVIDERS = {
    "gemini": StrictProvider(
        vessel=lambda url: Gemini(base_url=url),
        turns=_TURNS,
        check=check_gemini,
        wanted=lambda content: content["parts"],
        whole=_whole,
        frames=_frames,
        said=lambda body: [each for each in body["contents"] if each["role"] == "model"],
        streams=lambda request: ":streamGenerateContent" in request.path,
    )
}
"""By the name of the vessel."""
