"""What OpenAI's APIs have in common: the server's address, who asks, the models and the errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from ..core.errors import ProviderError
from ..core.version import VERSION
from ..core.vessel import ModelInfo, Vessel, WireRequest
from .base_urls import route_url
from .openai_models import models_in
from .provider_errors import error_of_status

__all__ = ["OpenAIServer"]

_MODELS = "/models"


class OpenAIServer(Vessel):
    """A server of one of OpenAI's APIs.

    Args:
        base_url: The server's address: the host, the dialect's root, or the full endpoint.
        api_key: The key, or a callable that gives it when a request is sent.
        headers: Sent with each request of this vessel.
        organization: Sent as OpenAI-Organization.
        project: Sent as OpenAI-Project.
    """

    version = VERSION
    default_base_url = "https://api.openai.com/v1"
    variables: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "api_key": ("OPENAI_API_KEY",),
        "base_url": ("OPENAI_BASE_URL",),
        "organization": ("OPENAI_ORG_ID",),
        "project": ("OPENAI_PROJECT_ID",),
    }
    root: ClassVar[str] = "/v1"
    """What is before the routes where the base URL has no path."""
    routes: ClassVar[tuple[str, ...]] = ()
    """The routes of questions, with which a base URL may end."""

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | Callable[[], str] | None = None,
        headers: Mapping[str, str] | None = None,
        organization: str | None = None,
        project: str | None = None,
    ) -> None:
        super().__init__(base_url=base_url, api_key=api_key, headers=headers)
        self._organization = organization
        self._project = project

    def configured(self, environment: Mapping[str, str]) -> Self:
        """As for every vessel. Organization and project go only to their own server."""
        given = super().configured(environment)
        if self._base_url is not None:
            vars(given).update(_organization=self._organization, _project=self._project)
        return given

    def failure(self, status: int, text: str) -> ProviderError:
        """The error of a status and its body, whatever its shape."""
        return error_of_status(self.name, status, text)

    def models_request(self) -> WireRequest | None:
        """GET /models."""
        return WireRequest(
            url=self._url(_MODELS), method="GET", headers=self._identity(), stream=False
        )

    def read_models(self, body: Any) -> list[ModelInfo]:
        """The models listed under `data`; some servers give the bare list."""
        return models_in(body)

    def _url(self, route: str, model: str | None = None) -> str:  # noqa: ARG002 - Azure's have it
        return route_url(self.base_url, route, routes=(*self.routes, _MODELS), root=self.root)

    def _identity(self) -> dict[str, str]:
        identity = {"openai-organization": self._organization, "openai-project": self._project}
        return {name: value for name, value in identity.items() if value}
