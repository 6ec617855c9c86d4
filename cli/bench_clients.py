"""The HTTP clients that `vesselog bench` compares; each answer is recorded.

Each entry opens a client for a number of streams at once and yields `ask`, which sends one prepared
request and passes on the bytes of the answer as they arrive. Framing, decoding and recording are
the same for all clients; vesselog's own clients do them themselves. The sync clients are called
from several threads.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core.errors import VesselogError
    from .bench_job import Job

__all__ = ["ASYNC_CLIENTS", "NEEDS", "SYNC_CLIENTS"]

# Seconds to connect, and between two pieces of an answer: the defaults of vesselog's own clients.
_CONNECT, _IDLE = 10.0, 300.0
_READ = 65536

NEEDS = {
    "requests": "requests",
    "aiohttp": "aiohttp",
    "vesselog-fast": "httpx_aiohttp",
}
"""The modules that some clients need and that vesselog does not depend on."""


Ask = Callable[[], None]
AsyncAsk = Callable[[], Awaitable[None]]


@contextmanager
def _requests(job: Job) -> Generator[Ask]:
    import httpx
    import requests
    from requests.adapters import HTTPAdapter

    plan = job.plan
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=job.streams))

        def ask() -> None:
            with (
                job.call() as call,
                _as_httpx_errors(),
                session.request(
                    plan.request.method,
                    str(plan.url),
                    headers=dict(plan.headers),
                    data=plan.request.content or None,
                    stream=True,
                    timeout=(_CONNECT, _IDLE),
                    allow_redirects=False,
                ) as response,
            ):
                call.respond(response.status_code, httpx.Headers(dict(response.headers)))
                # `iter_content` would wait until a whole block has arrived.
                while (data := response.raw.read1(_READ)) and job.take(call, data):
                    pass

        yield ask


@contextmanager
def _as_httpx_errors() -> Generator[None]:
    """Turn exceptions of requests into the corresponding ones of httpx."""
    import httpx
    import requests
    import urllib3

    try:
        yield
    except requests.ConnectTimeout as failure:
        raise httpx.ConnectTimeout("requests") from failure
    except (requests.Timeout, urllib3.exceptions.ReadTimeoutError) as failure:
        raise httpx.ReadTimeout("requests") from failure
    except (requests.ConnectionError, urllib3.exceptions.HTTPError) as failure:
        reason = getattr(failure.args[0] if failure.args else None, "reason", None)
        unsent = isinstance(reason, urllib3.exceptions.NewConnectionError)
        raise (httpx.ConnectError if unsent else httpx.ReadError)("requests") from failure


@contextmanager
def _httpx_sync(job: Job) -> Generator[Ask]:
    import httpx

    plan = job.plan
    with httpx.Client(**_httpx_settings()) as client:

        def ask() -> None:
            with (
                job.call() as call,
                client.stream(
                    plan.request.method,
                    plan.url,
                    headers=dict(plan.headers),
                    content=plan.request.content or None,
                ) as response,
            ):
                call.respond(response.status_code, response.headers)
                for data in response.iter_raw():
                    if not job.take(call, data):
                        break

        yield ask


@asynccontextmanager
async def _httpx_async(job: Job) -> AsyncGenerator[AsyncAsk]:
    import httpx

    plan = job.plan
    async with httpx.AsyncClient(**_httpx_settings()) as client:

        async def ask() -> None:
            with job.call() as call:
                async with client.stream(
                    plan.request.method,
                    plan.url,
                    headers=dict(plan.headers),
                    content=plan.request.content or None,
                ) as response:
                    call.respond(response.status_code, response.headers)
                    async for data in response.aiter_raw():
                        if not job.take(call, data):
                            break

        yield ask


@asynccontextmanager
async def _aiohttp(job: Job) -> AsyncGenerator[AsyncAsk]:
    import aiohttp
    import httpx

    plan = job.plan
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=_IDLE)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=timeout, auto_decompress=False
    ) as session:

        async def ask() -> None:
            with job.call() as call:
                async with session.request(
                    plan.request.method,
                    str(plan.url),
                    headers=dict(plan.headers),
                    data=plan.request.content or None,
                    allow_redirects=False,
                ) as response:
                    call.respond(response.status, httpx.Headers(dict(response.headers)))
                    async for data in response.content.iter_any():
                        if not job.take(call, data):
                            break

        yield ask


@contextmanager
def _vesselog_sync(job: Job) -> Generator[Ask]:
    from ..core.client.client import Client
    from ..core.errors import VesselogError

    with Client(**_own_settings(job)) as client:

        def ask() -> None:
            try:
                with client.stream(job.model, session=job.name, **job.fields) as stream:
                    for _ in stream.frames():
                        if not job.count(1):
                            break
            except VesselogError as error:
                _check_recorded(error)

        yield ask


@asynccontextmanager
async def _vesselog_async(job: Job, *, fast: bool = False) -> AsyncGenerator[AsyncAsk]:
    from ..core.client.async_client import AsyncClient
    from ..core.errors import VesselogError

    async with AsyncClient(fast=fast, **_own_settings(job)) as client:

        async def ask() -> None:
            try:
                async with client.stream(job.model, session=job.name, **job.fields) as stream:
                    async for _ in stream.frames():
                        if not job.count(1):
                            break
            except VesselogError as error:
                _check_recorded(error)

        yield ask


def _vesselog_fast(job: Job) -> AbstractAsyncContextManager[AsyncAsk]:
    return _vesselog_async(job, fast=True)


def _check_recorded(error: VesselogError) -> None:
    """Raise errors that are not in the recording; a failed answer is counted from there."""
    from ..core.errors import RecordingError, UsageError

    if isinstance(error, (RecordingError, UsageError)):
        raise error


def _httpx_settings() -> dict[str, Any]:
    import httpx

    return {
        "limits": httpx.Limits(max_connections=None),
        "timeout": httpx.Timeout(_IDLE, connect=_CONNECT),
    }


def _own_settings(job: Job) -> dict[str, Any]:
    from ..core.settings import Limits, Retries

    return {
        "recordings": job.folder,
        "vessels": job.vessels,
        "limits": Limits(max_connections=max(Limits().max_connections, job.streams)),
        # The other clients do not retry either: a refused request counts as an error.
        "retries": Retries(count=0),
    }


SYNC_CLIENTS: dict[str, Callable[[Job], AbstractContextManager[Ask]]] = {
    "requests": _requests,
    "httpx-sync": _httpx_sync,
    "vesselog-sync": _vesselog_sync,
}
ASYNC_CLIENTS: dict[str, Callable[[Job], AbstractAsyncContextManager[AsyncAsk]]] = {
    "httpx-async": _httpx_async,
    "aiohttp": _aiohttp,
    "vesselog-async": _vesselog_async,
    "vesselog-fast": _vesselog_fast,
}
