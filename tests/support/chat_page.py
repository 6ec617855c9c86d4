"""The chat example as a process of its own, and a model that tells its story as a test says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pages import ROOT
from patience import PATIENCE

__all__ = ["served_by_command"]


@contextmanager
def served_by_command(
    folder: Path, *arguments: str, example: str = "fastapi_chat", port: int = 0, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run uvicorn in `folder`; gives the process and its URL. It is killed at the end."""
    where = ROOT / "examples" / example
    command = ["uvicorn", "--app-dir", str(where), "app:app", "--port", str(port), *arguments]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", *command],
        cwd=folder,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            log = ""
            for line in process.stderr:
                log += line
                if found := re.search(r"running on (http://[\d.:]+)", line):
                    break
            else:
                raise AssertionError(log)
            yield process, found[1]
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE)
