"""`vesselog follow`: prints a call while another process records it."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import json_lines, recording, start
from patience import PATIENCE
from sessions import request, step, write
from vesselog import ProviderError
from vesselog.cli import main
from vesselog.core.truth.session import Session


def test_chunks_are_printed_when_they_are_recorded(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "s")
    writer = session.begin(request())
    write(writer, [step(0, "Hel")])
    process = start("follow", str(session.path))
    assert process.stdout is not None
    assert process.stdout.read(3) == b"Hel"
    write(writer, [step(1, "lo")])
    assert process.stdout.read(2) == b"lo"
    writer.end("complete")
    session.close()
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert out == b"\n"
    assert err.decode().splitlines() == ["complete", str(session.path)]


def test_a_call_whose_writer_is_gone_is_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path, "Hel", outcome=None)
    assert main(["follow", str(path)]) == 3
    out, err = capsys.readouterr()
    assert out == "Hel\n"
    assert err.startswith("interrupted\n")


def test_it_ends_with_the_error_of_the_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path, "Hel", outcome="error", error=ProviderError("out of memory"))
    assert main(["follow", str(path), "--json"]) == 4
    out, err = capsys.readouterr()
    assert json_lines(out)[-1]["error"]["message"] == "out of memory"
    assert err == "vesselog: out of memory\n"


def test_a_call_may_be_named_and_begun_in_the_middle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording(tmp_path, "a", "b", "c")
    path = recording(tmp_path, "other")
    assert main(["follow", str(path), "--call", "1", "--after", "0"]) == 0
    assert capsys.readouterr().out == "bc\n"
    assert main(["follow", str(path)]) == 0
    assert capsys.readouterr().out == "other\n"
    assert main(["follow", str(path), "--call", "7"]) == 1
    assert "has no call 7" in capsys.readouterr().err


def test_a_retry_is_followed_and_json_names_the_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session.open(tmp_path, "s")
    session.begin(request()).end("error", error=ProviderError("busy", status=503), retry_in=1.0)
    writer = session.begin(request(retry_of=1))
    write(writer, [step(0, "Hel"), step(1, "lo")])
    writer.end("complete")
    session.close()
    assert main(["follow", str(session.path), "--call", "1", "--after", "0", "--json"]) == 0
    chunk, completion = json_lines(capsys.readouterr().out)
    assert (chunk["call"], chunk["seq"], chunk["text"]) == (2, 1, "lo")
    assert (completion["call"], completion["outcome"]) == (2, "complete")


@pytest.mark.parametrize("arguments", [["--call", "0"], ["--after", "-2"]])
def test_numbers_that_cannot_be_are_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["follow", str(recording(tmp_path, "a")), *arguments]) == 2
    assert "no c" in capsys.readouterr().err
