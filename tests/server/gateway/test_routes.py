"""The dialect of a request."""

from __future__ import annotations

import pytest

from vesselog.server.gateway.routes import Route, route_of


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/v1/chat/completions", Route("openai", "/chat/completions")),
        ("POST", "/chat/completions/", Route("openai", "/chat/completions")),
        ("POST", "/v1/completions", Route("openai", "/completions")),
        ("POST", "/v1/responses", Route("openai-responses", "/responses")),
        ("GET", "/v1/responses/r-1", Route("openai")),
        ("GET", "/v1/chat/completions", Route("openai")),
        (
            "POST",
            "/openai/deployments/d/chat/completions",
            Route("openai", "/chat/completions", "d"),
        ),
        ("POST", "/api/chat", Route("ollama", "/api/chat")),
        ("POST", "/api/generate", Route("ollama", "/api/generate")),
        ("POST", "/api/show", Route("ollama")),
        ("HEAD", "/", Route("ollama")),
        ("POST", "/v1/messages", Route("anthropic", "/messages")),
        ("POST", "/v1/messages/count_tokens", Route("anthropic")),
        (
            "POST",
            "/v1beta/models/m:generateContent",
            Route("gemini", ":generateContent", "m"),
        ),
        ("POST", "/v1beta/models/m:countTokens", Route("gemini")),
        ("GET", "/v1beta/models", Route("gemini")),
        ("POST", "/tokenize", Route(None)),
        ("GET", "/health", Route(None)),
    ],
)
def test_the_route_of(method: str, path: str, route: Route) -> None:
    assert route_of(method, path, "", {}) == route


@pytest.mark.parametrize(
    ("query", "route"),
    [
        ("alt=sse", Route("gemini", ":streamGenerateContent", "m")),
        ("%24alt=sse&a=b", Route("gemini", ":streamGenerateContent", "m")),
        ("alt=json", Route("gemini", ":streamGenerateContent", "m", listed=True)),
        ("", Route("gemini", ":streamGenerateContent", "m", listed=True)),
    ],
)
def test_geminis_stream_is_events_only_where_they_are_asked_for(query: str, route: Route) -> None:
    path = "/v1beta/models/m:streamGenerateContent"
    found = route_of("POST", path, query, {})
    assert found == route
    assert found.asks_model
    assert found.decoded is not found.listed
    assert found.streams({}) is not found.listed


@pytest.mark.parametrize(
    ("header", "dialect"),
    [("anthropic-version", "anthropic"), ("x-goog-api-key", "gemini"), ("accept", "openai")],
)
def test_a_list_of_models_is_told_apart_by_a_header(header: str, dialect: str) -> None:
    assert route_of("GET", "/v1/models", "", {header: "x"}) == Route(dialect)


@pytest.mark.parametrize(
    ("route", "body", "streams"),
    [
        (Route("openai", "/chat/completions"), {}, False),
        (Route("openai", "/chat/completions"), {"stream": True}, True),
        (Route("ollama", "/api/chat"), {}, True),
        (Route("ollama", "/api/chat"), {"stream": False}, False),
        (Route("gemini", ":streamGenerateContent", "m"), {}, True),
        (Route("gemini", ":generateContent", "m"), {"stream": True}, False),
    ],
)
def test_whether_a_stream_is_asked_for(
    route: Route, body: dict[str, object], *, streams: bool
) -> None:
    assert route.streams(body) == streams
