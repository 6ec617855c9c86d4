"""What httpcore asks of the sync client's connections."""

from __future__ import annotations

import socket

from vesselog.core.client.socket_stream import SocketStream


def test_a_connection_that_awaits_its_answer_is_not_readable():
    """A thread that takes it for idle, just before another one sends on it, must not close it."""
    near, far = socket.socketpair()
    with near, far:
        stream = SocketStream(near)
        assert not stream.get_extra_info("is_readable")
        stream.write(b"request", None)
        far.sendall(b"answer")
        assert not stream.get_extra_info("is_readable")
        stream.rest()
        assert stream.get_extra_info("is_readable")


def test_an_idle_connection_that_its_server_closed_is_readable():
    near, far = socket.socketpair()
    with near, far:
        stream = SocketStream(near)
        stream.write(b"request", None)
        stream.rest()
        far.close()
        assert stream.get_extra_info("is_readable")
