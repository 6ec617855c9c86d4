"""From a caller's words to a request that is ready to leave.

Everything that can be wrong with the words is found here, before anything else happens:
nothing is sent and nothing is written before a plan stands.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx

from ..errors import ConfigurationError, InvalidRequestError, UnknownVesselError
from ..masking import Masker
from ..registry import find_vessel, installed_vessels
from ..request import chat_request
from ..truth.request_key import request_key
from ..unpicklable import Unpicklable
from ..version import VERSION
from ..vessel import SHORTEST_SECRET, Vessel, WireRequest
from .logs import keep_out_of_logs

__all__ = ["Plan", "Planner"]

_CREDENTIALS = ("auth", "cookie", "key", "password", "secret", "signature", "token")
_PRIVATE_SUFFIXES = (".local", ".internal", ".lan", ".home.arpa", ".localhost", ".test")


@dataclass(frozen=True, slots=True)
class Plan(Unpicklable):
    """One request, ready to leave.

    name: the vessel's name in this client. url: where to. headers: as sent, with the key. masker:
    knows the key. key: the request key for replay. record: what the recording's request line says
    of it.
    """

    name: str
    vessel: Vessel
    request: WireRequest
    url: httpx.URL
    headers: Mapping[str, str]
    masker: Masker
    key: str
    record: Mapping[str, Any]

    @property
    def origin(self) -> str:
        """Scheme, host and port of the server, for messages."""
        return f"{self.url.scheme}://{self.url.netloc.decode('ascii').rpartition('@')[2]}"

    def __repr__(self) -> str:
        return f"Plan({self.name!r}, {self.origin!r})"


class Planner:
    """Makes plans from the client's own vessels, the installed ones and the environment.

    secrets: what must not be seen beside what a request itself carries.
    """

    def __init__(
        self,
        vessels: Mapping[str, Vessel],
        environment: Mapping[str, str],
        headers: Mapping[str, str],
        secrets: Iterable[str] = (),
    ) -> None:
        for name in vessels:
            if not name or "/" in name:
                raise ConfigurationError(
                    f"a vessel cannot be named {name!r}: it is what stands before the /"
                )
        self._named = dict(vessels)
        self._environment = environment
        self._headers = dict(headers)
        self._secrets = tuple(secrets)
        self._ready: dict[str, Vessel] = {}

    def chat(
        self,
        address: str,
        messages: Any,
        fields: Mapping[str, Any],
        headers: Mapping[str, str] | None,
    ) -> Plan:
        """A plan for a chat request to a model address, `vessel/model`."""
        name, _, model = address.partition("/")
        if not self._known(name):
            raise self._bad_address(address, name)
        vessel = self.vessel(name)
        model = model or vessel.default_model or ""
        if not model:
            raise self._bad_address(address, name)
        return self.wire(name, vessel.request(chat_request(model, messages, **fields)), headers)

    def wire(
        self, name: str, request: WireRequest, headers: Mapping[str, str] | None = None
    ) -> Plan:
        """A plan for a request that is already in the vessel's dialect."""
        vessel = self.vessel(name)
        url = _url(request.url)
        key = vessel.api_key
        sent = {
            "accept-encoding": "identity",
            "user-agent": f"vesselog/{VERSION}",
            **({"content-type": "application/json"} if request.content else {}),
            **_lower(self._headers),
            **_lower(vessel.headers),
            **_lower(request.headers),
            **(vessel.authorization(key) if key else {}),
            **_lower(headers or {}),
        }
        username, password = url.username, url.password
        if url.userinfo:
            url, sent = _with_basic_auth(url, sent)
        _check_headers(sent)
        carried = (value.split(" ")[-1] for name, value in sent.items() if _carries_key(name))
        secret = any(len(value) >= SHORTEST_SECRET for value in (key or "", *carried))
        if secret and url.scheme == "http" and not _is_private(url.host):
            raise ConfigurationError(
                f"the key of {name!r} would cross the network in the clear to {url.host}: use https"
            )
        fields = [*sent.items(), *url.params.multi_items()]
        masker = Masker([key or "", password or username, *_credentials(fields), *self._secrets])
        keep_out_of_logs(masker.secrets)
        public = masker.text(str(url))
        return Plan(
            name=name,
            vessel=vessel,
            request=request,
            url=url,
            headers=sent,
            masker=masker,
            key=request_key(request.route or url.path, request.body),
            record={
                "vessel": vessel.name,
                "vessel_version": vessel.version,
                "model": request.model,
                "method": request.method,
                "url": public,
                "headers": {name: masker.text(value) for name, value in sent.items()},
                "body": request.body,
                "stream": request.stream,
                **({"split_think": request.split_think} if request.split_think else {}),
            },
        )

    def vessel(self, name: str) -> Vessel:
        """The vessel of this name, configured from the environment where nothing else was given."""
        ready = self._ready.get(name)
        if ready is None:
            named = self._named.get(name)
            vessel = named if named is not None else find_vessel(name)()
            ready = self._ready[name] = vessel.configured(self._environment)
        return ready

    def _known(self, name: str) -> bool:
        return name in self._named or name in installed_vessels()

    def _bad_address(self, address: str, name: str) -> InvalidRequestError | UnknownVesselError:
        known = sorted({*self._named, *installed_vessels()})
        listed = ", ".join(known)
        if not address or not address.strip("/"):
            return InvalidRequestError(f"give a model as vessel/model; vessels: {listed}")
        if self._known(name):
            return InvalidRequestError(f"{address!r} names no model: give {name}/MODEL")
        hint = f"; did you mean ollama/{address}?" if "ollama" in known else ""
        return UnknownVesselError(
            f"{address!r} does not begin with a vessel (vessel/model); vessels: {listed}{hint}"
        )


def _carries_key(name: str) -> bool:
    return name == "authorization" or name.endswith("api-key")


def _credentials(fields: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What headers and queries carry that, by their names, must not be seen."""
    for name, value in fields:
        if any(word in name.lower() for word in _CREDENTIALS):
            yield value
            yield value.partition(" ")[2]  # without its scheme
        if name == "cookie":
            yield from (each.partition("=")[2] for each in value.split("; "))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@lru_cache
def _url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError, ValueError):
        raise ConfigurationError("the base URL is not a URL", setting="base_url") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(
            "the base URL must be http:// or https:// and a host, as http://127.0.0.1:11434",
            setting="base_url",
        )
    return url


def _with_basic_auth(url: httpx.URL, headers: dict[str, str]) -> tuple[httpx.URL, dict[str, str]]:
    auth = httpx.BasicAuth(url.username, url.password)
    signed = next(
        auth.sync_auth_flow(httpx.Request("POST", url.copy_with(username=None, password=None)))
    )
    return signed.url, {"authorization": signed.headers["authorization"], **headers}


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        token = name.replace("-", "").replace("_", "")
        if not (token.isascii() and token.isalnum()):
            raise ConfigurationError(f"{name!r} is not a header name", setting="headers")
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError(
                f"the header {name} has a line end or another character that no header may have",
                setting="headers",
            )


def _is_private(host: str) -> bool:
    """Whether a host is this machine or on a private network, as far as its name tells."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        # The resolver also takes an address as one number, which is no name of the local network.
        a_number = host.isdecimal() or host.startswith("0x")
        return ("." not in host and not a_number) or host.endswith(_PRIVATE_SUFFIXES)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_private or address.is_loopback or address.is_link_local
