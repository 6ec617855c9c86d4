"""A conversation without what only the client's dialect has.

Texts next to each other in a message become one, with an empty line between them: many servers
take no lists of parts. Anthropic's `is_error` has no field in other dialects, but the model has to
learn of it: it may not take a tool that failed for one that succeeded. Gemini has a key of
the result for it (https://ai.google.dev/api/caching#FunctionResponse); elsewhere the result's text
begins with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, cast

from ...core.errors import InvalidRequestError
from ...core.jsontext import dumps
from ...core.request import ImagePart, Message, Part, TextPart
from ...core.vessel import Vessel
from .request_rules import LEFT_OUT_OF_PARTS, Rules

__all__ = ["translated_messages"]


def translated_messages(
    messages: Iterable[Message], client: str, rules: Rules, upstream: Vessel, dialect: str
) -> tuple[Message, ...]:
    """The messages for the upstream. client: the dialect that they were read from.

    Raises InvalidRequestError, which names what cannot be sent.
    """
    kept = frozenset({"cache_control"}) if dialect == "anthropic" else frozenset[str]()
    written: list[Message] = []
    for message in messages:
        place = f"a message of the role {message.role!r}"
        native = (message.native or {}).get(client)
        extra = dict(message.model_extra or {})
        if native is not None:
            _check_native(native, rules, place, upstream)
        failed = message.role == "tool" and extra.pop("is_error", None)
        if failed is not None and not isinstance(failed, bool):
            raise _refused(f"'is_error' of {place}, which is no boolean,", upstream)
        for key in tuple(extra):
            if key in LEFT_OUT_OF_PARTS:
                del extra[key]
            elif key != "refusal":
                raise _refused(f"{key!r} of {place}", upstream)
        content = message.content
        if content is not None and not isinstance(content, str):
            parts = [_part(part, kept, place, upstream) for part in content]
            content = _joined(parts)
        if failed:
            content = _failure(content or "", dialect)
        if message.role == "system" and not content:
            continue
        fields: dict[str, Any] = {name: getattr(message, name) for name in _FIELDS}
        written.append(Message(**fields, **extra, content=content))
    return tuple(written)


_FAILED = "The tool failed."
# Of each type of a part that has a text, its key.
_TEXTS = {"input_text": "text", "output_text": "text", "refusal": "refusal", "text": "text"}
_FIELDS = ("role", "tool_calls", "tool_call_id", "name")


def _check_native(native: Mapping[str, Any], rules: Rules, place: str, upstream: Vessel) -> None:
    """Whether all that a message of the assistant says is in the universal form too."""
    for key, value in native.items():
        if key not in rules.native and value:
            raise _refused(f"{key!r} of {place}", upstream)
    for part in cast("list[Any]", native.get("parts", [])):
        for key in cast("dict[str, Any]", part):
            if key not in rules.blocks:
                raise _refused(f"a part with {key!r} in {place}", upstream)
    content = native.get("content", native.get("output"))
    for part in cast("list[Any]", content) if isinstance(content, list) else []:
        kind = cast("dict[str, Any]", part).get("type") if isinstance(part, dict) else None
        # An item of the Responses API without a type is a message.
        known = kind or "message"
        if not isinstance(known, str) or known not in rules.blocks:
            raise _refused(f"a part of the type {kind!r} in {place}", upstream)
        _check_text(cast("dict[str, Any]", part), known, place, upstream)


def _check_text(part: Mapping[str, Any], kind: str, place: str, upstream: Vessel) -> None:
    """Whether a part of the assistant's has a text as its text; a message has parts itself."""
    if kind == "message":
        content = part.get("content")
        if part.get("role") != "assistant":
            raise _refused(f"an item of the role {part.get('role')!r:.100}", upstream)
        for each in cast("list[Any]", content) if isinstance(content, list) else ():
            found = cast("dict[str, Any]", each) if isinstance(each, dict) else {}
            known = found.get("type")
            if not isinstance(known, str) or known not in _TEXTS:
                raise _refused(f"a part of the type {known!r:.100} in {place}", upstream)
            _check_text(found, known, place, upstream)
        if not isinstance(content, str | list):
            raise _refused(f"'content' of {place}, which is no text,", upstream)
    elif kind in _TEXTS and not isinstance(part.get(_TEXTS[kind]), str):
        raise _refused(f"{_TEXTS[kind]!r} of a part in {place}, which is no text,", upstream)


def _part(part: Part, kept: frozenset[str], place: str, upstream: Vessel) -> Part:
    if not isinstance(part, TextPart | ImagePart):
        raise _refused(f"a part of the type {part.type!r} in {place}", upstream)
    extra = part.model_extra or {}
    for key in extra:
        if key not in LEFT_OUT_OF_PARTS:
            raise _refused(f"{key!r} of a part in {place}", upstream)
    own = {key: value for key, value in extra.items() if key in kept}
    if isinstance(part, TextPart):
        return TextPart(text=part.text, **own)
    return ImagePart(image_url=part.image_url, **own)


def _joined(parts: list[Part]) -> str | tuple[Part, ...]:
    joined: list[Part] = []
    for plain, group in groupby(parts, _is_plain):
        if plain:
            texts = [cast("TextPart", part).text for part in group]
            joined.append(TextPart(text="\n\n".join(filter(None, texts))))
        else:
            joined += group
    if not joined:
        return ""
    if len(joined) == 1 and _is_plain(joined[0]):
        return cast("TextPart", joined[0]).text
    return tuple(joined)


def _failure(content: str | tuple[Part, ...], dialect: str) -> str | tuple[Part, ...]:
    """The content of a result that says by itself that the tool failed."""
    parts = [TextPart(text=content)] if isinstance(content, str) else list(content)
    if dialect != "gemini":
        return _joined([TextPart(text=_FAILED), *parts])
    text = "\n\n".join(part.text for part in parts if isinstance(part, TextPart))
    error = TextPart(text=dumps({"error": text or _FAILED}).decode())
    return _joined([error, *(part for part in parts if not isinstance(part, TextPart))])


def _is_plain(part: Part) -> bool:
    return isinstance(part, TextPart) and not part.model_extra


def _refused(what: str, upstream: Vessel) -> InvalidRequestError:
    return InvalidRequestError(f"{what} cannot be sent to {upstream.name}")
