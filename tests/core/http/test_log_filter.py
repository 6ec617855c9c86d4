"""What httpx and the libraries below it log has no key in it."""

from __future__ import annotations

import logging

import httpx
import pytest

from vesselog.core.http import log_filter
from vesselog.core.http.log_filter import keep_out_of_logs
from vesselog.core.masking import MASK

KEY = "sk-canary-0123456789abcdef"


def test_a_key_is_masked_for_every_handler(caplog: pytest.LogCaptureFixture) -> None:
    keep_out_of_logs([KEY])
    with caplog.at_level("DEBUG"):
        logging.getLogger("httpx").info("HTTP Request: %s", httpx.URL(f"https://x/?key={KEY}"))
        logging.getLogger("httpcore.http11").debug("headers %r", [(b"x", KEY.encode())])
    assert caplog.messages == [
        f"HTTP Request: https://x/?key={MASK}",
        f"headers [(b'x', b'{MASK}')]",
    ]


def test_what_has_no_key_in_it_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    keep_out_of_logs([KEY])
    with caplog.at_level("DEBUG"):
        logging.getLogger("httpx").info("%s and %d", "text", 7)
    (record,) = caplog.records
    assert (record.msg, record.args) == ("%s and %d", ("text", 7))


def test_a_block_of_compressed_headers_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    hpack = pytest.importorskip("hpack")
    keep_out_of_logs([KEY])
    with caplog.at_level("DEBUG"):
        block = hpack.Encoder().encode([("x-api-key", KEY)])
        assert hpack.Decoder().decode(block) == [("x-api-key", KEY)]
    assert f"Encoded header block to {MASK}" in caplog.messages
    assert f"Decoding {MASK}" in caplog.messages
    assert KEY not in caplog.text
    assert str(block)[2:-1] not in caplog.text


def test_the_newest_secrets_are_remembered_and_no_more() -> None:
    keep_out_of_logs([f"{KEY}-{number}" for number in range(1000)])
    assert len(log_filter._SECRETS) < 1000
    assert f"{KEY}-999" in log_filter._SECRETS


def test_a_logger_gets_one_filter() -> None:
    for number in range(3):
        keep_out_of_logs([f"{KEY}-again-{number}"])
    assert logging.getLogger("httpx").filters.count(log_filter._mask) == 1
