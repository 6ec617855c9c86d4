"""The conformance kit: tests a vessel with a folder of bodies.

In a test of the vessel's own package, pytest gives the call as a fixture (plugin.py):

    def test_it_conforms(conformance):
        conformance(Harbour(), "tests/bodies")

docs/writing-a-vessel.md describes what the folder may hold. It must hold a complete stream, and an
error in a stream (in a body, or given as `errors`).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..vessels import ProviderError, Vessel, WireRequest, chat_request
from .bodies import Body, bodies_in
from .contents import exact, expected, round_trip, unknown_fields
from .endings import cut_anywhere, error_frame, errors_in_band, whole_at_the_end
from .purity import no_io
from .request_side import REQUEST_CHECKS
from .requests import read_again
from .running import COMPLETE, Case, run
from .splits import line_ends, mixed, split_anywhere
from .through_clients import through_clients

__all__ = ["INVARIANTS", "Conformance", "Finding", "check", "report"]

# Error bodies as servers and the proxies before them write them.
_REFUSALS = (
    *("", "null", "5", '"no"', "[]", "{}", '{"error": {"message": "no", "code": 7}}'),
    *('{"error": "no"}', '{"detail": [{"msg": "no"}]}', "<html><title>Bad gateway</title>", "no"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a vessel.

    Attributes:
        body: The body's name, "" where it is about the vessel as a whole.
        invariant: What must hold, in words.
        message: What was found.
    """

    body: str
    invariant: str
    message: str

    def __str__(self) -> str:
        place = f"{self.body}: " if self.body else ""
        return f"{place}{self.invariant}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Trial:
    """One body and what is tried with it. splits: at how many positions at most it is cut."""

    case: Case
    errors: Sequence[bytes]
    splits: int
    chance: random.Random
    workplace: Path


INVARIANTS: dict[str, Callable[[_Trial], Iterator[str]]] = {
    "every byte is in one frame": lambda trial: exact(trial.case),
    "the answer is the expected one": lambda trial: expected(trial.case),
    "the answer ends once": lambda trial: whole_at_the_end(trial.case),
    "answers do not mix": lambda trial: mixed(trial.case),
    "splits change nothing": lambda trial: split_anywhere(trial.case, trial.splits, trial.chance),
    "line ends change nothing": lambda trial: line_ends(trial.case),
    "a cut is truncation": lambda trial: cut_anywhere(trial.case, trial.splits, trial.chance),
    "an error in band is raised": lambda trial: errors_in_band(
        trial.case, trial.errors, trial.splits, trial.chance
    ),
    "unknown fields survive": lambda trial: unknown_fields(trial.case),
    "what is encoded is decoded": lambda trial: round_trip(trial.case),
    "sync, async and replay are one": lambda trial: through_clients(
        trial.case, trial.workplace, trial.chance
    ),
}
"""The checks of each body, by name."""


class Conformance:
    """Tests a vessel; what the fixture `conformance` gives: `conformance(vessel, folder)`.

    Args:
        workplace: An empty folder, for recordings.
    """

    def __init__(self, workplace: Path) -> None:
        self._workplace = workplace

    def __call__(
        self,
        vessel: Vessel,
        bodies: str | os.PathLike[str],
        *,
        errors: Sequence[bytes] = (),
        allowed: Collection[str] = (),
        splits: int = 500,
        seed: int = 0,
    ) -> None:
        """Test a vessel with a folder of bodies.

        Args:
            vessel: The vessel.
            bodies: A folder or a file; in a test, relative to where pytest was started.
            errors: Frames with an error, in addition to those in the bodies.
            allowed: Modules that the vessel may import although the kit counts them as I/O.
            splits: At how many positions a body is divided, at most.
            seed: Chooses the positions; the same seed chooses the same ones.

        Raises:
            AssertionError: The vessel does not conform; the message is a report.
        """
        findings = check(
            vessel,
            bodies_in(Path(bodies)),
            self._workplace,
            errors=errors,
            allowed=allowed,
            splits=splits,
            seed=seed,
        )
        if findings:
            raise AssertionError(report(vessel, findings))


