"""Which upstream a request goes to, and at which URL."""

from __future__ import annotations

from typing import Any

import pytest

from vesselog import ConfigurationError
from vesselog.server.gateway.request import Asked, read_asked
from vesselog.server.gateway.upstreams import Upstream, Upstreams, gateway_vessels
from vesselog.vessels import (
    Anthropic,
    Azure,
    Gemini,
    Groq,
    Ollama,
    OpenAI,
    OpenAIResponses,
    Vessel,
)

H = "http://h"
ALL = {
    "local": Ollama(base_url=H),
    "cloud": OpenAI(base_url=f"{H}/v1"),
    "groq": Groq(base_url=f"{H}/openai/v1"),
    "claude": Anthropic(base_url=H),
    "google": Gemini(base_url=H),
}


def asked(path: str, model: str = "m", vessels: dict[str, Vessel] = ALL, **headers: str) -> Asked:
    raw, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "method": "POST",
        "raw_path": raw.encode(),
        "query_string": query.encode(),
    }
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_asked(Upstreams(vessels), scope, named, b'{"model": "%b"}' % model.encode())


@pytest.mark.parametrize(
    ("path", "model", "upstream", "url"),
    [
        ("/v1/chat/completions", "m", "cloud", "/v1/chat/completions"),
        ("/chat/completions", "m", "cloud", "/v1/chat/completions"),
        ("/v1/embeddings", "m", "cloud", "/v1/embeddings"),
        ("/v1/models/m", "m", "cloud", "/v1/models/m"),
        ("/health", "m", "local", "/health"),
        ("/api/chat", "m", "local", "/api/chat"),
        ("/api/pull", "m", "local", "/api/pull"),
        ("/v1/messages?beta=true", "m", "claude", "/v1/messages?beta=true"),
        ("/v1/messages/count_tokens", "m", "claude", "/v1/messages/count_tokens"),
        (
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            "m",
            "google",
            "/v1beta/models/m:streamGenerateContent?alt=sse",
        ),
        ("/v1alpha/models/m:generateContent", "m", "google", "/v1alpha/models/m:generateContent"),
        ("/v1beta/models", "m", "google", "/v1beta/models"),
        # named by the path
        ("/groq/v1/chat/completions", "m", "groq", "/openai/v1/chat/completions"),
        ("/groq/chat/completions", "local/m", "groq", "/openai/v1/chat/completions"),
        ("/groq/v1/audio/speech", "m", "groq", "/openai/v1/audio/speech"),
        ("/local/v1/models", "m", "local", "/v1/models"),
        ("/cloud/health", "m", "cloud", "/health"),
        ("/cloud", "m", "cloud", "/"),
        # named by the model
        ("/v1/chat/completions", "groq/a/b", "groq", "/openai/v1/chat/completions"),
        ("/v1/chat/completions", "other/b", "cloud", "/v1/chat/completions"),
    ],
)
def test_a_request_goes_to(path: str, model: str, upstream: str, url: str) -> None:
    request = asked(path, model)
    assert request.choice.upstream.name == upstream
    assert request.passed_on().url == H + url


@pytest.mark.parametrize("slash", ["/", "%2F", "%2f"])
def test_a_model_in_the_path_may_name_the_upstream(slash: str) -> None:
    request = asked(f"/v1beta/models/google{slash}m:generateContent", "m")
    assert request.choice.upstream.name == "google"
    content = {"method": "POST", "query_string": b""}
    raw = f"/v1beta/models/groq{slash}a{slash}b:generateContent".encode()
    chosen = read_asked(Upstreams(ALL), {**content, "raw_path": raw}, {}, b'{"contents": []}')
    assert chosen.choice.upstream.name == "groq"
    assert chosen.path == f"/v1beta/models/a{slash}b:generateContent"
    assert chosen.route.model == f"a{slash}b"


def test_without_an_upstream_of_the_dialect_the_first_is_taken() -> None:
    assert asked("/v1/messages", vessels={"a": Ollama(), "b": OpenAI()}).choice.upstream.name == "a"


