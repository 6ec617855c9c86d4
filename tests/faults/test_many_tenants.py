"""A thousand tenants, each with a key of its own: none is in the logs of any transport."""

from __future__ import annotations

import gc
import io
import logging
from collections.abc import Iterator
from hashlib import md5

import pytest

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from talking import every_client, talking
from vesselog.vessels import OpenAI

TENANTS = 1000
KEYS = {f"tenant{number}": f"sk-{md5(b'%d' % number).hexdigest()}" for number in range(TENANTS)}
HEADERS = {name: f"t-{key[::-1]}" for name, key in KEYS.items()}
# httpcore logs what it is told by the server, too.
LIBRARIES = ("httpx", "httpcore", "aiohttp")


@pytest.fixture(params=["INFO", "DEBUG"])
def logged(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the libraries below log, at this level."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(request.param)
    yield written
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def repeats_the_keys(talk: Conversation) -> None:
    """In the status line and in a header."""
    seen = f"{talk.request.path} {talk.request.headers.get('authorization')}"
    body = b'{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}'
    head = f"HTTP/1.1 200 {seen}\r\nx-seen: {seen}\r\ncontent-type: application/json\r\n"
    talk.raw(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)


@every_client
def test_no_key_of_a_thousand_tenants_is_logged(kind: str, logged: io.StringIO) -> None:
    """All of them ask before the first one is answered."""
    with LoopbackServer([repeats_the_keys]) as server:
        vessels = {
            name: OpenAI(base_url=f"{server.url}/v1?api-key={key}") for name, key in KEYS.items()
        }
        with talking(kind, vessels=vessels, recordings=None) as talker:
            streams = [
                talker.stream(f"{name}/m", headers={"authorization": f"Bearer {HEADERS[name]}"})
                for name in KEYS
            ]
            while streams:  # the oldest last
                assert talker.begin(streams.pop()).result(PATIENCE).text == "Hi"
                if len(streams) % 100 == 0:
                    # Each line that is logged is searched for the keys of all streams that are not
                    # collected; in a process with many objects that happens rarely by itself.
                    gc.collect()
        asked = "".join(f"{each.path} {each.headers}" for each in server.requests)
    logs = logged.getvalue()
    assert all(each in asked for each in (*KEYS.values(), *HEADERS.values()))
    assert logs.count("HTTP Request: POST") == TENANTS
    assert logs.count("api-key=[masked]") >= TENANTS
    assert not [each for each in (*KEYS.values(), *HEADERS.values()) if each in logs]
