"""An independent reading of captured bodies, to hold the vessels to.

It shares no code with the library and knows nothing of streams: it has the whole body, reads it by
the plainest rules, and lets what is last win. It says what an answer came to, not how it was
dressed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

COMPLETE, TRUNCATED, PROVIDER, UNREADABLE = (
    "complete",
    "TruncatedError",
    "ProviderError",
    "ProtocolError",
)

FINISH = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


@dataclass
class Answer:
    """One choice."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str | None = None
    raw_finish: str | None = None


@dataclass
class Expected:
    """What a body holds.

    error: a part of the error's message, lower case. messages: those of a whole answer, as the
    provider has them.
    """

    outcome: str = COMPLETE
    answers: dict[int, Answer] = field(default_factory=dict)
    usage: tuple[int | None, int | None] | None = None
    error: str = ""
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)

    def answer(self, index: int = 0) -> Answer:
        return self.answers.setdefault(index, Answer())


def read_openai(body: bytes, status: int, asked: int = 1) -> Expected:
    """A body of the OpenAI dialect, streamed or not."""
    text = body.decode("utf-8", "replace").lstrip("\ufeff")
    if not 200 <= status < 300:
        return Expected(PROVIDER, error=message_in(text))
    whole = is_json(text)
    events, done, failure = ([json.loads(text)], False, "") if whole else sse_events(text)
    expected = Expected()
    calls: dict[int, list[dict[str, Any]]] = {}
    audio = False
    for event in map(out_of_envelope, events):
        for choice in event.get("choices") or []:
            part = read_choice(choice, expected.answer(choice.get("index") or 0))
            calls.setdefault(choice.get("index") or 0, []).extend(part.get("tool_calls") or [])
            audio = audio or bool(part.get("audio"))
            failure = failure or (json.dumps(choice["error"]) if choice.get("error") else "")
        if isinstance(usage := event.get("usage"), dict):
            expected.usage = read_counts(usage)
        if event.get("error"):
            failure = json.dumps(event["error"])
            break
    for index, pieces in calls.items():
        expected.answer(index).calls = join_calls(pieces)
        finish_with_calls(expected.answer(index))
    if whole:
        expected.messages = whole_messages(events)
    answers = expected.answers.values()
    said = audio or any(answer != Answer() for answer in answers)
    ended = len(answers) >= asked and all(answer.finish for answer in answers)
    if failure:
        expected.outcome, expected.error = PROVIDER, message_in(failure)
    elif not (ended or (done and said) or (whole and answers)):
        expected.outcome = TRUNCATED
    return expected


def read_counts(usage: dict[str, Any]) -> tuple[int | None, int | None]:
    """Input and output; xAI counts reasoning beside the output, as its total shows."""
    asked, said = usage.get("prompt_tokens"), usage.get("completion_tokens")
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    if said is not None and usage.get("total_tokens") == (asked or 0) + said + thought:
        said += thought
    return asked, said


def out_of_envelope(event: Any) -> dict[str, Any]:
    while (
        isinstance(event, dict) and "choices" not in event and isinstance(event.get("data"), dict)
    ):
        event = event["data"]
    return event if isinstance(event, dict) else {}


def read_choice(choice: dict[str, Any], answer: Answer) -> dict[str, Any]:
    """Add what a choice says to the answer; the part of it that said it."""
    part = choice.get("delta") or {}
    if not any(value for key, value in part.items() if key != "role") and answer == Answer():
        part = choice.get("message") or part
    words, thoughts = content(part.get("content"))
    answer.text += words or choice.get("text") or ""
    answer.reasoning += thoughts + reasoning(part)
    answer.refusal += part.get("refusal") or ""
    if choice.get("finish_reason"):
        answer.raw_finish = choice["finish_reason"]
        answer.finish = FINISH.get(answer.raw_finish, "other")
    return part


