"""The conversation in a recording, in the universal form, whatever dialects it was had in.

A call's request repeats all that was said before it. So the conversation as of a call is what its
request held, and the answer to it:

- What the application left out of a later request (a history cut to fit, a summary) is not there:
  it is what the model was shown last.
- The last call is the one whose request was recorded last. Its retries are calls of their own. If
  calls of several conversations share a session, ask for the one that is meant by its number.
- A prompt (generate, completions) is one message of the user.
- An answer of which nothing came adds no message: the conversation ends with the question.
- An answer that was cut or is still running is there as far as it came. Its tool calls are not,
  and then nor is its native form: their results never came, and providers refuse calls without.
- Of several choices the first one is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import RecordingError, UnknownVesselError
from ..registry import dialect
from ..request import Message
from .find_request import check_position

if TYPE_CHECKING:
    from ..completion import Completion
    from ..vessel import Vessel
    from .recording import RecordedCall, Recording

__all__ = ["asked_in", "conversation_in"]


def conversation_in(
    recording: Recording, number: int | None = None, vessel: Vessel | None = None
) -> list[Message]:
    """The conversation as of a call, by default the last one. vessel: reads its request."""
    check_position(number, -1)
    found: RecordedCall | None = None
    for call in recording.calls():
        if call.number == number or (number is None and isinstance(call.request.get("body"), dict)):
            found = call
    if found is None:
        if number is None:
            return []
        raise RecordingError(f"{recording.path} has no call {number}")
    return [*asked_in(found, vessel), *_answered(found.completion())]


def asked_in(call: RecordedCall, vessel: Vessel | None = None) -> list[Message]:
    """The messages of a call's request. vessel: reads it. Raises as `Recording.messages`."""
    route = str(call.request.get("url", ""))
    reader = vessel or _reader(call.vessel or "", route)
    try:
        chat = reader.read_request(route, call.request.get("body"))
    except NotImplementedError:
        raise UnknownVesselError(
            f"the vessel {reader.name!r} does not read requests: it needs a read_request, see "
            "docs/writing-a-vessel.md"
        ) from None
    if chat.messages is None:
        return [Message(role="user", content=chat.prompt)]
    return [_renamed(message, reader.name, call.vessel) for message in chat.messages]


def _reader(name: str, route: str) -> Vessel:
    """The vessel that reads the requests of another.

    One that is not installed is mostly a server of the OpenAI dialect that a program named itself.
    """
    try:
        return dialect(name)
    except UnknownVesselError:
        if route.partition("?")[0].endswith("/completions"):
            return dialect("openai")
        raise


def _renamed(message: Message, reader: str, vessel: str | None) -> Message:
    native = message.native or {}
    if vessel is None or reader == vessel or reader not in native:
        return message
    return message.model_copy(update={"native": {vessel: native[reader]}})


def _answered(completion: Completion) -> list[Message]:
    message = completion.to_message()
    if completion.outcome != "complete" and message.pop("tool_calls", None):
        message.pop("native", None)
    said = any(value for key, value in message.items() if key != "role")
    return [Message(**message)] if said else []
