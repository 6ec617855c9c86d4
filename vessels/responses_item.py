"""One output item of an answer of OpenAI's Responses API, as it grows.

https://developers.openai.com/api/docs/guides/streaming-responses. An item begins as an object,
deltas extend its texts, and `response.output_item.done` has it whole, which is then the item. Its
texts are the parts of its lists `content` and `summary`, or one of its keys (`arguments`, `input`,
`code`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from .responses_kinds import LISTS, Place, TextKind

__all__ = ["OutputItem"]


def _with_text(part: Any, came: dict[str, Any]) -> Any:
    """`part`, with the text that came of it if it has none."""
    if not isinstance(part, dict):
        return part
    given = cast("dict[str, Any]", part)
    if given.get("text") or given.get("refusal"):
        return given
    return given | {key: came[key] for key in ("text", "refusal") if came.get(key)}


def _said_in(content: dict[str, Any]) -> list[Any]:
    said: list[Any] = [content.get(key) for key in ("name", "arguments", "input")]
    for key in LISTS:
        parts: Any = content.get(key)
        listed = cast("list[Any]", parts) if isinstance(parts, list) else []
        objects = [cast("dict[str, Any]", part) for part in listed if isinstance(part, dict)]
        said.append([part.get("text", part.get("refusal")) for part in objects])
    return said


class OutputItem:
    """An output item. index: its place in the output. slot: of its call. done: it came whole.

    named: the name of its tool is known.
    """

    __slots__ = (
        *("_annotations", "_last", "_parts", "_pieces", "_sizes"),
        *("annotated", "content", "done", "index", "named", "slot"),
    )

    def __init__(self, index: int, content: dict[str, Any]) -> None:
        self.index = index
        self.content = content
        self.slot: str | None = None
        self.done = self.named = False
        self.annotated: dict[Place, int] = {}  # how many annotations of a text are known
        self._pieces: dict[Place, list[str]] = {}
        self._sizes: dict[Place, int] = {}  # characters of each text
        self._parts: dict[Place, dict[str, Any]] = {}
        self._annotations: dict[Place, list[Any]] = {}  # those that came by themselves
        self._last: dict[tuple[str, Any], int] = {}  # by list and type; None: of any type

    @property
    def kind(self) -> str:
        """The item's type."""
        kind = self.content.get("type")
        return kind if isinstance(kind, str) else ""

    @property
    def grown(self) -> bool:
        """Whether any of its texts came."""
        return bool(self._pieces)

    def write(self, place: Place, kind: TextKind, piece: str) -> None:
        """Extend a text."""
        pieces = self._pieces.get(place)
        if pieces is None:
            pieces = self._pieces[place] = []
            if kind.part and place not in self._parts:
                self.part(place, {"type": kind.part})
        pieces.append(piece)
        self._sizes[place] = self.size(place) + len(piece)

    def part(self, place: Place, content: dict[str, Any]) -> None:
        """A part of a list, as an event gives it."""
        part = self._parts.setdefault(place, {})
        part.update(content)
        if "annotations" in content:
            self._annotations.pop(place, None)
        key, number = place
        kind = part.get("type")
        self._last[key, kind if isinstance(kind, str) else ""] = number
        self._last[key, None] = max(number, self._last.get((key, None), -1))

    def annotate(self, place: Place, annotation: Any) -> None:
        """Add an annotation of a text."""
        if place not in self._parts:
            self.part(place, {"type": "output_text"})
        self._annotations.setdefault(place, []).append(annotation)
        self.annotated[place] = self.annotated.get(place, 0) + 1

    def text(self, place: Place) -> str:
        """A text so far."""
        pieces = self._pieces.get(place)
        if pieces is None:
            return ""
        if len(pieces) > 1:  # joined once, however often it is asked for
            pieces[:] = ["".join(pieces)]
        return pieces[0]

    def size(self, place: Place) -> int:
        """How many characters of a text came so far."""
        return self._sizes.get(place, 0)

    def beyond(self, place: Place, whole: str) -> str | None:
        """What a text told whole has beyond what came of it; None if it is another text."""
        size = self.size(place)
        # Only a text that is long enough is compared: the pieces are not joined for each short one.
        same = size <= len(whole) and (not size or whole.startswith(self.text(place)))
        return whole[size:] if same else None

    def last_place(self, kind: TextKind) -> Place:
        """The last text of a kind, or where its first one begins."""
        last = self._last
        return kind.key, last.get((kind.key, kind.part), last.get((kind.key, None), -1) + 1)

    def filled(self, content: dict[str, Any]) -> dict[str, Any]:
        """`content`, a whole item, with the texts that came before and that it lacks."""
        lacking: dict[str, Any] = {}
        for key, _ in self._pieces:
            if key not in LISTS and not content.get(key):
                lacking[key] = self.text((key, 0))
        for key in LISTS:
            given: Any = content.get(key)
            built = list(self._built_parts(key))
            if built and not given:
                lacking[key] = built
            elif isinstance(given, list) and len(cast("list[Any]", given)) == len(built):
                pairs = zip(cast("list[Any]", given), built, strict=True)
                whole = [_with_text(part, came) for part, came in pairs]
                if whole != given:
                    lacking[key] = whole
        return {**content, **lacking} if lacking else content

    def says_other(self, content: dict[str, Any]) -> bool:
        """Whether this whole item calls another tool, or has another text."""
        return _said_in(content) != _said_in(self.content)

    def build(self, *, cut: bool) -> dict[str, Any]:
        """The item as the next request has it. cut: the answer did not come to its end."""
        if self.done:
            return self.content
        built = dict(self.content)
        for key in LISTS:
            if parts := list(self._built_parts(key)):
                built[key] = parts
        for key, number in self._pieces:
            if key not in LISTS:
                built[key] = self.text((key, number))
        if "status" in built:
            built["status"] = "incomplete" if cut else "completed"
        return built

    def goes_back(self, *, cut: bool) -> bool:
        """Whether it belongs into the next request. cut: the answer did not come to its end.

        The API refuses a part of its own reasoning, and of a call of one of its own tools, which
        has no slot.
        """
        if not cut or self.done:
            return True
        return self.slot is not None or (self.kind == "message" and self.grown)

    def _built_parts(self, key: str) -> Iterator[dict[str, Any]]:
        for place in sorted(self._parts):
            if place[0] != key:
                continue
            part = self._parts[place]
            name = "refusal" if part.get("type") == "refusal" else "text"
            text = {name: self.text(place)} if place in self._pieces else {}
            built = {**part, **text}
            if part.get("type") == "output_text":
                given: Any = part.get("annotations") or ()
                listed = cast("list[Any]", given) if isinstance(given, list) else []
                built["annotations"] = [*listed, *self._annotations.get(place, ())]
            yield built