def test_openais_own_api_has_a_second_dialect_and_so_a_second_vessel() -> None:
    given = {"own": OpenAI(api_key="sk-of-the-upstream"), "other": OpenAI(base_url=f"{H}/v1")}
    vessels = gateway_vessels(given, {})
    assert list(vessels) == ["own", "own:responses", "other"]
    assert isinstance(vessels["own:responses"], OpenAIResponses)
    assert vessels["own:responses"].api_key == "sk-of-the-upstream"
    request = asked("/v1/responses", vessels=given)
    assert request.choice.upstream.vessel_name(request.route) == "own:responses"
    assert request.passed_on().url == "https://api.openai.com/v1/responses"
    assert request.same_dialect
    assert not asked("/other/v1/responses", vessels=given).same_dialect
    chat = asked("/v1/chat/completions", vessels=given)
    assert chat.choice.upstream.vessel_name(chat.route) == "own"


def test_a_responses_upstream_has_openais_other_routes_too() -> None:
    given: dict[str, Vessel] = {"a": Ollama(), "r": OpenAIResponses(base_url=f"{H}/v1")}
    for path in ("/v1/responses", "/v1/responses/r-1", "/v1/models"):
        request = asked(path, vessels=given, authorization="Bearer k")
        assert request.passed_on().url == H + path
        assert request.passed_on().headers == {"authorization": "Bearer k"}


def test_a_named_model_is_cut_from_the_exact_bytes() -> None:
    content = b'{ "x": {"model": "groq/a"}, "model" : "groq/a/b",\n"y":1.50}'
    scope = {"method": "POST", "raw_path": b"/v1/chat/completions", "query_string": b""}
    request = read_asked(Upstreams(ALL), scope, {}, content)
    assert request.content == content.replace(b'"groq/a/b"', b'"a/b"')
    assert request.passed_on().model == "a/b"


@pytest.mark.parametrize(
    ("base_url", "version", "url"),
    [
        (f"{H}", None, "/openai/v1/chat/completions"),
        (f"{H}", "2024-10-21", "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"),
        (f"{H}/openai/deployments/d", "2024-10-21", None),
    ],
)
def test_azure_has_the_deployment_in_its_path(
    base_url: str, version: str | None, url: str | None
) -> None:
    azure = Azure(base_url=base_url, api_version=version)
    expected = url or "/openai/deployments/d/chat/completions?api-version=2024-10-21"
    assert asked("/v1/chat/completions", "gpt", {"az": azure}).passed_on().url == H + expected


@pytest.mark.parametrize(
    ("base_url", "version", "path", "url"),
    [
        (H, None, "/v1/responses", "/openai/v1/responses"),
        (H, None, "/responses", "/openai/v1/responses"),
        (H, None, "/openai/v1/responses?api-version=preview", None),
        (H, "preview", "/v1/responses", "/openai/v1/responses?api-version=preview"),
        (H, None, "/openai/responses?api-version=2025-04-01-preview", None),
        (f"{H}/openai/v1", None, "/v1/responses/resp_1", "/openai/v1/responses/resp_1"),
        (f"{H}/openai", None, "/openai/v1/responses/resp_1/cancel", None),
        # A dated version of the chats says nothing of where the responses are.
        (H, "2024-10-21", "/v1/responses", "/openai/v1/responses"),
        (H, "2024-10-21", "/v1/responses/resp_1", "/openai/v1/responses/resp_1"),
        (H, "2024-10-21", "/openai/v1/responses", None),
        (
            f"{H}/openai/deployments/d/chat/completions?api-version=2025-04-01-preview",
            None,
            "/openai/responses",
            "/openai/responses?api-version=2025-04-01-preview",
        ),
        # What AzureOpenAI asks for is at Azure where it says.
        (H, None, "/openai/deployments/g/chat/completions?api-version=2024-10-21", None),
        (H, None, "/openai/deployments/g/embeddings?api-version=2024-10-21", None),
        (H, None, "/az/openai/v1/responses", "/openai/v1/responses"),
    ],
)
def test_azures_own_paths_and_its_responses(
    base_url: str, version: str | None, path: str, url: str | None
) -> None:
    given: dict[str, Vessel] = {
        "az": Azure(base_url=base_url, api_version=version),
    }
    request = asked(path, "gpt", given)
    assert request.same_dialect
    assert request.passed_on().url == H + (url or path)


