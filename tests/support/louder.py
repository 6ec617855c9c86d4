"""Makes the installed vessels another version, as an upgrade would."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import pytest

from vesselog.core.chunk import ChunkFields
from vesselog.core.errors import UnknownVesselError
from vesselog.core.frame import Frame
from vesselog.core.vessel import Decoder, Vessel, WireRequest
from vesselog.maintenance import redecoding
from vesselog.vessels.ollama import Ollama

__all__ = ["install"]


class _Loud(Decoder):
    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    @property
    def progress(self):  # type: ignore[override]
        return self._decoder.progress

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        for fields in self._decoder.decode(frame):
            yield {**fields, "text": fields["text"].upper()} if "text" in fields else fields


class LoudOllama(Ollama):
    """Writes all text in capitals."""

    version: ClassVar[str] = "9.9"

    def decoder(self, request: WireRequest) -> Decoder:
        return _Loud(super().decoder(request))


def install(monkeypatch: pytest.MonkeyPatch, **vessels: type[Vessel] | None) -> None:
    """These are the vessels that are installed now; by default Ollama, and loud."""

    def find(name: str) -> type[Vessel]:
        found = (vessels or {"ollama": LoudOllama}).get(name)
        if found is None:
            raise UnknownVesselError(f"there is no vessel named {name!r}")
        return found

    monkeypatch.setattr(redecoding, "find_vessel", find)
