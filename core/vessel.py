"""What a vessel is: an adapter for one provider's dialect, without any I/O.

A vessel has three duties: build the HTTP request, name the framing of the answer, and make a
decoder for it. It opens no socket and no file, reads no clock and no environment. See
docs/writing-a-vessel.md.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Never, Self, SupportsIndex

from .chunk import ChunkFields, StreamChunk
from .errors import ConfigurationError, InvalidRequestError, ProviderError
from .frame import Frame
from .framing import Framing
from .jsontext import dumps
from .native import NativeMessages
from .request import ChatRequest, SplitThink

if TYPE_CHECKING:
    from .completion import Completion

__all__ = ["Decoder", "ModelInfo", "Progress", "Reading", "Unpicklable", "Vessel", "WireRequest"]

Reading = Literal["answer", "all", "frames"]
"""How much of an answer is read.

- "answer": to its end, or to the first error in it.
- "all": to the end of the body. After an error, frames are recorded without chunks.
- "frames": to the end of the body. The vessel decodes nothing, and the answer is complete when HTTP
  says that the body is.
"""

# Shorter "keys" are placeholders (EMPTY, ollama, none …): not secret, and common words in answers.
SHORTEST_SECRET = 12


class Unpicklable:
    """What may hold a key or a connection: pickling it raises TypeError, which gives the reason."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Never:
        raise TypeError(
            f"{type(self).__name__} may hold a key and cannot be pickled: create it in the process "
            "that uses it"
        )


class Progress(IntEnum):
    """How much of an answer has arrived, by the rules of its dialect.

    OPEN: if the body ended now, the answer would be truncated. FINISHED: the answer is complete;
    usage may still follow. TERMINATED: the dialect's terminator has arrived.
    """

    OPEN = 0
    FINISHED = 1
    TERMINATED = 2


