"""Answers of the Responses API: typed events and whole responses, complete, cut, odd and failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from decoding import JSON, Decoded, decode
from vesselog.core.errors import ProviderError
from vesselog.vessels import OpenAIResponses

BEGUN = {"type": "response.created", "response": {"id": "r", "status": "in_progress"}}
REASONING = {
    "id": "rs",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "encrypted_content": "gAAAA==",
}
CALL = {
    "id": "fc",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "tide",
    "arguments": '{"port":"Kiel"}',
}


def message(text: str, identifier: str = "msg", **more: Any) -> dict[str, Any]:
    part = {"type": "output_text", "annotations": [], "text": text}
    return {
        "id": identifier,
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
        **more,
    }


def added(index: int, item: dict[str, Any], **emptied: Any) -> dict[str, Any]:
    begun = {**item, **emptied, "status": "in_progress"}
    return {"type": "response.output_item.added", "output_index": index, "item": begun}


def done(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(kind: str, text: str, index: int, item: str, **more: Any) -> dict[str, Any]:
    place = {"output_index": index, "item_id": item, **more}
    return {"type": f"response.{kind}.delta", "delta": text, **place}


def said(text: str, index: int = 0, item: str = "msg") -> dict[str, Any]:
    return delta("output_text", text, index, item, content_index=0)


def ended(status: str = "completed", **response: Any) -> dict[str, Any]:
    return {"type": f"response.{status}", "response": {"id": "r", "status": status, **response}}


def stream(*events: dict[str, Any], named: bool = True) -> bytes:
    """The events as they are sent; named: each with its type as the event's name too."""
    return b"".join(
        (f"event: {event['type']}\n" if named else "").encode()
        + b"data: "
        + json.dumps({**event, "sequence_number": number}).encode()
        + b"\n\n"
        for number, event in enumerate(events)
    )


def answer(*events: dict[str, Any], named: bool = True) -> Decoded:
    return decode(OpenAIResponses(), stream(*events, named=named))


def whole(**response: Any) -> Decoded:
    body = {"id": "r", "object": "response", "model": "m", "status": "completed", **response}
    return decode(OpenAIResponses(), json.dumps(body).encode(), JSON, stream=False)


def output(found: Decoded) -> Any:
    return found.natives.get(0, {}).get("output")


SOUND = (("audio", "AA=="), ("audio.transcript", "Hi"), ("audio", "AQ=="))
FULL = (
    BEGUN,
    added(0, REASONING, summary=[], encrypted_content="gA"),
    delta("reasoning_summary_text", "Hm.", 0, "rs", summary_index=0),
    done(0, REASONING),
    added(1, message("")),
    said("Look", 1),
    said(" it up.", 1),
    done(1, message("Look it up.")),
    added(2, CALL, arguments=""),
    delta("function_call_arguments", '{"port":', 2, "fc"),
    delta("function_call_arguments", '"Kiel"}', 2, "fc"),
    done(2, CALL),
    ended(output=[REASONING, message("Look it up."), CALL]),
)


@pytest.mark.parametrize("named", [True, False])
def test_the_items_go_back_whole_and_in_order(named: bool) -> None:  # noqa: FBT001 - parametrized
    found = answer(*FULL, named=named)
    assert found.outcome == "complete"
    assert found.repairs == []
    assert output(found) == [REASONING, message("Look it up."), CALL]
    assert (found.completion.text, found.completion.reasoning) == ("Look it up.", "Hm.")
    assert [chunk.text for chunk in found.chunks if chunk.text] == ["Look", " it up."]
    (call,) = found.completion.tool_calls
    assert (call.id, call.name, call.arguments) == ("call_1", "tide", {"port": "Kiel"})
    assert found.completion.finish_reason == "tool_calls"


def test_a_whole_response_says_the_same_as_its_stream() -> None:
    one, many = whole(output=[REASONING, message("Look it up."), CALL]), answer(*FULL)
    assert output(one) == output(many)
    for field in ("text", "reasoning", "tool_calls", "finish_reason"):
        assert getattr(one.completion, field) == getattr(many.completion, field)


def test_items_that_come_only_whole_are_said_once() -> None:
    """Some servers send no deltas, some only the last event."""
    for events in (
        [BEGUN, done(0, message("Hi")), ended(output=[message("Hi")])],
        [BEGUN, ended(output=[message("Hi"), CALL])],
        [BEGUN, added(0, message("")), said("H"), done(0, message("Hi")), ended()],
    ):
        found = answer(*events)
        assert found.completion.text == "Hi"
        assert output(found)[0] == message("Hi")


