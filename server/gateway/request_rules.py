"""What becomes of a request's fields when its dialect is not the upstream's.

A field that ChatRequest has is translated. Of the others, those below are left out, because the
answer is the same without them or they are wishes that any provider may ignore; a few have another
name elsewhere; and every one that is not named here is refused. docs/dialects.md lists all of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = [
    "LEFT_OUT_OF_PARTS",
    "LEFT_OUT_OF_TOOLS",
    "RULES",
    "SAMPLING",
    "Rules",
]


class Rules(NamedTuple):
    """How a body of one dialect is read. All are names of its fields.

    read: ChatRequest has them. loose: of these, the ones in which there may be what ChatRequest has
    no field for, each with its types; what is in them is checked by itself. left_out: they are
    dropped. defaults: they are dropped if they have one of these values. native: the fields of an
    assistant's message that are read or dropped. blocks: the types of its parts that are.
    """

    read: frozenset[str]
    loose: Mapping[str, type | tuple[type, ...]]
    left_out: frozenset[str]
    defaults: Mapping[str, tuple[Any, ...]]
    native: frozenset[str]
    blocks: frozenset[str]


RULES: Mapping[str, Rules] = {
    "openai": Rules(
        read=frozenset(
            {
                *("model", "messages", "prompt", "stream", "temperature", "top_p", "stop", "seed"),
                *("max_tokens", "max_completion_tokens", "n", "tools", "tool_choice"),
                *("response_format", "logprobs", "top_logprobs", "reasoning_effort"),
                *("functions", "function_call", "parallel_tool_calls"),
            }
        ),
        loose={
            "max_tokens": int,
            "parallel_tool_calls": bool,
            "prompt": (str, list),
            "tool_choice": (str, dict),
            "tools": list,
        },
        left_out=frozenset(
            {
                *("metadata", "prediction", "prompt_cache_key", "prompt_cache_retention"),
                *("safety_identifier", "service_tier", "stream_options", "user"),
            }
        ),
        defaults={
            "audio": (None,),
            "best_of": (1,),
            "echo": (False,),
            "frequency_penalty": (0,),
            "logit_bias": ({},),
            "modalities": (["text"],),
            "presence_penalty": (0,),
            "store": (False,),
            "suffix": ("",),
            "verbosity": ("medium",),
        },
        native=frozenset(
            {
                *("role", "content", "name", "refusal", "tool_calls", "function_call"),
                *("annotations", "reasoning", "reasoning_content", "reasoning_details"),
            }
        ),
        blocks=frozenset({"refusal", "text"}),
    ),
    "anthropic": Rules(
        read=frozenset(
            {
                *("model", "messages", "system", "max_tokens", "temperature", "top_p", "stream"),
                *("stop_sequences", "tools", "tool_choice", "thinking", "output_config"),
            }
        ),
        loose={
            "messages": list,
            "output_config": dict,
            "system": (str, list),
            "thinking": dict,
            "tool_choice": dict,
            "tools": list,
        },
        left_out=frozenset(
            {
                *("betas", "cache_control", "context_management", "inference_geo", "metadata"),
                "service_tier",
            }
        ),
        defaults={"mcp_servers": ([],), "speed": ("standard",)},
        native=frozenset({"role", "content"}),
        blocks=frozenset({"redacted_thinking", "text", "thinking", "tool_use"}),
    ),
    "openai-responses": Rules(
        read=frozenset(
            {
                *("model", "input", "instructions", "stream", "temperature", "top_p"),
                *("max_output_tokens", "tools", "tool_choice", "text", "reasoning", "include"),
                *("top_logprobs", "parallel_tool_calls"),
            }
        ),
        loose={
            "include": list,
            "input": (str, list),
            "instructions": str,
            "parallel_tool_calls": bool,
            "reasoning": dict,
            "text": dict,
            "tool_choice": (str, dict),
            "tools": list,
        },
        left_out=frozenset(
            {
                *(
                    "background",
                    "client_metadata",
                    "max_tool_calls",
                    "metadata",
                    "prompt_cache_key",
                ),
                *("prompt_cache_options", "prompt_cache_retention", "safety_identifier"),
                *("service_tier", "store", "stream_options", "truncation", "user"),
            }
        ),
        defaults={},
        native=frozenset({"role", "output"}),
        blocks=frozenset({"custom_tool_call", "function_call", "message", "reasoning"}),
    ),
    "gemini": Rules(
        read=frozenset(
            {"contents", "generationConfig", "systemInstruction", "toolConfig", "tools"}
        ),
        loose={
            "contents": (list, dict),
            "generationConfig": dict,
            "systemInstruction": dict,
            "toolConfig": dict,
            "tools": list,
        },
        left_out=frozenset({"labels", "safetySettings"}),
        defaults={},
        native=frozenset({"parts", "role"}),
        blocks=frozenset({"functionCall", "text", "thought", "thoughtSignature"}),
    ),
    "ollama": Rules(
        read=frozenset(
            {
                *("model", "messages", "prompt", "stream", "tools", "format", "think"),
                *("options", "logprobs", "top_logprobs"),
            }
        ),
        loose={"options": dict, "tools": list},
        left_out=frozenset({"keep_alive", "shift", "truncate"}),
        defaults={"context": ([],), "raw": (False,), "suffix": ("",), "template": ("",)},
        native=frozenset({"role", "content", "thinking", "tool_calls"}),
        blocks=frozenset(),
    ),
}

CONFIG_READ = frozenset(
    {
        *("candidateCount", "logprobs", "maxOutputTokens", "responseJsonSchema"),
        *("responseLogprobs", "responseMimeType", "responseSchema", "seed", "stopSequences"),
        *("temperature", "thinkingConfig", "topP"),
    }
)
CONFIG_LOOSE = frozenset({"responseSchema", "thinkingConfig"})
CONFIG_DEFAULTS: Mapping[str, Any] = {
    "responseMimeType": "text/plain",
    "responseModalities": ["TEXT"],
}
"""Gemini's `generationConfig`: what is read, where the reader keeps more, what says nothing."""

OPTIONS_READ = frozenset({"num_predict", "seed", "stop", "temperature", "top_p"})
OPTIONS_LEFT_OUT = frozenset(
    {
        *("f16_kv", "logits_all", "low_vram", "main_gpu", "num_batch", "num_ctx", "num_gpu"),
        *("num_keep", "num_thread", "numa", "use_mlock", "use_mmap", "vocab_only"),
    }
)
"""Ollama's options for how a model is run, and not for what it says."""

SAMPLING: Mapping[str, Mapping[str, str]] = {
    "frequency_penalty": {
        "gemini": "frequencyPenalty",
        "ollama": "frequency_penalty",
        "openai": "frequency_penalty",
    },
    "min_p": {"ollama": "min_p"},
    "presence_penalty": {
        "gemini": "presencePenalty",
        "ollama": "presence_penalty",
        "openai": "presence_penalty",
    },
    "repeat_penalty": {"ollama": "repeat_penalty"},
    "top_k": {"anthropic": "top_k", "gemini": "topK", "ollama": "top_k"},
}
"""Fields for which ChatRequest has none, with their names in the dialects that know them."""

LEFT_OUT_OF_PARTS = frozenset({"cache_control", "citations"})
"""Keys of messages and their parts."""

LEFT_OUT_OF_TOOLS: Mapping[str, tuple[Any, ...]] = {
    "allowed_callers": (["direct"],),
    "cache_control": (),
    "defer_loading": (),
    "eager_input_streaming": (),
}
"""Keys of a tool; those with values only if they have one of these."""