@dataclass(frozen=True, slots=True)
class WireRequest(Unpicklable):
    """An HTTP request, ready to be sent except for the key.

    Attributes:
        url: The full address.
        body: The JSON value that is sent; None for GET.
        method: The HTTP method.
        headers: Sent in addition to the vessel's own.
        stream: Whether a stream was asked for.
        split_think: As in ChatRequest; for the decoder.
        content: The body's exact bytes, made from `body` unless given.
        model: The model that is asked, by default the body's `model`.
        route: The URL's path in the request key; give it where the path differs for a stream and a
            whole answer.
        reading: How much of the answer is read: "answer", "all" or "frames".
    """

    url: str
    body: dict[str, Any] | None = None
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    stream: bool = True
    split_think: SplitThink = False
    content: bytes = b""
    model: str | None = None
    route: str = ""
    reading: Reading = "answer"

    def __post_init__(self) -> None:
        if self.body is None:
            return
        if not self.content:
            try:
                object.__setattr__(self, "content", dumps(self.body))
            except (TypeError, ValueError, RecursionError) as error:
                reason = f"options and extra_body must hold JSON values only: {error}"
                raise InvalidRequestError(reason) from None
        if self.model is None:
            object.__setattr__(self, "model", self.body.get("model"))

    def __repr__(self) -> str:
        # Its URL and its headers may hold a key.
        return f"WireRequest({self.method!r}, model={self.model!r})"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a server offers. A field that the server does not send is None.

    Attributes:
        name: Its name, as a request gives it.
        size: Its size on the server's disk, in bytes.
        modified: When it was made or changed, in ISO 8601.
        owner: Who made it, as the server says.
    """

    name: str
    size: int | None = None
    modified: str | None = None
    owner: str | None = None


class Decoder(ABC):
    """Turns the frames of one answer into chunk fields, in order. Each call has its own.

    The decoder sets `progress`, which only increases.
    """

    progress: Progress = Progress.OPEN

    @abstractmethod
    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """The chunks in `frame`: none, one or several.

        Raises ProviderError for an error that the frame reports, after the chunks before it in the
        frame; ValueError (as `frame.json()` does) for a frame that is not of the dialect.
        Call `frame.repair(name)` for each deviation that was mended.
        """

    def flush(self, frame: Frame) -> Iterable[ChunkFields]:  # noqa: ARG002 - for subclasses
        """The chunks that the decoder still held back when the body ended.

        Args:
            frame: An empty one, for repairs of the answer as a whole.
        """
        return ()

    def native(self) -> NativeMessages:
        """The assistant's message of each choice so far, in the provider's own form.

        Whole and in order, with every key that the decoder did not know: the next request's
        message, as this vessel's `request` sends it back. Called when the answer has ended, also
        if it was cut. None for a choice of which nothing came.
        """
        return {}


class Vessel(Unpicklable, ABC):
    """A provider adapter. A subclass sets `name`, `version`, `default_base_url`, and the methods.

    Args:
        base_url: The server's address: the host, what is before the routes, or a route's full URL.
        api_key: The key, or a callable that gives it when a request is sent.
        headers: Sent with each request of this vessel.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    default_base_url: ClassVar[str]
    framing: ClassVar[Framing] = Framing.SSE
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Which environment variables give which argument; the first that is set wins."""

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | Callable[[], str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self.headers: dict[str, str] = dict(headers or {})

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return self._base_url or self.default_base_url

    @property
    def api_key(self) -> str | None:
        """The key; if it was given as a callable, that is called each time."""
        key = self._api_key() if callable(self._api_key) else self._api_key
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            raise ConfigurationError(
                f"the {self.name} key contains a space, a line end or another character that keys "
                "do not have: give the key alone"
            )
        return key

    def configured(self, environment: Mapping[str, str]) -> Self:
        """A copy; arguments not given come from those variables of `environment` in `variables`.

        A key from the environment belongs to the server from the environment (or the default one):
        it is not taken where the base URL was given as an argument.
        """
        given = copy.copy(self)
        for argument, names in self.variables.items():
            attribute = f"_{argument}"
            if getattr(self, attribute) is not None:
                continue
            if argument == "api_key" and self._base_url is not None:
                continue
            value = next((environment[name] for name in names if environment.get(name)), None)
            setattr(given, attribute, value)
        return given

    def __copy__(self) -> Self:
        made = type(self).__new__(type(self))
        vars(made).update(vars(self))
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = type(self).__new__(type(self))
        vars(made).update(copy.deepcopy(vars(self), memo))
        return made

    @property
    def default_model(self) -> str | None:
        """The model for an address without one; None if the address must name a model."""
        return None

    def authorization(self, key: str) -> dict[str, str]:
        """The headers that carry `key`."""
        return {"authorization": f"Bearer {key}"}

    @abstractmethod
    def request(self, chat: ChatRequest) -> WireRequest:
        """The HTTP request for `chat`.

        Raises InvalidRequestError for what the dialect cannot express.
        """

    @abstractmethod
    def decoder(self, request: WireRequest) -> Decoder:
        """A fresh decoder for the answer to `request`, streamed or not."""

    @abstractmethod
    def failure(self, status: int, text: str) -> ProviderError:
        """The error for the HTTP error `status`, made from the body's `text`."""

    def read_request(self, route: str, body: Any) -> ChatRequest:
        """The request of this dialect that has this body, for gateways and for history.

        `request` makes an equal body from the result: an assistant's message has its own form in
        `native`, and what ChatRequest has no field for is in `extra_body`.

        Args:
            route: The URL's path, or the URL.
            body: The JSON value.

        Raises:
            InvalidRequestError: The body is not of the dialect; the message names the place.
            NotImplementedError: The vessel does not read requests.
        """
        raise NotImplementedError

    def encode(self, chunk: StreamChunk) -> bytes | None:  # noqa: ARG002 - for subclasses
        """The frame for `chunk` in this dialect, for servers.

        A fresh decoder makes the same chunk from it, except for seq, t and raw. None if the dialect
        cannot express the chunk, or the vessel has no encoder.
        """
        return None

    def chunk_object(self, chunk: StreamChunk) -> dict[str, Any]:
        """`chunk` as the JSON value that is in a frame of this dialect."""
        raise NotImplementedError

    def completion_object(self, completion: Completion) -> dict[str, Any]:
        """`completion` as the JSON value that answers a request without a stream."""
        raise NotImplementedError

    def models_request(self) -> WireRequest | None:
        """The request that lists the server's models, None where there is no such route."""
        return None

    def read_models(self, body: Any) -> list[ModelInfo]:
        """The models in `body`, the parsed answer to `models_request`."""
        raise NotImplementedError

    def version_request(self) -> WireRequest | None:
        """The request that asks for the server's version, None where there is no such route."""
        return None

    def read_version(self, body: Any) -> str:
        """The version in `body`, the parsed answer to `version_request`."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"
