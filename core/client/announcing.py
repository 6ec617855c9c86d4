"""Tells a stream that all that came was handed out, and its connection is read for more."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

__all__ = ["READ_LISTENER"]

READ_LISTENER: ContextVar[Callable[[], None] | None] = ContextVar(
    "vesselog_read_listener", default=None
)
"""Set in the task that reads an answer; called by its connection, and may raise to end the reading.

A connection that several streams share calls nobody: whose answer comes next is not known.
"""
