"""Everything that a vessel is made of, and the vessels that come with vesselog.

This is the one address that an author of a vessel imports from (docs/writing-a-vessel.md):

- the contract: Vessel, Decoder, Frame, Framing, Progress, ChunkFields, WireRequest, ModelInfo;
- requests: ChatRequest with its messages and tools, and `chat_request` for tests;
- the errors, VesselogError and below;
- helpers: base URLs, provider errors, tool calls, repeated fields, JSON as providers write it.

A name is imported when it is first asked for, so that one vessel does not load all others.
"""

from importlib import import_module
from typing import TYPE_CHECKING

# In this order each is looked at for a name: first what every vessel loads anyway.
_HOMES = (
    *(
        "..core.chunk",
        "..core.completion",
        "..core.errors",
        "..core.frame",
        "..core.framing",
        "..core.jsontext",
        "..core.mending",
        "..core.native",
        "..core.request",
        "..core.validation",
        "..core.vessel",
    ),
    *(
        ".base_urls",
        ".call_arguments",
        ".called_tools",
        ".concatenated_json",
        ".fast_path",
        ".history",
        ".joined_pieces",
        ".mended_values",
        ".openai_fields",
        ".openai_finish",
        ".openai_history",
        ".openai_models",
        ".openai_server",
        ".openai_shape",
        ".openai_usage",
        ".provider_errors",
        ".repeated_fields",
        ".request_parts",
        ".request_reader",
        ".tool_calls",
        ".typed_events",
        ".wire_values",
    ),
    *(".ollama", ".openai", ".anthropic", ".azure", ".gemini", ".responses", ".presets"),
    ".built_in",
)

