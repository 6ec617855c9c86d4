"""Detects the framing of a body by its first character, since content types are often wrong.

Servers send events as application/json, one JSON object where a stream was asked for (Ollama's load
and unload answers, gateways), and events where none was asked for.
"""

from __future__ import annotations

from .framing import Framing

__all__ = ["BYTE_ORDER_MARK", "WHITE_SPACE", "detect_framing"]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WHITE_SPACE = b" \t\r\n"


def detect_framing(head: bytes, content_type: str, own: Framing, *, stream: bool) -> Framing | None:
    """The framing of a body that begins with `head`; None if that has no first character yet.

    content_type: in lower case. own: the framing of the vessel's dialect. stream: whether a stream
    was asked for.
    """
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip(WHITE_SPACE)
    if not text or BYTE_ORDER_MARK.startswith(text):
        return None
    first = text[:1]
    lines = stream and own is Framing.NDJSON
    named_lines = "ndjson" in content_type or "jsonl" in content_type
    if first == b"<":
        return Framing.BODY
    # The fields of an event (data, event, error, id, retry), or a comment.
    if first in b":deir" and not (lines and named_lines):
        return Framing.SSE
    if named_lines:
        return Framing.NDJSON
    if first in b"{[" and stream and "json" not in content_type:
        return own
    if first not in b"{[" and "event-stream" in content_type:
        return Framing.SSE
    return Framing.NDJSON if lines else Framing.BODY