def test_ids_that_change_with_each_event_are_one_item() -> None:
    found = answer(
        BEGUN,
        added(0, message("", "a")),
        said("H", 0, "b"),
        said("i", 0, "c"),
        done(0, message("Hi", "d")),
        ended(output=[message("Hi", "e")]),
    )
    assert found.completion.text == "Hi"
    assert [item["id"] for item in output(found)] == ["d"]


def test_a_cut_is_truncation_and_leaves_out_what_the_api_would_refuse() -> None:
    two, three = ["reasoning", "message"], ["reasoning", "message", "function_call"]
    kept = [[]] * 5 + [two] * 3 + [three] * 4
    for number, types in enumerate(kept, 1):
        found = answer(*FULL[:number])
        assert found.outcome == "TruncatedError"
        assert [item["type"] for item in output(found) or []] == types
    cut = output(answer(*FULL[:6]))
    assert cut[1]["status"] == "incomplete"
    assert cut[1]["content"][0]["text"] == "Look"
    assert output(answer(*FULL[:10]))[2]["arguments"] == '{"port":'


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("max_output_tokens", "length"),
        ("content_filter", "content_filter"),
        ("steered", "other"),
        (None, "other"),
    ],
)
def test_an_incomplete_response_is_an_end(reason: str | None, finish: str) -> None:
    details = reason and {"reason": reason}
    found = answer(BEGUN, said("Once"), ended("incomplete", incomplete_details=details))
    assert found.outcome == "complete"
    assert found.completion.finish_reason == finish
    assert found.completion.raw_finish_reason == (reason or "incomplete")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_failed_response_is_an_error_behind_what_came(status: str) -> None:
    error = {"code": "server_error", "message": "It fell over."}
    found = answer(BEGUN, added(0, message("")), said("Hal"), ended(status, error=error))
    assert isinstance(found.error, ProviderError)
    assert (found.error.code, found.error.retryable) == ("server_error", True)
    assert "It fell over." in found.error.message
    assert found.completion.text == "Hal"
    one = whole(status=status, error=error, output=[message("Hal")])
    assert isinstance(one.error, ProviderError)
    assert one.completion.text == "Hal"


def test_a_failure_without_a_reason_names_its_status() -> None:
    found = answer(BEGUN, ended("cancelled"))
    assert isinstance(found.error, ProviderError)
    assert found.error.code == "cancelled"


def test_a_response_in_the_background_is_an_answer_that_is_not_there_yet() -> None:
    found = whole(status="queued", background=True, output=[])
    assert (found.outcome, found.completion.finish_reason) == ("complete", "other")
    assert found.completion.raw_finish_reason == "queued"
    assert found.completion.response_id == "r"
    assert whole(status="in_progress", output=[]).outcome == "TruncatedError"


def test_a_custom_tool_is_called_with_a_text() -> None:
    item = {"type": "custom_tool_call", "id": "c", "call_id": "call_2", "name": "sh", "input": "ls"}
    found = answer(
        BEGUN,
        added(0, item, input=""),
        delta("custom_tool_call_input", "l", 0, "c"),
        delta("custom_tool_call_input", "s", 0, "c"),
        done(0, item),
        ended(),
    )
    (call,) = found.completion.tool_calls
    assert (call.type, call.name, call.input) == ("custom", "sh", "ls")


def test_a_call_without_an_id_gets_one_in_both_forms() -> None:
    bare = {key: value for key, value in CALL.items() if key not in {"id", "call_id"}}
    found = whole(output=[bare, bare])
    first, second = found.completion.tool_calls
    assert first.id != second.id
    assert [item["call_id"] for item in output(found)] == [first.id, second.id]
    assert "tool-id-made" in found.repairs


