"""Refuses to write a recording that looks as if it held a secret.

What is looked for: keys in the forms that providers give out, private keys, passwords in URLs, and
the values of environment variables whose names say that they are secret. What is told is the place
and the kind, never the secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from ..vessels import RecordingError
from .rewriting import DraftCall
from .scrubbing import answer_texts

__all__ = ["refuse_secrets", "secrets_of"]

_KINDS = {
    "an API key": re.compile(
        r"\b(?:sk-[A-Za-z0-9_-]{20,}|AIza[A-Za-z0-9_-]{35}|gsk_[A-Za-z0-9]{30,}"
        r"|xai-[A-Za-z0-9]{30,}|pplx-[A-Za-z0-9]{30,}|r8_[A-Za-z0-9]{30,}|csk-[A-Za-z0-9]{30,})"
    ),
    "an access token": re.compile(
        r"\b(?:hf_[A-Za-z0-9]{30,}|gh[opsur]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,}"
        r"|glpat-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|npm_[A-Za-z0-9]{36}"
        r"|pypi-[A-Za-z0-9_-]{40,}|ya29\.[A-Za-z0-9_-]{20,})"
    ),
    "an AWS key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[\w-]{8,}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a bearer token": re.compile(r"(?i:\bbearer )[A-Za-z0-9._~+/-]{20,}"),
    "a password in a URL": re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s:@]{3,}@"),
}
_SECRET_NAME = re.compile(r"(?i)(?:key|token|secret|password|passwd|credentials?)\Z")
_SHORTEST = 12  # shorter values are placeholders, as everywhere in the library
_MOST_TOLD = 5


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """The values of the variables whose names say that they are secret."""
    return [
        value
        for name, value in environment.items()
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST and not value.startswith("/")
    ]


def refuse_secrets(calls: Iterable[DraftCall], environment: Mapping[str, str]) -> None:
    """Raise RecordingError if one of the calls seems to hold a secret."""
    own = secrets_of(environment)
    places = [
        f"call {number}, {place}: {kind}"
        for number, call in enumerate(calls, 1)
        for place, text in _texts(call)
        if (kind := _kind(text, own)) is not None
    ]
    if places:
        more = f"\n  and {len(places) - _MOST_TOLD} more" if len(places) > _MOST_TOLD else ""
        told = "".join(f"\n  {place}" for place in dict.fromkeys(places[:_MOST_TOLD]))
        raise RecordingError(
            "the recording was not written: it looks as if it held secrets. Hide them with scrub=, "
            f"or say allow_secrets=True.{told}{more}"
        )


def _kind(text: str, own: Iterable[str]) -> str | None:
    if any(secret in text for secret in own):
        return "the value of a secret environment variable"
    return next((kind for kind, pattern in _KINDS.items() if pattern.search(text)), None)


def _texts(call: DraftCall) -> Iterator[tuple[str, str]]:
    for line in call.lines:
        kind = str(line["type"])
        if kind == "frame":
            # The names of fields, and what is no JSON; text in pieces comes below.
            yield "an answer's frame", str(line.get("raw", ""))
        else:
            fields = {name: value for name, value in line.items() if name != "sha256"}
            yield from ((f"{kind} {place}", text) for place, text in _strings(fields, ""))
    yield from ((f"answer {place}", text) for place, text in answer_texts(call))


def _strings(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for index, each in enumerate(cast("list[Any]", value)):
            yield from _strings(each, f"{place}[{index}]")
    elif isinstance(value, dict):
        for name, each in cast("dict[str, Any]", value).items():
            yield from _strings(each, f"{place}.{name}".lstrip("."))
