"""No key comes out: a canary in each place where a key can be given, and all that a program shows.

The servers repeat all that they were sent, in headers, answers and errors. Whatever happens then,
no canary is in a file, a log of any library, an output, a traceback, a repr or a pickle.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from commands import command
from http2_server import http2_server
from invariants import check
from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from reporting import Figure
from talking import Talker, every_client, talking
from vesselog import AsyncClient, Recording, Retries, Timeouts, VesselogError, replay, verify
from vesselog.core.vessel import Vessel
from vesselog.vessels import Anthropic, Azure, Gemini, Ollama, OpenAI
from vesselog.vessels.presets import OpenRouter

PLACES = (
    "argument",
    "callable",
    "client-header",
    "cookie",
    "environment",
    "password",
    "proxy",
    "query",
    "request-header",
    "token",
    "username",
    "vessel-header",
)
# Like nothing else, with characters that URLs and JSON may escape.
CANARIES = {place: f"cnry/{place}+Zq7Xw9" for place in PLACES}

Situation = Callable[[Conversation], None]


def spellings(canary: str) -> set[str]:
    """All that it may be disguised as in a log or a file."""
    pairs = (canary, f"user:{canary}", f"{canary}:")
    coded = {base64.b64encode(each.encode()).decode().rstrip("=") for each in pairs}
    escaped = canary.replace("/", "\\/")
    return {canary, escaped, quote(canary), quote(canary, safe=""), quote_plus(canary), *coded}


SPELLINGS = {place: spellings(canary) for place, canary in CANARIES.items()}


def found(text: str) -> set[str]:
    """The places whose canaries are in a text."""
    return {place for place, each in SPELLINGS.items() if any(one in text for one in each)}


def check_silent(**told: Iterable[str]) -> None:
    for what, texts in told.items():
        for text in texts:
            for place in found(text):
                at = next(text.index(each) for each in SPELLINGS[place] if each in text)
                around = text[max(0, at - 200) : at + 50]
                pytest.fail(f"the {place} is in the {what}: …{around!r}…", pytrace=False)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that any library logs, at DEBUG."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    root = logging.getLogger()
    levels = {
        logger: logger.level
        for logger in (root, *logging.Logger.manager.loggerDict.values())
        if isinstance(logger, logging.Logger)
    }
    root.addHandler(handler)
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    logging.getLogger("httpx").debug("heard")
    assert "heard" in written.getvalue()
    yield written
    root.removeHandler(handler)
    for logger, level in levels.items():
        logger.setLevel(level)


def echo(conversation: Conversation) -> str:
    """All that the server was sent."""
    return f"{conversation.request.path} {json.dumps(conversation.request.headers)}"


def succeeds(conversation: Conversation) -> None:
    seen = echo(conversation)
    if conversation.request.method == "GET":
        body = {"data": [{"id": seen}], "models": [{"name": seen}], "version": seen}
        conversation.whole(json.dumps(body).encode())
    elif conversation.asked_for_stream:
        kind = "x-ndjson" if "/api/" in conversation.request.path else "event-stream"
        named = {"x_request_id": seen, "set_cookie": seen.replace(";", ","), "location": seen}
        conversation.head(content_type=f"text/{kind}", **named)
        for frame in conversation.frames("you said ", seen, "."):
            conversation.chunk(frame)
        conversation.end()
    else:
        conversation.answer(seen)


def refuses(conversation: Conversation) -> None:
    seen = echo(conversation)
    body = {"error": {"message": f"bad key: {seen}", "code": seen, "type": seen}}
    conversation.whole(json.dumps(body).encode(), 401)


def refuses_in_html(conversation: Conversation) -> None:
    conversation.whole(f"<p>{echo(conversation)}</p>".encode(), 500, "text/html")


def is_busy(conversation: Conversation) -> None:
    """Is asked again."""
    conversation.whole(json.dumps({"error": echo(conversation)}).encode(), 503)


def redirects(conversation: Conversation) -> None:
    conversation.whole(b"", 302, location=f"http://127.0.0.2:9{conversation.request.path}")


def fails_in_band(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(conversation.frames("Hi")[0])
    error = json.dumps({"error": {"message": echo(conversation), "type": "x"}}).encode()
    ollama = "/api/" in conversation.request.path
    conversation.chunk(error + b"\n" if ollama else b"data: " + error + b"\n\n")
    conversation.end()


def breaks(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(conversation.frames(echo(conversation), " more")[0])
    conversation.cut()


def breaks_in_a_frame(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(conversation.frames(echo(conversation))[0][:-8])
    conversation.cut()


def truncates(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(conversation.frames(echo(conversation), " more")[0])
    conversation.end()


def is_garbage(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(f"data: {echo(conversation)}\n\n".encode())
    conversation.end()


def is_silent(conversation: Conversation) -> None:
    if conversation.request.method == "GET":
        refuses(conversation)  # these have a deadline of ten seconds, which nothing shortens
    else:
        conversation.wait_for_hangup()


def hangs_up(conversation: Conversation) -> None:
    conversation.cut()


def has_bad_headers(conversation: Conversation) -> None:
    conversation.raw(f"HTTP/1.1 200 OK\r\n{echo(conversation)}\r\n\r\n".encode())
    conversation.cut()


SITUATIONS: tuple[Situation, ...] = (
    succeeds,
    refuses,
    refuses_in_html,
    is_busy,
    redirects,
    fails_in_band,
    breaks,
    breaks_in_a_frame,
    truncates,
    is_garbage,
    is_silent,
    hangs_up,
    has_bad_headers,
)


def vessels_with_keys(url: str) -> dict[str, Vessel]:
    """Vessels that were given a key in every way there is, by the place."""
    scheme, _, host = url.partition("://")
    in_url = {place: quote(canary, safe="") for place, canary in CANARIES.items()}
    return {
        "argument": OpenAI(base_url=url, api_key=CANARIES["argument"]),
        "callable": OpenAI(base_url=url, api_key=lambda: CANARIES["callable"]),
        "password": Ollama(base_url=f"{scheme}://user:{in_url['password']}@{host}"),
        "query": OpenAI(base_url=f"{url}/v1?api-key={in_url['query']}&version=1"),
        "token": Azure(base_url=url, token=CANARIES["token"]),
        "username": Ollama(base_url=f"{scheme}://{in_url['username']}@{host}"),
        "vessel-header": Ollama(base_url=url, headers={"X-Api-Key": CANARIES["vessel-header"]}),
        # Each of these has a header of its own for its key.
        "anthropic-key": Anthropic(base_url=url, api_key=CANARIES["argument"], max_tokens=9),
        "azure-key": Azure(base_url=url, api_key=CANARIES["argument"]),
        "gemini-key": Gemini(base_url=url, api_key=CANARIES["argument"]),
        "ollama-key": Ollama(base_url=url, api_key=CANARIES["argument"]),
        "preset-key": OpenRouter(base_url=f"{url}/api/v1", api_key=CANARIES["argument"]),
    }


CLIENT_HEADERS = {"X-Gateway-Token": CANARIES["client-header"]}
REQUEST_HEADERS = {
    "X-Secret": CANARIES["request-header"],
    "Cookie": f"theme=dark; session={CANARIES['cookie']}",
}


def told_of(*objects: Any) -> Iterator[str]:
    """All that a program may show of these."""
    for each in objects:
        yield f"{each!r} {each!s}"
        try:
            yield pickle.dumps(each).decode("latin-1")
        except TypeError as refusal:
            assert "may hold a key and cannot be pickled" in str(refusal)  # noqa: PT017
        if isinstance(each, BaseException):
            yield "".join(traceback.format_exception(each))
            yield from told_by_causes(each)
        if isinstance(each, VesselogError):
            yield f"{each.to_record()} {each.completion!r}"


def told_by_causes(error: BaseException) -> Iterator[str]:
    """An exception, and all that hangs on it by its attributes, causes and contexts."""
    seen: set[int] = set()
    left: list[Any] = [error]
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield f"{each!r} {each!s}"
        with suppress(TypeError, AttributeError, pickle.PicklingError):
            yield pickle.dumps(each).decode("latin-1")
        if isinstance(each, BaseException):
            left += [*each.args, each.__cause__, each.__context__]
        if isinstance(each, httpx.Headers):
            yield str(each.raw)
        elif isinstance(each, dict):
            left += [*each, *each.values()]
        elif isinstance(each, (list, tuple)):
            left += each
        elif type(each).__module__.partition(".")[0] in {"vesselog", "httpx", "aiohttp"}:
            left += vars(each).values() if hasattr(each, "__dict__") else ()
            # What these libraries document; `request` raises where there is none.
            for name in ("request", "response", "url", "headers", "request_info", "history"):
                with suppress(RuntimeError, AttributeError):
                    left.append(getattr(each, name))


def told_by_files(folder: Path) -> Iterator[str]:
    """The files as they are, and all that is read back from them."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    assert paths
    for path in paths:
        check(path)
        yield path.read_text("utf-8", "replace")
        yield repr(verify(path))
        for call in Recording(path).calls():
            yield f"{call.request} {call.response} {call.end} {call.error!r} {list(call.frames())}"
            try:
                yield repr(list(replay(path, "max", call=call.number)))
            except VesselogError as error:
                yield from told_of(error)


