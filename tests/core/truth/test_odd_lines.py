"""Lines that match their checks and say anything: each use of such a file gives a typed error.

A line's values are replaced at random, at any depth, and lines doubled, as a careless program that
writes recordings itself would.
"""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from recording_uses import DEEP, uses
from sessions import read, record
from thorough import tries
from vesselog import VesselogError
from vesselog.core.truth.line import build_line

VALUES: tuple[Any, ...] = (
    *(10**17, 10**400, -(10**17), DEEP),
    *(None, True, -1, 0, 2**64, -(2**70), float("inf"), 0.5, "", "é", "\ud800", "9" * 400),
    *([], {}, [1], [[]], [None], {"a": 1}, {"type": 5}, [{"seq": "a", "text": 5}]),
    *({"type": "ProviderError", "status": "x", "retry_after": []}, "complete", "error", "nobody"),
)
KEYS = (
    *("call", "chunks", "crc32", "end", "error", "exact", "headers", "masked", "meta", "metrics"),
    *("n", "outcome", "partial", "raw_b64", "repairs", "retry_of", "split_think", "stream", "t"),
    *("logprobs", "status", "type", "url", "vessel", "vesselog"),
)


def changed(value: Any, chance: random.Random, depth: int = 0) -> Any:
    """The value with one thing in it that is otherwise."""
    inside = bool(value) and (depth == 0 or chance.random() < 0.7)
    if inside and isinstance(value, dict):
        key = chance.choice(sorted(value))
        if chance.random() < 0.1:
            return {name: each for name, each in value.items() if name != key}
        if depth == 0 and chance.random() < 0.2:
            return {**value, chance.choice(KEYS): chance.choice(VALUES)}
        return {**value, key: changed(value[key], chance, depth + 1)}
    if inside and isinstance(value, list):
        place = chance.randrange(len(value))
        return [*value[:place], changed(value[place], chance, depth + 1), *value[place + 1 :]]
    return chance.choice(VALUES)


def odd(lines: list[dict[str, Any]], chance: random.Random) -> bytes:
    """The file's content, with one to three odd lines."""
    lines = list(lines)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(lines))
        lines[place] = changed(lines[place], chance)
        if chance.random() < 0.2:
            lines.insert(place, chance.choice(lines))
    return b"".join(build_line({k: v for k, v in each.items() if k != "crc"}) for each in lines)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(0, tries(48, 160), 16))
def test_whatever_lines_say_errors_are_typed(tmp_path: Path, seed: int) -> None:
    whole = record(tmp_path / "whole")
    lines = read(whole)
    for number in range(seed, seed + 16):
        content = odd(lines, random.Random(number))
        for name, use in uses(whole).items():
            path, out = (tmp_path / f"{number}-{name}{each}.jsonl" for each in ("", "-out"))
            path.write_bytes(content)
            try:
                use(path, out)
            except VesselogError:
                pass
            except Exception as error:
                error.add_note(f"{name} of the file of seed {number}")
                raise


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("open", {"t": 10**17}),
        ("request", {"t": 10**400}),
        ("frame", {"t": 10**17}),
        ("frame", {"t": 10**400}),
        ("end", {"t": 10**400}),
        ("open", {"call": {}}),
        ("request", {"call": {}}),
        ("response", {"call": {}}),
        ("frame", {"call": []}),
        ("request", {"url": "http://["}),
        ("request", {"retry_of": {}}),
        ("response", {"headers": ["a"]}),
        ("response", {"headers": {"a\r\nb": "c", "d": "e\r\nf"}}),
        ("response", {"status": "200"}),
        ("response", {"status": 10**20}),
        ("frame", {"chunks": [{"seq": 0, "text": "Hel", "logprobs": DEEP}]}),
        ("frame", {"chunks": {"seq": 0}}),
        ("end", {"outcome": {}, "error": {"type": {}, "status": []}}),
        ("end", {"outcome": "of a later version"}),
    ],
)
def test_a_hostile_value_gives_no_error_but_typed_ones(
    tmp_path: Path, kind: str, fields: dict[str, Any]
) -> None:
    whole = record(tmp_path / "whole")
    lines = [
        {key: value for key, value in each.items() if key != "crc"}
        | (fields if each["type"] == kind else {})
        for each in read(whole)
    ]
    for name, use in uses(whole).items():
        path, out = tmp_path / f"{name}.jsonl", tmp_path / f"{name}-out.jsonl"
        path.write_bytes(b"".join(build_line(each) for each in lines))
        with suppress(VesselogError):
            use(path, out)
