"""The benchmarks' own sums. That each of them works is shown by `scripts/bench --quick`."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from house import ROOT

MODULES = tuple(path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py"))
LOADED = (
    "chart",
    "earlier_commit",
    "measurements",
    "python_calls",
    "report",
    "rounds",
    "targets",
)
FIGURES = {
    **dict.fromkeys(
        ("added_ms", "beside_percent", "clients_ratio", "growth_mib", "p99_ms", "ratio"), 1.0
    ),
    **dict.fromkeys(("c_calls", "calls", "calls_after", "p50_ms"), 3.0),
    "us": 2.0,
}
RUN = {"quick": True, "rounds": 1, "before": None}


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Its modules, which are scripts beside each other and no package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield SimpleNamespace(**{name: __import__(name) for name in LOADED})
    for name in MODULES:
        sys.modules.pop(name, None)


def measurements(benchmarks: Any, *, quick: bool = False) -> list[Any]:
    earlier = benchmarks.measurements.Earlier(Path("/nowhere"), unavailable=None)
    return benchmarks.measurements.measurements(quick=quick, earlier=earlier)


def results(benchmarks: Any, *rounds: float, **of_one: float) -> Any:
    """Each measurement of a full run has the same figures in each round, times a factor."""
    found = benchmarks.rounds.Results()
    for each in measurements(benchmarks):
        found.figures[each.name] = [
            {name: value * factor for name, value in {**FIGURES, **of_one}.items()}
            for factor in rounds
        ]
    return found


def script(folder: Path, text: str) -> str:
    """A measuring script with this function body, by the path that a measurement names."""
    path = folder / "script.py"
    path.write_text(text)
    return str(path)


def test_every_target_is_measured_by_a_full_run(benchmarks: Any) -> None:
    verdicts = benchmarks.targets.judge(results(benchmarks, 1.0))
    assert [verdict.target.measure for verdict in verdicts if verdict.spread is None] == []


def test_a_quick_run_measures_the_same_things(benchmarks: Any) -> None:
    quick, full = (
        {each.name.rstrip("0123456789 ") for each in measurements(benchmarks, quick=quick)}
        for quick in (True, False)
    )
    assert {name for name in full - quick if not name.startswith("growth ")} == set()


def test_the_readme_of_the_benchmarks_lists_every_target_with_its_limit(benchmarks: Any) -> None:
    lines = (ROOT / "benchmarks" / "README.md").read_text("utf-8").splitlines()
    listed = [line for line in lines if line.startswith("|") and "≤" in line]
    targets = [each for each in benchmarks.targets.TARGETS if each.limit is not None]
    assert [line.split("|")[1:3] for line in listed] == [
        [f" {each.measure} ", f" ≤ {each.limit:g} {each.unit} "] for each in targets
    ]


def test_ratios_are_taken_within_a_round(benchmarks: Any) -> None:
    found = benchmarks.rounds.Results(
        figures={
            "a": [{"us": 1.0}, {"us": 20.0}, {"us": 3.0}],
            "b": [{"us": 2.0}, {"us": 10.0}, {"us": 3.0}],
        }
    )
    assert vars(found.ratio("a", "b", "us")) == {"median": 1.0, "low": 0.5, "high": 2.0}
    assert found.ratio("a", "c", "us") is None


def test_a_target_is_judged_by_its_median(benchmarks: Any) -> None:
    (target,) = (each for each in benchmarks.targets.TARGETS if each.unit == "calls")
    for calls, met in ((70, True), (71, False)):
        found = results(benchmarks, 0.1, 1, 9, calls=calls)
        (verdict,) = (each for each in benchmarks.targets.judge(found) if each.target is target)
        assert verdict.met is met


def test_a_figure_without_a_limit_is_neither_met_nor_missed(benchmarks: Any) -> None:
    verdicts = benchmarks.targets.judge(results(benchmarks, 1.0))
    told = [verdict for verdict in verdicts if verdict.target.limit is None]
    assert told
    assert {verdict.met for verdict in told} == {None}


def test_the_report_says_what_is_missing_and_what_failed(benchmarks: Any) -> None:
    found = benchmarks.rounds.Results(
        skipped={
            "burst litellm": "not installed: litellm",
            "paced litellm": "not installed: litellm",
        },
        failed={"import": "it\nbroke"},
    )
    verdicts = benchmarks.targets.judge(found)
    text = benchmarks.report.as_markdown(found, verdicts, RUN)
    assert text.count("not measured: ") == len(verdicts)
    assert "| – | not measured: not installed: litellm |" in text
    assert "- burst litellm, paced litellm: not installed: litellm" in text
    assert "- import: it broke" in text
    assert "its figures mean little" in text


def test_without_an_earlier_commit_its_rows_say_how_to_get_them(benchmarks: Any) -> None:
    earlier = benchmarks.measurements.Earlier()
    chosen = [
        each
        for each in benchmarks.measurements.measurements(quick=True, earlier=earlier)
        if each.name.endswith(" before")
    ]
    found = benchmarks.rounds.run(chosen, 1)
    assert list(found.skipped) == [each.name for each in chosen] != []
    text = benchmarks.report.as_markdown(found, benchmarks.targets.judge(found), RUN)
    assert "not measured: no earlier commit was given (--before COMMIT)" in text


@pytest.mark.parametrize("optional", [True, False])
def test_what_breaks_is_skipped_if_it_is_a_peer_and_fails_the_run_otherwise(
    benchmarks: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, optional: bool
) -> None:
    broken = benchmarks.rounds.Measurement(
        "broken", script(tmp_path, "raise RuntimeError('no such luck')"), "x", optional=optional
    )
    found = benchmarks.rounds.run([broken], 2)
    reasons = found.skipped if optional else found.failed
    assert "RuntimeError: no such luck" in reasons["broken"]
    assert len(found.skipped) + len(found.failed) == 1
    word = "SKIPPED" if optional else "FAILED"
    assert capsys.readouterr().err.count(f"{word} broken") == 1


def test_a_module_that_is_not_installed_is_the_reason_of_a_skip(benchmarks: Any) -> None:
    missing = benchmarks.rounds.Measurement("m", "unused.py", "x", needs=("json", "no_such_module"))
    found = benchmarks.rounds.run([missing], 1)
    assert found.skipped == {"m": "not installed: no_such_module"}


def test_an_earlier_commit_is_imported_from_its_own_folder(
    benchmarks: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms" / "__init__.py").write_text("")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "__init__.py").write_text("EARLIER = True")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.setuptools.package-dir]\nvesselog = "public"\n"vesselog.vessels" = "rooms"\n'
    )
    settings = ("user.name=a", "user.email=a@example.org", "commit.gpgsign=false")
    git = ["git", "-C", str(tmp_path), *(part for each in settings for part in ("-c", each))]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    monkeypatch.setattr(benchmarks.earlier_commit, "_ROOT", tmp_path)
    with benchmarks.earlier_commit.unpacked("HEAD") as folder:
        text = (folder / "vesselog" / "__init__.py").read_text()
        assert text == "EARLIER = True"
        assert (folder / "vesselog" / "vessels" / "__init__.py").exists()
    assert not folder.exists()
    for commit, reason in (
        ("nosuch", "git has no commit 'nosuch'"),
        ("--output=x", "is no commit"),
    ):
        with (
            pytest.raises(benchmarks.earlier_commit.EarlierCommitError, match=reason),
            benchmarks.earlier_commit.unpacked(commit),
        ):
            pass


async def test_a_chunks_calls_are_those_from_the_read_to_the_caller(benchmarks: Any) -> None:
    recorder = benchmarks.python_calls.CallRecorder()
    texts: asyncio.Queue[str] = asyncio.Queue()

    class Reader(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            for text in split(data):
                texts.put_nowait(text)

    def split(data: bytes) -> list[str]:
        return data.decode().split()

    async def next_text() -> str:
        return await texts.get()

    async def caller(sender: socket.socket) -> None:
        for data in (b"one", b"two three", b"four"):
            sender.send(data)
            for _ in data.split():
                recorder.seen(await next_text())

    receiver, sender = socket.socketpair()
    with sender:
        loop = asyncio.get_running_loop()
        transport, reader = await loop.create_connection(Reader, sock=receiver)
        with recorder:
            await asyncio.create_task(caller(sender))
            reader.data_received(b"a library's own call is no read")
        transport.close()
        await asyncio.sleep(0)  # lets the transport close its socket
    first, shared, last = recorder.journeys()
    assert shared is None
    for journey in (first, last):
        own = [hop for hop in journey.hops if hop.code.co_filename == __file__]
        names = [hop.code.co_name for hop in own]
        assert names == ["data_received", "split", "caller", "next_text"]
        assert [hop.depth for hop in own[:2]] == [0, 1]
        assert own[1].c_calls == 2
        assert journey.c_calls >= sum(hop.c_calls for hop in journey.hops)
    assert first.after > 0


def test_the_chart_is_drawn_from_what_was_measured(benchmarks: Any) -> None:
    found = results(benchmarks, 1.0)
    root = ET.fromstring(benchmarks.chart.chart(found))
    words = "".join(root.itertext())
    assert "vesselog, fast" in words
    assert "1.0 × recorded" in words
    del found.figures["paced barest"]
    assert benchmarks.chart.chart(found) is None
