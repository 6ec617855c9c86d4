"""Watches a recording grow while it is written, by reading the file as any other program could."""

from __future__ import annotations

from pathlib import Path

from .format_bytes import format_bytes

__all__ = ["RecordingGrowth"]


class RecordingGrowth:
    """How far the recording at `path` had grown when it was last read.

    lines: the number of complete lines. size: their bytes. example: the last line that has text
    in it. call, text: the call that began last, and its text so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.size = 0
        self.example = ""
        self.call = 0
        self.text = ""
        self._last_seq: dict[int, int] = {}  # by call

    def read_new_lines(self) -> None:
        """Read the lines that were added since the last time."""
        from ..core.truth.line import parse_line

        with self.path.open("rb") as file:
            file.seek(self.size)
            added = file.read()
        complete, newline, _ = added.rpartition(b"\n")
        self.size += len(complete) + len(newline)
        for line in complete.split(b"\n") if newline else []:
            self.lines += 1
            fields = parse_line(line)
            if fields is None:
                continue
            if fields["type"] == "request":
                self.call, self.text = fields["call"], ""
            if fields["type"] != "frame":
                continue
            for chunk in fields.get("chunks", ()):
                self._last_seq[fields["call"]] = chunk["seq"]
                self.text += chunk.get("text", "") if fields["call"] == self.call else ""
                if chunk.get("text", "").strip():
                    self.example = line.decode()

    def contains(self, call: int | None, seq: int) -> bool:
        """Whether this chunk of a call was in the file when it was last read."""
        return call is not None and self._last_seq.get(call, -1) >= seq

    @property
    def size_text(self) -> str:
        """The number of lines and bytes, for people."""
        return f"{self.lines:>4} lines {format_bytes(self.size):>9}"
