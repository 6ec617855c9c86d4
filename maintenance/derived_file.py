"""A new recording made from another one: whole and on disk, or not there at all.

It is written under a temporary name beside its place (`….part`), which is all that a crash leaves.
Its header says in `meta` what it was made from and how (`derived_from`); if that was itself made
from another one, that is kept inside. Lines get new numbers and checks; the rest of them stays.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from ..core.clock import Clock, timestamp
from ..core.errors import ConfigurationError, RecordingError, RecordingLockedError
from ..core.truth.file_lock import has_writer
from ..core.truth.files import create_file, sync_file, sync_folder
from ..core.truth.line import FORMAT_VERSION, build_line
from ..core.truth.scan import open_recording
from ..core.truth.session_names import SUFFIX, check_session_name
from ..core.version import VERSION

__all__ = ["DerivedFile", "unchanged"]

_BUFFER_BYTES = 1 << 18
_OF_THE_FILE = frozenset(
    {"type", "vesselog", "session", "crc32", "library", "meta", "crc", "exact"}
)
_OF_THE_LINE = frozenset({"type", "n", "crc", "exact"})


@contextmanager
def unchanged(path: Path) -> Generator[None]:
    """`with` this: be sure that the recording at this path is not written meanwhile.

    Raises RecordingLockedError if a session has it, and on leaving RecordingError if one had it.
    """
    with open_recording(path) as file:
        size = os.fstat(file.fileno()).st_size
    if has_writer(path):
        raise RecordingLockedError(f"{path} is being written: wait until its session ends")
    yield
    try:
        same = path.stat().st_size == size
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from error
    if not same:
        raise RecordingError(f"{path} was written meanwhile: try again")


class DerivedFile:
    """`with` this: the file at `out`, which must not exist, made from the recording `source`.

    how: the command that makes it. n: the number of the last line. Raises SessionNameError and
    ConfigurationError for a bad name, RecordingError if it cannot be written or is there already.
    """

    def __init__(self, out: Path, source: Path, how: str, clock: Clock) -> None:
        if out.suffix != SUFFIX:
            raise ConfigurationError(f"a recording's name must end in {SUFFIX}: {out.name!r}")
        self._name = check_session_name(out.name.removesuffix(SUFFIX))
        self._out = out
        self._part = out.with_name(f"{out.name}.{secrets.token_hex(8)}.part")
        self._source = source
        self._how = how
        self._clock = clock
        self.n = 0

    def __enter__(self) -> Self:
        if os.path.lexists(self._out):
            raise self._is_there()
        try:
            fd = create_file(self._part)
        except OSError as error:
            raise self._cannot(error) from error
        self._file = os.fdopen(fd, "wb", buffering=_BUFFER_BYTES)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._file.flush()
                sync_file(self._file.fileno())
                self._publish()
        except FileExistsError:
            raise self._is_there() from None
        except OSError as problem:
            raise self._cannot(problem) from problem
        finally:
            for leave in (self._file.close, self._part.unlink):
                with suppress(OSError):  # a file that could not be written is not needed
                    leave()

    def header(self, old: Mapping[str, Any]) -> None:
        """Write the first line: the old one's content, this file's name, and its origin."""
        meta = old.get("meta")
        kept = cast("dict[str, Any]", meta).copy() if isinstance(meta, dict) else {}
        origin = {
            "how": self._how,
            "file": self._source.name,
            "session": old.get("session"),
            "library": old.get("library"),
            "sha256": self._digest(),
            "at": timestamp(self._clock.wall()),
        }
        if "derived_from" in kept:
            origin["derived_from"] = kept["derived_from"]
        fields = {
            "type": "session",
            "vesselog": FORMAT_VERSION,
            "session": self._name,
            "crc32": True,
            "library": VERSION,
            "meta": {**kept, "derived_from": origin},
        }
        unknown = {key: value for key, value in old.items() if key not in _OF_THE_FILE}
        self._put(build_line({**fields, **unknown}, exact=old.get("exact") is True))

    def line(self, fields: Mapping[str, Any]) -> None:
        """Write a line with a new number and check."""
        self.n += 1
        kept = {key: value for key, value in fields.items() if key not in _OF_THE_LINE}
        numbered = {"type": fields["type"], "n": self.n, **kept}
        self._put(build_line(numbered, exact=fields.get("exact") is True))

    def raw_line(self, line: bytes) -> None:
        """Write a line that was built with the number `n` + 1."""
        self.n += 1
        self._put(line)

    def _put(self, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError as error:
            raise self._cannot(error) from error

    def _publish(self) -> None:
        """Give the file its name, unless another file has got it meanwhile. Raises OSError."""
        try:
            os.link(self._part, self._out)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links (exFAT)
            if os.path.lexists(self._out):
                raise FileExistsError from None
            self._part.rename(self._out)
        try:
            sync_folder(self._out.parent)
        except OSError:
            self._out.unlink()
            raise

    def _is_there(self) -> RecordingError:
        return RecordingError(f"{self._out} exists already; nothing was written")

    def _cannot(self, error: OSError) -> RecordingError:
        return RecordingError(f"cannot write {self._out}: {error.strerror}")

    def _digest(self) -> str:
        digest = sha256()
        with open_recording(self._source) as file:
            while data := file.read(_BUFFER_BYTES):
                digest.update(data)
        return digest.hexdigest()
