"""The protocols in which an answer is sent to a client, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ...core.errors import ConfigurationError
from .ag_ui import AgUiEvents
from .ai_sdk import AiSdkEvents
from .ollama import OllamaLines
from .openai import OpenAIEvents
from .problem import Problem
from .protocol import Ending, EventProtocol, Protocol
from .text import PlainText
from .vesselog import VesselogEvents

__all__ = [
    "AgUiEvents",
    "AiSdkEvents",
    "Ending",
    "EventProtocol",
    "OllamaLines",
    "OpenAIEvents",
    "PlainText",
    "Problem",
    "Protocol",
    "ProtocolName",
    "VesselogEvents",
    "protocol_of",
]

ProtocolName = Literal["vesselog", "openai", "ollama", "text", "ai-sdk", "ag-ui"]
"""How an answer is written for its client; each name is a row of the table in docs/browser.md."""

_PROTOCOLS: dict[str, Callable[[], Protocol]] = {
    "vesselog": VesselogEvents,
    "openai": OpenAIEvents,
    "ollama": OllamaLines,
    "text": PlainText,
    "ai-sdk": AiSdkEvents,
    "ag-ui": AgUiEvents,
}


def protocol_of(protocol: ProtocolName | Protocol) -> Protocol:
    """The protocol of this name, for one answer. Raises ConfigurationError for another name."""
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in [*_PROTOCOLS]:  # a value of any type may be looked for in a list
        known = ", ".join(_PROTOCOLS)
        raise ConfigurationError(
            f"no protocol {protocol!r}: choose one of {known}", setting="protocol"
        )
    return _PROTOCOLS[protocol]()