def told_by(ask: Callable[[], Any]) -> Iterator[str]:
    try:
        answer = ask()
    except VesselogError as error:
        yield from told_of(error)
    else:
        yield from told_of(answer)


def told_by_all(talker: Talker, name: str) -> Iterator[str]:
    """All that can be asked of a vessel, and of what is then at hand."""
    stream = talker.stream(f"{name}/m", session=f"for-{name}", headers=REQUEST_HEADERS)
    heard = talker.begin(stream).result(PATIENCE)
    assert isinstance(heard.error, VesselogError | None), repr(heard.error)
    yield from told_of(heard.error, stream, stream.completion, *heard.chunks)
    wire = talker.client._planner.chat(f"{name}/m", "Hi", {}, None).request
    sent = talker._here(lambda: talker.client.send(name, wire))
    heard = talker.begin(sent).result(PATIENCE)
    assert isinstance(heard.error, VesselogError | None), repr(heard.error)
    yield from told_of(heard.error, sent, sent.completion, *heard.chunks)
    yield from told_by(lambda: talker.complete(f"{name}/m"))
    yield from told_by(lambda: talker.models(name))
    yield from told_by(lambda: talker.server_version(name))


def test_a_canary_in_the_request_of_a_hidden_context_is_found() -> None:
    url = f"http://model.internal/?api_key={quote(CANARIES['query'], safe='')}"
    request = httpx.Request("GET", url, headers={"x-api-key": CANARIES["vessel-header"]})

    def fail() -> None:
        try:
            raise httpx.ConnectError("failed", request=request)
        except httpx.ConnectError:
            raise VesselogError("failed") from None

    with pytest.raises(VesselogError) as raised:
        fail()
    assert found(" ".join(told_of(raised.value))) == {"query", "vessel-header"}


