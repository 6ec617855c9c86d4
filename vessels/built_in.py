"""All vessels that come with vesselog."""

from __future__ import annotations

from ..core.vessel import Vessel
from . import presets
from .anthropic import Anthropic
from .azure import Azure
from .gemini import Gemini
from .ollama import Ollama
from .openai import OpenAI
from .responses import OpenAIResponses

__all__ = ["BUILT_IN", "PRESETS"]

PRESETS: tuple[type[OpenAI], ...] = tuple(getattr(presets, name) for name in presets.__all__)
"""The servers that speak the OpenAI dialect."""

_DIALECTS: tuple[type[Vessel], ...] = (
    Anthropic,
    Azure,
    Gemini,
    Ollama,
    OpenAI,
    OpenAIResponses,
)
BUILT_IN = {vessel.name: vessel for vessel in (*_DIALECTS, *PRESETS)}
"""By name, for applications frozen into one file without package metadata; elsewhere entry points
are used."""
