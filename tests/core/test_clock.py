"""Wall-clock times as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vesselog.core.clock import parse_timestamp, timestamp


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_timestamp_reads_back(wall: int) -> None:
    assert parse_timestamp(timestamp(wall)) == wall


@pytest.mark.parametrize(
    "text", [None, 5, "", "yesterday", "2027-01-15T08:00:00", "10000-01-01T00:00:00Z"]
)
def test_anything_else_is_no_timestamp(text: object) -> None:
    assert parse_timestamp(text) is None
