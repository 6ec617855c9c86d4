"""Small questions to a server, about its models and its version: asked by the driver, not recorded.

They have the bounds, deadlines and errors of every other request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Generic, TypeVar, cast

from ..errors import ConfigurationError, ProtocolError, ReplayMissError
from ..frame import Frame
from ..framing import Framing, Splitter
from ..replay.answer_index import AnswerIndex
from ..settings import Limits, Retries, Timeouts
from ..vessel import ModelInfo, WireRequest
from .call import SharedSettings
from .plan import Planner

__all__ = ["ModelsQuestion", "Question", "VersionQuestion", "question_settings"]

_Reply = TypeVar("_Reply")

# Seconds: no model has to be loaded for these questions.
_PATIENCE = 10.0


class Question(Generic[_Reply]):
    """A question to a vessel's server, as a plan, and the reply as its vessel reads it.

    subject, request, read: what is asked for, and how, if this vessel can ask for it.
    """

    def __init__(
        self,
        planner: Planner,
        name: str,
        limits: Limits,
        *,
        subject: str,
        request: WireRequest | None,
        read: Callable[[Any], _Reply],
    ) -> None:
        if request is None:
            raise ConfigurationError(f"a server of {name!r} cannot be asked for its {subject}")
        plan = planner.wire(name, replace(request, stream=False))
        self.plan = replace(plan, request=replace(plan.request, reading="frames"))
        self._read = read
        self._splitter = Splitter(Framing.BODY, limits.max_frame_bytes)

    def add(self, piece: bytes) -> None:
        """The next piece of the reply. Raises ProtocolError once there is too much."""
        self._splitter.split(piece)
        if self._splitter.error is not None:
            raise self._splitter.error

    def reply(self) -> _Reply:
        """What the pieces say. Raises ProtocolError."""
        body = Frame(self._splitter.rest(), Framing.BODY)
        try:
            value = body.json()
            parts: Iterable[Any] = (
                cast("Any", value).values() if isinstance(value, dict) else [value]
            )
            lists = [cast("list[Any]", each) for each in parts if isinstance(each, list)]
            body.count(sum(map(len, lists)) // 8)
            return self._read(value)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ProtocolError(
                f"{self.plan.origin} gave an answer that is not of the dialect of "
                f"{self.plan.name!r}"
            ) from None

    def recorded(self, answers: AnswerIndex) -> _Reply:
        """The reply that was recorded, however often it is asked for.

        Raises ReplayMissError, RecordingError, ProviderError and ProtocolError.
        """
        recorded = answers.answer(self.plan.record, repeat=True)
        for frame in recorded.frames():
            self.add(frame.raw)
        status = (recorded.response or {}).get("status")
        if isinstance(status, int) and not 200 <= status < 300:
            text = self._splitter.rest().decode(errors="replace")
            raise self.plan.vessel.failure(status, text)
        return self.reply()


class VersionQuestion(Question[str]):
    """Which version a vessel's server has. Raises ConfigurationError if it cannot be asked."""

    def __init__(self, planner: Planner, name: str, limits: Limits) -> None:
        vessel = planner.vessel(name)
        request, read = vessel.version_request(), vessel.read_version
        super().__init__(planner, name, limits, subject="version", request=request, read=read)


class ModelsQuestion(Question[list[ModelInfo]]):
    """Which models a vessel's server has. Raises ConfigurationError if it cannot be asked."""

    def __init__(self, planner: Planner, name: str, limits: Limits) -> None:
        vessel = planner.vessel(name)
        request, read = vessel.models_request(), vessel.read_models
        super().__init__(planner, name, limits, subject="models", request=request, read=read)

    def recorded(self, answers: AnswerIndex) -> list[ModelInfo]:
        """The list that was recorded, or else the models that the vessel was asked for."""
        try:
            return super().recorded(answers)
        except ReplayMissError as miss:
            plan = self.plan
            asked = (each for each in answers.requests() if each.vessel == plan.record["vessel"])
            names = dict.fromkeys(each.model for each in asked if each.model)
            if not names:
                reason = f"{miss.message}; nor was any model of {plan.name!r}"
                raise ReplayMissError(reason) from None
            return [ModelInfo(name) for name in names]


def question_settings(settings: SharedSettings) -> SharedSettings:
    """A client's settings, for a question: no wait is longer than ten seconds."""
    given = dict(settings.timeouts)
    waits = {
        name: _PATIENCE if wait is None else min(_PATIENCE, wait) for name, wait in given.items()
    }
    return replace(settings, timeouts=Timeouts(**waits), retries=Retries(count=0))
