"""The arguments and ids of tool calls, in the forms that dialects have them."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, cast

import orjson

from ..core.errors import InvalidRequestError
from ..core.frame import Frame
from ..core.jsontext import dumps, loads_exact
from ..core.mending import mend_value
from ..core.request import FunctionCall, ToolCallRequest

__all__ = [
    "INVALID_JSON",
    "arguments_object",
    "arguments_text",
    "function_of",
    "json_object",
    "loads_strict",
    "made_id",
    "meant_arguments",
    "renamed_arguments",
    "unique_id",
    "valid_arguments",
    "valid_object",
]

INVALID_JSON = "INVALID_JSON"
"""The key under which arguments are sent that are no JSON object.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
"""

# Where the dialects have the arguments of a call; a model's own format has them as `parameters`.
_NAMES = ("arguments", "parameters", "args", "input")


def made_id(text: str) -> str:
    """An id for a call whose provider gave none, or none that can be used; made from `text`.

    The same text gives the same id, so that an answer decoded again has the same ids. It has nine
    letters and digits: Mistral accepts no other form, and every provider accepts this one.
    """
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:9]


def unique_id(identifier: str, taken: set[str], seed: str, frame: Frame) -> str:
    """A call's `identifier`, or one made from `seed` if it is empty or another call's.

    It is in `taken` then. One that is made is a repair of `frame`.
    """
    if not identifier or identifier in taken:
        if identifier:
            frame.repair("tool-id-not-unique")
        else:
            frame.repair("tool-id-made")
        identifier = made_id(seed)
    taken.add(identifier)
    return identifier


def arguments_text(arguments: Any, frame: Frame | None = None) -> str:
    """A call's `arguments` as JSON text, whether they were sent as text or as the value itself.

    In a value, a number that is not finite is null, a repair of `frame`.
    """
    if arguments is None:
        return ""
    if isinstance(arguments, str):
        return arguments
    return dumps(mend_value(arguments, frame)).decode()


def loads_strict(text: str) -> Any:
    """Parse `text` as `loads_exact` does, but only what any other parser can read too.

    Raises ValueError for NaN, infinities and half a surrogate pair as well.
    """
    orjson.loads(text)
    return loads_exact(text)


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object in `text`; {} if it is blank, None if it is not a JSON object.

    NaN, infinities and halves of surrogate pairs are no JSON here: a provider could not read them.
    """
    try:
        value: Any = loads_strict(text) if text.strip() else {}
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def meant_arguments(text: str, frame: Frame) -> str:
    """`text`, or the JSON object in it where a server has written that as JSON twice.

    That is a repair of `frame`.
    """
    inner = _object_in_string(text)
    if inner is None:
        return text
    frame.repair("tool-arguments-encoded-twice")
    return inner


def _object_in_string(text: str) -> str | None:
    if text.lstrip()[:1] != '"':
        return None
    try:
        inner: Any = loads_strict(text)
    except ValueError:
        return None
    if isinstance(inner, str) and inner.strip() and json_object(inner) is not None:
        return inner
    return None


def renamed_arguments(call: dict[str, Any], key: str, frame: Frame) -> dict[str, Any]:
    """`call` with its arguments under `key`, if they are under another dialect's name for them.

    That is a repair of `frame`. A JSON schema under such a name is the definition of the function,
    which a server repeats.
    """
    if call.get(key) is not None:
        return call
    for name in _NAMES:
        value = call.get(name)
        if not value or not isinstance(value, str | dict):
            continue
        if isinstance(value, str) or not {"type", "properties"} <= value.keys():
            frame.repair("tool-arguments-renamed")
            rest = {each: call[each] for each in call if each not in {name, key}}
            return {**rest, key: value}
    return call


def valid_arguments(arguments: str | dict[str, Any]) -> str | dict[str, Any]:
    """A call's `arguments`, if they are a JSON object, or text that is one or is empty.

    Else, and if they have NaN, an infinity or half a surrogate pair, an object with their text
    under the key INVALID_JSON. Text that holds an object as JSON text is that object.
    """
    if isinstance(arguments, dict):
        if mend_value(arguments) == arguments:
            return arguments
        return {INVALID_JSON: json.dumps(arguments, separators=(",", ":"))}
    if json_object(arguments) is not None:
        return arguments
    return _object_in_string(arguments) or {INVALID_JSON: mend_value(arguments)}


def valid_object(arguments: Any) -> dict[str, Any]:
    """As `valid_arguments`, for native calls in dialects whose `arguments` are an object."""
    if arguments is None:
        return {}
    if not isinstance(arguments, str | dict):
        arguments = dumps(arguments).decode()
    valid = valid_arguments(cast("str | dict[str, Any]", arguments))
    return valid if isinstance(valid, dict) else json_object(valid) or {}


def function_of(call: ToolCallRequest, vessel: str) -> FunctionCall:
    """The function that `call` names. Raises InvalidRequestError of `vessel` for a custom tool."""
    if call.function is None:
        raise InvalidRequestError(
            f"{vessel} has no custom tools: it cannot take the call of {call.tool!r}"
        )
    return call.function


def arguments_object(call: ToolCallRequest, vessel: str) -> dict[str, Any]:
    """The arguments of the earlier `call` as a JSON object, for dialects that have them as one.

    Raises InvalidRequestError, which names `vessel`, if they are not one, and for a custom tool.
    """
    function = function_of(call, vessel)
    arguments: str | dict[str, Any] | None = function.arguments
    if isinstance(arguments, str):
        arguments = json_object(arguments)
    if arguments is None:
        raise InvalidRequestError(
            f"{vessel} takes arguments only as a JSON object: see those of {function.name!r}"
        )
    return arguments
