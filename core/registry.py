"""Finds vessels by name through entry points, the built-in ones like those of other packages.

A package offers a vessel in its metadata: group `vesselog.vessels`, name = "package.module:Class".
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from .errors import ConfigurationError, UnknownVesselError
from .nearest import did_you_mean

if TYPE_CHECKING:
    from .vessel import Vessel

__all__ = ["dialect", "find_vessel", "installed_vessels"]

GROUP = "vesselog.vessels"


@cache
def installed_vessels() -> dict[str, EntryPoint]:
    """The vessels of all installed packages, by name.

    Raises ConfigurationError if two packages claim one name: either would then get the other's key.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = found.get(entry.name)
        if other is not None and other.value != entry.value:
            raise ConfigurationError(
                f"two packages offer a vessel named {entry.name!r}: {_owner(other)} and "
                f"{_owner(entry)}; uninstall one of them"
            )
        found[entry.name] = entry
    return found or _without_metadata()


def find_vessel(name: str) -> type[Vessel]:
    """The class of the vessel with this name. Raises UnknownVesselError if there is none."""
    installed = installed_vessels()
    if name not in installed:
        raise UnknownVesselError(
            f"there is no vessel named {name!r}; known are {', '.join(sorted(installed))}"
            f"{did_you_mean(name, installed)}"
        )
    vessel: type[Vessel] = installed[name].load()
    return vessel


@cache
def dialect(name: str) -> Vessel:
    """The vessel with this name, without any configuration: for what only needs its dialect."""
    return find_vessel(name)()


def _without_metadata() -> dict[str, EntryPoint]:
    """The built-in vessels, for applications frozen into one file without package metadata."""
    package = __name__.removesuffix(".core.registry") + ".vessels"
    built_in: dict[str, type[Vessel]] = import_module(package).BUILT_IN
    return {
        name: EntryPoint(name, f"{vessel.__module__}:{vessel.__qualname__}", GROUP)
        for name, vessel in built_in.items()
    }


def _owner(entry: EntryPoint) -> str:
    return f"{entry.dist.name} ({entry.value})" if entry.dist else entry.value
