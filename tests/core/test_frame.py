"""One frame as a decoder sees it."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vesselog.core.errors import ProtocolError
from vesselog.core.frame import Frame, _parse_event
from vesselog.core.framing import Framing, Splitter


def event(raw: bytes, *, first: bool = False) -> Frame:
    return Frame(raw, Framing.SSE, first=first)


@pytest.mark.parametrize(
    ("raw", "kind", "data"),
    [
        (b"data: x\n\n", "message", "x"),
        (b"data:x\n\n", "message", "x"),
        (b"data:  x\n\n", "message", " x"),
        (b"data: x\r\n\r\n", "message", "x"),
        (b"data: x\r\r", "message", "x"),
        (b"data: x", "message", "x"),
        (b"data: x\n", "message", "x"),
        (b"data: x\r\n", "message", "x"),
        (b"data: a\ndata: b\n\n", "message", "a\nb"),
        (b"event: error\ndata: x\n\n", "error", "x"),
        (b"id: 1\nretry: 5\ndata: x\n\n", "message", "x"),
        (b": keep-alive\n\n", "message", None),
        (b": a\n: b\n\n", "message", None),
        (b": note\ndata: x\n\n", "message", "x"),
        (b"data\n\n", "message", None),
        (b"data:\n\n", "message", None),
        (b"data: \n\n", "message", None),
        (b"\n", "message", None),
        (b"\ndata: x\n\n", "message", "x"),
        (b"id: 9\n\n", "message", None),
        (b"error: {}\n\n", "message", None),
        ('data: "a\u2028b\u0085c"\n\n'.encode(), "message", '"a\u2028b\u0085c"'),
    ],
)
def test_the_fields_of_an_event(raw: bytes, kind: str, data: str | None) -> None:
    frame = event(raw)
    assert (frame.event, frame.data) == (kind, data)
    assert frame.raw == raw
    assert frame.text == raw.decode()
    assert frame.repairs == ()


def test_a_byte_order_mark_at_the_beginning_is_taken_off() -> None:
    frame = event(b"\xef\xbb\xbfdata: x\n\n", first=True)
    assert frame.data == "x"
    assert frame.repairs == ("byte-order-mark",)
    assert frame.text.startswith("\ufeff"), "the text stays exact"


def test_a_byte_order_mark_later_is_part_of_a_name() -> None:
    assert event(b"\xef\xbb\xbfdata: x\n\n").data is None


def test_invalid_utf_8_is_replaced_and_named() -> None:
    frame = event(b'data: "\xff"\n\n')
    assert frame.data == '"\ufffd"'
    assert not frame.valid
    assert frame.repairs == ("invalid-utf-8",)
    assert frame.raw == b'data: "\xff"\n\n'


@pytest.mark.parametrize("framing", [Framing.NDJSON, Framing.BODY])
def test_a_line_is_its_data(framing: Framing) -> None:
    assert Frame(b' {"a":1}\r\n', framing).data == '{"a":1}'
    assert Frame(b" \r\n", framing).data is None
    assert Frame('{"a":"\u2028"}\u2028\n'.encode(), framing).data == '{"a":"\u2028"}\u2028'


def test_json_of_a_frame() -> None:
    frame = event(b'data: {"a": 1}\n\n')
    assert frame.json() == {"a": 1}


@pytest.mark.parametrize("data", ['"\\ud83d"', "-Infinity", "1e400"])
def test_json_that_orjson_refuses_is_read(data: str) -> None:
    assert event(f"data: {data}\n\n".encode()).json() == json.loads(data)


@pytest.mark.parametrize("data", ["", "{", "[DONE]", "nothing", '{"a":1}{"b":2}', "[" * 100_000])
def test_what_is_no_json_is_a_value_error(data: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        event(f"data: {data}\n\n".encode()).json()


def test_a_repair_is_named_once() -> None:
    frame = event(b"data: x\n\n")
    frame.repair("id-repeated")
    frame.repair("missing-tool-index")
    frame.repair("id-repeated")
    assert frame.repairs == ("id-repeated", "missing-tool-index")


pieces = st.sampled_from(
    [
        "data",
        "data:",
        "data: ",
        "event: e",
        "event: e\ndata: x\n\n",
        "id: 1",
        "id",
        ":",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "x",
        "\u2028",
        "\x85",
        "\x00",
        "\ufeff",
        '{"a":1}',
        "retry: 1",
    ]
)


@given(st.lists(pieces, max_size=10).map("".join))
@example("data: x\n\n")
@example("data: \n\n")
@example("data: \u2028\x0b\n\n")
@example("event: e\ndata:  x\n\n")
@example("event: \ndata: x\n\n")
@example("event: e\ndata: \n\n")
@example("event:  e \u2028\ndata: data: x\n\n")
@example("event: e\ndata: x\ndata: y\n\n")
def test_the_direct_path_equals_httpx_sse(body: str) -> None:
    """However an event is dressed, what the frame says is what httpx-sse says of it."""
    splitter = Splitter(Framing.SSE)
    raws = splitter.split(body.encode())
    for raw in [*raws, splitter.rest()]:
        frame = event(raw)
        assert (frame.event, frame.data) == _parse_event(raw.decode())


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_direct_path_equals_httpx_sse_for_any_text(text: str) -> None:
    for raw in (f"data: {text}\n\n", f"event: {text}\ndata: {text}\n\n"):
        frame = event(raw.encode())
        assert (frame.event, frame.data) == _parse_event(raw)


@pytest.mark.parametrize("unusual", ["NaN", "9" * 30])
def test_a_large_frame_has_few_values_beside_an_unusual_number(unusual: str) -> None:
    """The standard module, which reads such numbers, needs many times as long for the others."""
    frame = event(f"data: [{unusual},{'1.5,' * 200_000}1]\n\n".encode())
    with pytest.raises(ProtocolError, match=r"numbers.* more than any answer needs"):
        frame.json()
    assert frame.overfull


def test_a_half_in_a_large_frame_is_mended_at_once() -> None:
    frame = event(b'data: ["\\ud83d","\\ud83d\\ude00",' + b"1.5," * 200_000 + b"1]\n\n")
    assert frame.json()[:2] == ["\ufffd", "\U0001f600"]
    assert frame.repairs == ("lone-surrogate",)
