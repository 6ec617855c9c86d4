"""Small questions to a server, about its models and its version: asked by the driver, not recorded.

They have the bounds, deadlines and errors of every other request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Generic, TypeVar, cast

from ..chunk import ChunkFields
from ..errors import ConfigurationError, ProtocolError, ProviderError, ReplayMissError
from ..frame import Frame
from ..framing import Framing
from ..jsontext import loads
from ..replay.answer_index import AnswerIndex
from ..request import ChatRequest
from ..settings import Retries, Timeouts
from ..vessel import Decoder, ModelInfo, Progress, Vessel, WireRequest
from .call import SharedSettings
from .plan import Planner

__all__ = ["ModelsQuestion", "Question", "VersionQuestion", "question_settings"]

_Reply = TypeVar("_Reply")

# Seconds: no model has to be loaded for these questions.
_PATIENCE = 10.0


class Question(Generic[_Reply]):
    """A question to a vessel's server, as a plan, and the reply as its vessel reads it."""

    def __init__(
        self,
        planner: Planner,
        name: str,
        subject: str,
        request: WireRequest | None,
        read: Callable[[Any], _Reply],
    ) -> None:
        if request is None:
            raise ConfigurationError(f"a server of {name!r} cannot be asked for its {subject}")
        plan = planner.wire(name, replace(request, stream=False))
        self.plan = replace(plan, vessel=_AnyBody(plan.vessel))
        self._read = read

    def reply(self, data: Iterable[str | None]) -> _Reply:
        """The reply whose frames had this data. Raises ProtocolError."""
        try:
            return self._read(loads("".join(filter(None, data))))
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
        text = b"".join(frame.raw for frame in recorded.frames()).decode(errors="replace")
        status = (recorded.response or {}).get("status")
        if isinstance(status, int) and not 200 <= status < 300:
            raise self.plan.vessel.failure(status, text)
        return self.reply([text])


class VersionQuestion(Question[str]):
    """Which version a vessel's server has. Raises ConfigurationError if it cannot be asked."""

    def __init__(self, planner: Planner, name: str) -> None:
        vessel = planner.vessel(name)
        super().__init__(planner, name, "version", vessel.version_request(), vessel.read_version)


class ModelsQuestion(Question[list[ModelInfo]]):
    """Which models a vessel's server has. Raises ConfigurationError if it cannot be asked."""

    def __init__(self, planner: Planner, name: str) -> None:
        vessel = planner.vessel(name)
        super().__init__(planner, name, "models", vessel.models_request(), vessel.read_models)

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
    most = _PATIENCE
    waits = {name: most if each is None else min(most, each) for name, each in settings.timeouts}
    return replace(settings, timeouts=Timeouts(**waits), retries=Retries(count=0))


class _AnyBody(Vessel):
    """Takes any JSON value as a whole answer; an error status is read as its vessel reads it."""

    framing = Framing.BODY

    def __init__(self, vessel: Vessel) -> None:
        super().__init__()
        self._vessel = vessel

    def request(self, chat: ChatRequest) -> WireRequest:
        """Never asked for: the request is made already."""
        return self._vessel.request(chat)

    def decoder(self, request: WireRequest) -> Decoder:  # noqa: ARG002 - any answer is taken
        """A decoder that makes no chunks."""
        return _AnyBodyDecoder()

    def failure(self, status: int, text: str) -> ProviderError:
        """The error that the vessel reads."""
        return self._vessel.failure(status, text)


class _AnyBodyDecoder(Decoder):
    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """No chunks: the reply is read from the frames, once it is whole."""
        reply = frame.json()
        values: Iterable[Any] = cast("Any", reply).values() if isinstance(reply, dict) else (reply,)
        lists = [cast("list[Any]", value) for value in values if isinstance(value, list)]
        frame.count(sum(map(len, lists)) // 8)
        self.progress = Progress.FINISHED
        return ()
