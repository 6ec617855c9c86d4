"""`vesselog demo`: the whole way of a chunk, on recordings that come with the library.

Shipped recordings are served on loopback as the servers that gave them; the library streams from
them over HTTP, records anew, and replays what it recorded. No model and no network are needed, and
nothing in the user's environment is looked at but the address of his own Ollama.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shlex
import ssl
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .answers import summary
from .arguments import Commands, speed
from .growing import GrowingFile
from .headings import question
from .live_text import LiveText
from .output import BOLD, DIM, PLAIN, complain, write
from .own_ollama import OwnOllama, command_as_started
from .sizes import bytes_in_words
from .statuses import EPILOG, ExitStatus

if TYPE_CHECKING:
    from ..core.chunk import StreamChunk
    from ..core.client.client import Client
    from ..core.client.stream import Stream
    from ..core.truth.recording import RecordedCall

__all__ = ["add"]

_SAMPLES = (("ollama", "ollama-story.jsonl"), ("openai", "llama-think.jsonl"))
_SERVERS = {"ollama": "Ollama", "openai": "OpenAI dialect (llama.cpp)"}
# Tokens that come within a shorter time cannot be watched, and a wait that is longer is not
# waited for: seconds.
_SHORTEST, _LONGEST_WAIT = 1.0, 0.6
# Of a line of the file before its chunks: enough to see what it is made of.
_SHOWN = 74


class Played(NamedTuple):
    """A recorded call that was served, what was streamed from there, and as which call."""

    original: RecordedCall
    chunks: list[StreamChunk]
    call: int
    late: int
    """How many chunks the file did not have when they were handed out."""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "demo",
        help="see it work in ten seconds, without a model",
        description="Serve shipped recordings on this machine as Ollama and as an "
        "OpenAI-compatible server, stream from both, record, and replay the new recording. Needs "
        "the server extra; no model, no network.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--speed",
        type=speed,
        metavar="FACTOR",
        help="1 is the pace of the recordings (default: that, but slowed if they are too fast to "
        "be watched)",
    )
    parser.add_argument(
        "--recordings",
        metavar="DIR",
        type=Path,
        default=Path("recordings"),
        help="the folder to record in (default: recordings)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show it."""
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        complain(
            f"the demo needs the server extra ({' and '.join(missing)} missing): "
            "pip install 'vesselog[server]' (from a checkout: pip install '.[server]')"
        )
        return ExitStatus.FAILURE
    with ExitStack() as stack:
        stack.enter_context(_no_proxies())
        own = OwnOllama()
        folder = files("vesselog.recordings") / "samples"
        samples = [
            (vessel, stack.enter_context(as_file(folder / name))) for vessel, name in _SAMPLES
        ]
        ok = _show(samples, arguments)
        _say()
        for line in own.lines():
            _say(line)
    return ExitStatus.OK if ok else ExitStatus.FAILURE


def _show(samples: list[tuple[str, Path]], arguments: argparse.Namespace) -> bool:
    """Stream, record, replay; whether everything was as promised."""
    from ..core.clock import SYSTEM_CLOCK
    from ..core.truth.session_names import new_session_name

    _say("vesselog demo", BOLD)
    _say("Recorded answers are served on this machine as by the servers that once gave them,")
    _say("streamed from there over HTTP, and recorded anew: first the file, then the screen.")
    moment, _, random = new_session_name(SYSTEM_CLOCK.wall()).partition("-")
    file = GrowingFile(arguments.recordings / f"demo-{moment}-{random[:4]}.jsonl")
    played = [
        _stream(f"{number}. {_SERVERS[vessel]}", vessel, path, arguments, file)
        for number, (vessel, path) in enumerate(samples, 1)
    ]
    file.look()
    _title("The file", f" {file.path}")
    _say(f"  {file.lines} lines, {bytes_in_words(file.size)}; one of them:")
    before, chunks, after = file.example.partition(',"chunks":')
    _say(f"  {before[:_SHOWN]} …", DIM)
    _say(f"    … {chunks}{after}", DIM)
    _title("Replayed and compared")
    ok = True
    for kept, claim in _findings(file.path, played):
        _say(f"  {'ok    ' if kept else 'FAILED'} {claim}")
        ok = ok and kept
    _say()
    _say("Play it again:")
    _say(f"  {command_as_started()} replay {shlex.quote(str(file.path))}")
    return ok


