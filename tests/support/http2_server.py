"""A real HTTP/2 server over TLS on loopback: hypercorn, in a process of its own.

The prompt says how it is answered. "N": N chunks, a few milliseconds apart; a number of three
digits, asked for in one piece: that status; "silent": one chunk and nothing more; "mute": not even
headers; "flood": chunks without end; "fails": errors in band without end; "left": how many streams
were left before their end; "asked": how many streams were asked for. The model that the answer
names is "VERSION at CONNECTION", as the server saw them; for "echo", the request's headers, which
are then in the answer's headers too.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from loopback import ollama_body, ollama_lines

__all__ = ["Http2Server", "http2_server"]


@dataclass(frozen=True)
class Http2Server:
    """A running one, and who trusts it."""

    url: str
    trusting: ssl.SSLContext


@contextmanager
def http2_server(folder: Path) -> Iterator[Http2Server]:
    """Start one; its certificates are written to the folder."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        file = listener.fileno()
        command = [sys.executable, __file__, str(file), str(chain), str(key)]
        # Connections are taken from the moment on in which the listener exists.
        with subprocess.Popen(command, pass_fds=[file], stderr=subprocess.DEVNULL) as process:
            try:
                yield Http2Server(f"https://127.0.0.1:{listener.getsockname()[1]}", trusting)
                assert process.poll() is None, "the server died"
            finally:
                process.kill()


_counts = {"left": 0, "asked": 0}
_ENDLESS = {"flood": ollama_lines("on ")[0] * 20, "fails": b'{"error": "no"}\n'}


async def _application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    body, event = b"", {"more_body": True}
    while event.get("more_body"):
        event = await receive()
        body += event.get("body", b"")
    request = json.loads(body)
    prompt = request["messages"][-1]["content"].split()[-1]
    seen = f"{scope['http_version']} at {scope['client'][1]}"
    if prompt == "echo":
        prompt, seen = "3", str(scope["headers"])
    answer = _stream if request["stream"] else _whole
    _counts["asked"] += bool(request["stream"])
    answering = asyncio.create_task(answer(prompt, seen, send))
    while (await receive())["type"] != "http.disconnect":
        pass
    _counts["left"] += not answering.done() or prompt in {"mute", "silent"}
    answering.cancel()


async def _whole(prompt: str, seen: str, send: Any) -> None:
    if prompt.isdecimal() and len(prompt) == 3:
        await _begin(send, int(prompt))
        await _say(send, b'{"error": "no"}', more=False)
    else:
        await _begin(send)
        text = str(_counts.get(prompt, "whole"))
        await _say(send, ollama_body(text, seen), more=False)


async def _stream(prompt: str, seen: str, send: Any) -> None:
    if prompt == "mute":
        return
    await _begin(send, seen=seen)
    while prompt in _ENDLESS:
        await _say(send, _ENDLESS[prompt], more=True)
        await asyncio.sleep(0.001)
    if prompt == "silent":
        await _say(send, ollama_lines("Hi", model=seen)[0], more=True)
        return
    for line in ollama_lines(*(f"{number} " for number in range(int(prompt))), model=seen):
        await _say(send, line, more=True)
        await asyncio.sleep(0.002)
    await _say(send, b"", more=False)


async def _begin(send: Any, status: int = 200, seen: str = "") -> None:
    headers = [(b"content-type", b"application/json"), (b"x-seen", seen.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _say(send: Any, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _serve(file: str, chain: str, key: str) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{file}"]
    config.certfile, config.keyfile = chain, key
    config.alpn_protocols = ["h2"]
    config.errorlog = config.accesslog = None
    asyncio.run(serve(_application, config))  # type: ignore[arg-type]


if __name__ == "__main__":
    _serve(*sys.argv[1:])
