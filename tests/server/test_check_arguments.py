"""What applications are made of: a wrong type is told when they are made, and what to give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vesselog import AsyncClient, Client
from vesselog.core.errors import ConfigurationError, InvalidRequestError
from vesselog.server import (
    EventBytes,
    EventId,
    EventStream,
    Gateway,
    gateway_vessels,
    replay_app,
    serve_in_thread,
    session_in_use,
    sessions_app,
)
from vesselog.vessels import Ollama, OpenAI


class Clients:
    """A client of each kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sync = Client(recordings=folder)
        self.wanted = AsyncClient(recordings=folder)


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[Clients]:
    made = Clients(tmp_path)
    with made.sync:
        yield made


async def nothing() -> AsyncIterator[Any]:
    """No chunks."""
    return
    yield


def everyone(*_: object) -> bool:
    return True


def served(app: Any) -> None:
    with serve_in_thread(app):
        pytest.fail("it was served")


WRONG: dict[str, tuple[Callable[[Clients], Any], str, str]] = {
    "sessions_app-sync": (
        lambda on: sessions_app(on.sync, authorize=everyone),  # type: ignore[arg-type]
        "client",
        "sessions_app needs a vesselog.AsyncClient, not a Client",
    ),
    "sessions_app-folder": (
        lambda on: sessions_app(on.folder, authorize=everyone),  # type: ignore[arg-type]
        "client",
        "not a Po",  # or a WindowsPath
    ),
    "sessions_app-authorize": (
        lambda on: sessions_app(on.wanted, authorize=True),  # type: ignore[arg-type]
        "authorize",
        "authorize=True must be a function, called as authorize(request, session)",
    ),
    "sessions_app-heartbeat": (
        lambda on: sessions_app(on.wanted, authorize=everyone, heartbeat="15"),  # type: ignore[arg-type]
        "heartbeat",
        "no heartbeat of '15' seconds",
    ),
    "sessions_app-protocol": (
        lambda on: sessions_app(on.wanted, authorize=everyone, protocol=[]),  # type: ignore[arg-type]
        "protocol",
        "choose one of vesselog, openai",
    ),
    "Gateway-sync": (
        lambda on: Gateway(on.sync, {"local": Ollama()}),  # type: ignore[arg-type]
        "client",
        "a Gateway needs a vesselog.AsyncClient, not a Client",
    ),
    "Gateway-list": (
        lambda on: Gateway(on.wanted, [Ollama()]),  # type: ignore[arg-type]
        "upstreams",
        "must be a dict of vessels by name",
    ),
    "Gateway-timeouts": (
        lambda on: Gateway(on.wanted, {"local": Ollama()}, timeouts=5),  # type: ignore[arg-type]
        "timeouts",
        "write timeouts=vesselog.Timeouts(total=5)",
    ),
    "Gateway-session_from": (
        lambda on: Gateway(on.wanted, {"local": Ollama()}, session_from=everyone),  # type: ignore[arg-type]
        "session_from",
        "give user, or header: and the name of a header",
    ),
    "Gateway-without-vessels": (
        lambda on: Gateway(on.wanted, {"local": Ollama()}),
        "client",
        "needs the vessel 'local' of its upstreams: make it with AsyncClient(vessels=gateway_v",
    ),
    "Gateway-installed-vessel": (
        lambda on: Gateway(on.wanted, {"openai": OpenAI(base_url="http://127.0.0.1:1/v1")}),
        "client",
        "needs the vessel 'openai' of its upstreams",
    ),
    "Gateway-without-responses": (
        lambda on: Gateway(
            on.wanted, {"openai": OpenAI(base_url="https://api.openai.com/v1")}, environment={}
        ),
        "client",
        "needs the vessel 'openai:responses' of its upstreams",
    ),
    "gateway_vessels-name-of-a-vessel": (
        lambda _: gateway_vessels({"local": "ollama"}),  # type: ignore[dict-item]
        "upstreams",
        "'local' must be a vessel, such as vesselog.vessels.Ollama(), not a str",
    ),
    "gateway_vessels-class": (
        lambda _: gateway_vessels({"local": Ollama}),  # type: ignore[dict-item]
        "upstreams",
        "not the class Ollama",
    ),
    "gateway_vessels-number": (
        lambda _: gateway_vessels({5: Ollama()}),  # type: ignore[dict-item]
        "upstreams",
        "name must be a string, not 5",
    ),
    "replay_app-path": (
        lambda _: replay_app("recordings"),
        "recordings",
        "must be a list of paths: write ['recordings']",
    ),
    "replay_app-numbers": (
        lambda _: replay_app([5]),  # type: ignore[list-item]
        "recordings",
        "must be a list of paths",
    ),
    "replay_app-longest_wait": (
        lambda on: replay_app([], longest_wait="5"),  # type: ignore[arg-type]
        "longest_wait",
        "no wait of '5' seconds",
    ),
    "replay_app-fallback": (
        lambda on: replay_app([], fallback=on.wanted),  # type: ignore[arg-type]
        "fallback",
        "fallback must be an ASGI application, not an AsyncClient",
    ),
    "replay_app-list_models": (
        lambda _: replay_app([], list_models="yes"),  # type: ignore[arg-type]
        "list_models",
        "give True, False or None",
    ),
    "session_in_use": (
        lambda on: session_in_use(on.folder, "s"),  # type: ignore[arg-type]
        "client",
        "needs a vesselog.AsyncClient or a vesselog.Client, not a",
    ),
    "serve_in_thread": (
        lambda _: served(None),
        "app",
        "app must be an ASGI application, not None",
    ),
    "EventStream-headers": (
        lambda _: EventStream(nothing(), headers={"a": 5}),  # type: ignore[dict-item]
        "headers",
        "headers must be a dict of strings",
    ),
    "EventStream-status_code": (
        lambda _: EventStream(nothing(), status_code="200"),  # type: ignore[arg-type]
        "status_code",
        "no status_code '200'",
    ),
    "EventStream-on_disconnect": (
        lambda _: EventStream(nothing(), on_disconnect=[]),  # type: ignore[arg-type]
        "on_disconnect",
        'choose "cancel" or "detach"',
    ),
    "EventBytes-async": (
        lambda on: EventBytes(on.wanted.stream("ollama/m", "hi")),  # type: ignore[arg-type]
        "stream",
        "not an AsyncStream; EventStream sends an AsyncStream",
    ),
    "EventBytes-text": (lambda _: EventBytes("hi"), "stream", "not a str"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_argument_is_told_at_once_with_what_to_give(
    case: str, clients: Clients
) -> None:
    make, setting, sentence = WRONG[case]
    with pytest.raises(ConfigurationError) as caught:
        make(clients)
    assert sentence in caught.value.message
    assert caught.value.setting == setting
    await clients.wanted.aclose()


def test_recordings_may_be_named_by_strings(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_bytes(b"{}")
    assert callable(replay_app([str(tmp_path)]))


def test_a_missing_event_id_is_no_event_id() -> None:
    """As `request.headers.get("last-event-id")` gives it."""
    with pytest.raises(InvalidRequestError, match="None is not the id"):
        EventId.parse(None)  # type: ignore[arg-type]
