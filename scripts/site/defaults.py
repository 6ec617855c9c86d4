"""A griffe extension: defaults of attributes, and readable words for the library's private names.

griffe shows defaults of parameters; pydantic models and dataclasses have theirs on the attributes.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["Defaults"]

_ENTRY = re.compile(r"^    (\w+): .*(?:\n {5,}.*)*", re.MULTILINE)
# Defaults that say nothing to a reader: how an empty one is made.
_MADE = re.compile(r"field\(|Field\(|dict|list")
# Private names in signatures and fields, as a reader knows them.
_KNOWN_AS = {
    "_AtLeastOne": "int",
    "_Count": "int",
    "_DEFAULT_FOLDER": '"recordings"',
    "_Seconds": "float",
    "_Stream": "Stream | AsyncStream",
}
_PRIVATE = re.compile(rf"\b(?:{'|'.join(_KNOWN_AS)})\b")


def _readable(written: Any) -> Any:
    """An expression without private names; unchanged if it has none."""
    text = str(written)
    changed = _PRIVATE.sub(lambda name: _KNOWN_AS[name[0]], text)
    return written if changed == text else changed


class Defaults(griffe.Extension):
    """Adds "Default: `x`." to the entries of the section Attributes, and replaces private names."""

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Change the type of an attribute once it was read."""
        attr.annotation = _readable(attr.annotation)

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Change the signature of a function once it was read."""
        func.returns = _readable(func.returns)
        for parameter in func.parameters:
            parameter.default = _readable(parameter.default)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Change the docstring of a class once it was read."""
        if cls.docstring is None or "Attributes:\n" not in cls.docstring.value:
            return
        before, heading, after = cls.docstring.value.partition("Attributes:\n")

        def with_default(entry: re.Match[str]) -> str:
            member = cls.members.get(entry[1])
            # What a method assigns to an attribute is its code, not its default.
            if member is None or "class-attribute" not in member.labels:
                return entry[0]
            value = getattr(member, "value", None)
            if value is None or str(value) == "None" or _MADE.match(str(value)):
                return entry[0]
            return f"{entry[0]} Default: `{value}`."

        section, blank, rest = after.partition("\n\n")
        section = _ENTRY.sub(with_default, section)
        cls.docstring.value = f"{before}{heading}{section}{blank}{rest}"