def test_tools_of_the_api_are_no_calls_of_the_caller() -> None:
    search = {
        "type": "web_search_call",
        "id": "ws",
        "status": "completed",
        "action": {"query": "q"},
    }
    found = answer(
        BEGUN,
        added(0, search),
        {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws"},
        done(0, search),
        ended(output=[search]),
    )
    assert found.repairs == []
    assert found.completion.tool_calls == ()
    assert found.completion.finish_reason == "stop"
    assert found.completion.extra["item_0"] == search
    assert output(found) == [search]


@pytest.mark.parametrize("cut", [False, True])
def test_a_search_of_x_is_no_call_of_the_caller(cut: bool) -> None:  # noqa: FBT001
    """xAI runs it, and tells it as the call of a custom tool."""
    search = {
        "type": "custom_tool_call",
        "id": "ctc",
        "status": "completed",
        "call_id": "xs_call_1",
        "name": "x_keyword_search",
        "input": '{"query":"tides"}',
    }
    piece = delta("custom_tool_call_input", '{"query":"tides"}', 0, "ctc")
    head = [BEGUN, added(0, search, input=""), piece]
    if cut:
        assert output(answer(*head)) is None
        return
    text = [added(1, message("")), said("Hi", 1), done(1, message("Hi"))]
    found = answer(*head, done(0, search), *text, ended(output=[search, message("Hi")]))
    assert (found.outcome, found.repairs) == ("complete", [])
    assert (found.completion.tool_calls, found.completion.finish_reason) == ((), "stop")
    assert found.completion.extra["item_0"] == search
    assert output(found) == [search, message("Hi")]
    assert whole(output=[search, message("Hi")]).completion.finish_reason == "stop"


def test_a_refusal_and_a_text_are_told_apart() -> None:
    parts = [{"type": "output_text", "text": "Well.", "annotations": []}]
    parts.append({"type": "refusal", "refusal": "No."})
    found = whole(output=[message("", content=parts)])
    assert (found.completion.text, found.completion.refusal) == ("Well.", "No.")


def test_log_probabilities_are_those_of_the_chat_route() -> None:
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    streamed = answer(BEGUN, added(0, message("")), {**said("Hi"), "logprobs": [token]}, ended())
    assert streamed.completion.logprobs == {"content": [token]}
    part = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": [token]}
    assert whole(output=[message("", content=[part])]).completion.logprobs == {"content": [token]}


def test_what_is_not_known_is_kept() -> None:
    new = {"type": "response.hologram.delta", "delta": "…", "output_index": 0}
    found = answer(BEGUN, new, ended(service_tier="flex"))
    assert found.repairs == ["unknown-event"]
    assert found.completion.extra["response.hologram.delta"]["delta"] == "…"
    assert found.completion.extra["service_tier"] == "flex"
    item = {"type": "hologram", "id": "h", "beams": 3}
    assert output(answer(BEGUN, done(0, item), ended())) == [item]


def test_the_pieces_of_a_sound_are_all_there() -> None:
    sound = [{"type": f"response.{kind}.delta", "delta": piece} for kind, piece in SOUND]
    found = answer(BEGUN, *sound, {"type": "response.audio.done"}, ended())
    assert found.completion.extra["audio"] == {"data": ["AA==", "AQ=="], "transcript": ["Hi"]}
    assert found.repairs == []


def test_reasoning_in_parts_and_news_of_a_patch() -> None:
    """The parts are vLLM's; the patch is whole in its item."""
    part = {"output_index": 0, "item_id": "rs", "content_index": 0}
    item = {"id": "rs", "type": "reasoning", "summary": [], "content": []}
    text = {"type": "reasoning_text", "text": "Hm."}
    patch = {"id": "p", "type": "apply_patch_call", "operation": {"diff": "+a"}}
    news = delta("apply_patch_call_operation_diff", "+a", 1, "p")
    found = answer(
        BEGUN,
        added(0, item),
        {"type": "response.reasoning_part.added", "part": {**text, "text": ""}, **part},
        delta("reasoning_text", "Hm.", 0, "rs", content_index=0),
        {"type": "response.reasoning_part.done", "part": text, **part},
        done(0, {**item, "content": [text]}),
        news,
        done(1, patch),
        ended(),
    )
    assert (found.outcome, found.completion.reasoning, found.repairs) == ("complete", "Hm.", [])
    assert found.completion.extra == {"item_1": patch}


def test_the_request_is_not_in_the_answer_again() -> None:
    repeated = {"instructions": "Be brief.", "tools": [{"type": "function"}]}
    begun = {**BEGUN, "response": {**BEGUN["response"], **repeated}}  # type: ignore[dict-item]
    assert answer(begun, ended(**repeated)).completion.extra == {}


def test_what_keeps_the_connection_open_says_nothing() -> None:
    body = stream(BEGUN, {"type": "keepalive"}, added(0, message("")), said("Hi"))
    body += b": ping\n\nevent: ping\ndata: {}\n\n" + stream(ended()) + b"data: [DONE]\n\n"
    found = decode(OpenAIResponses(), body)
    assert (found.outcome, found.completion.text) == ("complete", "Hi")
    assert found.repairs == ["done-marker"]


def test_a_second_response_in_one_body_is_no_answer() -> None:
    twice = answer(BEGUN, said("a"), ended(), BEGUN, said("b"), ended())
    assert twice.completion.text == "a"


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no", "code": "x"}},
        {"type": "error", "code": "x", "message": "no"},
        {"type": "error", "error": {"code": "x", "message": "no"}},
    ],
)
def test_an_error_event_in_any_shape_is_an_error(body: dict[str, Any]) -> None:
    found = decode(OpenAIResponses(), stream(BEGUN) + b"data: " + json.dumps(body).encode())
    assert isinstance(found.error, ProviderError)
    assert found.error.code == "x"


