"""`vesselog bench`: measures how fast a server streams, and compares HTTP clients on it.

Every stream is recorded, and the results are read from the recordings. Each client runs in its own
process. The model is warmed up with one whole answer, each process with one stream that stops at
its first frame. The clients take turns, and every round starts with a different one.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .arguments import (
    Commands,
    add_json,
    add_option,
    add_recordings,
    add_server,
    add_set,
    configured_vessel,
    count,
)
from .bench_clients import ASYNC_CLIENTS, NEEDS, SYNC_CLIENTS
from .chat_request import given_fields
from .exit_status import EPILOG, ExitStatus, status_of
from .output import DIM, is_terminal, print_error, print_json, print_note
from .terminal_text import safe_line

if TYPE_CHECKING:
    from .bench_results import ResourceUse

__all__ = ["add"]

_PROMPT = "Tell a story about the sea in 200 words."
_DEFAULT_CLIENT = "vesselog-async"
_CLIENTS = (*SYNC_CLIENTS, *ASYNC_CLIENTS)
_WORKER = f"{__package__}.bench_worker"


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "bench",
        help="measure how fast a server streams, or compare HTTP clients on it",
        description="Stream the same prompt several times at once, in rounds, and print the time "
        "to the first chunk, the time between chunks and the tokens per second. P95 means that 95 "
        "of 100 were at least this good. The model is warmed up first. Everything is recorded, and "
        "the results are read from the recordings. The exit status is 1 if a stream failed.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="vessel/model, for example ollama/qwen3:1.7b or openai/gpt-5-mini",
    )
    parser.add_argument(
        "prompt", metavar="PROMPT", nargs="?", default=_PROMPT, help=f"default: {_PROMPT}"
    )
    parser.add_argument(
        "--streams",
        "-n",
        metavar="N",
        type=count,
        default=4,
        help="the number of streams at the same time (default: 4)",
    )
    parser.add_argument(
        "--rounds",
        "-r",
        metavar="N",
        type=count,
        default=3,
        help="the number of rounds (default: 3)",
    )
    clients = parser.add_mutually_exclusive_group()
    clients.add_argument("--compare", action="store_true", help="compare all HTTP clients")
    clients.add_argument(
        "--client",
        metavar="NAME",
        action="append",
        choices=_CLIENTS,
        help=f"measure this client (default: {_DEFAULT_CLIENT}); may be repeated; clients: "
        + ", ".join(_CLIENTS),
    )
    parser.add_argument(
        "--generate",
        action="store_true",
        help="send the text as a prompt to be continued (Ollama's /api/generate, OpenAI's "
        "completions)",
    )
    parser.add_argument(
        "--max-tokens", metavar="N", type=count, help="the most tokens of each answer"
    )
    add_set(parser)
    add_option(parser)
    add_server(parser)
    add_recordings(parser)
    add_json(parser, "the results, a line for each client,")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Warm up, run the rounds and print the results; returns the exit status."""
    from ..core.clock import SYSTEM_CLOCK
    from ..core.truth.session_names import new_session_name
    from .bench_results import ClientResults
    from .bench_tables import print_comparison, print_one_client

    clients = _installed(_CLIENTS if arguments.compare else arguments.client or (_DEFAULT_CLIENT,))
    name = f"bench-{new_session_name(SYSTEM_CLOCK.wall())}"
    warm_up = f"{name}-warm-up"
    status = _warm_up(arguments, warm_up)
    if status is not ExitStatus.OK:
        return status
    results = {client: ClientResults() for client in clients}
    interrupted = False
    try:
        for number in range(arguments.rounds):
            first = number % len(clients)
            for client in (*clients[first:], *clients[:first]):
                label = f"round {number + 1} of {arguments.rounds}, {client}"
                session = f"{name}-{client}-{number + 1}"
                used = _run_client(arguments, client, session, warm_up, label)
                results[client].add(arguments.recordings / f"{session}.jsonl", used)
    except KeyboardInterrupt:
        interrupted = True
        _progress("")
    measured = {client: result for client, result in results.items() if result.streams}
    if arguments.json:
        for client, result in measured.items():
            print_json(
                {"type": "bench", "model": arguments.model, "client": client} | result.record()
            )
    elif len(clients) > 1:
        print_comparison(measured)
    else:
        for result in measured.values():
            print_one_client(result)
    print_note(f"recorded in {arguments.recordings / name}-*.jsonl", DIM)
    if interrupted:
        return ExitStatus.INTERRUPTED
    failed = any(result.errors for result in measured.values())
    return ExitStatus.FAILURE if failed else ExitStatus.OK


def _installed(clients: Sequence[str]) -> list[str]:
    """The clients whose packages are installed. Prints the others.

    Raises ConfigurationError if there is none.
    """
    from ..core.errors import ConfigurationError

    missing = {
        client: NEEDS[client]
        for client in clients
        if client in NEEDS and find_spec(NEEDS[client]) is None
    }
    install = "`pip install 'vesselog[bench,fast]'`"
    for client, module in missing.items():
        print_note(f"SKIPPED {client}: {module} is not installed; install it with {install}")
    found = [client for client in dict.fromkeys(clients) if client not in missing]
    if not found:
        raise ConfigurationError(f"none of the chosen clients is installed: run {install}")
    return found


def _fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """The request, as keyword arguments of `client.stream`."""
    prompt = arguments.prompt
    fields: dict[str, Any] = (
        {"prompt": prompt}
        if arguments.generate
        else {"messages": [{"role": "user", "content": prompt}]}
    )
    if arguments.max_tokens is not None:
        fields["max_tokens"] = arguments.max_tokens
    return fields | given_fields(arguments)


def _warm_up(arguments: argparse.Namespace, session: str) -> ExitStatus:
    """Run one stream that is not measured: it loads the model and shows a wrong request early."""
    from ..core.client.client import Client
    from ..core.errors import VesselogError
    from .error_advice import command_line_message

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
            print_error(command_line_message(error, client, vessel, model))
            return status_of(error)
        except KeyboardInterrupt:
            _progress("")
            return ExitStatus.INTERRUPTED
    _progress("")
    print_note(f"warm-up: {frames} frames in {stream.completion.metrics.duration:.2f} s", DIM)
    return ExitStatus.OK


def _run_client(
    arguments: argparse.Namespace, client: str, session: str, warm_up: str, label: str
) -> ResourceUse:
    """Run one round of one client in a process. Raises VesselogError if the process fails."""
    from ..core.errors import VesselogError
    from .bench_results import ResourceUse

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
    with subprocess.Popen(  # noqa: S603 - this program itself
        [sys.executable, "-P", "-m", _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that Ctrl-C reaches only this process, which forwards it
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise VesselogError("the client's process has no pipes")
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
        raise VesselogError(f"{label}: the process ended with status {process.returncode}")
    used = ResourceUse(**last)
    print_note(f"{label}: {used.wall:.2f} s", DIM)
    return used


def _progress(text: str) -> None:
    """Overwrite the progress line on stderr; does nothing if stderr is not a terminal."""
    if is_terminal(sys.stderr):
        sys.stderr.write(f"\r\x1b[K{safe_line(text)}")
        sys.stderr.flush()
