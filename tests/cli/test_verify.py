"""`vesselog verify`: checks recordings for damage and for drift."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import json_lines, recording
from louder import install
from vesselog.cli import main


def test_sound_recordings_are_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(recording(tmp_path, "a", "b", name=name)) for name in ("one", "two")]
    assert main(["verify", *paths]) == 0
    *out, summary = capsys.readouterr().out.splitlines()
    assert out == [f"{path}: ok; 7 lines, 1 call, 2 frames, 2 chunks" for path in paths]
    assert summary == "2 recordings: 2 ok; 14 lines, 2 calls, 4 frames, 4 chunks"
    assert main(["verify", paths[0]]) == 0
    assert capsys.readouterr().out.splitlines() == out[:1]


def test_an_empty_file_is_said_to_be_deletable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A writer that was killed before its first line leaves one; nothing else helps."""
    (tmp_path / "s.jsonl").touch()
    assert main(["verify", str(tmp_path / "s.jsonl")]) == 1
    out, err = capsys.readouterr()
    assert "the file is empty: nothing was recorded, and it can be deleted" in out
    assert "salvage" not in err


def test_of_a_folder_only_what_is_not_sound_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two", "three"):
        recording(tmp_path, "a", "b", name=name)
    assert main(["verify", str(tmp_path)]) == 0
    summary = "3 recordings: 3 ok; 21 lines, 3 calls, 6 frames, 6 chunks\n"
    assert capsys.readouterr().out == summary
    damaged, no_file = tmp_path / "one.jsonl", tmp_path / "none.jsonl"
    damaged.write_bytes(damaged.read_bytes().replace(b'"text":"b"', b'"text":"c"'))
    no_file.symlink_to("nowhere")
    assert main(["verify", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    report, finding, total = out.splitlines()
    assert report.startswith(f"{damaged}: DAMAGED (1 error); ")
    assert finding == "  error: line 6: the line does not match its check"
    assert total.startswith("4 recordings: 2 ok, 1 damaged, 1 unreadable; 21 lines")
    assert str(no_file) in err
    assert "`vesselog salvage FILE -o NEW.jsonl` copies what can be read" in err
    assert main(["verify", str(tmp_path), "--json"]) == 1
    reports = json_lines(capsys.readouterr().out)
    assert {report["path"]: report["ok"] for report in reports} == {
        str(path): path not in {damaged, no_file} for path in tmp_path.iterdir()
    }


def test_the_status_of_several_is_that_of_the_worst(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording(tmp_path, "a", name="sound", outcome="cancelled")
    recording(tmp_path, "a", "b", name="drifting")
    damaged = recording(tmp_path, "a", "b", name="damaged")
    damaged.write_bytes(damaged.read_bytes().replace(b'"text":"b"', b'"text":"c"'))
    install(monkeypatch)
    assert main(["verify", str(tmp_path)]) == 1
    damaged.unlink()
    capsys.readouterr()
    assert main(["verify", str(tmp_path)]) == 6
    out, err = capsys.readouterr()
    assert "decoding differently" in out.splitlines()[-1]
    assert "`vesselog rederive FILE -o NEW.jsonl`" in err


def test_a_folder_without_recordings_is_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["verify", str(tmp_path / "empty")]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{tmp_path / 'empty'} has no recordings (*.jsonl)\n")


def test_a_changed_byte_is_found_and_the_others_are_checked_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = recording(tmp_path, "a", "b", name="one")
    damaged.write_bytes(damaged.read_bytes().replace(b'"text":"b"', b'"text":"c"'))
    sound = recording(tmp_path, "a", name="two")
    assert main(["verify", str(damaged), str(tmp_path / "none"), str(sound)]) == 1
    out, err = capsys.readouterr()
    assert f"{damaged}: DAMAGED (1 error)" in out
    assert "  error: line 6: the line does not match its check" in out
    assert f"{sound}: ok" in out
    assert "there is no recording" in err


def test_as_json_a_report_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(recording(tmp_path, "a", name=name)) for name in ("one", "two")]
    assert main(["verify", "--json", *paths]) == 0
    reports = json_lines(capsys.readouterr().out)
    assert [(report["path"], report["ok"]) for report in reports] == [
        (path, True) for path in paths
    ]


def test_damage_is_in_the_json_output_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path, "a", "b")
    path.write_bytes(path.read_bytes().replace(b'"text":"b"', b'"text":"c"'))
    assert main(["verify", "--json", str(path)]) == 1
    (report,) = json_lines(capsys.readouterr().out)
    assert (report["ok"], report["errors"]) == (False, 1)
    (finding,) = report["findings"]
    assert (finding["severity"], finding["kind"], finding["line"]) == ("error", "crc", 6)


def test_drift_has_a_status_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recording(tmp_path, "a", "b")
    install(monkeypatch)
    assert main(["verify", str(path)]) == 6
    out = capsys.readouterr().out
    assert f"{path}: ok, DRIFT (1 of 1 calls decode differently now); 7 lines" in out
    assert "  drift: line 7: call 1: 2 chunks differ from chunk 0 on, in text" in out
    assert main(["verify", "--no-decode", str(path)]) == 0
    assert main(["verify", "--json", str(path)]) == 6
    (report,) = json_lines(capsys.readouterr().out.splitlines(keepends=True)[-1])
    assert (report["ok"], report["decoded"], report["drifting"]) == (True, 1, 1)


def test_damage_counts_for_more_than_drift(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drifting = recording(tmp_path, "a", name="one")
    damaged = recording(tmp_path, "a", name="two")
    damaged.write_bytes(damaged.read_bytes().replace(b'"text":"a"', b'"text":"b"'))
    install(monkeypatch)
    for order in ([drifting, damaged], [damaged, drifting]):
        assert main(["verify", *map(str, order)]) == 1


def test_what_helps_depends_on_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recover for a torn tail, salvage for damage, and neither for what is no recording."""
    path = recording(tmp_path, "a", "b")
    sound = path.read_bytes()
    for content, helps in (
        (sound + b'{"type":"fra', "recover FILE"),
        (sound.replace(b'"text":"b"', b'"text":"c"'), "salvage FILE -o NEW.jsonl"),
        (b"oops\n", ""),
    ):
        path.write_bytes(content)
        assert main(["verify", str(path)]) == 1
        err = capsys.readouterr().err
        assert helps in err
        assert bool(helps) is bool(err)
