"""Session names."""

from __future__ import annotations

import pytest

from vesselog import SessionNameError
from vesselog.core.truth.session_names import (
    check_session_name,
    new_session_name,
    time_in_name,
)

NOON = 1_800_000_000_123_456


@pytest.mark.parametrize("name", ["a", "chat-42", "A.b_c-9", "...", ".a", "x" * 128])
def test_plain_names_are_taken(name: str) -> None:
    assert check_session_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 129, "../x", "a/b", "a\\b", "a b", "a\n", "ä", "a\0", "a:b", "a*", ".", ".."]
)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(SessionNameError, match="session name"):
        check_session_name(name)


def test_generated_names_begin_with_the_time_and_do_not_repeat() -> None:
    names = {new_session_name(NOON) for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("20270115T080000Z-") and len(name) == 49 for name in names)
    assert all(check_session_name(name) for name in names)


def test_a_generated_name_tells_its_second() -> None:
    assert time_in_name(new_session_name(NOON)) == NOON // 1_000_000 * 1_000_000


@pytest.mark.parametrize("name", ["chat-42", "20271315T080000Z-" + "0" * 32, "20270115T080000Z-x"])
def test_any_other_name_tells_no_time(name: str) -> None:
    assert time_in_name(name) is None
