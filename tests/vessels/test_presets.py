"""Presets: servers of the OpenAI dialect as data, found by name, and how to add one."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from house import PYPROJECT, ROOT
from loopback import Conversation, LoopbackServer
from vesselog import Client, Recording, verify
from vesselog.core.errors import InvalidRequestError, ProviderError
from vesselog.core.registry import find_vessel, installed_vessels
from vesselog.core.request import ChatRequest, chat_request
from vesselog.core.vessel import Vessel
from vesselog.vessels import (
    BUILT_IN,
    PRESETS,
    ZAI,
    DeepSeek,
    Groq,
    LlamaCpp,
    MessageRules,
    Mistral,
    OllamaV1,
    OpenAI,
    OpenRouter,
    Perplexity,
)

ASKED_FOR = {
    *("ollama-v1", "llamacpp", "vllm", "lmstudio", "openrouter", "groq", "deepseek", "mistral"),
    *("together", "fireworks", "xai", "cerebras", "perplexity", "zai", "huggingface"),
}
every_preset = pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)


def sent(vessel: OpenAI, **fields: Any) -> dict[str, Any]:
    if "prompt" not in fields:
        fields.setdefault("messages", "hi")
    body = vessel.request(chat_request("m", **fields)).body
    assert body is not None
    return body


def test_all_of_them_are_there() -> None:
    assert {preset.name for preset in PRESETS} == ASKED_FOR


def test_entry_points_and_the_fallback_name_the_same() -> None:
    listed = PYPROJECT["project"]["entry-points"]["vesselog.vessels"]
    assert listed == {
        name: f"{vessel.__module__}:{vessel.__qualname__}" for name, vessel in BUILT_IN.items()
    }
    assert list(listed) == sorted(listed)
    assert installed_vessels().keys() >= BUILT_IN.keys()
    assert all(find_vessel(name) is vessel for name, vessel in BUILT_IN.items())


@every_preset
def test_a_preset_is_data(preset: type[OpenAI]) -> None:
    """But for Ollama's, whose variable has forms of its own."""
    own = vars(preset)
    code = [name for name, value in own.items() if inspect.isroutine(value)]
    assert code == []
    assert [name for name, value in own.items() if isinstance(value, property)] == (
        ["base_url"] if preset is OllamaV1 else []
    )


@every_preset
def test_a_preset_says_where_it_is_and_who_says_so(preset: type[OpenAI]) -> None:
    parts = urlsplit(preset.default_base_url)
    local = parts.hostname == "127.0.0.1"
    assert parts.scheme == ("http" if local else "https")
    assert preset.__doc__ is not None
    assert "https://" in preset.__doc__
    request = preset().request(chat_request("org/m", "hi"))
    assert request.url == f"{preset.default_base_url}/chat/completions"
    assert request.model == "org/m"
    listing = preset().models_request()
    assert listing is not None
    assert listing.url == f"{preset.default_base_url}/models"


@every_preset
def test_each_looks_for_a_key_of_its_own(preset: type[OpenAI]) -> None:
    """Not for OpenAI's, nor for its organization."""
    variables = preset.variables["api_key"]
    assert "OPENAI_API_KEY" not in variables
    for name in variables:
        environment = {name: "k", "OPENAI_API_KEY": "other", "OPENAI_ORG_ID": "org"}
        vessel = preset().configured(environment)
        assert vessel.api_key == "k"
        assert vessel.request(chat_request("m", "hi")).headers == {}
        assert preset(base_url="http://elsewhere").configured(environment).api_key is None


def test_no_two_look_for_one_key() -> None:
    """But the two dialects of Ollama, and those of OpenAI, which are of one server each."""
    names = [name for vessel in BUILT_IN.values() for name in vessel.variables.get("api_key", ())]
    assert {name for name in names if names.count(name) > 1} == {
        "OLLAMA_API_KEY",
        "OPENAI_API_KEY",
    }


@every_preset
def test_what_is_refused_and_renamed_are_fields(preset: type[OpenAI]) -> None:
    fields = ChatRequest.model_fields.keys()
    assert preset.refused.keys() <= fields
    assert preset.renamed.keys() <= fields
    assert preset.thinking.keys() <= {True, False}


