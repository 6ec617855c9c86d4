"""How a body is framed, whatever its content type says."""

from __future__ import annotations

import pytest

from vesselog.core.framing import Framing, detect_framing

SSE, NDJSON, BODY = Framing.SSE, Framing.NDJSON, Framing.BODY
EVENTS, LINES, JSON = "text/event-stream", "application/x-ndjson", "application/json"


@pytest.mark.parametrize("head", [b"", b" \r\n\t", b"\xef", b"\xef\xbb", b"\xef\xbb\xbf \n"])
def test_nothing_is_known_before_the_first_character(head: bytes) -> None:
    assert detect_framing(head, EVENTS, SSE, stream=True) is None


@pytest.mark.parametrize(
    ("own", "stream", "content_type", "head", "framing"),
    [
        (SSE, True, EVENTS, b"data: {", SSE),
        (SSE, True, EVENTS, b": ping", SSE),
        (SSE, True, EVENTS, b"x-own: 1", SSE),
        (SSE, True, JSON, b"data: {", SSE),
        (SSE, False, JSON, b"event: x", SSE),
        (SSE, True, LINES, b"id: 1", SSE),
        (SSE, True, EVENTS, b"{", SSE),
        (SSE, True, "", b"{", SSE),
        (SSE, True, JSON, b"{", BODY),
        (SSE, True, LINES, b"{", NDJSON),
        (SSE, False, EVENTS, b"{", BODY),
        (SSE, True, "text/html", b"<html>", BODY),
        (SSE, True, EVENTS, b"<html>", BODY),
        (SSE, True, "text/plain", b"upstream failed", BODY),
        (NDJSON, True, LINES, b"{", NDJSON),
        (NDJSON, True, LINES, b"data of its own", NDJSON),
        (NDJSON, True, LINES, b"own", NDJSON),
        (NDJSON, True, "", b"own", NDJSON),
        (NDJSON, True, JSON, b"{", NDJSON),
        (NDJSON, True, "", b"{", NDJSON),
        (NDJSON, False, JSON, b"{", BODY),
        (NDJSON, True, EVENTS, b"data: {", SSE),
        (NDJSON, True, "text/html", b"<html>", BODY),
        (BODY, True, "", b"[", BODY),
    ],
)
def test_the_first_character_decides(
    own: Framing,
    stream: bool,  # noqa: FBT001
    content_type: str,
    head: bytes,
    framing: Framing,
) -> None:
    for before in (b"", b"\n ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"):
        assert detect_framing(before + head, content_type, own, stream=stream) is framing
