"""Events of the Messages API in odd dress: what is one, what is skipped, and what is broken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anthropic_bodies import HELLO, answer, block, completion_of, end, frame, start, text, whole
from decoding import JSON, NDJSON, SSE, decode
from vesselog.core.errors import ProviderError
from vesselog.vessels import Anthropic

BEFORE = [start(), *text(0, "H")]
AFTER = [*text(1, "i"), *end()]
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.mark.parametrize(
    "ping",
    [
        b"event: ping\ndata: {}\n\n",
        b"event: ping\ndata: \n\n",
        b"event: ping\n\n",
        b"event: ping\ndata: ping\n\n",
        b'event: ping\ndata: {"type": "ping"}\n\n',
        b'data: {"type": "ping"}\n\n',
        b"event: ping\ndata: null\n\n",
        b": ping\n\n",
        b": ping - 2026-11-28 07:00:00\n\n",
    ],
)
def test_a_ping_in_any_dress_is_nothing(ping: bytes) -> None:
    found = answer(ping, *BEFORE, ping, *AFTER)
    assert (found.outcome, found.completion.text, found.repairs) == ("complete", "Hi", [])


@pytest.mark.parametrize(
    "data",
    [
        *("null", "7", "true", '"queued"', "ping", "[]", "[null]", "{}", '{"message": "queued"}'),
        *('{"status": "processing"}', '{"type": "keep_alive"}', '{"type": "", "at": 1}'),
        '{"type": 7}',
    ],
)
def test_a_frame_that_says_nothing_known_is_named_and_skipped(data: str) -> None:
    found = answer(*BEFORE, f"data: {data}\n\n".encode(), *AFTER)
    assert (found.outcome, found.completion.text) == ("complete", "Hi")
    assert found.repairs == ["unknown-event"]


def test_a_new_kind_of_event_is_kept() -> None:
    event = {"type": "new_event", "text": "x" * 5000}
    found = answer(*BEFORE, frame(event), *AFTER)
    assert found.completion.extra == {"new_event": event}


def test_the_name_of_an_event_stands_for_its_type() -> None:
    frames = [
        b"event: "
        + kind.encode()
        + b"\ndata: "
        + json.dumps({key: value for key, value in event.items() if key != "type"}).encode()
        + b"\n\n"
        for event in (json.loads(each.split(b"data: ")[1]) for each in HELLO)
        for kind in [event["type"]]
    ]
    found = answer(*frames)
    assert (found.outcome, found.completion.text) == ("complete", "Hello!")
    assert set(found.repairs) == {"missing-event-type"}
    assert found.said == answer(*HELLO).said


def test_events_without_their_names() -> None:
    frames = [each.split(b"\n", 1)[1] for each in HELLO]
    assert answer(*frames).said == answer(*HELLO).said


def test_several_events_in_one_frame() -> None:
    first, second = ({"type": "text_delta", "text": each} for each in "ab")
    events = [
        {"type": "content_block_delta", "index": 0, "delta": each} for each in (first, second)
    ]
    glued = "".join(json.dumps(each) for each in events).encode()
    for data, repairs in ((glued, ["glued-events"]), (json.dumps(events).encode(), [])):
        found = answer(*BEFORE[:-1], b"data: " + data + b"\n\n", *AFTER)
        assert (found.outcome, found.completion.text) == ("complete", "Habi")
        assert found.repairs == repairs


@pytest.mark.parametrize("data", [b'{"type": "content_block_de', b'"text": "lost"}}', b'lta"}}'])
def test_half_an_event_is_broken(data: bytes) -> None:
    found = answer(*BEFORE, b"data: " + data + b"\n\n", *AFTER)
    assert (found.outcome, found.completion.text) == ("ProtocolError", "H")


def test_an_event_without_a_fields_name() -> None:
    bare = HELLO[3].split(b"data: ")[1]
    found = answer(*HELLO[:3], bare, *HELLO[4:])
    assert found.said == answer(*HELLO).said
    assert found.repairs == ["data-without-field-name"]


@pytest.mark.parametrize(
    "error",
    [
        frame(OVERLOADED),
        b"data: " + json.dumps(OVERLOADED).encode() + b"\n\n",
        json.dumps(OVERLOADED).encode() + b"\n\n",
        json.dumps(OVERLOADED, indent=2).encode() + b"\n\n",
        b"event: error\n" + json.dumps(OVERLOADED).encode() + b"\n\n",
        b"error: " + json.dumps(OVERLOADED["error"]).encode() + b"\n\n",
        b'data: {"error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n',
        b'event: error\ndata: {"type": "overloaded_error", "message": "Overloaded"}\n\n',
        # Without an empty line before the next event.
        json.dumps(OVERLOADED).encode() + b"\nevent: ping\ndata: {}\n\n",
        json.dumps(OVERLOADED).encode() + b"\n" + frame({"type": "new_event"}),
    ],
)
def test_an_error_in_any_dress_fails_after_what_came(error: bytes) -> None:
    for frames in ([*BEFORE, error], [*BEFORE, error.rstrip(b"\n")], [*BEFORE, error, *AFTER]):
        found = answer(*frames)
        assert isinstance(found.error, ProviderError)
        assert (found.error.code, found.error.retryable) == ("overloaded_error", True)
        assert "Overloaded" in found.error.message
        assert found.completion.text == "H"


def test_an_error_event_that_is_not_json() -> None:
    found = answer(*BEFORE, b"event: error\ndata: upstream failed\n\n")
    assert isinstance(found.error, ProviderError)
    assert "upstream failed" in found.error.message


@pytest.mark.parametrize("content_type", [SSE, JSON, NDJSON, "text/plain", ""])
def test_one_json_object_in_answer_to_a_stream_request(content_type: str) -> None:
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "S"}, *_text("Hi")]
    several_lines = json.dumps(json.loads(whole(blocks)), indent=1).encode()
    for body in (whole(blocks), *([] if content_type == NDJSON else [several_lines])):
        found = decode(Anthropic(), body, content_type, stream=True)
        completion = found.completion
        assert (found.outcome, completion.reasoning, completion.text) == ("complete", "Hm.", "Hi")
        assert completion.finish_reason == "stop"


@pytest.mark.parametrize("content_type", [SSE, JSON, NDJSON, ""])
def test_one_error_object_in_answer_to_a_stream_request(content_type: str) -> None:
    found = decode(Anthropic(), json.dumps(OVERLOADED).encode(), content_type, stream=True)
    assert isinstance(found.error, ProviderError)
    assert (found.error.code, found.error.retryable) == ("overloaded_error", True)


def test_events_in_answer_to_a_request_for_one_object() -> None:
    body = b"".join([start(), *block(0, {"type": "text", "text": "a"}), *end()])
    for content_type in (SSE, JSON, ""):
        found = decode(Anthropic(), body, content_type, stream=False)
        assert (found.outcome, found.completion.text) == ("complete", "a")
    assert completion_of(whole(_text("a"))).text == "a"


def _text(told: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": told}]


@pytest.mark.parametrize(
    "event",
    [
        b'event: throttlingException\ndata: {"message":"Too many"}\n\n',
        b'data: {"type":"throttlingException","message":"Too many"}\n\n',
        b'event: modelStreamErrorException\ndata: {"message":"Too many"}\n\n',
    ],
)
def test_amazons_exceptions_are_errors(event: bytes) -> None:
    found = decode(Anthropic(), event, SSE)
    assert isinstance(found.error, ProviderError)
    assert "Too many" in str(found.error)
    assert found.error.retryable


def test_a_whole_message_without_its_type() -> None:
    body = json.loads(whole([{"type": "text", "text": "Hi"}], "end_turn"))
    del body["type"]
    found = decode(Anthropic(), json.dumps(body).encode(), JSON)
    assert (found.outcome, found.completion.text) == ("complete", "Hi")
    assert "missing-event-type" in found.repairs
