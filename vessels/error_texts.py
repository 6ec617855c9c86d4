"""Makes the reason of an error a short text: of a page of HTML its title, of a long one a part."""

from __future__ import annotations

import html
import re

__all__ = ["plain_text", "short_text"]

# Enough for a reason; some servers answer with the whole prompt or a page of HTML.
_LONGEST = 500
_INVISIBLE = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")


def plain_text(text: str) -> str:
    """Text without the tags of HTML; of a page, its title."""
    if "<" in text and (title := _TITLE.search(text)):
        text = title[1]
    elif text.lstrip().startswith("<"):
        text = _TAG.sub(" ", _INVISIBLE.sub(" ", text))
    return short_text(html.unescape(text))


def short_text(text: str) -> str:
    """A text on one line, cut where it is too long."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
