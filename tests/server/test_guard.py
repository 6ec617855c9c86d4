"""Who may use a server, and how much of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from vesselog import ConfigurationError
from vesselog.server.guard import Guard, GuardSettings

TOKEN = "a-token-of-24-characters"
HOST = (b"host", b"127.0.0.1:8484")


class Seen:
    """An application that notes what reaches it, and says so."""

    def __init__(self, *, held: asyncio.Event | None = None) -> None:
        self.scopes: list[Any] = []
        self.bodies: list[bytes] = []
        self._held = held

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        self.bodies.append((await receive())["body"] if scope["path"] != "/healthz" else b"")
        if self._held is not None:
            await self._held.wait()
        headers = [(b"access-control-allow-origin", b"*"), (b"x-own", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


class Answer:
    """What a client got."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message["body"]

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]

    @property
    def code(self) -> str:
        code: str = json.loads(self.body)["error"]["code"]
        return code


async def ask(
    guard: Guard,
    *headers: tuple[bytes, bytes],
    path: str = "/v1/chat/completions",
    method: str = "POST",
    body: tuple[bytes, ...] = (b"{}",),
    query: bytes = b"",
) -> Answer:
    answer, parts = Answer(), list(body)

    async def receive() -> Any:
        if not parts:
            await asyncio.Event().wait()  # the rest never comes
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": part != body[-1] or not part}

    sent = list(headers) if any(name == b"host" for name, _ in headers) else [HOST, *headers]
    scope = {"type": "http", "method": method, "path": path, "headers": sent, "scheme": "http"}
    await guard({**scope, "query_string": query}, receive, answer.send)
    return answer


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"127.0.0.1:8484", 200),
        (b"localhost", 200),
        (b"LOCALHOST:1", 200),
        (b"localhost.", 200),
        (b"[::1]:8484", 200),
        (b"named.lan", 200),
        (b"evil.example", 403),
        (b"127.0.0.1.evil.example", 403),
        (b"localhost.evil.example", 403),
        (b"127.0.0.1@evil.example", 403),
        (b"192.168.1.4", 403),
        (b"localhost:8484:1", 403),
        (b"localhost, evil.example", 403),
        (b"", 403),
    ],
)
async def test_only_its_own_names_reach_a_server(host: bytes, status: int) -> None:
    seen = Seen()
    guard = Guard(seen, GuardSettings(hosts=["named.lan"]))
    assert (await ask(guard, (b"host", host))).status == status
    assert len(seen.scopes) == (status == 200)


async def test_a_web_socket_is_closed_and_the_lifespan_passes() -> None:
    reached: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["type"])

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    for kind in ("websocket", "lifespan"):
        await Guard(app)({"type": kind}, None, send)  # type: ignore[arg-type]
    assert (reached, sent) == (["lifespan"], [{"type": "websocket.close", "code": 1008}])


async def test_two_hosts_are_none() -> None:
    answer = await ask(Guard(Seen()), HOST, (b"host", b"localhost"))
    assert (answer.status, answer.code) == (403, "unknown_host")


async def test_an_address_that_others_reach_needs_a_token_and_takes_addresses_as_host() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.4", "gateway.lan"):
        with pytest.raises(ConfigurationError, match="a token, in the variable VESSELOG_TOKEN"):
            GuardSettings(host=host)
    for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost"):
        GuardSettings(host=host)
    guard = Guard(Seen(), GuardSettings(host="0.0.0.0", token=TOKEN))
    key = (b"authorization", f"Bearer {TOKEN}".encode())
    assert (await ask(guard, (b"host", b"192.168.1.4:8484"), key)).status == 200
    assert (await ask(guard, (b"host", b"evil.example"), key)).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"origin", b"http://127.0.0.1:8484")], 200),
        ([(b"origin", b"https://app.example")], 200),
        ([(b"origin", b"http://app.example")], 403),
        ([(b"origin", b"https://app.example.evil")], 403),
        ([(b"origin", b"http://localhost:8484")], 403),
        ([(b"origin", b"null")], 403),
        ([(b"sec-fetch-site", b"cross-site")], 403),
        ([(b"sec-fetch-site", b"same-site")], 403),
        ([(b"sec-fetch-site", b"none")], 200),
    ],
)
async def test_pages_of_other_origins_may_not_use_it(headers: Any, status: int) -> None:
    seen = Seen()
    guard = Guard(seen, GuardSettings(origins=["https://app.example"]))
    assert (await ask(guard, *headers)).status == status
    assert len(seen.scopes) == (status == 200)


