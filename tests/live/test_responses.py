"""The Responses API of a real llama-server, read by the vessel and by OpenAI's SDK; and that SDK
over the gateway, with upstreams of other dialects.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateways import gateway_to
from model_servers import GREETING, STORY, THOUGHT, WEATHER, WEATHER_ASKED, ModelServer
from vesselog import Client, Recording
from vesselog.vessels import Anthropic, Ollama, OpenAI, OpenAIResponses, Vessel

pytestmark = pytest.mark.live

Llama = Callable[[str], ModelServer]
TOOL = {"type": "function", **WEATHER["function"], "strict": False}
ASKED: dict[str, dict[str, Any]] = {
    "story": {"input": "Hi"},
    "think": {"input": [{"role": "user", "content": "Hello"}], "instructions": "Be brief."},
    "tool": {"input": "How warm is Zürich?", "tools": [TOOL]},
}


def sdk(url: str) -> Any:
    openai = pytest.importorskip("openai")
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def built(response: Any) -> dict[str, Any]:
    """What a response says, in words that all have."""
    items = [item.to_dict() for item in response.output]
    reasoning = [
        part["text"]
        for item in items
        if item["type"] == "reasoning"
        for part in (*item.get("summary", ()), *(item.get("content") or ()))
    ]
    calls = [
        (item["name"], json.loads(item["arguments"]))
        for item in items
        if item["type"] == "function_call"
    ]
    return {
        "status": response.status,
        "text": response.output_text,
        "reasoning": "".join(reasoning),
        "calls": calls,
        "tokens": (response.usage.input_tokens, response.usage.output_tokens),
    }


@pytest.mark.parametrize("model", ASKED)
@pytest.mark.parametrize("streamed", [True, False])
def test_the_vessel_reads_what_the_sdk_reads(
    llama: Llama,
    model: str,
    streamed: bool,  # noqa: FBT001 - parametrized
    tmp_path: Path,
) -> None:
    server = llama(model)
    vessel = OpenAIResponses(base_url=server.url)
    asked = ASKED[model]
    body = {"model": model, "temperature": 0, "stream": streamed, **asked}
    chat = vessel.read_request("/v1/responses", body)
    fields = chat.model_dump(
        exclude_none=True, exclude={"model", "messages", "stream", "split_think"}
    )
    with Client(vessels={"lab": vessel}, recordings=tmp_path) as client, sdk(server.url) as other:
        messages = list(chat.messages or ())
        if streamed:
            with client.stream(f"lab/{model}", messages, **fields) as stream:
                assert "".join(chunk.text for chunk in stream) == stream.completion.text
            answer = stream.completion
        else:
            answer = client.complete(f"lab/{model}", messages, **fields)
        theirs = built(other.responses.create(model=model, temperature=0, **asked))
    usage = answer.usage
    assert usage is not None
    assert theirs == {
        "status": "completed",
        "text": answer.text,
        "reasoning": answer.reasoning,
        "calls": [(call.name, call.arguments) for call in answer.tool_calls],
        "tokens": (usage.input_tokens, usage.output_tokens),
    }
    assert answer.text or answer.tool_calls


def test_an_agent_loop_goes_on_with_what_came(llama: Llama, tmp_path: Path) -> None:
    """Reasoning, a message and a call's result go back, and the server takes them."""
    vessels: dict[str, Vessel] = {
        name: OpenAIResponses(base_url=llama(name).url) for name in ("think", "tool")
    }
    with Client(vessels=vessels, recordings=tmp_path) as client:
        for name, tools in (("think", None), ("tool", [WEATHER])):
            messages: list[Any] = [{"role": "user", "content": "Hello"}]
            for _ in range(2):
                answer = client.complete(f"{name}/{name}", messages, tools=tools)
                results = [
                    {"role": "tool", "tool_call_id": call.id, "content": "21 °C"}
                    for call in answer.tool_calls
                ]
                messages += [answer.to_message(), *results]
                messages += [] if results else [{"role": "user", "content": "And?"}]
            assert answer.text or answer.tool_calls


@pytest.mark.parametrize("upstream", ["ollama", "anthropic"])
@pytest.mark.parametrize("model", ["think", "tool"])
def test_the_sdk_builds_the_same_streamed_whole_and_resumed(
    ollama: ModelServer, llama: Llama, upstream: str, model: str, tmp_path: Path
) -> None:
    vessel: Vessel = Ollama(base_url=ollama.url)
    if upstream == "anthropic":  # llama-server speaks this dialect too
        vessel = Anthropic(base_url=llama(model).url, max_tokens=500)
    asked = {"model": model, "temperature": 0, **ASKED[model]}
    with (
        gateway_to(tmp_path, {"up": vessel}) as http,
        sdk(str(http.base_url).rstrip("/")) as client,
    ):
        whole = client.responses.create(**asked)
        with client.responses.stream(**asked) as stream:
            numbers = [event.sequence_number for event in stream]
            response = stream.get_final_response()
        resumed = client.responses.retrieve(response.id, stream=True, starting_after=3)
        assert [event.sequence_number for event in resumed] == numbers[4:]
        said = built(response)
        assert built(client.responses.retrieve(response.id)) == said
    assert {**built(whole), "tokens": None} == {**said, "tokens": None}
    if model == "tool":
        assert (said["text"], said["calls"]) == ("", [("get_weather", WEATHER_ASKED)])
    else:  # Ollama tells thoughts apart only when asked to think
        assert said["text"].endswith(GREETING)
        assert THOUGHT in said["reasoning"] + said["text"]
    calls = [call for path in tmp_path.iterdir() for call in Recording(path).calls()]
    assert [call.outcome for call in calls] == ["complete"] * 2


@pytest.mark.parametrize(
    ("vessel", "route"),
    [(OpenAI, "/v1/chat/completions"), (OpenAIResponses, "/v1/responses")],
)
def test_a_server_is_asked_by_the_route_of_its_vessel(
    llama: Llama, vessel: Callable[..., Vessel], route: str, tmp_path: Path
) -> None:
    with (
        gateway_to(tmp_path, {"up": vessel(base_url=llama("story").url)}) as http,
        sdk(str(http.base_url).rstrip("/")) as client,
    ):
        stream = client.responses.create(model="up/story", input="Hi", stream=True)
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
    assert "".join(deltas) == STORY
    (path,) = tmp_path.iterdir()
    (call,) = Recording(path).calls()
    assert call.request["url"].endswith(route)
    assert (call.outcome, call.completion().text) == ("complete", STORY)
