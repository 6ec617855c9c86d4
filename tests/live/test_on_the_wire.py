"""The bytes between a client and a real server, seen by a relay between them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from asking import Ask, Place
from model_servers import STORY, ModelServer
from tee import Tee
from vesselog import AsyncClient, Client
from vesselog.core.vessel import Vessel
from vesselog.vessels.ollama import Ollama
from vesselog.vessels.openai import OpenAI

pytestmark = pytest.mark.live


def through(tee: Tee, place: Place) -> Vessel:
    """The vessel for a server, with the address of the relay."""
    return Ollama(base_url=tee.url) if place.name == "ollama" else OpenAI(base_url=tee.url)


def origin(place: Place) -> str:
    return place.vessel("story").base_url.removesuffix("/v1")


def test_zeros_are_sent(place: Place, ask: Ask, *, streamed: bool) -> None:
    """Nothing is sent that the caller did not set."""
    with Tee(origin(place)) as tee:
        heard = ask.hear(
            through(tee, place), "story", "Hello", temperature=0, top_p=0, streamed=streamed
        )
        sent = tee.request_body
    assert heard.completion.text == STORY
    assert heard.recorded.request["body"] == sent
    expected = {
        "model": "story",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": streamed,
    }
    zeros = {"temperature": 0, "top_p": 0}
    if place.name == "ollama":
        assert sent == {**expected, "options": zeros}
    elif streamed:
        assert sent == {**expected, **zeros, "stream_options": {"include_usage": True}}
    else:
        assert sent == {**expected, **zeros}


def test_llama_server_samples_with_the_zeros(own_llama: ModelServer, ask: Ask) -> None:
    """The server reports the values while it generates."""
    seen: list[dict[str, object]] = []

    def look(stream, chunks) -> None:
        if len(chunks) == 3:
            (slot,) = json.loads(own_llama.get("/slots"))
            seen.append(slot["params"])
            stream.cancel()

    vessel = OpenAI(base_url=own_llama.url)
    ask.stream(vessel, "endless", "Hello", temperature=0, top_p=0, react=look)
    (params,) = seen
    assert (params["temperature"], params["top_p"]) == (0, 0)


def test_recording_holds_every_byte(place: Place, ask: Ask) -> None:
    with Tee(origin(place)) as tee:
        heard = ask.stream(through(tee, place), "story", "Hello").check()
        arrived = tee.payload
    assert b"".join(frame.raw for frame in heard.recorded.frames()) == arrived


def test_five_streams_in_a_row_use_one_connection(place: Place, tmp_path: Path) -> None:
    if place.name == "llama":
        pytest.skip("llama-server closes the connection after each stream, saying Keep-Alive")
    with Tee(origin(place)) as tee:
        vessel = through(tee, place)
        with Client(recordings=tmp_path, vessels={"here": vessel}) as client:
            for _ in range(5):
                with client.stream("here/story", "Hello", session="one") as stream:
                    assert "".join(chunk.text for chunk in stream) == STORY
        assert tee.connections == 1

        async def run() -> None:
            async with AsyncClient(recordings=tmp_path, vessels={"here": vessel}) as client:
                for _ in range(5):
                    async with client.stream("here/story", "Hello", session="two") as stream:
                        assert "".join([chunk.text async for chunk in stream]) == STORY

        asyncio.run(run())
        assert tee.connections == 2


def test_recorded_stream_answers_a_complete(place: Place, ask: Ask) -> None:
    """The answer comes from the recording, without the server."""
    vessel = place.vessel("story")
    heard = ask.stream(vessel, "story", "Hello")
    with Client(replay=heard.path, vessels={vessel.name: vessel}) as client:
        again = client.complete(f"{vessel.name}/story", "Hello")
    assert (again.text, again.usage, again.outcome) == (STORY, heard.completion.usage, "complete")
