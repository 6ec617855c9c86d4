"""What holds for every test. Fixtures of one subject stand in that subject's file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from vesselog.vessels import BUILT_IN

# How long an example takes says more of the machine than of the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A developer's own keys, hosts and proxies: the tests of what reads them set them themselves.
PERSONAL = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "OLLAMA_", "OPENAI_")
READ = {
    name for vessel in BUILT_IN.values() for names in vessel.variables.values() for name in names
}


@pytest.fixture(autouse=True)
def _neutral_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in, where default recordings land, and nobody's environment."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name in READ or name.upper().startswith(PERSONAL):
            monkeypatch.delenv(name)
