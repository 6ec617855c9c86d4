"""Reads requests of the Gemini API: `models/MODEL:generateContent` and `:streamGenerateContent`.

https://ai.google.dev/api/generate-content. The model is in the route. The API takes the names of
its fields in snake_case too (gemini_names.py). gemini_read_contents.py has the messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import unquote

from ..core.request import ChatRequest
from .gemini_names import in_camel_case
from .gemini_read_contents import read_contents
from .request_parts import is_schema
from .request_reader import body_of, path_of, read_back, read_fields, read_objects, unreadable

__all__ = ["COLLECTIONS", "GEMINI_SAMPLING", "read_gemini"]

GEMINI_SAMPLING = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_tokens": "maxOutputTokens",
    "seed": "seed",
    "n": "candidateCount",
}
"""Fields of a ChatRequest, with their names in `generationConfig`."""
COLLECTIONS = {"endpoints", "locations", "models", "projects", "publishers", "tunedModels"}
"""The names before other names in the path of a model."""
_NAME = "gemini"
_STREAM, _WHOLE = ":streamGenerateContent", ":generateContent"
_MODES = {"AUTO": "auto", "NONE": "none", "ANY": "required"}


def read_gemini(
    route: str, body: Any, write: Callable[[ChatRequest], Mapping[str, Any]]
) -> ChatRequest:
    """The request with this body. write: makes the body of a request."""
    given = cast("dict[str, Any]", in_camel_case(body_of(body, _NAME)))
    path = path_of(route)
    method = next((each for each in (_STREAM, _WHOLE) if path.endswith(each)), None)
    if method is None:
        raise unreadable(_NAME, "route", f"must end in {_STREAM} or {_WHOLE}")
    fields: dict[str, Any] = {
        "model": _model(path.removesuffix(method)),
        "stream": method == _STREAM,
        "messages": read_contents(given.get("systemInstruction"), given.get("contents")),
    }
    if isinstance(config := given.get("generationConfig"), dict):
        fields |= _config(cast("dict[str, Any]", config))
    if (tools := given.get("tools")) is not None:
        fields["tools"] = [
            made
            for number, tool in enumerate(read_objects(tools, _NAME, "tools"))
            for made in _tools(tool, f"tools[{number}]")
        ]
    if (choice := _choice(given.get("toolConfig"))) is not None:
        fields["tool_choice"] = choice
    return read_back(_NAME, given, fields, write, messages="contents", options="generationConfig")


def _model(path: str) -> str:
    """The model in a path: what is after the version, `models/` left out."""
    names = path.strip("/").split("/")
    first = next((number for number, name in enumerate(names) if name in COLLECTIONS), len(names))
    names = [unquote(name) for name in names[first:]]
    if len(names) > 1 and names[0] == "models" and all(names):  # other providers have slashes
        return "/".join(names[1:])
    if not names or len(names) % 2 or not COLLECTIONS.issuperset(names[::2]):
        raise unreadable(_NAME, "route", "names no model")
    return "/".join(names)


def _config(config: dict[str, Any]) -> dict[str, Any]:
    found = read_fields(config, {**GEMINI_SAMPLING, "stop": "stopSequences"})
    if isinstance(asked := config.get("responseLogprobs"), bool):
        best = config.get("logprobs")
        counted = asked and isinstance(best, int) and not isinstance(best, bool)
        found["logprobs"] = best if counted else asked
    if config.get("responseMimeType") == "application/json":
        schema = config.get("responseJsonSchema", _json_schema(config.get("responseSchema")))
        found["response_format"] = schema if is_schema(schema) else "json"
    if isinstance(thinking := config.get("thinkingConfig"), dict):
        asked = cast("dict[str, Any]", thinking)
        level, budget = asked.get("thinkingLevel"), asked.get("thinkingBudget")
        if isinstance(level, str):
            found["think"] = level
        elif isinstance(budget, int) and not isinstance(budget, bool):
            found["think"] = budget or False
        elif asked.get("includeThoughts") is True:
            found["think"] = True
    return found


def _json_schema(schema: Any) -> Any:
    """A schema of the API, which has its types in capitals, as a JSON schema."""
    if isinstance(schema, list):
        return [_json_schema(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    read: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", schema).items():
        is_type = key == "type" and isinstance(value, str)
        kept = key in {"default", "enum", "example"}
        read[key] = value.lower() if is_type else value if kept else _json_schema(value)
    return read


def _tools(tool: dict[str, Any], place: str) -> list[dict[str, Any]]:
    """The functions that a tool declares, and each of the API's own tools."""
    found: list[dict[str, Any]] = []
    for key, value in tool.items():
        if key != "functionDeclarations":
            found.append({"type": key, key: value})
            continue
        for declared in read_objects(value, _NAME, f"{place}.functionDeclarations"):
            function: dict[str, Any] = {
                key: declared[key] for key in ("name", "description") if key in declared
            }
            schema = declared.get("parametersJsonSchema", _json_schema(declared.get("parameters")))
            if isinstance(schema, dict):
                function["parameters"] = schema
            found.append({"type": "function", "function": function})
    return found


def _choice(config: Any) -> dict[str, Any] | str | None:
    given = cast("dict[str, Any]", config) if isinstance(config, dict) else {}
    calling = given.get("functionCallingConfig")
    if not isinstance(calling, dict):
        return None
    asked = cast("dict[str, Any]", calling)
    mode, names = asked.get("mode"), asked.get("allowedFunctionNames")
    if mode == "ANY" and isinstance(names, list) and len(cast("list[Any]", names)) == 1:
        name = cast("list[Any]", names)[0]
        return {"type": "function", "function": {"name": name}} if isinstance(name, str) else None
    return _MODES.get(mode) if isinstance(mode, str) else None