def test_an_answer_of_azures_responses_has_the_vessel_that_decodes_it_and_azures_key() -> None:
    given: dict[str, Vessel] = {"az": Azure(base_url=H, api_key="a-key-of-azure")}
    request = asked("/openai/v1/responses", "gpt", given)
    name = request.choice.upstream.vessel_name(request.route)
    vessel = gateway_vessels(given, {})[name]
    assert isinstance(vessel, OpenAIResponses)
    assert vessel.authorization(vessel.api_key or "") == {"api-key": "a-key-of-azure"}


def test_azures_models_of_other_makers_have_no_responses() -> None:
    azure = Azure(base_url=f"{H}/models", api_version="2024-05-01-preview")
    assert list(gateway_vessels({"az": azure}, {})) == ["az"]
    assert not asked("/v1/responses", "grok", {"az": azure}).same_dialect


KEYS = {
    "authorization": "Bearer sk-of-the-client",
    "x_api_key": "sk-of-the-client",
    "x_goog_api_key": "sk-of-the-client",
    "api_key": "sk-of-the-client",
}


@pytest.mark.parametrize(
    ("path", "model", "passes"),
    [
        ("/v1/chat/completions?key=sk-of-the-client", "m", True),
        ("/groq/v1/chat/completions?key=sk-of-the-client", "m", True),
        ("/health?key=sk-of-the-client", "m", False),  # whose dialect is not known
        ("/local/health?key=sk-of-the-client", "m", True),
        # The client chose the gateway's address and its key, not this upstream.
        ("/v1/chat/completions?key=sk-of-the-client", "groq/m", False),
        ("/local/v1/models?key=sk-of-the-client", "m", True),
        # Another dialect: the key is another provider's.
        ("/local/v1/chat/completions?key=sk-of-the-client", "m", False),
    ],
)
def test_a_key_goes_only_to_the_upstream_that_it_is_meant_for(
    path: str, model: str, *, passes: bool
) -> None:
    request = asked(path, model, **KEYS).passed_on()
    told = str([*request.headers.values(), request.url])
    assert ("sk-of-the-client" in told) == passes


def test_an_only_upstream_gets_the_key_of_any_route_but_another_dialects() -> None:
    only = {"up": OpenAI(base_url=f"{H}/v1")}
    for path, passes in {"/v2/chat": True, "/v1/files": True, "/v1/messages": False}.items():
        assert (
            "authorization" in asked(path, "m", only, authorization="Bearer k").passed_on().headers
        ) == passes


def test_an_upstream_with_its_own_key_gets_no_other() -> None:
    keyed = {"up": OpenAI(base_url=f"{H}/v1", api_key="sk-of-the-upstream")}
    request = asked("/v1/chat/completions?key=sk-of-the-client&a=b", "m", keyed, **KEYS).passed_on()
    assert request.url == f"{H}/v1/chat/completions?a=b"
    assert request.headers == {}


@pytest.mark.parametrize("name", ["", "a/b", "v1", "api", "sessions", "ä", "v1beta"])
def test_a_name_that_cannot_stand_in_a_path_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="upstream"):
        Upstream(name, Ollama())


def test_a_gateway_needs_an_upstream() -> None:
    with pytest.raises(ConfigurationError, match="needs an upstream"):
        Upstreams({})


def test_an_organization_goes_with_its_own_key_only() -> None:
    for key, organization in (("sk-of-the-upstream", "o"), (None, None)):
        up = OpenAI(base_url=f"{H}/v1", api_key=key, organization="o")
        request = asked("/v1/models", "m", {"up": up}).passed_on()
        assert request.headers.get("openai-organization") == organization


def test_below_a_mount_the_path_begins_behind_it() -> None:
    scope = {
        "method": "GET",
        "raw_path": b"/gateway/groq/v1/models",
        "root_path": "/gateway",
        "query_string": b"",
    }
    assert read_asked(Upstreams(ALL), scope, {}, b"").passed_on().url == f"{H}/openai/v1/models"
