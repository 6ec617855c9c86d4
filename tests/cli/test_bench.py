"""`vesselog bench`: results come from the recordings, and every client records the same calls."""

from __future__ import annotations

import json
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import pytest

from commands import command, json_lines, start
from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from vesselog import Recording, VesselogError, verify
from vesselog.cli import main
from vesselog.cli.bench_clients import ASYNC_CLIENTS, NEEDS, SYNC_CLIENTS
from vesselog.cli.bench_results import ClientResults, ResourceUse, percentile
from warm_python import Popen

INSTALLED = [
    client
    for client in (*SYNC_CLIENTS, *ASYNC_CLIENTS)
    if client not in NEEDS or find_spec(NEEDS[client]) is not None
]
USED = ResourceUse(cpu=0.5, wall=2.0, threads=1, memory_before=1000, memory=3000)


def good(talk: Conversation) -> None:
    talk.answer("Hel", "lo")


def refused(talk: Conversation) -> None:
    talk.whole(b'{"error":"busy"}', status=503)


def cut(talk: Conversation) -> None:
    talk.begin()
    talk.chunk(talk.frames("Hel", "lo")[0])
    talk.cut()


class Bench(Protocol):
    def __call__(
        self, server: LoopbackServer, *arguments: str, model: str = "ollama/m"
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    """`vesselog bench` in this process; each client has a process of its own, as always."""
    monkeypatch.setattr("vesselog.cli.bench.subprocess.Popen", Popen)

    def bench(
        server: LoopbackServer, *arguments: str, model: str = "ollama/m"
    ) -> subprocess.CompletedProcess[str]:
        line = ["bench", model, "Hi", "--base-url", server.url, *arguments]
        return subprocess.CompletedProcess(line, main(line), *capsys.readouterr())

    return bench


def test_one_client_is_printed_as_percentiles() -> None:
    with LoopbackServer([good]) as server:
        done = command("bench", "ollama/m", "Hi", "--base-url", server.url, "-n", "2", "-r", "2")
    assert done.returncode == 0
    headings, *rows, _empty, streams, total, machine = done.stdout.splitlines()
    assert headings.split() == ["P50", "P95", "P99", "WORST"]
    assert [row.split("  ")[0] for row in rows] == [
        "time to first chunk",
        "time between chunks",
        "whole answer",
        "tokens/s of a stream (provider)",
    ]
    assert rows[-1].split()[-4:] == ["2000.0"] * 4
    assert streams == "4 streams (2 at once, 2 rounds): 4 × complete · HTTP 4 × 200"
    assert total.startswith("12 chunks, 8 tokens in ")
    assert "in one event loop · memory " in machine
    assert [request.json["messages"][0]["content"] for request in server.requests] == ["Hi"] * 7


def test_progress_and_the_path_go_to_stderr(bench: Bench) -> None:
    with LoopbackServer([good]) as server:
        done = bench(server, "-n", "1", "-r", "2")
    warm_up, first, second, place = done.stderr.splitlines()
    assert warm_up.startswith("warm-up: 3 frames in ")
    assert first.startswith("round 1 of 2, vesselog-async: ")
    assert second.startswith("round 2 of 2, vesselog-async: ")
    assert place.startswith("recorded in recordings/bench-")
    assert "\r" not in done.stderr


@pytest.mark.parametrize("model", ["ollama/m", "openai/m"])
def test_every_client_streams_and_records(bench: Bench, model: str) -> None:
    with LoopbackServer([good]) as server:
        done = bench(server, "--compare", "-n", "3", "-r", "1", "--json", model=model)
    assert done.returncode == 0, done.stderr
    told = {figures["client"]: figures for figures in json_lines(done.stdout)}
    assert list(told) == INSTALLED
    for client, figures in told.items():
        assert figures["statuses"] == {"200": 3}
        assert figures["outcomes"] == {"complete": 3}
        assert figures["threads"] == (3 if client in SYNC_CLIENTS else 1)
        (path,) = map(Path, figures["recordings"])
        assert verify(path).ok
        assert [call.completion().text for call in Recording(path).calls()] == ["Hello"] * 3
    (warm_ups,) = Path("recordings").glob("*-warm-up.jsonl")
    first, *left = Recording(warm_ups).calls()
    assert first.outcome == "complete"
    # An answer that came in one read is complete, though nobody wanted more of it.
    assert {call.outcome for call in left} <= {"cancelled", "complete"}
    assert len(left) == len(INSTALLED)
    assert verify(warm_ups).ok


def test_failures_are_counted_by_kind_and_not_tried_again(bench: Bench) -> None:
    each = [good, refused, cut, Conversation.reset]
    with LoopbackServer([good, *(each * len(INSTALLED))]) as server:
        done = bench(server, "--compare", "-n", "3", "-r", "1", "--json")
    assert done.returncode == 1, done.stderr
    for figures in json_lines(done.stdout):
        assert figures["errors"] == {
            "ProviderError (503)": 1,
            "ConnectionFailedError (body)": 1,
            "ConnectionFailedError (response)": 1,
        }, figures["client"]
        assert figures["streams"] == 3
        assert figures["whole"] is None
    assert len(server.requests) == 1 + len(each) * len(INSTALLED)


@pytest.mark.parametrize("client", NEEDS)
def test_a_client_that_is_not_installed_is_skipped_and_named(
    client: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vesselog.cli.bench.find_spec", lambda module: None)
    assert main(["bench", "ollama/m", "--client", client]) == 2
    skipped, why = capsys.readouterr().err.splitlines()
    assert skipped.startswith(
        f"SKIPPED {client}: {NEEDS[client]} is not installed; install it with `pip "
    )
    assert why.startswith("vesselog: none of the chosen clients is installed: run `pip install ")


def test_failures_are_printed_in_the_text_output_too(bench: Bench) -> None:
    with LoopbackServer([good, good, refused]) as server:
        done = bench(server, "-n", "2", "-r", "1")
    assert done.stdout.splitlines()[-1] == "2 × ProviderError (503)"
    assert "HTTP 2 × 503" in done.stdout


def test_clients_take_turns_and_another_begins_each_round(bench: Bench) -> None:
    names = ["httpx-sync", "httpx-async"]
    with LoopbackServer([good]) as server:
        done = bench(
            server, *(word for name in names for word in ("--client", name)), "-n", "1", "-r", "2"
        )
    turns = [line.split(":")[0].rpartition(" ")[2] for line in done.stderr.splitlines()[1:-1]]
    assert turns == ["httpx-sync", "httpx-async", "httpx-async", "httpx-sync"]
    headings, *rows = done.stdout.splitlines()
    assert headings.startswith("CLIENT ")
    assert [row.split()[0] for row in rows] == names
    assert [row.split()[4] for row in rows] == ["2/2", "2/2"]


def test_a_model_that_is_missing_is_found_by_the_warm_up(bench: Bench) -> None:
    with LoopbackServer([lambda talk: talk.whole(b'{"error":"not found"}', status=404)]) as server:
        done = bench(server)
    assert done.returncode == 4
    assert done.stdout == ""
    assert "ollama has not pulled 'm'" in done.stderr or "not found" in done.stderr
    assert [request.path for request in server.requests if request.method == "POST"] == [
        "/api/chat"
    ]


def test_the_request_is_as_asked(bench: Bench) -> None:
    with LoopbackServer([good]) as server:
        options = ("--generate", "--max-tokens", "7", "-o", "temperature=0")
        bench(server, *options, "-n", "1", "-r", "1", "--client", "httpx-sync")
    assert {request.path for request in server.requests} == {"/api/generate"}
    bodies = [request.json for request in server.requests]
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0]["prompt"] == "Hi"
    assert bodies[0]["options"] == {"num_predict": 7, "temperature": 0}


def test_no_key_is_in_an_argument_or_a_recording(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-0123456789abcdef0123456789"
    monkeypatch.setenv("BENCH_KEY", key)
    with LoopbackServer([good]) as server:
        arguments = ("-n", "1", "-r", "1", "--client", "httpx-async", "--api-key-env", "BENCH_KEY")
        done = bench(server, *arguments, model="openai/m")
    assert done.returncode == 0
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {key}"}
    assert not any(key in path.read_text() for path in Path("recordings").iterdir())


@pytest.mark.parametrize(
    ("client", "number", "status"),
    [
        ("httpx-async", signal.SIGINT, 130),
        ("vesselog-async", signal.SIGINT, 130),
        ("vesselog-async", signal.SIGTERM, 143),
    ],
)
def test_a_signal_ends_the_streams_and_tells_what_was_measured(
    client: str, number: signal.Signals, status: int
) -> None:
    def endless(talk: Conversation) -> None:
        talk.begin()
        talk.chunk(talk.frames("Hel", "lo")[0])
        talk.wait_for_hangup()

    with LoopbackServer([good, good, good, good, endless]) as server:
        process = start(
            *("bench", "ollama/m", "Hi", "--base-url", server.url),
            *("--client", client, "-n", "1", "-r", "2", "--json"),
        )
        server.wait_until(lambda: len(server.requests) == 5)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, err.decode()
    (figures,) = json_lines(out.decode())
    assert figures["streams"] == 1
    assert b"Traceback" not in err
    (path,) = Path("recordings").glob(f"*{client}-2.jsonl")
    assert [call.outcome for call in Recording(path).calls()] == ["cancelled"]


def test_a_share_is_the_value_that_so_many_reach() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(share, values) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    rates = [percentile(share, values, more_is_better=True) for share in (0.5, 0.95, 1.0)]
    assert rates == [51, 6, 1]
    assert percentile(0.5, [3.0]) == 3


def lines(*fields: dict[str, object]) -> str:
    header = {"type": "session", "vesselog": 1, "session": "s", "meta": {}}
    numbered = [{"n": number, **each} for number, each in enumerate(fields, 1)]
    return "".join(json.dumps(each) + "\n" for each in [header, *numbered])


def test_figures_come_from_the_recorded_times(tmp_path: Path) -> None:
    """Two overlapping calls: one complete, one truncated."""
    path = tmp_path / "s.jsonl"
    one = {"seq": 0, "text": "a"}
    two = [{"seq": 1, "text": "b"}, {"seq": 2, "text": "c"}]
    metrics = {"clock_output_tokens_per_second": 12.0}
    error = {"type": "TruncatedError", "phase": "body"}
    path.write_text(
        lines(
            {"type": "request", "call": 1, "t": 0},
            {"type": "request", "call": 2, "t": 100_000},
            {"type": "response", "call": 1, "t": 150_000, "status": 200},
            {"type": "frame", "call": 1, "t": 200_000, "raw": ": hi\n\n"},
            {"type": "frame", "call": 1, "t": 250_000, "raw": "a", "chunks": [one]},
            {"type": "frame", "call": 2, "t": 300_000, "raw": "a", "chunks": [one]},
            {"type": "frame", "call": 1, "t": 450_000, "raw": "bc", "chunks": two},
            {
                "type": "end",
                "call": 1,
                "t": 500_000,
                "outcome": "complete",
                "usage": {"output_tokens": 3},
                "metrics": metrics,
            },
            {"type": "end", "call": 2, "t": 600_000, "outcome": "truncated", "error": error},
        )
    )
    results = ClientResults()
    results.add(path, USED)
    assert (results.first, results.gaps, results.whole) == ([0.25, 0.2], [0.2, 0.0], [0.5])
    assert (results.rates, results.by_provider) == ([12.0], False)
    assert (results.streams, results.chunks, results.tokens, results.spans) == (2, 4, 3, [0.6])
    assert results.tokens_per_second == 5.0
    record = results.record()
    assert record["errors"] == {"TruncatedError (body)": 1}
    assert record["outcomes"] == {"complete": 1, "truncated": 1}
    assert (record["peak_bytes"], record["streams_bytes"]) == (3000, 2000)


def test_a_recording_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VesselogError):
        ClientResults().add(tmp_path / "none.jsonl", USED)