def _stream(
    title: str, vessel: str, sample: Path, arguments: argparse.Namespace, file: GrowingFile
) -> Played:
    """Serve a sample, and stream from it into the file and onto the screen."""
    from ..core.client.settings import Timeouts
    from ..core.truth.recording import Recording
    from ..server import on_loopback, replay_app

    call = next(call for call in Recording(sample).calls() if call.outcome == "complete")
    pace, longest_wait = _pace(call) if arguments.speed is None else (arguments.speed, math.inf)
    address = f"{vessel}/{call.request.get('model')}"
    with (
        on_loopback(replay_app([sample], pace, longest_wait=longest_wait, match="route")) as url,
        _client(vessel, url, file.path.parent) as client,
    ):
        _title(title, f" at {url}, {_in_words(pace)}")
        _say(f"  {address}: {question(call)}", DIM)
        stream = client.stream(
            address,
            session=file.path.stem,
            timeouts=Timeouts(first_chunk=10.0, idle=10.0),
            **_as_recorded(call),
        )
        with stream:
            chunks, late = _print(stream, file)
    _say(f"  {summary(stream.completion)}", DIM)
    return Played(call, chunks, stream.call or 0, late)


def _print(stream: Stream, file: GrowingFile) -> tuple[list[StreamChunk], int]:
    """Print a stream beside the growth of its file, which is looked at before each chunk."""
    chunks: list[StreamChunk] = []
    late = 0
    thinking = LiveText(sys.stdout, lambda: file.figure, style=DIM)
    answer = LiveText(sys.stdout, lambda: file.figure)
    for chunk in stream:
        file.look()
        late += not file.has(stream.call, chunk.seq)
        chunks.append(chunk)
        if chunk.reasoning:
            thinking.add(chunk.reasoning)
        if chunk.text:
            thinking.end()
            answer.add(chunk.text)
    thinking.end()
    answer.end()
    return chunks, late


def _findings(path: Path, played: list[Played]) -> Iterator[tuple[bool, str]]:
    """Each promise: whether it was kept, and in words how far."""
    from ..core.truth.recording import Recording
    from ..core.truth.replay import replay
    from ..core.truth.verify import verify

    total = sum(len(one.chunks) for one in played)
    late = sum(one.late for one in played)
    yield late == 0, f"{total - late} of {total} chunks were in the file before they were printed"
    equal = sum(
        again == chunk
        for one in played
        for again, chunk in zip(replay(path, "max", call=one.call), one.chunks, strict=True)
    )
    yield equal == total, f"{equal} of {total} chunks are equal when the file is replayed"
    ends = {call.number: call.end or {} for call in Recording(path).calls()}
    same = sum(ends[one.call].get("sha256") == (one.original.end or {})["sha256"] for one in played)
    yield same == len(played), f"{same} of {len(played)} answers have the bytes of the original"
    report = verify(path)
    yield report.ok, f"{report.lines} lines checked, {report.errors} errors"


def _client(vessel: str, url: str, recordings: Path) -> Client:
    """A client for this server, whatever the environment says."""
    from ..core.client.client import Client
    from ..core.registry import find_vessel

    return Client(
        recordings=recordings,
        vessels={vessel: find_vessel(vessel)(base_url=url)},
        environment={},
        ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # no certificates: there is no TLS
    )


def _as_recorded(call: RecordedCall) -> dict[str, Any]:
    """The fields of the request that was recorded, so that the same is asked again."""
    asked: dict[str, Any] = dict(call.request["body"])
    for own in ("model", "stream", "stream_options"):
        asked.pop(own, None)
    words: dict[str, Any] = {
        name: asked.pop(name) for name in ("messages", "prompt") if name in asked
    }
    return {**words, "extra_body": asked}


def _pace(call: RecordedCall) -> tuple[float, float]:
    """Speed and longest wait: those of the recording where it can be watched, else what lets it be.

    The models of the samples are tiny and fast, and were loaded from disk for them.
    """
    times = [frame.t for frame in call.frames()]
    streamed = (times[-1] - times[0]) / 1e6 if times else 0.0
    return min(1.0, streamed / _SHORTEST) or 1.0, _LONGEST_WAIT


def _in_words(pace: float) -> str:
    if pace == 1:
        return "at the recorded pace"
    if pace == 0:
        return "without waiting"
    if pace < 1:
        return f"{1 / pace:.0f} times slower than recorded"
    return f"{pace:.1f} times faster than recorded"


@contextlib.contextmanager
def _no_proxies() -> Generator[None]:
    """Without the environment's proxies, which may be malformed and are of no use on loopback."""
    proxies = {
        name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")
    }
    try:
        yield
    finally:
        os.environ.update(proxies)


def _say(text: str = "", style: str = PLAIN) -> None:
    write(text, style)
    write("\n")


def _title(text: str, more: str = "") -> None:
    _say()
    write(text, BOLD)
    _say(more)
