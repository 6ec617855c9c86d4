"""Nothing that a request names leads to another path of the server: it is quoted, or refused."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from four_clients import every_one_of_four, talking_by
from loopback import Conversation, LoopbackServer
from vesselog import ConfigurationError, InvalidRequestError, VesselogError
from vesselog.core.request import chat_request
from vesselog.core.vessel import Vessel, WireRequest
from vesselog.vessels import Azure, Gemini, Ollama, path_segment

BASE = "http://127.0.0.1:9"
DATED = "2024-10-21"
# Each with the path that it is asked for at, or nothing where it is refused.
AZURE = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
GEMINI = "/v1beta/{}:streamGenerateContent?alt=sse"

ODD = {
    "../../../admin": ("..%2F..%2F..%2Fadmin", None),
    "a/b": ("a%2Fb", None),
    "models/..": ("models%2F..", None),
    "tunedModels/../x": ("tunedModels%2F..%2Fx", None),
    "models//": ("models%2F%2F", None),
    "models/": ("models%2F", None),
    "a?x=1": ("a%3Fx%3D1", "models/a%3Fx%3D1"),
    "a#b": ("a%23b", "models/a%23b"),
    "a:generateContent": ("a%3AgenerateContent", "models/a%3AgenerateContent"),
    "%2e%2e": ("%252e%252e", "models/%252e%252e"),
    "%2E%2E%2Fx": ("%252E%252E%252Fx", "models/%252E%252E%252Fx"),
    "..": (None, None),
    ".": (None, None),
    "...": ("...", "models/..."),
    "a b": ("a%20b", "models/a%20b"),
    "..\\x": ("..%5Cx", "models/..%5Cx"),
    "a\nb": (None, None),
    "a\r\nx: y": (None, None),
    "a\x00": (None, None),
    "a\x9bb": (None, None),
    "a\u202eb": (None, None),
    "\ud800": (None, None),
    "zürich": ("z%C3%BCrich", "models/z%C3%BCrich"),
    "tunedModels/t": ("tunedModels%2Ft", "tunedModels/t"),
    "models/m": ("models%2Fm", "models/m"),
    "publishers/google/models/g": (
        "publishers%2Fgoogle%2Fmodels%2Fg",
        "publishers/google/models/g",
    ),
    "projects/p/locations/l/publishers/google/models/g": (
        "projects%2Fp%2Flocations%2Fl%2Fpublishers%2Fgoogle%2Fmodels%2Fg",
        "projects/p/locations/l/publishers/google/models/g",
    ),
}


def azure(base_url: str, model: str) -> tuple[Vessel, str]:
    return Azure(base_url=base_url, api_version=DATED), model


def azure_deployment(base_url: str, model: str) -> tuple[Vessel, str]:
    """The deployment is configured; the address names another model."""
    return Azure(base_url=base_url, api_version=DATED, deployment=model), "m"


def gemini(base_url: str, model: str) -> tuple[Vessel, str]:
    return Gemini(base_url=base_url), model


Make = Callable[[str, str], tuple[Vessel, str]]
MAKERS: dict[Make, str] = {azure: AZURE, azure_deployment: AZURE, gemini: GEMINI}


def segments(path: str) -> list[str]:
    """Quoted as little as aiohttp does it, or as much as httpx, a segment is the same."""
    return [unquote(segment) for segment in path.split("/")]


@pytest.mark.parametrize("make", MAKERS)
@every_one_of_four
def test_every_name_reaches_its_own_path_or_is_refused(client: str, make: Make) -> None:
    def answer(talk: Conversation) -> None:
        talk.whole(b'{"error":{"message":"seen"}}', 404)

    for model, expected in ODD.items():
        path = expected[make is gemini]
        with LoopbackServer([answer]) as server:
            vessel, asked = make(server.url, model)
            with talking_by(client, vessels={"lab": vessel}, recordings=None) as talker:
                if path is None:
                    with pytest.raises(InvalidRequestError, match=r"be a name|no model|model:"):
                        talker.hear(f"lab/{asked}")
                else:
                    talker.hear(f"lab/{asked}")
            seen = [segments(each.path) for each in server.requests]
            assert seen == ([] if path is None else [segments(MAKERS[make].format(path))])


@pytest.mark.parametrize("make", MAKERS)
@given(model=st.text(min_size=1))
@example(model="a/../b")
@example(model="//evil.example/x")
@example(model="@evil.example")
def test_any_name_stays_in_its_place(make: Make, model: str) -> None:
    vessel, asked = make(BASE, model)
    try:
        url = vessel.request(chat_request(asked, "hi")).url
    except VesselogError as error:
        assert isinstance(error, InvalidRequestError)  # noqa: PT017 - or nothing is raised
        return
    before, _, after = MAKERS[make].partition("{}")
    assert url.startswith(BASE + before)
    assert url.endswith(after)
    name = url.removeprefix(BASE + before).removesuffix(after)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%/")
    assert not {"", ".", ".."} & set(name.split("/"))
    if make is not gemini:
        assert "/" not in name


@pytest.mark.parametrize("version", ["2024\n", "\ud800", "a\x00", "\x9b"])
def test_a_version_with_a_control_character_is_refused(version: str) -> None:
    vessel = Azure(base_url=BASE, api_version=version)
    with pytest.raises(ConfigurationError, match="is no version") as raised:
        vessel.request(chat_request("m", "hi"))
    assert raised.value.setting == "api_version"


def test_any_other_version_is_one_value_of_the_query() -> None:
    vessel = Azure(base_url=BASE, api_version="1&x=2#../y ?")
    url = vessel.request(chat_request("m", "hi")).url
    assert url.endswith("/m/chat/completions?api-version=1%26x%3D2%23..%2Fy+%3F")


@pytest.mark.parametrize(
    "path", ["/api/../admin", "/..", "/api/chat/.", "/a/%2e%2E/b", "/%2e", "/./x"]
)
@every_one_of_four
def test_a_prepared_request_with_dots_for_a_path_is_refused(client: str, path: str) -> None:
    """The transports would send it to the path that the dots lead to."""
    with (
        LoopbackServer([lambda talk: talk.whole(b"{}")]) as server,
        talking_by(client, vessels={"lab": Ollama(base_url=server.url)}) as talker,
    ):
        wire = WireRequest(url=server.url + path, body={})
        with pytest.raises(InvalidRequestError, match=r"has \. or \.\. in it"):
            talker._here(lambda: talker.client.send("lab", wire))
        assert not server.requests


@pytest.mark.parametrize("name", ["", ".", "..", "\n", "\x7f", "\u2028"])
def test_what_is_no_segment_is_told(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be a name in the path of a URL"):
        path_segment(name)
