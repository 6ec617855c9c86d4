"""What is checked of a URL and of headers, and what in them is taken for secret."""

from __future__ import annotations

import pytest

from vesselog import ConfigurationError
from vesselog.core.http.url_and_headers import (
    carries_key,
    check_headers,
    credentials_in,
    is_private,
    lower,
    parse_url,
    with_basic_auth,
)

KEY = "sk-canary-0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    ["", "api.example.com", "//h", "http://", "http:///v1", "ftp://h", "file:///etc/passwd"],
)
def test_what_is_no_http_url_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match="http://") as caught:
        parse_url(text)
    assert caught.value.setting == "base_url"


@pytest.mark.parametrize("host", [".", "a..b", "a" * 64 + ".example"])
def test_a_host_that_cannot_be_looked_up_is_no_url(host: str) -> None:
    """asyncio would raise UnicodeError for it."""
    with pytest.raises(ConfigurationError, match="not a URL"):
        parse_url(f"http://{host}/v1")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "bücher.example", "straße.de", "h.local."])
def test_a_host_in_any_letters_is_one(host: str) -> None:
    assert parse_url(f"http://{host}/v1").path == "/v1"


@pytest.mark.parametrize("text", [f"http://[::1{KEY}", f"http://h:{KEY}/", f"http://{KEY}\x00"])
def test_what_cannot_be_read_at_all_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(text)
    assert caught.value.setting == "base_url"
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True),
        ("localhost.", True),
        ("127.0.0.1.", True),
        ("0177.1", True),
        ("010.8", False),  # octal: 8.0.0.8
        ("gpu-box", True),
        ("models.local", True),
        ("models.internal", True),
        ("nas.lan", True),
        ("nas.home.arpa", True),
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.1.5", True),
        ("169.254.1.1", True),
        ("::1", True),
        ("fd00::1", True),
        ("fe80::1", True),
        ("::ffff:10.0.0.1", True),
        ("api.example.com", False),
        ("localhost.example.com", False),
        ("local.example", False),
        ("8.8.8.8", False),
        ("172.32.0.1", False),
        ("::ffff:8.8.8.8", False),
        ("2001:4860:4860::8888", False),
        ("134744072", False),
        ("0x08080808", False),
    ],
)
def test_which_hosts_are_private(host: str, private: bool) -> None:  # noqa: FBT001
    assert is_private(host) == private


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("authorization", True),
        ("x-api-key", True),
        ("api-key", True),
        ("x-goog-api-key", True),
        ("content-type", False),
        ("x-team", False),
    ],
)
def test_which_headers_carry_a_key(name: str, yes: bool) -> None:  # noqa: FBT001
    assert carries_key(name) == yes


@pytest.mark.parametrize("name", ["content-length", "expect", "transfer-encoding", "upgrade"])
def test_the_framing_is_the_clients(name: str) -> None:
    with pytest.raises(ConfigurationError, match="leave it out") as caught:
        check_headers({name: "5"})
    assert caught.value.setting == "headers"


def test_a_value_that_cannot_be_sent_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_headers({"x-api-key": f"{KEY}\n"})
    assert KEY not in str(caught.value)


def test_a_value_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="x-retries"):
        check_headers({"x-retries": 1})


def test_names_are_lower_case_and_the_last_one_counts() -> None:
    assert lower({"X-Team": "a", "x-team": "b", "Y": "c"}) == {"x-team": "b", "y": "c"}


def test_credentials_are_found_by_name() -> None:
    fields = [
        ("authorization", f"Bearer {KEY}-1"),
        ("cookie", f"theme=dark; session={KEY}-2"),
        ("x-signature", f"{KEY}-3"),
        ("x-team", "blue"),
    ]
    found = set(credentials_in(fields))
    assert {f"{KEY}-1", f"{KEY}-2", f"{KEY}-3"} <= found
    assert "blue" not in found


def test_a_users_name_and_password_become_a_header_which_the_callers_own_replaces() -> None:
    url = parse_url("http://user:pass@h/v1")
    bare, headers = with_basic_auth(url, {"x": "1"})
    assert str(bare) == "http://h/v1"
    assert headers == {"authorization": "Basic dXNlcjpwYXNz", "x": "1"}
    _, headers = with_basic_auth(url, {"authorization": "Bearer own"})
    assert headers == {"authorization": "Bearer own"}
