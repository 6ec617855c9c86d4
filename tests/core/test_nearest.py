"""A misspelt name is answered with the known name that is most similar."""

from __future__ import annotations

from vesselog.core.nearest import did_you_mean, nearest_names


def test_the_most_similar_name_comes_first() -> None:
    assert nearest_names("olama", ["openai", "ollama-v1", "ollama"], most=2) == [
        "ollama",
        "ollama-v1",
    ]


def test_nothing_is_suggested_where_nothing_is_similar() -> None:
    assert did_you_mean("zzz", ["openai", "ollama"]) == ""
    assert did_you_mean("opnai", ["openai", "ollama"]) == "; did you mean 'openai'?"
