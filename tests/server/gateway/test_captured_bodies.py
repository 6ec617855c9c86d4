"""Captured bodies pass the gateway byte for byte, and are in the recording.

All of them, streamed and whole: tests/faults/test_gateway_bodies.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus import MISSING
from passing_bodies import BODIES, not_passed

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def test_a_body_passes_byte_for_byte(tmp_path: Path) -> None:
    sample = list(BODIES)[::15]
    assert len(sample) > 30
    assert not_passed(sample, tmp_path, stream=True) == []
