"""Programs of SDKs, unchanged, recorded by the fixture ground_truth and replayed without a server.

Each talks to a real Ollama, which speaks the dialect of OpenAI too, or to a llama-server, which
speaks that of Anthropic. A program whose SDK is not installed is skipped:
`pip install anthropic langchain-openai "pydantic-ai-slim[openai]"`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from model_servers import STORY, ModelServer
from vesselog import verify

pytest_plugins = ["pytester"]

PROGRAMS = {
    "ollama": """
        import ollama
        text = ""
        for part in ollama.Client().chat("story", MESSAGES, stream=True):
            text += part.message.content
    """,
    "openai": """
        import openai
        text = ""
        with openai.OpenAI() as client:
            for part in client.chat.completions.create(
                model="story", messages=MESSAGES, stream=True
            ):
                text += part.choices[0].delta.content or ""
    """,
    "anthropic": """
        import anthropic
        with anthropic.Anthropic() as client:
            with client.messages.stream(model="story", messages=MESSAGES, max_tokens=900) as it:
                text = "".join(it.text_stream)
    """,
    "langchain_openai": """
        from langchain_openai import ChatOpenAI
        text = "".join(part.content for part in ChatOpenAI(model="story").stream("Hello?"))
    """,
    "pydantic_ai": """
        from pydantic_ai import Agent
        async with Agent("openai-chat:story").run_stream("Hello?") as result:
            text = await result.get_output()
    """,
}
SOURCE = """
MESSAGES = [{{"role": "user", "content": "Hello?"}}]

async def test_it(ground_truth):
    ground_truth.patch_environment()
    {program}
    assert text.strip() == {story!r}
"""
OPTIONS = (
    *("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "asyncio_mode=auto"),
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)


@pytest.mark.live
@pytest.mark.parametrize("sdk", PROGRAMS)
def test_a_program_is_recorded_and_replayed(
    sdk: str,
    request: pytest.FixtureRequest,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if find_spec(sdk) is None:
        pytest.skip(f"{sdk} is not installed")
    if sdk == "anthropic":
        variables = {"ANTHROPIC_BASE_URL": request.getfixturevalue("llama")("story").url}
    else:
        server: ModelServer = request.getfixturevalue("ollama")
        variables = {"OLLAMA_HOST": server.url, "OPENAI_BASE_URL": f"{server.url}/v1"}
    body = "\n    ".join(line.removeprefix("        ") for line in PROGRAMS[sdk].split("\n"))
    pytester.makepyfile(test_inner=SOURCE.format(program=body.strip(), story=STORY))
    with monkeypatch.context() as patch:
        patch.delenv("CI", raising=False)
        variables |= {"OPENAI_API_KEY": "none", "ANTHROPIC_API_KEY": "none"}
        for name, value in variables.items():
            patch.setenv(name, value)
        pytester.runpytest_inprocess(*OPTIONS).assert_outcomes(passed=1)
    path = Path("recordings/test_inner/test_it.jsonl")
    report = verify(path)
    assert (report.findings, report.calls) == ([], 1)
    assert report.chunks > 10
    pytester.runpytest_inprocess(*OPTIONS, "--ground-truth=none").assert_outcomes(passed=1)


@pytest.mark.live
def test_connections_of_uvloop_are_blocked_too(pytester: pytest.Pytester) -> None:
    if find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed: pip install uvloop")
    source = """
        import asyncio, pytest, uvloop

        async def connect(host, **more):
            loop = asyncio.get_running_loop()
            if more:
                await loop.create_datagram_endpoint(asyncio.DatagramProtocol, **more)
            elif host == "lookup.invalid":
                await loop.getaddrinfo(host, 80)
            else:
                await asyncio.open_connection(host, 9)

        @pytest.mark.parametrize("host", ["192.0.2.1", "model.invalid", "lookup.invalid"])
        def test_blocked(ground_truth, host):
            with pytest.raises(RuntimeError, match=f"tried to reach {host}"):
                uvloop.run(connect(host))

        def test_datagrams(ground_truth):
            with pytest.raises(RuntimeError, match="tried to reach 192.0.2.1"):
                uvloop.run(connect("", remote_addr=("192.0.2.1", 9)))

        def test_this_machine(ground_truth):
            with pytest.raises(ConnectionRefusedError):
                uvloop.run(connect("127.0.0.1"))

        @pytest.mark.ground_truth(network=True)
        def test_allowed(ground_truth):
            with pytest.raises(OSError):
                uvloop.run(connect("model.invalid"))
    """
    pytester.makepyfile(test_inner=source)
    pytester.runpytest_inprocess(*OPTIONS, "--ground-truth=none").assert_outcomes(passed=6)
