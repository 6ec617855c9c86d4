"""The recorded answers of a test: which request gets which, what was missed, and what is left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ..core.jsontext import canonical
from ..core.replay.answer_index import AnswerIndex
from ..core.truth.recording import RecordedCall, Recording
from ..vessels import RecordingError, ReplayMissError
from .matching import Matching, Question

__all__ = ["TestAnswers"]

# Enough of a body to tell conversations apart; the comparison is quadratic.
_COMPARED_CHARACTERS = 2_000


@dataclass(slots=True)
class _Answer:
    """A request and its retries. attempts: those that got a response. given: how many of them."""

    question: Question
    last: RecordedCall
    attempts: list[RecordedCall]
    given: int = 0
    whole: bool = False
    reserved: bool = False

    @property
    def used(self) -> bool:
        """Whether all of it was asked for."""
        return self.whole or (self.given > 0 and self.given >= len(self.attempts))


class TestAnswers(AnswerIndex):
    """The answers in one recording. Threads may share them. Raises RecordingError.

    order: requests must come in the order in which they were recorded. repeat: what is asked more
    often than it was recorded gets its last answer again. advice: what a miss says to do. misses:
    the messages of what was not found.
    """

    __test__ = False  # it is no test of pytest's

    def __init__(
        self,
        path: Path,
        matching: Matching,
        *,
        order: bool = False,
        repeat: bool = False,
        advice: str = "",
    ) -> None:
        super().__init__(path)
        self._advice = advice
        self.path = path
        self.misses: list[str] = []
        self._matching = matching
        self._order = order
        self._repeats = repeat
        self._guard = threading.Lock()
        self._answers: list[_Answer] = []
        by_number: dict[int, _Answer] = {}
        for call in Recording(path).calls():
            answer = by_number.get(call.retry_of or 0)
            if answer is None:
                answer = _Answer(matching.question(call.request), call, [])
                self._answers.append(answer)
            answer.last = call
            if call.response is not None:
                answer.attempts.append(call)
            by_number[call.number] = answer

    def answer(self, request: Mapping[str, Any], *, repeat: bool | None = None) -> RecordedCall:
        """The next answer to a client's request, after its retries. Raises ReplayMissError."""
        asked = self._matching.question(request)
        with self._guard:
            found = self._found(asked, repeat=self._repeats if repeat is None else repeat)
            if found is not None:
                found.whole = True
                return found.last
            # A question for models or version, which clients do not record: they have an answer.
            raise self._missed(asked, counts=repeat is None)

    def attempt(self, request: Mapping[str, Any], *, streams: bool) -> RecordedCall:
        """The next answer as it was on the wire: each retry is a request of its own.

        Raises ReplayMissError; RecordingError if there was no response that could be served.
        """
        asked = self._matching.question(request, streams=streams)
        with self._guard:
            found = self._found(asked, repeat=self._repeats)
            if found is None:
                raise self._missed(asked)
            if not found.attempts:
                found.whole = True
                raise RecordingError(
                    f"call {found.last.number} of {self.path.name} got no response that could be "
                    f"served: it ended as {found.last.outcome}"
                )
            found.given += 1
            return found.attempts[min(found.given, len(found.attempts)) - 1]

    def has(self, request: Mapping[str, Any], *, streams: bool | None = None) -> bool:
        """Whether there is an answer to a request."""
        asked = self._matching.question(request, streams=streams)
        with self._guard:
            return self._found(asked, repeat=self._repeats) is not None

    def reserve(self, request: Mapping[str, Any], *, streams: bool | None = None) -> bool:
        """Whether a request will be answered; then its answer is kept for it."""
        asked = self._matching.question(request, streams=streams)
        with self._guard:
            for answer in self._candidates():
                if not answer.reserved and self._fits(answer, asked):
                    answer.reserved = True
                    return True
        return False

    def look_for(self, request: Mapping[str, Any], wanted: Callable[[], bool]) -> None:
        """Everything was read already."""

    def unasked(self) -> list[str]:
        """What was recorded and not asked for, one line each."""
        with self._guard:
            return [_told(answer.last) for answer in self._answers if not answer.used]

    def _candidates(self) -> Sequence[_Answer]:
        unused = [answer for answer in self._answers if not answer.used]
        return unused[:1] if self._order else unused

    def _fits(self, answer: _Answer, asked: Question) -> bool:
        return self._recorded(answer, asked).answers(asked)

    def _recorded(self, answer: _Answer, asked: Question) -> Question:
        """The recorded request; where exact bytes are served, whether it streams counts too."""
        if asked.streams is None:
            return answer.question
        streamed = answer.last.request.get("stream") is not False
        return replace(answer.question, streams=streamed)

    def _found(self, asked: Question, *, repeat: bool) -> _Answer | None:
        for answer in self._candidates():
            if self._fits(answer, asked):
                return answer
        if repeat:
            return next((each for each in self._answers[::-1] if self._fits(each, asked)), None)
        return None

    def _missed(self, asked: Question, *, counts: bool = True) -> ReplayMissError:
        error = self._explained(asked)
        if self._advice:
            error = ReplayMissError(
                f"{error.message}\n({self._advice})", session=error.session, call=error.call
            )
        if counts:
            self.misses.append(error.message)
        return error

    def _explained(self, asked: Question) -> ReplayMissError:
        name, route = self.path.name, "/".join(asked.route)
        what = f"{asked.method} /{route}"
        same = [answer for answer in self._answers if self._fits(answer, asked)]
        if same and not self._order:
            times = "once" if len(same) == 1 else f"{len(same)} times"
            return ReplayMissError(
                f"{what} was recorded {times} in {name} and is asked for once more; repeat=True "
                "gives the last answer again"
            )
        compared = self._candidates() or self._answers
        if not compared:
            return ReplayMissError(f"{what} is asked for, but nothing is recorded in {name}")
        nearest = _nearest(compared, asked)
        which = "the next one is" if self._order else "the nearest is"
        if nearest.used and self._fits(nearest, asked):
            return ReplayMissError(f"{what} is asked for, but all answers of {name} were given")
        fits = " (all answers were given)" if nearest.used else ""
        differences = self._recorded(nearest, asked).differences(asked)
        told = (
            f"{what} is not what was recorded; {which} call {nearest.last.number} of {name}{fits}, "
            "and it differs:"
        )
        return ReplayMissError(
            "\n".join([told, *differences]),
            session=nearest.last.session,
            call=nearest.last.number,
        )


def _nearest(answers: Sequence[_Answer], asked: Question) -> _Answer:
    wanted = _text(asked)

    def likeness(answer: _Answer) -> float:
        matcher = SequenceMatcher(None, _text(answer.question), wanted, autojunk=False)
        return matcher.ratio()

    return max(answers, key=likeness)


def _text(question: Question) -> str:
    whole = {"route": list(question.route), "body": question.body}
    return canonical(whole).decode(errors="replace")[:_COMPARED_CHARACTERS]


def _told(call: RecordedCall) -> str:
    model = call.request.get("model")
    return f"call {call.number}: {call.request.get('method')} {call.request.get('url')} ({model})"
