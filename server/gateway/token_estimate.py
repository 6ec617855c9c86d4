"""An estimate of a request's tokens, for `count_tokens` and Gemini's `:countTokens`.

It is given where the upstream has no such route.

Only a model's own tokenizer could count exactly. Clients decide by the count when to shorten a
conversation, so that one which is too high costs them less than one which is too low.
"""

from __future__ import annotations

import math
from typing import Any, cast

from ...core.jsontext import dumps

__all__ = ["estimated_tokens"]

# English prose has about 4 bytes per token, code and JSON about 3.
_BYTES_PER_TOKEN = 3
# https://docs.claude.com/en/docs/build-with-claude/vision: a large image has so many.
_PER_FILE = 1600
_GEMINIS_FILES = frozenset({"fileData", "inlineData"})
_COUNTED = ("system", "messages", "tools", "systemInstruction", "contents")


def estimated_tokens(body: dict[str, Any]) -> int:
    """About how many tokens the system prompt, the messages and the tools of a body have."""
    files = 0

    def without_files(value: Any) -> Any:
        nonlocal files
        if isinstance(value, list):
            return [without_files(each) for each in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        known = cast("dict[str, Any]", value)
        if str(known.get("type")) in {"base64", "file", "url"} and known.keys() & {
            "data",
            "file_id",
            "url",
        }:
            files += 1
            return None
        files += len(known.keys() & _GEMINIS_FILES)
        left = _GEMINIS_FILES | {"cache_control"}
        return {key: without_files(each) for key, each in known.items() if key not in left}

    counted = {key: without_files(body[key]) for key in _COUNTED if body.get(key)}
    return math.ceil(len(dumps(counted)) / _BYTES_PER_TOKEN) + files * _PER_FILE
