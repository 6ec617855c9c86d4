"""`vesselog bench`: how fast a server streams, and how HTTP clients compare on it.

Every stream is recorded, and the figures are read from the recordings. A client runs in a process
of its own. The model is warmed up by a whole answer; each process by one that it leaves at its
first frame. The clients take turns, and each round is begun by another.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Commands, add_json, add_server, configured_vessel, key_value
from .bench_clients import ASYNC_CLIENTS, NEEDS, SYNC_CLIENTS
from .output import DIM, complain, is_terminal, json_line, note
from .statuses import EPILOG, ExitStatus, status_of

if TYPE_CHECKING:
    from .bench_figures import Taken

__all__ = ["add"]

_PROMPT = "Tell a story about the sea in 200 words."
_ALONE = "vesselog-async"
_CLIENTS = (*SYNC_CLIENTS, *ASYNC_CLIENTS)
_WORKER = f"{__package__}.bench_worker"


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "bench",
        help="measure how a server streams, or how HTTP clients compare on it",
        description="Stream the same prompt several times at once, in rounds, and tell the time to "
        "the first chunk, the time between chunks and the tokens per second. P95: 95 of 100 were "
        "at least as good. The model is warmed up first. Everything is recorded, and the figures "
        "are read from the recordings. The status is 1 if a stream failed.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "model", metavar="MODEL", help="vessel/model, as ollama/qwen3:1.7b or openai/gpt-5-mini"
    )
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="?", default=_PROMPT, help=f"default: {_PROMPT}"
    )
    parser.add_argument(
        "--streams", "-n", metavar="N", type=_count, default=4, help="at once (default: 4)"
    )
    parser.add_argument("--rounds", "-r", metavar="N", type=_count, default=3, help="default: 3")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--compare", action="store_true", help="compare all HTTP clients")
    chosen.add_argument(
        "--client",
        metavar="NAME",
        action="append",
        choices=_CLIENTS,
        help=f"measure this one (default: {_ALONE}); may be repeated: {', '.join(_CLIENTS)}",
    )
    parser.add_argument(
        "--generate",
        action="store_true",
        help="have the prompt continued (Ollama's /api/generate, OpenAI's completions)",
    )
    parser.add_argument("--max-tokens", metavar="N", type=_count, help="end each answer there")
    parser.add_argument(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        action="append",
        type=key_value,
        default=[],
        help="an option of the provider's own, as temperature=0; may be repeated",
    )
    add_server(parser)
    parser.add_argument(
        "--recordings",
        metavar="DIR",
        type=Path,
        default=Path("recordings"),
        help="the folder to record in (default: recordings)",
    )
    add_json(parser, "a line for each client")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Warm up, run the rounds, tell."""
    from ..core.clock import SYSTEM_CLOCK
    from ..core.truth.session_names import new_session_name
    from .bench_figures import Tally
    from .bench_tables import compared, single

    clients = _installed(_CLIENTS if arguments.compare else arguments.client or (_ALONE,))
    name = f"bench-{new_session_name(SYSTEM_CLOCK.wall())}"
    warm_up = f"{name}-warm-up"
    status = _warm_up(arguments, warm_up)
    if status is not ExitStatus.OK:
        return status
    tallies = {client: Tally() for client in clients}
    interrupted = False
    try:
        for number in range(arguments.rounds):
            first = number % len(clients)
            for client in (*clients[first:], *clients[:first]):
                label = f"round {number + 1} of {arguments.rounds}, {client}"
                session = f"{name}-{client}-{number + 1}"
                taken = _measured(arguments, client, session, warm_up, label)
                tallies[client].add(arguments.recordings / f"{session}.jsonl", taken)
    except KeyboardInterrupt:
        interrupted = True
        _progress("")
    done = {client: tally for client, tally in tallies.items() if tally.streams}
    if arguments.json:
        for client, tally in done.items():
            json_line(
                {"type": "bench", "model": arguments.model, "client": client} | tally.record()
            )
    elif len(clients) > 1:
        compared(done)
    else:
        for tally in done.values():
            single(tally)
    note(f"recorded in {arguments.recordings / name}-*.jsonl", DIM)
    if interrupted:
        return ExitStatus.INTERRUPTED
    return ExitStatus.FAILURE if any(tally.errors for tally in done.values()) else ExitStatus.OK


