"""The chat example, which also tells what its process holds: `GET /watch`.

Run by uvicorn: watched_chat:app, with the example's folder as CHAT_EXAMPLE.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["CHAT_EXAMPLE"])

from app import app as chat

__all__ = ["app"]


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope.get("path") != "/watch":
        await chat(scope, receive, send)
        return
    gc.collect()
    told = json.dumps(
        {"tasks": len(asyncio.all_tasks()), "objects": len(gc.get_objects()), **_held()}
    )
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told.encode()})


def _held() -> dict[str, Any]:
    """Of this process: open descriptors, bytes of memory, seconds of CPU."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return {
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "cpu": time.process_time(),
    }
