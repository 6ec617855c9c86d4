"""Moves `<think>` tags out of the text, where the caller asked for it.

Where a server does not separate a model's reasoning, it is in the text: `<think>`, the reasoning,
`</think>`, the answer (DeepSeek R1, Qwen 3 …). The tag counts only before any other text. Each
frame in which text moved names the repair `think-tags`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .chunk import ChunkFields
from .frame import Frame

__all__ = ["ThinkSplitter"]

_OPEN = "<think>"
_CLOSE = "</think>"

# White space that is held back before a tag: no model writes more, and it is looked at each time.
_MOST_SPACE = 1024


@dataclass(slots=True)
class _Choice:
    """The state of one choice. tag: the one that is looked for, "" after the closing one."""

    tag: str = _OPEN
    held: str = ""


class ThinkSplitter:
    """Splits the text of each choice into reasoning and text.

    implied: an answer without the opening tag begins inside it, since the prompt's template ended
    with the tag (DeepSeek R1, QwQ).
    """

    def __init__(self, *, implied: bool = False) -> None:
        self._implied = implied
        self._choices: dict[int, _Choice] = {}

    def split(
        self, chunks: Iterable[ChunkFields], frame: Frame, *, last: bool = False
    ) -> Iterator[ChunkFields]:
        """The chunks with the text between the tags as reasoning.

        last: the answer has ended, so that nothing is held back any longer.
        """
        for chunk in chunks:
            index = chunk.get("choice", 0)
            choice = self._choices.setdefault(index, _Choice())
            ending = "finish_reason" in chunk
            if not choice.tag or not (chunk.get("text") or ending):
                yield chunk
            elif (split := self._split(chunk, choice, frame, last=ending)).keys() - {"choice"}:
                yield split
        if last:
            for index, choice in self._choices.items():
                if choice.held:
                    yield self._split({"choice": index}, choice, frame, last=True)

    def _split(
        self, chunk: ChunkFields, choice: _Choice, frame: Frame, *, last: bool
    ) -> ChunkFields:
        text = choice.held + chunk.get("text", "")
        choice.held = ""
        reasoning = ""
        if choice.tag == _OPEN:
            stripped = text.lstrip()
            if stripped.startswith(_OPEN):
                choice.tag = _CLOSE
                text = stripped.removeprefix(_OPEN)
                frame.repair("think-tags")
            elif _OPEN.startswith(stripped) and not last and len(text) < _MOST_SPACE:
                choice.held, text = text, ""
            else:
                choice.tag = _CLOSE if self._implied else ""
        if choice.tag == _CLOSE:
            reasoning, tag, text = text.partition(_CLOSE)
            if tag:
                choice.tag = ""
            elif not last:
                kept = _prefix_at_end(reasoning)
                choice.held = reasoning[len(reasoning) - kept :]
                reasoning = reasoning[: len(reasoning) - kept]
            frame.repair("think-tags")
        split: ChunkFields = {**chunk, "text": text}
        if not text:
            del split["text"]
        if reasoning:
            split["reasoning"] = chunk.get("reasoning", "") + reasoning
        return split


def _prefix_at_end(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing tag."""
    return next((n for n in range(len(_CLOSE) - 1, 0, -1) if text.endswith(_CLOSE[:n])), 0)
