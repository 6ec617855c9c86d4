"""What leaves for which server: addresses, headers and keys. Nothing is sent or written here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vesselog import (
    Client,
    ConfigurationError,
    InvalidRequestError,
    SessionNameError,
    UnknownVesselError,
    VesselogError,
    WireRequest,
)
from vesselog.core.client.plan import Plan, Planner
from vesselog.core.http.proxies import ProxyRules
from vesselog.core.masking import MASK
from vesselog.vessels.ollama import Ollama
from vesselog.vessels.openai import OpenAI

KEY = "sk-canary-0123456789abcdef"


def plan(
    vessel: Any = None,
    environment: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    call_headers: dict[str, str] | None = None,
    address: str = "lab/m",
    **fields: Any,
) -> Plan:
    vessels = {} if vessel is None else {"lab": vessel}
    planner = Planner(vessels, environment or {}, headers or {}, ProxyRules())
    return planner.chat(address, "hi", {"stream": True, **fields}, call_headers)


class TestKeys:
    @pytest.mark.parametrize(
        "base_url",
        [
            "https://api.example.com/v1",
            "http://localhost:8000",
            "http://127.0.0.1:8000",
            "http://[::1]:8000",
            "http://[::ffff:127.0.0.1]:8000",
            "http://10.0.0.7:8000",
            "http://192.168.1.5",
            "http://172.16.3.4",
            "http://169.254.1.1",
            "http://gpu-box:8000",
            "http://models.local",
            "http://models.internal",
        ],
    )
    def test_are_sent_by_https_or_to_this_and_private_networks(self, base_url: str):
        made = plan(OpenAI(base_url=base_url, api_key=KEY))
        assert made.headers["authorization"] == f"Bearer {KEY}"

    @pytest.mark.parametrize(
        "base_url",
        [
            "http://api.example.com/v1",
            "http://8.8.8.8/v1",
            "http://[2001:4860:4860::8888]/v1",
            "http://[::ffff:8.8.8.8]/v1",
            "http://134744072/v1",
            "http://0x08080808/v1",
        ],
    )
    @pytest.mark.parametrize("place", ["argument", "environment", "header", "userinfo"])
    def test_never_cross_a_public_network_in_the_clear(self, base_url: str, place: str):
        variables = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": base_url}
        given: dict[str, Any] = {
            "argument": {"vessel": OpenAI(base_url=base_url, api_key=KEY)},
            "environment": {"vessel": OpenAI(), "environment": variables},
            "header": {"vessel": OpenAI(base_url=base_url), "call_headers": {"X-API-Key": KEY}},
            "userinfo": {"vessel": OpenAI(base_url=base_url.replace("://", f"://user:{KEY}@"))},
        }
        with pytest.raises(ConfigurationError) as caught:
            plan(**given[place])
        assert KEY not in str(caught.value)
        assert "https" in str(caught.value)

    def test_a_placeholder_is_no_key(self):
        made = plan(OpenAI(base_url="http://api.example.com/v1", api_key="EMPTY"))
        assert made.headers["authorization"] == "Bearer EMPTY"

    def test_of_the_environment_stay_with_the_server_of_the_environment(self):
        variables = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://proxy.example.com/v1"}
        assert KEY in plan(OpenAI(), environment=variables).headers["authorization"]
        elsewhere = plan(OpenAI(base_url="https://other.example.com"), environment=variables)
        assert "authorization" not in elsewhere.headers
        assert elsewhere.url.host == "other.example.com"

    def test_of_the_environment_belong_to_the_default_server(self):
        made = plan(OpenAI(), environment={"OPENAI_API_KEY": KEY})
        assert (made.url.host, made.headers["authorization"]) == ("api.openai.com", f"Bearer {KEY}")

    def test_a_callable_is_asked_for_each_request(self):
        keys = iter([KEY + "1", KEY + "2"])
        planner = Planner({"lab": OpenAI(api_key=lambda: next(keys))}, {}, {}, ProxyRules())
        sent = [planner.chat("lab/m", "hi", {}, None).headers["authorization"] for _ in range(2)]
        assert sent == [f"Bearer {KEY}1", f"Bearer {KEY}2"]

    @pytest.mark.parametrize("key", [KEY + "\n", f"Bearer {KEY}", KEY + "é", KEY + "\x00"])
    def test_with_characters_that_no_key_has_are_refused_unrepeated(self, key: str):
        with pytest.raises(ConfigurationError) as caught:
            plan(OpenAI(api_key=key))
        assert KEY not in str(caught.value)

    def test_are_in_no_representation_and_in_no_record(self):
        made = plan(
            OpenAI(
                base_url=f"https://user:{KEY}-p@api.example.com/v1?api-key={KEY}-q", api_key=KEY
            ),
            call_headers={"x-api-key": KEY + "-h"},
        )
        told = f"{made!r} {made.record!r} {made.origin} {made.vessel!r}"
        assert KEY not in told
        assert made.masker.text(f"{KEY} {KEY}-p {KEY}-q {KEY}-h").count(KEY) == 0

    @pytest.mark.parametrize(
        ("base_url", "headers"),
        [
            (f"https://{KEY}@api.example.com", {}),
            (f"https://api.example.com/v1?token=none&token={KEY}", {}),
            ("https://api.example.com", {"Cookie": f"theme=dark; session={KEY}"}),
            ("https://api.example.com", {"X-Auth": KEY}),
            ("https://api.example.com", {"Authorization": f"Token {KEY}"}),
        ],
    )
    def test_are_masked_wherever_they_were_given(self, base_url: str, headers: dict[str, str]):
        made = plan(OpenAI(base_url=base_url, headers=headers))
        assert made.masker.text(f"your key {KEY}") == f"your key {MASK}"
        assert KEY not in str(made.record)


class TestHeaders:
    def test_of_client_vessel_and_call_are_merged_the_nearest_wins(self):
        vessel = OpenAI(api_key=KEY, headers={"X-Team": "vessel", "X-Vessel": "1"})
        made = plan(
            vessel,
            headers={"x-team": "client", "X-Client": "1"},
            call_headers={"X-TEAM": "call", "X-Call": "1"},
        )
        told = {name: value for name, value in made.headers.items() if name.startswith("x-")}
        assert told == {"x-team": "call", "x-vessel": "1", "x-client": "1", "x-call": "1"}

    def test_identity_is_asked_for_and_json_announced(self):
        made = plan(Ollama())
        assert made.headers["accept-encoding"] == "identity"
        assert made.headers["content-type"] == "application/json"
        assert made.headers["user-agent"].startswith("vesselog/")

    def test_a_call_may_bring_its_own_authorization(self):
        made = plan(OpenAI(api_key=KEY), call_headers={"Authorization": "Bearer of-this-user-only"})
        assert made.headers["authorization"] == "Bearer of-this-user-only"

    def test_credentials_in_the_url_become_basic_authorization(self):
        made = plan(Ollama(base_url="http://user:pass@127.0.0.1:1"))
        assert made.headers["authorization"] == "Basic dXNlcjpwYXNz"
        assert str(made.url) == "http://127.0.0.1:1/api/chat"
        assert "pass" not in repr(made.record)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("x-team", "a\nb"), ("x-team", "a\r\nx: y"), ("x-team", "é"), ("x team", "a"), ("", "a")],
    )
    def test_that_no_header_may_be_are_refused(self, name: str, value: str):
        with pytest.raises(ConfigurationError) as caught:
            plan(Ollama(), call_headers={name: value})
        assert caught.value.setting == "headers"


class TestAddresses:
    def test_the_model_is_all_behind_the_first_slash(self):
        assert plan(Ollama(), address="lab/hf.co/some/model:q4").record["model"] == (
            "hf.co/some/model:q4"
        )

    def test_own_names_come_before_installed_ones(self):
        planner = Planner(
            {"ollama": OpenAI(base_url="https://h.example.com")}, {}, {}, ProxyRules()
        )
        assert planner.chat("ollama/m", "hi", {}, None).url.path == "/v1/chat/completions"

    @pytest.mark.parametrize("name", ["", "a/b"])
    def test_a_name_that_no_address_could_hold_is_refused(self, name: str):
        with pytest.raises(ConfigurationError):
            Planner({name: Ollama()}, {}, {}, ProxyRules())

    def test_the_hint_for_an_ollama_model_without_its_vessel(self):
        with pytest.raises(UnknownVesselError, match=r"did you mean ollama/qwen3:1\.7b\?"):
            plan(address="qwen3:1.7b")

    @pytest.mark.parametrize("address", ["", "/", "ollama/", "ollama"])
    def test_an_address_without_a_model_is_refused(self, address: str):
        with pytest.raises((InvalidRequestError, UnknownVesselError)):
            plan(address=address)

    @pytest.mark.parametrize("form", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
    def test_a_base_url_may_be_host_root_or_endpoint(self, form: str):
        made = plan(OpenAI(base_url=f"https://api.example.com{form}"))
        assert str(made.url) == "https://api.example.com/v1/chat/completions"

    def test_the_variables_of_the_environment_are_used(self):
        made = plan(environment={"OLLAMA_HOST": "192.168.1.9:4000"}, address="ollama/m")
        assert str(made.url) == "http://192.168.1.9:4000/api/chat"


BAD_INPUT: dict[str, tuple[type[VesselogError], Any]] = {
    "unknown vessel": (UnknownVesselError, lambda c: c.stream("nowhere/m", "hi")),
    "model without vessel": (UnknownVesselError, lambda c: c.stream("qwen3:1.7b", "hi")),
    "no model": (InvalidRequestError, lambda c: c.stream("lab/", "hi")),
    "empty messages": (InvalidRequestError, lambda c: c.stream("lab/m", [])),
    "no messages": (InvalidRequestError, lambda c: c.stream("lab/m")),
    "messages and prompt": (InvalidRequestError, lambda c: c.stream("lab/m", "hi", prompt="hi")),
    "bad role": (InvalidRequestError, lambda c: c.stream("lab/m", [{"role": "x", "content": ""}])),
    "unknown field": (InvalidRequestError, lambda c: c.stream("lab/m", "hi", temprature=1)),
    "bad base url": (ConfigurationError, lambda c: c.stream("bad/m", "hi")),
    "base url without scheme": (ConfigurationError, lambda c: c.stream("schemeless/m", "hi")),
    "base url of a file": (ConfigurationError, lambda c: c.stream("file/m", "hi")),
    "key with a newline": (ConfigurationError, lambda c: c.stream("newline/m", "hi")),
    "header with a newline": (
        ConfigurationError,
        lambda c: c.stream("lab/m", "hi", headers={"x": "a\nb"}),
    ),
    "session name": (SessionNameError, lambda c: c.stream("lab/m", "hi", session="../x")),
    "empty session name": (SessionNameError, lambda c: c.stream("lab/m", "hi", session="")),
    "complete": (UnknownVesselError, lambda c: c.complete("nowhere/m", "hi")),
    "complete, session name": (
        SessionNameError,
        lambda c: c.complete("lab/m", "hi", session="a/b"),
    ),
    "send": (UnknownVesselError, lambda c: c.send("nowhere", WireRequest("http://127.0.0.1:9/"))),
    "send to no url": (ConfigurationError, lambda c: c.send("lab", WireRequest("nonsense"))),
    "models": (UnknownVesselError, lambda c: c.models("nowhere")),
}


@pytest.mark.parametrize("what", BAD_INPUT)
def test_bad_input_is_told_before_anything_is_written(what: str, tmp_path: Path):
    kind, attempt = BAD_INPUT[what]
    vessels = {
        "lab": Ollama(base_url="http://127.0.0.1:9"),
        "bad": OpenAI(base_url="http://[::1"),
        "schemeless": OpenAI(base_url="api.example.com"),
        "file": OpenAI(base_url="file:///etc/passwd"),
        "newline": OpenAI(api_key=KEY + "\n"),
    }
    with Client(vessels=vessels, environment={}) as client:
        with pytest.raises(kind) as caught:
            attempt(client)
        assert KEY not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