def test_annotations_of_a_message_that_was_cut_go_back_with_it() -> None:
    place = {"output_index": 0, "item_id": "msg", "content_index": 0}
    cited = {"type": "response.output_text.annotation.added", **place}
    found = answer(
        BEGUN,
        added(0, message("", content=[])),
        said("Hi"),
        {**cited, "annotation": {"type": "a"}},
        {**cited, "annotation": {"type": "b"}},
    )
    assert found.completion.extra["annotations"] == [{"type": "a"}, {"type": "b"}]
    (item,) = output(found)
    assert item["content"] == [
        {"type": "output_text", "text": "Hi", "annotations": [{"type": "a"}, {"type": "b"}]}
    ]


def test_whole_texts_cost_little_however_often_they_come() -> None:
    """Each of them is held against what came, which may be long."""
    long = said("x" * 200_000)
    whole_text = {"type": "response.output_text.done", "output_index": 0, "content_index": 0}
    bare = {"type": "response.output_text.delta", "item_id": "msg", "output_index": 0}
    many = [{**whole_text, "text": "x"}, {**bare, "delta": "y"}] * 2000
    found = answer(BEGUN, added(0, message("")), long, long, *many, ended())
    assert len(found.completion.text) == 402_000


@pytest.mark.parametrize("given", [{}, {"output": []}, {"output": None}, {"output": [REASONING]}])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_text_that_is_only_in_output_text(given: dict[str, Any], streamed: bool) -> None:  # noqa: FBT001
    response = {"output_text": "Hi", **given}
    found = answer(BEGUN, ended(**response)) if streamed else whole(**response)
    assert (found.outcome, found.completion.text) == ("complete", "Hi")
    assert "output-text-alone" in found.repairs
    *_, item = output(found)
    assert (item["role"], item["content"][0]["text"]) == ("assistant", "Hi")


def test_output_text_beside_the_items_is_a_repetition() -> None:
    for found in (
        whole(output=[message("Hi")], output_text="Hi"),
        answer(BEGUN, added(0, message("")), said("Hi"), ended(output_text="Hi")),
    ):
        assert (found.completion.text, found.repairs) == ("Hi", [])
        assert len(output(found)) == 1


@pytest.mark.parametrize("size", [1, 3, 99])
@pytest.mark.parametrize("last", ["item", "response", "end", "cut"])
def test_arguments_encoded_twice_in_pieces(size: int, last: str) -> None:
    text = json.dumps('{"port":"Kiel"}')
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    call = {**CALL, "arguments": text}
    events = [
        BEGUN,
        added(0, CALL, arguments=""),
        *(delta("function_call_arguments", piece, 0, "fc") for piece in pieces),
    ]
    if last == "item":
        events.append(done(0, call))
    if last != "cut":
        events.append(ended(**({"output": [call]} if last == "response" else {})))
    found = answer(*events)
    (only,) = found.completion.tool_calls
    assert only.arguments == {"port": "Kiel"}
    assert found.repairs == ["tool-arguments-encoded-twice"]
    assert output(found)[0]["arguments"] == text


BARE_MESSAGE = {"id": "msg", "type": "message", "status": "completed", "role": "assistant"}
BARE_CALL = {key: value for key, value in CALL.items() if key != "arguments"}


@pytest.mark.parametrize(
    "end",
    [
        [done(0, BARE_MESSAGE), done(1, BARE_CALL), ended()],
        [done(0, {**BARE_MESSAGE, "content": []}), done(1, {**CALL, "arguments": ""}), ended()],
        [done(0, message("")), done(1, BARE_CALL), ended()],
        [ended(output=[BARE_MESSAGE, BARE_CALL])],
        [done(0, BARE_MESSAGE), ended(output=[BARE_MESSAGE, {**CALL, "arguments": None}])],
    ],
)
def test_whole_items_without_their_texts_go_back_with_them(end: list[Any]) -> None:
    events = [BEGUN, added(0, message("")), said("Hi"), added(1, CALL, arguments="")]
    found = answer(*events, delta("function_call_arguments", CALL["arguments"], 1, "fc"), *end)
    assert (found.outcome, found.completion.text) == ("complete", "Hi")
    assert "final-text-missing" in found.repairs
    said_back, called_back = output(found)
    assert said_back["content"][0]["text"] == "Hi"
    assert called_back["arguments"] == CALL["arguments"]


