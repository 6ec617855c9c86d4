"""Tool calls as an encoder needs them: each begins when its id and name are whole, in order."""

from __future__ import annotations

from typing import Any

from vesselog.core.chunk import ToolCallDelta
from vesselog.vessels.answer_calls import AnswerCalls


def told(calls: AnswerCalls, slot: str, **fields: Any) -> list[str]:
    """The slots of the calls that can be told after this piece; all are begun."""
    found = calls.add(ToolCallDelta(slot=slot, **fields))
    for call in found:
        call.number = int(call.slot)
    return [call.slot for call in found]


def test_a_call_begins_with_its_arguments() -> None:
    calls = AnswerCalls()
    assert told(calls, "0", id="a", name="get_") == []
    assert told(calls, "0", name="it") == []
    assert told(calls, "0", arguments="{") == ["0"]
    assert told(calls, "0", arguments="}") == ["0"]
    (call,) = calls
    assert (call.id, call.name, call.text, call.whole) == ("a", "get_it", "{}", True)


def test_a_call_without_arguments_begins_when_another_follows() -> None:
    calls = AnswerCalls()
    assert told(calls, "0", id="a", name="f") == []
    assert told(calls, "1", id="b", name="g", arguments="{}") == ["0", "1"]


def test_a_call_without_an_id_holds_those_behind_it() -> None:
    calls = AnswerCalls()
    assert told(calls, "0", name="f", arguments="{}") == []
    assert told(calls, "1", id="b", name="g", arguments="{}") == []
    assert calls.named() == []
    assert told(calls, "0", id="a") == ["0", "1"]


def test_what_was_taken_is_not_taken_again() -> None:
    calls = AnswerCalls()
    told(calls, "0", id="a", name="f", arguments='{"a"')
    (call,) = calls
    assert call.take() == '{"a"'
    told(calls, "0", arguments=":1}")
    assert (call.take(), call.take()) == (":1}", "")


def test_a_call_that_never_gets_an_id_is_named_after_its_slot() -> None:
    calls = AnswerCalls()
    told(calls, "7", name="f")
    calls.close()
    assert [call.id for call in calls] == ["call_7"]


def test_nothing_is_added_to_a_call_that_has_ended() -> None:
    calls = AnswerCalls()
    told(calls, "0", id="a", name="f", arguments="{}")
    (call,) = calls
    call.ended = True
    assert told(calls, "0", arguments="more") == []
    assert call.text == "{}"
