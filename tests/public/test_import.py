"""What an import of the library does, each in an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from house import DEPENDENCIES, EXTRAS, MADE_OF_EXTRAS, ROOMS, module_name, sources
from patience import PATIENCE

POSIX_ONLY = {"fcntl", "grp", "pwd", "resource", "termios"}

# Makes modules look as if they were not installed.
HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"{{name}} is hidden", name=name)
sys.meta_path.insert(0, Hide())
for name in {hidden!r}:
    sys.modules.pop(name, None)
"""


def run(code: str, folder: Path) -> str:
    """What this code prints in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def everything_but(*rooms: str) -> str:
    """Code that imports every module outside these rooms, but for those made of an extra."""
    paths = sources(*[room for room in ROOMS if room not in rooms])
    programs = {path for path in paths if path.stem == "__main__"}
    names = [module_name(path) for path in paths if path not in programs | MADE_OF_EXTRAS]
    assert "vesselog.core.chunk" in names
    return "\n".join(f"import {name}" for name in names)


def test_importing_vesselog_pulls_in_no_extra(tmp_path: Path) -> None:
    """Beyond what its dependencies pull in by themselves (httpx loads rich where there is rich)."""
    show = "import json, sys; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    already = set(json.loads(run(f"import {', '.join(sorted(DEPENDENCIES))}; {show}", tmp_path)))
    loaded = set(json.loads(run(f"import vesselog; {show}", tmp_path)))
    assert "vesselog" in loaded
    assert loaded & EXTRAS <= already


@pytest.mark.parametrize("hidden", [EXTRAS, POSIX_ONLY], ids=["extras", "posix"])
def test_every_module_imports_without(hidden: set[str], tmp_path: Path) -> None:
    """The extras are optional; Windows has no fcntl, and nothing may need it before a lock."""
    hide = HIDE.format(hidden=hidden)
    run(hide + everything_but("testing"), tmp_path)
    for name in hidden:
        with pytest.raises(AssertionError, match=f"{name} is hidden"):
            run(f"{hide}import {name}", tmp_path)