async def test_only_a_listed_origin_gets_cors_headers() -> None:
    guard = Guard(Seen(), GuardSettings(origins=["https://app.example"], token=TOKEN))
    origin, key = (b"origin", b"https://app.example"), (b"x-api-key", TOKEN.encode())
    answer = await ask(guard, origin, key)
    assert answer.header(b"access-control-allow-origin") == [b"https://app.example"]
    assert answer.header(b"vary") == [b"Origin"]
    assert answer.header(b"x-own") == [b"1"]
    wanted = [
        (b"access-control-request-method", b"POST"),
        (b"access-control-request-headers", b"x"),
    ]
    early = await ask(guard, origin, *wanted, method="OPTIONS", body=(b"",))
    assert (early.status, early.header(b"access-control-allow-headers")) == (204, [b"x"])
    assert early.header(b"access-control-allow-origin") == [b"https://app.example"]
    foreign = await ask(guard, (b"origin", b"https://evil.example"), *wanted, method="OPTIONS")
    assert foreign.status == 403
    assert not foreign.header(b"access-control-allow-origin")
    refused = await ask(guard, origin)
    assert refused.status == 401
    assert refused.header(b"access-control-allow-origin") == [b"https://app.example"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([(b"authorization", b"Bearer %s")], []),
        ([(b"x-api-key", b"%s")], []),
        ([(b"x-goog-api-key", b"%s")], []),
        ([(b"api-key", b"%s")], []),
        (
            [(b"X-Vesselog-Token", b"%s"), (b"authorization", b"Bearer sk-a-key-of-the-provider")],
            [(b"authorization", b"Bearer sk-a-key-of-the-provider")],
        ),
    ],
)
async def test_the_token_opens_and_goes_no_further(given: Any, kept: Any) -> None:
    seen = Seen()
    guard = Guard(seen, GuardSettings(token=TOKEN))
    sent = [(name, value.replace(b"%s", TOKEN.encode())) for name, value in given]
    assert (await ask(guard, *sent)).status == 200
    (scope,) = seen.scopes
    assert scope["headers"] == [HOST, *kept]


async def test_the_token_may_be_the_key_of_a_query() -> None:
    """Where REST clients of Gemini have it."""
    seen = Seen()
    guard = Guard(seen, GuardSettings(token=TOKEN))
    token = TOKEN.encode()
    assert (await ask(guard, query=b"alt=sse&key=%b&a=b" % token)).status == 200
    assert (await ask(guard, query=b"key=%%%02X%b" % (token[0], token[1:]))).status == 200
    assert [scope["query_string"] for scope in seen.scopes] == [b"alt=sse&a=b", b""]
    for query in (b"key=wrong", b"key=", b"xkey=" + token, b"key=" + token[:-1]):
        assert (await ask(guard, query=query)).status == 401


async def test_a_refusal_is_told_before_the_rest_of_the_request_is_dropped() -> None:
    """A connection that is closed with unread data is reset, and its answer lost."""
    messages: list[Any] = []
    rest = [{"type": "http.request", "body": b"x", "more_body": each < 9} for each in range(10)]

    async def receive() -> Any:
        assert messages[-1]["body"], "the client has been told"
        return rest.pop(0)

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "POST", "path": "/x", "scheme": "http", "query_string": b""}
    await Guard(Seen(), GuardSettings(token=TOKEN))({**scope, "headers": [HOST]}, receive, send)
    assert rest == []
    assert [each.get("more_body") for each in messages] == [None, True, None]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", b"")],
        [(b"x-vesselog-token", TOKEN[:-1].encode())],
        [(b"x-vesselog-token", b"\xff\xfe")],
        [(b"cookie", TOKEN.encode())],
    ],
)
async def test_without_the_token_nothing_passes(headers: Any) -> None:
    seen = Seen()
    answer = await ask(Guard(seen, GuardSettings(token=TOKEN)), *headers)
    assert (answer.status, answer.code, seen.scopes) == (401, "no_token", [])
    assert answer.header(b"www-authenticate") == [b"Bearer"]
    assert TOKEN.encode() not in answer.body


async def test_the_health_check_needs_no_token_but_a_known_host() -> None:
    guard = Guard(Seen(), GuardSettings(token=TOKEN, requests=1))
    assert (await ask(guard, path="/healthz", method="GET")).status == 200
    assert (await ask(guard, path="/metrics", method="GET")).status == 401
    assert (await ask(guard, (b"host", b"evil"), path="/healthz", method="GET")).status == 403


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([(b"content-length", b"11")], (b"",)),
        ([(b"transfer-encoding", b"chunked")], (b"12345", b"67890", b"1")),
    ],
)
async def test_a_body_that_is_too_large_is_refused(headers: Any, body: tuple[bytes, ...]) -> None:
    seen = Seen()
    settings = GuardSettings(body_bytes=10, linger_seconds=0.01)
    answer = await ask(Guard(seen, settings), *headers, body=body)
    assert (answer.status, answer.code, seen.scopes) == (413, "too_large", [])
    assert answer.header(b"connection") == [b"close"]


