"""Real model servers: an Ollama and a llama-server of one's own, started, waited for and ended.

They are found where `VESSELOG_OLLAMA_DIR` and `VESSELOG_LLAMA_DIR` say. In the one there are
`serve` and `load-models`, in the other `bin/llama-server` and `models/*.gguf`; both have the
models story, think, tool, endless, tiny and bytes. A server gets a process group of its own, which
ends with it: Ollama runs each model in a process that outlives a killed server.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ENDLESS",
    "GREETING",
    "LLAMA_VARIABLE",
    "OLLAMA_VARIABLE",
    "STORY",
    "THOUGHT",
    "WEATHER",
    "WEATHER_ASKED",
    "ModelServer",
    "free_port",
    "install_folder",
    "run_llama",
    "run_ollama",
]

OLLAMA_VARIABLE = "VESSELOG_OLLAMA_DIR"
LLAMA_VARIABLE = "VESSELOG_LLAMA_DIR"
_NEEDED = {
    OLLAMA_VARIABLE: ("Ollama", "serve", "install-ollama"),
    LLAMA_VARIABLE: ("llama-server", "bin/llama-server", "install-llama-server"),
}

# What the models say, at any prompt.
STORY = (
    "A vessel leaves the harbour at dawn. Every wave it meets goes into the log before anyone on "
    "deck hears of it, so whatever happens to the ship, the log tells the truth: where it sailed, "
    "how fast, and what it saw. Years later another crew can read the log aloud at the very same "
    "pace and live the voyage again. Gute Reise! 良い航海を ⛵"
)
THOUGHT = "The user says hello; I shall greet back."
GREETING = "Hello! Grüße aus Zürich 👋🏽 — 日本語もOK."
ENDLESS = (
    "An endless answer: one, two, three, four, five, six, seven, eight, nine, ten; and once more: "
)
WEATHER_ASKED = {"city": "Zürich", "unit": "C"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
            "required": ["city"],
        },
    },
}

# Both answer within a second; a busy machine gets a minute.
_TRIES, _PAUSE = 1200, 0.05
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def install_folder(variable: str) -> Path:
    """The folder that the variable names. Raises LookupError, which says how to get one."""
    name, program, installer = _NEEDED[variable]
    how = f"../shared/servers/{installer} DIR makes one; then set {variable}=DIR"
    value = os.environ.get(variable)
    if not value:
        raise LookupError(f"no {name}: {variable} is not set ({how})")
    folder = Path(value).resolve()
    if not os.access(folder / program, os.X_OK):
        raise LookupError(f"no {name}: there is no program {folder / program} ({how})")
    return folder


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@dataclass
class ModelServer:
    """A running server. log: what it has written."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End the server at once, as the system's out-of-memory killer would."""
        self.process.kill()
        self.process.wait()

    def kill_model(self) -> None:
        """End the processes that run Ollama's models; the server itself goes on."""
        children = _children(self.process.pid)
        if not children:
            raise RuntimeError(f"{self.url} runs no model")
        for child in children:
            os.kill(child, signal.SIGKILL)

    def stop(self) -> None:
        """End whatever is left of the server."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # nobody outlived it

    def get(self, path: str) -> bytes:
        """The body of a GET. Raises OSError for anything but a success."""
        with _DIRECT.open(self.url + path, timeout=10) as answer:
            body: bytes = answer.read()
        return body

    def wait_until_ready(self, path: str) -> None:
        """Return when `path` is answered; fail when the server ends before, or takes a minute."""
        for _ in range(_TRIES):
            if self.process.poll() is not None:
                break
            try:
                self.get(path)
            except (urllib.error.URLError, OSError):
                time.sleep(_PAUSE)
            else:
                return
        end = self.log.read_text("utf-8", "replace")[-2000:]
        raise RuntimeError(f"{self.url} never got ready; its log ends so:\n{end}")


@contextmanager
def run_ollama(folder: Path, log: Path, port: int | None = None) -> Iterator[ModelServer]:
    """An Ollama with all models in it. It runs one request per model at a time."""
    port = port or free_port()
    environment = {
        # Six small models at once; unused blobs may be another server's that is being filled.
        "OLLAMA_MAX_LOADED_MODELS": "6",
        "OLLAMA_NOPRUNE": "1",
        "OLLAMA_NUM_PARALLEL": "1",
    }
    with _running([folder / "serve", str(port)], port, log, environment) as server:
        server.wait_until_ready("/api/version")
        models = sorted(path.stem for path in (folder / "models").glob("*.gguf"))
        listed = server.get("/api/tags").decode()
        if not all(f'"{model}:latest"' in listed for model in models):
            load = [folder / "venv/bin/python", folder / "load-models", server.url]
            subprocess.run(load, check=True, capture_output=True, timeout=120)
        # Of models that were made in the same second, each list has another order.
        manifests = (folder / "home/models/manifests").rglob("latest")
        for second, manifest in enumerate(sorted(manifests), start=1_700_000_000):
            os.utime(manifest, (second, second))
        yield server


@contextmanager
def run_llama(
    folder: Path, model: str, log: Path, port: int | None = None, *, slots: int = 2
) -> Iterator[ModelServer]:
    """A llama-server with one model, for `slots` requests at a time."""
    port = port or free_port()
    program: list[str | Path] = [folder / "bin/llama-server"]
    program += ["-m", folder / f"models/{model}.gguf", "--alias", model]
    program += ["--host", "127.0.0.1", "--port", str(port), "-c", "2048", "-np", str(slots)]
    program += ["--jinja", "--no-warmup", "-t", "1"]
    with _running(program, port, log, {}) as server:
        server.wait_until_ready("/health")
        yield server


@contextmanager
def _running(
    program: list[str | Path], port: int, log: Path, environment: dict[str, str]
) -> Iterator[ModelServer]:
    # Another server's answer would be taken for this one's: the port must be free.
    socket.create_server(("127.0.0.1", port)).close()
    with log.open("wb") as file:
        process = subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    server = ModelServer(f"http://127.0.0.1:{port}", process, log)
    try:
        yield server
    finally:
        server.stop()


def _children(process: int) -> list[int]:
    """The processes that it started, by Linux's /proc (slim images have no `ps`)."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            _state, parent, *_ = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            if int(parent) == process:
                found.append(int(stat.parent.name))
    return found
