"""Five tasks, done by following the pages literally in an environment that holds nothing else.

The wheel is built and found by the commands of the pages (`pip install "vesselog[server]"`); pip
takes everything else from PyPI. Model servers are a real Ollama, or scripted where a page shows
what the model says.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from loopback import Conversation, LoopbackServer
from model_servers import STORY, ModelServer, free_port
from page_servers import harbour, model
from pages import ROOT, blocks
from patience import PATIENCE
from vesselog import Recording, verify

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-P", "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    done = subprocess.run([*build, ROOT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Terminal:
    """A shell in a new environment and an empty folder."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        venv.create(folder / "environment", with_pip=True)
        self.folder = folder / "work"
        self.folder.mkdir()
        kept = ("HOME", "LANG", "PIP_INDEX_URL", "PIP_CACHE_DIR", "TMPDIR")
        self.variables = {name: os.environ[name] for name in kept if name in os.environ}
        self.variables["PATH"] = f"{folder}/environment/bin:{os.environ['PATH']}"
        self.variables["PIP_FIND_LINKS"] = str(wheels)

    def start(self, command: str, **variables: str) -> subprocess.Popen[str]:
        """Begin a command; it is a process group of its own."""
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str, **variables: str) -> str:
        """What a command prints; it must succeed."""
        process = self.start(command, **variables)
        try:
            said, _ = process.communicate(timeout=10 * PATIENCE)
        finally:
            end(process)
        assert process.returncode == 0, f"{command}\n{said}"
        return said

    def write(self, page: Path) -> list[str]:
        """Write the files that the page shows; returns their names."""
        names: list[str] = []
        for block in blocks("python", pages=[page]):
            if found := re.match(r"# (\w+\.py)\n", block.code):
                (self.folder / found[1]).write_text(block.code, "utf-8")
                names.append(found[1])
        return names


def end(process: subprocess.Popen[str]) -> None:
    """Stop a command with what it started, as Ctrl-C does."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    if process.stdout is not None:
        process.stdout.close()


@pytest.fixture
def terminal(tmp_path: Path, wheels: Path) -> Terminal:
    return Terminal(tmp_path, wheels)


@pytest.fixture
def page_ollama(ollama: ModelServer) -> Iterator[ModelServer]:
    """An Ollama that has the model of the pages."""
    copied = {"source": "story", "destination": "qwen3:1.7b"}
    with httpx.Client(base_url=ollama.url, timeout=PATIENCE, trust_env=False) as client:
        assert client.post("/api/copy", json=copied).is_success
        yield ollama
        client.request("DELETE", "/api/delete", json={"model": copied["destination"]})


def commands(page: str, *programs: str) -> list[str]:
    """The lines of the page's shell blocks that begin with one of these."""
    code = "".join(block.code for block in blocks("sh", pages=[ROOT / page]))
    return [line for line in code.splitlines() if line.startswith(programs)]


@contextmanager
def running(terminal: Terminal, command: str, **variables: str) -> Iterator[None]:
    """A server, from the moment in which it says that it is ready until the end of the block."""
    process = terminal.start(command, PYTHONUNBUFFERED="1", **variables)
    try:
        said: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if "running on" in line:
                break
        else:
            pytest.fail("".join(said))
        yield
    finally:
        end(process)


def chunks(events: str) -> list[str]:
    """The data of the events that are chunks."""
    return re.findall(r"^event: chunk\ndata: (.*)$", events, re.MULTILINE)


