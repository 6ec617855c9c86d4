"""Assembles the arguments of a function call that the Gemini API streams.

https://ai.google.dev/api/caching#FunctionCall, and Vertex AI's page on function calling: with
`streamFunctionCallArguments` a call comes in several `functionCall` parts. The first has its name;
each has `partialArgs`, values with the JSON path of where they belong. A text may come in pieces
with the same path. All parts but the last have `willContinue`.
"""

from __future__ import annotations

import re
from typing import Any, cast

from ..core.frame import Frame
from ..core.jsontext import dumps, loads
from ..core.mending import mend_value
from .mended_values import mended_objects

__all__ = ["StreamedCall"]

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]]+)|\[(?P<index>\d{1,9})\]"""
    r"""|\[(?P<quote>['"])(?P<key>(?:[^\\]|\\.)*?)(?P=quote)\]""",
    re.DOTALL,
)
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")
_OF_PIECES = frozenset({"args", "id", "name", "partialArgs", "willContinue"})


class StreamedCall:
    """One call as it grows. slot: of its tool call. part: the part that has it, but for the call.

    `open` tells whether another piece must follow.
    """

    def __init__(self, slot: str) -> None:
        self.slot = slot
        self.open = True
        self._part: dict[str, Any] = {}
        self._call: dict[str, Any] = {}
        # Texts as the list of their pieces: joined once.
        self._leaves: dict[str, Any] = {}

    def add(self, part: dict[str, Any], call: dict[str, Any], frame: Frame) -> None:
        """Take the next piece of the call: a part and its `functionCall`."""
        self._part.update((key, value) for key, value in part.items() if key != "functionCall")
        self._call.update((key, value) for key, value in call.items() if key not in _OF_PIECES)
        for key in ("name", "id"):
            if call.get(key):
                self._call.setdefault(key, call[key])
        if call.get("args"):
            self._call["args"] = mend_value(call["args"], frame)
        for piece in mended_objects(call.get("partialArgs"), frame):
            self._take(piece, frame)
        self.open = bool(call.get("willContinue"))

    def identify(self, identifier: str) -> None:
        """The id that the call has here, if the API gave one."""
        if "id" in self._call:
            self._call["id"] = identifier

    def _take(self, piece: dict[str, Any], frame: Frame) -> None:
        path = piece.get("jsonPath")
        kind = next((name for name in _VALUES if name in piece), None)
        if not isinstance(path, str):
            raise ValueError("a piece of arguments has no path")  # noqa: TRY004 - it is the wire's
        if kind is None:
            return
        value = None if kind == "nullValue" else piece[kind]
        if not isinstance(value, str):
            self._leaves[path] = mend_value(value, frame)
        elif isinstance(pieces := self._leaves.get(path), list):
            cast("list[str]", pieces).append(value)
        else:
            self._leaves[path] = [value]

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments so far."""
        root: dict[str, Any] = {}
        for path, leaf in self._leaves.items():
            value = "".join(cast("list[str]", leaf)) if isinstance(leaf, list) else leaf
            _place(root, path, value)
        own = self._call.get("args")
        return root | cast("dict[str, Any]", own) if isinstance(own, dict) else root

    @property
    def text(self) -> str:
        """The arguments as JSON text; while the call is open it lacks its end, and is no JSON."""
        written = dumps(self.arguments).decode()
        return written[:-1] if self.open else written

    def native(self) -> dict[str, Any]:
        """The part with the whole call; `willContinue` tells that its end never came."""
        try:
            arguments = self.arguments
        except ValueError:  # a path that leads nowhere, for which the answer failed
            arguments = {}
        call = {**self._call, "args": arguments}
        if self.open:
            call["willContinue"] = True
        return {**self._part, "functionCall": call}


def _place(root: dict[str, Any], path: str, value: Any) -> None:
    """Put a value where its path says, with the objects and lists that lead there."""
    steps = _steps(path)
    place: Any = root
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        new: Any = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(place, list) and isinstance(step, int):
            items = cast("list[Any]", place)
            # Values come in order: an index behind the next one would be a gap of unknown values.
            if step > len(items):
                raise ValueError(f"the path {path!r} leaves a gap in a list")
            if step == len(items):
                items.append(new)
            elif following is None:
                items[step] = new
            place = items[step]
        elif isinstance(place, dict) and isinstance(step, str):
            members = cast("dict[str, Any]", place)
            if following is None:
                members[step] = new
            place = members.setdefault(step, new)
        else:
            raise ValueError(f"the path {path!r} leads through another value")  # noqa: TRY004
    if not steps:
        raise ValueError(f"the path {path!r} names no argument")


def _steps(path: str) -> list[str | int]:
    """The names and indexes of a path such as `$.stops[0]['a b']`."""
    at = 1 if path.startswith("$") else 0
    steps: list[str | int] = []
    if not at and path[:1] not in {".", "["}:
        path = f".{path}"
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ValueError(f"{path!r} is no path of an argument")
        name, index, key = step["name"], step["index"], step["key"]
        steps.append(name or (int(index) if index else _unquoted(key)))
        at = step.end()
    return steps


def _unquoted(key: str) -> str:
    """A name in quotation marks without its escapes: those of JSON, and that of an apostrophe."""
    if "\\" not in key:
        return key
    written = _ESCAPED.sub(lambda sign: _IN_JSON.get(sign[0], sign[0]), key)
    return str(loads(f'"{written}"'))


_ESCAPED = re.compile(r"\\.|\"", re.DOTALL)
_IN_JSON = {"\\'": "'", '"': '\\"'}
