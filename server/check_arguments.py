"""Checks of what applications are made of: a wrong type is told when they are made, not later."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from ..core.client.async_client import AsyncClient
from ..core.client.client import Client
from ..core.errors import ConfigurationError
from ..core.vessel import Vessel

__all__ = [
    "check_application",
    "check_async_client",
    "check_callable",
    "check_chunks",
    "check_client",
    "check_headers",
    "check_heartbeat",
    "check_longest_wait",
    "check_status",
    "check_vessels",
    "checked_paths",
    "kind_of",
]


def check_async_client(client: object, user: str) -> None:
    """Raise ConfigurationError unless it is an AsyncClient. user: what needs it."""
    if not isinstance(client, AsyncClient):
        raise ConfigurationError(
            f"{user} needs a vesselog.AsyncClient, not {kind_of(client)}", setting="client"
        )


def check_client(client: object, user: str) -> None:
    """Raise ConfigurationError unless it is an AsyncClient or a Client. user: what needs it."""
    if not isinstance(client, AsyncClient | Client):
        raise ConfigurationError(
            f"{user} needs a vesselog.AsyncClient or a vesselog.Client, not {kind_of(client)}",
            setting="client",
        )


def check_vessels(upstreams: object) -> None:
    """Raise ConfigurationError unless these are vessels by name."""
    if not isinstance(upstreams, Mapping):
        raise ConfigurationError(
            f"upstreams={upstreams!r:.40} must be a dict of vessels by name, "
            "as {'local': vesselog.vessels.Ollama()}",
            setting="upstreams",
        )
    for name, vessel in cast("Mapping[object, object]", upstreams).items():
        if not isinstance(name, str):
            raise ConfigurationError(
                f"an upstream's name must be a string, not {name!r:.40}", setting="upstreams"
            )
        if not isinstance(vessel, Vessel):
            raise ConfigurationError(
                f"the upstream {name!r} must be a vessel, such as vesselog.vessels.Ollama(), "
                f"not {kind_of(vessel)}",
                setting="upstreams",
            )


def checked_paths(recordings: object) -> list[Path]:
    """The paths in a list of them. Raises ConfigurationError."""
    if isinstance(recordings, str | bytes | os.PathLike) or not isinstance(recordings, Iterable):
        raise ConfigurationError(
            f"recordings={recordings!r} must be a list of paths: write [{recordings!r}]",
            setting="recordings",
        )
    try:
        return [Path(each) for each in cast("Iterable[Any]", recordings)]
    except TypeError as error:
        raise ConfigurationError(
            f"recordings must be a list of paths: {error}", setting="recordings"
        ) from None


def check_application(app: object, setting: str) -> None:
    """Raise ConfigurationError unless it can be called, as ASGI applications are."""
    if not callable(app):
        raise ConfigurationError(
            f"{setting} must be an ASGI application, not {kind_of(app)}", setting=setting
        )


def check_callable(function: object, setting: str, call: str) -> None:
    """Raise ConfigurationError unless it can be called. call: how it will be."""
    if not callable(function):
        raise ConfigurationError(
            f"{setting}={function!r:.40} must be a function, called as {call}", setting=setting
        )


def check_heartbeat(seconds: object) -> None:
    """Raise ConfigurationError unless it is a number above 0, or None."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if seconds is not None and not (number and cast("float", seconds) > 0):
        raise ConfigurationError(
            f"no heartbeat of {seconds!r} seconds: give a number above 0, or None",
            setting="heartbeat",
        )


def check_chunks(stream: object) -> None:
    """Raise ConfigurationError unless chunks may be iterated, without `async`."""
    if not hasattr(stream, "__iter__") or isinstance(stream, str | bytes):
        raise ConfigurationError(
            "EventBytes sends client.stream(…) of a Client, or other chunks, "
            f"not {kind_of(stream)}; EventStream sends an AsyncStream",
            setting="stream",
        )


def check_longest_wait(seconds: object) -> None:
    """Raise ConfigurationError unless it is a number of seconds from 0, or infinite."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not cast("float", seconds) >= 0:
        raise ConfigurationError(
            f"no wait of {seconds!r} seconds: give a number from 0", setting="longest_wait"
        )


def check_headers(headers: object) -> None:
    """Raise ConfigurationError unless these are strings by name, or None."""
    given = cast("Mapping[object, object]", headers)
    if headers is not None and not (
        isinstance(headers, Mapping)
        and all(isinstance(each, str) for pair in given.items() for each in pair)
    ):
        raise ConfigurationError("headers must be a dict of strings", setting="headers")


def check_status(status: object) -> None:
    """Raise ConfigurationError unless it is an HTTP status of an answer."""
    if type(status) is not int or not 200 <= status <= 599:
        raise ConfigurationError(
            f"no status_code {status!r:.40}: give a whole number from 200 to 599",
            setting="status_code",
        )


def kind_of(value: object) -> str:
    """What kind of thing it is, for a message."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
