"""A recording that is being written, seen from outside: by reading its file, as anyone could."""

from __future__ import annotations

from pathlib import Path

from .sizes import bytes_in_words

__all__ = ["GrowingFile"]


class GrowingFile:
    """The file at `path` as far as it was looked at.

    lines: how many there were. size: in bytes. example: the last line with
    text in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.size = 0
        self.example = ""
        self._seen: dict[int, int] = {}

    def look(self) -> None:
        """Read what was added since the last look."""
        from ..core.truth.line import parse_line

        with self.path.open("rb") as file:
            file.seek(self.size)
            added = file.read()
        complete, newline, _ = added.rpartition(b"\n")
        self.size += len(complete) + len(newline)
        for line in complete.split(b"\n") if newline else []:
            self.lines += 1
            fields = parse_line(line)
            if fields is None or fields["type"] != "frame":
                continue
            for chunk in fields.get("chunks", ()):
                self._seen[fields["call"]] = chunk["seq"]
                if chunk.get("text", "").strip():
                    self.example = line.decode()

    def has(self, call: int | None, seq: int) -> bool:
        """Whether this chunk of a call was in the file at the last look."""
        return call is not None and self._seen.get(call, -1) >= seq

    @property
    def figure(self) -> str:
        """Its size, for people."""
        return f"{self.lines:>4} lines {bytes_in_words(self.size):>9}"
