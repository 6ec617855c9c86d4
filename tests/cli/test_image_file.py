"""The type of an image is told by its first bytes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from vesselog.cli.image_file import image_part, media_type


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM\x10\0\0\0\0\0\0\0", "image/bmp"),
        (b"II*\0", "image/tiff"),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"BMW is a car", None),
        (b"\0\0\0\x18ftypmp42", None),
        (b"<svg>", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell_the_type(start: bytes, kind: str | None) -> None:
    assert media_type(start) == kind


def test_the_name_does_not_matter_and_all_bytes_are_sent(tmp_path: Path) -> None:
    data = b"GIF89a" + bytes(range(256))
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    url = image_part(path).image_url.url
    assert url == "data:image/gif;base64," + base64.b64encode(data).decode()