def test_refused_before_anything_is_sent() -> None:
    for field in ({"logprobs": True}, {"n": 2}, {"prompt": "a"}):
        with pytest.raises(InvalidRequestError, match=f"groq does not take {next(iter(field))}"):
            sent(Groq(), **field)
    assert sent(Groq(), n=1)["n"] == 1
    assert sent(Groq(), extra_body={"logprobs": True})["logprobs"] is True


def test_renamed() -> None:
    body = sent(Mistral(), seed=7, extra_body={"seed": 8})
    assert (body["random_seed"], body["seed"]) == (7, 8)


def test_usage_is_asked_for_where_that_is_no_error() -> None:
    assert "stream_options" not in sent(Mistral())
    assert sent(Mistral(ask_usage=True))["stream_options"] == {"include_usage": True}
    assert "stream_options" in sent(Groq())
    assert "stream_options" not in sent(Groq(ask_usage=False))


@pytest.mark.parametrize(
    ("vessel", "think", "field", "value"),
    [
        (DeepSeek(), True, "thinking", {"type": "enabled"}),
        (DeepSeek(), False, "thinking", {"type": "disabled"}),
        (DeepSeek(), "high", "reasoning_effort", "high"),
        (ZAI(), True, "thinking", {"type": "enabled"}),
        (ZAI(), "max", "reasoning_effort", "max"),
        (OpenRouter(), True, "reasoning", {"enabled": True}),
        (OpenRouter(), False, "reasoning", {"enabled": False}),
        (OpenRouter(), "high", "reasoning", {"effort": "high"}),
        (OpenRouter(), 2000, "reasoning", {"max_tokens": 2000}),
        (LlamaCpp(), "high", "chat_template_kwargs", {"reasoning_effort": "high"}),
        (LlamaCpp(), False, "chat_template_kwargs", {"enable_thinking": False}),
        (OllamaV1(), False, "reasoning_effort", "none"),
    ],
)
def test_thinking_in_each_servers_words(
    vessel: OpenAI,
    think: bool | str | int,  # noqa: FBT001 - a parameter of the test
    field: str,
    value: Any,
) -> None:
    assert sent(vessel, think=think)[field] == value


@pytest.mark.parametrize(
    ("vessel", "think", "said"),
    [
        (OllamaV1(), True, "think=True, but think=False or an effort such as think='low'"),
        (Groq(), False, "think=False, but an effort such as think='low'"),
        (Groq(), 2048, "think=2048, but an effort such as think='low'"),
        (DeepSeek(), 0, "think=0, but think=False or think=True or an effort such as think='low'"),
    ],
)
def test_thinking_that_a_server_has_no_word_for(
    vessel: OpenAI,
    think: bool | int,  # noqa: FBT001 - the same
    said: str,
) -> None:
    with pytest.raises(InvalidRequestError, match=f"does not take {said}"):
        sent(vessel, think=think)


def test_a_limit_of_tokens_has_the_name_that_every_server_knows() -> None:
    for preset in PRESETS:
        assert sent(preset(), max_tokens=9)["max_tokens"] == 9


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        (":8080", "http://127.0.0.1:8080/v1"),
        ("gpu.lan", "http://gpu.lan:11434/v1"),
        ("https://ollama.com", "https://ollama.com/v1"),
        ("http://h:1/v1", "http://h:1/v1"),
    ],
)
def test_ollamas_host_in_any_form(host: str, url: str) -> None:
    vessel = OllamaV1().configured({"OLLAMA_HOST": host})
    assert vessel.request(chat_request("m", "hi")).url == f"{url}/chat/completions"


def test_servers_without_v1_in_their_addresses() -> None:
    for preset in (DeepSeek, Perplexity):
        url = preset(base_url="http://proxy").request(chat_request("m", "hi")).url
        assert url == "http://proxy/chat/completions"
    assert Groq(base_url="http://proxy").request(chat_request("m", "hi")).url == (
        "http://proxy/v1/chat/completions"
    )


