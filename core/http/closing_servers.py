"""Which servers do not keep a connection that they promised to keep.

llama-server ends a streamed answer cleanly and closes the connection a moment later without having
said so: the next request of the same client then meets the closing, and it cannot be told whether
the server read it. Each request to such a server says that it is the connection's last.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ClosingServers"]

# By their Server header. llama-server is built on cpp-httplib, which closes after a chunked answer.
_CLOSING_SERVERS = frozenset({"llama.cpp"})


class ClosingServers:
    """What one client has learned of its servers (scheme, host and port).

    http2: nothing is learned, since HTTP/2 has no such header.
    """

    def __init__(self, *, http2: bool = False) -> None:
        self._http2 = http2
        self._closing: set[str] = set()

    def headers(self, origin: str) -> dict[str, str]:
        """The headers that a request to this server must carry."""
        return {"connection": "close"} if origin in self._closing else {}

    def answered(self, origin: str, headers: Mapping[str, str]) -> bool:
        """A response's headers have come: tell if its connection may be kept."""
        if headers.get("server") in _CLOSING_SERVERS:
            self.hung_up(origin)
        return origin not in self._closing

    def hung_up(self, origin: str) -> None:
        """A connection was closed where an answer was due, or is about to be closed."""
        if not self._http2:
            self._closing.add(origin)
