"""Makes the recordings in recordings/samples; scripts/record runs it.

Each sample is one call, recorded with this library from a real server on its usual port. It is
verified before it replaces the previous one. Nothing in a sample is edited, not even its times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_servers import (
    LLAMA_VARIABLE,
    OLLAMA_VARIABLE,
    WEATHER,
    ModelServer,
    install_folder,
    run_llama,
    run_ollama,
)
from vesselog import Client, Retries, VesselogError, verify
from vesselog.core.vessel import Vessel
from vesselog.vessels.ollama import Ollama
from vesselog.vessels.openai import OpenAI

SAMPLES = Path(__file__).resolve().parents[1] / "recordings/samples"
OLLAMA_PORT, LLAMA_PORT = 11434, 8080
CUT_AFTER = 20  # chunks

# The tiny models answer in a twentieth of a second. This many extra layers, which do not change the
# answer, make a model as slow per token as a useful one.
LAYERS = 90


@dataclass(frozen=True)
class Sample:
    """One recording to make.

    server: "ollama" or "llama". address: vessel and model. request: its fields. outcome: how the
    call must end. cut: what is done to the server or the stream after some chunks. deep: use a
    model with many layers, so that the answer comes at the pace of a useful model.
    """

    name: str
    server: str
    address: str
    request: dict[str, Any]
    outcome: str = "complete"
    cut: Callable[[ModelServer, Any], None] | None = None
    deep: bool = False

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.address.partition("/")[2]


def _chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": text, **fields}


def _kill(server: ModelServer, _stream: Any) -> None:
    server.kill()


def _kill_model(server: ModelServer, _stream: Any) -> None:
    server.kill_model()


def _cancel(_server: ModelServer, stream: Any) -> None:
    stream.cancel()


STORY = _chat("Tell me a story.")
HELLO = _chat("Hello!")
ON_AND_ON = _chat("Count, and never stop.")
TOOL = _chat("What is the weather in Zürich?", tools=[WEATHER])

ALL = (
    Sample("ollama-story", "ollama", "ollama/story", STORY, deep=True),
    Sample("ollama-think", "ollama", "ollama/think", {**HELLO, "think": True}),
    Sample("ollama-tool", "ollama", "ollama/tool", TOOL),
    Sample("ollama-generate", "ollama", "ollama/story", {"prompt": "Once upon a time"}),
    Sample("ollama-cancelled", "ollama", "ollama/endless", ON_AND_ON, "cancelled", _cancel),
    Sample("ollama-error", "ollama", "ollama/endless", ON_AND_ON, "error", _kill_model),
    Sample("ollama-truncated", "ollama", "openai/endless", ON_AND_ON, "truncated", _kill_model),
    Sample("llama-story", "llama", "openai/story", STORY),
    Sample("llama-think", "llama", "openai/think", HELLO, deep=True),
    Sample("llama-tool", "llama", "openai/tool", TOOL),
    Sample("llama-killed", "llama", "openai/endless", ON_AND_ON, "error", _kill),
)


def main(names: list[str]) -> int:
    """Make the samples with these names, or all of them; returns the exit status."""
    unknown = sorted(set(names) - {sample.name for sample in ALL})
    if unknown:
        listed = " ".join(sample.name for sample in ALL)
        print(f"no sample is named {' '.join(unknown)}; there are: {listed}", file=sys.stderr)
        return 2
    SAMPLES.mkdir(exist_ok=True)
    for sample in ALL:
        if not names or sample.name in names:
            with tempfile.TemporaryDirectory() as folder:
                _make(sample, Path(folder))
    return 0


def _make(sample: Sample, folder: Path) -> None:
    with _server(sample, folder / "server.log") as server:
        base_url = f"{server.url}/v1" if sample.address.startswith("openai/") else server.url
        vessel: Vessel = (OpenAI if base_url.endswith("/v1") else Ollama)(base_url=base_url)
        with Client(
            recordings=folder,
            vessels={vessel.name: vessel},
            retries=Retries(count=0),
            environment={},
        ) as client:
            if sample.deep:  # so that the sample does not include the time to load the model
                client.complete(sample.address, session="warm-up", **sample.request)
            stream = client.stream(sample.address, session=sample.name, **sample.request)
            chunks = 0
            try:
                with stream:
                    for _chunk in stream:
                        chunks += 1
                        if sample.cut is not None and chunks == CUT_AFTER:
                            sample.cut(server, stream)
            except VesselogError as error:
                print(f"{sample.name}: {type(error).__name__}: {error}")
    path = folder / f"{sample.name}.jsonl"
    report = verify(path)
    if not report.ok or stream.outcome != sample.outcome:
        raise RuntimeError(f"{sample.name}: {stream.outcome}, {report.findings}")
    made = SAMPLES / path.name
    made.write_bytes(path.read_bytes())
    print(f"{sample.name}: {stream.outcome}, {report.chunks} chunks, {made.stat().st_size} bytes")


@contextmanager
def _server(sample: Sample, log: Path) -> Iterator[ModelServer]:
    variable = OLLAMA_VARIABLE if sample.server == "ollama" else LLAMA_VARIABLE
    folder = install_folder(variable)
    if sample.deep:
        folder = _with_deep_model(folder, sample.model, log.parent / "server")
    if sample.server == "ollama":
        with run_ollama(folder, log, OLLAMA_PORT) as server:
            yield server
    else:
        with run_llama(folder, sample.model, log, LLAMA_PORT) as server:
            yield server


def _with_deep_model(installed: Path, model: str, folder: Path) -> Path:
    """Make a copy of the server's folder whose only model has many layers."""
    maker = os.environ.get("VESSELOG_MODEL_MAKER", "")
    if not os.access(maker, os.X_OK):
        raise LookupError("VESSELOG_MODEL_MAKER must name ../shared/servers/make-models")
    folder.mkdir()
    for part in ("bin", "venv"):
        (folder / part).symlink_to(installed / part)
    for script in ("load-models", "serve"):
        if (installed / script).exists():
            text = (installed / script).read_text().replace(f"{installed}/home", f"{folder}/home")
            (folder / script).write_text(text)
            (folder / script).chmod(0o755)
    deeper = folder / "deeper"
    deeper.write_text(f'#!/bin/sh\nexec "{folder}/venv/bin/python" "$@" --layers {LAYERS}\n')
    deeper.chmod(0o755)
    subprocess.run(  # noqa: S603 - the program that scripts/record names
        [maker, model, folder / "models"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHON": str(deeper)},
    )
    return folder


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (LookupError, OSError) as error:
        sys.exit(f"scripts/record: {error}")
