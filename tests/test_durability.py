"""Durability levels: nothing is promised that is not done."""

from __future__ import annotations

from pathlib import Path

import pytest

from vesselog import ConfigurationError
from vesselog.core.truth.session import Session


@pytest.mark.parametrize("level", ["interval", "power"])
def test_a_level_that_is_not_there_yet_is_refused(tmp_path: Path, level: str) -> None:
    with pytest.raises(ConfigurationError, match="not available yet") as caught:
        Session.open(tmp_path, durability=level)
    assert caught.value.setting == "durability"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="choose"):
        Session.open(tmp_path, durability="forever")
