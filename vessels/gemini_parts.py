"""Reads the parts of one candidate of the Gemini API, and keeps them for the next request.

https://ai.google.dev/api/caching#Part and …/gemini-api/docs/thought-signatures: a signature goes
back on the part that it came with, which may be an empty text. Here, as there, texts of the same
kind may be joined where none of them has a signature; all other parts are kept as they came.
"""

from __future__ import annotations

from typing import Any, cast

from ..core.chunk import ChunkFields, ToolCallDeltaFields
from ..core.frame import Frame
from .call_arguments import renamed_arguments
from .gemini_arguments import StreamedCall
from .mended_values import mended_object, mended_objects, mended_text
from .tool_calls import ToolCalls

__all__ = ["GeminiParts"]

_KNOWN = frozenset({"parts", "role"})


class GeminiParts:
    """The content of one candidate."""

    def __init__(self) -> None:
        self._calls = ToolCalls()
        self._parts: list[dict[str, Any] | StreamedCall] = []
        # Texts in a row that will be one part, and the `thought` of each of them.
        self._texts: list[str] = []
        self._thought: Any = None
        self._open: StreamedCall | None = None
        self._others: dict[str, Any] = {}

    @property
    def said(self) -> bool:
        """Whether anything came."""
        return bool(self._parts or self._texts)

    @property
    def calls_tools(self) -> bool:
        """Whether a tool is to be run."""
        return bool(self._calls)

    def read(self, content: dict[str, Any], fields: ChunkFields, frame: Frame) -> None:
        """Add what the parts of a content say to the fields of its chunk."""
        if not content.keys() <= _KNOWN:
            self._others.update((key, content[key]) for key in content.keys() - _KNOWN)
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[ToolCallDeltaFields] = []
        parts = content.get("parts")
        if isinstance(parts, str):
            parts = [parts]
        elif not isinstance(parts, list):
            parts = mended_objects(parts, frame)
        frame.count(len(cast("list[Any]", parts)) // 16)  # each costs as little
        for each in cast("list[Any]", parts):
            part = cast("dict[str, Any]", each) if isinstance(each, dict) else _mended(each, frame)
            text, thought = part.get("text"), part.get("thought")
            if isinstance(text, str) and len(part) == 1 + ("thought" in part):
                self._say(text, thought)
            else:
                text = self._keep(part, calls, frame)
            if text:
                (thoughts if thought else texts).append(text)
        if thoughts:
            fields["reasoning"] = "".join(thoughts)
        if texts:
            fields["text"] = "".join(texts)
        if calls:
            fields["tool_calls"] = calls

    def _say(self, text: str, thought: Any) -> None:
        if not text:
            return
        if thought != self._thought:
            self._join()
            self._thought = thought
        self._texts.append(text)

    def _join(self) -> None:
        if self._texts:
            self._parts.append(self._joined())
            self._texts = []

    def _joined(self) -> dict[str, Any]:
        joined = {"text": "".join(self._texts)}
        return joined if self._thought is None else {**joined, "thought": self._thought}

    def _keep(self, part: dict[str, Any], calls: list[ToolCallDeltaFields], frame: Frame) -> str:
        """Keep a part as it came; the text that it has."""
        kept = dict(part)
        text = ""
        if "text" in part:
            text = kept["text"] = mended_text(part["text"], frame)
        if "functionCall" not in part:
            # A part that says nothing would be refused in the next request.
            if any(kept.values()) or "thoughtSignature" in kept:
                self._join()
                self._parts.append(kept)
            return text
        frame.count(1)
        call = renamed_arguments(mended_object(part["functionCall"], frame), "args", frame)
        if not call and self._open is None:
            frame.repair("empty-tool-call")
            del kept["functionCall"]
            return text if not any(kept.values()) else self._keep(kept, calls, frame)
        self._join()
        calls.extend(self._call(kept, call, frame))
        return text

    def _call(
        self, part: dict[str, Any], call: dict[str, Any], frame: Frame
    ) -> list[ToolCallDeltaFields]:
        streamed = self._open
        begun: list[ToolCallDeltaFields] = []
        if streamed is None:
            delta = self._begin(call, frame)
            begun = [] if delta is None else [delta]
            if not ("partialArgs" in call or call.get("willContinue")):
                function = {**call}
                if function.pop("id", None) and delta is not None:
                    function["id"] = delta.get("id")
                self._parts.append({**part, "functionCall": function})
                return begun
            streamed = self._open = StreamedCall((delta or {}).get("slot", ""))
            self._parts.append(streamed)
        streamed.add(part, call, frame)
        for each in begun:
            streamed.identify(each.get("id") or "")
        return begun if streamed.open else [*begun, *self.close()]

    def _begin(self, call: dict[str, Any], frame: Frame) -> ToolCallDeltaFields | None:
        function = {"name": call.get("name"), "arguments": call.get("args")}
        if not isinstance(function["arguments"], dict | None):
            frame.repair("unexpected-type")
        if call.get("willContinue") or "partialArgs" in call:
            function["arguments"] = None
        elif function["arguments"] is None:
            function["arguments"] = {}  # the call is whole, and has none
        return self._calls.add({"id": call.get("id"), "function": function}, frame, whole=True)

    def finish(self, frame: Frame) -> list[ToolCallDeltaFields]:
        """The candidate has ended, and so has a call whose last piece did not say so."""
        if self._open is not None:
            frame.repair("function-call-not-ended")
            self._open.open = False
        return self.close()

    def close(self) -> list[ToolCallDeltaFields]:
        """The arguments of the call that is streamed, when its last piece has come or none will."""
        streamed, self._open = self._open, None
        return [] if streamed is None else [{"slot": streamed.slot, "arguments": streamed.text}]

    def native(self) -> dict[str, Any] | None:
        """The content as the API wants it back; None if nothing came."""
        if not self.said:
            return None
        parts = [part.native() if isinstance(part, StreamedCall) else part for part in self._parts]
        if self._texts:
            parts.append(self._joined())
        return {"role": "model", "parts": parts, **self._others}


def _mended(part: Any, frame: Frame) -> dict[str, Any]:
    """A part that is no object: a text, or nothing."""
    frame.repair("unexpected-type")
    return {"text": part} if isinstance(part, str) else {}
