"""Runs of pytest inside this one.

pytester forgets the modules that a run imports. Those that are slow to import, or are held by
others that stay, are imported here: two copies of starlette do not understand each other.
"""

from __future__ import annotations

import fastapi
import ollama
import openai
import starlette.testclient
import uvicorn

import vesselog.server.event_stream
import vesselog.testing.faults
import vesselog.testing.ground_truth
import vesselog.testing.loopback

__all__ = ["LOADED", "OPTIONS"]

LOADED = (
    *(fastapi, ollama, openai, starlette.testclient, uvicorn, vesselog.server.event_stream),
    *(vesselog.testing.faults, vesselog.testing.ground_truth, vesselog.testing.loopback),
)
OPTIONS = (
    *("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "error", "-o", "asyncio_mode=auto"),
    *("-o", "asyncio_default_fixture_loop_scope=function", "-o", "pythonpath=."),
)
