"""In which session a request is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from vesselog import ConfigurationError, InvalidRequestError, SessionNameError
from vesselog.server.gateway.sessions import meta_of, session_rule


@pytest.mark.parametrize(
    ("rule", "headers", "body", "session"),
    [
        (None, {}, {"user": "u"}, None),
        (None, {"x-vesselog-session": "s-1"}, {"user": "u"}, "s-1"),
        ("user", {"x-vesselog-session": "s-1"}, {"user": "u"}, "s-1"),
        ("user", {}, {"user": "u-1"}, "u-1"),
        ("user", {}, {"metadata": {"user_id": "u-2"}}, "u-2"),
        ("user", {}, {}, None),
        ("user", {}, {"user": 7}, None),
        ("header:X-Chat", {"x-chat": "c"}, {}, "c"),
        ("header:X-Chat", {}, {}, None),
    ],
)
def test_the_session_of(
    rule: str | None, headers: dict[str, str], body: dict[str, Any], session: str | None
) -> None:
    assert session_rule(rule)(headers, body) == session


def test_a_value_that_is_no_name_becomes_one_that_stays_the_same() -> None:
    rule = session_rule("user")
    first, again, other = (rule({}, {"user": user}) for user in ("a@b.c", "a@b.c", "ä"))
    assert first == again != other
    assert first is not None
    assert first.startswith("sha256-")


def test_a_name_given_for_a_session_must_be_one() -> None:
    with pytest.raises(SessionNameError):
        session_rule(None)({"x-vesselog-session": "../a"}, {})


@pytest.mark.parametrize("rule", ["", "header:", "header:a b", "body"])
def test_a_rule_that_does_not_exist_is_refused(rule: str) -> None:
    with pytest.raises(ConfigurationError, match="session_from"):
        session_rule(rule)


def test_meta_is_a_json_object() -> None:
    assert meta_of({}) is None
    assert meta_of({"x-vesselog-meta": '{"run": 7, "u": "\\u00e9"}'}) == {"run": 7, "u": "é"}
    for wrong in ("", "7", "[]", "{", '{"a":"' + "x" * 20_000 + '"}'):
        with pytest.raises(InvalidRequestError, match="x-vesselog-meta"):
            meta_of({"x-vesselog-meta": wrong})
