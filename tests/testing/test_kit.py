"""The conformance kit: finds what is wrong with a vessel, and nothing in one that is right."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import broken
from patience import PATIENCE
from vesselog import ConfigurationError
from vesselog.core.exchange import Exchange
from vesselog.core.request import chat_request
from vesselog.core.vessel import Decoder, Vessel, WireRequest
from vesselog.testing.bodies import Body, bodies_in
from vesselog.testing.contents import expected
from vesselog.testing.kit import INVARIANTS, Conformance, check, report
from vesselog.testing.purity import impurities
from vesselog.testing.running import Case, run
from vesselog.testing.splits import split_anywhere
from vesselog.testing.through_clients import through_clients

HELLO = b'data: {"say":"Hello"}\n\ndata: {"say":","}\n\ndata: {"say":" you"}\n\n'
END = b'data: {"end":"stop"}\n\n'
PROBLEM = b'data: {"problem":"tired"}\n\n'
BODIES = {
    "hello.sse": HELLO + END,
    "hello.expected.json": b'{"text": "Hello, you", "outcome": "complete"}',
    "tired.sse": HELLO + PROBLEM,
    "cut.sse": HELLO,
    "busy.429.json": b'{"error": "busy"}',
    "busy.expected.json": b'{"outcome": "ProviderError"}',
}


@pytest.fixture
def bodies(tmp_path: Path) -> Path:
    folder = tmp_path / "bodies"
    folder.mkdir()
    for name, content in BODIES.items():
        (folder / name).write_bytes(content)
    return folder


def findings(vessel: Vessel, bodies: Path, **settings: object) -> set[str]:
    """The invariants that the kit finds broken; I/O is looked for by itself below."""
    found = check(vessel, bodies_in(bodies), bodies.parent / "work", **settings)  # type: ignore[arg-type]
    return {each.invariant for each in found} - {"no I/O"}


@pytest.mark.parametrize("vessel", [broken.Toy, broken.Reading])
def test_a_vessel_that_is_right_conforms(vessel: type[Vessel], bodies: Path) -> None:
    assert findings(vessel(), bodies) == set()


@pytest.mark.parametrize(
    ("vessel", "invariant"),
    [
        (broken.Shared, "answers do not mix"),
        (broken.Lenient, "a cut is truncation"),
        (broken.Hasty, "the answer ends once"),
        (broken.Deaf, "an error in band is raised"),
        (broken.Strict, "unknown fields survive"),
        (broken.LineMinded, "line ends change nothing"),
        (broken.Lossy, "the answer is the expected one"),
        (broken.WrongBack, "what is encoded is decoded"),
        (broken.Raising, "error statuses are errors"),
        (broken.Unstreaming, "requests are pure"),
        (broken.Counting, "requests are pure"),
        (broken.Forgetful, "requests can be read"),
        (broken.Trusting, "requests can be read"),
        (broken.Clockwork, "splits change nothing"),
        (broken.Clockwork, "sync, async and replay are one"),
        (broken.Silent, "the bodies suffice"),
        (broken.Unreadable, "every byte is in one frame"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else value.replace(" ", "-"),
)
def test_what_is_wrong_is_found(vessel: type[Vessel], invariant: str, bodies: Path) -> None:
    assert invariant in findings(vessel(), bodies, errors=[PROBLEM])


def test_each_invariant_is_seen_to_fail() -> None:
    (mark,) = test_what_is_wrong_is_found.pytestmark
    assert set(INVARIANTS) <= {invariant for _, invariant in mark.args[1]}


def test_progress_that_goes_back_is_found(bodies: Path) -> None:
    (bodies / "hello.sse").write_bytes(b'data: {"note":1}\n\n' + HELLO + END)
    assert "the answer ends once" in findings(broken.Retreating(), bodies)


@pytest.mark.parametrize("missing", [{"hello.sse", "cut.sse"}, {"tired.sse"}])
def test_bodies_that_show_too_little_are_told(missing: set[str], bodies: Path) -> None:
    for name in missing:
        (bodies / name).unlink()
    assert findings(broken.Toy(), bodies) == {"the bodies suffice"}


def test_an_error_frame_may_be_given(bodies: Path) -> None:
    (bodies / "tired.sse").unlink()
    assert findings(broken.Toy(), bodies, errors=[PROBLEM]) == set()
    assert "an error in band is raised" in findings(broken.Toy(), bodies, errors=[b": no\n\n"])


def test_a_split_is_told_by_the_smallest_and_the_frames_around_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Shown by a core that strips what arrives, since no vessel could break this."""
    vessel, body = broken.Toy(), Body("hello.sse", HELLO + END)
    request = vessel.request(chat_request("m", "x"))
    case = Case(vessel, body, request, run(vessel, request, body))
    feed = Exchange.feed
    monkeypatch.setattr(Exchange, "feed", lambda self, data: feed(self, data.lstrip(b"\n")))
    (told,) = split_anywhere(case, 20, random.Random(1))
    assert told == (
        "a split at byte 21 changes the answer: there are 0 chunks, not 4\n"
        '    frame 0: data: {"say":"Hello"} ✂ \\n\\n\n'
        '    frame 1: data: {"say":","}\\n\\n'
    )


