"""What pytest loads in every run of whoever has vesselog installed: one fixture, and no more.

The kit itself is imported when a test asks for it.
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
    """Holds a vessel to what every vessel is held to: `conformance(vessel, "tests/bodies")`."""
    from .kit import Conformance  # noqa: PLC0415 - nothing is loaded for who does not ask

    return Conformance(tmp_path)
