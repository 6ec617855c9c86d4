"""`vesselog new-vessel`: the beginning of a vessel, as a package of its own.

What is written is the vessel of docs/writing-a-vessel.md under another name: whole, and with tests
that pass as they are, to be changed bit by bit into that of a real provider.
"""

from __future__ import annotations

import argparse
import re
from importlib.resources import files
from pathlib import Path

from .arguments import Commands
from .exit_status import ExitStatus
from .output import print_note, write

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
        help="begin a vessel for another provider",
        description="Write the beginning of a vessel into a new folder, vesselog-NAME: a package "
        "with a working vessel for a made-up provider, bodies, and tests that pass. "
        "docs/writing-a-vessel.md tells how to go on.",
    )
    parser.add_argument(
        "name", metavar="NAME", help="what stands before the / of its models: lower case, as lab"
    )
    parser.add_argument(
        "--into", metavar="DIR", type=Path, default=Path(), help="where the folder is made (here)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the files, and name them."""
    from ..core.errors import ConfigurationError
    from ..core.registry import installed_vessels

    name: str = arguments.name
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"a vessel cannot be named {name!r}: lower case letters, digits and single -, as my-lab"
        )
    if name in installed_vessels():
        raise ConfigurationError(f"there is a vessel named {name!r} already")
    folder: Path = arguments.into / f"vesselog-{name}"
    if folder.exists():
        raise ConfigurationError(f"{folder} is there already: nothing was written")
    skeleton = files(__package__ or "").joinpath("skeleton")
    for source, target in _FILES.items():
        path = folder / _renamed(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Under another ending in the library: none of it is a module of the command line's own.
        text = skeleton.joinpath(f"{source}.txt").read_text("utf-8")
        path.write_text(_renamed(text, name), "utf-8", newline="\n")
        write(f"{path}\n")
    print_note(f"next: cd {folder} && pytest, then pip install --editable . and vesselog vessels")
    return ExitStatus.OK


def _renamed(text: str, name: str) -> str:
    """The skeleton's words with the new name in all its forms."""
    module = name.replace("-", "_")
    for old, new in {
        "_harbour": f"_{module}",
        "HARBOUR": module.upper(),
        "Harbour": "".join(word.capitalize() for word in name.split("-")),
        "harbour": name,
    }.items():
        text = text.replace(old, new)
    return text
