"""Servers that do anything: what was yielded is what was sent as this answer, no more and no less.

    VESSELOG_TEST_FUZZ_SECONDS=7200 pytest tests/faults/test_hostile_server.py

Each seed makes one client and some answers, one after the other, over kept connections.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from amounts import amount
from four_clients import CLIENTS, every_one_of_four, talking_by
from hostile_server import PLANTED, HostileAnswer, HostileServer
from invariants import check, yielded_by
from loopback import LoopbackServer
from patience import PATIENCE
from reporting import Figure
from talking import Heard, Talker
from vesselog import Retries, Timeouts, VesselogError, verify

# Where nothing stalls no deadline may end it: a busy machine alone takes a second at times.
PATIENT = Timeouts(connect=30, first_chunk=30, idle=30, total=60, grace=30, drain=30)
SHORT = Timeouts(connect=30, first_chunk=0.4, idle=0.4, total=1, grace=0.2, drain=0.1)


def answers_of(seed: int) -> list[HostileAnswer]:
    chance = random.Random(seed)
    return [HostileAnswer.of(number, chance) for number in range(chance.randrange(2, 7))]


def ask(talker: Talker, answer: HostileAnswer) -> tuple[Heard | None, str, BaseException | None]:
    """What was heard, its text, and the error at its end."""
    settings: dict[str, Any] = {
        "timeouts": SHORT if answer.stalls else PATIENT,
        "session": f"request-{answer.number}",
    }
    if answer.streamed:
        heard = talker.hear(answer.model, str(answer.number), **settings)
        return heard, heard.text, heard.error
    try:
        completion = talker.complete(answer.model, str(answer.number), **settings)
    except Exception as error:  # noqa: BLE001 - judged below
        return None, "", error
    return None, completion.text, None


def check_answer(
    answer: HostileAnswer,
    heard: Heard | None,
    text: str,
    error: BaseException | None,
    folder: Path,
    *,
    hung_up: bool,
) -> str:
    assert error is None or isinstance(error, VesselogError), repr(error)
    assert PLANTED not in text
    assert answer.text.startswith(text), f"yielded {text!r}, sent {answer.text!r}"
    if answer.status == 200 and answer.honest:
        assert error is None, repr(error)
    if error is None:
        assert answer.status == 200
        assert text == answer.text
    path = folder / f"request-{answer.number}.jsonl"
    (call,) = check(path, yielded=yielded_by(heard) if heard else [])
    assert call.end is not None
    report = verify(path)
    assert report.ok, report.findings
    assert PLANTED.encode() not in path.read_bytes()
    recorded = b"".join(frame.raw for frame in call.frames())
    assert answer.payload.startswith(recorded), "what is recorded is not what was sent"
    if answer.honest:
        # What is behind the terminator is not waited for at a server that has hung up before.
        left = answer.payload.removeprefix(recorded)
        assert not left or (hung_up and b"[DONE]" not in left and not left.strip(b": ping\r\n")), (
            f"not everything that was sent is recorded, but not {left!r}"
        )
    assert (call.outcome == "complete") == (error is None)
    if heard is not None or error is None:
        assert "".join(chunk.text for chunk in call.chunks()) == text
    return "complete" if error is None else type(error).__name__


def run(client: str, seed: int, folder: Path) -> list[str]:
    answers = answers_of(seed)
    script = HostileServer(answers)
    ends: list[str] = []
    settings: dict[str, Any] = {"recordings": folder, "retries": Retries(count=0)}
    with LoopbackServer([script]) as server:
        with talking_by(client, server, **settings) as talker:
            for answer in answers:
                heard, text, error = ask(talker, answer)
                assert script.sent(answer.number, PATIENCE)
                try:
                    hung_up = "ConnectionFailedError" in ends
                    ends.append(check_answer(answer, heard, text, error, folder, hung_up=hung_up))
                except BaseException:
                    print(f"\nof seed {seed}, {_told(answer)}")
                    raise
        server.wait_until(lambda: server.open_connections == 0)
    return ends


def _told(answer: HostileAnswer) -> str:
    how = "streamed" if answer.streamed else "whole"
    return f"request {answer.number} ({answer.model}, {how}): {', '.join(answer.notes)}"


@every_one_of_four
def test_hostile_answers(client: str, figure: Figure) -> None:
    seed, ends = amount("SEED"), Counter[str]()
    until = time.monotonic() + amount("FUZZ_SECONDS") / len(CLIENTS)
    threads = threading.active_count()
    tried = 0
    while tried == 0 or time.monotonic() < until:
        with tempfile.TemporaryDirectory() as folder:
            try:
                ends.update(run(client, seed, Path(folder)))
            except BaseException:
                again = f"VESSELOG_TEST_SEED={seed} VESSELOG_TEST_FUZZ_SECONDS=0"
                print(f"\nrepeat: {again} pytest {Path(__file__).name} -k '[{client}]'")
                print("\n".join(map(_told, answers_of(seed))))
                raise
        seed += 1
        tried += 1
    assert threading.active_count() <= threads
    told = ", ".join(f"{number} {name}" for name, number in sorted(ends.items()))
    figure(f"{client}: {tried} hostile servers from seed {amount('SEED')}: {told}")


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_makes_the_same_answers_every_time(seed: int) -> None:
    assert answers_of(seed) == answers_of(seed)
