"""What may hold a key is not pickled and says so; what a caller is given is, and holds none."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer
from talking import every_client, talking
from vesselog import ProviderError, VesselogError, WireRequest
from vesselog.core.client.plan import Planner
from vesselog.core.http.proxies import ProxyRules
from vesselog.core.masking import Masker
from vesselog.vessels import Azure, Ollama, OpenAI

KEY = "sk-canary-0123456789abcdef"
REFUSED = "may hold a key and cannot be pickled: create it in the process that uses it"

PLANNER = Planner({"lab": OpenAI(api_key=KEY)}, {}, {}, ProxyRules())

HOLDERS: dict[str, Callable[[], object]] = {
    "vessel": lambda: OpenAI(api_key=KEY),
    "prepared request": lambda: WireRequest(f"https://x/?key={KEY}", headers={"x-api-key": KEY}),
    "plan": lambda: Planner({"lab": OpenAI(api_key=KEY)}, {}, {}, ProxyRules()).chat(
        "lab/m", "hi", {}, None
    ),
    "masker": lambda: Masker([KEY]),
}
holders = pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS.keys())


@holders
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_holds_a_key_refuses(make: Callable[[], object], protocol: int) -> None:
    with pytest.raises(TypeError, match=REFUSED):
        pickle.dumps(make(), protocol)


@holders
def test_what_holds_a_key_does_not_show_it(make: Callable[[], object]) -> None:
    assert KEY not in f"{make()!r} {make()}"


@every_client
def test_clients_and_streams_refuse(kind: str) -> None:
    with talking(kind, "http://127.0.0.1:9") as talker:
        for each in (talker.client, talker.stream()):
            with pytest.raises(TypeError, match=REFUSED):
                pickle.dumps(each)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_vessel_is_copied(copied: Callable[[Any], Any]) -> None:
    vessel = Azure(base_url="https://x", api_key=KEY, headers={"X-Team": "a"})
    again = copied(vessel)
    assert type(again) is Azure
    assert (again.api_key, again.base_url, again.headers) == (KEY, "https://x", {"X-Team": "a"})
    again.headers["X-Team"] = "b"
    assert vessel.headers["X-Team"] == ("b" if copied is copy.copy else "a")


@every_client
def test_what_a_caller_is_given_survives_a_pickle_and_holds_no_key(kind: str) -> None:
    def answer(conversation: Conversation) -> None:
        conversation.answer(f"your key is {conversation.request.headers['authorization']}")

    def refuse(conversation: Conversation) -> None:
        conversation.whole(conversation.request.headers["authorization"].encode(), 401)

    with LoopbackServer([answer, refuse]) as server:
        vessels = {"lab": Ollama(base_url=server.url, api_key=KEY)}
        with talking(kind, vessels=vessels) as talker:
            heard = talker.hear()
            refused = talker.hear().error
    assert "your key is" in heard.text
    assert isinstance(refused, ProviderError)
    for given in (*heard.chunks, heard.stream.completion, refused):
        pickled = pickle.dumps(given)
        assert KEY.encode() not in pickled
        again = pickle.loads(pickled)
        if isinstance(given, VesselogError):
            assert again.to_record() == given.to_record()
        else:
            assert again == given
