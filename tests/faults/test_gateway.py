"""The gateway killed, and left by its clients, at random moments."""

from __future__ import annotations

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from amounts import amount
from gateway_process import Got, ask_on, recorded
from gateways import gateway_to
from invariants import check_reopening
from loopback import Conversation, LoopbackServer
from nursery import Nursery
from patience import PATIENCE
from producing import producing_lines
from reporting import Figure
from vesselog import Recording
from vesselog.vessels.ollama import Ollama


def trickling(conversation: Conversation) -> None:
    """Each frame in its own packet, so that the end may come anywhere."""
    pause = threading.Event()
    conversation.begin()
    for each in producing_lines(40)(conversation.request.json["messages"][-1]["content"]):
        pause.wait(0.001)
        conversation.chunk(each)
    conversation.end()


def test_kill_at_random_moments(tmp_path: Path, nursery: Nursery, figure: Figure) -> None:
    """What a client received is in the file, always."""
    kills, clients = amount("KILLS"), 4
    chance = random.Random(amount("SEED"))
    waiting = threading.Event()
    answers = size = cut = 0
    with LoopbackServer([trickling]) as server, ThreadPoolExecutor(clients) as pool:
        for number in range(kills):
            folder, ready = tmp_path / str(number), tmp_path / f"{number}.ready"
            os.mkfifo(ready)
            child = nursery.start(
                "run_gateway", folder=str(folder), url=server.url, ready=str(ready)
            )
            port = ready.read_text("utf-8")
            got: list[Got] = []
            begun = threading.Event()
            asking = [
                pool.submit(ask_on, f"http://127.0.0.1:{port}", f"{number}.{each}", got, begun)
                for each in range(clients)
            ]
            assert begun.wait(PATIENCE)
            waiting.wait(chance.uniform(0, 0.2))
            child.kill()
            for each in asking:
                each.result()
            for session, data in got:
                there = recorded(folder, session)
                assert there.startswith(data)
                size += len(data)
                cut += len(data) < len(there) or not data
                answers += 1
            for path in folder.glob("*.jsonl"):
                check_reopening(path)
    assert size
    assert cut
    figure(
        f"kill -9 of the gateway at {kills} random moments, {clients} clients each: all of the "
        f"{size:,} bytes that they had of {answers} answers are recorded"
    )


def test_clients_that_leave_at_random_moments(tmp_path: Path, figure: Figure) -> None:
    """Each call has its end, what was received is recorded, and nothing runs on."""
    total = max(200, amount("CANCELS") // 5)
    seed = amount("SEED")
    got: list[Got] = []
    with (
        LoopbackServer([trickling]) as server,
        gateway_to(tmp_path, {"up": Ollama(base_url=server.url)}) as http,
        ThreadPoolExecutor(8) as pool,
    ):
        url = str(http.base_url)
        for each in [pool.submit(leave_one, url, seed + n, got) for n in range(total)]:
            each.result()
        while http.get("/sessions").json():
            pass
        assert http.post("/api/chat", json=asked("after")).status_code == 200
    outcomes: dict[str, int] = {}
    for path in tmp_path.iterdir():
        (call,) = Recording(path).calls()
        outcomes[call.outcome] = outcomes.get(call.outcome, 0) + 1
    assert set(outcomes) == {"complete", "cancelled"}
    for session, data in got:
        assert recorded(tmp_path, session).startswith(data)
    figure(f"{total} clients that left the gateway at random: {outcomes}, nothing runs on")


def leave_one(url: str, seed: int, got: list[Got]) -> None:
    """Read some of an answer, and close the connection."""
    chance = random.Random(seed)
    enough = chance.randrange(30_000)
    with (
        httpx.Client(base_url=url, timeout=30, trust_env=False) as http,
        http.stream("POST", "/api/chat", json=asked(str(seed))) as response,
    ):
        data = b""
        for piece in response.iter_raw():
            data += piece
            if len(data) >= enough:
                break
        got.append(Got(response.headers["x-vesselog-session"], data))


def asked(prompt: str) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": prompt}]}
