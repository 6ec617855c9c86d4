"""Session names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesselog import SessionNameError
from vesselog.core.truth.names import check_session_name, new_session_name, timestamp, wall_of

NOON = 1_800_000_000_123_456


@pytest.mark.parametrize("name", ["a", "chat-42", "A.b_c-9", "x" * 128])
def test_plain_names_are_taken(name: str) -> None:
    assert check_session_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 129, "../x", "a/b", "a\\b", "a b", "a\n", "ä", "a\0", "a:b", "a*"]
)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(SessionNameError, match="session name"):
        check_session_name(name)


def test_generated_names_begin_with_the_time_and_do_not_repeat() -> None:
    names = {new_session_name(NOON) for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("20270115T080000Z-") and len(name) == 49 for name in names)
    assert all(check_session_name(name) for name in names)


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_timestamp_reads_back(wall: int) -> None:
    assert wall_of(timestamp(wall)) == wall


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "2027-01-15T08:00:00"])
def test_anything_else_is_no_timestamp(text: object) -> None:
    assert wall_of(text) is None
