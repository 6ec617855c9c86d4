"""The command line, one file per command. What each of them writes where is said in output.py."""

from __future__ import annotations

from .entry import main

__all__ = ["main"]
