"""The vessels that come with vesselog: dialects, and presets of servers; no I/O."""

from __future__ import annotations

from ..core.vessel import Vessel
from .anthropic import Anthropic
from .azure import Azure
from .gemini import Gemini
from .ollama import Ollama
from .openai import OpenAI
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

__all__ = [
    "BUILT_IN",
    "PRESETS",
    "VLLM",
    "XAI",
    "ZAI",
    "Anthropic",
    "Azure",
    "Cerebras",
    "DeepSeek",
    "Fireworks",
    "Gemini",
    "Groq",
    "HuggingFace",
    "LMStudio",
    "LlamaCpp",
    "Mistral",
    "Ollama",
    "OllamaV1",
    "OpenAI",
    "OpenRouter",
    "Perplexity",
    "Together",
]

PRESETS: tuple[type[OpenAI], ...] = (
    *(Cerebras, DeepSeek, Fireworks, Groq, HuggingFace, LMStudio, LlamaCpp, Mistral, OllamaV1),
    *(OpenRouter, Perplexity, Together, VLLM, XAI, ZAI),
)
"""The servers that speak the OpenAI dialect."""

_DIALECTS: tuple[type[Vessel], ...] = (Anthropic, Azure, Gemini, Ollama, OpenAI)
BUILT_IN = {vessel.name: vessel for vessel in (*_DIALECTS, *PRESETS)}
"""By name, for applications frozen into one file without package metadata; else entry points are
used."""
