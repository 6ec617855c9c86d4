"""The exact bytes of each protocol, for one answer of everything and for each ending."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions import ManualClock
from vesselog import ConfigurationError, StreamChunk, Timings, ToolCallDelta, Usage
from vesselog.core.clock import timestamp
from vesselog.server.answer_writer import AnswerWriter
from vesselog.server.protocols import (
    AgUiEvents,
    AiSdkEvents,
    OllamaLines,
    OpenAIEvents,
    Problem,
    Protocol,
    protocol_of,
)

NAMES = ("vesselog", "openai", "ollama", "text", "ai-sdk", "ag-ui")
USAGE = Usage(input_tokens=3, output_tokens=4)


def call(slot: str, **fields: Any) -> tuple[ToolCallDelta, ...]:
    return (ToolCallDelta(slot=slot, **fields),)


ANSWER = (
    StreamChunk(seq=0, role="assistant", reasoning="Hm", response_id="r", model="m"),
    StreamChunk(seq=1, text="Grüß\n"),
    StreamChunk(seq=2, choice=1, text="other"),
    StreamChunk(seq=3, tool_calls=call("0", id="a", name="look")),
    StreamChunk(seq=4, tool_calls=call("0", arguments='{"at":')),
    StreamChunk(seq=5, tool_calls=call("1", id="b", name="go", arguments="{}")),
    StreamChunk(seq=6, tool_calls=call("0", arguments="[1]}")),
    StreamChunk(seq=7, finish_reason="tool_calls"),
    StreamChunk(seq=8, usage=USAGE, timings=Timings(total=1.5, eval=0.5)),
)
PROBLEM = Problem(502, "truncated", "It ended.", retryable=True, correlation_id="7")


def written(protocol: Protocol, chunks: Sequence[StreamChunk], ending: str = "complete") -> bytes:
    """What is sent of these chunks, and of the ending."""
    outcome = None if ending == "fail" else ending
    source = SimpleNamespace(session="s", call=1, outcome=outcome, error=None)
    writer = AnswerWriter(source, protocol)
    body = writer.chunks(chunks)
    last = writer.fail(PROBLEM) if ending == "fail" else writer.end()
    return body + (b"<cut>" if last is None else last)


def made(name: str) -> Protocol:
    clock = ManualClock()
    timed = {"openai": OpenAIEvents, "ollama": OllamaLines}
    return timed[name](clock) if name in timed else protocol_of(name)  # type: ignore[arg-type]


def as_sent(name: str, chunks: Sequence[StreamChunk], ending: str = "complete") -> str:
    return written(made(name), chunks, ending).decode()


def events(*given: tuple[str, Any] | tuple[str, str, Any]) -> str:
    """Server-sent events: the id (or ""), perhaps a name, and the data."""
    lines: list[str] = []
    for position, *name, data in given:
        lines += [f"id: s:1:{position}"] if position else []
        lines += [f"event: {name[0]}"] if name else []
        lines += [f"data: {data if isinstance(data, str) else compact(data)}", ""]
    return "\n".join([*lines, ""])


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def test_vesselog_sends_every_field_and_ends_with_what_happened() -> None:
    def at(seq: int, **fields: Any) -> tuple[str, str, Any]:
        return str(seq), "chunk", {"call": 1, "seq": seq, "t": 0.0, **fields}

    usage = {"input_tokens": 3, "output_tokens": 4}
    look = {"slot": "0", "id": "a", "name": "look"}
    assert as_sent("vesselog", ANSWER) == events(
        at(0, role="assistant", reasoning="Hm", response_id="r", model="m"),
        at(1, text="Grüß\n"),
        at(2, choice=1, text="other"),
        at(3, tool_calls=[look]),
        at(4, tool_calls=[{"slot": "0", "arguments": '{"at":'}]),
        at(5, tool_calls=[{"slot": "1", "id": "b", "name": "go", "arguments": "{}"}]),
        at(6, tool_calls=[{"slot": "0", "arguments": "[1]}"}]),
        at(7, finish_reason="tool_calls"),
        at(8, usage=usage, timings={"total": 1.5, "eval": 0.5}),
        (
            "end",
            "end",
            {
                "outcome": "complete",
                "finish_reason": "tool_calls",
                "usage": usage,
                "session": "s",
                "call": 1,
            },
        ),
    )


def test_openai_sends_objects_of_one_id_time_and_model_and_then_done() -> None:
    created = ManualClock().wall() // 1_000_000

    def at(seq: int, delta: Any, index: int = 0, finish: str | None = None) -> tuple[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return str(seq), whole([choice])

    def whole(choices: Any, **more: Any) -> Any:
        value = {"id": "r", "object": "chat.completion.chunk", "created": created, "model": "m"}
        return {**value, "choices": choices, **more}

    def calls(index: int, function: Any, **more: Any) -> Any:
        return {"tool_calls": [{"index": index, **more, "function": function}]}

    counts = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert as_sent("openai", ANSWER) == events(
        at(0, {"role": "assistant", "reasoning_content": "Hm"}),
        at(1, {"content": "Grüß\n"}),
        at(2, {"content": "other"}, index=1),
        at(3, calls(0, {"name": "look"}, id="a", type="function")),
        at(4, calls(0, {"arguments": '{"at":'})),
        at(5, calls(1, {"name": "go", "arguments": "{}"}, id="b", type="function")),
        at(6, calls(0, {"arguments": "[1]}"})),
        at(7, {}, finish="tool_calls"),
        ("8", whole([], usage=counts)),
        ("end", "[DONE]"),
    )


def test_ollama_sends_whole_calls_and_a_last_line_with_counts() -> None:
    def line(message: Any, **done: Any) -> str:
        value = {
            "model": "m",
            "created_at": timestamp(ManualClock().wall()),
            "message": {"role": "assistant", **message},
        }
        return compact({**value, **(done or {"done": False})}) + "\n"

    def calls(identity: str, name: str, arguments: Any) -> Any:
        function = {"name": name, "arguments": arguments}
        return {"content": "", "tool_calls": [{"id": identity, "function": function}]}

    assert as_sent("ollama", ANSWER) == "".join(
        [
            line({"content": "", "thinking": "Hm"}),
            line({"content": "Grüß\n"}),
            line(calls("a", "look", {"at": [1]})),
            line(calls("b", "go", {})),
            line(
                {"content": ""},
                done=True,
                done_reason="stop",
                total_duration=1_500_000_000,
                eval_duration=500_000_000,
                prompt_eval_count=3,
                eval_count=4,
            ),
        ]
    )


def test_text_sends_the_first_choice_alone() -> None:
    assert as_sent("text", ANSWER) == "Grüß\n"


def test_ai_sdk_sends_parts_that_begin_and_end() -> None:
    def delta(kind: str, number: str, text: str) -> Any:
        return {"type": f"{kind}-delta", "id": number, "delta": text}

    def args(identity: str, text: str) -> Any:
        return {"type": "tool-input-delta", "toolCallId": identity, "inputTextDelta": text}

    def tool(event: str, identity: str, name: str, **more: Any) -> Any:
        return {"type": f"tool-input-{event}", "toolCallId": identity, "toolName": name, **more}

    told = {"session": "s", "call": 1, "usage": {"input_tokens": 3, "output_tokens": 4}}
    assert as_sent("ai-sdk", ANSWER) == events(
        ("", {"type": "start"}),
        ("", {"type": "start-step"}),
        ("", {"type": "reasoning-start", "id": "0"}),
        ("0", delta("reasoning", "0", "Hm")),
        ("", {"type": "reasoning-end", "id": "0"}),
        ("", {"type": "text-start", "id": "1"}),
        ("1", delta("text", "1", "Grüß\n")),
        ("", {"type": "text-end", "id": "1"}),
        ("", tool("start", "a", "look")),
        ("4", args("a", '{"at":')),
        ("", tool("start", "b", "go")),
        ("5", args("b", "{}")),
        ("6", args("a", "[1]}")),
        ("", tool("available", "a", "look", input={"at": [1]})),
        ("7", tool("available", "b", "go", input={})),
        ("", {"type": "finish-step"}),
        ("", {"type": "finish", "messageMetadata": told, "finishReason": "tool-calls"}),
        ("end", "[DONE]"),
    )


def test_ag_ui_sends_a_run_of_messages_and_calls() -> None:
    def message(kind: str, number: int, **more: Any) -> Any:
        return {"type": kind, "messageId": f"s:1:{number}", **more}

    def tool(event: str, identity: str, **more: Any) -> Any:
        return {"type": f"TOOL_CALL_{event}", "toolCallId": identity, **more}

    run = {"threadId": "s", "runId": "s:1"}
    assert as_sent("ag-ui", ANSWER) == events(
        ("", {"type": "RUN_STARTED", **run}),
        ("", message("REASONING_START", 0)),
        ("", message("REASONING_MESSAGE_START", 0, role="reasoning")),
        ("0", message("REASONING_MESSAGE_CONTENT", 0, delta="Hm")),
        ("", message("REASONING_MESSAGE_END", 0)),
        ("", message("REASONING_END", 0)),
        ("", message("TEXT_MESSAGE_START", 1, role="assistant")),
        ("1", message("TEXT_MESSAGE_CONTENT", 1, delta="Grüß\n")),
        ("", message("TEXT_MESSAGE_END", 1)),
        ("", tool("START", "a", toolCallName="look", parentMessageId="s:1:1")),
        ("4", tool("ARGS", "a", delta='{"at":')),
        ("", tool("START", "b", toolCallName="go", parentMessageId="s:1:1")),
        ("5", tool("ARGS", "b", delta="{}")),
        ("6", tool("ARGS", "a", delta="[1]}")),
        ("", tool("END", "a")),
        ("7", tool("END", "b")),
        (
            "end",
            {
                "type": "RUN_FINISHED",
                **run,
                "outcome": {"type": "success"},
                "usage": [{"inputTokens": 3, "outputTokens": 4}],
            },
        ),
    )


TEXT = "It ended. [truncated 7]"
STOPPED = "The answer was stopped. [cancelled]"
FAILURES = {
    "vesselog": events(
        (
            "end",
            "error",
            {
                "code": "truncated",
                "message": "It ended.",
                "retryable": True,
                "correlation_id": "7",
                "session": "s",
                "call": 1,
            },
        )
    ),
    "openai": events(
        (
            "end",
            {
                "error": {
                    "code": "truncated",
                    "message": "It ended.",
                    "retryable": True,
                    "correlation_id": "7",
                    "type": "truncated",
                    "param": None,
                }
            },
        )
    ),
    "ollama": compact({"error": TEXT}) + "\n",
    "text": "<cut>",
    "ai-sdk": events(("", {"type": "error", "errorText": TEXT}), ("end", "[DONE]")),
    "ag-ui": events(("end", {"type": "RUN_ERROR", "message": TEXT, "code": "truncated"})),
}
STOPS = {
    "vesselog": events(
        (
            "end",
            "end",
            {
                "outcome": "cancelled",
                "finish_reason": None,
                "usage": None,
                "session": "s",
                "call": 1,
            },
        )
    ),
    "openai": events(
        (
            "end",
            {
                "error": {
                    "code": "cancelled",
                    "message": "The answer was stopped.",
                    "retryable": True,
                    "correlation_id": None,
                    "type": "cancelled",
                    "param": None,
                }
            },
        )
    ),
    "ollama": compact({"error": STOPPED}) + "\n",
    "text": "<cut>",
    "ai-sdk": events(("", {"type": "abort"}), ("end", "[DONE]")),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_answer_ends_with_the_protocols_own_error(name: str) -> None:
    begun = written(made(name), ANSWER[:2], "fail").decode()
    assert begun.endswith(FAILURES[name])
    assert "[DONE]" not in begun or name == "ai-sdk", "a client would take the part for the whole"


@pytest.mark.parametrize("name", STOPS)
def test_a_stopped_answer_does_not_look_complete(name: str) -> None:
    assert as_sent(name, ANSWER[:2], "cancelled").endswith(STOPS[name])


def test_a_stopped_run_closes_its_messages() -> None:
    """The official client refuses a finished run with open messages."""
    sent = as_sent("ag-ui", ANSWER[:2], "cancelled")
    assert '"TEXT_MESSAGE_END"' in sent
    assert '"outcome":{"type":"cancelled"}' in sent


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_without_chunks_begins_before_it_ends(name: str) -> None:
    sent = as_sent(name, ())
    first = {"ai-sdk": 'data: {"type":"start"}', "ag-ui": 'data: {"type":"RUN_STARTED"'}
    assert sent.startswith(first.get(name, ""))
    assert sent or name == "text"
    source = SimpleNamespace(session="s", call=1, outcome="complete", error=None)
    at_once = AnswerWriter(source, made(name)).end() or b""
    assert [line for line in at_once.decode().split("\n") if "created_at" not in line] == [
        line for line in sent.split("\n") if "created_at" not in line
    ]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"ollama", "text"}])
@pytest.mark.parametrize("session", [None, "bad\nname", "a b"])
def test_without_a_session_or_with_a_strange_one_there_are_no_ids(
    name: str, session: str | None
) -> None:
    source = SimpleNamespace(session=session, call=1, outcome="complete", error=None)
    writer = AnswerWriter(source, made(name))
    last = writer.chunks(ANSWER) + (writer.end() or b"")
    assert not [line for line in last.split(b"\n") if line.startswith((b"id", b"name"))]


def test_names_of_the_client_are_kept() -> None:
    assert b'"messageId":"m1"' in written(AiSdkEvents(message_id="m1"), ANSWER)
    sent = written(AgUiEvents(thread_id="t", run_id="r"), ANSWER)
    assert b'{"type":"RUN_STARTED","threadId":"t","runId":"r"}' in sent


def test_an_unknown_protocol_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="vesselog, openai, ollama, text, ai-sdk, ag-ui"):
        protocol_of("grpc")  # type: ignore[arg-type]


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)


def deltas_of(slot: str) -> st.SearchStrategy[ToolCallDelta]:
    return st.builds(
        ToolCallDelta,
        slot=st.just(slot),
        id=st.none() | st.just(f"id-{slot}"),
        name=st.none() | texts,
        arguments=st.none() | texts,
    )


deltas = st.sampled_from("01").flatmap(deltas_of)
anything = st.builds(
    StreamChunk,
    t=st.floats(0, 1e6),
    choice=st.integers(0, 2),
    text=texts,
    reasoning=texts,
    refusal=texts,
    tool_calls=st.tuples() | st.tuples(deltas) | st.tuples(deltas, deltas),
    finish_reason=st.sampled_from([None, "stop", "length", "tool_calls", "error", "other"]),
    usage=st.none() | st.builds(Usage, output_tokens=st.none() | st.integers(0, 2**40)),
    extra=st.dictionaries(texts, texts | st.integers(0, 2**70), max_size=2),
)


def numbered(chunks: list[StreamChunk]) -> list[StreamChunk]:
    return [chunk.model_copy(update={"seq": seq}) for seq, chunk in enumerate(chunks)]


def data_of(body: bytes) -> list[bytes]:
    assert body.endswith(b"\n\n")
    blocks = body[:-2].split(b"\n\n")
    lines = [line for block in blocks for line in block.split(b"\n")]
    assert all(line.startswith((b"id: ", b"event: ", b"data: ")) for line in lines)
    return [line[6:] for line in lines if line.startswith(b"data: ")]


@given(st.lists(anything, max_size=5).map(numbered))
def test_chunks_of_the_own_protocol_are_read_back_equal(chunks: list[StreamChunk]) -> None:
    *sent, _ = data_of(written(made("vesselog"), chunks))
    assert [StreamChunk.model_validate_json(each) for each in sent] == chunks


@given(st.lists(anything, max_size=6).map(numbered), st.sampled_from(NAMES))
def test_whatever_comes_the_text_arrives_whole(chunks: list[StreamChunk], name: str) -> None:
    said = "".join(chunk.text + chunk.refusal for chunk in chunks if chunk.choice == 0)
    body = written(made(name), chunks)
    if name == "text":
        assert body.decode() == said
    elif name == "ollama":
        lines = [json.loads(line) for line in body.split(b"\n")[:-1]]
        assert "".join(line["message"]["content"] for line in lines) == said
    else:
        found = [json.loads(each) for each in data_of(body) if each != b"[DONE]"]
        text = {
            "vesselog": lambda each: (
                each.get("text", "") + each.get("refusal", "") if not each.get("choice") else ""
            ),
            "openai": lambda each: "".join(
                choice["delta"].get("content", "") + choice["delta"].get("refusal", "")
                for choice in each["choices"]
                if choice["index"] == 0
            ),
            "ai-sdk": lambda each: each["delta"] if each["type"] == "text-delta" else "",
            "ag-ui": lambda each: each["delta"] if each["type"] == "TEXT_MESSAGE_CONTENT" else "",
        }[name]
        assert "".join(map(text, found)) == said


@given(st.lists(anything, max_size=6).map(numbered), st.sampled_from(["complete", "cancelled"]))
def test_everything_that_begins_ends_once(chunks: list[StreamChunk], ending: str) -> None:
    """What the official AG-UI client checks, and the AI SDK's parts."""
    opened: set[tuple[str, str]] = set()
    for each in data_of(written(made("ag-ui"), chunks, ending)):
        event = json.loads(each)
        kind, _, what = event["type"].rpartition("_")
        key = (kind, event.get("messageId") or event.get("toolCallId") or "")
        if what in {"START", "STARTED"}:
            assert key not in opened
            opened.add(key)
        elif what in {"CONTENT", "ARGS"}:
            assert key in opened
            assert event["delta"]
        else:
            opened.remove(key)
    assert opened == set()
