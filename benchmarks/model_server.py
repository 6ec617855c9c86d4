"""A model server that is never the bottleneck: its bytes are ready before they are asked for.

The path says how to answer: `/burst-N/…` sends N pieces of text as fast as they are taken,
`/paced-R-N/…` sends R a second on each connection, every one with the time at which it was sent
(the monotonic clock, which all processes of a machine share). Connections begin their pace at
moments of their own, as real ones do. `…/api/chat` speaks Ollama's dialect, anything else
OpenAI's. Each frame is one HTTP chunk, as real servers send them.

Run as a process of its own: prints its port, ends with its standard input.
"""

from __future__ import annotations

import heapq
import os
import random
import re
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from child_process import allow_many_files
from sample_answer import STAMP_DIGITS, SampleAnswer, sample_answer

__all__ = ["running_server"]

_BLOCK = 1000
_READ = 65536
# Below this a wait is slept out: a selector counts in whole milliseconds, which would bunch the
# frames of a fast pace.
_SHORT = 0.002


class _Answer:
    """The bytes of a burst, in blocks."""

    def __init__(self, source: SampleAnswer, pieces: int) -> None:
        head = (
            "HTTP/1.1 200 OK\r\n"
            f"content-type: {source.content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        ).encode()
        self.begin = head + b"".join(map(_chunked, source.opening))
        self.end = b"".join(map(_chunked, source.closing)) + b"0\r\n\r\n"
        self._block = b"".join(map(_chunked, source.pieces))
        self._rest = b"".join(map(_chunked, source.pieces[: pieces % _BLOCK]))
        self._blocks = pieces // _BLOCK
        stamped = _chunked(source.stamped)
        at = stamped.index(b"0" * STAMP_DIGITS)
        self.before, self.after = stamped[:at], stamped[at + STAMP_DIGITS :]

    def burst(self) -> Iterator[bytes]:
        yield self.begin
        for _ in range(self._blocks):
            yield self._block
        yield self._rest
        yield self.end


def _chunked(frame: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(frame), frame)


@lru_cache
def _answer(ollama: bool, pieces: int) -> _Answer:  # noqa: FBT001 - a cache's key
    return _Answer(sample_answer("ollama" if ollama else "openai", _BLOCK), pieces)


class _Connection:
    """One client's socket. left: paced pieces still to send; due: when the next one is."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.request = b""
        self.source: Iterator[bytes] = iter(())
        self.pending = memoryview(b"")
        self.answer: _Answer | None = None
        self.left = 0
        self.due = 0
        self.interval = 0


class _Server:
    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._paced: list[tuple[int, int, _Connection]] = []
        self._count = 0
        self._phases = random.Random(5)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def run(self) -> None:
        """Serve until the standard input ends."""
        while True:
            for key, events in self._selector.select(self._wait()):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is sys.stdin:
                    return
                elif events & selectors.EVENT_READ:
                    self._read(key.data)
                else:
                    self._write(key.data)
            self._send_due()

    def _wait(self) -> float | None:
        if not self._paced:
            return None
        wait = (self._paced[0][0] - time.monotonic_ns()) / 1e9
        if wait > _SHORT:
            return wait - _SHORT / 2
        if wait > 0:
            time.sleep(wait)
        return 0

    def _accept(self) -> None:
        try:
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(sock, selectors.EVENT_READ, _Connection(sock))
        except BlockingIOError:
            return

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(_READ)
        except ConnectionError:
            data = b""
        if not data:
            self._close(connection)
            return
        connection.request += data
        head, separator, body = connection.request.partition(b"\r\n\r\n")
        if not separator:
            return
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if len(body) < (int(length[1]) if length else 0):
            return
        connection.request = b""
        self._respond(connection, head.split(b" ", 2)[1].decode())

    def _respond(self, connection: _Connection, path: str) -> None:
        numbers = [int(number) for number in path.split("/")[1].split("-")[1:]]
        answer = connection.answer = _answer(path.endswith("/api/chat"), numbers[-1])
        if path.startswith("/burst"):
            connection.source = answer.burst()
            self._write(connection)
            return
        rate, connection.left = numbers
        connection.interval = 1_000_000_000 // rate
        phase = self._phases.randrange(connection.interval)
        self._send(connection, answer.begin)
        self._plan(connection, time.monotonic_ns() + phase)

    def _plan(self, connection: _Connection, due: int) -> None:
        connection.due = due
        self._count += 1
        heapq.heappush(self._paced, (due, self._count, connection))

    def _send_due(self) -> None:
        paced = self._paced
        while paced and paced[0][0] <= (now := time.monotonic_ns()):
            due, _, connection = heapq.heappop(paced)
            answer = connection.answer
            if answer is None:
                continue  # the client left
            frame = b"%b%0*d%b" % (answer.before, STAMP_DIGITS, now, answer.after)
            connection.left -= 1
            if connection.left == 0:
                frame += answer.end
            self._send(connection, frame)
            if connection.left:
                self._plan(connection, due + connection.interval)

    def _send(self, connection: _Connection, data: bytes) -> None:
        """Send now; what a slow client does not take waits for it."""
        if connection.pending:
            connection.pending = memoryview(bytes(connection.pending) + data)
            return
        connection.pending = memoryview(data)
        self._write(connection)

    def _write(self, connection: _Connection) -> None:
        try:
            while connection.pending or self._refill(connection):
                sent = connection.sock.send(connection.pending)
                connection.pending = connection.pending[sent:]
        except BlockingIOError:
            events = selectors.EVENT_READ | selectors.EVENT_WRITE
        except ConnectionError:
            self._close(connection)
            return
        else:
            events = selectors.EVENT_READ
        if self._selector.get_key(connection.sock).events != events:
            self._selector.modify(connection.sock, events, connection)

    def _refill(self, connection: _Connection) -> bool:
        block = next(connection.source, None)
        if block is None:
            return False
        connection.pending = memoryview(block)
        return True

    def _close(self, connection: _Connection) -> None:
        connection.answer = None
        self._selector.unregister(connection.sock)
        connection.sock.close()


@contextmanager
def running_server(core: int | None = None) -> Generator[str]:
    """The server, in a process of its own; gives the address that paths are added to.

    core: the processor core that it keeps to.
    """
    arguments = [sys.executable, str(Path(__file__).resolve())]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the model server has no pipes")
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            process.wait()


if __name__ == "__main__":
    allow_many_files()
    server = _Server()
    print(server.port, flush=True)
    server.run()
