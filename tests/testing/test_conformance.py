"""The vessels of the house are held to what a stranger's vessel is held to.

Each dialect by bodies written after its documentation (tests/bodies), by the shipped recordings,
and by captured bodies where there are any (see test_corpus.py): a sample of them, chosen by a seed,
or all with VESSELOG_THOROUGH=1.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import corpus
from corpus_reader import UNREADABLE
from house import ROOT
from thorough import THOROUGH, tries
from vesselog.core.vessel import Vessel, WireRequest
from vesselog.testing.bodies import Body, bodies_in
from vesselog.testing.kit import Conformance, check, report
from vesselog.vessels import BUILT_IN, PRESETS, Anthropic, Azure, Gemini, Ollama, OpenAI

pytestmark = pytest.mark.thorough

BODIES = ROOT / "tests/bodies"
SAMPLES = ROOT / "recordings/samples"
PROBLEMS = {
    "ollama": b'{"error":"no"}\n',
    "openai": b'data: {"error":{"message":"no"}}\n\n',
}
DIALECTS: dict[str, Vessel] = {
    "anthropic": Anthropic(max_tokens=1000),
    "gemini": Gemini(),
    "ollama": Ollama(),
    "openai": OpenAI(),
}
OPENAI_DIALECT: dict[str, Vessel] = {
    **{preset.name: preset() for preset in PRESETS},
    "azure": Azure(base_url="https://lab.openai.azure.com"),
}

# Where a provider breaks a rule that the kit holds every dialect to (see test_corpus.py).
DEBATABLE = {
    # Gemini behind OpenRouter finishes each of several tool calls; what follows is kept.
    "the answer ends once": "openrouter/vkryukov__req_llm__support-openrouter-google_gemini_2_5",
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_conforms(name: str, conformance: Conformance) -> None:
    conformance(DIALECTS[name], BODIES / name, splits=tries(100, 2000))


@pytest.mark.parametrize("name", OPENAI_DIALECT)
def test_a_server_of_the_openai_dialect_conforms(name: str, conformance: Conformance) -> None:
    conformance(OPENAI_DIALECT[name], BODIES / "openai", splits=tries(10, 300))


def test_every_vessel_of_the_house_is_held_to_it() -> None:
    assert {*DIALECTS, *OPENAI_DIALECT} == set(BUILT_IN)
    assert {path.name for path in BODIES.iterdir()} == set(DIALECTS)


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_the_shipped_recordings_conform(name: str, tmp_path: Path) -> None:
    recorded = [body for path in sorted(SAMPLES.iterdir()) for body in bodies_in(path)]
    own = [
        body
        for body in recorded
        if body.request and ("/api/" in body.request.url) == (name == "ollama")
    ]
    assert len(own) >= 5
    found = check(DIALECTS[name], own, tmp_path, errors=[PROBLEMS[name]], splits=tries(30, 100))
    assert found == [], report(DIALECTS[name], found)


def captured() -> list[tuple[str, Body]]:
    """The captured bodies of answers, each with its dialect."""
    wire = [(name, corpus.wire_body(name)) for name in corpus.WIRE]
    for path in corpus.CAPTURES:
        route, body = corpus.capture_body(path)
        if route.endswith(corpus.ANSWERS):
            wire.append((f"{path.parent.name}/{path.name}", body))
    return [(body.dialect, as_told(name, body)) for name, body in wire]


def as_told(name: str, body: corpus.Body) -> Body:
    asked = {"model": "m", "stream": body.stream, "n": body.asked}
    request = WireRequest("http://127.0.0.1:9/v1/answers", asked, stream=body.stream)
    # What is no answer at all stays so, however it is cut: test_corpus.py says which.
    outcome = corpus.decoded(body).outcome
    expected = {"outcome": outcome} if outcome == UNREADABLE else None
    return Body(name, body.content, body.status, body.content_type, body.stream, request, expected)


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_captured_bodies_conform(name: str, tmp_path: Path) -> None:
    if corpus.MISSING:
        pytest.skip(corpus.MISSING)
    own = [body for dialect, body in captured() if dialect == name]
    assert len(own) > 30
    if not THOROUGH:
        own = random.Random(4).sample(own, 15)
    found = [
        finding
        for finding in check(
            DIALECTS[name],
            own,
            tmp_path,
            errors=[PROBLEMS[name]],
            splits=tries(3, 10),
        )
        if not finding.body.startswith(DEBATABLE.get(finding.invariant, "-"))
    ]
    assert found == [], report(DIALECTS[name], found)
