"""Brings what servers of the OpenAI dialect stream piece by piece into forms that are joined.

An assembled completion joins lists; of other values the later one replaces the earlier one. So what
comes alone in each event is put into a list of one.
"""

from __future__ import annotations

from typing import Any, cast

from ..core.chunk import ChunkFields

__all__ = ["audio_in_pieces", "citations_in_list", "logprobs_in_tokens"]


def audio_in_pieces(audio: Any) -> Any:
    """A piece of a sound, with lists of one piece: a completion has all of them in order.

    The pieces of `data` are base64, each by itself.
    """
    if not isinstance(audio, dict):
        return audio
    fields = cast("dict[str, Any]", audio)
    pieces = {key: [fields[key]] for key in ("data", "transcript") if fields.get(key)}
    return {**fields, **pieces}


def citations_in_list(source: dict[str, Any]) -> dict[str, Any]:
    """A delta with the citation in its `provider_specific_fields` as a list of one.

    LiteLLM streams each of Anthropic's citations as `citation`, and names the list of a whole
    answer `citations`: BerriAI/litellm litellm/llms/anthropic/chat/handler.py
    """
    given = source.get("provider_specific_fields")
    if not isinstance(given, dict):
        return source
    fields = dict(cast("dict[str, Any]", given))
    if (citation := fields.pop("citation", None)) is None:
        return source
    return {**source, "provider_specific_fields": {**fields, "citations": [citation]}}


def logprobs_in_tokens(logprobs: Any, fields: ChunkFields) -> Any:
    """Log probabilities as a list of tokens, if they are one number.

    Together streams the number alone, that of the event's token, whose text is in the chunk's
    `fields`: togethercomputer/together-py src/together/types/chat/chat_completion_chunk.py
    """
    if type(logprobs) not in {int, float}:
        return logprobs
    token = fields.get("text") or fields.get("reasoning") or ""
    return {"content": [{"token": token, "logprob": logprobs}]}
