"""`vesselog serve`: records what programs ask their model servers, or answers from recordings."""

from __future__ import annotations

import argparse
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import RECORDINGS, Commands, add_timeout, count, speed, whole_number
from .exit_status import EPILOG, ExitStatus
from .output import DIM, print_line, print_note

if TYPE_CHECKING:
    from ..server.serving import Serving
    from .serve_settings import ServeSettings

__all__ = ["EVERY_ADDRESS", "PORT", "add", "base_urls"]

PORT = 8484
"""Where it listens unless told otherwise."""

EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared
"""Hosts that stand for all addresses of this machine."""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "serve",
        help="record what any program asks its model server, or answer it from recordings",
        description="Stand between programs and their model servers: give a program this server's "
        "base URL, and every answer is recorded before it is passed on. With --replay the answers "
        "come from recordings instead. With -- COMMAND, run this command with the base URLs set in "
        "its environment, and end with its exit status.",
        usage="vesselog serve --upstream NAME=VESSEL[@URL] [options] [-- COMMAND ...]",
        epilog=EPILOG,
    )
    _add_gateway(parser)
    _add_replay(parser)
    _add_access(parser)
    parser.set_defaults(run=run, program=())


def _add_gateway(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--upstream",
        metavar="NAME=VESSEL[@URL]",
        action="append",
        type=_upstream,
        default=[],
        help="a model server: a name of your own, its vessel (see `vesselog vessels`), and its "
        "base URL unless the vessel knows it; may be repeated. A request goes to the first one "
        "of its dialect, or to the one that the path (/NAME/v1/…) or the model (NAME/model) names",
    )
    parser.add_argument(
        "--api-key-env",
        metavar="NAME=VAR",
        action="append",
        type=_pair,
        default=[],
        help="the environment variable that holds the key of this upstream; without it, and "
        "without the vessel's own variable, the key that the program sends is passed on",
    )
    parser.add_argument(
        "--recordings",
        metavar="DIR",
        type=Path,
        help=f"the folder for the recordings (default: {RECORDINGS})",
    )
    parser.add_argument(
        "--durability",
        choices=("process", "interval", "power"),
        help="what a recorded chunk survives: process, a kill of this process; interval, also a "
        "power cut, but for the last moment; power, any power cut (default: process)",
    )
    parser.add_argument(
        "--session-from",
        metavar="RULE",
        help="which requests share a recording: user (of the request's body) or header:NAME "
        "(default: each has its own, or the one named in the header x-vesselog-session)",
    )
    add_timeout(parser)
    parser.add_argument(
        "--stop-within",
        metavar="SECONDS",
        type=float,
        help="how long running answers may take to end when the server is stopped (default: 5)",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="a TOML file with these settings; the command line wins over it",
    )


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replay",
        metavar="PATH",
        action="append",
        type=Path,
        help="answer from this recording, or this folder of recordings; may be repeated. With "
        "the same --upstream as in the recording, translated answers are found too; no upstream "
        "is asked",
    )
    parser.add_argument(
        "--speed",
        type=speed,
        metavar="FACTOR",
        help="the pace of replayed answers: 2 is twice as fast; 0 or max means no waiting "
        "(default: 1)",
    )
    parser.add_argument(
        "--match",
        choices=("strict", "messages", "order", "route"),
        help="which recorded answer a request gets: strict, that of the same request; messages, of "
        "the same messages and tools, whatever the model and its options; order, the next one; "
        "route, the next one of the same method and path (default: strict)",
    )
    parser.add_argument(
        "--repeat",
        action="store_true",
        default=None,
        help="give recorded answers more than once",
    )
    parser.add_argument(
        "--record-missing",
        action="store_true",
        default=None,
        help="ask an upstream for what was not recorded, and record it in the same folder",
    )