async def test_a_body_of_the_largest_size_passes_whole() -> None:
    seen = Seen()
    answer = await ask(Guard(seen, GuardSettings(body_bytes=10)), body=(b"12345", b"67890"))
    assert (answer.status, seen.bodies) == (200, [b"1234567890"])


async def test_a_body_that_does_not_come_in_time_is_given_up() -> None:
    seen = Seen()
    answer = await ask(Guard(seen, GuardSettings(body_seconds=0.02)), body=(b"",))
    assert (answer.status, answer.code, seen.scopes) == (408, "request_timeout", [])


async def test_too_many_requests_at_once_are_told_to_come_again() -> None:
    held = asyncio.Event()
    guard = Guard(Seen(held=held), GuardSettings(requests=2))
    running = [asyncio.create_task(ask(guard)) for _ in range(2)]
    await asyncio.sleep(0)
    busy = await ask(guard)
    assert (busy.status, busy.code, busy.header(b"retry-after")) == (503, "busy", [b"1"])
    held.set()
    assert [each.status for each in await asyncio.gather(*running)] == [200, 200]
    assert (await ask(guard)).status == 200


@pytest.mark.parametrize("declared", [True, False])
async def test_bodies_that_are_too_large_together_are_told_to_come_again(
    declared: bool,  # noqa: FBT001 - a case
) -> None:
    held = asyncio.Event()
    seen = Seen(held=held)
    guard = Guard(seen, GuardSettings(body_bytes=10, total_body_bytes=15, linger_seconds=0))
    running = asyncio.create_task(ask(guard, body=(b"x" * 5, b"y" * 5)))
    await asyncio.sleep(0)
    length = [(b"content-length", b"6")] if declared else []
    busy = await ask(guard, *length, body=(b"123", b"456"))
    assert (busy.status, busy.code, busy.header(b"retry-after")) == (503, "busy", [b"1"])
    fits = asyncio.create_task(ask(guard, body=(b"123", b"45")))
    await asyncio.sleep(0)
    assert seen.bodies == [b"xxxxxyyyyy", b"12345"]
    held.set()
    assert [each.status for each in await asyncio.gather(running, fits)] == [200, 200]
    assert (await ask(guard, body=(b"x" * 10,))).status == 200, "there is room again"


def test_all_bodies_together_may_be_as_large_as_one() -> None:
    with pytest.raises(ConfigurationError, match="fewer than one of them"):
        GuardSettings(body_bytes=10, total_body_bytes=9)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"2"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"2"), (b"content-length", b"3")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"identity")],
        [(b"transfer-encoding", b"gzip, chunked")],
    ],
)
async def test_a_length_that_two_servers_may_read_differently_is_refused(headers: Any) -> None:
    answer = await ask(Guard(Seen()), *headers)
    assert (answer.status, answer.code) == (400, "ambiguous_length")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"error": "text"}),
        ("/v1/messages", {"type": "error", "error": {"type": "authentication_error"}}),
        ("/lab/v1/messages", {"type": "error", "error": {"type": "authentication_error"}}),
        ("/v1beta/models/m:generateContent", {"error": {"code": 401}}),
        ("/v1/chat/completions", {"error": {"code": "no_token", "type": "authentication_error"}}),
    ],
)
async def test_what_is_refused_is_told_in_the_dialect(path: str, body: dict[str, Any]) -> None:
    told = json.loads((await ask(Guard(Seen(), GuardSettings(token=TOKEN)), path=path)).body)
    assert told.keys() == body.keys()
    error = body["error"]
    if isinstance(error, dict):
        assert error.items() <= told["error"].items()
    else:
        assert isinstance(told["error"], str)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"token": "short"}, "at least 16 characters"),
        ({"token": "with a space in the middle"}, "printable ASCII"),
        ({"token": "with-a-line-feed\n-in-it"}, "printable ASCII"),
        ({"origins": ["app.example"]}, "is no origin"),
        ({"origins": ["https://app.example/"]}, "is no origin"),
        ({"hosts": ["app.example:80"]}, "without a port"),
        ({"hosts": ["http://app.example"]}, "is no host"),
    ],
)
def test_settings_that_cannot_work_are_told(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigurationError, match=what) as caught:
        GuardSettings(**settings)
    assert settings.get("token", "-none-") not in str(caught.value)
