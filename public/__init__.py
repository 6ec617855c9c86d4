"""Streams from language models, recorded chunk by chunk before anyone sees them.

with vesselog.Client() as client:
    with client.stream("ollama/qwen3:1.7b", "Why is the sky blue?") as stream:
        for chunk in stream:
            print(chunk.text, end="", flush=True)

Some public names are types without a class, which `help()` cannot describe one by one:

Durability: What the recording of a chunk survives once the caller has the chunk. "process": the
    death of the process. "interval": a power cut too, except for the last 50 ms. "power": a power
    cut without any loss.
FinishReason: Why an answer ended. "stop": the model was done. "length": a limit of tokens was
    reached. "tool_calls": the model calls tools. "content_filter": the provider stopped it.
    "error": the provider failed. "other": see `raw_finish_reason`.
Messages: What is asked: a string (one user message), or a list of messages, each as a dict or a
    Message.
Outcome: How a call ended. "complete": the answer is whole. "truncated": the body ended before the
    answer did. "error": something failed. "cancelled": the caller left. "abandoned": the stream
    was garbage-collected. "crashed": the process died. "interrupted": the recording has no end.
Part: A part of a message, by its `type`: TextPart, ImagePart, or OtherPart for any other type.
SplitThink: Whether text between `<think>` tags is moved to `reasoning`: False, True, or "implied"
    for answers without the opening tag.
"""

# A name is imported when it is first asked for: pytest loads this package in every run, for
# `vesselog.testing`, and the command line before it knows what to do.

from importlib import import_module
from typing import TYPE_CHECKING

from vesselog.core.version import VERSION

_HOMES = {
    "vesselog.core.chunk": ("FinishReason", "StreamChunk", "Timings", "ToolCallDelta", "Usage"),
    "vesselog.core.client.async_client": ("AsyncClient",),
    "vesselog.core.client.async_stream": ("AsyncStream",),
    "vesselog.core.client.client": ("Client",),
    "vesselog.core.client.client_state": ("Messages",),
    "vesselog.core.client.stream": ("Stream",),
    "vesselog.core.completion": ("Choice", "Completion", "Metrics", "Outcome", "ToolCall"),
    "vesselog.core.errors": (
        "ClientStateError",
        "ConfigurationError",
        "ConnectionFailedError",
        "InvalidRequestError",
        "ProtocolError",
        "ProviderError",
        "RecordingCorruptError",
        "RecordingError",
        "RecordingLockedError",
        "ReplayMissError",
        "SessionNameError",
        "StreamTimeoutError",
        "TruncatedError",
        "UnknownVesselError",
        "UsageError",
        "VesselogError",
    ),
    "vesselog.core.exchange": ("Step",),
    "vesselog.core.frame": ("Frame",),
    "vesselog.core.request": (
        "ChatRequest",
        "CustomCall",
        "CustomTool",
        "FunctionCall",
        "ImagePart",
        "ImageURL",
        "Message",
        "OtherPart",
        "Part",
        "RequestFields",
        "SplitThink",
        "TextPart",
        "Tool",
        "ToolCallRequest",
        "ToolFunction",
    ),
    "vesselog.core.settings": ("Durability", "Limits", "Retries", "Timeouts"),
    "vesselog.core.follow.follow": ("Follow", "follow"),
    "vesselog.core.truth.recorded_frame": ("RecordedFrame",),
    "vesselog.core.truth.recording": ("RecordedCall", "Recording"),
    "vesselog.core.replay.replay": ("Replay", "replay"),
    "vesselog.core.truth.session_list": ("SessionSummary",),
    "vesselog.core.vessel": ("ModelInfo", "Vessel", "WireRequest"),
    "vesselog.maintenance.diff": ("Difference", "diff"),
    "vesselog.maintenance.prune": ("PrunedRecording", "PruneReport", "prune"),
    "vesselog.maintenance.recover": ("RecoverReport", "recover"),
    "vesselog.maintenance.rederive": ("ChangedOutcome", "KeptCall", "RederiveReport", "rederive"),
    "vesselog.maintenance.salvage": ("SalvageNote", "SalvageReport", "salvage"),
    "vesselog.maintenance.verify": ("Finding", "VerifyReport", "verify"),
}