def test_a_report_tells_all(bodies: Path, tmp_path: Path) -> None:
    vessel = broken.Lossy()
    with pytest.raises(AssertionError) as raised:
        Conformance(tmp_path / "work")(vessel, bodies, allowed=["broken"])
    told = str(raised.value)
    assert told.startswith("vessel 'toy' does not conform: ")
    assert "\nhello.sse: the answer is the expected one: text is 'Hello you', not" in told
    found = check(vessel, bodies_in(bodies), tmp_path / "again")
    assert report(vessel, found) == told
    assert report(vessel, found[:1]).count("1 finding\n") == 1


def test_the_same_seed_gives_the_same_report(bodies: Path, tmp_path: Path) -> None:
    (bodies / "long.sse").write_bytes(HELLO * 10 + END)
    reports = [
        report(broken.Clockwork(), check(broken.Deaf(), bodies_in(bodies), tmp_path / str(seed)))
        for seed in (1, 1)
    ]
    assert reports[0] == reports[1]


def test_bodies_are_told_apart_by_their_names(bodies: Path) -> None:
    (bodies / ".hidden").write_text("x")
    found = {body.name: body for body in bodies_in(bodies)}
    assert found.keys() == {"hello.sse", "tired.sse", "cut.sse", "busy.429.json"}
    busy, hello = found["busy.429.json"], found["hello.sse"]
    assert (busy.status, busy.stream, busy.content_type) == (429, False, "application/json")
    assert (hello.status, hello.stream, hello.content_type) == (200, True, "text/event-stream")
    assert hello.expected == {"text": "Hello, you", "outcome": "complete"}
    assert busy.expected == {"outcome": "ProviderError"}
    assert [body.name for body in bodies_in(bodies / "hello.sse")] == ["hello.sse"]


def test_what_holds_no_bodies_is_refused(tmp_path: Path) -> None:
    for name, match in (("nowhere", "there is no"), (".", "holds no bodies")):
        with pytest.raises(ConfigurationError, match=match):
            bodies_in(tmp_path / name)
    (tmp_path / "hello.mp3").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="neither a body nor a recording"):
        bodies_in(tmp_path)


def test_recordings_are_bodies_that_say_what_is_expected(bodies: Path, tmp_path: Path) -> None:
    vessel = broken.Toy(base_url="http://127.0.0.1:9")
    body = Body("hello.sse", HELLO + END, content_type="text/event-stream")
    request = vessel.request(chat_request("m", "x"))
    case = Case(vessel, body, request, run(vessel, request, body))
    assert list(through_clients(case, tmp_path / "work", random.Random(1))) == []
    (path,) = (tmp_path / "work/sync").glob("*.jsonl")
    path.rename(bodies / "recorded.jsonl")
    assert findings(vessel, bodies) == set()
    (recorded,) = bodies_in(bodies / "recorded.jsonl")
    assert recorded.content == HELLO + END
    assert recorded.request is not None
    assert recorded.request.url == "http://127.0.0.1:9/say"
    drifted = check(broken.Lossy(), bodies_in(bodies / "recorded.jsonl"), tmp_path / "again")
    assert "the answer is the expected one" in {each.invariant for each in drifted}


