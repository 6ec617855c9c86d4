"""The clients run on any asyncio event loop: each async test of the core runs on uvloop too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loops that async tests run on, by the name in their id."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    try:
        import uvloop
    except ImportError:  # Windows has none, nor has the environment of the wheel's tests in CI
        return factories
    return {**factories, "uvloop": uvloop.new_event_loop}
