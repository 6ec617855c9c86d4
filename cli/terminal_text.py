"""Makes foreign text safe to print, and measures it: text from a server, a file or a file's name.

Control characters (escape sequences begin with one) become visible symbols, and so do the
characters that change the direction of text, which make a terminal show it in another order.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["columns", "safe_json", "safe_line", "safe_text"]

_TAB, _LINE_FEED = 0x09, 0x0A
_REPLACEMENT = 0xFFFD

# Unicode's bidirectional controls (UAX #9) and the deprecated format characters beside them.
_DIRECTION = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x2070))
# NEXT LINE is a control, too; these two are not, but end a line for many programs.
_SEPARATORS = (0x2028, 0x2029)

# Unicode has symbols for the controls of ASCII (U+2400 to U+2421) and for no others.
_LINE = {
    **{code: 0x2400 + code for code in range(0x20)},
    0x7F: 0x2421,
    **dict.fromkeys((*range(0x80, 0xA0), *_DIRECTION, *_SEPARATORS), _REPLACEMENT),
}
_TEXT = {code: symbol for code, symbol in _LINE.items() if code not in {_TAB, _LINE_FEED}}

# orjson escapes those below U+0020. No unsafe character is outside a string in JSON.
_UNSAFE = re.compile(f"[{''.join(map(chr, (code for code in _LINE if code >= 0x20)))}]")


def safe_text(text: str) -> str:
    """`text` with its tabs and line feeds, and nothing else that controls a terminal."""
    return text.translate(_TEXT)


def safe_line(text: str) -> str:
    """`text` as one line: without any character that controls a terminal or ends a line."""
    return text.translate(_LINE)


def safe_json(text: str) -> str:
    """JSON text with such characters escaped: its value stays the same."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def columns(text: str) -> int:
    """How many columns of a terminal this text needs."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
