"""Lists of models and counts of tokens, for clients of another dialect than the upstream's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateways import gateway_to
from loopback import Conversation, LoopbackServer
from vesselog.vessels import Ollama, OpenAI, Vessel

TAGS = b'{"models": [{"name": "a:1b", "size": 7, "modified_at": "2026-01-02T03:04:05Z"}]}'
LIST = b'{"object": "list", "data": [{"id": "a", "created": 1767323045, "owned_by": "me"}]}'


def models(conversation: Conversation) -> None:
    conversation.whole(TAGS if conversation.request.path == "/api/tags" else LIST)


def to_ollama(url: str) -> Vessel:
    return Ollama(base_url=url)


def to_openai(url: str) -> Vessel:
    return OpenAI(base_url=f"{url}/v1")


@pytest.mark.parametrize(
    ("vessel", "path", "headers", "expected"),
    [
        (
            to_openai,
            "/api/tags",
            {},
            {
                "models": [
                    {
                        "name": "a",
                        "model": "a",
                        "modified_at": "2026-01-02T03:04:05Z",
                        "size": 0,
                        "digest": "",
                        "details": {},
                    }
                ]
            },
        ),
        (
            to_ollama,
            "/v1/models",
            {"anthropic-version": "2023-06-01"},
            {
                "data": [
                    {
                        "type": "model",
                        "id": "a:1b",
                        "display_name": "a:1b",
                        "created_at": "2026-01-02T03:04:05Z",
                    }
                ],
                "has_more": False,
                "first_id": "a:1b",
                "last_id": "a:1b",
            },
        ),
        (to_ollama, "/v1beta/models", {}, {"models": [{"name": "models/a:1b"}]}),
        # Ollama's server has this one itself.
        (
            to_ollama,
            "/v1/models",
            {},
            {"object": "list", "data": [{"id": "a", "created": 1767323045, "owned_by": "me"}]},
        ),
    ],
)
def test_models_are_listed_in_the_clients_dialect(
    tmp_path: Path,
    vessel: Callable[[str], Vessel],
    path: str,
    headers: dict[str, str],
    expected: dict[str, Any],
) -> None:
    with (
        LoopbackServer([models]) as server,
        gateway_to(tmp_path, {"up": vessel(server.url)}) as http,
    ):
        assert http.get(path, headers=headers).json() == expected


def test_tokens_are_counted_for_an_upstream_that_cannot(tmp_path: Path) -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "x" * 300}]}
    with gateway_to(tmp_path, {"up": Ollama(base_url="http://127.0.0.1:9")}) as http:
        answer = http.post("/v1/messages/count_tokens", json=asked)
        version = http.get("/up/api/version").status_code
    assert 100 <= answer.json()["input_tokens"] <= 150
    assert version == 502  # which is asked of an upstream that has one


def test_geminis_count_of_tokens_too(tmp_path: Path) -> None:
    contents = [{"role": "user", "parts": [{"text": "x" * 300}]}]
    path = "/v1beta/models/m:1b:countTokens"
    with gateway_to(tmp_path, {"up": Ollama(base_url="http://127.0.0.1:9")}) as http:
        for asked in (
            {"contents": contents},
            {"generateContentRequest": {"model": "models/m", "contents": contents}},
            {"generate_content_request": {"contents": contents}},
        ):
            assert 100 <= http.post(path, json=asked).json()["totalTokens"] <= 150
        picture = {"inlineData": {"mimeType": "image/png", "data": "A" * 100_000}}
        contents[0]["parts"] = [picture]
        assert 1_600 < http.post(path, json={"contents": contents}).json()["totalTokens"] < 1_700


@pytest.mark.parametrize(
    ("vessel", "path", "headers", "expected"),
    [
        (to_ollama, "/v1beta/models/a:1b", {}, {"name": "models/a:1b"}),
        (to_openai, "/v1beta/models/a", {}, {"name": "models/a"}),
        (to_openai, "/v1/models/a", {"x-goog-api-key": "k"}, {"name": "models/a"}),
        (
            to_ollama,
            "/v1/models/a%3A1b",
            {"anthropic-version": "2023-06-01"},
            {
                "type": "model",
                "id": "a:1b",
                "display_name": "a:1b",
                "created_at": "2026-01-02T03:04:05Z",
            },
        ),
    ],
)
def test_one_model_is_told_in_the_clients_dialect(
    tmp_path: Path,
    vessel: Callable[[str], Vessel],
    path: str,
    headers: dict[str, str],
    expected: dict[str, Any],
) -> None:
    with (
        LoopbackServer([models, models]) as server,
        gateway_to(tmp_path, {"up": vessel(server.url)}) as http,
    ):
        assert http.get(path, headers=headers).json() == expected
        missing = http.get(f"{path}x", headers=headers)
    assert missing.status_code == 404
    assert "has no model" in missing.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1beta/models/m:embedContent"),
        ("POST", "/v1/models/m:batchEmbedContents"),
        ("GET", "/v1beta/files"),
        ("DELETE", "/v1beta/cachedContents/c"),
    ],
)
def test_what_only_google_has_is_refused_in_its_form(
    tmp_path: Path, method: str, path: str
) -> None:
    """The upstream would answer with an error of its own form, or a page of text."""
    with (
        LoopbackServer([]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
    ):
        answer = http.request(method, path, headers={"x-goog-api-key": "k"})
        assert server.requests == []
    assert answer.status_code == 501
    error = answer.json()["error"]
    assert error["status"] == "UNIMPLEMENTED"
    assert f"{method} {path}" in error["message"]
    assert list(tmp_path.iterdir()) == []


def test_models_of_an_upstream_that_is_not_there_are_a_bad_gateway(tmp_path: Path) -> None:
    vessels: dict[str, Vessel] = {"up": OpenAI(base_url="http://127.0.0.1:9/v1")}
    with gateway_to(tmp_path, vessels) as http:
        assert http.get("/api/tags").status_code == 502
        assert http.get("/api/version").json()["version"].endswith("vesselog")
