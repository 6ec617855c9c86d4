"""Writes a conversation as Anthropic's Messages API wants it.

https://docs.claude.com/en/api/messages. An answer of this vessel goes back as it came, all blocks
in their order; history.py makes any other valid. What the API would refuse is left out of both:
text that is white space alone, and messages without content. The results of tools in a row are one
user's message, with the parts of the user's message that follows, if its content is given as parts:
so the API has them, and reads two messages in the same way. Parts of the API's own kinds
(documents, `cache_control`) pass through.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from ..core.errors import InvalidRequestError
from ..core.request import ImagePart, Message, Part
from .anthropic_block import input_object
from .call_arguments import arguments_object
from .history import native_objects, native_of, valid_history
from .request_parts import TOOL_RESULT_ROLES, conversation, inline_image

__all__ = ["container_of", "system_and_messages"]

_NAME = "anthropic"
_IDS = "[a-zA-Z0-9_-]+"
# The parts of other dialects' messages for which the API has no block.
_FOREIGN = frozenset(
    {
        *("audio", "audio_url", "file", "input_audio", "input_file", "input_image", "input_text"),
        *("output_text", "refusal", "video", "video_url"),
    }
)


def system_and_messages(messages: Iterable[Message]) -> tuple[Any, list[dict[str, Any]]]:
    """The system prompt (None without one), and the messages.

    Raises InvalidRequestError for what the API cannot express.
    """
    system, turns = conversation(valid_history(messages, _NAME, _IDS), _NAME)
    prompt: Any = None
    if len(system) == 1 and isinstance(system[0].content, str):
        prompt = system[0].content
    elif system:
        prompt = [block for message in system for block in _texts(message)]
    written: list[dict[str, Any]] = []
    results: dict[str, Any] | None = None
    for turn in turns:
        made = _message(turn)
        if results is not None and turn[0].role == "user" and isinstance(made["content"], list):
            results |= {**made, "content": [*results["content"], *made["content"]]}
        elif made["content"]:
            written.append(made)
        results = made if turn[0].role in TOOL_RESULT_ROLES else None
    return prompt, written


def container_of(messages: Iterable[Message]) -> str | None:
    """The container in which the last answer of this vessel ran code, which wants it again."""
    for message in reversed(tuple(messages)):
        if (native := native_of(message, _NAME)) is not None:
            container = native.get("container")
            known = cast("dict[str, Any]", container) if isinstance(container, dict) else {}
            return known.get("id")
    return None


def _message(turn: list[Message]) -> dict[str, Any]:
    message = turn[0]
    if message.role == "assistant":
        return _answer(message)
    if message.role != "user":
        return {"role": "user", "content": [_result(result) for result in turn]}
    content = message.content
    if content is None or isinstance(content, str):
        return {"role": "user", "content": content or "", **(message.model_extra or {})}
    return {"role": "user", "content": _blocks(message), **(message.model_extra or {})}


def _answer(message: Message) -> dict[str, Any]:
    if (native := native_of(message, _NAME)) is not None:
        return {"role": "assistant", "content": _as_it_came(native.get("content"), message)}
    blocks = [block for block in _texts(message) if not _blank(block)]
    text_alone = isinstance(message.content, str) and not message.tool_calls and blocks
    blocks += [
        {
            "type": "tool_use",
            "id": call.id,
            "name": call.tool,
            "input": arguments_object(call, _NAME),
        }
        for call in message.tool_calls or ()
    ]
    content = message.content if text_alone else blocks
    return {"role": "assistant", "content": content, **(message.model_extra or {})}


def _as_it_came(content: Any, message: Message) -> Any:
    """The content of an answer of this vessel, its tool calls with the ids of the message's."""
    if isinstance(content, str):
        return content
    given = native_objects(content, _NAME, "content")
    blocks = [_with_input(block) for block in given if not _blank(block)]
    calls = [block for block in blocks if block.get("type") == "tool_use"]
    ids = [call.id for call in message.tool_calls or ()]
    known = {call["id"] for call in calls if isinstance(call.get("id"), str)}
    if len(ids) == len(calls) and known != set(ids):
        changed = {id(call): new for call, new in zip(calls, ids, strict=True)}
        blocks = [
            {**block, "id": changed[id(block)]} if id(block) in changed else block
            for block in blocks
        ]
    return blocks


def _blank(block: dict[str, Any]) -> bool:
    """Whether it is a text that the API refuses: without anything, or of white space alone."""
    return block.get("type") == "text" and not str(block.get("text") or "").strip()


def _with_input(block: dict[str, Any]) -> dict[str, Any]:
    """A block as it came; one that calls a tool has an object as its input."""
    if not str(block.get("type")).endswith("tool_use") or isinstance(block.get("input"), dict):
        return block
    return {**block, "input": input_object(block.get("input"))}


def _result(message: Message) -> dict[str, Any]:
    """A result; `is_error` and other fields of the message come along."""
    if not message.tool_call_id:
        raise InvalidRequestError("anthropic needs tool_call_id in the result of a tool")
    content: Any = message.content
    if content is not None and not isinstance(content, str):
        content = [block for block in _blocks(message) if not _blank(block)]
    block = {"type": "tool_result", "tool_use_id": message.tool_call_id}
    if content is not None:
        block["content"] = content
    return {**block, **(message.model_extra or {})}


def _texts(message: Message) -> list[dict[str, Any]]:
    """The blocks of a message that cannot have images."""
    if message.images:
        raise InvalidRequestError(f"anthropic does not take images of the role {message.role}")
    return _blocks(message)


def _blocks(message: Message) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        return [{"type": "text", "text": message.content}] if message.content else []
    return [_block(part) for part in message.content or ()]


def _block(part: Part) -> dict[str, Any]:
    if not isinstance(part, ImagePart):
        if part.type in _FOREIGN:
            raise InvalidRequestError(f"anthropic does not take parts of the type {part.type!r}")
        return part.model_dump(mode="json")
    url = part.image_url.url
    inline = inline_image(url, _NAME)
    source = (
        {"type": "url", "url": url}
        if inline is None
        else {"type": "base64", "media_type": inline.media_type, "data": inline.data}
    )
    return {"type": "image", "source": source, **(part.model_extra or {})}
