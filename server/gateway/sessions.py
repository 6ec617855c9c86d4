"""Which session a request is recorded in, and the meta that its client gives."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from ...core.errors import ConfigurationError, InvalidRequestError, SessionNameError
from ...core.jsontext import loads
from ...core.settings import LARGEST_META
from ...core.truth.session_names import check_session_name

__all__ = ["SessionRule", "meta_of", "session_rule"]

SESSION, META = "x-vesselog-session", "x-vesselog-meta"

SessionRule = Callable[[Mapping[str, str], Mapping[str, Any]], str | None]
"""From a request's headers and body to the name of its session; None: a session of its own."""

_HEADER = re.compile(r"header:([A-Za-z0-9-]+)")


def session_rule(name: str | None) -> SessionRule:
    """The rule of this name: "user", "header:NAME", or None.

    The header x-vesselog-session comes before the rule. A value of the rule that is no session name
    becomes one by its SHA-256. Raises ConfigurationError.
    """
    found = _HEADER.fullmatch(name) if isinstance(name, str) else None
    if name not in (None, "user") and found is None:
        raise ConfigurationError(
            f"session_from is {name!r}: give user, or header: and the name of a header",
            setting="session_from",
        )
    header = found[1].lower() if found else None

    def session_of(headers: Mapping[str, str], body: Mapping[str, Any]) -> str | None:
        if given := headers.get(SESSION):
            return check_session_name(given)
        value = None
        if header is not None:
            value = headers.get(header)
        elif name == "user":
            value = _user(body)
        return _as_name(value) if value else None

    return session_of


def _user(body: Mapping[str, Any]) -> str | None:
    """Who asks: `user` of the OpenAI dialect, `metadata.user_id` of Anthropic's."""
    metadata = body.get("metadata")
    given = body.get("user")
    if given is None and isinstance(metadata, dict):
        given = cast("dict[str, Any]", metadata).get("user_id")
    return given if isinstance(given, str) else None


def _as_name(value: str) -> str:
    try:
        return check_session_name(value)
    except SessionNameError:
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return f"sha256-{digest}"


def meta_of(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """The JSON object in the header x-vesselog-meta. Raises InvalidRequestError."""
    text = headers.get(META)
    if text is None:
        return None
    try:
        meta = loads(text)
    except ValueError:
        meta = None
    if not isinstance(meta, dict) or len(text) > LARGEST_META:
        raise InvalidRequestError(
            f"the header {META} must be a JSON object of at most {LARGEST_META:,} bytes"
        )
    return cast("dict[str, Any]", meta)
