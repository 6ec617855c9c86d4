"""The sync client: one per process, shared by its threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Self, TypeVar, Unpack

from ..completion import Completion
from ..replay.replayed_answer import Replaying
from ..request import RequestFields
from ..settings import Timeouts
from ..truth.delete_recording import delete_recording
from ..truth.session_list import SessionSummary, list_sessions
from ..truth.session_pool import Entry
from ..vessel import ModelInfo
from .call import SharedSettings
from .client_state import ClientState, Messages
from .hand_over import ThreadHandOver
from .loop_thread import LoopThread
from .plan import Plan
from .questions import question_plan, read_reply, recorded_models, recorded_reply
from .recorded_answers import OpenSession, RecordedSource
from .stream import Stream, ThreadSource

__all__ = ["Client"]

_Reply = TypeVar("_Reply")


class Client(ClientState[Stream]):
    """Streams from model servers; each chunk is on disk before it is handed out.

    Make one for the process and close it by `with`. Threads may share it. The requests are sent by
    an event loop in a thread of the client's own, which begins with the first of them.
    """

    _closes_given_client = True
    _thread: LoopThread | None = None

    def complete(
        self,
        model: str,
        messages: Messages = None,
        *,
        session: str | None = None,
        exclusive: bool = False,
        meta: Mapping[str, Any] | None = None,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: Unpack[RequestFields],
    ) -> Completion:
        """Ask for an answer in one piece.

        Takes what `stream` takes; also reads a stream if that comes.
        """
        self._check_usable()
        plan = self._planner.chat(model, messages, {**fields, "stream": False}, headers)
        with self._stream(plan, session, timeouts, exclusive=exclusive, meta=meta) as stream:
            for _ in stream:
                pass
        self._check_complete(stream.outcome)
        return stream.completion

    def models(self, vessel: str) -> list[ModelInfo]:
        """The models that a vessel's server offers. Not recorded.

        A client that replays gives those that the recordings asked the vessel for.
        """
        self._check_usable()
        plan = question_plan(self._planner, vessel, "models")
        read = self._planner.vessel(vessel).read_models
        if self._replaying is not None:
            return recorded_models(self._replaying.answers, plan, read)
        return self._ask(plan, read)

    def server_version(self, vessel: str) -> str:
        """The version of a vessel's server. Not recorded.

        A client that replays knows it if a `send` asked for it.
        """
        self._check_usable()
        plan = question_plan(self._planner, vessel, "version")
        read = self._planner.vessel(vessel).read_version
        if self._replaying is not None:
            return recorded_reply(self._replaying.answers, plan, read)
        return self._ask(plan, read)

    def sessions(self) -> Iterator[SessionSummary]:
        """The sessions in the client's folder, that written last first, each read when asked for.

        One that cannot be read has an `error`. Raises RecordingError if the folder cannot be read.
        """
        return list_sessions(self._recordings())

    def delete(self, session: str) -> None:
        """Delete a session for good, with what was put aside from it after a crash.

        Raises RecordingLockedError while it is being written, SessionNameError, RecordingError.
        """
        delete_recording(self._path_of(session))

    def close(self) -> None:
        """Close the connections. Streams that still run are cancelled, in whatever thread.

        Raises RecordingError if that could not be recorded. At the levels "interval" and "power"
        what was written is on the disk when this returns. Safe in a signal handler.
        """
        self._closed = True
        if self._replaying is not None:
            self._replaying.leave()
        if self._thread is not None:
            self._thread.close()

    def __enter__(self) -> Self:
        self._check_usable()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _replayed(
        self,
        replaying: Replaying,
        request: Mapping[str, Any],
        open_session: OpenSession | None,
    ) -> Stream:
        thread = None if open_session is None else self._running_thread()
        return Stream(RecordedSource(replaying, request, open_session, thread))

    def _driven(
        self, plan: Plan, open_session: Callable[[], Awaitable[Entry]], settings: SharedSettings
    ) -> Stream:
        thread = self._running_thread()
        hand_over = ThreadHandOver(thread.loop)
        driver = self._driver(plan, open_session, settings, hand_over, thread.loop)
        return Stream(ThreadSource(driver, hand_over, thread))

    def _ask(self, plan: Plan, read: Callable[[Any], _Reply]) -> _Reply:
        with self._question(plan) as stream:
            data = [step.frame.data for step in stream.frames()]
        return read_reply(plan, data, read)

    def _running_thread(self) -> LoopThread:
        """The client's thread; of two that are made at once, one is used."""
        thread = self._thread
        if thread is None:
            made = LoopThread(self._ending())
            thread = vars(self).setdefault("_thread", made)
            if thread is not made:
                made.drop()
        return thread