if TYPE_CHECKING:
    from vesselog.core.chunk import FinishReason, StreamChunk, Timings, ToolCallDelta, Usage
    from vesselog.core.client.async_client import AsyncClient
    from vesselog.core.client.async_stream import AsyncStream
    from vesselog.core.client.client import Client
    from vesselog.core.client.client_state import Messages
    from vesselog.core.client.stream import Stream
    from vesselog.core.completion import Choice, Completion, Metrics, Outcome, ToolCall
    from vesselog.core.errors import (
        ClientStateError,
        ConfigurationError,
        ConnectionFailedError,
        InvalidRequestError,
        ProtocolError,
        ProviderError,
        RecordingCorruptError,
        RecordingError,
        RecordingLockedError,
        ReplayMissError,
        SessionNameError,
        StreamTimeoutError,
        TruncatedError,
        UnknownVesselError,
        UsageError,
        VesselogError,
    )
    from vesselog.core.exchange import Step
    from vesselog.core.follow.follow import Follow, follow
    from vesselog.core.frame import Frame
    from vesselog.core.replay.replay import Replay, replay
    from vesselog.core.request import (
        ChatRequest,
        CustomCall,
        CustomTool,
        FunctionCall,
        ImagePart,
        ImageURL,
        Message,
        OtherPart,
        Part,
        RequestFields,
        SplitThink,
        TextPart,
        Tool,
        ToolCallRequest,
        ToolFunction,
    )
    from vesselog.core.settings import Durability, Limits, Retries, Timeouts
    from vesselog.core.truth.recorded_frame import RecordedFrame
    from vesselog.core.truth.recording import RecordedCall, Recording
    from vesselog.core.truth.session_list import SessionSummary
    from vesselog.core.vessel import ModelInfo, Vessel, WireRequest
    from vesselog.maintenance.diff import Difference, diff
    from vesselog.maintenance.prune import PrunedRecording, PruneReport, prune
    from vesselog.maintenance.recover import RecoverReport, recover
    from vesselog.maintenance.rederive import ChangedOutcome, KeptCall, RederiveReport, rederive
    from vesselog.maintenance.salvage import SalvageNote, SalvageReport, salvage
    from vesselog.maintenance.verify import Finding, VerifyReport, verify
else:

    def __getattr__(name: str) -> object:
        for home, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(home), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "AsyncClient",
    "AsyncStream",
    "ChangedOutcome",
    "ChatRequest",
    "Choice",
    "Client",
    "ClientStateError",
    "Completion",
    "ConfigurationError",
    "ConnectionFailedError",
    "CustomCall",
    "CustomTool",
    "Difference",
    "Durability",
    "Finding",
    "FinishReason",
    "Follow",
    "Frame",
    "FunctionCall",
    "ImagePart",
    "ImageURL",
    "InvalidRequestError",
    "KeptCall",
    "Limits",
    "Message",
    "Messages",
    "Metrics",
    "ModelInfo",
    "OtherPart",
    "Outcome",
    "Part",
    "ProtocolError",
    "ProviderError",
    "PruneReport",
    "PrunedRecording",
    "RecordedCall",
    "RecordedFrame",
    "Recording",
    "RecordingCorruptError",
    "RecordingError",
    "RecordingLockedError",
    "RecoverReport",
    "RederiveReport",
    "Replay",
    "ReplayMissError",
    "RequestFields",
    "Retries",
    "SalvageNote",
    "SalvageReport",
    "SessionNameError",
    "SessionSummary",
    "SplitThink",
    "Step",
    "Stream",
    "StreamChunk",
    "StreamTimeoutError",
    "TextPart",
    "Timeouts",
    "Timings",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallRequest",
    "ToolFunction",
    "TruncatedError",
    "UnknownVesselError",
    "Usage",
    "UsageError",
    "VerifyReport",
    "Vessel",
    "VesselogError",
    "WireRequest",
    "__version__",
    "diff",
    "follow",
    "prune",
    "recover",
    "rederive",
    "replay",
    "salvage",
    "verify",
]

__version__ = VERSION