@every_client
@pytest.mark.parametrize("situation", SITUATIONS)
def test_no_canary_comes_out(
    situation: Situation,
    kind: str,
    tmp_path: Path,
    logged: io.StringIO,
    capfd: pytest.CaptureFixture[str],
) -> None:
    told: list[str] = []
    with LoopbackServer([situation]) as server:
        vessels = vessels_with_keys(server.url)
        settings = {
            "vessels": vessels,
            "environment": {
                "OPENAI_API_KEY": CANARIES["environment"],
                "OPENAI_BASE_URL": server.url,
            },
            "headers": CLIENT_HEADERS,
            "retries": Retries(count=1, backoff=0.001, longest=0.01),
            "timeouts": Timeouts(first_chunk=0.1 if situation is is_silent else 30),
        }
        with talking(kind, **settings) as talker:
            if not kind.startswith("sync"):
                talker._here(lambda: asyncio.get_running_loop().set_debug(True))
            for name in (*vessels, "openai"):
                told += told_by_all(talker, name)
            told += told_of(talker.client, *vessels.values())
        got = "".join(f"{each.path} {each.headers}" for each in server.requests)
    assert found(got) == {*PLACES} - {"proxy"}
    headers = {name for each in server.requests for name in each.headers}
    assert headers >= {"api-key", "authorization", "x-api-key", "x-goog-api-key"}
    captured = capfd.readouterr()
    check_silent(
        results=told,
        logs=[logged.getvalue()],
        output=captured,
        files=told_by_files(tmp_path / "recordings"),
    )


