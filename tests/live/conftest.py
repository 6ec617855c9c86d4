"""The real servers for the live tests. They are started once, on free ports.

If the variables that name the servers' folders are not set, the tests that need a server are
skipped with that reason.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from asking import Ask, Place
from chromium import chromium
from model_servers import (
    LLAMA_VARIABLE,
    OLLAMA_VARIABLE,
    ModelServer,
    install_folder,
    run_llama,
    run_ollama,
)
from vesselog.vessels.ollama import Ollama
from vesselog.vessels.openai import OpenAI

Llama = Callable[[str], ModelServer]


def _installed(variable: str) -> Path:
    try:
        return install_folder(variable)
    except LookupError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def npm_folder() -> Path:
    """Where the packages of browsers and the JavaScript SDKs were installed."""
    folder = os.environ.get("VESSELOG_NPM_DIR")
    if folder is None or shutil.which("node") is None:
        pytest.skip("VESSELOG_NPM_DIR names no folder with the packages, or there is no node")
    return Path(folder)


@pytest.fixture(scope="session")
def ollama_folder() -> Path:
    return _installed(OLLAMA_VARIABLE)


@pytest.fixture(scope="session")
def llama_folder() -> Path:
    return _installed(LLAMA_VARIABLE)


@pytest.fixture(scope="session")
def ollama(ollama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """An Ollama server with all models."""
    with run_ollama(ollama_folder, tmp_path_factory.mktemp("ollama") / "log") as server:
        yield server


@pytest.fixture(scope="session")
def llama(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Llama]:
    """Returns the llama-server for a model, which is started on the first use."""
    running: dict[str, ModelServer] = {}
    logs = tmp_path_factory.mktemp("llama")
    with ExitStack() as stack:

        def of_model(model: str) -> ModelServer:
            if model not in running:
                server = run_llama(llama_folder, model, logs / f"{model}.log")
                running[model] = stack.enter_context(server)
            return running[model]

        yield of_model


@pytest.fixture
def own_ollama(ollama_folder: Path, tmp_path: Path) -> Iterator[ModelServer]:
    """An Ollama server that a test may kill."""
    with run_ollama(ollama_folder, tmp_path / "ollama.log") as server:
        yield server


@pytest.fixture
def own_llama(llama_folder: Path, tmp_path: Path) -> Iterator[ModelServer]:
    """A llama-server with the model `endless` and one slot that a test may kill."""
    with run_llama(llama_folder, "endless", tmp_path / "llama.log", slots=1) as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, tmp_path: Path) -> Ask:
    """Runs the test with the sync client, then with the async client."""
    return Ask(request.param, tmp_path / "recordings")


@pytest.fixture(params=[True, False], ids=["stream", "body"])
def streamed(request: pytest.FixtureRequest) -> bool:
    """Runs the test with a stream, then with a whole answer."""
    return bool(request.param)


@pytest.fixture(params=["ollama", "ollama-v1", "llama"])
def place(request: pytest.FixtureRequest) -> Place:
    """Runs the test with Ollama's own API, with Ollama's /v1, and with llama-server."""
    if request.param == "llama":
        of_model: Llama = request.getfixturevalue("llama")
        return Place("llama", lambda model: OpenAI(base_url=of_model(model).url))
    server: ModelServer = request.getfixturevalue("ollama")
    if request.param == "ollama":
        return Place("ollama", lambda model: Ollama(base_url=server.url))
    return Place("ollama-v1", lambda model: OpenAI(base_url=f"{server.url}/v1"))