def test_a_text_that_comes_only_with_the_response_is_there() -> None:
    """Although the item had been said to be done, without a text."""
    found = answer(BEGUN, done(0, BARE_MESSAGE), ended(output=[message("Hi")]))
    assert (found.completion.text, output(found)) == ("Hi", [message("Hi")])


def test_an_item_that_never_ended_in_a_response_that_did_is_completed() -> None:
    found = answer(BEGUN, added(0, message("")), said("Hi"), ended())
    assert output(found)[0]["status"] == "completed"


OTHER_CALL = {**CALL, "id": "fc2", "name": "wind"}


@pytest.mark.parametrize("other", [OTHER_CALL, {**CALL, "arguments": '{"port":"Rom"}'}, CALL])
def test_two_calls_of_one_response_with_one_id(other: dict[str, Any]) -> None:
    first, second = whole(output=[CALL, other]).completion.tool_calls
    assert (first.id, first.name) == ("call_1", "tide")
    assert (second.name, second.arguments_text) == (other["name"], other["arguments"])
    assert second.id != "call_1"


@pytest.mark.parametrize("last", [{}, {"output": [CALL, OTHER_CALL]}])
def test_two_streamed_calls_with_one_id(last: dict[str, Any]) -> None:
    found = answer(BEGUN, done(0, CALL), done(1, OTHER_CALL), ended(**last))
    assert [call.name for call in found.completion.tool_calls] == ["tide", "wind"]
    assert found.repairs == ["tool-id-not-unique"]


def test_two_messages_with_one_id() -> None:
    texts = [message("A"), message("B")]
    for found in (
        whole(output=texts),
        answer(BEGUN, done(0, texts[0]), done(1, texts[1]), ended(output=texts)),
        answer(
            BEGUN,
            added(0, message("")),
            added(1, message("")),
            said("A", 0),
            said("B", 1),
            ended(output=texts),
        ),
    ):
        assert sorted(found.completion.text) == ["A", "B"]
        assert [item["content"][0]["text"] for item in output(found)] == ["A", "B"]


@pytest.mark.parametrize(
    ("given", "text", "reasoning"),
    [
        ([{"type": "message", "role": "assistant", "content": "Hi"}], "Hi", ""),
        ([{"role": "assistant", "content": message("Hi")["content"]}], "Hi", ""),
        ([{"type": "reasoning", "summary": "Hm"}, message("Hi")], "Hi", "Hm"),
        ([{"type": "reasoning", "summary": [], "content": "Hm"}], "", "Hm"),
        ("Hi", "Hi", ""),
    ],
)
def test_texts_and_items_of_another_form(given: Any, text: str, reasoning: str) -> None:
    found = whole(output=given)
    assert (found.outcome, found.completion.text) == ("complete", text)
    assert found.completion.reasoning == reasoning
    assert {"unexpected-type", "output-text-alone"} & set(found.repairs)


def test_a_call_without_a_type() -> None:
    found = whole(output=[{"call_id": "a", "name": "f", "arguments": "{}"}])
    assert [call.name for call in found.completion.tool_calls] == ["f"]


@pytest.mark.parametrize("output_too", [True, False])
def test_a_last_event_without_an_envelope(output_too: bool) -> None:  # noqa: FBT001
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    last = {"type": "response.completed", "id": "r", "status": "completed", "usage": usage}
    if output_too:
        found = answer(BEGUN, {**last, "output": [message("Hi")]})
    else:
        found = answer(BEGUN, added(0, message("")), said("Hi"), last)
    assert (found.outcome, found.completion.text) == ("complete", "Hi")
    assert found.completion.usage is not None
    assert found.completion.usage.total_tokens == 5
    assert found.repairs == ["response-without-envelope"]


def test_a_whole_response_that_does_not_say_what_it_is() -> None:
    body = json.dumps({"id": "r", "status": "completed", "output": [message("Hi")]}).encode()
    found = decode(OpenAIResponses(), body, JSON, stream=False)
    assert (found.outcome, found.completion.text) == ("complete", "Hi")
    assert found.repairs == ["missing-event-type"]