@every_client
@pytest.mark.parametrize("situation", [succeeds, refuses, hangs_up, None])
def test_no_canary_of_a_proxy_comes_out(
    situation: Situation | None,
    kind: str,
    tmp_path: Path,
    logged: io.StringIO,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """situation: what the proxy does; None: nobody is there."""
    with LoopbackServer([situation or hangs_up]) as server:
        port = 9 if situation is None else server.port
        password = quote(CANARIES["proxy"], safe="")
        monkeypatch.setenv("HTTP_PROXY", f"http://user:{password}@127.0.0.1:{port}")
        vessels = {"far": OpenAI(base_url="http://model.internal")}
        with talking(kind, vessels=vessels, retries=Retries(count=1, backoff=0.001)) as talker:
            told = [*told_by_all(talker, "far"), *told_of(talker.client)]
        if situation is not None:
            assert "proxy" in found(str([each.headers for each in server.requests]))
    check_silent(
        results=told,
        logs=[logged.getvalue()],
        output=capfd.readouterr(),
        files=told_by_files(tmp_path / "recordings"),
    )


async def test_no_canary_comes_out_over_http2(tmp_path: Path, logged: io.StringIO) -> None:
    """Where headers are compressed, by a library that logs them before and after."""
    told: list[str] = []
    with http2_server(tmp_path) as server:
        vessels = vessels_with_keys(server.url)
        vessels = {name: each for name, each in vessels.items() if isinstance(each, Ollama)}
        vessels["argument"] = Ollama(base_url=server.url, api_key=CANARIES["argument"])
        async with AsyncClient(
            http2=True,
            ssl_context=server.trusting,
            vessels=vessels,
            environment={},
            headers=CLIENT_HEADERS,
        ) as client:
            for name in vessels:
                async with client.stream(f"{name}/m", "echo", headers=REQUEST_HEADERS) as stream:
                    told += told_of(*[chunk async for chunk in stream], stream)
                assert "[masked]" in str(stream.completion.model)
                with pytest.raises(VesselogError) as raised:
                    await client.complete(f"{name}/m", "401")
                told += told_of(raised.value)
            told += told_of(client)
    logs = logged.getvalue()
    assert "hpack.hpack" in logs
    coder = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
    for value in (f"Bearer {CANARIES['argument']}", *CLIENT_HEADERS.values()):
        assert str(coder.encode(value.encode()))[2:-1] not in logs
    check_silent(results=told, logs=[logs], files=told_by_files(tmp_path / "recordings"))


@every_client
def test_what_cannot_be_a_key_is_not_repeated(
    kind: str, logged: io.StringIO, tmp_path: Path
) -> None:
    """A key with a line end, an address that is none, a key that would go in the clear."""
    canary = CANARIES["argument"]
    nowhere = "http://127.0.0.1:9"
    makers: tuple[Callable[[], Vessel], ...] = (
        lambda: OpenAI(base_url=nowhere, api_key=f"{canary}\n"),
        lambda: OpenAI(base_url=f"http://user:{canary}@[::1"),
        lambda: OpenAI(base_url=nowhere, headers={"X-Api-Key": f"{canary}\r\nX: y"}),
        lambda: OpenAI(base_url=nowhere, headers={"X Api": canary}),
        lambda: OpenAI(base_url="http://8.8.8.8", api_key=canary),
    )
    told: list[str] = []
    for make in makers:
        with (
            talking(kind, vessels={"lab": make()}) as talker,
            pytest.raises(VesselogError) as raised,
        ):
            talker.stream()
        told += told_of(raised.value)
    check_silent(results=told, logs=[logged.getvalue()])
    assert not (tmp_path / "recordings").exists()


@pytest.mark.parametrize("situation", [succeeds, refuses, fails_in_band, hangs_up])
def test_no_canary_comes_out_of_the_command_line(situation: Situation, tmp_path: Path) -> None:
    told: list[str] = []
    with LoopbackServer([situation]) as server:
        env = {"OPENAI_API_KEY": CANARIES["environment"], "OPENAI_BASE_URL": server.url}
        for arguments in (
            ("chat", "openai/m", "hi"),
            ("chat", "openai/m", "hi", "--json"),
            ("models", "openai"),
            ("vessels", "--json"),
        ):
            done = command(*arguments, env=env)
            told += (done.stdout, done.stderr)
        for path in (tmp_path / "recordings").iterdir():
            told.append(command("show", str(path)).stdout)
        assert found(str([each.headers for each in server.requests])) == {"environment"}
    check_silent(output=told, files=told_by_files(tmp_path / "recordings"))


def test_figure(figure: Figure) -> None:
    figure(
        f"keys in {len(PLACES)} places, {len(SITUATIONS)} situations, 3 clients, servers that "
        "repeat them: 0 in files, logs at DEBUG, output, tracebacks, reprs and pickles"
    )
