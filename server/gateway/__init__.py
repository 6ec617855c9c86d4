"""Stands between programs and their model servers, and records every answer before it passes on.

`Gateway` needs the `server` extra.
"""

from __future__ import annotations

from .gateway import Gateway

__all__ = ["Gateway"]