def test_a_preset_by_name_is_told_by_name(tmp_path: Path) -> None:
    """In recordings and in errors."""

    def refusing(conversation: Conversation) -> None:
        assert "authorization" not in conversation.request.headers
        conversation.whole(b'{"error": {"message": "no such model"}}', status=404)

    scripts = [lambda conversation: conversation.answer("Hel", "lo"), refusing]
    with (
        LoopbackServer(scripts) as server,
        Client(
            recordings=tmp_path,
            vessels={"fast": Groq(base_url=server.url)},
            environment={"GROQ_API_KEY": "gsk_0123456789"},
        ) as client,
    ):
        with client.stream("fast/meta-llama/l", "hi") as stream:
            assert "".join(chunk.text for chunk in stream) == "Hello"
        with pytest.raises(ProviderError, match="groq answered 404: no such model"):
            client.complete("fast/meta-llama/l", "hi")
    assert stream.path is not None
    assert verify(stream.path).ok
    (call,) = Recording(stream.path).calls()
    assert (call.request["vessel"], call.request["model"]) == ("groq", "meta-llama/l")


def test_one_of_your_own_in_four_lines(tmp_path: Path) -> None:
    class Lab(OpenAI):
        name = "lab"
        default_base_url = "http://lab.internal:8000/v1"
        variables: ClassVar = {"api_key": ("LAB_API_KEY",), "base_url": ("LAB_URL",)}

    def answering(conversation: Conversation) -> None:
        assert conversation.request.headers["authorization"] == "Bearer lab-0123456789"
        conversation.answer("Hi")

    with (
        LoopbackServer([answering]) as server,
        Client(
            recordings=tmp_path,
            vessels={"lab": Lab()},
            environment={"LAB_URL": server.url, "LAB_API_KEY": "lab-0123456789"},
        ) as client,
    ):
        answer = client.complete("lab/m", "hi")
    assert answer.text == "Hi"
    (line,) = Recording(tmp_path / f"{answer.session}.jsonl").calls()
    assert line.request["vessel"] == "lab"


# The page.


def row(vessel: type[Vessel]) -> str:
    """The vessel's line in the table of docs/vessels.md."""
    keys = ", ".join(f"`{name}`" for name in vessel.variables.get("api_key", ()))
    other = [
        f"`{name}`"
        for argument, names in vessel.variables.items()
        if argument != "api_key"
        for name in names
    ]
    address = f"`{vessel.default_base_url}`" if vessel.default_base_url else "none"
    return f"| `{vessel.name}` | {address} | {keys} | {', '.join(other) or '–'} |"


def accepted(preset: type[OpenAI]) -> str:
    """What the preset says of its server, as docs/vessels.md has it."""
    said = [f"refused: {', '.join(f'`{field}`' for field in preset.refused)}"] * bool(
        preset.refused
    )
    said += [f"`{old}` is sent as `{new}`" for old, new in preset.renamed.items()]
    said += [
        f"`think={on}` sends `{json.dumps(body)}`" for on, body in sorted(preset.thinking.items())
    ]
    path, budget = ".".join(preset.effort), ".".join(preset.budget)
    said += [f"an effort is sent as `{path}`"] * (path != "reasoning_effort")
    said += [f"a budget is sent as `{budget}`"] * bool(budget)
    rules = preset.message_rules
    if rules.keys is not None:
        kept = ", ".join(f"`{key}`" for key in sorted(rules.keys - {"role"}))
        said += [f"of an answer, only {kept} go back: it refuses other keys"]
    said += [f"ids of calls are `{rules.ids}`"] * (rules.ids != MessageRules().ids)
    said += [f"messages with calls have `{key}`" for key in rules.needed]
    said += ["usage is not asked for"] * (not preset.asks_usage)
    return f"| `{preset.name}` | {'; '.join(said) or '–'} | {'; '.join(preset.quirks) or '–'} |"


@pytest.mark.parametrize("vessel", BUILT_IN.values(), ids=lambda vessel: vessel.name)
def test_the_page_says_where_each_is(vessel: type[Vessel]) -> None:
    assert row(vessel) in (ROOT / "docs/vessels.md").read_text("utf-8").split("\n")


@every_preset
def test_the_page_says_what_each_accepts(preset: type[OpenAI]) -> None:
    assert accepted(preset) in (ROOT / "docs/vessels.md").read_text("utf-8").split("\n")


def test_the_page_lists_no_other() -> None:
    text = (ROOT / "docs/vessels.md").read_text("utf-8").partition("## A server of your own")[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == BUILT_IN.keys()