def read_ollama(body: bytes, status: int) -> Expected:
    """A body of Ollama's own dialect, streamed or not."""
    text = body.decode("utf-8", "replace")
    if not 200 <= status < 300:
        return Expected(PROVIDER, error=message_in(text))
    expected = Expected(TRUNCATED)
    answer = expected.answer()
    for line in [text] if is_json(text) else text.split("\n"):
        if not line.strip():
            continue
        value = json.loads(line)
        if "error" in value:
            return Expected(PROVIDER, expected.answers, error=message_in(line))
        message = value.get("message", {})
        answer.text += message.get("content", "") + value.get("response", "")
        answer.reasoning += message.get("thinking", "") + value.get("thinking", "")
        for call in message.get("tool_calls", []):
            answer.calls.append((call["function"]["name"], call["function"]["arguments"]))
        if value.get("done"):
            expected.outcome = COMPLETE
            answer.raw_finish = value.get("done_reason")
            if answer.raw_finish:
                answer.finish = FINISH.get(answer.raw_finish, "other")
            if "eval_count" in value or "prompt_eval_count" in value:
                expected.usage = (value.get("prompt_eval_count"), value.get("eval_count"))
    finish_with_calls(answer)
    return expected


def finish_with_calls(answer: Answer) -> None:
    """An answer that calls tools has that for its reason, whatever the provider says."""
    if answer.calls and answer.finish in {"stop", "other"}:
        answer.finish = "tool_calls"


def whole_messages(events: list[Any]) -> dict[int, dict[str, Any]]:
    """The messages as the provider has them, but for padding."""
    return {
        choice.get("index") or 0: {k: v for k, v in choice["message"].items() if k != "padding"}
        for event in map(out_of_envelope, events)
        for choice in event.get("choices") or []
        if choice.get("message")
    }


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def sse_events(text: str) -> tuple[list[Any], bool, str]:
    """The events' JSON values, whether `[DONE]` was there, and what an error field said."""
    events: list[Any] = []
    done, failure = False, ""
    for line in re.split(r"\r\n|\r|\n", text):
        name, _, value = line.partition(":")
        value = value.strip()
        if name == "data" and value == "[DONE]":
            done = True
        elif name == "data" and is_json(value):
            events.append(json.loads(value))
        elif name == "error" and value:
            failure = value
    return events, done, failure


def content(value: Any) -> tuple[str, str]:
    """Text and thinking."""
    if not isinstance(value, list):
        return value or "", ""
    text = "".join(part.get("text", "") for part in value if part["type"] == "text")
    thoughts = [part["thinking"] for part in value if part["type"] == "thinking"]
    return text, "".join(step["text"] for thought in thoughts for step in thought)


def reasoning(part: dict[str, Any]) -> str:
    for name in ("reasoning_content", "reasoning", "reasoning_text"):
        if part.get(name):
            return part[name]
    return "".join(detail.get("text") or "" for detail in part.get("reasoning_details") or [])


def join_calls(pieces: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """A piece with a new id begins a call; others go to that of their index, or the last."""
    begun: list[dict[str, Any]] = []
    for piece in pieces:
        function = piece.get("function") or {}
        identifier, index = piece.get("id"), piece.get("index")
        if identifier and identifier not in [call["id"] for call in begun]:
            begun.append({"id": identifier, "index": index, "name": "", "arguments": ""})
        call = next((each for each in reversed(begun) if index in (None, each["index"])), begun[-1])
        call["name"] = call["name"] or function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""
    return [(call["name"], parsed(call["arguments"] or "{}")) for call in begun]


def parsed(arguments: str) -> Any:
    """None for arguments that are no JSON: cut by a length, or several glued together."""
    return json.loads(arguments) if is_json(arguments) else None


def message_in(text: str) -> str:
    """The innermost message of an error body, or the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        title = re.search("<title>(.*?)</title>", text)
        return (title[1] if title else text).strip().lower()
    if isinstance(value, list) and value:
        value = value[0]
    while isinstance(value, dict):
        inner = next((value[key] for key in ("error", "message", "detail") if value.get(key)), None)
        if inner is None:
            return ""
        value = inner
    return str(value).strip().lower()


def unwrapped(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an HTTP/1.1 answer, chunk framing undone."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        joined = b""
        while body:
            size, _, rest = body.partition(b"\r\n")
            length = int(size, 16)
            joined += rest[:length]
            body = rest[length + 2 :] if length else b""
        body = joined
    return int(first.split()[1]), headers, body
