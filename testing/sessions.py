"""`recording` and `replaying`: context managers for tests, notebooks and doctests.

with recording("answers.jsonl") as client: ...          # asks the model
async with replaying("answers.jsonl") as client: ...    # gives the same answers again
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

from ..core.client.async_client import AsyncClient
from ..core.client.client import Client
from ..core.replay.pace import Speed
from ..core.truth.session_names import SUFFIX, check_session_name
from ..vessels import ConfigurationError
from .answers import TestAnswers
from .clients import AsyncReplayingClient, ReplayingClient
from .matching import Ignored, Matching
from .rewriting import DraftCall, draft_calls, write_calls
from .scrubbing import Scrubber, ScrubRules
from .secret_check import refuse_secrets

__all__ = ["checked_path", "complaint", "recording", "replaying", "save"]


def checked_path(path: str | os.PathLike[str]) -> Path:
    """The absolute path. Raises ConfigurationError, SessionNameError if no recording has it."""
    found = Path(path).absolute()
    if found.suffix != SUFFIX:
        raise ConfigurationError(f"a recording's name must end in {SUFFIX}: {found.name!r}")
    check_session_name(found.stem)
    return found


def save(
    folder: Path,
    out: Path,
    *,
    scrubber: Scrubber,
    allow_secrets: bool = False,
    kept: Sequence[DraftCall] = (),
    environment: Mapping[str, str] | None = None,
) -> bool:
    """Write what was recorded in a folder as one recording, scrubbed; False if that is nothing.

    kept: calls that come before it. Raises RecordingError, also if it seems to hold a secret.
    """
    calls = [*kept, *draft_calls(sorted(folder.glob(f"*{SUFFIX}")))]
    if not calls:
        return False
    for call in calls:
        scrubber.call(call)
    if not allow_secrets:
        refuse_secrets(calls, os.environ if environment is None else environment)
    write_calls(calls, out, {})
    return True


class recording:  # noqa: N801 - used as a function: with recording(…) as client
    """A context manager with a client that records all its calls to one file.

    `with` gives a Client, `async with` an AsyncClient. The file is written at the end of the block,
    and replaces one that exists; a block without any call writes nothing.

    Args:
        path: The file, `….jsonl`.
        scrub: What to hide in it: regular expressions, or functions that return the parts of a text
            to hide; in a dict, the keys name what stands for them. docs/testing.md has examples.
        allow_secrets: Write the file also if it seems to contain a secret.
        **settings: Other settings of the client.

    Raises:
        ConfigurationError: A setting cannot be used.
        SessionNameError: The file's name cannot be a session's name.
        RecordingError: At the end of the block: the file cannot be written, or seems to contain a
            secret.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        scrub: ScrubRules = (),
        allow_secrets: bool = False,
        **settings: Any,
    ) -> None:
        self._out = checked_path(path)
        self._scrubber = Scrubber(scrub)
        self._allow_secrets = allow_secrets
        self._settings = settings
        self._closing: ExitStack | AsyncExitStack | None = None

    def __enter__(self) -> Client:
        with ExitStack() as stack:
            folder = self._folder(stack)
            client = stack.enter_context(Client(recordings=folder, **self._settings))
            self._closing = stack.pop_all()
        return client

    def __exit__(self, *_: object) -> None:
        assert isinstance(self._closing, ExitStack)  # noqa: S101 - it was entered
        self._closing.close()

    async def __aenter__(self) -> AsyncClient:
        async with AsyncExitStack() as stack:
            folder = self._folder(stack)
            made = AsyncClient(recordings=folder, **self._settings)
            client = await stack.enter_async_context(made)
            self._closing = stack.pop_all()
        return client

    async def __aexit__(self, *_: object) -> None:
        assert isinstance(self._closing, AsyncExitStack)  # noqa: S101 - it was entered
        await self._closing.aclose()

    def _folder(self, stack: ExitStack | AsyncExitStack) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="vesselog-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(
            save, folder, self._out, scrubber=self._scrubber, allow_secrets=self._allow_secrets
        )
        return folder


class replaying:  # noqa: N801 - used as a function: with replaying(…) as client
    """A context manager with a client that answers from one recording, without any network.

    `with` gives a Client, `async with` an AsyncClient. For a request that was not recorded the
    client raises ReplayMissError.

    Args:
        path: The recording.
        ignore: Parts of a request's body that may differ, such as "metadata.date" or
            "messages[*].name"; or functions that change the body before it is compared.
        only: The only fields of the body that are compared; by default all.
        order: Whether requests must come in the recorded order.
        repeat: Whether a request that comes more often than it was recorded gets its last answer
            again.
        leftover: Whether recorded answers may stay unused.
        speed: 1.0 is the recorded pace, 2.0 twice as fast; 0 or "max" means no waiting.
        scrub: As in `recording`.
        **settings: Other settings of the client.

    Raises:
        AssertionError: At the end of a block without an exception: a request was not recorded, or a
            recorded answer was not used.
        ConfigurationError: A setting cannot be used.
        SessionNameError: The file's name cannot be a session's name.
        RecordingError: The file cannot be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        ignore: Sequence[Ignored] = (),
        only: Sequence[str] = (),
        order: bool = False,
        repeat: bool = False,
        leftover: bool = False,
        speed: Speed = "max",
        scrub: ScrubRules = (),
        **settings: Any,
    ) -> None:
        matching = Matching(ignore, only, Scrubber(scrub))
        self.answers = TestAnswers(checked_path(path), matching, order=order, repeat=repeat)
        self._leftover = leftover
        self._settings: dict[str, Any] = {"speed": speed, **settings}
        self._folder = Path()
        self._client: Client | None = None
        self._async_client: AsyncClient | None = None

    def __enter__(self) -> Client:
        self._make_folder()
        self._client = ReplayingClient(self.answers, self._folder, **self._settings)
        return self._client

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._client is not None  # noqa: S101 - it was entered
        self._client.close()
        self._check(kind)

    async def __aenter__(self) -> AsyncClient:
        self._make_folder()
        self._async_client = AsyncReplayingClient(self.answers, self._folder, **self._settings)
        return self._async_client

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._async_client is not None  # noqa: S101 - it was entered
        await self._async_client.aclose()
        self._check(kind)

    def _make_folder(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vesselog-"))

    def _check(self, kind: type[BaseException] | None) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if kind is None and (told := complaint(self.answers, leftover=self._leftover)):
            raise AssertionError(told)


def complaint(answers: TestAnswers, *, leftover: bool) -> str:
    """What a test did not do as recorded, "" if nothing; leftover: unasked answers are allowed."""
    parts: list[str] = []
    if answers.misses:
        parts += ["requests changed since they were recorded:", *answers.misses]
    unasked = [] if leftover else answers.unasked()
    if unasked:
        parts += [f"recorded in {answers.path.name} and not asked for:", *unasked]
        parts.append("(record the test anew, or allow that by leftover=True)")
    return "\n".join(parts)
