"""Refuses what Anthropic's Messages API refuses in the messages of a request.

https://docs.claude.com/en/api/messages, …/en/docs/agents-and-tools/tool-use/implement-tool-use and
…/en/docs/build-with-claude/extended-thinking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from anthropic_bodies import events_of, whole
from strict_provider import StrictProvider
from vesselog.vessels import Anthropic

__all__ = ["ANTHROPIC_PROVIDERS", "check_anthropic"]

# The keys that each kind of block may have; other kinds are the API's own and not looked into.
_KEYS = {
    "text": {"type", "text", "citations", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
    "tool_use": {"type", "id", "name", "input", "cache_control", "caller"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "image": {"type", "source", "cache_control"},
}
_ID = re.compile("[a-zA-Z0-9_-]+")


def check_anthropic(
    body: dict[str, Any], answers: Sequence[list[dict[str, Any]]] = ()
) -> str | None:
    """The error that the API would answer with; None if it takes the request.

    answers: the blocks of the answers that were given in this conversation, in order. Their
    thinking must come back unchanged, and in the same order among the tool calls.
    """
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for number, message in enumerate(body["messages"]):
        if problem := _message(message, f"messages.{number}"):
            return problem
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks)
        else:
            turns.append((message["role"], list(blocks)))
    return _turns(turns) or _thinking_first(body, turns) or _answers(turns, answers)


def _message(message: dict[str, Any], place: str) -> str | None:
    if message.keys() != {"role", "content"}:
        return f"{place}: extra or missing inputs: {sorted(message)}"
    if message["role"] not in {"user", "assistant"}:
        return f"{place}.role: unexpected value"
    content = message["content"]
    if not content:
        return f"{place}: content must be non-empty"
    if isinstance(content, str):
        return None if content.strip() else f"{place}: text must contain non-whitespace text"
    return next(filter(None, (_block(block, place) for block in content)), None)


def _block(block: dict[str, Any], place: str) -> str | None:
    kind = block.get("type")
    if unknown := block.keys() - _KEYS.get(str(kind), block.keys()):
        return f"{place}: extra inputs are not permitted: {sorted(unknown)}"
    match kind:
        case "text":
            if not block.get("text", "").strip():
                return f"{place}: text content blocks must contain non-whitespace text"
        case "thinking":
            if not block.get("signature"):
                return f"{place}: thinking.signature: field required"
        case "tool_use" | "server_tool_use":
            if not _ID.fullmatch(block.get("id") or ""):
                return f"{place}: {kind}.id: should match pattern {_ID.pattern}"
            if not isinstance(block.get("input"), dict):
                return f"{place}: {kind}.input: should be an object"
        case "tool_result":
            inner = block.get("content")
            parts = inner if isinstance(inner, list) else []
            return next(filter(None, (_block(part, place) for part in parts)), None)
        case None:
            return f"{place}: a block without a type"
        case _:
            pass
    return None


def _turns(turns: list[tuple[str, list[dict[str, Any]]]]) -> str | None:
    if not turns or turns[0][0] != "user":
        return "messages: first message must use the user role"
    used: set[str] = set()
    waiting: list[str] = []
    for role, blocks in turns:
        results = [each["tool_use_id"] for each in blocks if each["type"] == "tool_result"]
        if role == "user":
            if stranger := set(results) - set(waiting):
                return f"unexpected tool_use_id in tool_result blocks: {sorted(stranger)}"
            if missing := set(waiting) - set(results):
                return f"tool_use ids without tool_result blocks: {sorted(missing)}"
            if len(results) != len(set(results)):
                return "each tool_use must have a single result"
            if [each["type"] for each in blocks[: len(results)]].count("tool_result") < len(
                results
            ):
                return "tool_result blocks must come first"
            waiting = []
            continue
        if results:
            return "tool_result blocks are of the user"
        waiting = [each["id"] for each in blocks if each["type"] == "tool_use"]
        if len(waiting) != len(set(waiting)) or used & set(waiting):
            return "tool_use ids must be unique"
        used.update(waiting)
    return f"tool_use ids without tool_result blocks: {waiting}" if waiting else None


def _thinking_first(
    body: dict[str, Any], turns: list[tuple[str, list[dict[str, Any]]]]
) -> str | None:
    """An answer that waits for results begins with its thinking, where thinking is on."""
    if body.get("thinking", {}).get("type") not in {"enabled", "adaptive"} or len(turns) < 2:
        return None
    _, blocks = turns[-2]
    waits = any(block["type"] == "tool_result" for block in turns[-1][1])
    if waits and blocks[0]["type"] not in {"thinking", "redacted_thinking"}:
        return f"expected thinking or redacted_thinking, but found {blocks[0]['type']}"
    return None


def _answers(
    turns: list[tuple[str, list[dict[str, Any]]]], answers: Sequence[list[dict[str, Any]]]
) -> str | None:
    given = [block for answer in answers for block in _of_the_model(answer)]
    sent = [block for role, blocks in turns if role == "assistant" for block in blocks]
    known = _of_the_model(sent)
    if given and known != given:
        return "thinking, tool calls and the API's own blocks must be as they came, in their order"
    return None


def _of_the_model(blocks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [block for block in blocks if block["type"] != "text"]


def _turn(thought: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    thinking = {"type": "thinking", "thinking": thought, "signature": f"S {thought}"}
    return {"role": "assistant", "content": [thinking, *blocks]}


def _call(number: int, city: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "weather", "input": {"city": city}}


def _reason(turn: dict[str, Any]) -> str:
    return "tool_use" if turn["content"][-1]["type"] == "tool_use" else "end_turn"


ANTHROPIC_PROVIDERS = {
    "anthropic": StrictProvider(
        vessel=lambda url: Anthropic(base_url=url, max_tokens=500),
        turns=(
            _turn("Two cities.", _call(1, "Bremen"), _call(2, "Rostock")),
            _turn("Two more.", _call(3, "Kiel"), _call(4, "Zürich")),
            _turn("Kiel is sunny.", {"type": "text", "text": "In Kiel."}),
            _turn("That is all.", {"type": "text", "text": "Ahoy!"}),
        ),
        check=check_anthropic,
        wanted=lambda message: message["content"],
        whole=lambda turn: whole(turn["content"], _reason(turn)),
        frames=lambda turn: events_of(turn["content"], _reason(turn)),
    )
}
"""By the name of the vessel."""
