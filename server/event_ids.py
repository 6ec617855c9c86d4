"""The ids of events: `<session>:<call>:<seq>`, and `<session>:<call>:end` of the terminal event."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from ..core.errors import InvalidRequestError

__all__ = ["EventId", "whole_number"]


class EventId(NamedTuple):
    """Where a client was in an answer.

    Attributes:
        session: The session's name.
        call: The call's number.
        seq: The number of the last chunk that the client has; None if it has all.
    """

    session: str
    call: int
    seq: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the `text` of a `Last-Event-ID` header.

        Raises:
            InvalidRequestError: `text` is not the id of an event.
        """
        session, _, place = str(text).partition(":")  # of a missing header: None
        call, _, seq = place.partition(":")
        try:
            return cls(session, whole_number(call), None if seq == "end" else whole_number(seq))
        except InvalidRequestError:
            raise InvalidRequestError(
                f"{text!r:.80} is not the id of an event: SESSION:CALL:SEQ"
            ) from None


def whole_number(text: str) -> int:
    """The number of a call or a chunk, or -1. Raises InvalidRequestError."""
    if not re.fullmatch(r"-1|[0-9]{1,15}", text):
        raise InvalidRequestError(f"{text!r:.40} is not a whole number")
    return int(text)
