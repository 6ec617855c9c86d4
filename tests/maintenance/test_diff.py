"""Diff: equal recordings differ in nothing; otherwise each thing that differs, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from house import ROOT
from sessions import ManualClock, record, request, step, write
from vesselog import ProviderError
from vesselog.core.truth.session import Session
from vesselog.maintenance.diff import Difference, diff
from vesselog.maintenance.rederive import rederive

SAMPLES = sorted((ROOT / "recordings/samples").glob("*.jsonl"))


def answer(folder: Path, name: str, *, pause: float = 0.5, **fields: Any) -> Path:
    """A call with one chunk that says this."""
    clock = ManualClock()
    session = Session.open(folder, name, clock=clock)
    writer = session.begin(request())
    clock.pass_seconds(pause)
    write(writer, [step(0, **{"text": "The sky is blue.", **fields})])
    metrics = {"duration": pause, "time_to_first_chunk": pause}
    writer.end("complete", usage=fields.get("usage"), metrics=metrics)
    session.close()
    return session.path


def found(a: Path, b: Path, **options: bool) -> list[tuple[str, Any, Any]]:
    return [(each.subject, each.a, each.b) for each in diff(a, b, **options)]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_recording_equals_itself_and_what_is_rederived_from_it(
    tmp_path: Path, path: Path
) -> None:
    rederive(path, tmp_path / "again.jsonl")
    assert diff(path, path) == []
    assert diff(path, tmp_path / "again.jsonl") == []


@pytest.mark.parametrize(
    ("fields", "subject", "a", "b"),
    [
        ({"text": "The sea."}, "text", "The sky is blue.", "The sea."),
        ({"reasoning": "Hm."}, "reasoning", "", "Hm."),
        ({"refusal": "No."}, "refusal", "", "No."),
        ({"finish_reason": "length"}, "finish", None, "length"),
        ({"usage": {"output_tokens": 3}}, "usage", {}, {"output_tokens": 3}),
        (
            {"tool_calls": [{"slot": "0", "name": "go", "arguments": '{"to":1}'}]},
            "tool_calls",
            [],
            ['go({"to":1})'],
        ),
        ({"timings": {"eval": 2.0}}, "timing", None, None),
    ],
)
def test_each_thing_that_differs_is_told_once(
    tmp_path: Path, fields: dict[str, Any], subject: str, a: Any, b: Any
) -> None:
    told = found(answer(tmp_path, "a"), answer(tmp_path, "b", **fields))
    assert [each[0] for each in told] == [subject]
    if subject != "timing":
        assert told == [(subject, a, b)]


def test_timing_can_be_left_out(tmp_path: Path) -> None:
    a, b = answer(tmp_path, "a"), answer(tmp_path, "b", pause=0.75)
    ((subject, before, after),) = found(a, b)
    assert subject == "timing"
    assert (before["duration"], after["duration"]) == (0.5, 0.75)
    assert found(a, b, timing=False) == []


def test_how_it_ended(tmp_path: Path) -> None:
    paths = []
    for name, outcome, error in (
        ("a", "complete", None),
        ("b", "error", ProviderError("overloaded")),
    ):
        session = Session.open(tmp_path, name, clock=ManualClock())
        writer = session.begin(request())
        writer.end(outcome, error=error)
        session.close()
        paths.append(session.path)
    assert found(*paths) == [
        ("outcome", "complete", "error"),
        ("error", None, "ProviderError: overloaded"),
    ]


def test_a_call_more(tmp_path: Path) -> None:
    a, b = answer(tmp_path, "a"), answer(tmp_path, "b")
    record(tmp_path, "b")
    assert diff(a, b) == [Difference(2, 0, "call", None, 2)]
    assert diff(b, a) == [Difference(2, 0, "call", 2, None)]


def test_a_second_choice(tmp_path: Path) -> None:
    a, b = answer(tmp_path, "a"), answer(tmp_path, "b", choice=1)
    assert {(each.choice, each.subject) for each in diff(a, b)} == {(0, "text"), (1, "text")}


def test_where_a_text_begins_to_differ() -> None:
    assert Difference(1, 0, "text", "The sky", "The sea").at == 5
    assert Difference(1, 0, "text", "The", "The sea").at == 3
    assert Difference(1, 0, "usage", {}, {"output_tokens": 1}).at is None
