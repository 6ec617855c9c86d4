"""The settings of `vesselog serve`: from a TOML file, and from the command line, which wins."""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..core.errors import ConfigurationError
from ..core.nearest import did_you_mean
from ..core.settings import Durability
from ..core.validation import explain
from ..core.vessel import Vessel
from .arguments import RECORDINGS
from .serve import PORT

__all__ = ["ServeSettings", "UpstreamSettings", "read_settings"]

_TOKEN_VARIABLE = "VESSELOG_TOKEN"  # noqa: S105 - a variable's name
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class UpstreamSettings(_Strict):
    """A model server.

    api_key_env: the environment variable that holds its key. max_tokens: the most tokens of an
    answer where a request does not say it, for vessels that need it.
    """

    vessel: str
    base_url: str | None = None
    api_key_env: str | None = None
    max_tokens: int | None = Field(default=None, ge=1)

    def make(self, name: str) -> Vessel:
        """The vessel. Raises ConfigurationError."""
        from ..core.errors import UnknownVesselError
        from ..core.registry import find_vessel

        try:
            kind, key = find_vessel(self.vessel), self._key(name)
        except UnknownVesselError as error:
            named = f"; give NAME=VESSEL, as {name}=ollama" if name == self.vessel else ""
            raise ConfigurationError(f"upstreams.{name}.vessel: {error.message}{named}") from None
        if self.max_tokens is None:
            return kind(base_url=self.base_url, api_key=key)
        if "max_tokens" not in signature(kind).parameters:
            raise ConfigurationError(
                f"upstreams.{name}.max_tokens: the vessel {self.vessel} has no such setting"
            )
        return kind(base_url=self.base_url, api_key=key, max_tokens=self.max_tokens)  # type: ignore[call-arg]

    def _key(self, name: str) -> str | None:
        variable = self.api_key_env
        if variable is None:
            return None
        # A key given in place of the variable's name must not be shown.
        if not _VARIABLE.fullmatch(variable):
            raise ConfigurationError(
                f"upstreams.{name}.api_key_env must be the name of a variable, never the key itself"
            )
        if not os.environ.get(variable):
            shown = f" {variable}" if "_" in variable else ""
            raise ConfigurationError(
                f"upstreams.{name}.api_key_env: the environment variable{shown} is not set"
            )
        return os.environ[variable]


class ServeSettings(_Strict):
    """All settings, with their defaults. docs/gateway.md explains them."""

    upstreams: dict[str, UpstreamSettings] = {}
    host: str = "127.0.0.1"
    port: int = Field(default=PORT, ge=0, le=65_535)
    recordings: Path | None = Field(default=None, strict=False)
    durability: Durability = "process"
    session_from: str | None = None
    timeouts: dict[str, float | None] = {}
    token_file: Path | None = Field(default=None, strict=False)
    allow_host: tuple[str, ...] = Field(default=(), strict=False)
    allow_origin: tuple[str, ...] = Field(default=(), strict=False)
    max_body_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    max_total_body_bytes: int | None = Field(default=None, ge=1)
    max_requests: int = Field(default=1_000, ge=1)
    stop_within: float = Field(default=5.0, ge=0)
    replay: tuple[Path, ...] = Field(default=(), strict=False)
    speed: Annotated[float, BeforeValidator(lambda speed: 0.0 if speed == "max" else speed)] = (
        Field(default=1.0, ge=0, allow_inf_nan=False)
    )
    match: Literal["strict", "messages", "order", "route"] = "strict"
    repeat: bool = False
    record_missing: bool = False

    @property
    def asks(self) -> bool:
        """Whether upstreams are asked, and their answers recorded."""
        return bool(self.upstreams) and (self.record_missing or not self.replay)

    @property
    def folder(self) -> Path:
        """Where to record: what was missing in a replay is recorded to what is replayed."""
        if self.recordings is not None:
            return self.recordings
        folders = (each for each in self.replay if each.suffix != ".jsonl")
        return next(folders, RECORDINGS)

    def token(self) -> str | None:
        """From the file, or else from VESSELOG_TOKEN. Raises ConfigurationError."""
        if self.token_file is None:
            return os.environ.get(_TOKEN_VARIABLE) or None
        try:
            token = self.token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(
                f"cannot read the token file {self.token_file}: {reason}"
            ) from None
        if not token:
            raise ConfigurationError(f"the token file {self.token_file} is empty")
        return token


def read_settings(arguments: argparse.Namespace) -> ServeSettings:
    """The settings of this command line. Raises ConfigurationError, which names the key."""
    given = {
        name: getattr(arguments, name)
        for name in ServeSettings.model_fields
        if getattr(arguments, name, None) is not None
    }
    if arguments.timeout:
        given["timeouts"] = dict(arguments.timeout)
    if arguments.upstream:
        given["upstreams"] = {name: dict(fields) for name, fields in arguments.upstream}
        if len(given["upstreams"]) < len(arguments.upstream):
            names = [name for name, _ in arguments.upstream]
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigurationError(
                f"two upstreams have the name {twice!r}: give NAME=VESSEL, with a name for each",
                setting="upstreams",
            )
    file: Path | None = arguments.config
    stated = {} if file is None else _read_file(file)
    merged = {**stated, **given}
    for name, variable in arguments.api_key_env:
        try:
            merged["upstreams"][name]["api_key_env"] = variable
        except (KeyError, TypeError):
            told = f"--api-key-env {name}: there is no upstream of this name"
            raise ConfigurationError(told) from None
    try:
        settings = ServeSettings.model_validate(merged)
    except ValidationError as error:
        where = "" if file is None else f"{file}: "
        unknown = (each["loc"][-1] for each in error.errors() if each["type"] == "extra_forbidden")
        known = (*ServeSettings.model_fields, *UpstreamSettings.model_fields)
        meant = did_you_mean(str(next(unknown, "")), known)
        raise ConfigurationError(f"{where}{explain(error)}{meant}") from None
    _check(settings)
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    try:
        stated = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    # Paths in a file are meant from where the file is.
    for name in ("recordings", "token_file"):
        if isinstance(stated.get(name), str):
            stated[name] = path.parent / stated[name]
    if isinstance(stated.get("replay"), str):
        stated["replay"] = [stated["replay"]]
    if isinstance(stated.get("replay"), list):
        stated["replay"] = [
            path.parent / each if isinstance(each, str) else each for each in stated["replay"]
        ]
    return stated


def _check(settings: ServeSettings) -> None:
    """Raise ConfigurationError for settings that do not go together."""
    if not settings.replay:
        if not settings.upstreams:
            raise ConfigurationError(
                "give an upstream, for example --upstream local=ollama, or --replay FOLDER"
            )
        for name in ("record_missing", "match", "repeat", "speed"):
            if name in settings.model_fields_set:
                raise ConfigurationError(f"{name} is a setting of replay: give --replay FOLDER")
    elif settings.record_missing and not settings.upstreams:
        raise ConfigurationError("record_missing needs an upstream to ask: give --upstream")
