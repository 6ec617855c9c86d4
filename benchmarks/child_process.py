"""Runs one measurement in a process of its own, and takes its figures back as JSON.

A measuring module is a script: it calls `serve` with its functions by name. The parent calls
`measure` with the script, the function's name and its settings.
"""

from __future__ import annotations

import json
import os
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
    """A measurement failed; the message is the end of what its process wrote to stderr."""


def measure(
    script: str,
    name: str,
    settings: Mapping[str, Any],
    *,
    python: str | None = None,
    import_from: Path | None = None,
) -> Figures:
    """The figures of one measurement. Raises ChildError.

    python: another interpreter than this one. import_from: a folder in which packages are looked
    for before the installed ones.
    """
    environment = dict(os.environ)
    if import_from is not None:
        environment["PYTHONPATH"] = str(import_from)
    what = f"{script} {name} {settings}"
    try:
        done = subprocess.run(
            [python or sys.executable, str(_HERE / script), name, json.dumps(dict(settings))],
            check=False,
            capture_output=True,
            env=environment,
            timeout=_SECONDS,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise ChildError(f"{what} was not done after {_SECONDS} s") from None
    except OSError as error:
        raise ChildError(f"{what} did not start: {error}") from None
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise ChildError(f"{what} ended with {done.returncode}:\n{tail}")
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
