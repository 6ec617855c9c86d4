"""The URL of a route, for every spelling of a base URL."""

from __future__ import annotations

import pytest

from vesselog.vessels import route_url, with_root

ROUTES = ("/messages", "/models")


def anthropic(address: str) -> str:
    return route_url(address, "/messages", routes=ROUTES, root="/v1", below_path=True)


def openai(address: str) -> str:
    return route_url(
        address, "/chat/completions", routes=("/chat/completions", "/models"), root="/v1"
    )


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://h", "https://h/v1/messages"),
        ("https://h/", "https://h/v1/messages"),
        ("https://h/v1", "https://h/v1/messages"),
        ("https://h/v1/", "https://h/v1/messages"),
        ("https://h/v1/messages", "https://h/v1/messages"),
        ("https://h/v1/models", "https://h/v1/messages"),
        # What is not a version is before the root, as the official SDK has it.
        ("https://h/anthropic", "https://h/anthropic/v1/messages"),
        ("https://h/anthropic/", "https://h/anthropic/v1/messages"),
        ("https://h/anthropic/v1", "https://h/anthropic/v1/messages"),
        ("https://h/anthropic/v1/messages", "https://h/anthropic/v1/messages"),
        ("https://h/a/b?key=1", "https://h/a/b/v1/messages?key=1"),
        ("https://h/v1/gateway", "https://h/v1/gateway/v1/messages"),
        # A full address without a version is taken at its word.
        ("https://h/anthropic/messages", "https://h/anthropic/messages"),
        ("https://h/messages", "https://h/messages"),
    ],
)
def test_a_root_that_follows_every_path(address: str, url: str) -> None:
    assert anthropic(address) == url


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://h", "https://h/v1/chat/completions"),
        ("https://h/", "https://h/v1/chat/completions"),
        ("https://h/v1", "https://h/v1/chat/completions"),
        ("https://h/openai", "https://h/openai/chat/completions"),
        ("https://h/openai/", "https://h/openai/chat/completions"),
        ("https://h/openai/v1", "https://h/openai/v1/chat/completions"),
        ("https://h/api/paas/v4", "https://h/api/paas/v4/chat/completions"),
        ("https://h/v1beta/openai", "https://h/v1beta/openai/chat/completions"),
        ("https://h/openai/chat/completions", "https://h/openai/chat/completions"),
        ("https://h/models", "https://h/chat/completions"),
    ],
)
def test_a_root_that_is_the_path(address: str, url: str) -> None:
    assert openai(address) == url


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", "/v1beta"),
        ("/", "/v1beta"),
        ("/gemini", "/gemini/v1beta"),
        ("/gemini/", "/gemini/v1beta"),
        ("/v1beta", "/v1beta"),
        ("/v1", "/v1"),
        ("/v1alpha/", "/v1alpha"),
        ("/gemini/v1beta", "/gemini/v1beta"),
        ("/v1beta/gemini", "/v1beta/gemini/v1beta"),
        ("/vertex", "/vertex/v1beta"),
    ],
)
def test_a_path_with_its_root(path: str, found: str) -> None:
    assert with_root(path, "/v1beta") == found
