"""One answer without I/O: bytes in, steps out, and how it ended."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator
from math import nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoding import DONE, JSON, NDJSON, SSE, decode, delta, ollama, openai, sse
from vesselog.core.chunk import ChunkFields
from vesselog.core.errors import ProtocolError, ProviderError, TruncatedError
from vesselog.core.exchange import Exchange
from vesselog.core.frame import Frame
from vesselog.core.framing import Framing
from vesselog.core.request import ChatRequest
from vesselog.core.vessel import Decoder, Progress, Reading, Vessel, WireRequest
from vesselog.vessels import Ollama, OpenAI

STOP = delta("stop")


class ToyDecoder(Decoder):
    """Each line is a text; `!` ends the answer, `?` fails, `{` is a bug, `~` is held back."""

    def __init__(self) -> None:
        self.held = ""

    def decode(self, frame: Frame) -> Iterator[ChunkFields]:
        data = frame.data or ""
        yield {"text": data[:1]}
        match data[:1]:
            case "!":
                self.progress = Progress.FINISHED
            case "?":
                raise ProviderError("it said no")
            case "{":
                raise KeyError("a bug")
            case "~":
                self.held = data[1:]
            case "%":
                yield {"choice": "none"}  # type: ignore[typeddict-item]
            case _:
                yield {"text": data[1:]}

    def flush(self, frame: Frame) -> Iterable[ChunkFields]:
        return [{"text": self.held}] if self.held else []


class Toy(Vessel):
    """A dialect of one-line texts."""

    name = "toy"
    version = "1"
    default_base_url = "http://toy"
    framing = Framing.NDJSON

    def request(self, chat: ChatRequest) -> WireRequest:
        return WireRequest(url=self.base_url, body={"model": chat.model})

    def decoder(self, request: WireRequest) -> ToyDecoder:
        del request
        return ToyDecoder()

    def failure(self, status: int, text: str) -> ProviderError:
        return ProviderError(text, status=status)


class Remembering(Toy):
    """Its answers have these messages."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        super().__init__()
        self.messages = messages

    def decoder(self, request: WireRequest) -> ToyDecoder:
        made = super().decoder(request)
        made.native = lambda: dict(enumerate(self.messages))  # type: ignore[method-assign]
        return made


class Broken(Toy):
    """It has bugs where an answer ends."""

    def decoder(self, request: WireRequest) -> ToyDecoder:
        made = super().decoder(request)
        made.flush = lambda _: [{}["missing"]]  # type: ignore[method-assign]
        return made

    def failure(self, status: int, text: str) -> ProviderError:
        raise RecursionError(f"{status} {text}")


def toy(body: bytes) -> Any:
    return decode(Toy(), body, NDJSON)


def test_a_vessels_bug_at_the_end_is_an_error_of_the_answer_and_loses_nothing_of_it() -> None:
    found = decode(Broken(), b"a\n!\n", NDJSON)
    assert "".join(chunk.text for chunk in found.chunks) == "a!"
    assert type(found.error) is ProtocolError
    assert "KeyError" in str(found.error)
    refused = decode(Broken(), b"no", NDJSON, status=503)
    assert [step.frame.raw for step in refused.steps] == [b"no"]
    assert type(refused.error) is ProviderError
    assert refused.error.status == 503


def test_frames_are_pulled_one_at_a_time() -> None:
    """Two good frames and a bad one in one read still deliver two chunks first."""
    exchange = Exchange(OpenAI(), WireRequest(url="http://x", body={}))
    exchange.respond(200, SSE)
    exchange.feed(sse(delta(content="a"), delta(content="b"), b"data: {\n\n", STOP))
    steps = [exchange.pull(), exchange.pull()]
    assert [step.chunks[0].text for step in steps if step] == ["a", "b"]
    assert exchange.error is None
    bad = exchange.pull()
    assert bad
    assert isinstance(bad.error, ProtocolError)
    assert bad.frame.raw == b"data: {\n\n", "it is recorded before it is raised"
    assert exchange.error is bad.error
    assert exchange.pull() is None
    assert [step.frame.raw for step in exchange.finish()] == [sse(STOP)], "kept, not decoded"


def test_chunks_are_numbered_and_timed_by_the_read_they_came_in() -> None:
    exchange = Exchange(OpenAI(), WireRequest(url="http://x", body={}))
    exchange.respond(200, SSE)
    body = sse(delta(content="a"), delta(content="b"), STOP)
    middle = len(sse(delta(content="a"))) + 5
    exchange.feed(body[:middle], 0.25)
    first = exchange.pull()
    assert first
    assert exchange.pull() is None
    exchange.feed(body[middle:], 0.5)
    second, third = exchange.pull(), exchange.pull()
    assert second
    assert third
    chunks = [*first.chunks, *second.chunks, *third.chunks]
    assert [(chunk.seq, chunk.t) for chunk in chunks] == [(0, 0.25), (1, 0.5), (2, 0.5)]
    assert chunks[1].raw == sse(delta(content="b")).decode()


