"""The ids of events."""

from __future__ import annotations

import pytest

import vesselog
from vesselog.server import EventId


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("chat-42:1:0", ("chat-42", 1, 0)),
        ("a.b_c:12:345", ("a.b_c", 12, 345)),
        ("s:1:-1", ("s", 1, -1)),
        ("s:1:end", ("s", 1, None)),
    ],
)
def test_an_id_names_session_call_and_chunk(
    text: str, position: tuple[str, int, int | None]
) -> None:
    assert EventId.parse(text) == position


@pytest.mark.parametrize(
    "text",
    ["", "s", "s:1", "s::1", "s:1:", "s:end:1", "s:1:1:1", "s:1:-2", "s:1:\u0663", "s:1:1e3"],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(vesselog.InvalidRequestError, match="is not the id of an event"):
        EventId.parse(text)