if TYPE_CHECKING:
    from ..core.chunk import (
        ChunkFields,
        FinishReason,
        StreamChunk,
        ToolCallDelta,
        ToolCallDeltaFields,
        Usage,
    )
    from ..core.completion import Choice, Completion, ToolCall
    from ..core.errors import (
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
    from ..core.frame import Frame
    from ..core.framing import Framing
    from ..core.jsontext import dumps, loads, loads_exact
    from ..core.mending import mend_value
    from ..core.native import NativeMessages
    from ..core.request import (
        ChatRequest,
        CustomCall,
        CustomTool,
        FunctionCall,
        ImagePart,
        ImageURL,
        Message,
        OtherPart,
        Part,
        SplitThink,
        TextPart,
        Tool,
        ToolCallRequest,
        ToolFunction,
        chat_request,
    )
    from ..core.validation import explain
    from ..core.vessel import Decoder, ModelInfo, Progress, Vessel, WireRequest
    from .anthropic import Anthropic
    from .azure import Azure
    from .base_urls import ollama_base_url, path_segment, route_url, split_base_url, with_root
    from .built_in import BUILT_IN, PRESETS
    from .call_arguments import (
        INVALID_JSON,
        arguments_object,
        arguments_text,
        function_of,
        json_object,
        loads_strict,
        made_id,
        meant_arguments,
        renamed_arguments,
        unique_id,
        valid_arguments,
        valid_object,
    )
    from .called_tools import CalledTool, CalledTools
    from .concatenated_json import DONE, json_values
    from .fast_path import FastPath
    from .gemini import Gemini
    from .history import (
        ANNOTATIONS,
        native_objects,
        native_of,
        valid_history,
        with_ids,
    )
    from .joined_pieces import JoinedObject
    from .mended_values import (
        is_word,
        mended_index,
        mended_object,
        mended_objects,
        mended_text,
    )
    from .ollama import Ollama
    from .openai import OpenAI
    from .openai_fields import response_format
    from .openai_finish import finish_reason
    from .openai_history import MessageRules
    from .openai_models import models_in
    from .openai_server import OpenAIServer
    from .openai_shape import chunk_to_openai, completion_to_openai
    from .openai_usage import read_timings, read_usage
    from .presets import (
        VLLM,
        XAI,
        ZAI,
        Cerebras,
        DeepSeek,
        Fireworks,
        Groq,
        HuggingFace,
        LlamaCpp,
        LMStudio,
        Mistral,
        OllamaV1,
        OpenRouter,
        Perplexity,
        Together,
    )
    from .provider_errors import (
        error_in,
        error_in_band,
        error_in_event,
        error_of_status,
        is_retryable,
    )
    from .repeated_fields import RepeatFilter
    from .request_parts import (
        TOOL_RESULT_ROLES,
        Conversation,
        InlineImage,
        chosen_tool,
        conversation,
        inline_image,
        is_schema,
        names_by_call_id,
        refuse_custom_tools,
        requested_format,
        stop_list,
    )
    from .request_reader import (
        body_of,
        path_of,
        read_back,
        read_call,
        read_fields,
        read_message,
        read_objects,
        unreadable,
    )
    from .responses import OpenAIResponses
    from .tool_calls import ToolCalls
    from .typed_events import events_in, object_of, text_under
    from .wire_values import keep_counts, list_in, object_in, sum_of_counts, text_of, whole_number
else:

    def __getattr__(name: str) -> object:
        if name in __all__:
            for home in _HOMES:
                module = import_module(home, __name__)
                if name in module.__all__:
                    value = globals()[name] = getattr(module, name)
                    return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "ANNOTATIONS",
    "BUILT_IN",
    "DONE",
    "INVALID_JSON",
    "PRESETS",
    "TOOL_RESULT_ROLES",
    "VLLM",
    "XAI",
    "ZAI",
    "Anthropic",
    "Azure",
    "CalledTool",
    "CalledTools",
    "Cerebras",
    "ChatRequest",
    "Choice",
    "ChunkFields",
    "ClientStateError",
    "Completion",
    "ConfigurationError",
    "ConnectionFailedError",
    "Conversation",
    "CustomCall",
    "CustomTool",
    "Decoder",
    "DeepSeek",
    "FastPath",
    "FinishReason",
    "Fireworks",
    "Frame",
    "Framing",
    "FunctionCall",
    "Gemini",
    "Groq",
    "HuggingFace",
    "ImagePart",
    "ImageURL",
    "InlineImage",
    "InvalidRequestError",
    "JoinedObject",
    "LMStudio",
    "LlamaCpp",
    "Message",
    "MessageRules",
    "Mistral",
    "ModelInfo",
    "NativeMessages",
    "Ollama",
    "OllamaV1",
    "OpenAI",
    "OpenAIResponses",
    "OpenAIServer",
    "OpenRouter",
    "OtherPart",
    "Part",
    "Perplexity",
    "Progress",
    "ProtocolError",
    "ProviderError",
    "RecordingCorruptError",
    "RecordingError",
    "RecordingLockedError",
    "RepeatFilter",
    "ReplayMissError",
    "SessionNameError",
    "SplitThink",
    "StreamChunk",
    "StreamTimeoutError",
    "TextPart",
    "Together",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallDeltaFields",
    "ToolCallRequest",
    "ToolCalls",
    "ToolFunction",
    "TruncatedError",
    "UnknownVesselError",
    "Usage",
    "UsageError",
    "Vessel",
    "VesselogError",
    "WireRequest",
    "arguments_object",
    "arguments_text",
    "body_of",
    "chat_request",
    "chosen_tool",
    "chunk_to_openai",
    "completion_to_openai",
    "conversation",
    "dumps",
    "error_in",
    "error_in_band",
    "error_in_event",
    "error_of_status",
    "events_in",
    "explain",
    "finish_reason",
    "function_of",
    "inline_image",
    "is_retryable",
    "is_schema",
    "is_word",
    "json_object",
    "json_values",
    "keep_counts",
    "list_in",
    "loads",
    "loads_exact",
    "loads_strict",
    "made_id",
    "meant_arguments",
    "mend_value",
    "mended_index",
    "mended_object",
    "mended_objects",
    "mended_text",
    "models_in",
    "names_by_call_id",
    "native_objects",
    "native_of",
    "object_in",
    "object_of",
    "ollama_base_url",
    "path_of",
    "path_segment",
    "read_back",
    "read_call",
    "read_fields",
    "read_message",
    "read_objects",
    "read_timings",
    "read_usage",
    "refuse_custom_tools",
    "renamed_arguments",
    "requested_format",
    "response_format",
    "route_url",
    "split_base_url",
    "stop_list",
    "sum_of_counts",
    "text_of",
    "text_under",
    "unique_id",
    "unreadable",
    "valid_arguments",
    "valid_history",
    "valid_object",
    "whole_number",
    "with_ids",
    "with_root",
]
