"""An answer with its native messages, as a client assembles it, and a request that has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from vesselog.core.assembler import Assembler
from vesselog.core.completion import Completion
from vesselog.core.exchange import Exchange
from vesselog.core.request import chat_request
from vesselog.core.vessel import Vessel

__all__ = ["answered", "pieces_of", "sent"]


def answered(
    vessel: Vessel,
    body: bytes | Iterable[bytes],
    content_type: str = "",
    *,
    stream: bool = True,
    **asked: Any,
) -> Completion:
    """The completion of a body, fed in the pieces given."""
    request = vessel.request(chat_request("m", "hi", stream=stream, **asked))
    exchange = Exchange(vessel, request)
    exchange.respond(200, content_type)
    assembler = Assembler()
    steps = [
        step
        for piece in ([body] if isinstance(body, bytes) else body)
        for step in exchange.take(piece)
    ]
    for step in [*steps, *exchange.finish()]:
        for chunk in step.chunks:
            assembler.add(chunk)
    return assembler.completion(
        outcome="complete" if exchange.error is None else "error",
        vessel=vessel.name,
        natives=exchange.native(),
    )


def pieces_of(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The body cut at these places, each taken modulo its length."""
    places = sorted({cut % (len(body) + 1) for cut in cuts} | {0, len(body)})
    return [body[start:end] for start, end in pairwise(places)]


def sent(vessel: Vessel, messages: Sequence[Any], model: str = "m", **fields: Any) -> Any:
    """The body of a request with these messages, each a dictionary or a message."""
    body = vessel.request(chat_request(model, messages, **fields)).body
    assert body is not None
    return body
