"""What `vesselog serve` serves: a gateway, a replay server, or both with the same answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .serve import EVERY_ADDRESS

if TYPE_CHECKING:
    from ..core.vessel import Vessel
    from ..server.asgi import Application
    from ..server.gateway.gateway import Gateway
    from ..server.metrics import Metrics
    from ..server.replay import ReplayServer
    from ..server.replay_answers import ReplayAnswers
    from .serve_settings import ServeSettings

__all__ = ["make_application"]

# Idle connections to upstreams: so many programs may ask at once without the wait for a new one.
_KEPT = 100


def make_application(
    settings: ServeSettings,
) -> tuple[Application, Metrics, Callable[[], Awaitable[None]]]:
    """The application, its figures, and what ends running answers.

    Raises ConfigurationError, RecordingError.
    """
    from ..server.metrics import Metrics

    metrics = Metrics()
    vessels = {name: each.make(name) for name, each in settings.upstreams.items()}
    for name, vessel in vessels.items():
        _check_upstream(name, vessel, settings)
    answers = _answers(settings) if settings.replay else None
    gateway = _gateway(settings, vessels, metrics, answers) if vessels else None
    replay = None if answers is None else _replaying(settings, answers, gateway, metrics)
    app = replay or gateway
    assert app is not None  # noqa: S101 - the settings are checked

    async def stop() -> None:
        parts = [each for each in (replay, gateway) if each is not None]
        await asyncio.gather(*(each.stop(settings.stop_within) for each in parts))

    return app, metrics, stop


def _check_upstream(name: str, vessel: Vessel, settings: ServeSettings) -> None:
    """Raise ConfigurationError, which names the upstream and what to give, if it cannot be asked.

    It cannot be the server itself, which would ask itself for ever.
    """
    from ..core.errors import ConfigurationError
    from ..server.gateway.upstreams import Upstream
    from ..server.host_names import is_loopback

    vessel = vessel.configured(os.environ)
    try:
        Upstream(name, vessel)
    except ConfigurationError as error:
        if error.setting is None:  # its name, which the message has
            raise
        own = settings.upstreams[name].vessel
        given = f"give --upstream {name}={own}@https://… (in a file, base_url)"
        message = error.message.replace("give base_url", given)
        message = message.replace("give api_version", "add ?api-version=… to its URL")
        raise ConfigurationError(f"the upstream {name!r}: {message}", setting="upstreams") from None
    base_url = vessel.base_url
    address = urlsplit(base_url if "//" in base_url else f"http://{base_url}")
    host, here = address.hostname or "", settings.host
    same = host == here or (is_loopback(host) and (is_loopback(here) or here in EVERY_ADDRESS))
    if address.port == settings.port and same:
        raise ConfigurationError(
            f"the upstream {name!r} is this server itself; is a variable such as OPENAI_BASE_URL "
            "set for programs? Give the upstream's own address: NAME=VESSEL@URL",
            setting="upstreams",
        )


def _answers(settings: ServeSettings) -> ReplayAnswers:
    """What is replayed. Where something is recorded to the same folder, it is read now."""
    from ..core.replay.recorded_requests import recordings_in
    from ..server.replay_answers import ReplayAnswers

    paths = settings.replay
    if settings.record_missing:
        _make(settings.folder)
        paths = tuple(each for each in paths if not each.is_dir() or any(recordings_in(each)))
    answers = ReplayAnswers(
        *paths, match=settings.match, repeat=settings.repeat, keeps=settings.record_missing
    )
    if settings.upstreams:
        answers.requests()
    return answers


def _gateway(
    settings: ServeSettings,
    vessels: Mapping[str, Vessel],
    metrics: Metrics,
    answers: ReplayAnswers | None,
) -> Gateway:
    from ..core.client.async_client import AsyncClient
    from ..core.settings import Limits, Retries, Timeouts
    from ..server.gateway.gateway import Gateway
    from ..server.gateway.upstreams import gateway_vessels
    from ..server.replaying_client import ReplayingClient

    source: dict[str, Any] = {"replay": settings.replay[0]} if settings.replay else {}
    if settings.asks:
        _make(settings.folder)
        source = {"recordings": settings.folder, "durability": settings.durability}
    given: dict[str, Any] = {
        **source,
        "vessels": gateway_vessels(vessels),
        "limits": Limits(max_connections=settings.max_requests, max_keepalive=_KEPT),
        "retries": Retries(count=0),  # programs try again themselves
    }
    return Gateway(
        AsyncClient(**given)
        if answers is None
        else ReplayingClient(answers, settings.speed, **given),
        vessels,
        session_from=settings.session_from,
        timeouts=Timeouts.model_validate(settings.timeouts),
        metrics=metrics,
    )


def _make(folder: Path) -> None:
    """Make the folder for recordings now, not with the first request."""
    from ..core.errors import ConfigurationError

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigurationError(
            f"cannot record to {folder}: it is not a folder", setting="recordings"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot record to {folder}: {error.strerror}", setting="recordings"
        ) from None


def _replaying(
    settings: ServeSettings, answers: ReplayAnswers, gateway: Gateway | None, metrics: Metrics
) -> ReplayServer:
    from ..server.replay import ReplayServer

    return ReplayServer(
        answers,
        settings.speed,
        fallback=gateway,
        upstreams=None if gateway is None else gateway.upstreams,
        folder=settings.folder if settings.asks else None,
        list_models=not settings.asks,
        metrics=metrics,
    )
