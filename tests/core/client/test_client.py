"""Streaming and asking, by both clients alike: what the server answers is what the caller gets."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from loopback import (
    Conversation,
    LoopbackServer,
    ollama_body,
    ollama_lines,
    openai_body,
    openai_events,
)
from patience import PATIENCE
from talking import every_client, every_dialect, talking
from vesselog import (
    Client,
    Limits,
    ProtocolError,
    ProviderError,
    Recording,
    TruncatedError,
    WireRequest,
)
from vesselog.core.http import inflate
from vesselog.vessels.ollama import Ollama


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


@every_client
@every_dialect
class TestStream:
    def test_hands_out_chunks_that_add_up_to_the_completion(self, kind: str, model: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            heard = talker.hear(model).check("complete")
            assert heard.text == "Hi there"
            assert [chunk.seq for chunk in heard.chunks] == list(range(len(heard.chunks)))
            completion = heard.stream.completion
            assert (completion.finish_reason, completion.usage.output_tokens) == ("stop", 2)
            assert completion.metrics.chunks == len(heard.chunks)
            (call,) = heard.calls
            assert call.completion() == completion
            assert (completion.session, completion.call) == (heard.stream.session, 1)
            assert (
                heard.stream.path == Path("recordings").absolute() / f"{completion.session}.jsonl"
            )

    def test_a_sessions_streams_are_stopped_by_its_name(self, kind: str, model: str):
        left = threading.Event()

        def begins(conversation: Conversation) -> None:
            conversation.begin()
            conversation.chunk(conversation.frames("Hi", "")[0])
            conversation.wait_for_hangup()
            left.set()

        with LoopbackServer([begins]) as server, talking(kind, server) as talker:
            seen = threading.Event()
            stream = talker.stream(model, session="mine")
            heard = talker.begin(stream, lambda _: seen.set())
            assert seen.wait(PATIENCE)
            assert talker.client.stop("others") == 0
            assert talker.client.stop("mine") == 1
            heard.result(PATIENCE).check("cancelled")
            assert left.wait(PATIENCE)

    def test_asks_for_a_stream_in_json(self, kind: str, model: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            talker.hear(model, temperature=0, top_p=0)
            (request,) = server.requests
            assert request.method == "POST"
            assert request.headers["content-type"] == "application/json"
            assert request.headers["accept-encoding"] == "identity"
            assert request.headers["content-length"] == str(len(request.body))
            assert request.json["stream"] is True
            sampling = request.json.get("options", request.json)
            assert (sampling["temperature"], sampling["top_p"]) == (0, 0)

    def test_every_byte_is_in_the_recording(self, kind: str, model: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            heard = talker.hear(model)
            frames = ollama_lines if model == "lab/m" else openai_events
            recorded = [frame.raw for frame in heard.calls[0].frames()]
            assert recorded == frames("Hi", " there")

    def test_an_error_status_is_raised_at_once_with_what_the_provider_said(
        self, kind: str, model: str
    ):
        def missing(conversation: Conversation) -> None:
            conversation.whole(b'{"error": "model \'m\' not found"}', 404)

        with LoopbackServer([missing]) as server, talking(kind, server) as talker:
            stream = talker.stream(model)
            with pytest.raises(ProviderError, match="model 'm' not found") as caught:
                talker.open(stream)
            assert caught.value.status == 404
            assert (caught.value.session, caught.value.call) == (stream.session, 1)
            assert stream.outcome == "error"
            talker.leave(stream)
            (call,) = Recording(stream.path).calls()
            assert (call.outcome, call.response["status"]) == ("error", 404)
            assert [frame.raw for frame in call.frames()] == [b'{"error": "model \'m\' not found"}']

    def test_a_cut_stream_yields_then_raises(self, kind: str, model: str):
        def cut(conversation: Conversation) -> None:
            conversation.begin()
            for frame in conversation.frames("Hi", " there")[:2]:
                conversation.chunk(frame)
            conversation.end()

        with LoopbackServer([cut]) as server, talking(kind, server) as talker:
            heard = talker.hear(model).check("truncated", error=TruncatedError)
            assert heard.text.startswith("Hi")
            assert heard.error.completion.text == heard.text

    def test_an_empty_answer_is_truncated(self, kind: str, model: str):
        def empty(conversation: Conversation) -> None:
            conversation.whole(b"")

        with LoopbackServer([empty]) as server, talking(kind, server) as talker:
            talker.hear(model).check("truncated", error=TruncatedError)

    def test_an_error_in_band_is_raised_after_what_came_before_it(self, kind: str, model: str):
        def fails(conversation: Conversation) -> None:
            conversation.begin()
            conversation.chunk(conversation.frames("Hi")[0 if model == "lab/m" else 1])
            line = b'{"error": {"message": "out of memory", "code": 503}}'
            conversation.chunk(line + b"\n" if model == "lab/m" else b"data: " + line + b"\n\n")
            conversation.end()

        with LoopbackServer([fails]) as server, talking(kind, server) as talker:
            heard = talker.hear(model).check("error", error=ProviderError)
            assert heard.text == "Hi"
            assert "out of memory" in str(heard.error)
            # The answer had begun: it may have been paid for, and is not asked for again.
            assert len(server.requests) == 1

    def test_complete_gives_the_answer_in_one_piece(self, kind: str, model: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            completion = talker.complete(model)
            assert server.requests[0].json["stream"] is False
            assert (completion.text, completion.outcome) == ("Hi there", "complete")
            (call,) = Recording(f"recordings/{completion.session}.jsonl").calls()
            assert len(list(call.frames())) == 1
            assert call.completion() == completion

    def test_complete_raises_what_went_wrong(self, kind: str, model: str):
        def refuses(conversation: Conversation) -> None:
            conversation.whole(b"<html><title>Unauthorized</title></html>", 401, "text/html")

        with LoopbackServer([refuses]) as server, talking(kind, server) as talker:
            with pytest.raises(ProviderError, match="Unauthorized") as caught:
                talker.complete(model)
            assert caught.value.status == 401
            assert not caught.value.retryable


LYING = ["application/json", "text/event-stream", "application/x-ndjson", "text/plain", "TEXT/HTML"]


@every_client
@every_dialect
@pytest.mark.parametrize("content_type", LYING)
def test_content_types_may_lie(kind: str, model: str, content_type: str):
    """A stream although a body was asked for, a body although a stream was, under any name."""
    ollama = model == "lab/m"
    frames = ollama_lines("Hi", " there") if ollama else openai_events("Hi", " there")
    body = ollama_body("Hi there") if ollama else openai_body("Hi there")

    def contrary(conversation: Conversation) -> None:
        if conversation.asked_for_stream:
            conversation.whole(body, content_type=content_type)
        else:
            conversation.stream(frames, content_type=content_type)

    with LoopbackServer([contrary]) as server, talking(kind, server) as talker:
        assert talker.hear(model).check("complete").text == "Hi there"
        assert talker.complete(model).text == "Hi there"


def deflated(data: bytes) -> bytes:
    return zlib.compress(data)


def in_members(data: bytes) -> bytes:
    """gzip in several members, as servers write that flush by closing."""
    return b"".join(gzip.compress(data[start : start + 50]) for start in range(0, len(data), 50))


@every_client
@every_dialect
@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("deflate", deflated), ("GZIP", in_members)],
    ids=["gzip", "deflate", "members"],
)
def test_an_encoding_that_was_not_asked_for_is_undone(
    kind: str, model: str, encoding: str, encode: Callable[[bytes], bytes]
):
    frames = ollama_lines(*"abc") if model == "lab/m" else openai_events(*"abc")

    def zipped(conversation: Conversation) -> None:
        conversation.head(content_encoding=encoding)
        body = encode(b"".join(frames))
        for start in range(0, len(body), 7):
            conversation.chunk(body[start : start + 7])
        conversation.end()

    with LoopbackServer([zipped]) as server, talking(kind, server) as talker:
        heard = talker.hear(model).check("complete")
        assert heard.text == "abc"
        assert [frame.raw for frame in heard.calls[0].frames()] == frames


@cache
def bomb_of(filling: bytes) -> bytes:
    """A MiB in a KiB."""
    return gzip.compress(filling * (1024 * 1024 // len(filling)))


@every_client
@pytest.mark.parametrize("filling", [b" ", b"\n", b"x", b": \n\n"], ids=repr)
def test_a_bomb_is_told_and_bounded(kind: str, filling: bytes, monkeypatch: pytest.MonkeyPatch):
    # What any answer may expand to is a megabyte: that many empty lines take seconds to read.
    monkeypatch.setattr(inflate, "_ALLOWANCE", 16 * 1024)
    bomb = bomb_of(filling)

    def drops_it(conversation: Conversation) -> None:
        conversation.whole(bomb, content_type="application/x-ndjson", content_encoding="gzip")

    limits = Limits(max_frame_bytes=1 << 16)
    settings: dict[str, Any] = {"recordings": None, "limits": limits}
    with LoopbackServer([drops_it]) as server, talking(kind, server, **settings) as talker:
        heard = talker.hear()
        assert type(heard.error) is ProtocolError
        assert heard.outcome == "error"


@every_client
@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_an_encoding_that_cannot_be_undone_is_told(kind: str, encoding: str):
    def encoded(conversation: Conversation) -> None:
        conversation.whole(b"\x8b\x01\x80nonsense", content_encoding=encoding)

    with LoopbackServer([encoded]) as server, talking(kind, server) as talker:
        heard = talker.hear()
        assert type(heard.error) is ProtocolError
        assert heard.outcome == "error"


@every_client
def test_an_error_status_counts_even_where_its_body_cannot_be_read(kind: str):
    def gateway(conversation: Conversation) -> None:
        conversation.whole(b"\x8b\x01\x80", 502, content_encoding="br", retry_after="0")

    def breaks_off(conversation: Conversation) -> None:
        conversation.head(503, retry_after="0")
        conversation.chunk(b"<html>")
        conversation.cut()

    with LoopbackServer([gateway, breaks_off, answer]) as server, talking(kind, server) as talker:
        heard = talker.hear().check("complete")
        assert [call.error.status for call in heard.calls[:2]] == [502, 503]


@every_client
def test_a_named_session_holds_many_calls_and_may_be_opened_again(kind: str):
    for opened in range(2):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            talker.hear(session="chat-42").check("complete")
            talker.hear("open/m", session="chat-42").check("complete")
            recording = Recording("recordings/chat-42.jsonl")
            assert len(list(recording.calls())) == 2 * (opened + 1)


@every_client
def test_overlapping_streams_of_one_session(kind: str):
    with LoopbackServer([answer]) as server, talking(kind, server) as talker:
        futures = [talker.begin(talker.stream(session="chat")) for _ in range(8)]
        for future in futures:
            assert future.result(PATIENCE).check("complete").text == "Hi there"
        calls = list(Recording("recordings/chat.jsonl").calls())
        assert [call.outcome for call in calls] == ["complete"] * 8


@every_client
def test_recordings_none_writes_nothing(kind: str, tmp_path: Path):
    with (
        LoopbackServer([answer]) as server,
        talking(kind, server, recordings=None) as talker,
    ):
        heard = talker.hear()
        assert (heard.text, heard.outcome) == ("Hi there", "complete")
        assert (heard.stream.session, heard.stream.path) == (None, None)
    assert list(tmp_path.iterdir()) == []


@every_client
def test_frames_of_a_prepared_request(kind: str):
    """The lower entry: an exact body in, exact frames out."""
    body = b'{"model":"m",  "stream":true}'

    def exact(conversation: Conversation) -> None:
        assert conversation.request.body == body
        assert conversation.request.headers["x-own"] == "1"
        conversation.answer("Hi")

    with LoopbackServer([exact]) as server, talking(kind, server) as talker:
        request = WireRequest(
            f"{server.url}/api/chat", json.loads(body), headers={"X-Own": "1"}, content=body
        )
        stream = talker._here(lambda: talker.client.send("lab", request))
        if kind.startswith("sync"):
            with stream:
                frames = [step.frame.raw for step in stream.frames()]
        else:

            async def read() -> list[bytes]:
                async with stream:
                    return [step.frame.raw async for step in stream.frames()]

            frames = talker._loop.begin(read()).result(PATIENCE)
        assert frames == ollama_lines("Hi")
        assert stream.completion.text == "Hi"
        assert stream.outcome == "complete"


def test_the_client_needs_no_with(tmp_path: Path):
    with LoopbackServer([answer]) as server:
        client = Client(vessels={"lab": Ollama(base_url=server.url)}, environment={})
        assert client.complete("lab/m", "hi").text == "Hi there"
        client.close()
        client.close()


@every_client
def test_a_vessel_whose_decoder_fails_is_told_after_its_frame_was_kept(kind: str):
    class Failing(Ollama):
        def decoder(self, request: WireRequest) -> Any:
            decoder = super().decoder(request)

            def fail(frame: object) -> Any:
                raise KeyError("a bug in somebody's vessel")

            decoder.decode = fail
            return decoder

    with (
        LoopbackServer([answer]) as server,
        talking(kind, vessels={"lab": Failing(base_url=server.url)}) as talker,
    ):
        heard = talker.hear().check("error", error=ProtocolError)
        assert next(frame.raw for frame in heard.calls[0].frames()) == ollama_lines("Hi")[0]