def check(
    vessel: Vessel,
    bodies: Iterable[Body],
    workplace: Path,
    *,
    errors: Sequence[bytes] = (),
    allowed: Collection[str] = (),
    splits: int = 500,
    seed: int = 0,
) -> list[Finding]:
    """Test a vessel; the findings are empty if it conforms.

    Args:
        vessel: The vessel.
        bodies: The answers with which it is tested.
        workplace: An empty folder, for recordings.
        errors: Frames with an error, if no body has one.
        allowed: Modules that the vessel may import although the kit counts them as I/O.
        splits: At how many positions a body is divided, at most.
        seed: Chooses the positions; the same seed chooses the same ones.
    """
    findings = [Finding("", name, message) for name, message in _of_the_vessel(vessel, allowed)]
    cases: list[Case] = []
    for body in bodies:
        try:
            request = body.request or _question(vessel, stream=body.stream)
            cases.append(Case(vessel, body, request, run(vessel, request, body)))
        except Exception as problem:  # noqa: BLE001 - a vessel may raise anything
            findings.append(Finding(body.name, "decoding raises nothing", repr(problem)))
    streams = [case for case in cases if case.request.stream]
    error_frames = [frame for case in streams if (frame := error_frame(case)) is not None]
    given = [*errors, *dict.fromkeys(error_frames)]
    findings += [Finding("", "the bodies suffice", message) for message in _missing(streams, given)]
    for number, case in enumerate(cases):
        for name, invariant in INVARIANTS.items():
            chance = random.Random(f"{seed} {case.body.name} {name}")  # noqa: S311 - to repeat it
            trial = _Trial(case, given, splits, chance, workplace / str(number))
            for message in _guarded(invariant, trial):
                findings.append(Finding(case.body.name, name, message))
    return findings


def report(vessel: Vessel, findings: Sequence[Finding]) -> str:
    """The `findings` about `vessel` as the text of a test's failure."""
    count = f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
    return "\n".join([f"vessel {vessel.name!r} does not conform: {count}", *map(str, findings)])


def _guarded(invariant: Callable[[_Trial], Iterator[str]], trial: _Trial) -> Iterator[str]:
    try:
        yield from invariant(trial)
    except Exception as problem:  # noqa: BLE001 - a vessel may raise anything
        yield f"it raises {problem!r}"


def _of_the_vessel(vessel: Vessel, allowed: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with the vessel, whatever the body."""
    for message in no_io(vessel, allowed):
        yield "no I/O", message
    for stream in (True, False):
        first, second = (_question(vessel, stream=stream) for _ in range(2))
        if first != second:
            yield "requests are pure", "the same question gives two different requests"
        if first.stream is not stream:
            yield "requests are pure", f"stream={stream} is asked for as stream={first.stream}"
    for name, check_requests in REQUEST_CHECKS.items():
        try:
            yield from ((name, message) for message in check_requests(vessel))
        except Exception as problem:  # noqa: BLE001 - a vessel may raise anything
            yield name, f"it raises {problem!r}"
    for message in read_again(vessel):
        yield "requests can be read", message
    for status in (400, 401, 404, 429, 500, 503):
        for text in _REFUSALS:
            try:
                error: Any = vessel.failure(status, text)
            except Exception as problem:  # noqa: BLE001 - a vessel may raise anything
                error = problem
            if not isinstance(error, ProviderError) or error.status != status:
                yield "error statuses are errors", f"failure({status}, {text!r}) gives {error!r}"


def _missing(streams: Sequence[Case], errors: Sequence[bytes]) -> Iterator[str]:
    """What the bodies cannot show."""
    if not any(case.whole.outcome == COMPLETE and case.whole.said for case in streams):
        yield "no body is a complete stream with content"
    if not errors:
        yield "no body has an error in band, and no `errors` are given"


def _question(vessel: Vessel, *, stream: bool) -> WireRequest:
    return vessel.request(chat_request("model", "Hello?", stream=stream))
