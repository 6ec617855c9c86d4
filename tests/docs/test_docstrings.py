"""Checks what `help()` shows of every public name: a summary, the parameters, units and errors.

The helpers for authors of vessels need a summary only: most take one value and return another.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import pydoc
import re
import textwrap
from typing import Any, is_typeddict

import vesselog
from public_api import Documented, documented
from vesselog import RequestFields, VesselogError

ALL = [*documented()]
DETAILED = [each for each in ALL if not each.name.startswith("vesselog.vessels.")]
# Explained by the class that they are the fields of, or by the contract that they fulfil.
EXPLAINED_ELSEWHERE = {"vesselog.RequestFields"}
# The source of these objects makes them; nobody else does.
MADE_BY_THE_LIBRARY = {
    *("vesselog.AsyncStream", "vesselog.Frame", "vesselog.RecordedCall", "vesselog.Stream"),
    *("vesselog.VesselogError", "vesselog.Message", "vesselog.RecordedFrame.of"),
    "vesselog.RecordedCall.assembled",
}
SECONDS = {
    "lock_wait",
    "timeouts",
    "heartbeat",
    "poll",
    "longest_wait",
    "backoff",
    "longest",
    "retry_after",
}


def own_parameters(function: Any) -> list[str]:
    """The parameters that a caller gives."""
    named = inspect.signature(function).parameters.values()
    kinds = {inspect.Parameter.VAR_POSITIONAL}
    return [
        each.name
        for each in named
        if each.name not in {"self", "cls", "mistaken"}
        and not each.name.startswith("_")
        and each.kind not in kinds
    ]


def fields_of(value: Any) -> list[str]:
    """The public fields of a model, a dataclass, a named tuple or a typed dict."""
    if not inspect.isclass(value):
        return []
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    elif is_typeddict(value):
        names = [*value.__annotations__]
    else:
        own = [*getattr(value, "model_fields", {})]
        names = own or [*getattr(value, "_fields", ())]
    return [name for name in names if not name.startswith("_")]


def explained(each: Documented) -> str:
    """The docstring, with that of `__init__`, and of the bases that a class adds fields to."""
    texts = [each.text]
    if inspect.isclass(each.value):
        for base in each.value.__mro__:
            if base.__module__.startswith("vesselog"):
                texts += (
                    [base.__doc__ or "", vars(base).get("__init__").__doc__ or ""]
                    if ("__init__" in vars(base))
                    else [base.__doc__ or ""]
                )
    return "\n".join(texts)


def test_each_begins_with_a_summary() -> None:
    bad = [str(each) for each in ALL if not re.search(r"[.:`]$", each.text.partition("\n\n")[0])]
    assert bad == []


def test_every_parameter_and_field_is_explained() -> None:
    missing: list[str] = []
    for each in DETAILED:
        names = fields_of(each.value)
        if inspect.isfunction(each.value):
            names = own_parameters(each.value)
        elif inspect.isclass(each.value) and not names and "__init__" in vars(each.value):
            names = own_parameters(each.value.__init__)
        if each.name not in EXPLAINED_ELSEWHERE | MADE_BY_THE_LIBRARY:
            text = explained(each)
            missing += [f"{each}: {name}" for name in names if not re.search(rf"\b{name}\b", text)]
    assert missing == []


def test_seconds_are_said_to_be_seconds() -> None:
    silent: list[str] = []
    for each in DETAILED:
        names = fields_of(each.value)
        if inspect.isfunction(each.value):
            names = own_parameters(each.value)
        if SECONDS & {*names} and "second" not in each.text.lower():
            silent.append(str(each))
    assert silent == []


def raised_in(function: Any) -> set[type[VesselogError]]:
    """The errors of the library that a function raises itself, by a `raise` in its body."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    names = [each.func for each in raised if isinstance(each, ast.Call)]
    kinds = [getattr(vesselog, each.id, None) for each in names if isinstance(each, ast.Name)]
    return {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, VesselogError)}


def test_the_errors_that_a_function_raises_are_named() -> None:
    """Each, or the class of errors that it belongs to."""
    unnamed = [
        f"{each}: {kind.__name__}"
        for each in DETAILED
        if inspect.isfunction(each.value)
        for kind in raised_in(each.value)
        if not any(base.__name__ in each.text for base in kind.__mro__[:-3])
    ]
    assert unnamed == []


def test_the_request_fields_are_explained_where_stream_sends_the_reader() -> None:
    for name in RequestFields.__annotations__:
        assert f"    {name}: " in (vesselog.ChatRequest.__doc__ or "")
        assert f"`{name}`" in (vesselog.Client.stream.__doc__ or "")


def test_help_prints_what_the_docstring_says() -> None:
    shown = pydoc.render_doc("vesselog.Client.stream", renderer=pydoc.plaintext)
    for line in ("Ask a model for a streamed answer.", "Raises:", "timeouts: Deadlines in seconds"):
        assert line in shown
