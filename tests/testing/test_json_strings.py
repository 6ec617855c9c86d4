"""The strings in JSON text are found with their places, and replaced alone."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vesselog.testing.json_strings import replaced, strings_in

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [leaf for each in inner for leaf in leaves(each)]


@settings(max_examples=40)
@given(
    value=st.lists(VALUES, max_size=3) | st.dictionaries(st.text(), VALUES, max_size=3),
    ascii_only=st.booleans(),
)
def test_all_strings_are_found_and_none_of_the_names(value: Any, *, ascii_only: bool) -> None:
    text = f"data: {json.dumps(value, ensure_ascii=ascii_only)}\n\n"
    found = list(strings_in(text))
    assert [each.value for each in found] == leaves(value)
    changed = replaced(text, {each.start: f"<{each.value}>" for each in found})
    inside = json.loads(changed.removeprefix("data: "))
    assert leaves(inside) == [f"<{each}>" for each in leaves(value)]
    assert replaced(text, {}) == text


def test_places_name_fields_and_items() -> None:
    text = 'event: x\ndata: {"a": {"b": ["c", {"d": "e"}]}, "f" : "g"}\n\n{"a":"h"}'
    found = {each.place: each.value for each in strings_in(text)}
    assert found == {"a.b[0]": "c", "a.b[1].d": "e", "f": "g", "a": "h"}


def test_what_is_no_json_does_no_harm() -> None:
    for text in ("", "}}", '"alone"', '{"a', '{"a": "b', '["\\ud800", "\\x"]', "[1,,"):
        assert replaced(text, {each.start: each.value for each in strings_in(text)}) is not None
