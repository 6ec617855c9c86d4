"""What both clients share: their settings, and the way from a caller's words to a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import httpx

from ..clock import SYSTEM_CLOCK, Clock
from ..completion import Outcome
from ..errors import ClientStateError, ConfigurationError, ProtocolError
from ..jsontext import loads
from ..request import Message
from ..truth.answer_index import AnswerIndex as ReplayLibrary
from ..vessel import Vessel, WireRequest
from .circumstances import Circumstances
from .ledger import Entry, Ledger
from .origins import Origins
from .plan import Plan, Planner
from .proxies import proxy_secrets
from .retry import Retries
from .settings import Limits, Timeouts

__all__ = ["ClientSettings", "Common", "Messages", "check_given", "question", "read_answer"]

Messages = str | Sequence[Message | Mapping[str, Any]] | None
"""A plain string is one user message."""


class ClientSettings(TypedDict, total=False):
    """Everything a client can be told, apart from its HTTP side. All of it may be left out.

    recordings: the folder that sessions are written to ("recordings"); None to record nothing.
    durability: what a chunk survives once it was handed out: "process" (the default) the death of
    this process, "interval" a power cut too, but for the last 50 ms, "power" a power cut too.
    replay: a recording, or a folder of them; all answers then come from there, none from the
    network. vessels: vessels under names of the caller's own, before the installed ones. headers:
    sent with each request. timeouts, limits, retries: see their classes. environment: where hosts
    and keys are looked up (os.environ). clock: for tests.
    """

    recordings: str | os.PathLike[str] | None
    durability: str
    replay: str | os.PathLike[str] | None
    vessels: Mapping[str, Vessel]
    headers: Mapping[str, str]
    timeouts: Timeouts
    limits: Limits
    retries: Retries
    environment: Mapping[str, str]
    clock: Clock


class Common:
    """One client's settings, made use of."""

    def __init__(self, settings: ClientSettings, *, http2: bool = False) -> None:
        unknown = set(settings) - set(ClientSettings.__annotations__)
        if unknown:
            raise ConfigurationError(f"there is no setting {', '.join(sorted(unknown))}")
        self.circumstances = Circumstances(
            timeouts=settings.get("timeouts", Timeouts()),
            limits=settings.get("limits", Limits()),
            retries=settings.get("retries", Retries()),
            clock=settings.get("clock", SYSTEM_CLOCK),
            origins=Origins(http2=http2),
        )
        replay = settings.get("replay")
        self.library = None if replay is None else ReplayLibrary(Path(replay))
        recordings = settings.get("recordings", "recordings")
        self.ledger = Ledger(
            None if recordings is None else Path(recordings),
            settings.get("durability", "process"),
            self.circumstances.clock,
        )
        self._planner = Planner(
            settings.get("vessels", {}),
            settings.get("environment", os.environ),
            settings.get("headers", {}),
            proxy_secrets(),
        )
        self._process = os.getpid()
        self.closed = False

    def check_usable(self) -> None:
        """Raise ClientStateError where using the client could only do harm."""
        if self.closed:
            raise ClientStateError("the client is closed")
        if os.getpid() != self._process:
            raise ClientStateError(
                "the client was made before a fork: its connections and files belong to the "
                "parent; make a client in the child"
            )

    def chat(
        self,
        model: str,
        messages: Messages,
        fields: Mapping[str, Any],
        headers: Mapping[str, str] | None,
    ) -> Plan:
        """The plan for a chat request."""
        self.check_usable()
        return self._planner.chat(model, messages, fields, headers)

    def wire(self, vessel: str, request: WireRequest, headers: Mapping[str, str] | None) -> Plan:
        """The plan for a prepared request."""
        self.check_usable()
        return self._planner.wire(vessel, request, headers)

    def enter(self, session: str | None) -> Callable[[], Entry]:
        """Opens the session when the stream begins; a bad name is refused now."""
        self.ledger.check(session)

        def open_session() -> Entry:
            self.check_usable()
            return self.ledger.open(session)

        return open_session

    def check_heard_out(self, outcome: Outcome | None) -> None:
        """Raise ClientStateError where an answer in one piece ended because the client did."""
        if self.closed and outcome == "cancelled":
            raise ClientStateError("the client was closed before the answer was complete")

    def given(self, timeouts: Timeouts | None) -> Circumstances:
        """The circumstances of one call."""
        return (
            self.circumstances
            if timeouts is None
            else replace(self.circumstances, timeouts=timeouts)
        )

    def models_plan(self, vessel: str) -> Plan:
        """The plan for asking a server for its models.

        Raises ConfigurationError if it cannot be asked.
        """
        return self._question(vessel, "models", self._planner.vessel(vessel).models_request())

    def version_plan(self, vessel: str) -> Plan:
        """The plan for asking a server for its version.

        Raises ConfigurationError if it cannot be asked.
        """
        return self._question(vessel, "version", self._planner.vessel(vessel).version_request())

    def _question(self, vessel: str, subject: str, request: WireRequest | None) -> Plan:
        if request is None:
            raise ConfigurationError(
                f"a server of the vessel {vessel!r} cannot be asked for its {subject}"
            )
        return self.wire(vessel, request, None)


Read = TypeVar("Read")

# Seconds for each step of a question about models or version, which no model has to be loaded for.
_QUESTION_SECONDS = 10.0


def question(http: httpx.Client | httpx.AsyncClient, plan: Plan) -> httpx.Request:
    """The request of a plan that asks for a small answer in one piece."""
    return http.build_request(
        plan.request.method,
        plan.url,
        headers=dict(plan.headers),
        content=plan.request.content or None,
        timeout=_QUESTION_SECONDS,
    )


def check_given(
    client: object, kind: type[httpx.Client | httpx.AsyncClient], **transport: object
) -> None:
    """Raise ConfigurationError if an `http_client` is not of this kind.

    transport: settings of the library's own transport, which it would leave without effect.
    """
    if client is None:
        return
    if not isinstance(client, kind):
        raise ConfigurationError(
            f"http_client is to be an httpx.{kind.__name__}", setting="http_client"
        )
    for setting, value in transport.items():
        if value:
            raise ConfigurationError(
                f"{setting} would have no effect on the http_client given: set up that one, or "
                "give none",
                setting=setting,
            )


def read_answer(plan: Plan, status: int, body: bytes, read: Callable[[Any], Read]) -> Read:
    """What a server answered to a question, read by its vessel.

    Raises ProviderError and ProtocolError.
    """
    # JSON is UTF-8, whatever the content type says.
    text = plan.masker.bytes(body).decode(errors="replace")
    if not 200 <= status < 300:
        raise plan.vessel.failure(status, text)
    try:
        return read(loads(text))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ProtocolError(f"{plan.origin} gave an answer that is not of the dialect") from None
