"""Checks that the answer does not depend on how the body is cut, or on its line ends."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

from ..core.exchange import Exchange
from ..core.framing import BYTE_ORDER_MARK, WHITE_SPACE, Splitter, detect_framing
from ..vessels import Framing, TruncatedError
from .running import Case, Ran, begin, difference

__all__ = ["framing_of", "line_ends", "mixed", "split_anywhere"]

# Frames beside the one that was split which a report shows, and how much of each.
_AROUND, _SHOWN = 1, 60


def split_anywhere(case: Case, most: int, chance: random.Random) -> Iterator[str]:
    """Two pieces, cut at each position (at `most` of them); and single bytes."""
    content = case.body.content
    positions = list(range(1, len(content)))
    if len(positions) > most:
        positions = sorted(chance.sample(positions, most))
    for position in positions:
        if _split_difference(case, position):
            at = _smallest(case, position)
            yield (
                f"a split at byte {at} changes the answer: {_split_difference(case, at)}\n"
                f"{_around(case.whole, at)}"
            )
            return
    if message := difference(case.whole, case.run(bytes([byte]) for byte in content)):
        yield f"byte by byte, the answer differs: {message}"


def mixed(case: Case) -> Iterator[str]:
    """Two answers at once, and one after the other, do not mix: a decoder keeps its own state."""
    again = case.run(case.body.content)
    if message := difference(case.whole, again):
        yield f"the second time, the same body gives a different answer: {message}"
        return
    first, second = (begin(case.vessel, case.request, case.body) for _ in range(2))
    said: list[list[dict[str, object]]] = [[], []]
    for frame in case.whole.frames:
        for exchange, received in zip((first, second), said, strict=True):
            received.extend(_fed(exchange, frame))
    for exchange, received in zip((first, second), said, strict=True):
        received.extend(fields for step in exchange.finish() for fields in step.fields)
        if received != case.whole.said:
            yield "two answers that arrive at the same time mix: state is shared between decoders"
            return


def line_ends(case: Case) -> Iterator[str]:
    """Other line ends, a byte order mark, comments, blank lines, no last line end."""
    if not 200 <= case.body.status < 300 or case.whole.outcome == TruncatedError.__name__:
        # In a cut body, the end of the last line may be the sign that the frame is whole.
        return
    framing = framing_of(case)
    for name, variant in _VARIANTS[framing].items():
        content = variant(case.body.content)
        if content is None:
            continue
        if message := difference(case.whole, case.run(content), frames=False):
            yield f"with {name}, the answer differs: {message}"


def framing_of(case: Case) -> Framing:
    """How the body is framed."""
    body = case.body
    own = case.vessel.framing
    kind = body.content_type.lower()
    return detect_framing(body.content, kind, own, stream=case.request.stream) or Framing.BODY


def _split_difference(case: Case, at: int) -> str | None:
    content = case.body.content
    return difference(case.whole, case.run((content[:at], content[at:])))


def _smallest(case: Case, found: int) -> int:
    return next(at for at in range(1, found + 1) if _split_difference(case, at))


def _around(whole: Ran, at: int) -> str:
    """The frames around a position, the one that it cuts marked there."""
    lines: list[str] = []
    start, hit = 0, 0
    for number, raw in enumerate(whole.frames):
        if start <= at <= start + len(raw) and raw:
            hit = number
            break
        start += len(raw)
    for number, raw in enumerate(whole.frames):
        if abs(number - hit) > _AROUND:
            continue
        inside = at - start
        text = f"{_end(raw[:inside])} ✂ {_begin(raw[inside:])}" if number == hit else _begin(raw)
        lines.append(f"    frame {number}: {text}")
    return "\n".join(lines)


def _begin(raw: bytes) -> str:
    return repr(raw[:_SHOWN])[2:-1] + ("…" if len(raw) > _SHOWN else "")


def _end(raw: bytes) -> str:
    return ("…" if len(raw) > _SHOWN else "") + repr(raw[-_SHOWN:])[2:-1]


def _fed(exchange: Exchange, data: bytes) -> list[dict[str, object]]:
    said: list[dict[str, object]] = []
    exchange.feed(data)
    while (step := exchange.pull()) is not None:
        said += step.fields
    return said


def _events(content: bytes) -> list[bytes] | None:
    """The events of a body, with LF alone; None if the last one is not whole."""
    splitter = Splitter(Framing.SSE)
    events = splitter.split(_with_line_feeds(content))
    return None if splitter.rest() else events


def _with_line_feeds(content: bytes) -> bytes:
    return re.sub(rb"\r\n?", b"\n", content)


def _commented(content: bytes) -> bytes | None:
    events = _events(content)
    return None if events is None else b"".join(b": keep-alive\n\n" + event for event in events)


def _without_blank_line(content: bytes) -> bytes | None:
    return None if _events(content) is None else content.rstrip(b"\r\n")


def _marked(content: bytes) -> bytes | None:
    if content.startswith(BYTE_ORDER_MARK) or not content.strip(WHITE_SPACE):
        return None
    return BYTE_ORDER_MARK + content


Variant = Callable[[bytes], bytes | None]

_VARIANTS: dict[Framing, dict[str, Variant]] = {
    Framing.SSE: {
        "LF at the line ends": _with_line_feeds,
        "CRLF at the line ends": lambda content: _with_line_feeds(content).replace(b"\n", b"\r\n"),
        "CR at the line ends": lambda content: _with_line_feeds(content).replace(b"\n", b"\r"),
        "a comment before each event": _commented,
        "no blank line after the last event": _without_blank_line,
        "a byte order mark": _marked,
    },
    Framing.NDJSON: {
        "CRLF at the line ends": lambda content: re.sub(rb"\r?\n", b"\r\n", content),
        "a blank line between the lines": lambda content: content.replace(b"\n", b"\n\n"),
        "no end of the last line": lambda content: content.rstrip(b"\r\n"),
        "a byte order mark": _marked,
    },
    Framing.BODY: {
        "white space around it": lambda content: b"\n " + content + b"\r\n",
        "a byte order mark": _marked,
    },
}
