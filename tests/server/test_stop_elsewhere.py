"""Stopping what another process writes; the whole way is in test_session_routes.py."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from vesselog.server import stop_elsewhere as stopping
from vesselog.server.stop_elsewhere import stop_elsewhere, stoppable


async def test_nobody_stops_it_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_PATIENCE", 0.05)
    assert not await stop_elsewhere(tmp_path / "s.jsonl")
    assert list((tmp_path / ".stop").iterdir()) == []


async def test_who_may_not_write_to_the_folder_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / ".stop").write_text("a file is in the way", "utf-8")
    assert not await stop_elsewhere(tmp_path / "s.jsonl")


async def test_nothing_looks_while_nothing_is_sent() -> None:
    with stoppable(object()):
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_cannot_be_removed_from_the_folder_is_in_nobodys_way(tmp_path: Path) -> None:
    folder = tmp_path / ".stop"
    for number in range(50):
        (folder / f"stale-{number}").mkdir(parents=True)
        os.utime(folder / f"stale-{number}", (0, 0))
    (folder / "s").touch()
    assert stopping._asked(folder) == ["s"]
