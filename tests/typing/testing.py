"""What people write in their tests, for type checkers."""

from __future__ import annotations

import re

import pytest

from vesselog import AsyncClient, Client
from vesselog.testing import Conformance, GroundTruth, faulty, recording, replaying
from vesselog.vessels import Ollama


def names(text: str) -> list[str]:
    return re.findall(r"I am (\w+)", text)


def test_a_fixture(ground_truth: GroundTruth, conformance: Conformance) -> None:
    client: Client = ground_truth.client
    other: AsyncClient = ground_truth.async_client
    address: str = ground_truth.base_url("openai")
    ground_truth.patch_environment()
    assert [client, other, address, ground_truth.unasked(), ground_truth.misses]
    conformance(Ollama(), "bodies")


@pytest.mark.ground_truth(ignore=["metadata"], fault={"cut_at": 3}, recording="test_other")
def test_marked(ground_truth: GroundTruth) -> None:
    with recording("a.jsonl", scrub=[r"\d+", names], allow_secrets=True, lock_wait=1) as client:
        assert [client.complete("ollama/m", "Hi").text]
    with replaying("a.jsonl", scrub={"name": names}, ignore=[lambda body: body]) as client:
        assert [client.complete("ollama/m", "Hi").text]
    with replaying(faulty("a.jsonl", cut_at=1)) as client:
        assert [client.sessions()]


async def test_async() -> None:
    async with recording("a.jsonl") as client, replaying("b.jsonl") as other:
        assert [(await client.complete("ollama/m", "Hi")).text, other.stream("ollama/m", "Hi")]
