"""Azure: addresses, credentials and content filters around the OpenAI dialect."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from cutting import check_cuts, check_splits
from decoding import DONE, JSON, SSE, Decoded, decode, sse
from loopback import Conversation, LoopbackServer
from vesselog import AsyncClient, Client, Recording, replay, verify
from vesselog.core.errors import ConfigurationError, InvalidRequestError
from vesselog.core.request import chat_request
from vesselog.vessels import Azure

RESOURCE = "https://r.openai.azure.com"
DATED = "2024-10-21"
SAFE = {"hate": {"filtered": False, "severity": "safe"}}


def url(model: str = "gpt-4o", **settings: Any) -> str:
    return Azure(**settings).request(chat_request(model, "hi")).url


# Addresses.


@pytest.mark.parametrize(
    "base", [RESOURCE, f"{RESOURCE}/", f"{RESOURCE}/openai", f"{RESOURCE}/openai/"]
)
def test_the_version_chooses_the_route(base: str) -> None:
    v1 = f"{RESOURCE}/openai/v1/chat/completions"
    assert url(base_url=base) == v1
    assert url(base_url=base, api_version="preview") == f"{v1}?api-version=preview"
    deployed = f"{RESOURCE}/openai/deployments/gpt-4o/chat/completions?api-version={DATED}"
    assert url(base_url=base, api_version=DATED) == deployed


@pytest.mark.parametrize(
    ("base", "found"),
    [
        ("/openai/v1", "/openai/v1/chat/completions"),
        ("/openai/v1/", "/openai/v1/chat/completions"),
        ("/openai/v1/chat/completions", "/openai/v1/chat/completions"),
        ("/openai/v1?api-version=preview", "/openai/v1/chat/completions?api-version=preview"),
        (
            f"/openai/deployments/d/chat/completions?api-version={DATED}",
            f"/openai/deployments/d/chat/completions?api-version={DATED}",
        ),
        (
            f"/openai/deployments/d?api-version={DATED}",
            f"/openai/deployments/d/chat/completions?api-version={DATED}",
        ),
        (f"/models?api-version={DATED}", f"/models/chat/completions?api-version={DATED}"),
        ("/gateway/openai/v1", "/gateway/openai/v1/chat/completions"),
        ("/gateway?x=1", "/gateway/openai/v1/chat/completions?x=1"),
    ],
)
def test_any_form_of_address(base: str, found: str) -> None:
    assert url(base_url=RESOURCE + base) == RESOURCE + found


def test_the_address_wins_over_the_version_that_is_set() -> None:
    named = f"{RESOURCE}/openai/deployments/d?api-version=2024-06-01"
    assert url(base_url=named, api_version=DATED).endswith("?api-version=2024-06-01")


def test_a_dated_version_is_not_sent_to_the_v1_route() -> None:
    """It is an error there, and may still be in the environment."""
    found = url(base_url=f"{RESOURCE}/openai/v1/", api_version=DATED)
    assert found == f"{RESOURCE}/openai/v1/chat/completions"


@pytest.mark.parametrize("path", ["/openai/deployments/d", "/models"])
def test_a_route_that_needs_a_version_says_so(path: str) -> None:
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_API_VERSION") as caught:
        url(base_url=RESOURCE + path)
    assert caught.value.setting == "api_version"


def test_there_is_no_address_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_ENDPOINT"):
        url()


def test_completions_and_models() -> None:
    vessel = Azure(base_url=RESOURCE, api_version=DATED)
    continued = vessel.request(chat_request("d", prompt="a")).url
    assert continued == f"{RESOURCE}/openai/deployments/d/completions?api-version={DATED}"
    for settings, found in (
        ({"api_version": DATED}, f"/openai/models?api-version={DATED}"),
        ({}, "/openai/v1/models"),
    ):
        listing = Azure(base_url=RESOURCE, **settings).models_request()
        assert listing is not None
        assert listing.url == RESOURCE + found
    listing = Azure(base_url=f"{RESOURCE}/openai/deployments/d", api_version=DATED).models_request()
    assert listing is not None
    assert listing.url == f"{RESOURCE}/openai/models?api-version={DATED}"


def test_a_deployment_is_escaped_in_the_path() -> None:
    assert "/deployments/a%2Fb%3Fc/chat" in url("a/b?c", base_url=RESOURCE, api_version=DATED)


# Deployments.


def asked(name: str, **settings: Any) -> Any:
    request = Azure(base_url=RESOURCE, **settings).request(chat_request(name, "hi"))
    assert request.body is not None
    return request.model, request.body["model"]


def test_the_model_is_the_deployment_unless_one_is_given() -> None:
    assert asked("gpt-4o") == ("gpt-4o", "gpt-4o")
    assert asked("gpt-4o", deployment="prod") == ("prod", "prod")
    both = {"deployment": "prod", "model": "gpt-4o"}
    assert asked("gpt-4o", **both) == ("prod", "prod")
    assert asked("gpt-4o-mini", **both) == ("gpt-4o-mini", "gpt-4o-mini")
    assert "/deployments/prod/" in url(base_url=RESOURCE, api_version=DATED, deployment="prod")


@pytest.mark.parametrize(
    ("environment", "model"),
    [
        ({"AZURE_OPENAI_MODEL": "gpt-4o"}, "gpt-4o"),
        ({"AZURE_OPENAI_DEPLOYMENT": "prod"}, "prod"),
        ({"AZURE_OPENAI_DEPLOYMENT": "prod", "AZURE_OPENAI_MODEL": "gpt-4o"}, "gpt-4o"),
    ],
)
def test_an_address_without_a_model_asks_for_the_configured_one(
    environment: dict[str, str], model: str
) -> None:
    assert Azure().configured(environment).default_model == model


# Credentials and variables.


def test_the_usual_variables() -> None:
    environment = {
        "AZURE_OPENAI_API_BASE": RESOURCE,
        "AZURE_OPENAI_API_KEY": "k",
        "OPENAI_API_VERSION": DATED,
        "AZURE_OPENAI_MODEL": "gpt-4o",
    }
    vessel = Azure().configured(environment)
    found = vessel.request(chat_request("gpt-4o", "hi"))
    assert found.url.startswith(f"{RESOURCE}/openai/deployments/gpt-4o/")
    assert vessel.authorization(vessel.api_key or "") == {"api-key": "k"}
    more = {"AZURE_OPENAI_ENDPOINT": "https://e", "AZURE_OPENAI_API_VERSION": "2025-01-01"}
    found = Azure().configured({**environment, **more}).request(chat_request("m", "hi"))
    assert found.url == "https://e/openai/deployments/m/chat/completions?api-version=2025-01-01"


def test_the_openai_variables_are_not_azures() -> None:
    """Its key, organization and address are another server's."""
    environment = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "https://o", "OPENAI_ORG_ID": "org"}
    vessel = Azure().configured({**environment, "AZURE_OPENAI_ENDPOINT": RESOURCE})
    assert vessel.api_key is None
    assert vessel.request(chat_request("m", "hi")).headers == {}


