"""examples/fastapi_chat under uvicorn, with a real HTTP client and a scripted model server.

Also checks docs/browser.md: its curl command, and its browser code, which runs in node.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from httpx_sse import EventSource

import vesselog
from asgi_server import served_by_uvicorn
from loopback import Conversation, LoopbackServer, ollama_lines, sse
from pages import ROOT, blocks
from patience import PATIENCE

EXAMPLE = ROOT / "examples" / "fastapi_chat"
PAGE = ROOT / "docs/browser.md"

Backend = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Run the example with these environment variables; returns an HTTP client for it."""

    @contextmanager
    def serve(**variables: str) -> Iterator[httpx.Client]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        spec = importlib.util.spec_from_file_location("fastapi_chat", EXAMPLE / "app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # pydantic finds the annotations of the module's classes by its name.
        monkeypatch.setitem(sys.modules, "fastapi_chat", module)
        spec.loader.exec_module(module)
        with served_by_uvicorn(module.app) as client:
            yield client

    return serve


def answer(*texts: str) -> Callable[[Conversation], None]:
    return lambda conversation: conversation.stream(ollama_lines(*texts))


def events_of(response: httpx.Response) -> Iterator[tuple[str, str]]:
    """The text of each chunk that has some, and what the last event says."""
    for event in EventSource(response).iter_sse():
        data = json.loads(event.data)
        said = data.get({"end": "outcome", "error": "code"}.get(event.event, "text"))
        if said is not None:
            yield event.event, said


def ask(client: httpx.Client, message: str = "hello") -> list[tuple[str, str]]:
    with client.stream("POST", "/chat", json={"message": message}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache, no-transform"
        return list(events_of(response))


def only_recording() -> Path:
    (path,) = Path("recordings").glob("*.jsonl")
    return path


def test_the_answer_comes_piece_by_piece_and_each_is_recorded_before(backend: Backend) -> None:
    seen = threading.Event()

    def in_step(conversation: Conversation) -> None:
        conversation.head()
        for line in ollama_lines("One ", "two ", "three"):
            conversation.chunk(line)
            if b"two" in line:
                assert seen.wait(PATIENCE)
        conversation.end()

    with (
        LoopbackServer([in_step]) as model,
        backend(OLLAMA_HOST=model.url, CHAT_MODEL="ollama/m") as client,
        client.stream("POST", "/chat", json={"message": "count"}) as response,
    ):
        events = events_of(response)
        assert next(events) == ("chunk", "One ")
        assert next(events) == ("chunk", "two ")
        recorded = [chunk.text for chunk in vesselog.Recording(only_recording()).chunks()]
        assert recorded == ["One ", "two "]
        seen.set()
        assert list(events) == [("chunk", "three"), ("end", "complete")]
    assert model.requests[0].json["messages"] == [{"role": "user", "content": "count"}]
    assert vesselog.verify(only_recording()).ok


def test_ollama_and_an_openai_dialect_are_one_setting(backend: Backend) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
    with (
        LoopbackServer([lambda conversation: conversation.stream(sse(chunk))]) as model,
        backend(OPENAI_BASE_URL=model.url, CHAT_MODEL="openai/m") as client,
    ):
        assert ask(client) == [("chunk", "hi"), ("end", "complete")]
    assert model.requests[0].path == "/v1/chat/completions"


def test_one_client_serves_the_whole_process(backend: Backend) -> None:
    with (
        LoopbackServer([answer("x")]) as model,
        backend(OLLAMA_HOST=model.url) as client,
    ):
        for _ in range(3):
            assert ask(client)[-1] == ("end", "complete")
        assert model.connections == 1
    assert len(list(Path("recordings").glob("*.jsonl"))) == 3


@pytest.mark.parametrize("body", [{}, {"message": ""}, {"message": None}, {"massage": "x"}, []])
def test_a_missing_message_is_422_and_the_model_is_not_asked(
    backend: Backend, body: object
) -> None:
    with LoopbackServer([answer("x")]) as model, backend(OLLAMA_HOST=model.url) as client:
        assert client.post("/chat", json=body).status_code == 422
    assert model.requests == []
    assert not Path("recordings").exists()


def test_only_listed_origins_are_allowed(backend: Backend) -> None:
    origins = "https://chat.example http://localhost:5173"
    with (
        LoopbackServer([answer("x")]) as model,
        backend(OLLAMA_HOST=model.url, CHAT_ORIGINS=origins) as client,
    ):
        for origin, allowed in {
            "https://chat.example": "https://chat.example",
            "http://localhost:5173": "http://localhost:5173",
            "https://elsewhere.example": None,
        }.items():
            told = client.post("/chat", json={"message": "x"}, headers={"origin": origin})
            assert told.headers.get("access-control-allow-origin") == allowed
            asked = {"origin": origin, "access-control-request-method": "POST"}
            asked["access-control-request-headers"] = "content-type"
            preflight = client.options("/chat", headers=asked)
            assert preflight.headers.get("access-control-allow-origin") == allowed
            assert preflight.is_success == (allowed is not None)


def test_without_a_list_no_origin_is_allowed(backend: Backend) -> None:
    with LoopbackServer([answer("x")]) as model, backend(OLLAMA_HOST=model.url) as client:
        told = client.post("/chat", json={"message": "x"}, headers={"origin": "https://a.example"})
    assert "access-control-allow-origin" not in told.headers


def test_an_error_has_a_status_and_no_internal_details(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells where the provider's message is recorded."""
    body = b'{"error": "cuda device 3 on gpu-host-17 is out of memory"}'
    with (
        LoopbackServer([lambda conversation: conversation.whole(body, 500)]) as model,
        backend(OLLAMA_HOST=model.url) as client,
    ):
        told = client.post("/chat", json={"message": "x"})
    assert told.status_code == 502
    for internal in ("cuda", "gpu-host", "127.0.0.1", str(model.port), "Provider", "ollama"):
        assert internal not in told.text
    assert told.json()["error"]["correlation_id"] in caplog.text
    assert only_recording().stem in caplog.text
    assert "gpu-host-17" in only_recording().read_text("utf-8")


def test_a_cut_answer_keeps_its_pieces_and_tells_the_error(backend: Backend) -> None:
    def cut(conversation: Conversation) -> None:
        conversation.head()
        conversation.chunk(ollama_lines("half")[0])
        conversation.cut()

    with LoopbackServer([cut]) as model, backend(OLLAMA_HOST=model.url) as client:
        events = ask(client)
    assert events == [("chunk", "half"), ("error", "connection_failed")]


@pytest.mark.parametrize("texts", [(), ("One ", "two ")])
def test_generation_is_cancelled_when_the_browser_leaves(
    backend: Backend, texts: tuple[str, ...]
) -> None:
    """Both in the middle of the answer and before its first token."""
    begun, left = threading.Event(), threading.Event()

    def endless(conversation: Conversation) -> None:
        if texts:
            conversation.head()
            for line in ollama_lines(*texts)[:-1]:
                conversation.chunk(line)
        begun.set()
        conversation.wait_for_hangup()
        left.set()

    with LoopbackServer([endless]) as model, backend(OLLAMA_HOST=model.url) as client:
        patience = PATIENCE if texts else 1.0  # the status comes with the first token
        ask = partial(client.stream, "POST", "/chat", json={"message": "x"}, timeout=patience)
        if texts:
            with ask() as response:
                events = events_of(response)
                for text in texts:
                    assert next(events) == ("chunk", text)
        else:
            with pytest.raises(httpx.ReadTimeout), ask():
                pytest.fail("there was nothing to send")
        assert begun.wait(PATIENCE)
        assert left.wait(PATIENCE), "the model still generates"
        followed = vesselog.follow(only_recording())
        assert [chunk.text for chunk in followed] == list(texts)
        assert followed.outcome == "cancelled"


def test_the_documented_command_serves_it(tmp_path: Path) -> None:
    source = (EXAMPLE / "app.py").read_text("utf-8")
    assert "uvicorn --app-dir examples/fastapi_chat app:app" in source
    command = ["uvicorn", "--app-dir", str(EXAMPLE), "app:app", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-P", "-W", "error", "-m", *command],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        log = ""
        status = None
        for line in process.stderr:
            log += line
            if found := re.search(r"running on (http://[\d.:]+)", line):
                try:
                    status = httpx.post(f"{found[1]}/chat", json={}, trust_env=False).status_code
                finally:
                    process.send_signal(signal.SIGINT)
    assert status == 422, log


def begin(client: httpx.Client) -> str:
    """A new conversation of a new visitor."""
    client.cookies.clear()
    return str(client.post("/conversations").json()["session"])


def test_a_conversation_goes_on_with_what_was_said_and_is_listed(backend: Backend) -> None:
    with LoopbackServer([answer("Ahoy")]) as model, backend(OLLAMA_HOST=model.url) as client:
        session = begin(client)
        for message in ("Hello", "And again"):
            told = client.post("/chat", json={"message": message, "session": session})
            assert told.status_code == 200
        (listed,) = client.get("/sessions/").json()
        calls = client.get(f"/sessions/{session}/calls").json()
    assert [each["content"] for each in model.requests[-1].json["messages"]] == [
        "Hello",
        "Ahoy",
        "And again",
    ]
    assert (listed["session"], listed["title"]) == (session, "Hello")
    assert [(each["question"][0]["content"], each["answer"]["text"]) for each in calls] == [
        ("Hello", "Ahoy"),
        ("And again", "Ahoy"),
    ]


def test_an_answer_in_a_conversation_goes_on_when_the_browser_leaves(backend: Backend) -> None:
    left = threading.Event()

    def script(conversation: Conversation) -> None:
        first, *rest = ollama_lines("One ", "two")
        conversation.head()
        conversation.chunk(first)
        assert left.wait(PATIENCE)
        for line in rest:
            conversation.chunk(line)
        conversation.end()

    with LoopbackServer([script]) as model, backend(OLLAMA_HOST=model.url) as client:
        session = begin(client)
        asked = {"message": "x", "session": session}
        with client.stream("POST", "/chat", json=asked) as response:
            assert next(events_of(response)) == ("chunk", "One ")
        left.set()
        with client.stream("GET", f"/sessions/{session}?after=-1") as resumed:
            events = list(events_of(resumed))
    assert events == [("chunk", "One "), ("chunk", "two"), ("end", "complete")]


def test_a_conversation_is_its_own_users(backend: Backend) -> None:
    with LoopbackServer([answer("Ahoy")]) as model, backend(OLLAMA_HOST=model.url) as client:
        session = begin(client)
        asked = {"message": "x", "session": session}
        assert client.post("/chat", json=asked).status_code == 200
        begin(client)  # somebody else
        assert client.get("/sessions/").json() == []
        assert client.post("/chat", json=asked).status_code == 404
        for path in ("", "?after=-1", "/calls", "/messages"):
            assert client.get(f"/sessions/{session}{path}").status_code == 404
        client.cookies.clear()
        assert client.post("/chat", json=asked).status_code == 404
    assert len(model.requests) == 1


def test_a_second_question_has_to_wait_until_the_first_is_answered(backend: Backend) -> None:
    """Both come to the same worker; the model is not asked."""
    go_on = threading.Event()

    def script(talk: Conversation) -> None:
        talk.head()
        talk.chunk(ollama_lines("One ", "two")[0])
        assert go_on.wait(PATIENCE)
        for line in ollama_lines("One ", "two")[1:]:
            talk.chunk(line)
        talk.end()

    with LoopbackServer([script]) as model, backend(OLLAMA_HOST=model.url) as client:
        asked = {"message": "Hello", "session": begin(client)}
        with client.stream("POST", "/chat", json=asked) as response:
            events = events_of(response)
            assert next(events) == ("chunk", "One ")
            refused = client.post("/chat", json={**asked, "message": "And again"})
            assert refused.status_code == 409
            assert refused.json()["error"]["code"] == "session_in_use"
            go_on.set()
            assert list(events)[-1] == ("end", "complete")
        assert client.post("/chat", json={**asked, "message": "And again"}).status_code == 200
    said = [[each["content"] for each in asked.json["messages"]] for asked in model.requests]
    assert said == [["Hello"], ["Hello", "One two", "And again"]]


def test_a_visitor_gets_one_cookie_that_scripts_and_other_sites_cannot_use(
    backend: Backend,
) -> None:
    with LoopbackServer([answer("Ahoy")]) as model, backend(OLLAMA_HOST=model.url) as client:
        first = client.post("/conversations")
        second = client.post("/conversations")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "set-cookie" not in second.headers
    names = [response.json()["session"].partition("-") for response in (first, second)]
    assert names[0][0] == names[1][0]
    assert names[0][2] != names[1][2]


@pytest.mark.parametrize("session", ["", "x", "../../x", "0" * 65])
def test_a_name_that_is_none_is_422(backend: Backend, session: str) -> None:
    with LoopbackServer([answer("x")]) as model, backend(OLLAMA_HOST=model.url) as client:
        asked = {"message": "x", "session": session}
        assert client.post("/chat", json=asked).status_code == 422


def test_the_page_loads_nothing_from_elsewhere_and_makes_no_html_of_text(backend: Backend) -> None:
    sources = {path.name: path.read_text("utf-8") for path in (EXAMPLE / "page").iterdir()}
    for name, source in sources.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", source)
        assert "https://" not in source, name
    with LoopbackServer([answer("x")]) as model, backend(OLLAMA_HOST=model.url) as client:
        assert "default-src 'self'" in client.get("/").text
        for name in sources.keys() - {"index.html"}:
            assert client.get(f"/{name}").text == sources[name]


def test_events_carry_line_ends_unharmed(backend: Backend) -> None:
    text = "a\nb\r\nc\u2028d\u0085e"
    with LoopbackServer([answer(text)]) as model, backend(OLLAMA_HOST=model.url) as client:
        raw = client.post("/chat", json={"message": "x"}).content
    data = [line for line in raw.split(b"\n") if line.startswith(b"data: ")]
    assert json.loads(data[0].removeprefix(b"data: "))["text"] == text


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: what {PAGE.name} says of it is not checked")


def test_curl_prints_what_the_page_shows(backend: Backend) -> None:
    needs("curl")
    (block,) = blocks("console", pages=[PAGE])
    command, shown = block.code.removeprefix("$ ").split("\n", 1)
    with LoopbackServer([answer("Ahoy", "!")]) as model, backend(OLLAMA_HOST=model.url) as client:
        address = client.base_url.netloc.decode()
        assert "localhost:8000" in command
        command = command.replace("localhost:8000", address)
        done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, check=True)
    assert without_times_and_names(done.stdout.decode()) == without_times_and_names(shown)


def without_times_and_names(text: str) -> str:
    return re.sub(r'"t":[\d.]+', '"t":0', re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{32}", "NAME", text))


def in_a_browser(client: httpx.Client, use: str) -> str:
    """Run the page's code with these lines after it; returns what it prints."""
    (block,) = blocks("js", pages=[PAGE])
    program = (
        f"{block.code}\nconst answer = ask({str(client.base_url) + '/chat'!r}, 'Hello');\n{use}"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", program],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    return done.stdout + done.stderr


READ_ALL = """
try { for await (const text of answer) console.log(JSON.stringify(text)); console.log("whole"); }
catch (error) { console.log(error.message); }
"""


def test_the_code_for_browsers_reads_an_answer(backend: Backend) -> None:
    needs("node")
    scripts = [answer("Grüße\n\n", "🚢"), lambda conversation: conversation.whole(b"{}", 400)]
    with LoopbackServer(scripts) as model, backend(OLLAMA_HOST=model.url) as client:
        assert in_a_browser(client, READ_ALL) == '"Grüße\\n\\n"\n"🚢"\nwhole\n'
        assert in_a_browser(client, READ_ALL) == "The model refused the request.\n"


def test_the_code_for_browsers_takes_no_part_for_the_whole() -> None:
    needs("node")

    def without_an_end(conversation: Conversation) -> None:
        conversation.stream(
            [b'event: chunk\ndata: {"text": "half"}\n\n', b": ping\n\n"], "text/event-stream"
        )

    with LoopbackServer([without_an_end]) as server, httpx.Client(base_url=server.url) as client:
        assert in_a_browser(client, READ_ALL) == '"half"\nthe answer is incomplete\n'


def test_a_browser_that_stops_reading_stops_the_model(backend: Backend) -> None:
    needs("node")
    left = threading.Event()

    def endless(conversation: Conversation) -> None:
        conversation.head()
        conversation.chunk(ollama_lines("One")[0])
        conversation.wait_for_hangup()
        left.set()

    use = "for await (const text of answer) { console.log(text); break; }\nconsole.log('left');"
    with LoopbackServer([endless]) as model, backend(OLLAMA_HOST=model.url) as client:
        assert in_a_browser(client, use) == "One\nleft\n"
        assert left.wait(PATIENCE)