def test_a_step_has_the_same_for_the_file_and_for_the_caller() -> None:
    found = openai(delta(role="assistant", content="a"), STOP, DONE)
    for step in found.steps:
        for chunk, fields in zip(step.chunks, step.fields, strict=True):
            plain = chunk.model_dump(exclude_defaults=True, exclude={"t"})
            assert plain | {"seq": chunk.seq} == fields


def test_an_error_of_the_decoder_comes_after_its_chunks() -> None:
    found = toy(b"a\n?b\nc\n")
    assert [chunk.text for chunk in found.chunks] == ["a", "", "?"]
    assert found.error is found.steps[1].error
    assert isinstance(found.error, ProviderError)


def test_a_bug_of_a_decoder_is_a_protocol_error() -> None:
    found = toy(b"a\n{\n")
    assert found.outcome == "ProtocolError"
    assert "KeyError" in str(found.error)


def test_a_bad_chunk_of_a_decoder_is_a_protocol_error() -> None:
    found = toy(b"a\n%\n")
    assert found.outcome == "ProtocolError"
    assert "bad chunk: choice" in str(found.error)


@pytest.mark.parametrize("late", [b"?\n", b"{\n"])
def test_what_goes_wrong_after_the_end_is_named(late: bytes) -> None:
    found = decode(OpenAI(), sse(delta(content="a"), STOP) + b"data: " + late + b"\n", SSE)
    assert found.outcome == "complete"
    assert found.repairs == ["error-after-the-end"]


@pytest.mark.parametrize("tail", [b"!\n", b"", b"?\n"])
def test_what_a_decoder_holds_back_is_not_lost(tail: bytes) -> None:
    """Neither at a good end, nor at a cut, nor at an error."""
    found = toy(b"~held\n" + tail)
    assert found.chunks[-1].text == "held"
    assert found.chunks[-1].seq == len(found.chunks) - 1
    assert found.steps[-1].frame.raw == b""


def test_text_held_back_before_a_cut_frame_is_not_lost() -> None:
    body = sse(delta(content="<thi")) + b'data: {"choi'
    found = decode(OpenAI(), body, SSE, split_think=True)
    assert (found.outcome, found.completion.text) == ("TruncatedError", "<thi")


def test_an_error_status_is_read_whole_by_the_vessel() -> None:
    body = sse({"error": {"message": "x"}}) * 3
    found = decode(Toy(), [body[:9], body[9:]], SSE, status=500)
    assert [step.frame.raw for step in found.steps] == [body]
    assert (str(found.error), found.error and found.error.status) == (body.decode(), 500)
    assert found.chunks == []


def test_an_error_status_without_a_body() -> None:
    found = decode(OpenAI(), b"", "", status=503)
    assert (found.outcome, found.steps) == ("ProviderError", [])


@pytest.mark.parametrize("status", [200, 201, 206])
def test_any_success_is_an_answer(status: int) -> None:
    assert decode(OpenAI(), sse(delta(content="a"), STOP), SSE, status=status).outcome == "complete"


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_truncated(body: bytes) -> None:
    for vessel in (OpenAI(), Ollama()):
        found = decode(vessel, body, SSE)
        assert found.outcome == "TruncatedError"
        assert found.raw == body


def test_a_remainder_that_is_half_a_frame_is_marked() -> None:
    found = openai(delta(content="a"), b'data: {"choices":[{"delta":{"content":"b')
    assert isinstance(found.error, TruncatedError)
    assert [step.partial for step in found.steps] == [False, True]
    assert found.steps[1].error is found.error


def test_a_remainder_that_is_a_frame_is_none_other() -> None:
    found = openai(delta(content="a"), sse(STOP).rstrip())
    assert [step.partial for step in found.steps] == [False, False]
    assert found.outcome == "complete"


def test_a_half_frame_after_the_end_changes_nothing() -> None:
    found = openai(delta(content="a"), STOP, b"data: [DO")
    assert found.outcome == "complete"
    assert found.steps[-1].partial


def test_an_answer_of_another_kind_says_so_rather_than_truncated() -> None:
    for indent in (None, 1):
        body = json.dumps({"object": "list", "data": []}, indent=indent).encode()
        found = decode(OpenAI(), body, JSON, stream=False)
        assert found.outcome == "ProtocolError"
        assert "'list'" in str(found.error)


