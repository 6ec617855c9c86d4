"""Every value of a recording, at any depth, replaced by one of every other type.

Each command and each public reader then gives a typed error or none, and one such file does not end
the listing of a folder.
"""

from __future__ import annotations

import io
import json
import logging
import random
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from amounts import amount
from recording_uses import DEEP, uses
from sessions import read, request, step, write
from vesselog import ProviderError, VesselogError
from vesselog.cli import entry, main
from vesselog.core.truth.line import build_line
from vesselog.core.truth.session import Session

VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 0.5, 1e308, 10**17, 10**400, -(10**400), float("nan")),
    *("", "x", "\n\x9b", "\ud800", "9" * 5000, "http://[", "complete", "2027-01-15T08:00:00Z"),
    *([], {}, [1], ["x"], [None], [[]], [{}], {"a": 1}, {"": []}, {"seq": 0}, DEEP, {"a": DEEP}),
    {"type": {}, "message": 5, "status": "x", "retry_after": [], "retryable": 1},
)
MISSING = object()

COMMANDS = (
    *(["show", "F"], ["show", "F", "--json"], ["show", "F", "--call", "1"]),
    *(["replay", "F", "--speed", "max"], ["replay", "F", "--speed", "0", "--json"]),
    *(["follow", "F"], ["follow", "F", "--json", "--call", "2"]),
    *(["verify", "F"], ["verify", "F", "--json"], ["verify", "F", "--no-decode"]),
    *(["diff", "F", "W"], ["diff", "W", "F"], ["diff", "F", "W", "--json", "--no-timing"]),
    *(["recover", "F"], ["salvage", "F"], ["salvage", "F", "--json"]),
    *(["rederive", "F"], ["rederive", "F", "--json"], ["ls", "D"], ["ls", "D", "--json"]),
)
WRITING = ("salvage", "rederive")


