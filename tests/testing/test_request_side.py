"""The kit finds what is wrong with a vessel's requests, and names it."""

from __future__ import annotations

from pathlib import Path

import pytest

import broken
from house import ROOT
from vesselog.testing.bodies import bodies_in
from vesselog.testing.kit import check
from vesselog.testing.request_side import REQUEST_CHECKS
from vesselog.vessels import (
    BUILT_IN,
    Azure,
    ChatRequest,
    InvalidRequestError,
    Vessel,
    WireRequest,
)
from wrong_requests import WRONG


def findings(vessel: Vessel) -> list[tuple[str, str]]:
    return [(name, told) for name, find in REQUEST_CHECKS.items() for told in find(vessel)]


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_vessel_is_found_by_a_message_that_names_the_fault(fault: str) -> None:
    vessel, name, words = WRONG[fault]
    found = findings(vessel)
    assert words in "\n".join(told for check, told in found if check == name)
    assert {check for check, _ in found} == {name}


def test_there_are_enough_wrong_vessels_and_one_for_each_check() -> None:
    assert len(WRONG) >= 16
    assert {name for _, name, _ in WRONG.values()} == set(REQUEST_CHECKS)


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_vessels_of_the_house_say_all_that_is_asked(name: str) -> None:
    azure = {"base_url": "https://lab.openai.azure.com"} if name == "azure" else {}
    vessel = Azure(**azure) if name == "azure" else BUILT_IN[name]()
    assert findings(vessel) == []


def test_a_vessel_that_refuses_what_it_cannot_say_is_right() -> None:
    class Plain(broken.Toy):
        def request(self, chat: ChatRequest) -> WireRequest:
            if len(chat.messages or ()) != 1 or chat.tools or (chat.messages or ())[0].images:
                raise InvalidRequestError("one question alone")
            return super().request(chat)

    class Mute(broken.Toy):
        def request(self, chat: ChatRequest) -> WireRequest:
            raise InvalidRequestError("nothing can be said")

    assert findings(Plain()) == []
    assert [told for _, told in findings(Mute())] == ["a plain question is refused"]


def test_the_kit_reports_requests_too_even_where_a_check_fails(tmp_path: Path) -> None:
    class Raising(broken.Toy):
        def body(self, chat: ChatRequest) -> dict[str, object]:
            if chat.tools:
                raise KeyError("no tools")
            return super().body(chat)

    bodies = bodies_in(ROOT / "tests/bodies/openai/text.sse")
    told = [str(each) for each in check(Raising(), bodies, tmp_path, splits=1)]
    assert "tools are in the request: it raises KeyError('no tools')" in told