def test_an_answer_that_cannot_be_decoded_is_reported_with_its_reason(bodies: Path) -> None:
    body = Body("hello.sse", b"data: oops\n\n", expected={"outcome": "complete"})
    request = broken.Toy().request(chat_request("m", "x"))
    case = Case(broken.Toy(), body, request, run(broken.Toy(), request, body))
    (finding,) = expected(case)
    assert finding.startswith("it ends as ProtocolError (cannot decode a frame: ")
    assert finding.endswith("), not as 'complete'")


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import os.path as p",
        "from time import monotonic",
        "def f():\n  import socket",
        "from urllib import request",
        "from vesselog import Client",
        "from vesselog.core.truth import recording",
        "import stranger",
        "async def f(): pass",
        "x = open('f')",
        "x = datetime.now()",
    ],
)
def test_io_is_seen_in_every_form(source: str) -> None:
    assert impurities(source, "harbour")


def test_what_a_vessel_needs_is_not_taken_for_io() -> None:
    source = (
        "import json\nfrom urllib.parse import urlsplit\nfrom .words import WORDS\n"
        "from vesselog import ProviderError\nfrom vesselog.core.vessel import Vessel\n"
    )
    assert impurities(source, "harbour", {"harbour"}) == []
    assert impurities("import stranger.bytes", "harbour", {"stranger"}) == []


def test_io_is_found_in_the_modules_that_a_vessel_is_made_of(bodies: Path, tmp_path: Path) -> None:
    vessel = broken.Toy()
    told = [
        str(each)
        for each in check(vessel, bodies_in(bodies), tmp_path / "work")
        if each.invariant == "no I/O"
    ]
    line = Path(broken.__file__).read_text("utf-8").split("\n").index("            import time") + 1
    assert told == [f"no I/O: broken, line {line}: imports time"]


def test_a_stranger_that_raises_is_told_and_not_raised(bodies: Path) -> None:
    class Refusing(broken.Toy):
        def decoder(self, request: WireRequest) -> Decoder:
            if request.body and "model" in request.body:
                raise KeyError("no decoder today")
            return super().decoder(request)

    assert "decoding raises nothing" in findings(Refusing(), bodies)


def test_pytest_gives_the_kit_and_loads_nothing_before_it_is_asked(tmp_path: Path) -> None:
    """In a run of its own, as a stranger has it: found by its entry point."""
    shutil.copy(broken.__file__, tmp_path)
    (tmp_path / "bodies").mkdir()
    for name, content in BODIES.items():
        (tmp_path / "bodies" / name).write_bytes(content)
    (tmp_path / "test_toy.py").write_text(
        "import sys\n"
        "import broken\n"
        "def test_nothing_is_loaded():\n"
        "    assert 'vesselog.testing.kit' not in sys.modules\n"
        "def test_it_conforms(conformance):\n"
        "    conformance(broken.Lossy(), 'bodies')\n"
    )
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_is_loaded():\n"
        "    assert not {'httpx', 'pydantic'} & set(sys.modules)\n"
    )
    run_alone = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    other = subprocess.run(
        [*run_alone, "test_other.py", "-p", "no:hypothesispytest"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert other.returncode == 0, other.stdout
    toy = subprocess.run(
        [*run_alone, "test_toy.py", "-p", "no:hypothesispytest"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert "1 failed, 1 passed" in toy.stdout
    assert "vessel 'toy' does not conform" in toy.stdout
    assert "text is 'Hello you', not 'Hello, you'" in toy.stdout
