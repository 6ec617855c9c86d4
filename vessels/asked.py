"""Parts of a request that several dialects read the same way, whatever form the caller chose."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..core.errors import InvalidRequestError

__all__ = ["InlineImage", "asked_format", "inline_image"]


class InlineImage(NamedTuple):
    """An image that is in the request itself. data: in base64."""

    media_type: str
    data: str


def inline_image(url: str, vessel: str) -> InlineImage | None:
    """The image in a `data:` URL, None for any other URL.

    Raises InvalidRequestError if it is not in base64.
    """
    head, comma, data = url.partition(",")
    if not head.startswith("data:"):
        return None
    if not comma or not head.endswith(";base64"):
        raise InvalidRequestError(f"{vessel} takes images in base64: data:image/png;base64,…")
    return InlineImage(head.removeprefix("data:").partition(";")[0], data)


def asked_format(asked: dict[str, Any] | str) -> Any:
    """`json`, or a JSON schema, from the forms of the OpenAI dialect too; None for plain text."""
    if isinstance(asked, str):
        return asked
    match asked.get("type"):
        case "json_object":
            return "json"
        case "json_schema":
            return (asked.get("json_schema") or asked)["schema"]
        case "text":
            return None
        case _:
            return asked
