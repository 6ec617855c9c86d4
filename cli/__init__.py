"""The command line, one file per command. output.py explains what goes to stdout and to stderr."""

from __future__ import annotations

from .entry import main

__all__ = ["main"]
