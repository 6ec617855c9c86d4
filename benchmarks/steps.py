"""Where a chunk's time goes: what each step of its way costs by itself, again and again.

The steps are those of `pipeline openai`, each done by the library's own code on the frame of one
piece of text; what is left of the whole stands between them. `bare` does what the file format and
the chunk ask for, in one function with no way to fail: no limits, deadlines, locks or interrupts.
"""

from __future__ import annotations

import os
import tempfile
import time
import timeit
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import orjson
from children import Figures, serve
from material import material

from vesselog.core.assembler import Assembler
from vesselog.core.clock import SYSTEM_CLOCK
from vesselog.core.exchange import Step
from vesselog.core.frame import Frame
from vesselog.core.framing import Framing, Splitter
from vesselog.core.make_chunk import make_chunk
from vesselog.core.metrics import Meter
from vesselog.core.truth.frameline import frame_line
from vesselog.core.truth.turn import Turn
from vesselog.vessels.openai_answer import OpenAIDecoder

_TEXT = "Hello"


def steps(repeats: int, turns: int) -> Figures:
    """Microseconds for each step; the least of some turns."""
    answer = material("openai", 2)
    raw = answer.pieces[0]
    frame = Frame(raw, Framing.SSE)
    fields = {"seq": 7, "text": _TEXT}
    chunk = make_chunk(fields, 0.5, frame.text)
    step = Step(frame, (chunk,), (fields,))
    line = frame_line(step, 9, 1, 500_000)
    splitter, decoder, assembler, meter = (
        Splitter(Framing.SSE),
        OpenAIDecoder("openai"),
        Assembler(),
        Meter(),
    )
    turn = Turn(SYSTEM_CLOCK, 0, list[None]().__len__, lambda: None)
    for each in (*answer.opening, raw):
        list(decoder.decode(Frame(each, Framing.SSE)))
    digest = sha256()
    since = 0

    def split() -> None:
        splitter.split(raw)

    def decode() -> None:
        for _ in decoder.decode(frame):
            pass

    def hash_on() -> None:
        digest.copy().update(raw)

    def measure_gap() -> None:
        nonlocal since
        since += 20_000
        meter.add((step,), since)

    def take_turn() -> None:
        turn.enter()
        turn.leave()

    def bare() -> None:
        text = raw.decode()
        value = orjson.loads(text[6:-2])
        said = {"seq": 7, "text": value["choices"][0]["delta"]["content"]}
        made = make_chunk(said, 0.5, text)
        fields = {"type": "frame", "n": 9, "call": 1, "t": time.monotonic_ns() // 1000}
        body = orjson.dumps({**fields, "raw": text, "chunks": [said]})[:-1]
        digest.update(raw)
        os.write(fd, b'%b,"crc":"%08x"}\n' % (body, crc32(body)))
        assembler.add(made)

    with tempfile.TemporaryDirectory() as folder:
        fd = os.open(Path(folder) / "steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        todo: dict[str, Callable[[], object]] = {
            "split": split,
            "frame": lambda: Frame(raw, Framing.SSE),
            "json": lambda: orjson.loads(frame.data or ""),
            "decode": decode,
            "chunk": lambda: make_chunk(fields, 0.5, frame.text),
            "step": lambda: Step(frame, (), ()),
            "line": lambda: frame_line(step, 9, 1, 500_000),
            "digest": hash_on,
            "write": lambda: os.write(fd, line),
            "turn": take_turn,
            "gap": measure_gap,
            "add_up": lambda: assembler.add(chunk),
            "bare": bare,
        }
        nothing = _least(lambda: None, repeats, turns)
        found = {name: _least(todo[name], repeats, turns) - nothing for name in todo}
        os.close(fd)
    return {f"{name}_us": spent for name, spent in found.items()}


def _least(function: Callable[[], object], repeats: int, turns: int) -> float:
    spent = timeit.repeat(function, timer=_cpu, number=repeats, repeat=turns)
    return min(spent) / repeats * 1e6


def _cpu() -> float:
    return time.process_time()


if __name__ == "__main__":
    serve({"steps": steps})
