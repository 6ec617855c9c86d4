"""Compares ways to record a test's model once: this library's fixture and other tools.

    pip install vcrpy pytest-recording; npm install @copilotkit/aimock
    AIMOCK=node_modules/.bin/llmock python scripts/compare_recorders.py

Each records the same scripted server through the same httpx client, and replays that. Prints the
table of docs/testing.md. The column of pytest-recording uses the function behind its marker
`vcr`, in its modes `rewrite` and `none`. A tool that is not installed is left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import httpx

from vesselog.testing.ground_truth import GroundTruth, Settings
from vesselog.testing.loopback import LoopbackServer

KEY = "sk-canary-0123456789abcdefghijklmnop"
COOKIE = "canary-of-a-cookie"
CHUNKS, GAP = 10, 0.05
REPLAYS = 50
PATIENCE = 30.0
CLIENT = httpx.Client(timeout=PATIENCE, trust_env=False)


class Model(BaseHTTPRequestHandler):
    """Streams ten chunks at a pace; cuts the stream, or stops in it, if the question says so."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        question = body["messages"][0]["content"]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("set-cookie", f"session={COOKIE}")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with suppress(OSError):  # the client was killed
            self.stream(question)

    def stream(self, question: str) -> None:
        """Send the body."""
        for number in range(CHUNKS):
            text = f"your key is {KEY}" if question == "key" and number == 0 else f"word{number} "
            delta: dict[str, Any] = {"content": text}
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            self.frame({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})
            if question == "cut" and number == 4:
                self.close_connection = True
                return
            if question == "hang" and number == 4:
                time.sleep(PATIENCE)
            time.sleep(GAP)
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self.frame({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})
        self.write(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def frame(self, event: dict[str, Any]) -> None:
        """Send an event."""
        self.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    def write(self, data: bytes) -> None:
        """Send a chunk of the body."""
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is called
        """Say nothing."""


def ask(url: str, question: str, *, told: bool = False) -> tuple[list[float], str]:
    """When each chunk came, in seconds since the request, and how the answer ended."""
    body = {
        "model": "m",
        "stream": True,
        "messages": [{"role": "user", "content": question}],
    }
    headers = {"authorization": f"Bearer {KEY}"}
    times: list[float] = []
    begun = time.perf_counter()
    try:
        address = f"{url}/chat/completions"
        with CLIENT.stream("POST", address, json=body, headers=headers) as answer:
            if answer.status_code != 200:
                return times, f"status {answer.status_code}"
            for line in answer.iter_lines():
                if '"content"' in line:
                    times.append(time.perf_counter() - begun)
                    if told:
                        print(len(times), flush=True)
    except Exception as error:  # noqa: BLE001 - each tool raises its own
        return times, type(error).__name__
    return times, "complete"


@contextmanager
def vesselog_fixture(folder: Path, model: str, name: str, mode: Any) -> Iterator[str]:
    """The fixture, without pytest around it."""
    os.environ["OPENAI_BASE_URL"] = f"{model}/v1"
    work = Path(tempfile.mkdtemp(dir=folder.parent))
    settings = Settings(speed=1.0 if name == "paced" else "max")
    truth = GroundTruth(folder / f"{name}.jsonl", mode, settings, work, lambda: LOOPBACK)
    yield truth.base_url("openai")
    truth.close(passed=True)


@contextmanager
def vcrpy(folder: Path, model: str, name: str, mode: Any) -> Iterator[str]:
    """A cassette, with the settings that one gets."""
    import vcr  # noqa: PLC0415 - may be missing

    record = "none" if mode == "none" else "all"
    matched = ["method", "path", "body"]
    with vcr.use_cassette(str(folder / f"{name}.yaml"), record_mode=record, match_on=matched):
        yield f"{model}/v1"


@contextmanager
def pytest_recording(folder: Path, model: str, name: str, mode: Any) -> Iterator[str]:
    """What a test with the marker `vcr` gets; only the address and the body must match."""
    from pytest_recording._vcr import use_cassette  # noqa: PLC0415 - has no other door

    config = {"match_on": ["method", "path", "body"]}
    nobody: Any = SimpleNamespace(hook=SimpleNamespace(pytest_recording_configure=lambda **_: None))
    with use_cassette(name, str(folder), mode, [], config, nobody):
        yield f"{model}/v1"


@contextmanager
def aimock(folder: Path, model: str, name: str, mode: Any) -> Iterator[str]:
    """The mock server, in a process of its own."""
    fixtures = folder / name
    fixtures.mkdir(parents=True, exist_ok=True)
    port = free_port()
    speed = "1" if name == "paced" else "1000"
    command = [os.environ["AIMOCK"], "-p", str(port), "-f", str(fixtures), "--replay-speed", speed]
    command += ["--log-level", "silent"]
    if mode != "none":
        command += ["--record", "--provider-openai", model]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as server:  # noqa: S603
        PROCESSES.append(server)
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                break
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def free_port() -> int:
    """A port that nobody listens on."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_address[1]


def content(folder: Path, name: str) -> str:
    """All that was written for a recording."""
    files = [path for path in folder.rglob("*") if path.is_file() and name in str(path)]
    return "".join(path.read_text("utf-8", "replace") for path in files)


def killed(tool: str, work: Path, model: str) -> str:
    """What is on the disk of a recording that was killed after the third chunk."""
    folder = work / "killed/recorded"
    folder.mkdir(parents=True)
    child = [sys.executable, __file__, "hang", tool, str(folder), model]
    with subprocess.Popen(child, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        for line in process.stdout or ():
            if line.strip() == "3":
                break
        if tool == "aimock":
            os.kill(int((folder.parent / "pid").read_text()), 9)
        process.kill()
    # This library records to the test's temporary folder first.
    found = content(folder.parent, "")
    kept = sum(f"word{number}" in found for number in range(CHUNKS))
    return f"{kept} chunks" if kept else "nothing"


def row(tool: str, folder: Path, model: str) -> list[str]:
    """A tool's column."""
    record = globals()[tool]
    for name in ("paced", "cut", "key"):
        with record(folder, model, name, "rewrite") as url:
            times, _ = ask(url, name)
            if name == "paced":
                live = f"{len(times)} chunks in {(times[-1] - times[0]) * 1e3:.0f} ms"
    with record(folder, model, "paced", "none") as url:
        times, _ = ask(url, "paced")
        paced = f"{len(times)} chunks in {(times[-1] - times[0]) * 1e3:.0f} ms"
    with record(folder, model, "cut", "none") as url:
        times, end = ask(url, "cut")
        cut = f"{len(times)} chunks, {end}"
    held = content(folder, "key")
    places = {"key": KEY, "cookie": COOKIE}
    secrets = ", ".join(name for name, value in places.items() if value in held) or "none"
    spans: list[float] = []
    with ExitStack() as stack:
        if tool == "aimock":  # one server for all tests
            url = stack.enter_context(record(folder, model, "key", "none"))
        for _ in range(REPLAYS):
            begun = time.perf_counter()
            if tool == "aimock":
                ask(url, "key")
            else:
                with record(folder, model, "key", "none") as own:
                    ask(own, "key")
            spans.append(time.perf_counter() - begun)
    each = f"{median(spans) * 1e3:.1f} ms"
    return [live, paced, cut, secrets, killed(tool, folder.parent, model), each]


TOOLS = {
    "vesselog_fixture": "`ground_truth`",
    "vcrpy": "vcrpy",
    "pytest_recording": "pytest-recording",
    "aimock": "aimock",
}
ROWS = (
    "while recording, the client gets (sent: 10 chunks in 450 ms)",
    "replayed at the recorded pace, it gets",
    "an answer cut after 5 chunks, replayed",
    "secrets in the file (of: the key, which the answer repeats; a cookie)",
    "on the disk after kill -9 at chunk 3",
    "time of a replay at full speed (median of 50)",
)
LOOPBACK = LoopbackServer()
PROCESSES: list[Any] = []


def main() -> None:
    """Print the table."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    model = f"http://127.0.0.1:{server.server_address[1]}"
    columns: dict[str, list[str]] = {}
    with ExitStack() as stack:
        stack.callback(server.shutdown)
        stack.callback(LOOPBACK.close)
        for tool, name in TOOLS.items():
            if tool == "aimock" and "AIMOCK" not in os.environ:
                continue
            work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder = work / "recorded"
            folder.mkdir()
            try:
                columns[name] = row(tool, folder, model)
            except ImportError as missing:
                print(missing, file=sys.stderr)
    print(f"| | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for number, title in enumerate(ROWS):
        print(f"| {title} | {' | '.join(column[number] for column in columns.values())} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["hang"]:
        tool, folder, model = sys.argv[2], Path(sys.argv[3]), sys.argv[4]
        with globals()[tool](folder, model, "hang", "rewrite") as address:
            if PROCESSES:
                (folder.parent / "pid").write_text(str(PROCESSES[0].pid))
            ask(address, "hang", told=True)
    else:
        main()
