"""Unmodified clients of one dialect, through the gateway, on a real server of another.

What each SDK builds is what it builds on a server of its own dialect.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from coding_agent import AGENT_REQUEST
from gateways import gateway_to
from model_servers import GREETING, STORY, THOUGHT, WEATHER, WEATHER_ASKED, ModelServer
from vesselog import Recording
from vesselog.vessels import Ollama, OpenAI

pytestmark = pytest.mark.live

ASKED: Any = [{"role": "user", "content": "Hello"}]
TOOL = {
    "name": WEATHER["function"]["name"],
    "description": WEATHER["function"]["description"],
    "input_schema": WEATHER["function"]["parameters"],
}


@pytest.fixture
def gateway(ollama: ModelServer, tmp_path: Path) -> Iterator[str]:
    """A gateway to Ollama by both of its dialects, `native` and `compatible`; its URL."""
    vessels = {
        "native": Ollama(base_url=ollama.url),
        "compatible": OpenAI(base_url=f"{ollama.url}/v1"),
    }
    with gateway_to(tmp_path / "recordings", vessels) as http:
        yield str(http.base_url).rstrip("/")


@pytest.mark.parametrize("upstream", ["native", "compatible"])
class TestAnthropicsClient:
    @pytest.fixture
    def client(self, gateway: str, upstream: str) -> Iterator[Any]:
        sdk = pytest.importorskip("anthropic", reason="needs its SDK: pip install anthropic")
        with sdk.Anthropic(
            base_url=f"{gateway}/{upstream}", api_key="none", max_retries=0
        ) as client:
            yield client

    def test_text(self, client: Any, tmp_path: Path) -> None:
        asked = {"model": "story", "max_tokens": 500, "messages": ASKED}
        with client.messages.stream(**asked) as stream:
            assert "".join(stream.text_stream) == STORY
            message = stream.get_final_message()
        whole = client.messages.create(**asked)
        for each in (message, whole):
            assert [block.text for block in each.content] == [STORY]
            assert each.stop_reason == "end_turn"
            assert each.model == "story"
            assert each.usage.output_tokens > 10
        recordings = list((tmp_path / "recordings").iterdir())
        (first, second) = [call for path in recordings for call in Recording(path).calls()]
        assert first.completion().text == second.completion().text == STORY

    def test_a_limit(self, client: Any) -> None:
        with client.messages.stream(model="story", max_tokens=3, messages=ASKED) as stream:
            assert stream.get_final_message().stop_reason == "max_tokens"

    def test_tools(self, client: Any) -> None:
        """A call, its result, and the answer to that."""
        asked = {"model": "tool", "max_tokens": 500, "tools": [TOOL]}
        with client.messages.stream(**asked, messages=ASKED) as stream:
            message = stream.get_final_message()
        (call,) = [block for block in message.content if block.type == "tool_use"]
        assert (call.name, call.input) == ("get_weather", WEATHER_ASKED)
        assert message.stop_reason == "tool_use"
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "Sunny"}
        again = [
            *ASKED,
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": [result]},
        ]
        assert client.messages.create(**asked, messages=again).content

    def test_what_a_coding_agent_sends(self, client: Any) -> None:
        asked = {**AGENT_REQUEST, "model": "tool", "tools": [*AGENT_REQUEST["tools"], TOOL]}
        own = {"model", "max_tokens", "messages", "system", "tools", "metadata", "tool_choice"}
        named = {key: value for key, value in asked.items() if key in own}
        more = {key: value for key, value in asked.items() if key not in {*own, "stream"}}
        with client.messages.stream(**named, extra_body=more) as stream:
            message = stream.get_final_message()
        assert message.content
        counted = client.messages.count_tokens(
            **{key: asked[key] for key in ("model", "messages", "system", "tools")}
        )
        assert counted.input_tokens > 100

    def test_errors(self, client: Any) -> None:
        sdk = pytest.importorskip("anthropic")
        with pytest.raises(sdk.NotFoundError) as missing:
            client.messages.create(model="missing", max_tokens=9, messages=ASKED)
        assert missing.value.body["error"]["type"] == "not_found_error"
        with pytest.raises(sdk.BadRequestError, match="mcp_servers"):
            client.messages.create(
                model="story",
                max_tokens=9,
                messages=ASKED,
                extra_body={"mcp_servers": [{"type": "url"}]},
            )


class TestOpenAIsClient:
    @pytest.fixture
    def client(self, gateway: str) -> Iterator[Any]:
        sdk = pytest.importorskip("openai", reason="needs its SDK: pip install openai")
        with sdk.OpenAI(base_url=f"{gateway}/native/v1", api_key="none", max_retries=0) as client:
            yield client

    def test_text_and_counts(self, client: Any) -> None:
        with client.chat.completions.stream(
            model="story", messages=ASKED, stream_options={"include_usage": True}
        ) as stream:
            answer = stream.get_final_completion()
        whole = client.chat.completions.create(model="story", messages=ASKED)
        for each in (answer, whole):
            assert each.choices[0].message.content == STORY
            assert each.choices[0].finish_reason == "stop"
            assert each.usage.completion_tokens > 10
            assert each.usage.total_tokens == (
                each.usage.prompt_tokens + each.usage.completion_tokens
            )

    def test_reasoning(self, client: Any) -> None:
        answer = client.chat.completions.create(
            model="think", messages=ASKED, reasoning_effort="none"
        )
        assert GREETING in answer.choices[0].message.content
        thought = client.chat.completions.create(model="think", messages=ASKED)
        assert THOUGHT in str(thought.choices[0].message)

    def test_tools(self, client: Any) -> None:
        asked: dict[str, Any] = {"model": "tool", "tools": [WEATHER]}
        with client.chat.completions.stream(**asked, messages=ASKED) as stream:
            answer = stream.get_final_completion()
        (call,) = answer.choices[0].message.tool_calls
        assert json.loads(call.function.arguments) == WEATHER_ASKED
        assert answer.choices[0].finish_reason == "tool_calls"
        again = [
            *ASKED,
            {"role": "assistant", "tool_calls": [call.model_dump(exclude_none=True)]},
            {"role": "tool", "tool_call_id": call.id, "content": "Sunny"},
        ]
        assert client.chat.completions.create(**asked, messages=again).choices

    def test_structured_output(self, client: Any) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        answer = client.chat.completions.create(
            model="tiny",
            messages=ASKED,
            max_tokens=400,
            seed=1,
            temperature=0,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "s", "schema": schema},
            },
        )
        assert answer.choices[0].message.content.lstrip().startswith("{")

    def test_a_completion(self, client: Any) -> None:
        stream = client.completions.create(model="story", prompt="x", stream=True)
        assert "".join(each.choices[0].text for each in stream) == STORY

    def test_images_and_errors(self, client: Any, tmp_path: Path) -> None:
        """The image arrives, whatever a model without eyes makes of it."""
        sdk = pytest.importorskip("openai")
        data = "iVBORw0KGgo="
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        content = [{"type": "text", "text": "?"}, image]
        with suppress(sdk.APIStatusError):
            client.chat.completions.create(
                model="story", messages=[{"role": "user", "content": content}]
            )
        (path,) = (tmp_path / "recordings").iterdir()
        (call,) = Recording(path).calls()
        assert call.request["body"]["messages"] == [
            {"role": "user", "content": "?", "images": [data]}
        ]
        with pytest.raises(sdk.NotFoundError):
            client.chat.completions.create(model="missing", messages=ASKED)
        with pytest.raises(sdk.BadRequestError, match="logit_bias"):
            client.chat.completions.create(model="story", messages=ASKED, logit_bias={"5": 1})


class TestOllamasClient:
    @pytest.fixture
    def client(self, gateway: str) -> Iterator[Any]:
        sdk = pytest.importorskip("ollama", reason="needs its SDK: pip install ollama")
        with sdk.Client(host=f"{gateway}/compatible") as client:
            yield client

    def test_text_and_counts(self, client: Any) -> None:
        lines = list(client.chat("story", ASKED, stream=True))
        assert "".join(line.message.content for line in lines) == STORY
        for last in (lines[-1], client.chat("story", ASKED)):
            assert last.done
            assert last.done_reason == "stop"
            assert last.eval_count > 10
            assert last.total_duration > 0

    def test_tools(self, client: Any) -> None:
        answer = client.chat("tool", ASKED, tools=[WEATHER])
        (call,) = answer.message.tool_calls
        assert (call.function.name, call.function.arguments) == ("get_weather", WEATHER_ASKED)
        result = {"role": "tool", "tool_name": "get_weather", "content": "Sunny"}
        assert client.chat("tool", [*ASKED, answer.message, result], tools=[WEATHER]).message

    def test_a_prompt(self, client: Any) -> None:
        lines = list(client.generate("story", "x", system="Be brief.", stream=True))
        assert "".join(line.response for line in lines) == STORY

    def test_errors(self, client: Any) -> None:
        sdk = pytest.importorskip("ollama")
        with pytest.raises(sdk.ResponseError) as missing:
            client.chat("missing", ASKED)
        assert missing.value.status_code == httpx.codes.NOT_FOUND
        with pytest.raises(sdk.ResponseError, match="mirostat"):
            client.chat("story", ASKED, options={"mirostat": 1})


@pytest.mark.parametrize("upstream", ["native", "compatible"])
class TestGeminisClient:
    @pytest.fixture
    def client(self, gateway: str, upstream: str) -> Iterator[Any]:
        sdk = pytest.importorskip("google.genai", reason="needs its SDK: pip install google-genai")
        options = {"base_url": f"{gateway}/{upstream}"}
        with sdk.Client(api_key="none", http_options=options) as client:
            yield client

    def test_text(self, client: Any) -> None:
        asked = {"model": "story", "contents": "Hello"}
        answers = list(client.models.generate_content_stream(**asked))
        assert "".join(each.text or "" for each in answers) == STORY
        assert answers[-1].usage_metadata.candidates_token_count > 10
        assert client.models.generate_content(**asked).text == STORY

    def test_counts_and_models(self, client: Any) -> None:
        counted = client.models.count_tokens(model="story", contents="Hello")
        assert 0 < counted.total_tokens < 100
        assert client.models.get(model="story").name.startswith("models/story")
        assert any("story" in each.name for each in client.models.list())

    def test_tools(self, client: Any) -> None:
        function = {key: WEATHER["function"][key] for key in ("name", "description")}
        schema = WEATHER["function"]["parameters"]
        declared = [{**function, "parameters_json_schema": schema}]
        answer = client.models.generate_content(
            model="tool",
            contents="Hello",
            config={
                "tools": [{"function_declarations": declared}],
                "automatic_function_calling": {"disable": True},
            },
        )
        (call,) = answer.function_calls
        assert (call.name, call.args) == ("get_weather", WEATHER_ASKED)

    def test_errors(self, client: Any) -> None:
        errors = pytest.importorskip("google.genai.errors")
        with pytest.raises(errors.ClientError) as missing:
            client.models.generate_content(model="missing", contents="Hello")
        assert missing.value.code == httpx.codes.NOT_FOUND
        with pytest.raises(errors.ClientError, match="no model 'missing'"):
            client.models.get(model="missing")
        with pytest.raises(errors.ServerError, match="batchEmbedContents"):
            client.models.embed_content(model="story", contents="Hello")
