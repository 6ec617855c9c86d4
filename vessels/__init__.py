"""The vessels that come with vesselog: one dialect each, and no I/O."""

from __future__ import annotations

from ..core.vessel import Vessel
from .ollama import Ollama
from .openai import OpenAI

__all__ = ["BUILT_IN", "Ollama", "OpenAI"]

BUILT_IN: dict[str, type[Vessel]] = {"ollama": Ollama, "openai": OpenAI}
"""By name, for applications frozen into one file without package metadata; else entry points are
used."""
