"""From the options of `vesselog chat` to a request: its fields, system message and history."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .find_recording import LAST, find_recording
from .output import ELLIPSIS

if TYPE_CHECKING:
    from ..core.request import Message

__all__ = [
    "given_fields",
    "history",
    "request_fields",
    "session_name",
    "user_message",
    "with_system",
]

# The outcomes of calls whose answers a next question can follow.
_ANSWERED = frozenset({"complete", "cancelled"})


def request_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of a chat's request but for its text, as keyword arguments of `client.stream`.

    What `--set` gives wins over the options with a name of their own. Raises InvalidRequestError.
    """
    fields: dict[str, Any] = {}
    if arguments.effort is not None:
        fields["think"] = arguments.effort
    elif arguments.think is not None:
        fields["think"] = arguments.think
    fields |= given_fields(arguments)
    if arguments.system is not None and (arguments.generate or arguments.completion):
        fields["extra_body"] = {"system": arguments.system, **(fields.get("extra_body") or {})}
    return fields


def given_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of `--set` and `--option`. Raises InvalidRequestError for a name of no field."""
    from ..core.errors import InvalidRequestError
    from ..core.nearest import did_you_mean
    from ..core.request import RequestFields

    known = sorted(RequestFields.__annotations__.keys() - {"prompt"})
    for name, _ in arguments.set:
        if name not in known:
            meant = did_you_mean(name, known) or f"; the fields are {', '.join(known)}"
            raise InvalidRequestError(
                f"--set {name}: a request has no such field{meant} (options of the provider's own "
                "are given with -o)"
            )
    fields: dict[str, Any] = dict(arguments.set)
    if arguments.option:
        fields["options"] = {**(fields.get("options") or {}), **dict(arguments.option)}
    return fields


def user_message(text: str, images: Sequence[Path]) -> dict[str, Any]:
    """The user's message with this text and these images. Raises InvalidRequestError."""
    from .image_file import image_part

    if not images:
        return {"role": "user", "content": text}
    parts: list[Any] = [image_part(path) for path in images]
    return {"role": "user", "content": [{"type": "text", "text": text}, *parts]}


def session_name(arguments: argparse.Namespace) -> str | None:
    """The session that `--session` names. Raises RecordingError and SessionNameError.

    `last`, and a name that a table cut, can only be one that exists; any other may be a new one.
    """
    from ..core.truth.session_names import check_session_name

    name: str | None = arguments.session
    if name is None:
        return None
    if name == LAST or name.endswith(ELLIPSIS):
        return find_recording(name, arguments.recordings).stem
    return check_session_name(name)


def history(folder: Path, session: str | None) -> list[Message]:
    """The conversation in a session, as far as the last answer that a next question can follow.

    A question whose answer failed is left out, and so are tool calls that got no results. Empty
    without a session, or if it is a new one. Raises RecordingError.
    """
    from ..core.truth.recording import Recording
    from ..core.truth.session_names import SUFFIX

    path = folder / f"{session}{SUFFIX}"
    if session is None or not path.exists():
        return []
    recording = Recording(path)
    calls = reversed(list(recording.calls()))
    number = next((each.number for each in calls if each.outcome in _ANSWERED), None)
    messages = [] if number is None else recording.messages(number)
    while messages and (messages[-1].role != "assistant" or messages[-1].tool_calls):
        messages.pop()
    return messages


def with_system(messages: Sequence[Any], system: str | None) -> list[Any]:
    """The messages with this system message in place of their own."""
    if system is None:
        return list(messages)
    kept = [each for each in messages if each.role not in {"system", "developer"}]
    return [{"role": "system", "content": system}, *kept]
