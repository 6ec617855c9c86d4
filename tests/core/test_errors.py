"""The error tree: what each error carries, keeps and never shows."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from vesselog.core import errors
from vesselog.core.completion import Completion
from vesselog.core.errors import (
    ConfigurationError,
    ConnectionFailedError,
    ProviderError,
    RecordingCorruptError,
    RecordingError,
    StreamTimeoutError,
    TruncatedError,
    UsageError,
    VesselogError,
    error_from_record,
)

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, VesselogError)
]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: dict[str, str | None] = {}
    path: list[str] = []
    assert errors.__doc__
    for line in errors.__doc__.split("\n"):
        name = next((word for word in line.split() if word.endswith("Error")), None)
        if name is None or not line.startswith("    "):
            continue
        depth = (line.index(name) - 4) // 4
        path[depth:] = [name]
        drawn[name] = path[depth - 1] if depth else None
    real = {
        kind.__name__: None if kind is VesselogError else kind.__bases__[0].__name__
        for kind in KINDS
    }
    assert drawn == real


def test_every_error_is_public() -> None:
    assert {kind.__name__ for kind in KINDS} <= set(errors.__all__)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_a_pickle_whole(kind: type[VesselogError]) -> None:
    error = kind(
        "what happened",
        phase="body",
        setting="idle",
        status=503,
        code="overloaded",
        retryable=True,
        retry_after=1.5,
        completion=Completion(text="so far"),
        session="s",
        call=2,
        seq=7,
    )
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert str(again) == "what happened"
        assert vars(again) == vars(error)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_back_from_its_record(kind: type[VesselogError]) -> None:
    error = kind("why", phase="connect", status=429, code="x", retryable=True)
    again = error_from_record(error.to_record())
    assert type(again) is kind
    assert again.to_record() == error.to_record()
    assert str(again) == "why"


def test_a_record_keeps_what_a_handler_needs_and_no_more() -> None:
    error = ProviderError("no", status=400, completion=Completion(text="private"))
    assert error.to_record() == {
        "type": "ProviderError",
        "status": 400,
        "message": "no",
        "retryable": False,
    }


def test_a_record_of_a_later_version_gives_the_base_class() -> None:
    error = error_from_record({"type": "SomethingNewError", "message": "m", "more": 1})
    assert type(error) is VesselogError
    assert str(error) == "m"


@pytest.mark.parametrize("record", [{}, {"type": None}, {"type": "Exception"}])
def test_a_record_never_makes_another_kind_of_exception(record: dict[str, str]) -> None:
    assert type(error_from_record(record)) is VesselogError


@pytest.mark.parametrize(
    ("kind", "retryable"),
    [
        (ConnectionFailedError, True),
        (StreamTimeoutError, True),
        (TruncatedError, True),
        (ProviderError, False),
        (UsageError, False),
        (RecordingError, False),
    ],
)
def test_what_may_be_tried_again(kind: type[VesselogError], retryable: bool) -> None:  # noqa: FBT001
    assert kind("m").retryable is retryable
    assert kind("m", retryable=not retryable).retryable is not retryable


def test_your_fault_and_theirs_are_apart() -> None:
    assert issubclass(ConfigurationError, UsageError)
    assert not issubclass(ProviderError, UsageError)
    assert issubclass(RecordingCorruptError, RecordingError)
