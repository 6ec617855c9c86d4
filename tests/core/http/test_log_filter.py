"""What httpx and the libraries below it log has no key in it."""

from __future__ import annotations

import gc
import logging

import httpx
import pytest

from vesselog.core.http import log_filter
from vesselog.core.http.log_filter import keep_out_of_logs
from vesselog.core.masking import MASK, Masker

KEY = "sk-canary-0123456789abcdef"


@pytest.fixture
def masker() -> Masker:
    """Of a request that is in use."""
    masker = Masker([KEY])
    keep_out_of_logs(masker)
    return masker


@pytest.mark.usefixtures("masker")
def test_a_key_is_masked_for_every_handler(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        logging.getLogger("httpx").info("HTTP Request: %s", httpx.URL(f"https://x/?key={KEY}"))
        logging.getLogger("httpcore.http11").debug("headers %r", [(b"x", KEY.encode())])
        logging.getLogger("httpcore.socks").debug("auth=%r", (b"user", KEY.encode()))
        logging.getLogger("aiohttp.client").debug("failed: %r", ValueError(KEY))
    assert caplog.messages == [
        f"HTTP Request: https://x/?key={MASK}",
        f"headers [(b'x', b'{MASK}')]",
        f"auth=(b'user', b'{MASK}')",
        f"failed: ValueError('{MASK}')",
    ]


@pytest.mark.usefixtures("masker")
def test_what_has_no_key_in_it_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        logging.getLogger("httpx").info("%s and %d", "text", 7)
    (record,) = caplog.records
    assert (record.msg, record.args) == ("%s and %d", ("text", 7))


@pytest.mark.usefixtures("masker")
def test_no_header_of_http2_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Neither compressed nor from the table, where it outlives its request."""
    hpack = pytest.importorskip("hpack")
    with caplog.at_level("DEBUG"):
        encoder, decoder = hpack.Encoder(), hpack.Decoder()
        block = encoder.encode([("x-api-key", "of-an-older-request")])
        assert decoder.decode(block) == [("x-api-key", "of-an-older-request")]
        encoder.header_table_size = 1
    assert f"Encoded header block to {MASK}" in caplog.messages
    assert f"Decoding {MASK}" in caplog.messages
    assert f"Evicting {MASK}: {MASK} from the header table" in caplog.messages
    assert "of-an-older-request" not in caplog.text
    assert str(block)[2:-1] not in caplog.text


def test_no_key_in_use_is_forgotten_and_none_is_kept_after_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gc.collect()
    before = len(log_filter._LIVING)
    keys = [f"{KEY}-{number}" for number in range(300)]  # the second begins as others do
    maskers = [Masker([key]) for key in keys]
    for masker in maskers:
        keep_out_of_logs(masker)
    with caplog.at_level("INFO"):
        for key in keys:
            logging.getLogger("httpx").info("GET /?key=%s", key)
    assert set(caplog.messages) == {f"GET /?key={MASK}"}
    del maskers, masker
    gc.collect()
    assert len(log_filter._LIVING) == before


def test_a_logger_gets_one_filter() -> None:
    for number in range(3):
        keep_out_of_logs(Masker([f"{KEY}-again-{number}"]))
    assert logging.getLogger("httpx").filters.count(log_filter._mask) == 1


def test_a_request_without_a_key_costs_nothing() -> None:
    before = len(log_filter._LIVING)
    idle = Masker(["ollama"])
    keep_out_of_logs(idle)
    assert len(log_filter._LIVING) == before
