"""What is known of one tool call of the OpenAI dialect, while its pieces come."""

from __future__ import annotations

from typing import Any

from ..core.jsontext import dumps, loads
from .joined_pieces import JoinedObject
from .json_nesting import JsonNesting

__all__ = ["ToolCallState", "has_unknown"]

_KNOWN = frozenset({"custom", "function", "id", "index", "type"})
_KNOWN_IN_FUNCTION = frozenset({"arguments", "index", "input", "name"})

# What a value that can be told whole again begins with; behind a number there may be digits.
_OPENING = frozenset({"{", "[", '"'})
# Characters of what begins otherwise and may still be a number, true, false or null.
_LONGEST_SCALAR = 64


class ToolCallState:
    """What is known of a call.

    in_string: whether its arguments are a JSON string, which may hold those that are meant.
    id: as it is told. size, total: the lengths of its name and of its arguments. is_cumulative:
    whether each piece has all arguments so far again. length: of its arguments' pieces without the
    white space around them, of those that were scanned. overfull: whether its arguments are no JSON
    value and cannot become one. sent: the whole call, where it came in one piece. others, inner:
    the keys that only the provider knows, of the call and of the function in it.
    """

    __slots__ = (
        *("arguments", "id", "in_string", "index", "inner", "is_cumulative", "is_custom", "kind"),
        *("length", "names", "nesting", "others", "overfull", "scanned", "sent", "size", "slot"),
        "total",
    )

    def __init__(self, slot: str, index: int | None) -> None:
        self.slot = slot
        self.index = index
        self.sent: dict[str, Any] | None = None
        self.is_custom = self.in_string = False
        self.kind = ""  # a type that is of the provider's own, such as Moonshot's builtin_function
        self.others = JoinedObject()
        self.inner = JoinedObject()
        self.overfull = False
        self.id: str | None = None
        self.names: list[str] = []
        self.size = 0
        self.arguments: list[str] = []
        self.total = 0
        self.is_cumulative = False
        self.scanned = self.length = 0
        self.nesting = JsonNesting()

    def is_named(self, name: str) -> bool:
        """Whether this is its name. The pieces are joined only where the length is the same."""
        return len(name) == self.size and name == "".join(self.names)

    @property
    def content(self) -> str:
        """What an id is made of: it stays the same however the frames are dressed."""
        return f"{self.slot} {''.join(self.names)} {''.join(self.arguments)}"

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are a whole JSON value."""
        for piece in self.arguments[self.scanned :]:
            self.nesting.read(piece)
            self.length += len(piece.strip())
        self.scanned = len(self.arguments)
        if not self.nesting.begun and self.length > _LONGEST_SCALAR:
            self.overfull = True
        if self.nesting.is_open or self.overfull:
            return False
        try:
            loads("".join(self.arguments))
        except ValueError:
            self.overfull = self.nesting.begun
            return False
        return True

    def append(self, arguments: str) -> None:
        """Add a piece of the arguments."""
        if not self.arguments:
            self.in_string = not self.is_custom and arguments.lstrip()[:1] == '"'
        self.arguments.append(arguments)
        self.total += len(arguments)

    def grows(self, arguments: str) -> bool:
        """Whether a piece has all arguments so far again, and more (Baidu, some of DeepSeek's).

        Behind `:`, `,` and `[` it may be an object that begins as the one around it does.
        """
        if len(arguments) < self.total + (not self.is_cumulative) or not self.arguments:
            return False
        if not arguments.startswith(self.arguments[0]) or self.is_custom:
            return False
        so_far = "".join(self.arguments)
        if not (so_far.startswith("{") and arguments.startswith(so_far)):
            return False
        if not self.is_cumulative:
            self.is_cumulative = so_far.rstrip()[-1:] not in {":", ",", "["} and not self.is_whole
        return self.is_cumulative

    def restart(self) -> None:
        """Forget the arguments."""
        self.arguments = []
        self.total = 0
        self.scanned = self.length = 0
        self.nesting = JsonNesting()
        self.overfull = False

    def add_unknown(self, piece: dict[str, Any], function: dict[str, Any]) -> None:
        """Keep the keys that only the provider knows, and a type of its own."""
        kind = piece.get("type")
        if kind and kind != "function" and isinstance(kind, str):
            self.kind = kind
        if not piece.keys() <= _KNOWN:
            self.others.add({key: value for key, value in piece.items() if key not in _KNOWN})
        if not function.keys() <= _KNOWN_IN_FUNCTION:
            known = _KNOWN_IN_FUNCTION
            self.inner.add({key: value for key, value in function.items() if key not in known})

    def repeats(self, arguments: str) -> bool:
        """Whether a piece says the whole of the arguments again, which were whole before it."""
        if self.is_custom or arguments.lstrip()[:1] not in _OPENING or not self.is_whole:
            return False
        try:
            again = dumps(loads(arguments)) == dumps(loads("".join(self.arguments)))
        except ValueError:
            again = False
        # It is added then, and nothing belongs behind a whole value.
        self.overfull = not again
        return again

    def native(self) -> dict[str, Any]:
        """The call as the provider has it in a message."""
        identifier = {"id": self.id} if self.id is not None else {}
        if self.sent is not None:
            return {**self.sent, **identifier}
        text = "".join(self.arguments)
        kind, inside = ("custom", "input") if self.is_custom else ("function", "arguments")
        body = {"name": "".join(self.names), inside: text, **self.inner.build()}
        own = self.kind or kind
        return {**identifier, "type": own, kind: body, **self.others.build()}


def has_unknown(piece: dict[str, Any]) -> bool:
    """Whether a piece of a call says anything under a key that only the provider knows."""
    if piece.keys() <= _KNOWN:
        return False
    return any(value is not None for key, value in piece.items() if key not in _KNOWN)
