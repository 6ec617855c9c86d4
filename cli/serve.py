"""`vesselog serve`: records what programs ask their model servers, or answers from recordings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .arguments import RECORDINGS, Commands, add_timeout, count, speed
from .exit_status import EPILOG, ExitStatus
from .output import DIM, print_line, print_note

if TYPE_CHECKING:
    from ..core.vessel import Vessel
    from ..server.asgi import Application
    from ..server.gateway.gateway import Gateway
    from ..server.metrics import Metrics
    from ..server.serving import Serving
    from .serve_settings import ServeSettings

__all__ = ["PORT", "add", "base_urls"]

PORT = 8484
"""Where it listens unless told otherwise."""

# Idle connections to upstreams: so many programs may ask at once without the wait for a new one.
_KEPT = 100
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared

# What an upstream sends after the terminator of its dialect belongs to the answer's exact bytes.
_DRAIN = 2.0


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
    parser.add_argument("--port", type=int, help=f"0 takes any free port (default: {PORT})")
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
    from ..server.metrics import Metrics
    from ..server.operations import Operations
    from ..server.serving import Serving

    checks = GuardSettings(
        host=settings.host,
        token=settings.token(),
        hosts=settings.allow_host,
        origins=settings.allow_origin,
        body_bytes=settings.max_body_bytes,
        requests=settings.max_requests,
    )
    metrics = Metrics()
    vessels = {name: each.make(name) for name, each in settings.upstreams.items()}
    for name, vessel in vessels.items():
        _check_is_another(name, vessel, settings)
    gateway = _gateway(settings, vessels, metrics) if vessels else None
    app: Application | None = gateway
    if settings.replay:
        app = _replaying(settings, gateway)
    assert app is not None  # noqa: S101 - the settings are checked

    async def stop() -> None:
        if gateway is not None:
            await gateway.stop(settings.stop_within)

    served = Guard(Operations(app, metrics.text), checks)
    return Serving(served, settings.host, settings.port, before_end=stop)


def _check_is_another(name: str, vessel: Vessel, settings: ServeSettings) -> None:
    """Raise ConfigurationError if this upstream is the server itself: it would ask for ever."""
    from ..core.errors import ConfigurationError
    from ..server.guard import is_loopback

    base_url = vessel.configured(os.environ).base_url
    address = urlsplit(base_url if "//" in base_url else f"http://{base_url}")
    host, here = address.hostname or "", settings.host
    same = host == here or (is_loopback(host) and (is_loopback(here) or here in _EVERY_ADDRESS))
    if address.port == settings.port and same:
        raise ConfigurationError(
            f"the upstream {name!r} is this server itself; is a variable such as OPENAI_BASE_URL "
            "set for programs? Give the upstream's own address: NAME=VESSEL@URL",
            setting="upstreams",
        )


def _gateway(settings: ServeSettings, vessels: Mapping[str, Vessel], metrics: Metrics) -> Gateway:
    from ..core.client.async_client import AsyncClient
    from ..core.settings import Limits, Retries, Timeouts
    from ..server.gateway.gateway import Gateway
    from ..server.gateway.upstreams import gateway_vessels

    client = AsyncClient(
        **_source(settings),
        vessels=gateway_vessels(vessels),
        limits=Limits(max_connections=settings.max_requests, max_keepalive=_KEPT),
        retries=Retries(count=0),  # programs try again themselves
    )
    return Gateway(
        client,
        vessels,
        session_from=settings.session_from,
        timeouts=Timeouts.model_validate({"drain": _DRAIN, **settings.timeouts}),
        metrics=metrics,
    )


def _source(settings: ServeSettings) -> dict[str, Any]:
    """Where the client's answers come from, or are recorded. Raises ConfigurationError."""
    from ..core.errors import ConfigurationError

    if settings.asks:
        folder = _folder(settings)
        try:  # a folder that cannot be made is told now, not with the first request
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"cannot record to {folder}: {error.strerror}", setting="recordings"
            ) from None
        return {"recordings": folder, "durability": settings.durability}
    return {
        "replay": settings.replay[0],
        "speed": settings.speed,
        "match": settings.match,
        "repeat": settings.repeat,
    }


def _folder(settings: ServeSettings) -> Path:
    """Where to record: what was missing in a replay is recorded to what is replayed."""
    if settings.recordings is not None:
        return settings.recordings
    folders = [each for each in settings.replay if each.is_dir()]
    return folders[0] if folders else RECORDINGS


def _replaying(settings: ServeSettings, gateway: Gateway | None) -> Application:
    from ..server.replay import replay_app

    return replay_app(
        settings.replay,
        settings.speed,
        match=settings.match,
        repeat=settings.repeat,
        otherwise=gateway,
        list_models=not settings.asks,
    )


def _print_start(settings: ServeSettings, serving: Serving) -> None:
    replayed = ", ".join(map(str, settings.replay))
    told = [f"replaying {replayed}"] if replayed else []
    told += [f"recording to {_folder(settings)}"] if settings.asks else []
    print_line(f"{serving.url} {', '.join(told)}")
    if settings.host in _EVERY_ADDRESS:
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
