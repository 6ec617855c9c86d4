"""The pytest plugin: one fixture. pytest loads it in every run where vesselog is installed.

The kit itself is imported when a test uses the fixture.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .kit import Conformance

__all__ = ["conformance"]


@pytest.fixture
def conformance(tmp_path: Path) -> Conformance:
    """Tests a vessel: `conformance(vessel, "tests/bodies")`."""
    from .kit import Conformance  # noqa: PLC0415 - loaded only where it is used

    return Conformance(tmp_path)