def rich(folder: Path) -> Path:
    """A recording with every kind of line, and with what each may have."""
    session = Session.open(folder, "whole", meta={"user": {"id": [1]}})
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
    }
    first = session.begin(request(body))
    first.response(503, {"content-type": "application/json", "retry-after": "1"})
    first.end("error", error=ProviderError("busy", status=503, code="x"))
    writer = session.begin(request(body, retry_of=1, split_think=True, vessel_version="1"))
    writer.response(200, {"content-type": "application/x-ndjson"})
    call = {"slot": "0", "index": 0, "id": "c", "name": "f", "arguments": "{}"}
    odds = {"content": [{"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}]}
    usage = {"input_tokens": 1, "output_tokens": 2, "details": {"a": {"b": 1}}}
    write(
        writer,
        [
            step(0, "a", reasoning="r", role="assistant", model="m", tool_calls=[call]),
            step(1, "b", raw=b"\xff\xfe{}\n", choice=1, logprobs=odds, extra={"a": [1]}),
            step(2, "", finish_reason="stop", raw_finish_reason="stop", usage=usage),
        ],
    )
    writer.end("complete")
    session.begin(request()).response(200, {})
    session.close()
    return session.path


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a value there is another one."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in inside:
        yield (*path, key)
        if isinstance(each, (dict, list)):
            yield from places(each, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """The value with `other` at this place, or with nothing there."""
    key, *rest = path
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[key] = replaced(value[key], tuple(rest), other)
    elif other is MISSING:
        del copy[key]
    else:
        copy[key] = other
    return copy


def mutants(whole: Path) -> list[tuple[int, tuple[Any, ...], Any]]:
    """Each place of each line, with each value; also two names that a line may lack."""
    lines = read(whole)
    return [
        (number, path, value)
        for number, line in enumerate(lines)
        for path in (*places(line), ("call",), ("headers",))
        for value in (*VALUES, MISSING)
        if value is not MISSING or path[0] in line
    ]


@pytest.fixture(autouse=True, scope="module")
def _parser_made_once() -> Iterator[None]:
    """To make the parser takes as long as most of these commands do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry, "parser", cache(entry.parser))
        yield


def run(line: list[str], patch: pytest.MonkeyPatch) -> None:
    out, err = io.BytesIO(), io.BytesIO()
    with patch.context() as streams:
        streams.setattr(sys, "stdout", io.TextIOWrapper(out, "utf-8", write_through=True))
        streams.setattr(sys, "stderr", io.TextIOWrapper(err, "utf-8", write_through=True))
        status = main(line)
        assert status in {0, 1, 2, 3, 4, 5, 6}, status
        assert b"Traceback" not in err.getvalue()
        if "--json" in line:
            for each in out.getvalue().splitlines():
                json.loads(each)


def odd(lines: list[dict[str, Any]], number: int, path: tuple[Any, ...], value: Any) -> bytes:
    """The file's content with this value at this place of this line."""
    changed = [*lines[:number], replaced(lines[number], path, value), *lines[number + 1 :]]
    return b"".join(
        build_line({name: each for name, each in line.items() if name != "crc"}) for line in changed
    )


@pytest.mark.parametrize("part", range(8))
def test_any_value_anywhere_gives_typed_errors_alone(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Warnings may repeat half a surrogate pair, which no report of a worker can hold.
    caplog.set_level(logging.CRITICAL)
    whole = rich(tmp_path / "whole")
    good = read(whole)
    chosen = mutants(whole)
    random.Random(amount("SEED")).shuffle(chosen)
    failures: list[str] = []

    def attempt(what: str, use: Callable[[], object]) -> None:
        try:
            use()
        except VesselogError:
            pass
        except Exception as error:  # noqa: BLE001 - all of them are shown
            failures.append(ascii(f"{what}: {type(error).__name__}: {error}")[:400])

    for place, mutant in enumerate(islice(chosen, part, amount("ODD_VALUES"), 8)):
        folder = tmp_path / str(place)
        folder.mkdir()
        content = odd(good, *mutant)
        number, path, value = mutant
        with_what = "nothing" if value is MISSING else f"{type(value).__name__} {value!r:.30}"
        told = f"line {number + 1} with {with_what} at {path}"
        file = folder / "file.jsonl"
        words = {"F": str(file), "W": str(whole), "D": str(folder)}
        for name, use in uses(whole).items():
            file.write_bytes(content)
            attempt(f"{told}, {name}", partial(use, file, folder / f"{name}.jsonl"))
        for command in COMMANDS:
            file.write_bytes(content)
            line = [words.get(word, word) for word in command]
            if command[0] in WRITING:
                line += ["-o", str(folder / f"new{len(list(folder.iterdir()))}.jsonl")]
            attempt(f"{told}, {' '.join(command)}", partial(run, line, monkeypatch))
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("call", [{}, [], "1", None, -1, 10**400, 0.5])
def test_one_bad_file_does_not_end_the_listing(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = rich(tmp_path)
    lines = read(whole)
    for number, line in enumerate(lines):
        if "call" in line:
            bad = tmp_path / f"bad{number}.jsonl"
            bad.write_bytes(odd(lines, number, ("call",), call))
    monkeypatch.chdir(tmp_path)
    assert main(["ls", ".", "--json"]) in {0, 1}
    listed = [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()]
    assert "whole.jsonl" in listed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model",), {"a": 1}),
        (("headers",), ["content-type"]),
        (("headers",), "content-type"),
        (("type",), "of a later version"),
        (("t",), 10**400),
        (("chunks", 0, "logprobs"), {"content": DEEP}),
        (("chunks", 0, "extra"), {"a": DEEP}),
        (("repairs",), [{"a": 1}]),
    ],
)
def test_values_that_once_failed(
    path: tuple[Any, ...], value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rich(tmp_path / "whole")
    good = read(whole)
    for number, line in enumerate(good):
        if path[0] == "chunks" and "chunks" not in line:
            continue
        file = tmp_path / "file.jsonl"
        for count, command in enumerate(COMMANDS):
            file.write_bytes(odd(good, number, path, value))
            words = {"F": str(file), "W": str(whole), "D": str(tmp_path)}
            into = ["-o", str(tmp_path / f"new{number}-{count}.jsonl")]
            run(
                [words.get(word, word) for word in command] + into * (command[0] in WRITING),
                monkeypatch,
            )
