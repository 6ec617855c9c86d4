"""The pages of the reference: every public name is on exactly one of them.

A public name is one in the `__all__` of `vesselog` or of one of its rooms. One that stands on no
page, or on a page but is not public, fails the build.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import plugin_options
from mkdocs.exceptions import PluginError

import commands

__all__ = ["pages"]

_CLIENTS = "Client AsyncClient Stream AsyncStream Step Frame Messages"
_REQUESTS = (
    "ChatRequest RequestFields Message Part TextPart ImagePart ImageURL OtherPart Tool "
    "ToolFunction CustomTool ToolCallRequest FunctionCall CustomCall SplitThink"
)
_ANSWERS = (
    "StreamChunk ToolCallDelta Completion Choice ToolCall Usage Timings Metrics FinishReason "
    "Outcome"
)
_ERRORS = (
    "VesselogError UsageError ConfigurationError UnknownVesselError InvalidRequestError "
    "SessionNameError ClientStateError ConnectionFailedError StreamTimeoutError ProviderError "
    "TruncatedError ProtocolError ReplayMissError RecordingError RecordingLockedError "
    "RecordingCorruptError"
)
_RECORDINGS = "Recording RecordedCall RecordedFrame SessionSummary replay Replay follow Follow"
_MAINTENANCE = (
    "verify VerifyReport Finding recover RecoverReport salvage SalvageReport SalvageNote rederive "
    "RederiveReport ChangedOutcome KeptCall diff Difference prune PruneReport PrunedRecording"
)

_CONTRACT = "Decoder Framing Progress ChunkFields ToolCallDeltaFields"
_BUILT_IN = (
    "BUILT_IN PRESETS Anthropic Azure Cerebras DeepSeek Fireworks Gemini Groq HuggingFace LMStudio "
    "LlamaCpp Mistral Ollama OllamaV1 OpenAI OpenRouter Perplexity Together VLLM XAI ZAI"
)


@dataclass(frozen=True)
class _Subject:
    """A page: names of modules, in the order of reading. rest: every public name left over."""

    title: str
    introduction: str
    names: Mapping[str, str]
    rest: str | None = None


_SUBJECTS = {
    "clients": _Subject(
        "Clients and streams",
        "The clients send requests, record the answers and return them as streams.",
        {"vesselog": _CLIENTS},
    ),
    "request-types": _Subject(
        "Request types",
        "What a request is made of. [Requests and answers](../requests.md) has the same in tables, "
        "with what each provider accepts.",
        {"vesselog": _REQUESTS},
    ),
    "answer-types": _Subject(
        "Chunks and answers",
        "What a stream returns, and what `complete()` returns. All values are frozen.",
        {"vesselog": _ANSWERS},
    ),
    "settings": _Subject(
        "Settings",
        "Settings that a client takes; `Timeouts` can also be given to a single call.",
        {"vesselog": "Timeouts Retries Limits Durability"},
    ),
    "errors": _Subject(
        "Errors",
        "All errors of the library are subclasses of `VesselogError`.",
        {"vesselog": _ERRORS},
    ),
    "recordings": _Subject(
        "Recordings",
        "Reading a recording, also while it is written, and replaying it.",
        {"vesselog": _RECORDINGS},
    ),
    "maintenance": _Subject(
        "Check, repair and delete",
        "What the commands of the same names do.",
        {"vesselog": _MAINTENANCE},
    ),
    "server": _Subject(
        "Serving over HTTP",
        "Needs the extra `server`: `pip install 'vesselog[server]'`.",
        {},
        rest="vesselog.server",
    ),
    "vessel-types": _Subject(
        "Vessels",
        "The contract of a vessel (a provider adapter), and the vessels that are built in.",
        {
            "vesselog": "Vessel WireRequest ModelInfo",
            "vesselog.vessels": f"{_CONTRACT} {_BUILT_IN}",
        },
    ),
    "vessel-helpers": _Subject(
        "Helpers for authors of vessels",
        "What the built-in vessels use, for vessels of your own. See "
        "[Writing a vessel](../writing-a-vessel.md).",
        {},
        rest="vesselog.vessels",
    ),
    "testing": _Subject(
        "Testing",
        "Recorded answers for tests of programs that use a model. "
        "[Testing](../testing.md) has examples, and "
        "[the fixtures and options of pytest](pytest-options.md) are a page of their own.",
        {"vesselog.testing": "recording replaying faulty GroundTruth"},
    ),
    "test-kit": _Subject(
        "The test kit for vessels",
        "What the fixture `conformance` of the pytest plugin runs.",
        {},
        rest="vesselog.testing.kit",
    ),
}
_MODULES = (
    "vesselog",
    "vesselog.server",
    "vesselog.vessels",
    "vesselog.testing",
    "vesselog.testing.kit",
)
_NO_PAGE = {"__version__"}


def pages() -> dict[str, str]:
    """The text of each page by its address, in the order of the navigation."""
    public = {module: [*import_module(module).__all__] for module in _MODULES}
    shown = {
        name
        for each in _SUBJECTS.values()
        for names in each.names.values()
        for name in names.split()
    } | _NO_PAGE
    made: dict[str, str] = {}
    for address, subject in _SUBJECTS.items():
        names = [
            (module, name) for module, listed in subject.names.items() for name in listed.split()
        ]
        if subject.rest is not None:
            left = [name for name in public[subject.rest] if name not in shown]
            names += [(subject.rest, name) for name in left]
            shown.update(left)
        for module, name in names:
            if name not in public[module]:
                raise PluginError(f"{module}.{name} is on a page, but not public")
        entries = "".join(f"::: {module}.{name}\n\n" for module, name in names)
        made[f"reference/{address}.md"] = (
            f"# {subject.title}\n\n{subject.introduction}\n\n{entries}"
        )
    missing = sorted(
        f"{module}.{name}"
        for module, listed in public.items()
        for name in listed
        if name not in shown
    )
    if missing:
        raise PluginError(f"public, but on no page of the reference: {', '.join(missing)}")
    return {
        **made,
        "reference/commands.md": commands.page(),
        "reference/pytest-options.md": plugin_options.page(),
    }
