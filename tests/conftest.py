"""What holds for every test. Fixtures of one subject stand in that subject's file."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from thorough import tries
from vesselog.vessels import BUILT_IN

# How long an example takes says more of the machine than of the code.
settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=tries(25, 100),
)
settings.load_profile("patient")

# A developer's own keys, hosts and proxies: the tests of what reads them set them themselves.
PERSONAL = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "OLLAMA_", "OPENAI_")
READ = {
    name for vessel in BUILT_IN.values() for names in vessel.variables.values() for name in names
}


def pytest_collection_finish() -> None:
    """What was collected stays to the end: `gc.collect()` need not go through it in each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _neutral_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's environment."""
    for name in list(os.environ):
        if name in READ or name.upper().startswith(PERSONAL):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _empty_working_folder(
    request: pytest.FixtureRequest, empty_folders: Callable[[], Path]
) -> Iterator[None]:
    """An empty folder to work in, where default recordings land: `tmp_path` if the test has one.

    Making a folder for each test takes longer than most tests, of which few write into it.
    """
    has_one = "tmp_path" in request.fixturenames
    with chdir(request.getfixturevalue("tmp_path") if has_one else empty_folders()):
        yield


@pytest.fixture(scope="session")
def empty_folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Gives an empty folder: the last one, if it still is."""
    folder = tmp_path_factory.mktemp("empty")

    def empty() -> Path:
        nonlocal folder
        if not folder.is_dir() or any(folder.iterdir()):
            folder = tmp_path_factory.mktemp("empty")
        return folder

    return empty
