"""Runs one measurement in a process of its own, and takes its figures back as JSON.

A measuring module is a script: it calls `serve` with its functions by name. The parent calls
`measure` with the script, the function's name and its settings.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["ChildError", "Figures", "allow_many_files", "measure", "serve"]

Figures = dict[str, Any]

_HERE = Path(__file__).resolve().parent
# A measurement that takes longer hangs: the slowest of the full run is done in a tenth of it.
_SECONDS = 900


class ChildError(Exception):
    """A measurement failed; the message is the end of what its process said."""


def measure(
    script: str, name: str, settings: Mapping[str, Any], python: str | None = None
) -> Figures:
    """The figures of one measurement, by this interpreter or another. Raises ChildError."""
    done = subprocess.run(
        [python or sys.executable, str(_HERE / script), name, json.dumps(dict(settings))],
        check=False,
        capture_output=True,
        timeout=_SECONDS,
        text=True,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise ChildError(f"{script} {name} {settings} ended with {done.returncode}:\n{tail}")
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def serve(functions: Mapping[str, Callable[..., Figures]]) -> None:
    """In the child: run the function that is asked for, and print its figures."""
    name, settings = sys.argv[1:]
    print(json.dumps(functions[name](**json.loads(settings))), flush=True)


def allow_many_files() -> None:
    """Raise this process's limit of open files as far as it may: a stream takes two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
