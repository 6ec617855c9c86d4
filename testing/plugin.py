"""The pytest plugin: two fixtures. pytest loads it in every run where vesselog is installed.

What a fixture needs is imported when a test uses it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .ground_truth import GroundTruth
    from .kit import Conformance
    from .loopback import LoopbackServer

__all__ = ["conformance", "ground_truth", "ground_truth_settings"]

_MARK = "ground_truth"
_MARKER = """\
ground_truth(mode=…, ignore=…, …): settings of the fixture ground_truth, for a test, class or module
    mode="none"          "none" only replays, "once" records a test that has no recording, "new"
                         also adds requests that were not recorded, "rewrite" records anew;
                         pytest's option --ground-truth comes before it
    ignore=["metadata.date", "messages[*].name"]
                         places of a request's body that do not count, or functions that change it
    only=["messages"]    only these fields of the body count
    order=True           requests must come in the order in which they were recorded
    repeat=True          a request that comes more often than it was recorded gets the last answer
    leftover=True        recorded answers may stay unused
    speed=1.0            the recorded pace, 2.0 is twice as fast; the default "max" does not wait
    scrub={"email": "[a-z.]+@[a-z.]+"}
                         replaces what these patterns or functions find, before it is written
    allow_secrets=True   also writes a recording that seems to hold a secret
    environment=True     sets OPENAI_BASE_URL, OLLAMA_HOST and the like before the test begins
    network=True         other machines can be reached in mode "none" too
    client={"headers": {}}
                         settings of the fixture's clients, as for vesselog.Client
    recording="test_a"   replays the recording of another test of the same file
    fault={"cut_at": 3}  replays it with a fault: the arguments of vesselog.testing.faulty
"""
_passed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the ini setting for the mode."""
    about = "whether tests ask model servers, and record: none, once, new or rewrite"
    parser.getgroup("vesselog").addoption(
        "--ground-truth", metavar="MODE", default=None, help=about
    )
    parser.addini("ground_truth", f"{about} (default: once; none where CI is set)", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known; `pytest --markers` shows its settings."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep whether the test passed, for the fixture's end; show the misses of one that failed."""
    report = yield
    if call.when != "call":
        return report
    item.stash[_passed] = report.passed
    truth: GroundTruth | None = getattr(item, "funcargs", {}).get(_MARK)
    misses = getattr(truth, "misses", None)  # a fixture of another's may have the name
    if report.failed and misses and call.excinfo is not None:
        from ..vessels import ReplayMissError  # noqa: PLC0415

        # The program may have turned the miss into an error of its own.
        if not call.excinfo.errisinstance(ReplayMissError):
            report.sections.append(("requests changed since recorded", "\n".join(misses)))
    return report


@pytest.fixture
def conformance(tmp_path: Path) -> Conformance:
    """Tests a vessel: `conformance(vessel, "tests/bodies")`."""
    from .kit import Conformance  # noqa: PLC0415 - loaded only where it is used

    return Conformance(tmp_path)


@pytest.fixture
def ground_truth_settings() -> Mapping[str, Any]:
    """Settings of `ground_truth` for all tests: override it in a conftest.py, and return a dict.

    It takes the settings that the marker takes; those of a marker come before them.
    """
    return {}


@pytest.fixture(scope="session")
def _ground_truth_server() -> Generator[list[LoopbackServer]]:
    """The server of this process, once a test needs it."""
    started: list[LoopbackServer] = []
    yield started
    for server in started:
        server.close()


@pytest.fixture
def ground_truth(
    request: pytest.FixtureRequest,
    ground_truth_settings: Mapping[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    _ground_truth_server: list[LoopbackServer],
) -> Generator[GroundTruth]:
    """The recorded answers of this test: a client, and addresses for other clients.

    `client` and `async_client` are clients of vesselog, `base_url(vessel)` is an address for any
    other client, and `patch_environment()` sets the variables that clients read it from. The marker
    `ground_truth` has the settings.
    """
    from ..vessels import ConfigurationError, RecordingError  # noqa: PLC0415
    from .ground_truth import GroundTruth, Settings, checked_mode, recording_name  # noqa: PLC0415

    def server() -> LoopbackServer:
        if not _ground_truth_server:
            from .loopback import LoopbackServer  # noqa: PLC0415

            _ground_truth_server.append(LoopbackServer())
        return _ground_truth_server[0]

    given = dict(ground_truth_settings)
    for mark in reversed(list(request.node.iter_markers(_MARK))):
        if mark.args:
            pytest.fail(
                f"ground_truth: name its settings, as in mode={mark.args[0]!r}", pytrace=False
            )
        given |= mark.kwargs
    if unknown := ", ".join(sorted(set(given).difference(Settings.__slots__))):
        known = ", ".join(Settings.__slots__)
        pytest.fail(f"ground_truth has no setting {unknown}; there are {known}", pytrace=False)
    config, node = request.config, request.node
    option, ini = config.getoption("--ground-truth"), config.getini("ground_truth")
    default = "none" if os.environ.get("CI", "").lower() not in {"", "0", "false"} else "once"
    names = [each.name for each in node.listchain() if isinstance(each, pytest.Class)]
    folder = tmp_path_factory.mktemp("ground_truth")
    try:
        settings = Settings(**given)
        mode = checked_mode(option or settings.mode or ini or default, "the mode of ground_truth")
        name = recording_name(settings.recording or ".".join([*names, node.name]))
        path = node.path.parent / "recordings" / node.path.stem / name
        truth = GroundTruth(path, mode, settings, folder, server)
    except (ConfigurationError, RecordingError) as error:  # without the plugin's own lines
        advice = " (pytest --ground-truth=rewrite records it anew)"
        more = advice if isinstance(error, RecordingError) else ""
        message = f"ground_truth: {error.message}{more}"
        raise pytest.fail.Exception(message, pytrace=False) from None
    yield truth
    try:
        problem = truth.close(passed=node.stash.get(_passed, False))
    except RecordingError as error:
        problem = f"ground_truth: {error.message}"
    if problem:
        pytest.fail(problem, pytrace=False)
