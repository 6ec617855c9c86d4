"""What holds for every body of every dialect: however it is split, and wherever it is cut."""

from __future__ import annotations

import random
from typing import Any

from decoding import Decoded, decode
from vesselog.core.vessel import Vessel

__all__ = ["check_cuts", "check_splits"]

_ALL = 400  # positions: a shorter body is split at each
_SAMPLED = 60


def check_splits(vessel: Vessel, body: bytes, content_type: str, **settings: Any) -> Decoded:
    """Split anywhere, and byte by byte, it is the same answer; every byte is in a frame."""
    whole = decode(vessel, body, content_type, **settings)
    assert whole.raw == body
    positions = range(1, len(body))
    if len(body) > _ALL:
        positions = sorted(random.Random(len(body)).sample(positions, _SAMPLED))
    splits: list[list[bytes]] = [[body[:at], body[at:]] for at in positions]
    splits.append([body[at : at + 1] for at in range(len(body))])
    for pieces in splits:
        found = decode(vessel, pieces, content_type, **settings)
        assert (found.said, found.repairs) == (whole.said, whole.repairs)
        assert (found.outcome, found.raw) == (whole.outcome, body)
    return whole


def check_cuts(
    vessel: Vessel, frames: list[bytes], content_type: str, *, whole_after: int, **settings: Any
) -> None:
    """Cut behind any frame before `whole_after` it is truncated, and says what came until then."""
    said = decode(vessel, b"".join(frames), content_type, **settings).said
    for count in range(len(frames) + 1):
        found = decode(vessel, b"".join(frames[:count]), content_type, **settings)
        assert found.outcome == ("complete" if count >= whole_after else "TruncatedError"), count
        assert found.said == said[: len(found.said)]
        if count == 0:
            continue
        half = frames[count - 1][: len(frames[count - 1]) // 2]
        found = decode(vessel, b"".join([*frames[: count - 1], half]), content_type, **settings)
        assert found.outcome == ("complete" if count - 1 >= whole_after else "TruncatedError")
