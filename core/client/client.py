"""The sync client: one per process, shared by its threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar, Unpack

from ..completion import Completion
from ..replay.recorded_source import RecordedSource
from ..replay.replayed_answer import Replaying
from ..request import RequestFields
from ..settings import Timeouts
from ..truth.delete_recording import delete_recording
from ..truth.session_list import SessionSummary, list_sessions
from ..truth.session_pool import OpenSession
from ..vessel import ModelInfo
from .attempts import Attempts
from .client_state import ClientState, Messages
from .hand_over import ThreadHandOver
from .loop_thread import LoopThread
from .plan import Planner
from .questions import ModelsQuestion, Question, VersionQuestion
from .stream import Stream, ThreadSource

__all__ = ["Client"]

_Reply = TypeVar("_Reply")


class Client(ClientState[Stream]):
    """Asks models and streams their answers; each chunk is recorded before you get it.

    Make one for the process and close it by `with`. Threads may share it. Requests are sent by an
    event loop in a thread of the client's own, which starts with the first request.
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
        """Ask a model for a whole answer. If the server streams it anyway, it is read to its end.

        It takes the arguments of `stream`, which explains them: model, messages, session,
        exclusive, meta, timeouts, headers and the fields of a request.

        Raises:
            UsageError: The request cannot be made; nothing was sent.
            VesselogError: The answer failed: ConnectionFailedError, StreamTimeoutError,
                ProviderError, TruncatedError, ProtocolError, RecordingError, ReplayMissError. The
                part that had arrived is the error's `completion`.
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

        A client that replays returns the recorded list, or else the models of recorded requests.

        Args:
            vessel: The vessel's name, such as "ollama".

        Raises:
            ConfigurationError: The vessel is unknown, or has no such route.
            VesselogError: The request failed, or its answer cannot be read.
        """
        return self._ask(ModelsQuestion, vessel)

    def server_version(self, vessel: str) -> str:
        """The version of a vessel's server. Not recorded.

        A client that replays returns it if its recordings have it, from a call of `send`.

        Args:
            vessel: The vessel's name, such as "ollama".

        Raises:
            ConfigurationError: The vessel is unknown, or has no such route.
            VesselogError: The request failed, or its answer cannot be read.
        """
        return self._ask(VersionQuestion, vessel)

    def sessions(self) -> Iterator[SessionSummary]:
        """The sessions in the client's folder, the last written first. Files are read one by one.

        A session that cannot be read has an `error`.

        Raises:
            RecordingError: The folder cannot be read.
            ConfigurationError: The client records nothing.
        """
        return list_sessions(self._recordings())

    def delete(self, session: str) -> None:
        """Delete a session's file, and the `.torn` file that a repair after a crash left beside it.

        Args:
            session: The session's name.

        Raises:
            RecordingLockedError: The session is being written.
            SessionNameError: `session` cannot be a session's name.
            RecordingError: There is no such session, or it cannot be deleted.
        """
        delete_recording(self._path_of(session))

    def close(self) -> None:
        """Close the connections. Streams that still run, in any thread, are cancelled.

        With durability "interval" or "power", all that was written is synced when this returns.
        Safe in a signal handler.

        Raises:
            RecordingError: The end of a stream could not be recorded.
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
        self, replaying: Replaying, request: Mapping[str, Any], open_session: OpenSession | None
    ) -> Stream:
        run = None if open_session is None else self._running_thread().run
        return Stream(RecordedSource(replaying, request, open_session, run))

    def _driven(self, attempts: Attempts) -> Stream:
        thread = self._running_thread()
        hand_over = ThreadHandOver(thread.loop)
        return Stream(ThreadSource(self._driver(attempts, hand_over), hand_over, thread))

    def _ask(self, ask: Callable[[Planner, str], Question[_Reply]], vessel: str) -> _Reply:
        self._check_usable()
        question = ask(self._planner, vessel)
        if self._replaying is not None:
            return question.recorded(self._replaying.answers)
        with self._asked(question.plan) as stream:
            data = [step.frame.data for step in stream.frames()]
        return question.reply(data)

    def _running_thread(self) -> LoopThread:
        """The client's thread; of two that are made at once, one is used."""
        thread = self._thread
        if thread is None:
            made = LoopThread(self._ending())
            thread = vars(self).setdefault("_thread", made)
            if thread is not made:
                made.drop()
        return thread
