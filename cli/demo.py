"""`vesselog demo`: streams, records and replays without a model, from recordings in the package.

A replay server on loopback plays two shipped recordings. The library streams from it over HTTP,
writes a new recording, and replays that. Then a program asks the same server through the gateway
(demo_gateway.py). No model and no network are needed. Of the environment only OLLAMA_HOST is read,
to suggest a command for the user's own Ollama.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shlex
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .answer_printer import summary
from .arguments import Commands, add_recordings, speed
from .call_heading import prompt_excerpt
from .exit_status import EPILOG, ExitStatus
from .format_bytes import format_bytes
from .live_text import LiveText
from .local_ollama import LocalOllama, command_as_started
from .output import BOLD, DIM, print_error, print_line
from .recording_growth import RecordingGrowth

if TYPE_CHECKING:
    from ..core.chunk import StreamChunk
    from ..core.client.client import Client
    from ..core.client.stream import Stream
    from ..core.truth.recording import RecordedCall
    from .demo_gateway import Passed

__all__ = ["add"]

_SAMPLES = (("ollama", "ollama-story.jsonl"), ("openai", "llama-think.jsonl"))
_SERVERS = {"ollama": "Ollama", "openai": "OpenAI dialect (llama.cpp)"}
# Seconds. A recording whose tokens came in a shorter time is slowed down, so that people can watch
# it; a longer wait is shortened.
_SHORTEST_STREAM, _LONGEST_WAIT = 1.0, 0.6
# The gateway's answer is one that was watched before.
_GATEWAY_PACE = 3.0
# Characters shown of the example line before its chunks.
_EXCERPT = 74


class Played(NamedTuple):
    """One demo stream: the shipped call, the chunks received, and the number of the new call."""

    original: RecordedCall
    chunks: list[StreamChunk]
    call: int
    late: int
    """The number of chunks that were not in the file yet when the stream returned them."""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="a ten-second demonstration that needs no model",
        description="Serve two shipped recordings on this machine, as Ollama and as an "
        "OpenAI-compatible server; stream from both, record the answers, ask again through the "
        "gateway, resume an answer, and replay the new recording. Needs the server extra, but no "
        "model and no network.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--speed",
        type=speed,
        metavar="FACTOR",
        help="1 is the original pace, 0 or max means no waiting (default: 1, slower where the "
        "original is too fast to watch)",
    )
    add_recordings(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; returns the exit status."""
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        print_error(
            f"the demo needs the server extra ({' and '.join(missing)} missing): "
            "pip install 'vesselog[server]' (from a checkout: pip install '.[server]')"
        )
        return ExitStatus.FAILURE
    with ExitStack() as stack:
        stack.enter_context(_no_proxies())
        local_ollama = LocalOllama()
        folder = files("vesselog.recordings") / "samples"
        samples = [
            (vessel, stack.enter_context(as_file(folder / name))) for vessel, name in _SAMPLES
        ]
        ok = _show(samples, arguments)
        print_line()
        for line in local_ollama.suggestion():
            print_line(line)
    return ExitStatus.OK if ok else ExitStatus.FAILURE


def _show(samples: list[tuple[str, Path]], arguments: argparse.Namespace) -> bool:
    """Stream, record and replay; returns whether every check passed."""
    from ..core.clock import SYSTEM_CLOCK
    from ..core.truth.session_names import new_session_name

    print_line("vesselog demo", BOLD)
    print_line("A server on this machine replays two recorded answers over HTTP. They are")
    print_line("streamed, recorded again, and printed: each chunk is in the file before it is")
    print_line("on the screen.")
    moment, _, random = new_session_name(SYSTEM_CLOCK.wall()).partition("-")
    growth = RecordingGrowth(arguments.recordings / f"demo-{moment}-{random[:4]}.jsonl")
    played = [
        _stream(f"{number}. {_SERVERS[vessel]}", vessel, path, arguments, growth)
        for number, (vessel, path) in enumerate(samples, 1)
    ]
    passed = _pass_through(samples[-1], arguments, growth)
    growth.read_new_lines()
    _title("The recording", f" {growth.path}")
    print_line(f"  {growth.lines} lines, {format_bytes(growth.size)}. One of them:")
    before, chunks, after = growth.example.partition(',"chunks":')
    print_line(f"  {before[:_EXCERPT]} …", DIM)
    print_line(f"    … {chunks}{after}", DIM)
    _title("Replayed and compared")
    ok = True
    for kept, result in (*_checks(growth.path, played), *passed.checks()):
        print_line(f"  {'ok    ' if kept else 'FAILED'} {result}")
        ok = ok and kept
    print_line()
    print_line("Replay it:")
    print_line(f"  {command_as_started()} replay {shlex.quote(str(growth.path))}")
    return ok


