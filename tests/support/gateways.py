"""A gateway under uvicorn, in front of scripted upstreams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from asgi_server import served_by_uvicorn
from vesselog import AsyncClient, Retries, Timeouts
from vesselog.server import Gateway, gateway_vessels
from vesselog.vessels import Vessel

__all__ = ["gateway_of", "gateway_to"]


@contextmanager
def gateway_to(
    folder: Path, vessels: dict[str, Vessel], *, timeouts: Timeouts | None = None, **settings: Any
) -> Iterator[httpx.Client]:
    """Gives an HTTP client for a gateway that records to `folder`."""
    with served_by_uvicorn(
        gateway_of(folder, vessels, timeouts=timeouts, **settings), log_level="critical"
    ) as http:
        yield http


def gateway_of(
    folder: Path, vessels: dict[str, Vessel], *, timeouts: Timeouts | None = None, **settings: Any
) -> Gateway:
    client = AsyncClient(
        recordings=folder,
        vessels=gateway_vessels(vessels, {}),
        retries=Retries(count=0),
        timeouts=timeouts,
        environment={},
    )
    return Gateway(client, vessels, environment={}, **settings)