@pytest.mark.parametrize("content_type", [JSON, "", SSE, "application/octet-stream"])
def test_lines_under_a_wrong_name(content_type: str) -> None:
    lines = [json.dumps(delta(content=text)).encode() + b"\n" for text in "ab"]
    body = b"".join(lines) + json.dumps(STOP).encode()
    found = decode(OpenAI(), body, content_type)
    assert (found.outcome, found.completion.text) == ("complete", "ab")
    cut = decode(OpenAI(), body[:-9], content_type)
    assert cut.outcome == "TruncatedError"
    assert cut.raw == body[:-9]


def test_a_cut_body_that_was_written_over_several_lines_is_truncated() -> None:
    message = {"role": "assistant", "content": "hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({"object": "chat.completion", "choices": [choice]}, indent=2).encode()
    assert decode(OpenAI(), body, JSON, stream=False).outcome == "complete"
    for end in range(1, len(body)):
        found = decode(OpenAI(), body[:end], JSON, stream=False)
        assert isinstance(found.error, TruncatedError)
        assert (found.raw, found.chunks, len(found.steps)) == (body[:end], [], 1)


def test_a_byte_order_mark_before_anything() -> None:
    for body in (sse(delta(content="a"), STOP), json.dumps(STOP).encode()):
        marked = b"\xef\xbb\xbf" + body
        for pieces in ([marked], [bytes([byte]) for byte in marked]):
            found = decode(OpenAI(), pieces, SSE)
            assert (found.outcome, found.raw) == ("complete", marked)
            assert found.repairs[0] == "byte-order-mark"


def test_white_space_before_the_answer() -> None:
    for vessel, body in ((OpenAI(), sse(delta(content="a"), STOP)), (Toy(), b"a\n!\n")):
        spaced = b"\n \r\n" * 50 + body
        found = decode(vessel, [bytes([byte]) for byte in spaced], NDJSON)
        assert (found.outcome, found.raw) == ("complete", spaced)


@pytest.mark.parametrize("filler", [b" ", b"x", b"\n"])
def test_a_body_without_frames_is_bounded(filler: bytes) -> None:
    found = decode(OpenAI(), [filler * 10] * 100, SSE, max_frame_bytes=300)
    assert found.outcome in {"ProtocolError", "TruncatedError"}
    if filler != b"\n":
        assert isinstance(found.error, ProtocolError)
        assert found.error.setting == "max_frame_bytes"


def test_a_frame_past_the_bound_comes_after_those_before_it() -> None:
    found = openai(delta(content="a"), delta(content="b" * 500), STOP, max_frame_bytes=400)
    assert found.completion.text == "a"
    assert isinstance(found.error, ProtocolError)
    assert found.steps[1].partial
    assert found.raw.startswith(sse(delta(content="a"), delta(content="b" * 500)))


def test_progress_tells_what_may_still_come() -> None:
    exchange = Exchange(OpenAI(), WireRequest(url="http://x", body={}))
    exchange.respond(200, SSE)
    seen = []
    for event in (delta(content="a"), STOP, DONE):
        exchange.feed(sse(event))
        exchange.pull()
        seen.append(exchange.progress)
    assert seen == [Progress.OPEN, Progress.FINISHED, Progress.TERMINATED]


@given(st.lists(st.sampled_from([b"a\n", b"!\n", b"?x\n", b"{\n", b"~h\n", b"\n", b"\xff", b"b"])))
def test_every_byte_is_in_some_frame_whatever_happens(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    found = toy(body)
    assert found.raw == body
    assert [chunk.seq for chunk in found.chunks] == list(range(len(found.chunks)))
    again = decode(Toy(), [bytes([byte]) for byte in body], NDJSON)
    assert again.said == found.said
    assert again.outcome == found.outcome


def test_ollama_lines_are_numbered_like_events() -> None:
    found = ollama({"message": {"content": "a"}}, {"done": True, "done_reason": "stop"})
    assert [chunk.seq for chunk in found.chunks] == [0, 1]


def test_what_stands_behind_an_unreadable_line_is_kept() -> None:
    """Also where lines came as one body, under a wrong name."""
    body = b"[]\nnull\nnull\n"
    found = decode(OpenAI(), body, JSON)
    assert (found.outcome, found.raw) == ("ProtocolError", body)


def test_adding_chunks_up_leaves_them_as_they_are() -> None:
    odd = [delta(content="a"), delta(content="b"), delta(content="c")]
    for event, logprobs in zip(odd, ("odd", [1], [2]), strict=True):
        event["choices"][0]["logprobs"] = logprobs
    found = openai(*odd, STOP)
    assert found.completion.logprobs == [1, 2]
    assert [chunk.logprobs for chunk in found.chunks[:3]] == ["odd", [1], [2]]


@pytest.mark.parametrize("line", [b"data {}\n", b'delta":"half"}\n', b" x\n"])
def test_a_line_of_an_event_that_is_none_of_its_fields_is_named(line: bytes) -> None:
    found = openai(delta(content="a"), line + b"\n", b"id\nretry: 5\n: x\n \n\n", STOP)
    assert (found.outcome, found.repairs) == ("complete", ["unknown-event-field"])


def test_a_step_cannot_be_changed() -> None:
    (step,) = openai(delta(content="a")).steps
    with pytest.raises(AttributeError):
        step.partial = True  # type: ignore[misc]
    assert isinstance(step.chunks, tuple)
    assert isinstance(step.fields, tuple)


def test_frames_that_were_not_pulled_come_with_the_end() -> None:
    exchange = Exchange(OpenAI(), WireRequest(url="http://x", body={}))
    exchange.respond(200, SSE)
    exchange.feed(sse(delta(content="a"), delta(content="b"), STOP))
    steps = list(exchange.finish())
    assert [chunk.text for step in steps for chunk in step.chunks] == ["a", "b", ""]
    assert [step.partial for step in steps] == [False] * 3
    assert exchange.error is None


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("begin", ["", "?", "{"])
def test_a_large_frame_is_decoded_with_the_garbage_collector_off(
    begin: str, monkeypatch: pytest.MonkeyPatch, *, collects: bool
) -> None:
    """Afterwards it is as it was before, also behind an error of the decoder."""
    seen: list[bool] = []
    decode_as_ever = ToyDecoder.decode

    def decode_frame(self: ToyDecoder, frame: Frame) -> Iterator[ChunkFields]:
        seen.append(gc.isenabled())
        yield from decode_as_ever(self, frame)

    monkeypatch.setattr(ToyDecoder, "decode", decode_frame)
    if not collects:
        gc.disable()
    try:
        _ = toy(begin.encode() + b"x" * 100_000 + b"\n" + b"!\n")
        after = gc.isenabled()
    finally:
        gc.enable()
    assert seen[0] is False
    assert after is collects
    if len(seen) > 1:
        assert seen[1] is collects  # the second frame is small


def passed(reading: Reading, *pieces: bytes, kind: str = "", whole: bool = True) -> Exchange:
    """An exchange that was given these reads; every byte of them is in a frame."""
    request = WireRequest("http://h/v1/chat/completions", body={"n": 1}, reading=reading)
    exchange = Exchange(OpenAI(), request, max_frame_bytes=200)
    exchange.respond(200, kind)
    steps = [step for piece in pieces for step in exchange.take(piece)]
    steps += exchange.finish(whole=whole)
    assert b"".join(step.frame.raw for step in steps) == b"".join(pieces)
    return exchange


@pytest.mark.parametrize(
    "body",
    [
        b'data: {"error": {"message": "no"}}\n\ndata: 1\n\n: more\n\ndata: [DONE]\n\n',
        b'data: {"choices": [\n\ndata: 1\n\n',
        b'data: "' + b"x" * 300 + b'"\n\ndata: 1\n\n',
        b"data: [DO",
    ],
    ids=["error in band", "broken frame", "too large", "half a frame"],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_all_of_a_body_is_read_behind_an_error(body: bytes, size: int) -> None:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    exchange = passed("all", *pieces)
    assert exchange.error is not None


@pytest.mark.parametrize(
    ("kind", "frames"),
    [("text/event-stream", 2), ("application/x-ndjson", 4), ("audio/mpeg", 1)],
)
def test_frames_alone_need_no_dialect(kind: str, frames: int) -> None:
    request = WireRequest("http://h/other", reading="frames")
    exchange = Exchange(OpenAI(), request)
    exchange.respond(200, kind)
    steps = exchange.take(b"data: 1\n\ndata: 2\n\n")
    assert len(steps) == frames
    assert not any(step.chunks for step in steps)
    assert exchange.progress is Progress.OPEN
    assert list(exchange.finish()) == []
    assert exchange.error is None
    assert exchange.progress is Progress.TERMINATED


def test_a_body_that_broke_off_is_not_complete_where_nothing_is_decoded() -> None:
    assert passed("frames", b"\xff" * 9, kind="audio/mpeg", whole=False).error is not None
    assert passed("frames", b"\xff" * 9, kind="audio/mpeg").error is None
    assert passed("frames").error is None


def test_native_messages_are_mended_of_what_no_recording_can_hold() -> None:
    message = {"a": "\ud83d\ude00", "b": "\ud83d", "c": [nan], "big": 1 << 70, "none": None}
    exchange = Exchange(Remembering(message), WireRequest(url="http://x", body={}))
    assert exchange.native() == {
        0: {"a": "\U0001f600", "b": "\ufffd", "c": [None], "big": 1 << 70, "none": None}
    }


def test_native_messages_are_not_copied_without_need() -> None:
    messages: list[dict[str, Any]] = [{"content": "a", "refusal": None}, {}]
    exchange = Exchange(Remembering(*messages), WireRequest(url="http://x", body={}))
    assert [exchange.native()[choice] is messages[choice] for choice in (0, 1)] == [True, True]