def _stream(
    title: str, vessel: str, sample: Path, arguments: argparse.Namespace, growth: RecordingGrowth
) -> Played:
    """Serve a sample; stream from it, record the stream and print it."""
    from ..core.settings import Timeouts
    from ..core.truth.recording import Recording
    from ..server import replay_app, serve_in_thread

    call = next(call for call in Recording(sample).calls() if call.outcome == "complete")
    pace, longest_wait = _pace(call) if arguments.speed is None else (arguments.speed, math.inf)
    address = f"{vessel}/{call.request.get('model')}"
    with (
        serve_in_thread(
            replay_app([sample], pace, longest_wait=longest_wait, match="route", repeat=True)
        ) as url,
        _client(vessel, url, growth.path.parent) as client,
    ):
        _title(title, f" at {url}, {_pace_text(pace)}")
        print_line(f"  {address}: {prompt_excerpt(call)}", DIM)
        stream = client.stream(
            address,
            session=growth.path.stem,
            timeouts=Timeouts(first_chunk=10.0, idle=10.0),
            **_recorded_request(call),
        )
        with stream:
            chunks, late = _print_stream(stream, growth)
    for line in summary(stream.completion).rsplit(" · ", 1):  # 80 columns are too few for both
        print_line(f"  {line}", DIM)
    return Played(call, chunks, stream.call or 0, late)


def _pass_through(
    sample: tuple[str, Path], arguments: argparse.Namespace, growth: RecordingGrowth
) -> Passed:
    """Serve a sample behind a gateway; a program asks for it there, and a browser reads it."""
    from ..core.registry import find_vessel
    from ..server import replay_app, serve_in_thread
    from .demo_gateway import pass_through

    vessel, path = sample
    pace = _GATEWAY_PACE if arguments.speed is None else arguments.speed
    app = replay_app([path], pace, longest_wait=_LONGEST_WAIT, match="route", repeat=True)
    with serve_in_thread(app) as url:
        return pass_through(len(_SAMPLES) + 1, find_vessel(vessel)(base_url=url), growth)


def _print_stream(stream: Stream, growth: RecordingGrowth) -> tuple[list[StreamChunk], int]:
    """Print a stream and the size of its recording, which is read before each chunk is printed."""
    chunks: list[StreamChunk] = []
    late = 0
    reasoning = LiveText(sys.stdout, lambda: growth.size_text, style=DIM)
    answer = LiveText(sys.stdout, lambda: growth.size_text)
    for chunk in stream:
        growth.read_new_lines()
        late += not growth.contains(stream.call, chunk.seq)
        chunks.append(chunk)
        if chunk.reasoning:
            reasoning.add(chunk.reasoning)
        if chunk.text:
            reasoning.end()
            answer.add(chunk.text)
    reasoning.end()
    answer.end()
    return chunks, late


def _checks(path: Path, played: list[Played]) -> Iterator[tuple[bool, str]]:
    """Check the new recording: whether each check passed, and its result in words."""
    from ..core.replay.replay import replay
    from ..core.truth.recording import Recording
    from ..maintenance.verify import verify

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
    yield (
        same == len(played),
        f"{same} of {len(played)} answers have the same bytes as the original",
    )
    report = verify(path)
    yield report.ok, f"{report.lines} lines verified, {report.errors} errors"


def _client(vessel: str, url: str, recordings: Path) -> Client:
    """A client for this server that ignores the environment."""
    import httpx

    from ..core.client.client import Client
    from ..core.registry import find_vessel

    return Client(
        http_client=httpx.AsyncClient(
            verify=False,  # noqa: S501 - no TLS on this machine, so no certificates are read
            trust_env=False,
        ),
        recordings=recordings,
        vessels={vessel: find_vessel(vessel)(base_url=url)},
        environment={},
    )


def _recorded_request(call: RecordedCall) -> dict[str, Any]:
    """The recorded request as keyword arguments of `client.stream`, to send it again."""
    body: dict[str, Any] = dict(call.request["body"])
    for name in ("model", "stream", "stream_options"):
        body.pop(name, None)
    prompt: dict[str, Any] = {
        name: body.pop(name) for name in ("messages", "prompt") if name in body
    }
    return {**prompt, "extra_body": body}


def _pace(call: RecordedCall) -> tuple[float, float]:
    """The speed and the longest wait that let people watch a recording.

    The models of the samples are tiny: they answer fast, and the first chunk came after a wait for
    the model to load.
    """
    times = [frame.t for frame in call.frames()]
    streamed = (times[-1] - times[0]) / 1e6 if times else 0.0
    return min(1.0, streamed / _SHORTEST_STREAM) or 1.0, _LONGEST_WAIT


def _pace_text(pace: float) -> str:
    if pace == 1:
        return "at the recorded pace"
    if pace == 0:
        return "without waiting"
    if pace < 1:
        return f"{1 / pace:.0f} times slower than recorded"
    return f"{pace:.1f} times faster than recorded"


@contextlib.contextmanager
def _no_proxies() -> Generator[None]:
    """Remove the proxy variables for a while: they may be malformed, and loopback needs none."""
    proxies = {
        name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")
    }
    try:
        yield
    finally:
        os.environ.update(proxies)


def _title(text: str, more: str = "") -> None:
    print_line()
    print_line(text, BOLD, end="")
    print_line(more)
