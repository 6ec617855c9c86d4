"""Numbers of bytes, formatted for people."""

from __future__ import annotations

import pytest

from vesselog.cli.format_bytes import format_bytes


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (3_140, "3.1 kB"),
        (999_940, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_400_000_000, "1.4 GB"),
        (2_000_000_000_000_000, "2000.0 TB"),
    ],
)
def test_the_unit_suits_the_size(count: int, text: str) -> None:
    assert format_bytes(count) == text
