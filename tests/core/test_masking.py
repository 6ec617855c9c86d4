"""A key that a server echoes is masked before anyone, and any file, sees it."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from decoding import decode, delta, sse
from vesselog.core.masking import MASK, Masker
from vesselog.core.vessel import SHORTEST_SECRET
from vesselog.vessels import OpenAI

KEY = "sk-canary-0123456789"


@pytest.mark.parametrize("key", ["EMPTY", "ollama", "none", "x" * (SHORTEST_SECRET - 1), ""])
def test_placeholders_are_not_masked(key: str) -> None:
    masker = Masker([key])
    assert masker.idle
    assert masker.text(f"the key {key}") == f"the key {key}"
    data = f"the key {key}".encode()
    assert masker.bytes(data) is data


def test_a_key_is_masked_in_text_and_bytes() -> None:
    masker = Masker([KEY])
    assert masker.text(f"bad key {KEY}.") == f"bad key {MASK}."
    assert masker.bytes(f"bad key {KEY}.".encode()) == f"bad key {MASK}.".encode()


def test_what_has_no_key_in_it_is_the_same_object() -> None:
    data = b'data: {"a": "b"}\n\n'
    assert Masker([KEY]).bytes(data) is data


def test_a_name_of_a_property_stays() -> None:
    body = json.dumps({KEY: KEY})
    assert json.loads(Masker([KEY]).text(body)) == {KEY: MASK}


def test_a_key_within_another_does_not_leave_a_piece_of_it() -> None:
    masker = Masker([KEY, f"{KEY}-and-more"])
    assert masker.text(f"{KEY}-and-more {KEY}") == f"{MASK} {MASK}"


def test_characters_of_a_pattern_are_nothing_special() -> None:
    assert Masker(["a.c*(e)+[g]$"]).text("a.c*(e)+[g]$ abc") == f"{MASK} abc"


def test_a_frame_is_masked_before_it_is_decoded() -> None:
    body = sse(delta(content=f"your key is {KEY}"), delta("stop"))
    found = decode(OpenAI(), body, masker=Masker([KEY]))
    assert found.completion.text == f"your key is {MASK}"
    assert [step.masked for step in found.steps] == [True, False]
    assert KEY.encode() not in found.raw
    assert all(KEY not in chunk.raw for chunk in found.chunks)


def test_a_key_over_two_reads_is_masked() -> None:
    body = sse(delta(content=f"your key is {KEY}"), delta("stop"))
    for at in range(len(body)):
        found = decode(OpenAI(), [body[:at], body[at:]], masker=Masker([KEY]))
        assert KEY.encode() not in found.raw


def test_an_error_body_is_masked() -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    found = decode(OpenAI(), body, "application/json", status=401, masker=Masker([KEY]))
    assert KEY not in str(found.error)
    assert KEY.encode() not in found.raw
    assert found.steps[0].masked


def test_a_cut_frame_is_masked() -> None:
    found = decode(OpenAI(), f'data: {{"a": "{KEY}'.encode(), masker=Masker([KEY]))
    assert found.steps[0].masked
    assert KEY.encode() not in found.raw


def test_a_key_that_json_escapes_is_masked() -> None:
    key = 'sk-with"quote\\and-slash/'
    masker = Masker([key])
    plain = json.dumps({"a": key})
    for text in (plain, plain.replace("/", "\\/"), plain.replace("/", "\\u002F")):
        assert json.loads(masker.text(text)) == {"a": MASK}


def test_a_key_in_an_address_is_masked() -> None:
    key = "sk+canary/0123=="
    assert Masker([key]).text(f"https://x/?key={quote(key, safe='')}") == f"https://x/?key={MASK}"
