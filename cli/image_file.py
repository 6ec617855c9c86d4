"""Reads an image file for a message; its type is told by its first bytes, never by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.request import ImagePart

__all__ = ["image_part", "media_type"]

# Bytes. Gemini takes 20 MB in a request, OpenAI and Anthropic take less or little more.
_LARGEST = 20_000_000
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}
# What stands at byte 4 in the formats that ISO/IEC 14496-12 calls files: `ftyp` and the brand.
_BRANDS = {
    b"ftypavif": "image/avif",
    b"ftypavis": "image/avif",
    b"ftypheic": "image/heic",
    b"ftypheix": "image/heic",
    b"ftypmif1": "image/heif",
}


def image_part(path: Path) -> ImagePart:
    """The image in this file. Raises InvalidRequestError if there is none, or it is too large."""
    from ..core.errors import InvalidRequestError
    from ..core.request import ImagePart

    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise InvalidRequestError(f"cannot read the image {path}: {why}") from None
    if len(data) > _LARGEST:
        raise InvalidRequestError(
            f"the image {path} is larger than {_LARGEST // 1_000_000} MB, which no provider takes: "
            "scale it down"
        )
    kind = media_type(data)
    if kind is None:
        raise InvalidRequestError(
            f"{path} is not an image of a known type (PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF, HEIC)"
        )
    return ImagePart.from_bytes(data, kind)


def media_type(data: bytes) -> str | None:
    """The media type of an image file with this content; None if it is not a known one."""
    for start, kind in _STARTS.items():
        if data.startswith(start):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    # The two bytes alone could be text; the reserved ones that are 0 could not.
    if data[:2] == b"BM" and data[6:10] == bytes(4):
        return "image/bmp"
    return _BRANDS.get(data[4:12])
