"""What the fixture `ground_truth` gives: clients and addresses that record once, then replay.

Modes: "none" replays only, and blocks the network. "once" records a test that has no recording, and
replays one that has. "new" replays what is recorded, and adds what is not. "rewrite" records anew.
What a test recorded is kept only if the test passed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from ..core.client.async_client import AsyncClient
from ..core.client.client import Client
from ..core.registry import find_vessel, installed_vessels
from ..core.replay.pace import Speed, checked_speed
from ..core.settings import Limits
from ..core.truth.session_names import SUFFIX
from ..vessels import ConfigurationError
from .answers import TestAnswers
from .clients import AsyncReplayingClient, AsyncTestClient, ReplayingClient
from .faults import faulty
from .matching import Ignored, Matching
from .network import network_blocked
from .rewriting import draft_calls, write_calls
from .scrubbing import Scrubber, ScrubRules
from .sessions import complaint, save

if TYPE_CHECKING:
    from ..vessels import Vessel
    from .loopback import LoopbackServer

__all__ = ["MODES", "GroundTruth", "Mode", "Settings", "checked_mode", "recording_name"]

Mode = Literal["none", "once", "new", "rewrite"]
MODES: tuple[Mode, ...] = ("none", "once", "new", "rewrite")

_LONGEST_NAME = 100  # of the 128 characters that a session's name may have
_PLACEHOLDER = "not-a-key"  # so short that it counts as none


@dataclass(frozen=True, slots=True)
class Settings:
    """How a test records and replays: what the marker takes (plugin.py describes each)."""

    mode: Mode | None = None
    recording: str | None = None
    fault: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ignore: Sequence[Ignored] = ()
    only: Sequence[str] = ()
    order: bool = False
    repeat: bool = False
    leftover: bool = False
    speed: Speed = "max"
    scrub: ScrubRules = ()
    allow_secrets: bool = False
    environment: bool = False
    network: bool = False
    client: Mapping[str, Any] = field(default_factory=dict[str, Any])


class GroundTruth:
    """The recorded answers of one test: what the fixture `ground_truth` gives.

    Attributes:
        path: The test's recording.
        mode: "none", "once", "new" or "rewrite", as of `--ground-truth`.
        settings: How the test records and replays.
        records: Whether requests may reach the model servers.

    Raises:
        ConfigurationError: A setting cannot be used.
    """

    def __init__(
        self,
        path: Path,
        mode: Mode,
        settings: Settings,
        folder: Path,
        server: Callable[[], LoopbackServer],
    ) -> None:
        self.path = path
        self.mode = mode
        self.settings = settings
        self._folder = folder / "recorded"
        self._replayed = folder / "replayed"
        self._server = server
        self._scrubber = Scrubber(settings.scrub)
        # Checked while recording too: a wrong setting is not to be found in the first replay.
        self._matching = Matching(settings.ignore, settings.only, self._scrubber)
        checked_speed(settings.speed)
        self._environment = dict(os.environ)
        self._stack = ExitStack()
        self._client: Client | None = None
        self._async_client: AsyncTestClient | None = None
        self._url = ""
        exists = path.exists()
        borrowed = settings.recording is not None
        self.records = not borrowed and (
            mode in {"new", "rewrite"} or (mode == "once" and not exists)
        )
        self._answers: TestAnswers | None = None
        if settings.fault and not borrowed:
            raise ConfigurationError("fault= needs recording=, the test whose recording gets it")
        if not self.records or (mode == "new" and exists):
            self._answers = self._recorded(folder, exists=exists)
        if mode == "none" and not settings.network:
            self._stack.enter_context(network_blocked())
        if settings.environment:
            self.patch_environment()

    def _recorded(self, folder: Path, *, exists: bool) -> TestAnswers:
        settings = self.settings
        source, advice = self.path, "pytest --ground-truth=rewrite records it anew"
        if not exists:
            source = folder / self.path.name
            write_calls([], source, {})
            advice = f"there is no {self.path}: pytest --ground-truth=once records it"
        elif settings.fault:
            source = faulty(self.path, folder / self.path.name, **settings.fault)
        # A refusal without an end: the retries of a client get it too.
        repeat = settings.repeat or "status" in settings.fault
        return TestAnswers(
            source, self._matching, order=settings.order, repeat=repeat, advice=advice
        )

    @property
    def client(self) -> Client:
        """A client that records, or replays; closed with the test."""
        if self._client is None:
            made = None
            if self.records:
                made = Client(**self._client_settings({}))
            if self._answers is not None:
                given = self._client_settings({"speed": self.settings.speed})
                made = ReplayingClient(self._answers, self._replayed, missing=made, **given)
            assert made is not None  # noqa: S101 - it records, or has answers
            self._stack.callback(made.close)
            self._client = made
        return self._client

    @property
    def async_client(self) -> AsyncTestClient:
        """An async client, for the event loop that it is first used in."""
        if self._async_client is None:
            made = None
            if self.records:
                # Its loop may be gone when the test is over: no connection outlives its answer.
                own = {"limits": Limits(max_keepalive=0), "fast": False}
                made = AsyncTestClient(**self._client_settings(own))
            if self._answers is not None:
                given = self._client_settings({"speed": self.settings.speed})
                made = AsyncReplayingClient(self._answers, self._replayed, missing=made, **given)
            assert made is not None  # noqa: S101 - it records, or has answers
            self._stack.callback(_close_async, made)
            self._async_client = made
        return self._async_client

    def base_url(self, vessel: str) -> str:
        """The base URL for any client of a vessel's dialect: `base_url("openai")`.

        Args:
            vessel: The name of an installed vessel, or of one in the client's setting `vessels`.

        Raises:
            UnknownVesselError: There is no such vessel.
            ConfigurationError: The extra `server` is missing.
        """
        from ..vessels import Azure, OpenAI  # noqa: PLC0415 - needed here alone

        given: Mapping[str, Vessel] = self.settings.client.get("vessels", {})
        kind = type(given[vessel]) if vessel in given else find_vessel(vessel)
        version = "/v1" if issubclass(kind, OpenAI) and not issubclass(kind, Azure) else ""
        return f"{self._serve()}/{vessel}{version}"

    def patch_environment(self) -> None:
        """Set the variables of base URLs: OPENAI_BASE_URL, OLLAMA_HOST and the like.

        This is for code that creates its own client. While replaying, keys that are not set get a
        placeholder. After the test, the variables have their earlier values again.
        """
        patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        done: set[str] = set()
        for vessel in sorted(installed_vessels()):
            variables = find_vessel(vessel).variables
            for name in variables.get("base_url", ()):
                if name not in done:
                    patch.setenv(name, self.base_url(vessel))
                    done.add(name)
            keys = variables.get("api_key", ())
            if not self.records and keys and not any(map(os.environ.get, keys)):
                patch.setenv(keys[0], _PLACEHOLDER)
        for name in ("NO_PROXY", "no_proxy"):
            direct = [os.environ.get(name, ""), "127.0.0.1"]
            patch.setenv(name, ",".join(filter(None, direct)))

    @property
    def misses(self) -> list[str]:
        """What was requested but is not recorded. The test fails unless this list is cleared."""
        return [] if self._answers is None else self._answers.misses

    def unasked(self) -> list[str]:
        """What was recorded but not requested so far."""
        return [] if self._answers is None else self._answers.unasked()

    def close(self, *, passed: bool) -> str:
        """End the test: keep what it recorded, if it passed. Returns why it fails after all, or "".

        Args:
            passed: Whether the test passed.

        Raises:
            RecordingError: The recording cannot be written, or seems to contain a secret.
        """
        self._stack.close()
        if not passed:
            return ""
        problem = ""
        if self._answers is not None:
            problem = complaint(self._answers, leftover=self.settings.leftover)
        if self.records and not problem:
            kept = draft_calls([self.path]) if self._answers is not None else []
            settings = self.settings
            written = save(
                self._folder,
                self.path,
                scrubber=self._scrubber,
                allow_secrets=settings.allow_secrets,
                kept=kept,
                environment=self._environment,
            )
            if not written and self.mode == "rewrite":
                self.path.unlink(missing_ok=True)
        return problem

    def _client_settings(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a client; `own` are those that the test may override."""
        folder = self._replayed if "speed" in own else self._folder
        return {"recordings": folder, **own, **self.settings.client}

    def _serve(self) -> str:
        if not self._url:
            from .loopback import (  # noqa: PLC0415 - needs the extra `server`
                GatewayApp,
                ReplayApp,
                translating_vessels,
                upstream_vessels,
            )

            given = self.settings.client.get("vessels", {})
            vessels: dict[str, Vessel] = {}
            if self.records or given:
                vessels = upstream_vessels(self._environment if self.records else {}, given)
            app: Any = None
            if self.records:
                app = GatewayApp(vessels, partial(AsyncClient, recordings=self._folder))
                self._stack.callback(app.close)
            if self._answers is not None:
                answers, speed = self._answers, self.settings.speed
                translating = GatewayApp(
                    vessels if self.records else translating_vessels(given),
                    partial(AsyncReplayingClient, answers, self._replayed, speed=speed),
                )
                self._stack.callback(translating.close)
                app = ReplayApp(answers, vessels, translating, speed, missing=app)
            server = self._server()
            self._url = server.add(app)
            self._stack.callback(server.remove, self._url)
        return self._url


def recording_name(test: str) -> str:
    """A file's name for a test's name, which may have any parameters in it."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", test.replace("[", "-").removesuffix("]"))
    safe = re.fullmatch(r"[A-Za-z0-9._]+(?:\[[A-Za-z0-9._-]+\])?", test) is not None
    if not safe or len(plain) > _LONGEST_NAME:
        digest = hashlib.sha256(test.encode(errors="surrogatepass")).hexdigest()[:8]
        plain = f"{plain[:_LONGEST_NAME]}-{digest}"
    return plain + SUFFIX


def checked_mode(name: str, where: str) -> Mode:
    """The mode of this name. Raises ConfigurationError."""
    for mode in MODES:
        if name == mode:
            return mode
    raise ConfigurationError(f"{where} is {name!r}: one of {', '.join(MODES)}", setting="mode")


def _close_async(client: AsyncTestClient) -> None:
    """Close an async client where its loop allows that."""
    loop = client.loop
    if loop is None:
        asyncio.run(client.aclose())
    elif not loop.is_closed() and not loop.is_running():
        loop.run_until_complete(client.aclose())
