"""What any test may use. Fixtures of one subject stand in that subject's file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def pyproject(checkout: Path) -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))
