"""The settings of a client: their defaults, which come from practice, and their checks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, cast, get_args

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from .errors import ConfigurationError
from .vessel import WireRequest

__all__ = [
    "LARGEST_META",
    "Durability",
    "Limits",
    "Retries",
    "Timeouts",
    "absolute_path",
    "check_arguments",
    "check_exclusive",
    "check_lock_wait",
    "check_meta",
    "check_setting",
    "check_unknown",
    "level_of",
]

# Bytes of JSON. Every request line repeats it, and reopening a session reads it.
LARGEST_META = 16 * 1024

Durability = Literal["process", "interval", "power"]
"""What the recording of a chunk survives once the caller has the chunk.

- "process": the death of the process, also by kill -9. A power cut may take the last seconds.
- "interval": a power cut too, except for the last 50 ms and the time that the disk takes to sync.
- "power": a power cut too, without any loss.
"""

_Seconds = Annotated[float, Field(ge=0)]
_Count = Annotated[int, Field(ge=0)]
_AtLeastOne = Annotated[int, Field(ge=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            name = str(problem["loc"][0])
            known = ", ".join(cls.model_fields)
            reason = (
                f"{cls.__name__} has the settings {known}"
                if problem["type"] == "extra_forbidden"
                else problem["msg"]
            )
            raise ConfigurationError(
                f"{cls.__name__}({name}={problem['input']!r}): {reason}", setting=name
            ) from None


class Timeouts(_Settings):
    """Deadlines in seconds. None means no limit; `grace` and `drain` must be numbers.

    Attributes:
        connect: For opening the connection, TLS included.
        write: For sending each part of the request.
        pool: For a free connection, when all `max_connections` are in use.
        first_chunk: From the request to the first data; a cold model may load for minutes.
        idle: Between two pieces of data; keep-alive comments do not count. It still holds after a
            finish reason, until the usage or the dialect's terminator has come.
        total: For the whole call, without its retries.
        grace: After the finish reason and the usage, for the terminator.
        drain: After the terminator, for the end of the body, so that the connection can be used
            again.

    Given to a single call, the fields left out keep the client's values.
    """

    connect: _Seconds | None = 10.0
    write: _Seconds | None = 30.0
    pool: _Seconds | None = 5.0
    first_chunk: _Seconds | None = 300.0
    idle: _Seconds | None = 300.0
    total: _Seconds | None = None
    grace: _Seconds = 2.0
    drain: _Seconds = 0.1

    def over(self, others: Timeouts) -> Timeouts:
        """These timeouts, in seconds; fields that were not given are taken from `others`."""
        return others.model_copy(update=self.model_dump(exclude_unset=True))


class Limits(_Settings):
    """Limits of a client: its connections, and the size of a frame.

    Attributes:
        max_connections: Connections in use at once, over all servers.
        max_keepalive: How many idle connections are kept for reuse; with `fast`, all are.
        keepalive_expiry: Seconds that an idle connection is kept.
        max_frame_bytes: Bytes of the largest frame that is read; an image in an answer is one
            frame. A larger one is a ProtocolError.
    """

    max_connections: _AtLeastOne = 1000
    max_keepalive: _Count = 20
    keepalive_expiry: _Seconds = 30.0
    max_frame_bytes: _AtLeastOne = 32 * 1024 * 1024


class Retries(_Settings):
    """How often and how soon a failed request is sent again.

    Attributes:
        count: How often a failed request is sent again, at most.
        backoff: Seconds before the first retry, doubled for each further one, with up to a quarter
            taken off at random so that many clients do not come back together.
        longest: The most seconds ever waited, also where the server's Retry-After asks for more.
    """

    count: _Count = 2
    backoff: _Seconds = 0.5
    longest: _Seconds = 60.0


_Kind = TypeVar("_Kind", bound=_Settings)

# What a bare number in place of these settings most likely means.
_MEANT: dict[type[_Settings], str] = {
    Timeouts: "total",
    Limits: "max_connections",
    Retries: "count",
}


# Settings of other libraries' clients, and where their values belong here.
_MISTAKEN = {
    "api_key": "a key belongs to a vessel: set the variable that the vessel names "
    "(OPENAI_API_KEY …), or write vessels={'lab': vesselog.vessels.OpenAI(api_key=…)}",
    "base_url": "an address belongs to a vessel: set the variable that the vessel names "
    "(OPENAI_BASE_URL, OLLAMA_HOST …), or write "
    "vessels={'lab': vesselog.vessels.OpenAI(base_url=…)}",
    "timeout": "write timeouts=vesselog.Timeouts(total=…); its fields are connect, first_chunk, "
    "idle, total and others",
    "max_retries": "write retries=vesselog.Retries(count=…)",
}


# The types of arguments (of those that are texts here, a method that they have), and what to give.
_ARGUMENTS: dict[str, tuple[type | tuple[type, ...] | str, str]] = {
    "clock": ("wall", "a vesselog.core.clock.Clock"),
    "environment": (Mapping, "a dict of variables, such as os.environ"),
    "exclusive": (bool, "True or False"),
    "fast": (bool, "True, False or None"),
    "headers": (Mapping, "a dict of names and values, such as {'x-team': 'a'}"),
    "http2": (bool, "True or False"),
    "meta": (Mapping, "a dict of JSON values"),
    "model": (str, "an address, vessel/model, such as 'ollama/qwen3:1.7b'"),
    "recordings": ((str, os.PathLike), "the path of a folder, or None"),
    "replay": ((str, os.PathLike), "the path of a recording, or of a folder of them"),
    "request": (WireRequest, "a vesselog.WireRequest"),
    "ssl_context": ("wrap_bio", "an ssl.SSLContext"),
    "vessel": (str, "the name of a vessel, such as 'ollama'"),
    "vessels": (Mapping, "a dict of vessels by their names, such as {'lab': Ollama(…)}"),
}
_NEEDED = frozenset({"clock", "exclusive", "model", "request", "vessel"})  # others may be None


def check_arguments(**given: object) -> None:
    """Raise ConfigurationError, with what to give, for an argument of another type.

    It does not repeat the value, which may be secret.
    """
    for name, value in given.items():
        kind, wanted = _ARGUMENTS[name]
        if value is None and name not in _NEEDED:
            continue
        if not (hasattr(value, kind) if isinstance(kind, str) else isinstance(value, kind)):
            reason = f"{name} must be {wanted}, not {type(value).__name__}"
            raise ConfigurationError(reason, setting=name)


def check_unknown(names: Iterable[str]) -> None:
    """Raise ConfigurationError, with what to write, for settings that a client does not have."""
    for name in names:
        advice = _MISTAKEN.get(name, "see help(vesselog.Client) for the settings there are")
        raise ConfigurationError(f"a client has no setting {name}: {advice}", setting=name)


def check_setting(name: str, value: object, kind: type[_Kind]) -> _Kind:
    """The value of a client's setting, or its default for None.

    Raises ConfigurationError, with what to write, for a value of another type.
    """
    if value is None:
        return kind()
    if not isinstance(value, kind):
        fields = cast("Any", value) if isinstance(value, dict) else {_MEANT[kind]: value}
        written = ", ".join(f"{field}={given!r}" for field, given in fields.items())
        raise ConfigurationError(
            f"{name}={value!r} must be a {kind.__name__}: write "
            f"{name}=vesselog.{kind.__name__}({written})",
            setting=name,
        )
    return value


def check_meta(meta: object, shared: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `shared` with the keys of `meta`, which may be None, over it.

    Raises ConfigurationError for what is not JSON, or is more than `LARGEST_META` bytes of it.
    """
    check_arguments(meta=meta)
    merged = {**shared, **cast("Mapping[str, Any]", meta or {})}
    try:
        text = orjson.dumps(merged)
    except TypeError as error:
        raise ConfigurationError(f"meta must hold JSON values: {error}", setting="meta") from None
    if len(text) > LARGEST_META:
        raise ConfigurationError(
            f"meta has {len(text):,} bytes of JSON; {LARGEST_META:,} is the limit", setting="meta"
        )
    copied: dict[str, Any] = orjson.loads(text)
    if copied != merged:  # orjson writes NaN as null, and dates and enumerations as text
        raise ConfigurationError(
            "meta must hold JSON values: dicts, lists, strings, finite numbers, booleans and None",
            setting="meta",
        )
    return copied


def check_lock_wait(seconds: object) -> float:
    """The seconds. Raises ConfigurationError if that is no time to wait."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 1e9:
        raise ConfigurationError(
            f"lock_wait={seconds!r} must be a number of seconds up to a billion, 0 for not waiting",
            setting="lock_wait",
        )
    return seconds


def level_of(name: str) -> Durability:
    """The durability level of this name. Raises ConfigurationError."""
    if name in get_args(Durability):
        return cast("Durability", name)
    raise ConfigurationError(
        f'there is no durability {name!r}: choose "process", "interval" or "power"',
        setting="durability",
    )


def check_exclusive(exclusive: object, session: str | None) -> None:
    """Raise ConfigurationError unless this is a bool, and False where the session has no name."""
    check_arguments(exclusive=exclusive)
    if exclusive and session is None:
        raise ConfigurationError("exclusive=True needs a session=", setting="exclusive")


def absolute_path(setting: str, path: str | os.PathLike[str]) -> Path:
    """The path, from the working folder. Raises ConfigurationError where that was deleted."""
    try:
        return Path(path).absolute()
    except FileNotFoundError:
        raise ConfigurationError(
            f"the working folder was deleted: give {setting} an absolute path", setting=setting
        ) from None
