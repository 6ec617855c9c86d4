"""What holds for every test. Fixtures of one subject stand in that subject's file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# A developer's own keys, hosts and proxies: the tests of what reads them set them themselves.
PERSONAL = ("AZURE_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "OLLAMA_", "OPENAI_")


@pytest.fixture(autouse=True)
def _neutral_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in, where default recordings land, and nobody's environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith(PERSONAL)]:
        monkeypatch.delenv(name)
