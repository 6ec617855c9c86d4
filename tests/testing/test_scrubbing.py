"""What is scrubbed: request and answer alike, over frames, marked, and sound."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from loopback import ollama_lines, openai_events
from vesselog import ConfigurationError, ProviderError, Recording, RecordingError, verify
from vesselog.testing import recording, replaying
from vesselog.testing.scrubbing import Scrubber, ScrubRules

FILE = Path("answers.jsonl")
EMAIL = r"[\w.]+@[\w.]+\w"


def record(body: bytes, question: str, scrub: ScrubRules, *, vessel: str, status: int = 200) -> str:
    kind = "application/x-ndjson" if vessel == "ollama" else "text/event-stream"
    answer = httpx.Response(status, content=body, headers={"content-type": kind})
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer))
    with recording(FILE, scrub=scrub, http_client=http) as client:
        client.complete(f"{vessel}/m", question)
    assert verify(FILE).findings == []
    return FILE.read_text("utf-8")


@pytest.mark.parametrize("vessel", ["ollama", "openai"])
def test_a_part_in_several_frames_is_replaced_in_the_first(vessel: str) -> None:
    frames = ollama_lines if vessel == "ollama" else openai_events
    body = b"".join(frames("Dear al", "ice@exam", "ple.com", ", welcome"))
    text = record(body, "Write to alice@example.com", {"mail": EMAIL}, vessel=vessel)
    assert "alice" not in text
    assert "example" not in text
    (call,) = Recording(FILE).calls()
    assert call.request["masked"] is True
    assert call.request["body"]["messages"][0]["content"] == "Write to [mail]"
    assert call.completion().text == "Dear [mail], welcome"
    assert [frame.masked for frame in call.frames()].count(True) == 3
    for question in ("Write to alice@example.com", "Write to bob@example.org"):
        with replaying(FILE, scrub={"mail": EMAIL}) as client:
            assert client.complete(f"{vessel}/m", question).text == "Dear [mail], welcome"


def test_what_a_function_finds_in_the_request_is_hidden_in_the_answer_too() -> None:
    def names(text: str) -> Iterable[str]:
        return re.findall(r"I am (\w+)", text)

    body = b"".join(ollama_lines("Hello, Al", "ice! A", "lice?"))
    assert "lice" not in record(body, "I am Alice", [names], vessel="ollama")
    (call,) = Recording(FILE).calls()
    assert call.completion().text == "Hello, [scrubbed]! [scrubbed]?"


def test_what_is_not_scrubbed_stays_byte_for_byte() -> None:
    body = b"".join(ollama_lines("Scattered ", "light."))
    text = record(body, "Why?", {"mail": EMAIL}, vessel="ollama")
    assert '"masked"' not in text
    (call,) = Recording(FILE).calls()
    assert b"".join(frame.raw for frame in call.frames()) == body


def test_an_error_page_is_scrubbed_as_text() -> None:
    page = b"<h1>alice@example.com may not do that</h1>"
    with pytest.raises(ProviderError):
        record(page, "Why?", {"mail": EMAIL}, vessel="ollama", status=403)
    assert verify(FILE).findings == []
    assert "alice" not in FILE.read_text("utf-8")
    assert "[mail] may not" in FILE.read_text("utf-8")


@pytest.mark.parametrize(
    ("rules", "match"),
    [("a", "takes a list"), (["("], "is no regular expression"), ([5], "give regular expressions")],
    ids=str,
)
def test_a_rule_that_cannot_be_used_is_refused(rules: ScrubRules, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        Scrubber(rules)


SECRETS = {
    "an API key": "sk-proj-" + "Ab1_" * 8,
    "an access token": "hf_" + "a1" * 17,
    "an AWS key": "AKIA" + "A1" * 8,
    "a JSON web token": "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----",
    "a bearer token": "Bearer " + "a1" * 15,
    "a password in a URL": "postgres://me:hunter2@db/x",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_in_an_answer_in_pieces_is_refused(kind: str) -> None:
    secret = SECRETS[kind]
    body = b"".join(ollama_lines("It is ", secret[:9], secret[9:]))
    with pytest.raises(RecordingError) as raised:
        record(body, "Which?", (), vessel="ollama")
    assert f"call 1, answer message.content: {kind}" in str(raised.value)
    assert secret[4:] not in str(raised.value)
    assert not FILE.exists()


def test_the_value_of_a_secret_variable_is_refused_unless_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "correct horse battery")
    body = b"".join(ollama_lines("correct horse battery"))
    with pytest.raises(RecordingError, match="value of a secret environment variable"):
        record(body, "Which?", (), vessel="ollama")
    http = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    )
    with recording(FILE, allow_secrets=True, http_client=http) as client:
        client.complete("ollama/m", "Which?")
    assert FILE.exists()


def test_ordinary_words_are_no_secrets() -> None:
    words = "The bearer of skates: ask-me-anything-you-like; see https://a.example/x:y@z, AKIA."
    assert record(b"".join(ollama_lines(words)), words, (), vessel="ollama")
