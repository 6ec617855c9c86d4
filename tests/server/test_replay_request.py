"""What a replay server looks for, of a client's request."""

from __future__ import annotations

from typing import Any

import pytest

from vesselog.server.gateway.upstreams import Upstreams
from vesselog.server.replay_request import read_request
from vesselog.vessels import Ollama, OpenAI

UPSTREAMS = Upstreams({"lab": OpenAI(base_url="http://h/v1"), "local": Ollama(base_url="http://h")})


def scope(path: str, query: bytes = b"") -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [],
        "root_path": "",
    }


@pytest.mark.parametrize(
    ("path", "model", "upstream"),
    [
        ("/lab/v1/chat/completions", "m", "lab"),
        ("/v1/chat/completions", "lab/m", "lab"),
        ("/v1/chat/completions", "m", "lab"),
        ("/local/v1/chat/completions", "m", None),  # it speaks another dialect
    ],
)
def test_the_name_of_an_upstream_is_no_part_of_it(
    path: str, model: str, upstream: str | None
) -> None:
    asked = read_request(UPSTREAMS, scope(path), f'{{"model":"{model}"}}'.encode())
    assert asked.line == {
        "method": "POST",
        "url": "/v1/chat/completions?",
        "body": {"model": "m"},
    }
    assert asked.upstream == upstream


def test_without_upstreams_nothing_in_it_names_one() -> None:
    asked = read_request(None, scope("/lab/v1/chat/completions", b"a=1"), b'{"model":"lab/m"}')
    assert asked.line["url"] == "/lab/v1/chat/completions?a=1"
    assert asked.line["body"] == {"model": "lab/m"}
    assert asked.upstream is None


def test_it_can_be_sent_to_another_upstream() -> None:
    asked = read_request(UPSTREAMS, scope("/lab/v1/chat%2Fx"), b"")
    assert asked.at("local")["raw_path"] == b"/local/v1/chat%2Fx"
    assert asked.at("local")["path"] == "/local/v1/chat/x"
