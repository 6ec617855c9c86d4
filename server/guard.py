"""Who may use a server, and how much of it: checks before the application sees a request.

- `Host` must be one of the server's own names. A page in a browser whose name was pointed at this
  machine (DNS rebinding) sends its own.
- `Origin`, which browsers send, must be the server's own or a listed one. Only listed ones are
  answered with CORS headers.
- The token, if there is one, comes in `x-vesselog-token`; or where a program puts its API key (for
  Gemini also in the query), from where it is taken away: only other keys go on to the application.
- A request must be small enough and arrive in time. There must not be too many at once, and their
  bodies, which are held in memory until they are answered, must not be too large together.

Nothing is done per message of an answer, but for those that need CORS headers. Errors are written
in the dialect of the route.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote_to_bytes

from ..core.errors import ConfigurationError
from .asgi import Application, Receive, Scope, Send
from .cors import answer_preflight, with_cors
from .gateway.headers import CREDENTIALS, request_headers
from .gateway.problems import problem_response
from .gateway.routes import route_of
from .host_names import is_address, is_host, is_loopback, is_origin, name_of
from .protocols.problem import Problem
from .receiving import Received, TooLargeError, read_body

__all__ = ["OPEN_PATHS", "Guard", "GuardSettings"]

OPEN_PATHS = frozenset({"/healthz"})
"""Answered without a token, and however many requests there are."""

TOKEN = "x-vesselog-token"  # noqa: S105 - a header's name
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# A token that can be guessed is none: 16 characters of a password generator have 96 bits.
_SHORTEST_TOKEN = 16
# All bodies at once have room for so many of the largest ones.
_BODIES = 4
_LATE = Problem(408, "request_timeout", "The request did not arrive in time.")
_NO_ROOM = Problem(
    503,
    "busy",
    "The requests that run already are too large together.",
    retryable=True,
    retry_after=1.0,
)


class _NoRoomError(Exception):
    """The bodies at once are too large together."""


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What is checked.

    host: where the server listens. token: demanded if it is given. hosts: names that clients may
    call the server by, besides its own. origins: of web pages that may use it, as
    `https://app.example`; "*" is any. body_bytes: of a request. total_body_bytes: of all requests
    at once, by default four times `body_bytes`. body_seconds: for sending a request.
    linger_seconds: for sending what is left of one that was refused. requests: at once.

    Raises ConfigurationError, also for an address that others can reach without a token.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()
    body_bytes: int = 64 * 1024 * 1024
    total_body_bytes: int | None = None
    body_seconds: float = 60.0
    linger_seconds: float = 2.0
    requests: int = 1_000

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise ConfigurationError(
                f"others can reach {self.host}: serving there needs a token, in the variable "
                "VESSELOG_TOKEN or by --token-file",
                setting="token",
            )
        if self.token is not None and not re.fullmatch(r"[!-~]+", self.token):
            raise ConfigurationError(
                "the token must be printable ASCII without spaces", setting="token"
            )
        if self.token is not None and len(self.token) < _SHORTEST_TOKEN:
            raise ConfigurationError(
                f"the token must have at least {_SHORTEST_TOKEN} characters", setting="token"
            )
        if self.total_body_bytes is not None and self.total_body_bytes < self.body_bytes:
            raise ConfigurationError(
                f"all requests at once may have {self.total_body_bytes:,} bytes, fewer than one of "
                f"them ({self.body_bytes:,})",
                setting="total_body_bytes",
            )
        for origin in self.origins:
            if origin not in {"*", "null"} and not is_origin(origin):
                raise ConfigurationError(
                    f"{origin!r} is no origin: give one such as https://app.example",
                    setting="origins",
                )
        for name in self.hosts:
            if not is_host(name) or name_of(name) != name.lower().strip("[]"):
                raise ConfigurationError(
                    f"{name!r} is no host: give a name without a port", setting="hosts"
                )


class Guard:
    """Passes on to `app` what may pass, with the request's body read."""

    def __init__(self, app: Application, settings: GuardSettings | None = None) -> None:
        self._app = app
        self._settings = settings = settings or GuardSettings()
        self._token = None if settings.token is None else settings.token.encode()
        self._names = {name_of(each) for each in (settings.host, *settings.hosts)} | _LOOPBACK
        self._running = 0
        self._most = settings.total_body_bytes or _BODIES * settings.body_bytes
        self._held = 0  # bytes of the bodies in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if scope["type"] == "websocket":  # nothing here speaks it, and no check is made for it
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = request_headers(scope["headers"])
        origin = headers.get("origin")
        problem = self._wrong_framing(scope) or self._foreign(scope, headers)
        if problem is None and origin is not None and self._is_listed(origin):
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                await answer_preflight(headers, origin, send)
                return
            send = with_cors(send, origin)
        if scope["path"] in OPEN_PATHS and problem is None:
            await self._app(scope, receive, send)
            return
        problem = problem or self._unauthorized(scope) or self._too_much(headers)
        if problem is not None:
            await _refuse(scope, headers, problem, send, partial(self._drop_rest, receive))
            return
        self._running += 1
        try:
            await self._pass_on(scope, headers, receive, send)
        finally:
            self._running -= 1

    async def _pass_on(
        self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        settings = self._settings
        size = 0

        def count(part: int) -> None:
            nonlocal size
            if self._held + part > self._most:
                raise _NoRoomError
            self._held += part
            size += part

        problem, body = None, None
        try:
            try:
                async with asyncio.timeout(settings.body_seconds):
                    body = await read_body(receive, settings.body_bytes, count)
            except TimeoutError:
                problem = _LATE
            except TooLargeError:
                problem = self._too_large
            except _NoRoomError:
                problem = _NO_ROOM
            if body is not None:
                await self._app(scope, Received(body, receive), send)
        finally:
            self._held -= size
        if problem is not None:
            rest = None if problem is _LATE else partial(self._drop_rest, receive)
            await _refuse(scope, headers, problem, send, rest)

    def _wrong_framing(self, scope: Scope) -> Problem | None:
        """What two servers might read differently (RFC 9112, 6.3): request smuggling."""
        names = [name.lower() for name, _ in scope["headers"]]
        coded = [v.lower() for n, v in scope["headers"] if n.lower() == b"transfer-encoding"]
        if names.count(b"content-length") + len(coded) > 1 or any(c != b"chunked" for c in coded):
            return Problem(400, "ambiguous_length", "The length of the request is ambiguous.")
        return None

    def _foreign(self, scope: Scope, headers: dict[str, str]) -> Problem | None:
        hosts = [value for name, value in scope["headers"] if name.lower() == b"host"]
        host = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
        if not self._is_own(host):
            return Problem(
                403, "unknown_host", "The server does not know the name it was called by (Host)."
            )
        origin = headers.get("origin")
        if origin is None:
            # Browsers send this, and no Origin with a GET: an image or a link of another page.
            known = headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
        else:
            own = f"{scope.get('scheme', 'http')}://{host}".lower()
            known = origin.lower() == own or self._is_listed(origin)
        if known:
            return None
        return Problem(403, "foreign_origin", "Pages of this origin may not use the server.")

    def _is_own(self, host: str) -> bool:
        if not is_host(host):
            return False
        name = name_of(host)
        # An address cannot be pointed elsewhere, as a name can; who calls one has the token.
        return name in self._names or (not is_loopback(self._settings.host) and is_address(name))

    def _is_listed(self, origin: str) -> bool:
        origins = self._settings.origins
        return "*" in origins or origin.lower() in {each.lower() for each in origins}

    def _unauthorized(self, scope: Scope) -> Problem | None:
        """None with the token, which is then taken out of the scope's headers."""
        token = self._token
        if token is None:
            return None
        kept: list[tuple[bytes, bytes]] = []
        found = False
        for name, value in scope["headers"]:
            lowered = name.lower().decode("latin-1")
            given = _after_scheme(value) if lowered == "authorization" else value
            is_token = (lowered == TOKEN or lowered in CREDENTIALS) and hmac.compare_digest(
                given, token
            )
            found |= is_token
            if not is_token:
                kept.append((name, value))
        scope["headers"] = kept
        found |= _cut_from_query(scope, token)
        if found:
            return None
        return Problem(401, "no_token", f"The server's token is needed, as a key or in {TOKEN}.")

    def _too_much(self, headers: dict[str, str]) -> Problem | None:
        length = headers.get("content-length", "0")
        if not re.fullmatch(r"[0-9]{1,18}", length) or int(length) > self._settings.body_bytes:
            return self._too_large
        if self._running >= self._settings.requests:
            return Problem(
                503, "busy", "Too many requests run already.", retryable=True, retry_after=1.0
            )
        if self._held + int(length) > self._most:
            return _NO_ROOM
        return None

    async def _drop_rest(self, receive: Receive) -> None:
        """Drop the rest of a request, as far as it comes in time.

        A connection that is closed before that is reset, and the answer may be lost with it.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.linger_seconds):
                while (message := await receive())["type"] == "http.request":
                    if not message.get("more_body"):
                        return

    @property
    def _too_large(self) -> Problem:
        limit = f"{self._settings.body_bytes:,}"
        return Problem(413, "too_large", f"The request is larger than {limit} bytes.")


async def _refuse(
    scope: Scope,
    headers: dict[str, str],
    problem: Problem,
    send: Send,
    rest: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Answer with the problem, and close. rest: drops what is still to come of the request."""
    told, body = problem_response(_dialect(scope, headers), problem)
    told["connection"] = "close"
    if problem.status == 401:
        told["www-authenticate"] = "Bearer"
    raw = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": raw})
    if rest is not None:
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await rest()
        body = b""
    await send({"type": "http.response.body", "body": body})


def _dialect(scope: Scope, headers: dict[str, str]) -> str | None:
    path: str = scope["path"]
    query: str = scope["query_string"].decode("latin-1")
    found = route_of(scope["method"], path, query, headers).form
    if found is None:  # an upstream's name may come first
        _, slash, rest = path.removeprefix("/").partition("/")
        found = route_of(scope["method"], slash + rest, query, headers).form
    return found


def _cut_from_query(scope: Scope, token: bytes) -> bool:
    """Whether the token was in the query, as `key`, where Gemini's REST clients have theirs."""
    given: bytes = scope["query_string"]
    kept = [
        each
        for each in given.split(b"&")
        if not (each.startswith(b"key=") and hmac.compare_digest(unquote_to_bytes(each[4:]), token))
    ]
    scope["query_string"] = left = b"&".join(kept)
    return left != given


def _after_scheme(value: bytes) -> bytes:
    return value.split(b" ")[-1]