def test_a_backend_whose_answers_can_be_resumed(
    terminal: Terminal, page_ollama: ModelServer
) -> None:
    """A browser leaves in the middle, comes back, and has each chunk once."""
    page = ROOT / "docs/browser.md"
    assert terminal.write(page) == ["backend.py"]
    (install,) = commands("docs/browser.md", "pip")
    terminal.run(install)
    (serve,) = commands("docs/browser.md", "uvicorn")
    port = str(free_port())
    ask, resume = (
        each.replace(":8000", f":{port}") for each in commands("docs/browser.md", "curl")
    )
    with running(terminal, serve, UVICORN_PORT=port, OLLAMA_HOST=page_ollama.url):
        asking = terminal.start(ask)
        assert asking.stdout is not None
        seen = ""
        while len(chunks(seen)) < 3:
            line = asking.stdout.readline()
            assert line, seen
            seen += line
        end(asking)
        last = re.findall(r"^id: (.+)$", seen, re.MULTILINE)[-1]
        rest = terminal.run(resume.replace("curl", "curl -sS", 1), ID=last)
        stranger = resume.replace("x-user: ann", "x-user: bob").replace("curl", "curl -sS", 1)
        assert "no_session" in terminal.run(stranger, ID=last)
    (path,) = (terminal.folder / "recordings").glob("ann-*.jsonl")
    (call,) = Recording(path).calls()
    assert call.outcome == "complete"
    got = [json.loads(chunk) for chunk in chunks(seen) + chunks(rest)]
    assert [chunk["seq"] for chunk in got] == [chunk.seq for chunk in call.chunks()]
    assert "".join(chunk.get("text", "") for chunk in got).strip() == STORY
    assert "event: end" in rest


def test_an_agent_whose_thinking_goes_back(terminal: Terminal) -> None:
    """The server checks that thinking and signature come back as they were sent."""
    terminal.run("pip install vesselog")
    (code,) = [
        block.code
        for block in blocks("python", pages=[ROOT / "docs/tools.md"])
        if "anthropic/" in block.code
    ]
    (terminal.folder / "agent.py").write_text(code, "utf-8")
    with LoopbackServer([model]) as server:
        said = terminal.run(
            "python agent.py", ANTHROPIC_BASE_URL=server.url, ANTHROPIC_API_KEY="EMPTY"
        )
    assert said == "thought: The tide decides.\nYou may leave at 6:40.\n"
    paths = [*(terminal.folder / "recordings").glob("*.jsonl")]
    assert [verify(path).ok for path in paths] == [True, True]


def test_a_program_of_an_sdk_is_recorded_and_replayed(
    terminal: Terminal, page_ollama: ModelServer
) -> None:
    page = ROOT / "docs/gateway.md"
    assert terminal.write(page) == ["program.py"]
    assert '`pip install "vesselog[server]"`' in page.read_text("utf-8")
    terminal.run('pip install "vesselog[server]" openai')
    record, replay = [
        each for each in commands("docs/gateway.md", "vesselog serve") if "program.py" in each
    ]
    assert STORY in terminal.run(record, OLLAMA_HOST=page_ollama.url)
    (path,) = (terminal.folder / "recordings").glob("*.jsonl")
    assert verify(path).ok
    assert STORY in terminal.run(replay, OLLAMA_HOST="127.0.0.1:9")
    assert [*(terminal.folder / "recordings").glob("*.jsonl")] == [path]


def sky(conversation: Conversation) -> None:
    conversation.answer("Scattered ", "light.")


def test_programs_are_tested_without_a_model(terminal: Terminal) -> None:
    """The tests of the page: recorded once, then without any server."""
    page = ROOT / "docs/testing.md"
    terminal.write(page)
    (install,) = commands("docs/testing.md", "pip")
    terminal.run(install)
    assert "`asyncio_mode = auto` below `[pytest]` in `pytest.ini`" in page.read_text("utf-8")
    (terminal.folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", "utf-8")
    with LoopbackServer([sky] * 8) as server:
        assert "7 passed" in terminal.run("pytest -q", OLLAMA_HOST=server.url)
        asked = len(server.requests)
    assert asked == 5
    said = terminal.run("pytest -q", OLLAMA_HOST="127.0.0.1:9", CI="true")
    assert "7 passed" in said


def test_a_vessel_is_written_and_installed(terminal: Terminal) -> None:
    page = ROOT / "docs/writing-a-vessel.md"
    terminal.run("pip install vesselog")
    assert "`pip install pytest`" in page.read_text("utf-8")
    terminal.run("pip install pytest")
    script = "".join(block.code for block in blocks("sh", pages=[page]))
    with LoopbackServer([harbour]) as server:
        said = terminal.run(script, HARBOUR_URL=server.url)
    assert "3 passed" in said
    assert said.splitlines().count("Ship ahoy") == 2, "streamed, then replayed"
