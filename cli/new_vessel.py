"""`vesselog new-vessel`: writes a package with a vessel to start from.

It is the vessel of docs/writing-a-vessel.md under another name. It works and its tests pass, so
that you can change it step by step into that of a real provider.
"""

from __future__ import annotations

import argparse
import re
from importlib.resources import files
from pathlib import Path

from .arguments import Commands
from .exit_status import ExitStatus
from .output import print_line, print_note

__all__ = ["add"]

# Where each file of the skeleton goes.
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "vesselog_harbour.py": "vesselog_harbour.py",
    "test_harbour.py": "tests/test_harbour.py",
    "hello.sse": "tests/bodies/hello.sse",
    "hello.expected.json": "tests/bodies/hello.expected.json",
    "failed.sse": "tests/bodies/failed.sse",
    "failed.expected.json": "tests/bodies/failed.expected.json",
    "whole.json": "tests/bodies/whole.json",
    "whole.expected.json": "tests/bodies/whole.expected.json",
    "busy.503.json": "tests/bodies/busy.503.json",
}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "new-vessel",
        help="write a package with a vessel to start from",
        description="Write a package into a new folder, vesselog-NAME: a working vessel for a "
        "made-up provider, bodies, and tests that pass. Change it into yours as "
        "docs/writing-a-vessel.md describes.",
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        help="the part before the / in a model's address, in lower case: lab",
    )
    parser.add_argument(
        "--into",
        metavar="DIR",
        type=Path,
        default=Path(),
        help="where to make the folder (default: here)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the files and print their names."""
    from ..core.errors import ConfigurationError
    from ..core.registry import installed_vessels

    name: str = arguments.name
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"a vessel cannot be named {name!r}: use lower case letters, digits and single -, "
            "as in my-lab"
        )
    if name in installed_vessels():
        raise ConfigurationError(f"there is already a vessel named {name!r}")
    folder: Path = arguments.into / f"vesselog-{name}"
    if folder.exists():
        raise ConfigurationError(f"{folder} already exists: nothing was written")
    skeleton = files(__package__ or "").joinpath("skeleton")
    for source, target in _FILES.items():
        path = folder / _renamed(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # The files end in .txt in the library, so that they are not modules of the command line.
        text = skeleton.joinpath(f"{source}.txt").read_text("utf-8")
        path.write_text(_renamed(text, name), "utf-8", newline="\n")
        print_line(str(path))
    print_note(f"next: cd {folder} && pytest, then pip install --editable . and vesselog vessels")
    return ExitStatus.OK


def _renamed(text: str, name: str) -> str:
    """The text with the new name in all its forms."""
    module = name.replace("-", "_")
    for old, new in {
        "_harbour": f"_{module}",
        "HARBOUR": module.upper(),
        "Harbour": "".join(word.capitalize() for word in name.split("-")),
        "harbour": name,
    }.items():
        text = text.replace(old, new)
    return text
