"""Azure OpenAI and Azure AI Foundry: the OpenAI dialect at Azure's addresses.

https://learn.microsoft.com/azure/ai-foundry/openai/reference and …/openai/api-version-lifecycle.
Three routes, chosen by the base URL's path and the API version:

    /openai/deployments/DEPLOYMENT/chat/completions?api-version=2024-10-21 a dated version
    /openai/v1/chat/completions                                            none, or `preview`
    /models/chat/completions?api-version=2024-05-01-preview                the URL ends in /models

The first two are OpenAI's API and take its messages; its chat route has max_completion_tokens since
2024-09-01. The third serves models of many makers, and gets max_tokens.

A base URL may be the resource (https://NAME.openai.azure.com), one of these roots, or a full
address; an api-version in its query counts. Anything else before /openai (a gateway's path) stays.

Results of the content filter come as extra fields (`prompt_filter_results`,
`content_filter_results`; with the asynchronous filter `content_filter_offsets` too, in frames
without text) and are kept in `extra`:
https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, cast
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from ..core.errors import ConfigurationError
from ..core.request import ChatRequest
from ..core.vessel import WireRequest
from .base_urls import path_segment, split_base_url
from .openai import OpenAI
from .request_reader import path_of

__all__ = ["Azure", "is_dated"]

_ROUTES = ("/chat/completions", "/completions")
# What the v1 route takes as api-version; every other version is a date.
_UNDATED = ("latest", "preview", "v1")
# https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
_COMPLETION_LIMIT_SINCE = "2024-09-01"


class Azure(OpenAI):
    """An Azure OpenAI or AI Foundry resource.

    The model of an address (azure/MODEL) is the name of its deployment.

    Args:
        base_url: The server's address: the host, the dialect's root, or the full endpoint.
        api_key: The key, or a callable that gives it when a request is sent.
        headers: Sent with each request of this vessel.
        ask_usage: Whether a stream is asked for its token counts.
        deployment: Used for every model, or only for `model` where that is given too.
        model: What the address `azure` without a model asks for.
        api_version: The version of the API, such as "2024-10-21"; without one the v1 route is
            taken, which needs none.
        token: A Microsoft Entra ID token, or a callable that gives one for each request, in place
            of a key.

    Raises:
        ConfigurationError: Both a key and a token are given.
    """

    name = "azure"
    default_base_url = ""
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "api_key": ("AZURE_OPENAI_API_KEY",),
        "token": ("AZURE_OPENAI_AD_TOKEN",),
        "base_url": ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_BASE"),
        "api_version": ("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"),
        "deployment": ("AZURE_OPENAI_DEPLOYMENT",),
        "model": ("AZURE_OPENAI_MODEL",),
    }

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | Callable[[], str] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | Callable[[], str] | None = None,
        api_version: str | None = None,
        deployment: str | None = None,
        model: str | None = None,
        ask_usage: bool | None = None,
    ) -> None:
        if api_key is not None and token is not None:
            raise ConfigurationError("give azure a key or a token, not both", setting="token")
        super().__init__(
            base_url=base_url,
            api_key=api_key if token is None else token,
            headers=headers,
            ask_usage=ask_usage,
        )
        self._token = token
        self._api_version = api_version
        self._deployment = deployment
        self._model = model

    def configured(self, environment: Mapping[str, str]) -> Self:
        """As for every vessel. A token goes only to its own server, and replaces a key."""
        given = super().configured(environment)
        values = vars(given)
        if self._api_key is not None or self._base_url is not None:
            values["_token"] = self._token
        if values["_token"] is not None:
            values["_api_key"] = values["_token"]
        return given

    def authorization(self, key: str) -> dict[str, str]:
        """The key as `api-key`, a token as a bearer's."""
        return {"api-key": key} if self._token is None else super().authorization(key)

    @property
    def default_model(self) -> str | None:
        """The model or deployment that was configured."""
        return self._model or self._deployment

    def request(self, chat: ChatRequest) -> WireRequest:
        """The request for `chat`, as in the OpenAI dialect."""
        if self._deployment is not None and self._model in {None, chat.model}:
            chat = chat.model_copy(update={"model": self._deployment})
        return super().request(chat)

    def read_request(self, route: str, body: Any) -> ChatRequest:
        """As in the OpenAI dialect; without `model` in the body it is the route's deployment."""
        deployment = path_of(route).partition("/deployments/")[2].partition("/")[0]
        if deployment and isinstance(body, dict):
            body = {"model": unquote(deployment), **cast("dict[str, Any]", body)}
        return super().read_request(route, body)

    def _openai_api(self, url: str) -> bool:
        path = urlsplit(url).path
        return "/deployments/" in path or "/models/" not in path

    def _limit(self, url: str) -> str:
        version = dict(parse_qsl(urlsplit(url).query)).get("api-version", "latest")
        if is_dated(version) and version < _COMPLETION_LIMIT_SINCE:
            return "max_tokens"
        return super()._limit(url)

    def _url(self, route: str, model: str | None = None) -> str:
        """The address of a route; model: the deployment, None for what is not about one."""
        if not self.base_url:
            raise ConfigurationError(
                "azure has no default address: give base_url, or set AZURE_OPENAI_ENDPOINT",
                setting="base_url",
            )
        parts = split_base_url(self.base_url)
        path = parts.path.rstrip("/")
        for known in _ROUTES:
            path = path.removesuffix(known)
        query = dict(parse_qsl(parts.query))
        version = query.pop("api-version", None) or self._api_version
        if version is not None and not version.isprintable():
            raise ConfigurationError(f"{version!r} is no version of an API", setting="api_version")
        dated = is_dated(version)
        root, deployments, _ = path.partition("/deployments/")
        if deployments:
            path = root if model is None else path
        elif not path.endswith(("/v1", "/models")):
            path = f"{path.removesuffix('/openai')}/openai"
            if not dated:
                path += "/v1"
            elif model is not None:
                path += f"/deployments/{path_segment(model)}"
        if path.endswith("/v1"):
            # A dated version, which the environment may still name, is an error here.
            version = None if dated else version
        elif version is None:
            raise ConfigurationError(
                "this azure route needs a version: give api_version, or set "
                "AZURE_OPENAI_API_VERSION",
                setting="api_version",
            )
        if version is not None:
            query["api-version"] = version
        path += route
        return urlunsplit(parts._replace(path=path, query=urlencode(query), fragment=""))


def is_dated(version: str | None) -> bool:
    """Whether an api-version is a date, which the v1 route does not take."""
    return version is not None and version.lower() not in _UNDATED
