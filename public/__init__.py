"""Streams from language models, recorded chunk by chunk before anyone sees them.

with vesselog.Client() as client:
    with client.stream("ollama/qwen3:1.7b", "Why is the sky blue?") as stream:
        for chunk in stream:
            print(chunk.text, end="", flush=True)
"""

from vesselog.core.chunk import FinishReason, StreamChunk, Timings, ToolCallDelta, Usage
from vesselog.core.client.async_client import AsyncClient
from vesselog.core.client.async_stream import AsyncStream
from vesselog.core.client.client import Client
from vesselog.core.client.retry import Retries
from vesselog.core.client.settings import Limits, Timeouts
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
from vesselog.core.request import (
    ChatRequest,
    ImagePart,
    Message,
    TextPart,
    Tool,
    ToolFunction,
)
from vesselog.core.truth.follow import follow
from vesselog.core.truth.recording import Recording
from vesselog.core.truth.replay import replay
from vesselog.core.truth.verify import verify
from vesselog.core.version import VERSION
from vesselog.core.vessel import ModelInfo, WireRequest

__all__ = [
    "AsyncClient",
    "AsyncStream",
    "ChatRequest",
    "Choice",
    "Client",
    "ClientStateError",
    "Completion",
    "ConfigurationError",
    "ConnectionFailedError",
    "FinishReason",
    "ImagePart",
    "InvalidRequestError",
    "Limits",
    "Message",
    "Metrics",
    "ModelInfo",
    "Outcome",
    "ProtocolError",
    "ProviderError",
    "Recording",
    "RecordingCorruptError",
    "RecordingError",
    "RecordingLockedError",
    "ReplayMissError",
    "Retries",
    "SessionNameError",
    "Stream",
    "StreamChunk",
    "StreamTimeoutError",
    "TextPart",
    "Timeouts",
    "Timings",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolFunction",
    "TruncatedError",
    "UnknownVesselError",
    "Usage",
    "UsageError",
    "VesselogError",
    "WireRequest",
    "__version__",
    "follow",
    "replay",
    "verify",
]

__version__ = VERSION
