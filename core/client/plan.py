"""From a caller's arguments to a request that is ready to be sent.

Everything that can be wrong with the arguments is found here: nothing is sent and nothing is
written before there is a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx

from ..errors import ConfigurationError, InvalidRequestError, UnknownVesselError
from ..http.log_filter import keep_out_of_logs
from ..http.proxies import ProxyRules
from ..http.url_and_headers import (
    check_headers,
    check_path_of_key,
    credentials_in,
    lower,
    parse_url,
    with_basic_auth,
)
from ..masking import Masker
from ..nearest import nearest_names
from ..registry import find_vessel, installed_vessels
from ..replay.compare_requests import request_key
from ..request import chat_request
from ..response_headers import kept_headers
from ..settings import check_arguments
from ..version import VERSION
from ..vessel import Unpicklable, Vessel, WireRequest

__all__ = ["Plan", "Planner"]


@dataclass(frozen=True, slots=True)
class Plan(Unpicklable):
    """One request, ready to be sent.

    name: the vessel's name in this client. url: where to. headers: as sent, with the key. masker:
    knows the key. record: what the recording's request line says of it, and what a replay compares.
    """

    name: str
    vessel: Vessel
    request: WireRequest
    url: httpx.URL
    headers: Mapping[str, str]
    masker: Masker
    record: Mapping[str, Any]

    @property
    def origin(self) -> str:
        """Scheme, host and port of the server, for messages."""
        return f"{self.url.scheme}://{self.url.netloc.decode('ascii').rpartition('@')[2]}"

    def __repr__(self) -> str:
        return f"Plan({self.name!r}, {self.origin!r})"


class Planner:
    """Makes plans from the client's own vessels, the installed ones and the environment."""

    def __init__(
        self,
        vessels: Mapping[str, Vessel],
        environment: Mapping[str, str],
        headers: Mapping[str, str],
        proxies: ProxyRules,
    ) -> None:
        for name, vessel in cast("Mapping[Any, Any]", vessels).items():
            if not isinstance(vessel, Vessel):  # its class, most likely
                reason = f"vessels[{name!r}] must be a vessel, such as vesselog.vessels.Ollama()"
                raise ConfigurationError(reason, setting="vessels")
            if not isinstance(name, str) or not name or "/" in name:
                raise ConfigurationError(
                    f"a vessel cannot be named {name!r}: its name stands before the / of an address"
                )
        self._named = dict(vessels)
        self._environment = environment
        self._headers = dict(headers)
        self._proxies = proxies
        self._secrets = tuple(proxies.secrets())
        self._ready: dict[str, Vessel] = {}

    def chat(
        self,
        address: str,
        messages: Any,
        fields: Mapping[str, Any],
        headers: Mapping[str, str] | None,
    ) -> Plan:
        """A plan for a chat request to a model address, `vessel/model`."""
        check_arguments(model=address)
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
        check_arguments(request=request, headers=headers)
        vessel = self.vessel(name)
        url = parse_url(request.url)
        key = vessel.api_key
        sent = {
            "accept-encoding": "identity",
            "user-agent": f"vesselog/{VERSION}",
            **({"content-type": "application/json"} if request.content else {}),
            **lower(self._headers),
            **lower(vessel.headers),
            **lower(request.headers),
            **(vessel.authorization(key) if key else {}),
            **lower(headers or {}),
        }
        username, password = url.username, url.password
        if url.userinfo:
            url, sent = with_basic_auth(url, sent)
        check_headers(sent)
        check_path_of_key(name, key or "", url, sent, self._proxies)
        fields = [*sent.items(), *url.params.multi_items()]
        masker = Masker([key or "", password or username, *credentials_in(fields), *self._secrets])
        keep_out_of_logs(masker)
        return Plan(
            name=name,
            vessel=vessel,
            request=request,
            url=url,
            headers=sent,
            masker=masker,
            record={
                "vessel": vessel.name,
                "vessel_version": vessel.version,
                "model": request.model,
                "method": request.method,
                "url": masker.text(str(url)),
                "headers": {name: masker.text(value) for name, value in kept_headers(sent).items()},
                "body": request.body,
                "stream": request.stream,
                **({"split_think": request.split_think} if request.split_think else {}),
                **({"reading": request.reading} if request.reading != "answer" else {}),
                "key": request_key(request.route or url.path, request.body),
            },
        )

    def vessel(self, name: str) -> Vessel:
        """The vessel of this name, configured from the environment where nothing else was given."""
        check_arguments(vessel=name)
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
        near = nearest_names(name, known) if "/" in address else []
        hint = f"; did you mean ollama/{address.lstrip('/')}?" if "ollama" in known else ""
        if near:
            hint = f"; did you mean {near[0]}/{address.partition('/')[2]}?"
        return UnknownVesselError(
            f"{address!r} does not begin with a vessel (vessel/model); vessels: {listed}{hint}"
        )
