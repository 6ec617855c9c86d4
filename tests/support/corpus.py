"""Captured bodies, read in place, and what an independent reader expects of them.

The bodies are not part of the project. VESSELOG_CORPUS names the folder that has them, in the
layout below; without it `../shared` beside the checkout is tried. Point it at captures of your own
to test those.

    wire/INDEX.tsv       file, status, content_type … (tab-separated, named in the first line)
    wire/…               bodies; a name with `.ollama` before its ending is Ollama's own dialect
    captures/*/NAME.raw  HTTP answers as they were on the wire; NAME.req: the request line and its
    body
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import NamedTuple

from corpus_reader import Expected, read_ollama, read_openai, unwrapped
from decoding import Decoded, decode
from vesselog.vessels import Ollama, OpenAI

ROOT = Path(os.environ.get("VESSELOG_CORPUS") or Path(__file__).parents[3] / "shared")
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
