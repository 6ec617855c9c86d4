"""One client's share of a `vesselog bench`, in a process of its own: its memory is then its own.

Settings come as a JSON line on stdin. JSON lines go to stdout: how far it is, several times a
second, and at the end what it took of the machine. What was streamed is in the recording.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .bench_clients import ASYNC_CLIENTS, SYNC_CLIENTS
from .bench_job import Job

__all__ = ["main"]

# Seconds between two reports of how far it is.
_REPORT = 0.2


def main() -> int:
    """Do what stdin says."""
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    _allow_many_files()
    job = _job(settings)
    over = threading.Event()
    reporter = threading.Thread(target=_report, args=(job, over), daemon=True)
    reporter.start()
    client = settings["client"]
    if client in SYNC_CLIENTS:
        taken = _in_threads(client, job, settings["session"])
    else:
        taken = asyncio.run(_in_loop(client, job, settings["session"]))
    over.set()
    reporter.join()
    _tell(**taken)
    return 0


def _job(settings: dict[str, Any]) -> Job:
    """The job, yet to be warmed up."""
    from ..core.client.plan import Planner
    from ..core.http.proxies import ProxyRules
    from .arguments import configured_vessel

    model, fields = settings["model"], settings["fields"]
    server = argparse.Namespace(base_url=settings["base_url"], api_key_env=settings["api_key_env"])
    vessels = configured_vessel(model.partition("/")[0], server)
    planner = Planner(vessels, os.environ, {}, ProxyRules())
    asked = {**fields, "stream": True}
    return Job(
        model=model,
        fields=fields,
        vessels=vessels,
        plan=planner.chat(model, asked.pop("messages", None), asked, None),
        folder=Path(settings["folder"]),
        name=settings["warm_up"],
        streams=settings["streams"],
        warming=True,
    )


def _in_threads(client: str, job: Job, session: str) -> dict[str, Any]:
    """A thread for each stream."""
    failures: list[BaseException] = []
    with SYNC_CLIENTS[client](job) as ask:

        def stream() -> None:
            try:
                ask()
            except BaseException as failure:  # noqa: BLE001 - raised in the main thread
                failures.append(failure)

        ask()
        job.record_as(session)
        begun = _Begun()
        threads = [threading.Thread(target=stream, daemon=True) for _ in range(job.streams)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = begun.taken(threads=len(threads))
    if failures:
        raise failures[0]
    return taken


async def _in_loop(client: str, job: Job, session: str) -> dict[str, Any]:
    """All streams in one event loop, in one thread."""
    _end_between_steps()
    async with ASYNC_CLIENTS[client](job) as ask:
        await ask()
        job.record_as(session)
        begun = _Begun()
        await asyncio.gather(*(ask() for _ in range(job.streams)))
        return begun.taken(threads=1)


def _end_between_steps() -> None:
    """Have an interrupt cancel this task in a step of the loop of its own.

    asyncio.run's handler cancels in the midst of whatever runs, anyio's callbacks among it.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this runs in one
    with suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)


class _Begun:
    """What the process had taken of the machine when the streams began."""

    def __init__(self) -> None:
        self._memory = _memory()
        self._cpu = time.process_time()
        self._wall = time.monotonic()

    def taken(self, *, threads: int) -> dict[str, Any]:
        """What the streams took."""
        return {
            "cpu": time.process_time() - self._cpu,
            "wall": time.monotonic() - self._wall,
            "threads": threads,
            "memory_before": self._memory,
            "memory": _memory(),
        }


def _report(job: Job, over: threading.Event) -> None:
    with suppress(BrokenPipeError):  # whoever asked was interrupted
        while not over.wait(_REPORT):
            _tell(frames=job.frames)


def _tell(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _memory() -> int | None:
    """The most bytes of memory that this process ever had; None where the system does not tell."""
    # Not Linux's `ru_maxrss`, which begins with what the parent had.
    with suppress(FileNotFoundError), Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _allow_many_files() -> None:
    """A stream takes two files; the soft limit is often 1,024 or less."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        # At once: threads that wait for a server would be waited for.
        os._exit(130)
