"""Checks what `help()` shows of every public name: a summary, the parameters, units and errors.

The helpers for authors of vessels may name their parameters in the summary: most take one value
and return another.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import pydoc
import re
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, is_typeddict

import vesselog
from public_api import Documented, documented, documented_values
from vesselog import RecordedCall, RequestFields, VesselogError

ALL = [*documented()]
DETAILED = [each for each in ALL if not each.name.startswith("vesselog.vessels.")]
# Explained by the class that they are the fields of, or by the contract that they fulfil.
EXPLAINED_ELSEWHERE = {"vesselog.RequestFields"}
# The source of these objects makes them; nobody else does.
MADE_BY_THE_LIBRARY = {
    *("vesselog.AsyncStream", "vesselog.Frame", "vesselog.RecordedCall", "vesselog.Stream"),
    *("vesselog.VesselogError", "vesselog.Message", "vesselog.RecordedFrame.of"),
    *("vesselog.RecordedCall.assembled", "vesselog.testing.GroundTruth"),
}
# Numbers that are no times: rates, factors, and settings of the model.
WITHOUT_UNIT = {"speed", "temperature", "top_p"}
RATES = {"output_tokens_per_second", "clock_output_tokens_per_second"}
# Names of sizes that do not say their unit themselves.
SIZES = {"size", "offset", "torn", "keep_bytes", "max_frame_bytes", "deleted_bytes", "kept_bytes"}


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
                texts.append(base.__doc__ or "")
                texts.append(getattr(vars(base).get("__init__"), "__doc__", None) or "")
    return "\n".join(map(inspect.cleandoc, texts))


def test_each_begins_with_a_summary() -> None:
    bad = [str(each) for each in ALL if not re.search(r"[.:`]$", each.text.partition("\n\n")[0])]
    assert bad == []


def literals(alias: Any) -> Iterator[str]:
    """The texts that a type alias allows."""
    for each in get_args(alias):
        if get_origin(alias) is Literal:
            yield each
        else:
            yield from literals(each)


def test_each_type_alias_and_constant_is_described_with_all_its_values() -> None:
    values = documented_values()
    assert {"Durability", "FinishReason", "Messages", "Outcome", "Part", "SplitThink"} <= {*values}
    for name, (value, text) in values.items():
        assert re.search(r"[.:]$", text.partition("\n\n")[0]), name
        assert [word for word in literals(value) if f'"{word}": ' not in text] == [], name


def test_help_of_the_package_describes_each_type_alias() -> None:
    """`help(vesselog.Outcome)` could only show what Python says of `Literal`."""
    for name in vesselog.__all__:
        value = getattr(vesselog, name)
        if get_args(value):
            found = re.search(rf"^{name}: (.*(?:\n    .*)*)", vesselog.__doc__ or "", re.MULTILINE)
            told = found[1] if found else ""
            assert told, name
            assert [word for word in literals(value) if f'"{word}"' not in told] == [], name


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


def overrides(each: Documented) -> bool:
    """Whether it is a method that a base class documents."""
    if each.owner is None:
        return False
    key = each.name.rpartition(".")[2]
    bases = (vars(base).get(key) for base in each.owner.__mro__ if base is not each.owner)
    return any(getattr(method, "__doc__", None) for method in bases)


def test_every_parameter_of_a_helper_is_named() -> None:
    """In the summary or below; a method that overrides another one is explained there."""
    missing = [
        f"{each}: {name}"
        for each in ALL
        if each.name.startswith("vesselog.vessels.") and inspect.isfunction(each.value)
        if not overrides(each)
        for name in own_parameters(each.value)
        if not re.search(rf"\b{name}\b", each.text)
    ]
    assert missing == []


def entries(text: str) -> dict[str, str]:
    """The entries of the sections Args and Attributes, by their names."""
    found = re.finditer(r"^    \**(\w+): (.*(?:\n {5,}.*)*)", text, re.MULTILINE)
    return {entry[1]: " ".join(entry[2].split()) for entry in found}


def annotations(value: Any) -> dict[str, str]:
    """The annotations of parameters and fields, as they are written."""
    if inspect.isfunction(value):
        given = inspect.signature(value).parameters.values()
        return {each.name: str(each.annotation) for each in given}
    own = {name: str(each) for name, each in vars(value).get("__annotations__", {}).items()}
    init = vars(value).get("__init__")
    return own | (annotations(init) if inspect.isfunction(init) else {})


def test_numbers_have_units() -> None:
    """A float is a time in seconds, if it is not a rate or a factor; a size is in bytes."""
    silent: list[str] = []
    units: set[str] = set()
    for each in DETAILED:
        if not (inspect.isfunction(each.value) or inspect.isclass(each.value)):
            continue
        summary, told = each.text.partition("\n\n")[0], entries(explained(each))
        for name, written in annotations(each.value).items():
            if name.startswith("_") or name not in told or name in WITHOUT_UNIT:
                continue
            if name in RATES:
                unit = "divided"
            elif re.search(r"\b(float|_Seconds)\b", written):
                unit = "second"
            elif name in SIZES and re.search(r"\bint\b|_Count|_AtLeastOne", written):
                unit = "byte"
            else:
                continue
            units.add(unit)
            if unit not in told[name].lower() and unit not in summary.lower():
                silent.append(f"{each}: {name} ({unit})")
    assert silent == []
    assert units == {"byte", "divided", "second"}


def test_microseconds_are_told_from_seconds() -> None:
    """Times within a recording are integers, in microseconds."""
    for kind, names in ((vesselog.RecordedFrame, {"t", "started"}), (RecordedCall, {"started"})):
        told = entries(inspect.getdoc(kind) or "")
        assert [name for name in names if "microseconds" not in told[name]] == []


def raised_in(value: Any) -> set[type[VesselogError]]:
    """The errors of the library that a function or a constructor raises itself, by a `raise`."""
    function = vars(value).get("__init__") if inspect.isclass(value) else value
    if not inspect.isfunction(function):
        return set()
    if "vesselog" not in function.__module__ or "<string>" in function.__code__.co_filename:
        return set()  # made by dataclass or pydantic
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    names = [each.func for each in raised if isinstance(each, ast.Call)]
    kinds = [getattr(vesselog, each.id, None) for each in names if isinstance(each, ast.Name)]
    return {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, VesselogError)}


def test_the_errors_that_a_function_raises_are_named() -> None:
    """Each, or the class of errors that it belongs to."""
    unnamed = [
        f"{each}: {kind.__name__}"
        for each in ALL
        for kind in raised_in(each.value)
        if not any(base.__name__ in explained(each) for base in kind.__mro__[:-3])
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


def test_the_errors_of_a_stream_are_those_of_complete() -> None:
    """`complete` reads a stream, so it names the errors that the stream's class names."""
    of_stream = re.findall(
        r"^    (\w+Error): ", inspect.getdoc(vesselog.Stream) or "", re.MULTILINE
    )
    assert len(of_stream) >= 6
    for client in (vesselog.Client, vesselog.AsyncClient):
        text = client.complete.__doc__ or ""
        assert [name for name in of_stream if name not in text] == []
        assert "UsageError: " in text
