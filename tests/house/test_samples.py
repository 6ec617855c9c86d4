"""The shipped recordings: sound, listed, free of anything private, readable by any tool."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest

from house import PYPROJECT, ROOT
from vesselog import Recording, StreamChunk, VesselogError, replay, verify

SAMPLES = sorted((ROOT / "recordings/samples").glob("*"))
PAYLOAD = 'select(.type == "frame").raw'


@pytest.fixture(params=SAMPLES, ids=lambda path: path.stem)
def sample(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_samples_cover_what_can_become_of_a_call() -> None:
    ends = [lines(path)[-1] for path in SAMPLES]
    assert {end["outcome"] for end in ends} == {"complete", "cancelled", "truncated", "error"}
    errors = {end["error"]["type"] for end in ends if "error" in end}
    assert errors == {"ProviderError", "TruncatedError", "ConnectionFailedError"}
    requests = [line for path in SAMPLES for line in lines(path) if line["type"] == "request"]
    routes = {re.sub(r"http://[^/]+", "", request["url"]) for request in requests}
    assert routes == {"/api/chat", "/api/generate", "/v1/chat/completions"}


def test_it_is_sound(sample: Path) -> None:
    report = verify(sample)
    assert report.ok, report.findings
    assert report.findings == []
    assert report.calls == 1
    assert sample.stat().st_size < 64 * 1024


def test_it_is_listed_by_name(sample: Path) -> None:
    """In the wheel's package data, and in the page that says how to make it again."""
    assert (
        f"samples/{sample.name}"
        in PYPROJECT["tool"]["setuptools"]["package-data"]["vesselog.recordings"]
    )
    page = (ROOT / "recordings/README.md").read_text("utf-8")
    (row,) = [line for line in page.splitlines() if f"`{sample.name}`" in line]
    assert row.endswith(f"| `scripts/record {sample.stem}` |")


def test_nothing_else_is_listed() -> None:
    names = {path.name for path in SAMPLES}
    listed = PYPROJECT["tool"]["setuptools"]["package-data"]["vesselog.recordings"]
    assert sorted(listed) == sorted(f"samples/{name}" for name in names)
    page = (ROOT / "recordings/README.md").read_text("utf-8")
    assert set(re.findall(r"`([a-z-]+\.jsonl)`", page)) == names


def test_it_is_found_as_package_data(sample: Path) -> None:
    found = files("vesselog.recordings").joinpath("samples", sample.name)
    assert found.read_bytes() == sample.read_bytes()


def test_nothing_in_it_is_private(sample: Path) -> None:
    text = sample.read_text("utf-8")
    hosts = set(re.findall(r"https?://([^/\"\\ ]+)", text))
    assert hosts <= {"127.0.0.1:11434", "127.0.0.1:8080"}
    assert not re.search(r"/(home|root|tmp|opt|usr|var|Users)\b", text)
    assert not re.search(r"(?i)authorization|cookie|api-key|bearer", text)


def test_it_replays(sample: Path) -> None:
    """Its chunks and the error that it ended with, the same in both ways."""
    (call,) = Recording(sample).calls()
    stored = list(call.chunks())
    assert stored
    expected = None if call.error is None else (type(call.error), call.error.message)
    heard: list[StreamChunk] = []
    ended = None
    once = replay(sample, speed=0)
    try:
        heard.extend(once)
    except VesselogError as error:
        ended = (type(error), error.message)
    assert heard == stored
    assert ended == expected
    assert once.completion == call.completion()

    async def run() -> object:
        again: list[StreamChunk] = []
        try:
            async for chunk in replay(sample, speed="max"):
                again.append(chunk)  # noqa: PERF401 - kept when an error ends the loop
        except VesselogError as error:
            return again, (type(error), error.message)
        return again, None

    assert asyncio.run(run()) == (stored, expected)


def test_jq_reads_it(sample: Path) -> None:
    """Every line, and of the frames the exact payload, as the sum at the end says."""
    jq = shutil.which("jq")
    if jq is None:
        pytest.skip("jq is not installed (Debian: apt install jq)")
    count = subprocess.run([jq, "-s", "length", sample], capture_output=True, check=True)
    assert int(count.stdout) == len(lines(sample))
    payload = subprocess.run([jq, "-j", PAYLOAD, sample], capture_output=True, check=True).stdout
    end = lines(sample)[-1]
    assert len(payload) == end["bytes"]
    assert hashlib.sha256(payload).hexdigest() == end["sha256"]


def query(sql: str, *parameters: str) -> list[tuple]:
    with duckdb.connect() as database:
        return database.execute(sql, parameters).fetchall()


def test_duckdb_reads_it(sample: Path) -> None:
    """The same by SQL."""
    ((count,),) = query("select count(*) from read_json(?)", str(sample))
    assert count == len(lines(sample))
    raw = query("select raw from read_json(?) where type = 'frame' order by n", str(sample))
    payload = "".join(text for (text,) in raw).encode()
    end = "select outcome, bytes, sha256 from read_json(?) where type = 'end'"
    ((outcome, size, digest),) = query(end, str(sample))
    assert outcome == lines(sample)[-1]["outcome"]
    assert len(payload) == size
    assert hashlib.sha256(payload).hexdigest() == digest


def test_duckdb_reads_all_of_them_at_once() -> None:
    rows = query(
        "select filename, count(*) from read_json(?, filename = true, union_by_name = true) "
        "group by 1",
        f"{ROOT}/recordings/samples/*.jsonl",
    )
    assert {Path(name).name: count for name, count in rows} == {
        path.name: len(lines(path)) for path in SAMPLES
    }
