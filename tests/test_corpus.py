"""Every captured body decodes to what an independent reader finds in it.

The bodies are not part of the project. VESSELOG_CORPUS names the folder that has them, in the
layout below; without it `../shared` beside the checkout is tried. Point it at captures of your own
to test those.

    wire/INDEX.tsv       file, status, content_type … (tab-separated, named in the first line)
    wire/…               bodies; a name with `.ollama` before its ending is Ollama's own dialect
    captures/*/NAME.raw  HTTP answers as they were on the wire; NAME.req: the request line and its
    body

Debatable, and decided:
- An error beside a further piece of the answer, after a finish reason (OpenRouter's Gemini finishes
  each of 15 tool calls, then fails): the answer failed. An error by itself after the finish changes
  nothing.
- Audio without text, ended by [DONE] without a finish reason (OpenAI): complete, as something was
  said.
- A content filter that answers 200 with an error object (Azure): an error, not an empty answer.
- `stop` where tools were called (Ollama's own API): kept, as the provider says it.
- A reason of a provider's own (Ollama's `load`, `custom` …): `other`, the raw one beside it.
- Arguments that are no JSON (cut by the length; several calls glued by OpenRouter's own joining):
  the text is kept, the parsed value is None.
- An answer in an envelope, `{"data": {"data": {"choices": …}}}` (Kinetica): read, as a repair.
- Objects that are no answer (lists of stored completions, batches, usage pages): unreadable, with
  their kind; where an object has no kind, the answer never came: truncated. Never complete.
- Routes of other dialects (llama-server's /v1/messages, /v1/responses, /completion; Ollama's
  /api/pull, /api/create, /api/embed, /api/ps): held to "never complete, never a crash" only.
- A capture that was cut (its .info says so): what came is compared, the end is truncated.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from corpus_reader import (
    PROVIDER,
    TRUNCATED,
    UNREADABLE,
    Expected,
    read_ollama,
    read_openai,
    unwrapped,
)
from decoding import Decoded, decode
from vesselog.core.completion import Choice
from vesselog.vessels import Ollama, OpenAI

ROOT = Path(os.environ.get("VESSELOG_CORPUS") or Path(__file__).parents[2] / "shared")
ANSWERS = ("/api/chat", "/api/generate", "/chat/completions", "/v1/completions")


class Body(NamedTuple):
    """A body, and what is known of it."""

    content: bytes
    status: int
    content_type: str
    dialect: str
    stream: bool
    asked: int = 1


def index() -> dict[str, dict[str, str]]:
    with (ROOT / "wire/INDEX.tsv").open(encoding="utf-8") as lines:
        return {row["file"]: row for row in csv.DictReader(lines, delimiter="\t", quoting=3)}


if (ROOT / "wire/INDEX.tsv").is_file():
    WIRE = index()
    CAPTURES = sorted(path for path in (ROOT / "captures").glob("*/*.raw") if path.stat().st_size)
    MISSING = ""
else:
    WIRE, CAPTURES = {}, []
    MISSING = f"no captured bodies at {ROOT}: set VESSELOG_CORPUS to a folder that has wire/"


def wire_body(name: str) -> Body:
    row = WIRE[name]
    return Body(
        (ROOT / "wire" / name).read_bytes(),
        int((row["status"] or "200").split()[0]),
        row["content_type"],
        "ollama" if ".ollama" in name else "openai",
        name.endswith((".sse", ".ndjson")),
    )


def capture_body(path: Path) -> tuple[str, Body]:
    status, headers, content = unwrapped(path.read_bytes())
    line, _, sent = path.with_suffix(".req").read_text("utf-8").partition("\n")
    try:
        asked = json.loads(sent)
    except ValueError:
        asked = {}
    route = line.split()[1].partition("127.0.0.1")[2]
    dialect = "ollama" if route.startswith("/api") and "ollama" in path.parent.name else "openai"
    stream = asked.get("stream", dialect == "ollama")
    n = asked.get("n", 1)
    return route, Body(content, status, headers.get("content-type", ""), dialect, stream, n)


def decoded(body: Body) -> Decoded:
    vessel = Ollama() if body.dialect == "ollama" else OpenAI()
    return decode(
        vessel,
        body.content,
        body.content_type,
        status=body.status,
        n=body.asked,
        stream=body.stream,
    )


def expectation(body: Body) -> Expected:
    if body.dialect == "ollama":
        return read_ollama(body.content, body.status)
    return read_openai(body.content, body.status, body.asked)


def compare(found: Decoded, expected: Expected) -> None:
    assert found.outcome == expected.outcome, found.error
    if expected.outcome == PROVIDER:
        assert found.error is not None
        words = expected.error.split()[:8]
        assert " ".join(words) in " ".join(found.error.message.lower().split())
    completion = found.completion
    choices: dict[int, Choice] = {
        0: completion,
        **{each.index: each for each in completion.choices},
    }
    for number, answer in expected.answers.items():
        choice = choices.get(number, Choice())
        assert choice.text == answer.text
        assert choice.reasoning == answer.reasoning
        assert choice.refusal == answer.refusal
        assert [(call.name, call.arguments) for call in choice.tool_calls] == answer.calls
        assert choice.finish_reason == answer.finish
        assert choice.raw_finish_reason == answer.raw_finish
    # Providers that fail send a usage of zeros behind the error, where nothing is read any more.
    if expected.outcome != PROVIDER:
        usage = completion.usage
        counts = (usage.input_tokens, usage.output_tokens) if usage else None
        assert counts == expected.usage


def test_the_corpus_is_there() -> None:
    if MISSING:
        pytest.skip(MISSING)
    assert len(WIRE) > 400
    assert len(CAPTURES) > 80


@pytest.mark.parametrize("name", WIRE, ids=lambda name: name[-60:])
def test_body_of_a_provider(name: str) -> None:
    body = wire_body(name)
    found = decoded(body)
    assert found.raw == body.content
    expected = expectation(body)
    if expected.outcome == TRUNCATED and found.outcome == UNREADABLE:
        # No answer at all in it; the vessel says what it is instead.
        assert not expected.answers
        return
    compare(found, expected)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_capture_of_a_server(path: Path) -> None:
    route, body = capture_body(path)
    found = decoded(body)
    assert found.raw == body.content
    if body.status == 200 and not route.endswith(ANSWERS):
        assert found.outcome != "complete"
        return
    expected = expectation(body)
    cut = "CUT" in path.with_suffix(".info").read_text("utf-8")
    assert (expected.outcome == TRUNCATED) == cut
    compare(found, expected)


def test_repairs_stay_rare() -> None:
    """A plain body needs none: most of the corpus has no repair at all."""
    if MISSING:
        pytest.skip(MISSING)
    repaired = [name for name in WIRE if decoded(wire_body(name)).repairs]
    assert len(repaired) < len(WIRE) / 5
