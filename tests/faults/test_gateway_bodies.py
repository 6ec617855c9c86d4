"""Every captured body passes the gateway byte for byte, and is in the recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus import MISSING
from passing_bodies import BODIES, not_passed
from reporting import Figure

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.mark.parametrize("stream", [True, False])
def test_every_body_passes_byte_for_byte(tmp_path: Path, figure: Figure, *, stream: bool) -> None:
    assert not_passed(BODIES, tmp_path, stream=stream) == []
    figure(f"{len(BODIES)} captured bodies passed byte for byte")