def _installed(clients: Sequence[str]) -> list[str]:
    """Those of them that can be run here; says which cannot. Raises ConfigurationError for none."""
    from ..core.errors import ConfigurationError

    missing = {
        client: NEEDS[client]
        for client in clients
        if client in NEEDS and find_spec(NEEDS[client]) is None
    }
    hint = "pip install 'vesselog[bench,fast]'"
    for client, module in missing.items():
        note(f"SKIPPED {client}: {module} is not installed: {hint}")
    found = [client for client in dict.fromkeys(clients) if client not in missing]
    if not found:
        raise ConfigurationError(f"no client to measure with: {hint}")
    return found


def _fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """The request, as the client takes it."""
    prompt = arguments.prompt
    fields: dict[str, Any] = (
        {"prompt": prompt}
        if arguments.generate
        else {"messages": [{"role": "user", "content": prompt}]}
    )
    if arguments.max_tokens is not None:
        fields["max_tokens"] = arguments.max_tokens
    if arguments.option:
        fields["options"] = dict(arguments.option)
    return fields


def _warm_up(arguments: argparse.Namespace, session: str) -> ExitStatus:
    """One stream that is not counted: the model is loaded then, and mistakes are found."""
    from ..core.client.client import Client
    from ..core.errors import VesselogError
    from .hints import explained

    vessel, _, model = arguments.model.partition("/")
    vessels = configured_vessel(vessel, arguments)
    with Client(recordings=arguments.recordings, vessels=vessels) as client:
        frames = 0
        try:
            with client.stream(arguments.model, session=session, **_fields(arguments)) as stream:
                for _ in stream.frames():
                    frames += 1
                    _progress(f"warm-up: {frames} frames")
        except VesselogError as error:
            _progress("")
            complain(explained(error, client, vessel, model))
            return status_of(error)
        except KeyboardInterrupt:
            _progress("")
            return ExitStatus.INTERRUPTED
    _progress("")
    note(f"warm-up: {frames} frames in {stream.completion.metrics.duration:.2f} s", DIM)
    return ExitStatus.OK


def _measured(
    arguments: argparse.Namespace, client: str, session: str, warm_up: str, label: str
) -> Taken:
    """One round of one client. Raises VesselogError if its process fails."""
    from ..core.errors import VesselogError
    from .bench_figures import Taken

    settings = {
        "client": client,
        "model": arguments.model,
        "fields": _fields(arguments),
        "base_url": arguments.base_url,
        "api_key_env": arguments.api_key_env,
        "folder": str(arguments.recordings),
        "session": session,
        "warm_up": warm_up,
        "streams": arguments.streams,
    }
    last: dict[str, Any] = {}
    with subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, "-P", "-m", _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C comes to this process, which passes it on
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise VesselogError("the process of the client has no pipes")
        try:
            process.stdin.write(json.dumps(settings) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                last = json.loads(line)
                if "frames" in last:
                    _progress(f"{label}: {last['frames']} frames")
        except BaseException:
            if sys.platform == "win32":
                process.terminate()
            else:
                process.send_signal(signal.SIGINT)
            raise
    _progress("")
    if process.returncode != 0 or "cpu" not in last:
        raise VesselogError(f"{label}: its process ended with {process.returncode}")
    taken = Taken(**last)
    note(f"{label}: {taken.wall:.2f} s", DIM)
    return taken


def _progress(text: str) -> None:
    """How far it is, in one line that is written over; nothing where nobody watches."""
    if is_terminal(sys.stderr):
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count: give a number from 1")
    return value