def test_a_token_is_asked_for_at_each_request() -> None:
    tokens = (f"eyJ0eXAiOiJKV1Qi.{number}" for number in itertools.count())
    vessel = Azure(base_url=RESOURCE, token=lambda: next(tokens)).configured({})
    for number in range(2):
        key = vessel.api_key
        assert key == f"eyJ0eXAiOiJKV1Qi.{number}"
        assert vessel.authorization(key) == {"authorization": f"Bearer {key}"}


def test_a_token_from_the_environment_wins_over_the_key_there() -> None:
    environment = {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_AD_TOKEN": "t"}
    vessel = Azure().configured(environment)
    assert (vessel.api_key, vessel.authorization("t")) == ("t", {"authorization": "Bearer t"})
    given = Azure(api_key="mine").configured(environment)
    assert (given.api_key, given.authorization("mine")) == ("mine", {"api-key": "mine"})
    asserted = Azure(token="mine").configured(environment)
    assert (asserted.api_key, asserted.authorization("mine")) == (
        "mine",
        {"authorization": "Bearer mine"},
    )


def test_neither_goes_to_an_address_that_was_given() -> None:
    environment = {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_AD_TOKEN": "t"}
    assert Azure(base_url="https://other").configured(environment).api_key is None


def test_key_and_token_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        Azure(api_key="k", token="t")


# What is read.


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1692905411}
    return {**head, "model": "gpt-4o", "choices": list(choices), **fields}


def said(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": finish, "delta": delta}


def annotation(offset: int, **choice: Any) -> dict[str, Any]:
    """A frame of the asynchronous filter."""
    offsets = {"check_offset": 44, "start_offset": 44, "end_offset": offset}
    results = {"content_filter_results": SAFE, "content_filter_offsets": offsets}
    blank = {"id": "", "object": "", "created": 0, "model": ""}
    return chunk({"index": 0, "finish_reason": None, **choice, **results}, **blank)


PROMPT = chunk(
    id="",
    object="",
    created=0,
    model="",
    prompt_filter_results=[{"prompt_index": 0, "content_filter_results": SAFE}],
)
SYNCHRONOUS = [
    PROMPT,
    chunk(said(role="assistant", content="", refusal=None)),
    chunk({**said(content="Color"), "content_filter_results": SAFE}),
    chunk({**said(content=" is"), "content_filter_results": SAFE}),
    chunk({**said("stop"), "content_filter_results": {}}),
    chunk(usage={"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}),
]
ASYNCHRONOUS = [
    PROMPT,
    chunk(said(role="assistant")),
    chunk(said(content="Color")),
    annotation(88),
    chunk(said(content=" is")),
    annotation(198, delta=None),
    chunk(said("stop")),
    annotation(228),
]


def answer(*events: Any) -> Decoded:
    return decode(Azure(), sse(*events, DONE), SSE)


def test_filter_results_are_kept() -> None:
    found = answer(*SYNCHRONOUS)
    assert (found.outcome, found.repairs) == ("complete", [])
    completion = found.completion
    assert (completion.text, completion.finish_reason) == ("Color is", "stop")
    assert (completion.response_id, completion.model) == ("chatcmpl-1", "gpt-4o")
    assert completion.usage is not None
    assert completion.usage.total_tokens == 22
    assert completion.extra["content_filter_results"] == SAFE
    assert completion.extra["prompt_filter_results"] == PROMPT["prompt_filter_results"]
    assert found.chunks[0].extra == {"prompt_filter_results": PROMPT["prompt_filter_results"]}


def test_frames_of_the_asynchronous_filter_say_no_text() -> None:
    found = answer(*ASYNCHRONOUS)
    assert (found.outcome, found.completion.text) == ("complete", "Color is")
    assert (found.completion.response_id, found.completion.model) == ("chatcmpl-1", "gpt-4o")
    offsets = [
        each.extra["content_filter_offsets"]["end_offset"]
        for each in found.chunks
        if "content_filter_offsets" in each.extra
    ]
    assert offsets == [88, 198, 228]


def test_a_filtered_answer_is_whole_and_says_so() -> None:
    caught = {"protected_material_text": {"detected": True, "filtered": True}}
    last = {**said("content_filter"), "content_filter_results": caught}
    found = answer(*SYNCHRONOUS[:3], chunk(last))
    assert (found.outcome, found.completion.finish_reason) == ("complete", "content_filter")
    assert found.completion.extra["content_filter_results"] == {**SAFE, **caught}


def test_a_refused_prompt() -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": SAFE}
    error = {"message": "The response was filtered.", "code": "content_filter", "innererror": inner}
    failure = Azure().failure(400, json.dumps({"error": {**error, "status": 400}}))
    assert (failure.code, failure.status, failure.retryable) == ("content_filter", 400, False)
    assert failure.message == "azure answered 400: The response was filtered."


@pytest.mark.parametrize(("events", "whole"), [(SYNCHRONOUS, 5), (ASYNCHRONOUS, 7)])
def test_split_anywhere_and_cut_anywhere(events: list[Any], whole: int) -> None:
    frames = [*(sse(each) for each in events), DONE]
    check_splits(Azure(), b"".join(frames), SSE)
    check_cuts(Azure(), frames, SSE, whole_after=whole)


# Through the clients.


def answering(conversation: Conversation) -> None:
    request = conversation.request
    assert request.path == f"/openai/deployments/prod/chat/completions?api-version={DATED}"
    assert request.headers["api-key"] == "0123456789abcdef"
    assert "authorization" not in request.headers
    if request.json["stream"]:
        conversation.stream([*(sse(each) for each in ASYNCHRONOUS), DONE], SSE)
        return
    message = {"role": "assistant", "content": "Whole."}
    whole = {"index": 0, "message": message, "finish_reason": "stop"}
    body = chunk({**whole, "content_filter_results": SAFE}, object="chat.completion")
    conversation.whole(json.dumps(body).encode(), content_type=JSON)


def environment(server: LoopbackServer) -> dict[str, str]:
    return {
        "AZURE_OPENAI_ENDPOINT": server.url,
        "AZURE_OPENAI_API_KEY": "0123456789abcdef",
        "AZURE_OPENAI_API_VERSION": DATED,
        "AZURE_OPENAI_DEPLOYMENT": "prod",
    }


def test_recorded_and_replayed(tmp_path: Path) -> None:
    with (
        LoopbackServer([answering]) as server,
        Client(recordings=tmp_path, environment=environment(server)) as client,
    ):
        with client.stream("azure/gpt-4o", "colors?") as stream:
            chunks = list(stream)
        answered = client.complete("azure", "colors!")
    assert stream.path is not None
    assert verify(stream.path).ok
    assert list(replay(stream.path, speed=0)) == chunks
    assert (stream.completion.text, answered.text) == ("Color is", "Whole.")
    (call,) = Recording(stream.path).calls()
    assert (call.request["vessel"], call.request["model"]) == ("azure", "prod")
    assert "0123456789abcdef" not in stream.path.read_text("utf-8")


async def test_async_says_the_same(tmp_path: Path) -> None:
    with LoopbackServer([answering]) as server:
        async with AsyncClient(recordings=tmp_path, environment=environment(server)) as client:
            async with client.stream("azure/gpt-4o", "colors?") as stream:
                chunks = [each async for each in stream]
            answered = await client.complete("azure/gpt-4o", "colors!")
    assert "".join(each.text for each in chunks) == "Color is"
    assert answered.extra["content_filter_results"] == SAFE


def test_an_address_without_a_model_needs_a_configured_one() -> None:
    with (
        Client(recordings=None, environment={"AZURE_OPENAI_ENDPOINT": RESOURCE}) as client,
        pytest.raises(InvalidRequestError, match="names no model"),
    ):
        client.stream("azure", "hi")


@pytest.mark.parametrize(
    ("base", "version", "name"),
    [
        ("https://n.openai.azure.com", None, "max_completion_tokens"),
        ("https://n.openai.azure.com", "preview", "max_completion_tokens"),
        ("https://n.openai.azure.com", "2024-09-01-preview", "max_completion_tokens"),
        ("https://n.openai.azure.com", "2024-10-21", "max_completion_tokens"),
        ("https://n.openai.azure.com", "2024-06-01", "max_tokens"),
        ("https://n.openai.azure.com/?api-version=2024-06-01", None, "max_tokens"),
        ("https://n.openai.azure.com/openai/v1", "2024-06-01", "max_completion_tokens"),
        ("https://n.services.ai.azure.com/models", "2024-05-01-preview", "max_tokens"),
        (
            "https://n.openai.azure.com/openai/deployments/models",
            "2025-01-01",
            "max_completion_tokens",
        ),
    ],
)
def test_a_limit_of_tokens_has_the_name_that_the_route_knows(
    base: str, version: str | None, name: str
) -> None:
    vessel = Azure(base_url=base, api_version=version)
    body = vessel.request(chat_request("m", "x", max_tokens=9)).body
    assert body is not None
    assert {key: value for key, value in body.items() if value == 9} == {name: 9}
