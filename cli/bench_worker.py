"""The process that runs one client for `vesselog bench`, so that its memory can be measured alone.

It reads its settings as one JSON line from stdin and writes JSON lines to stdout: the progress,
several times a second, and at the end the CPU time and memory it used. The answers are in the
recording.
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

# Seconds between two progress lines.
_PROGRESS_INTERVAL = 0.2


def main() -> int:
    """Run the client that stdin names; returns the exit status."""
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    _allow_many_files()
    job = _job(settings)
    over = threading.Event()
    reporter = threading.Thread(target=_report_progress, args=(job, over), daemon=True)
    reporter.start()
    client = settings["client"]
    if client in SYNC_CLIENTS:
        used = _in_threads(client, job, settings["session"])
    else:
        used = asyncio.run(_in_loop(client, job, settings["session"]))
    over.set()
    reporter.join()
    _write_line(**used)
    return 0


def _job(settings: dict[str, Any]) -> Job:
    """The job, in its warm-up phase."""
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
    """Run each stream in its own thread."""
    failures: list[BaseException] = []
    with SYNC_CLIENTS[client](job) as ask:

        def stream() -> None:
            try:
                ask()
            except BaseException as failure:  # noqa: BLE001 - raised again in the main thread
                failures.append(failure)

        ask()
        job.record_as(session)
        meter = _ResourceMeter()
        threads = [threading.Thread(target=stream, daemon=True) for _ in range(job.streams)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = meter.used(threads=len(threads))
    if failures:
        raise failures[0]
    return used


async def _in_loop(client: str, job: Job, session: str) -> dict[str, Any]:
    """Run all streams in one event loop."""
    _cancel_on_interrupt()
    async with ASYNC_CLIENTS[client](job) as ask:
        await ask()
        job.record_as(session)
        meter = _ResourceMeter()
        await asyncio.gather(*(ask() for _ in range(job.streams)))
        return meter.used(threads=1)


def _cancel_on_interrupt() -> None:
    """Cancel this task on SIGINT, from a callback of the event loop.

    asyncio.run's own signal handler cancels while other code runs, for example a callback of anyio.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called inside a task
    with suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)


class _ResourceMeter:
    """Measures what the process uses from the creation of this object on."""

    def __init__(self) -> None:
        self._memory = _memory()
        self._cpu = time.process_time()
        self._wall = time.monotonic()

    def used(self, *, threads: int) -> dict[str, Any]:
        """The fields of a `ResourceUse`."""
        return {
            "cpu": time.process_time() - self._cpu,
            "wall": time.monotonic() - self._wall,
            "threads": threads,
            "memory_before": self._memory,
            "memory": _memory(),
        }


def _report_progress(job: Job, over: threading.Event) -> None:
    with suppress(BrokenPipeError):  # the parent process was interrupted
        while not over.wait(_PROGRESS_INTERVAL):
            _write_line(frames=job.frames)


def _write_line(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _memory() -> int | None:
    """The peak memory of this process in bytes; None if the system does not report it."""
    # On Linux `ru_maxrss` starts with the parent's peak, so it cannot be used there.
    with suppress(FileNotFoundError), Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _allow_many_files() -> None:
    """Raise the limit of open files: a stream needs two, and the soft limit is often 1,024."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        # A normal exit would wait for threads that wait for a server.
        os._exit(130)
