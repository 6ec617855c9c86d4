"""What the fault tests need of the machine, and what they report.

A fault that cannot be injected here is told loudly, in a section of its own at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from amounts import asked
from nursery import Nursery
from reporting import FIGURE, MISSING, Figure, Mount, told

# The files that take longest, in the order in which they are begun: all processes then end at about
# the same time. The first two measure CPU time, and have one thread: they run beside each other.
LONGEST = (
    "test_standstill.py",
    "test_linear_time.py",
    "test_http.py",
    "test_signal_handlers.py",
    "test_odd_recordings.py",
    "test_power_cut.py",
    "test_resuming.py",
    "test_canary.py",
    "test_hostile_http2.py",
    "test_hostile_server.py",
    "test_kill.py",
    "test_leaving.py",
    "test_schedules.py",
    "test_interrupts.py",
    "test_many_tenants.py",
    "test_odd_values.py",
    "test_gateway_schema.py",
    "test_gateway.py",
    "test_disk.py",
)
PLACES = {name: place for place, name in enumerate(LONGEST)}


def pytest_report_header() -> str:
    return f"faults: {asked()}"


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Reports what was injected and what survived."""
    return partial(record_property, FIGURE)


@pytest.fixture
def root(request: pytest.FixtureRequest) -> None:
    """The test needs root."""
    if os.geteuid() != 0:
        _cannot("root", request)


@pytest.fixture
def strace(request: pytest.FixtureRequest) -> str:
    """The path of strace, which may trace here."""
    found = shutil.which("strace")
    works = found and subprocess.run([found, "-o", "/dev/null", "true"], check=False).returncode
    if found is None or works != 0:
        _cannot("strace", request)
    return str(found)


@pytest.fixture
def mkfs(request: pytest.FixtureRequest) -> str:
    """The path of mkfs.ext4."""
    found = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        _cannot("mkfs.ext4", request)
    return str(found)


@pytest.fixture
def mount(request: pytest.FixtureRequest, tmp_path: Path, root: None) -> Iterator[Mount]:
    """Mounts at a new folder and gives it; the arguments are those of mount(8) before it."""
    mounted: list[Path] = []

    def mounting(*arguments: str) -> Path:
        folder = tmp_path / f"mounted{len(mounted)}"
        folder.mkdir()
        mount = shutil.which("mount")
        if not mount or subprocess.run([mount, *arguments, folder], check=False).returncode != 0:
            _cannot(f"mount {' '.join(arguments)}", request)
        mounted.append(folder)
        return folder

    yield mounting
    for folder in mounted:
        if folder.is_mount():
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """The test leaves no thread and no descriptor."""
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    yield
    assert not set(threading.enumerate()) - threads
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Makes child processes."""
    with Nursery() as nursery:
        yield nursery


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first; within a file the order stays."""
    items.sort(key=lambda each: PLACES.get(each.path.name, len(PLACES)))


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Files are dealt out whole, in order: some have a test that counts what went before."""
    config.option.loadscopereorder = False  # those that take longest have few tests
    return LoadFileScheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if figures := [value for _, value in told(terminalreporter, FIGURE)]:
        terminalreporter.section("what was injected, and what survived")
        for each in figures:
            terminalreporter.line(each)
    without: dict[str, list[str]] = {}
    for test, need in told(terminalreporter, MISSING):
        without.setdefault(need, []).append(test)
    if without:
        terminalreporter.section("FAULTS NOT INJECTED HERE", sep="!", red=True, bold=True)
        for need, tests in without.items():
            terminalreporter.line(f"without {need}: {', '.join(sorted(set(tests)))}", red=True)


def _cannot(need: str, request: pytest.FixtureRequest) -> None:
    request.node.user_properties.append((MISSING, need))
    pytest.skip(f"this machine cannot do {need}: THE FAULT WAS NOT INJECTED")
