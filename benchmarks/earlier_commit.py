"""An earlier commit of this library, unpacked so that it can be measured beside the present code.

It is imported from a temporary folder and uses the packages that are installed now, so both run on
the same Python and the same versions of everything else.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["EarlierCommitError", "unpacked"]

_ROOT = Path(__file__).resolve().parents[1]


class EarlierCommitError(Exception):
    """The commit cannot be measured; the message says why."""


@contextmanager
def unpacked(commit: str) -> Generator[Path]:
    """A folder from which Python imports `vesselog` as of this commit.

    Raises EarlierCommitError if git does not have the commit, or Python does not import it.
    """
    with tempfile.TemporaryDirectory(prefix="vesselog-bench-") as name:
        source, packages = Path(name, "source"), Path(name, "packages")
        _extract(commit, source)
        _arrange(source, packages)
        _check(commit, packages)
        yield packages


def _extract(commit: str, folder: Path) -> None:
    if commit.startswith("-"):
        raise EarlierCommitError(f"{commit!r} is no commit")
    try:
        done = subprocess.run(
            ["git", "-C", str(_ROOT), "archive", "--format=tar", commit],
            check=True,
            capture_output=True,
        )
    except OSError as error:
        raise EarlierCommitError(f"git does not run: {error}") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise EarlierCommitError(f"git has no commit {commit!r}: {said}") from None
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _arrange(source: Path, packages: Path) -> None:
    """Lay the folders out as they are installed: its pyproject.toml says where each belongs."""
    setup = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))
    places: dict[str, str] = setup["tool"]["setuptools"]["package-dir"]
    for package, folder in sorted(places.items()):
        target = packages.joinpath(*package.split("."))
        shutil.copytree(source / folder, target, dirs_exist_ok=True)


def _check(commit: str, packages: Path) -> None:
    program = "import vesselog, vesselog.vessels; print(vesselog.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(packages)},
        text=True,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:]
        raise EarlierCommitError(f"commit {commit} cannot be imported: {' '.join(said)}")
    if not Path(done.stdout.strip()).is_relative_to(packages):
        raise EarlierCommitError(f"Python imports {done.stdout.strip()}, not commit {commit}")
