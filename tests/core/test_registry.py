"""Vessels are found by name; a chunk says itself in the OpenAI dialect through that."""

from __future__ import annotations

import pytest

from vesselog.core import registry
from vesselog.core.chunk import StreamChunk
from vesselog.core.completion import Completion
from vesselog.core.errors import UnknownVesselError
from vesselog.core.registry import dialect, find_vessel


def test_a_dialect_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that `to_openai` costs no look-up for each chunk."""
    found = dialect("openai")
    monkeypatch.setattr(registry, "installed_vessels", dict)
    assert dialect("openai") is found


def test_to_openai_needs_no_package_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in applications that are frozen into one file."""
    registry.installed_vessels.cache_clear()
    dialect.cache_clear()
    monkeypatch.setattr(registry, "entry_points", lambda group: ())
    try:
        assert StreamChunk(text="Hi").to_openai()["choices"][0]["delta"] == {"content": "Hi"}
        assert Completion(text="Hi").to_openai()["choices"][0]["message"]["content"] == "Hi"
    finally:
        registry.installed_vessels.cache_clear()
        dialect.cache_clear()


def test_a_vessel_that_only_reads_says_nothing() -> None:
    vessel = dialect("ollama")
    with pytest.raises(NotImplementedError):
        vessel.chunk_object(StreamChunk())
    with pytest.raises(NotImplementedError):
        vessel.completion_object(Completion())


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownVesselError, match=r"no vessel named 'olama'; known are .*ollama"):
        find_vessel("olama")
