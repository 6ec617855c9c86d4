"""A writer wakes the followers of its own process, and costs nothing where there are none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from sessions import record, request, step, write
from vesselog import follow
from vesselog.core.truth import appender
from vesselog.core.truth.session import Session
from vesselog.core.truth.wake import FOLLOWED


def test_without_followers_a_writer_asks_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender, "wake_followers", lambda _: pytest.fail("nobody follows"))
    assert FOLLOWED == {}
    record(tmp_path)


def test_followers_of_another_file_are_not_woken(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    write(writer, [step(0)])
    chunks = iter(follow(session.path))
    next(chunks)
    (told,) = FOLLOWED.values()
    woken: list[int] = []
    FOLLOWED[next(iter(FOLLOWED))] = lambda: SimpleNamespace(told=woken.append)
    try:
        record(tmp_path, "b")
        assert woken == []
        write(writer, [step(1)])
        assert woken == [session.path.stat().st_size]
    finally:
        FOLLOWED[next(iter(FOLLOWED))] = told
    writer.end("complete")
    session.close()
    assert len(list(chunks)) == 1
    assert FOLLOWED == {}


def test_a_file_is_followed_by_whatever_name(tmp_path: Path) -> None:
    """A link leads to the same file, whose writer knows it by another path."""
    session = Session.open(tmp_path / "real", "a")
    writer = session.begin(request())
    write(writer, [step(0)])
    (tmp_path / "link").symlink_to(tmp_path / "real")
    chunks = iter(follow(tmp_path / "link/a.jsonl"))
    next(chunks)
    other = iter(follow(session.path))
    next(other)
    assert len(FOLLOWED) == 1
    writer.end("complete")
    session.close()
    assert list(chunks) == list(other) == []
