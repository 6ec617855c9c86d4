"""Reads the `contents` and the `systemInstruction` of a request to the Gemini API as messages.

https://ai.google.dev/api/caching#Content. A content without a role is the user's. Each
`functionResponse` is a message of its own, and the other parts of its content are one after it;
written again they are one content (gemini_contents.py).
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, cast

from ..core.request import Message
from .gemini_contents import PARTS, result_text
from .request_reader import read_call, read_message, read_objects, unreadable

__all__ = ["read_contents"]

_NAME = "gemini"
_RESERVED = {"content", "name", "native", "role", "tool_call_id", "tool_calls"}
_RESPONSE = {"functionResponse"}


def read_contents(system: Any, contents: Any) -> list[Message]:
    """The conversation. Raises InvalidRequestError for what is not of the API."""
    messages: list[Message] = []
    if system is not None:
        if not isinstance(system, dict):
            raise unreadable(_NAME, "systemInstruction", "must be an object")
        place = "systemInstruction.parts"
        parts = read_objects(cast("dict[str, Any]", system).get("parts"), _NAME, place)
        messages.append(read_message(_NAME, place, role="system", content=_content(parts, place)))
    listed: Any = [contents] if isinstance(contents, dict) else contents
    for number, content in enumerate(read_objects(listed, _NAME, "contents")):
        messages += _messages(content, f"contents[{number}]")
    return messages


def _messages(content: dict[str, Any], place: str) -> list[Message]:
    role = content.get("role", "user")
    parts = read_objects(content.get("parts", []), _NAME, f"{place}.parts")
    if role == "model":
        return [_answer(content, parts, place)]
    if role not in ("user", "function"):
        raise unreadable(_NAME, f"{place}.role", "must be user or model")
    extra = {key: value for key, value in content.items() if key not in {"role", "parts"}}
    results = [part.keys() == _RESPONSE for part in parts]
    if refused := extra.keys() & (_RESERVED if not all(results) else extra.keys()):
        raise unreadable(_NAME, f"{place}.{min(refused)}", "is no key of a content")
    if not any(results):
        return [_of_user(_content(parts, f"{place}.parts"), place, extra)]
    found: list[Message] = []
    places = [(part, f"{place}.parts[{number}]") for number, part in enumerate(parts)]
    for is_result, group in groupby(places, lambda each: each[0].keys() == _RESPONSE):
        if is_result:
            found += [_result(part["functionResponse"], at) for part, at in group]
        else:
            found.append(_of_user([_part(part, at) for part, at in group], place, extra))
    return found


def _of_user(content: Any, place: str, extra: dict[str, Any]) -> Message:
    return read_message(_NAME, place, role="user", content=content, **extra)


def _content(parts: list[dict[str, Any]], place: str) -> Any:
    """A text alone is the content; it stays a part if it is empty, which would be no part."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"text"}:
        text = parts[0]["text"]
        if isinstance(text, str) and text:
            return text
    return [_part(part, f"{place}[{number}]") for number, part in enumerate(parts)]


def _part(part: dict[str, Any], place: str) -> dict[str, Any]:
    if "type" in part:
        raise unreadable(_NAME, f"{place}.type", "is no key of a part")
    if isinstance(part.get("text"), str):
        return {"type": "text", **part}
    match part:
        case {"inlineData": {"mimeType": str(kind), "data": str(data), **more}, **rest}:
            image = kind.startswith("image/") and not {",", ";"} & {*kind}
            if image and not more and not rest:
                return _image(f"data:{kind};base64,{data}")
        case {"fileData": {"fileUri": str(url), **more}, **rest} if not (more or rest):
            if not url.startswith("data:"):
                return _image(url)
        case _:
            pass
    known = next((key for key in part if key in PARTS), None)
    if known is None:
        raise unreadable(_NAME, place, "is no part that is known")
    return {"type": known, **part}


def _image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def _answer(content: dict[str, Any], parts: list[dict[str, Any]], place: str) -> Message:
    """Its own form, and of the universal form what to_message() has."""
    texts = [part.get("text") for part in parts if not part.get("thought")]
    found = [part.get("functionCall") for part in parts]
    calls = [cast("dict[str, Any]", call) for call in found if isinstance(call, dict)]
    return read_message(
        _NAME,
        place,
        role="assistant",
        content="".join(text for text in texts if isinstance(text, str)),
        tool_calls=[
            read_call(call.get("id"), call.get("name"), call.get("args") or {}) for call in calls
        ]
        or None,
        native={_NAME: content} if parts else None,
    )


def _result(response: Any, place: str) -> Message:
    place = f"{place}.functionResponse"
    if not isinstance(response, dict):
        raise unreadable(_NAME, place, "must be an object")
    given = cast("dict[str, Any]", response)
    value = given.get("response")
    if not isinstance(value, dict):
        raise unreadable(_NAME, f"{place}.response", "must be an object")
    own = {key: given[key] for key in given if key not in {"id", "name", "response"}}
    if reserved := own.keys() & _RESERVED:
        raise unreadable(_NAME, f"{place}.{min(reserved)}", "is no key of a functionResponse")
    content: Any = result_text(cast("dict[str, Any]", value))
    if isinstance(parts := own.get("parts"), list):
        media = [_part(part, place) for part in read_objects(parts, _NAME, f"{place}.parts")]
        if media and all(part.keys() == {"type", "image_url"} for part in media):
            del own["parts"]
            content = [{"type": "text", "text": content}, *media]
    return read_message(
        _NAME,
        place,
        role="tool",
        name=given.get("name"),
        tool_call_id=given.get("id"),
        content=content,
        **own,
    )