def _add_access(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        help="the address to listen at; one that other machines can reach needs a token, in the "
        "variable VESSELOG_TOKEN or in --token-file (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port", type=whole_number, help=f"0 takes any free port (default: {PORT})"
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help="a file with the token that programs must send, as their API key or in the header "
        "x-vesselog-token",
    )
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        help="a host name, besides localhost, by which programs may call this server; may be "
        "repeated",
    )
    parser.add_argument(
        "--allow-origin",
        metavar="ORIGIN",
        action="append",
        help="an origin whose web pages may use this server, for example https://app.example; "
        "may be repeated",
    )
    parser.add_argument(
        "--max-body-bytes",
        metavar="N",
        type=count,
        help="the largest request, in bytes (default: 64 MiB)",
    )
    parser.add_argument(
        "--max-total-body-bytes",
        metavar="N",
        type=count,
        help="the most bytes that all requests at once may have, until they are answered "
        "(default: four times --max-body-bytes)",
    )
    parser.add_argument(
        "--max-requests",
        metavar="N",
        type=count,
        help="how many requests may run at once (default: 1000)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal, or until the command has ended; returns the exit status."""
    from ..core.errors import ConfigurationError
    from .serve_settings import read_settings

    settings = read_settings(arguments)
    try:
        serving = _serving(settings)
    except ImportError:
        raise ConfigurationError(
            "serving needs the server extra: pip install 'vesselog[server]'"
        ) from None
    # All that is loaded stays: a collection that visits it stops every stream for 10 ms and more.
    gc.freeze()
    if arguments.program:
        from .serve_command import run_command

        return run_command(arguments.program, serving, settings.token())
    _print_start(settings, serving)
    serving.run()
    print_note("stopped", DIM)
    return ExitStatus.OK


def base_urls(url: str) -> dict[str, str]:
    """The variables by which SDKs and programs find their server, for a server at this URL.

    OpenAI's want the version in it (https://github.com/openai/openai-python#configuring-the-http-client,
    OPENAI_API_BASE is its older name), the others add it themselves.
    """
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",
        "OLLAMA_HOST": url,
        "ANTHROPIC_BASE_URL": url,
        "GOOGLE_GEMINI_BASE_URL": url,
    }


def _serving(settings: ServeSettings) -> Serving:
    """The server, listening already."""
    from ..server.guard import Guard, GuardSettings
    from ..server.operations import Operations
    from ..server.serving import Serving
    from .serve_application import make_application

    checks = GuardSettings(
        host=settings.host,
        token=settings.token(),
        hosts=settings.allow_host,
        origins=settings.allow_origin,
        body_bytes=settings.max_body_bytes,
        total_body_bytes=settings.max_total_body_bytes,
        requests=settings.max_requests,
    )
    app, metrics, stop = make_application(settings)
    served = Guard(Operations(app, metrics.text), checks)
    return Serving(served, settings.host, settings.port, before_end=stop)


def _print_start(settings: ServeSettings, serving: Serving) -> None:
    replayed = ", ".join(map(str, settings.replay))
    told = [f"replaying {replayed}"] if replayed else []
    told += [f"recording to {settings.folder}"] if settings.asks else []
    print_line(f"{serving.url} {', '.join(told)}")
    if settings.host in EVERY_ADDRESS:
        print_line("  at every address of this machine, without encryption", DIM)
    for name, each in settings.upstreams.items():
        address = f" at {each.base_url}" if each.base_url else ""
        print_line(f"  upstream {name}: {each.vessel}{address}", DIM)
    print_line("Base URLs for programs:", DIM)
    for variable, value in base_urls(serving.url).items():
        print_line(f"  {variable}={value}", DIM)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name or not value:
        raise argparse.ArgumentTypeError("give NAME=VAR")
    return name, value


def _upstream(text: str) -> tuple[str, dict[str, Any]]:
    """`NAME=VESSEL[@URL]`; `VESSEL[@URL]` alone names it after its vessel."""
    kind, at, url = text.partition("@")
    name, separator, vessel = kind.partition("=")
    vessel = vessel if separator else name
    if not name or not vessel or (at and not url):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VESSEL[@URL]")
    return name, {"vessel": vessel, "base_url": url or None}
