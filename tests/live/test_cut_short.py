"""Answers that stop early: the server is killed, its model is killed, the caller cancels."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from asking import Ask, Heard
from model_servers import ENDLESS, ModelServer
from tee import Tee
from vesselog import (
    ConnectionFailedError,
    ProviderError,
    Recording,
    StreamTimeoutError,
    Timeouts,
    TruncatedError,
    VesselogError,
    replay,
    verify,
)
from vesselog.vessels.ollama import Ollama
from vesselog.vessels.openai import OpenAI

pytestmark = pytest.mark.live

AFTER = 20  # chunks
CONTEXT = 2048  # tokens, after which llama-server ends by itself


def hear_cut(
    ask: Ask, tee: Tee, vessel: Ollama | OpenAI, kill: Callable[[], None]
) -> tuple[Heard, VesselogError]:
    """Call `kill` in the middle of a stream; checks what holds for every such answer."""

    def react(stream, chunks) -> None:
        if len(chunks) == AFTER:
            kill()

    heard = ask.stream(vessel, "endless", "Hello", react=react).check()
    chunks, error = heard.chunks, heard.error
    assert chunks is not None
    assert error is not None
    assert len(chunks) >= AFTER
    # Every byte that arrived is in the file, and every text in it was handed out.
    assert b"".join(frame.raw for frame in heard.recorded.frames()) == tee.payload
    text = "".join(chunk.text for chunk in chunks)
    assert (ENDLESS * (len(text) // len(ENDLESS) + 1)).startswith(text)
    assert text.count("e") == sum(_said(frame).count("e") for frame in heard.frames)
    assert error.completion == heard.completion
    assert heard.completion.text == text
    assert heard.completion.finish_reason is None
    assert (error.session, error.call, error.seq) == (heard.path.stem, 1, len(chunks) - 1)
    *_, call = Recording(heard.path).calls()
    end = call.end
    assert end is not None
    assert end["outcome"] == heard.completion.outcome
    assert end["error"]["type"] == type(error).__name__
    return heard, error


def _said(frame: str) -> str:
    """The text in a frame, from a second parse of its JSON."""
    try:
        value = json.loads(frame.strip().removeprefix("data: "))
    except ValueError:
        return ""
    if "choices" in value:
        return "".join(choice["delta"].get("content") or "" for choice in value["choices"])
    return str(value.get("message", {}).get("content", ""))


def test_ollama_is_killed(own_ollama: ModelServer, ask: Ask) -> None:
    with Tee(own_ollama.url) as tee:
        heard, error = hear_cut(ask, tee, Ollama(base_url=tee.url), own_ollama.kill)
    assert isinstance(error, ConnectionFailedError)
    assert error.retryable
    assert heard.completion.outcome == "error"


def test_llama_server_is_killed(own_llama: ModelServer, ask: Ask) -> None:
    with Tee(own_llama.url) as tee:
        heard, error = hear_cut(ask, tee, OpenAI(base_url=tee.url), own_llama.kill)
    assert isinstance(error, ConnectionFailedError)
    assert error.retryable
    assert heard.completion.outcome == "error"


def test_model_behind_ollama_is_killed(own_ollama: ModelServer, ask: Ask) -> None:
    """Ollama's own API sends an error inside the stream."""
    with Tee(own_ollama.url) as tee:
        heard, error = hear_cut(ask, tee, Ollama(base_url=tee.url), own_ollama.kill_model)
    assert isinstance(error, ProviderError)
    assert heard.completion.outcome == "error"
    assert json.loads(heard.frames[-1])["error"] in error.message


def test_model_behind_ollamas_v1_is_killed(own_ollama: ModelServer, ask: Ask) -> None:
    """Its /v1 ends the stream cleanly; only the missing finish_reason shows the failure."""
    with Tee(own_ollama.url) as tee:
        heard, error = hear_cut(ask, tee, OpenAI(base_url=tee.url), own_ollama.kill_model)
        assert bytes(tee.received).endswith(b"0\r\n\r\n")
    assert isinstance(error, TruncatedError)
    assert heard.completion.outcome == "truncated"


def test_server_killed_before_the_answer(own_llama: ModelServer, ask: Ask) -> None:
    own_llama.kill()
    heard = ask.stream(OpenAI(base_url=own_llama.url), "endless", "Hello")
    assert isinstance(heard.error, ConnectionFailedError)
    assert heard.error.phase == "connect"
    assert heard.chunks == []
    assert verify(heard.path).ok
    outcomes = [call.outcome for call in Recording(heard.path).calls()]
    assert set(outcomes) == {"error"}  # each of its tries
    with pytest.raises(ConnectionFailedError):
        list(replay(heard.path))


def test_cancel_frees_ollama(own_ollama: ModelServer, ask: Ask) -> None:
    """It runs one request at a time: the next one is answered only after the cancel."""
    vessel = Ollama(base_url=own_ollama.url)
    other = Ask("sync", ask.folder)
    briefly = Timeouts(first_chunk=0.5)
    while_running: list[VesselogError | None] = []

    def react(stream, chunks) -> None:
        if len(chunks) == AFTER:
            asked = other.stream(vessel, "endless", "Me too", max_tokens=3, timeouts=briefly)
            while_running.append(asked.error)
            stream.cancel()

    heard = ask.stream(vessel, "endless", "Hello", react=react).check()
    assert isinstance(while_running[0], StreamTimeoutError)
    assert heard.error is None
    assert heard.completion.outcome == "cancelled"
    assert heard.completion.finish_reason is None
    # Left alone, it would have gone on for another half a minute.
    after = ask.stream(vessel, "endless", "Now?", max_tokens=3, timeouts=Timeouts(first_chunk=10))
    assert after.error is None
    assert after.completion.outcome == "complete"


def test_cancel_stops_llama_server(own_llama: ModelServer, ask: Ask) -> None:
    """The server's log shows that it stopped soon after the caller did."""

    def react(stream, chunks) -> None:
        if len(chunks) == AFTER:
            stream.cancel()

    vessel = OpenAI(base_url=own_llama.url)
    heard = ask.stream(vessel, "endless", "Hello", react=react).check()
    assert heard.error is None
    assert heard.completion.outcome == "cancelled"
    # It has one slot: the other answer came after the first was over, and the log says where.
    after = ask.stream(vessel, "endless", "Now?", max_tokens=3)
    assert after.completion.outcome == "complete"
    own_llama.stop()
    log = own_llama.log.read_text("utf-8")
    released = [int(tokens) for tokens in re.findall(r"release: .* n_tokens = (\d+)", log)]
    assert len(released) == 2
    assert released[0] < CONTEXT / 2


def test_leaving_early_is_a_cancel(own_ollama: ModelServer, ask: Ask) -> None:
    class Enough(Exception):  # noqa: N818 - no error
        pass

    def react(stream, chunks) -> None:
        if len(chunks) == AFTER:
            raise Enough

    with pytest.raises(Enough):
        ask.stream(Ollama(base_url=own_ollama.url), "endless", "Hello", react=react)
    (path,) = ask.folder.glob("*.jsonl")
    *_, call = Recording(path).calls()
    assert call.outcome == "cancelled"
