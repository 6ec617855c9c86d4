"""The fixture ground_truth, in runs of pytest inside this one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inner_runs import OPTIONS
from loopback import Conversation, LoopbackServer
from vesselog import Recording, verify
from vesselog.testing.ground_truth import Settings

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

CLIENT = """
def test_it(ground_truth):
    assert ground_truth.client.complete("ollama/m", "Why?").text == "Scattered light."
"""
FILE = Path("recordings/test_inner/test_it.jsonl")


def test_pytest_lists_every_setting_of_the_marker(pytester: pytest.Pytester) -> None:
    lines = pytester.runpytest_inprocess(*OPTIONS, "--markers").outlines
    assert [
        name
        for name in Settings.__slots__
        if not any(line.startswith(f"    {name}=") for line in lines)
    ] == []


def model(conversation: Conversation) -> None:
    conversation.answer("Scattered ", "light.")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    with LoopbackServer([model] * 8) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        yield server


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("CI", raising=False)

    def run(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_inner=source)
        return pytester.runpytest_inprocess(*OPTIONS, *options)

    return run


def test_a_test_is_recorded_once_and_then_replayed(server: LoopbackServer, run: Run) -> None:
    run(CLIENT).assert_outcomes(passed=1)
    assert len(server.requests) == 1
    assert (verify(FILE).errors, verify(FILE).calls) == (0, 1)
    run(CLIENT).assert_outcomes(passed=1)
    run(CLIENT, "--ground-truth=none").assert_outcomes(passed=1)
    assert len(server.requests) == 1
    run(CLIENT, "--ground-truth=rewrite").assert_outcomes(passed=1)
    assert len(server.requests) == 2


def test_a_file_that_is_no_recording_can_be_recorded_anew(server: LoopbackServer, run: Run) -> None:
    FILE.parent.mkdir(parents=True)
    FILE.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    result = run(CLIENT)
    result.assert_outcomes(errors=1)
    told = "ground_truth: *test_it.jsonl is not a recording: *(pytest --ground-truth=rewrite *"
    result.stdout.fnmatch_lines([told])
    result.stdout.no_fnmatch_line("*another exception*")
    run(CLIENT, "--ground-truth=rewrite").assert_outcomes(passed=1)
    assert verify(FILE).ok


def test_in_ci_nothing_is_asked(
    server: LoopbackServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    result = run(CLIENT)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*there is no *test_it.jsonl: pytest --ground-truth=once records*"]
    )
    assert server.requests == []


def test_the_option_comes_before_the_marker_and_that_before_the_ini(
    server: LoopbackServer, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\nground_truth = none\n")
    marked = f"import pytest\n@pytest.mark.ground_truth(mode='once'){CLIENT}"
    run(CLIENT).assert_outcomes(failed=1)
    run(marked, "--ground-truth=none").assert_outcomes(failed=1)
    run(marked).assert_outcomes(passed=1)
    result = run(CLIENT, "--ground-truth=always")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*is 'always': one of none, once, new, rewrite*"])


def test_an_async_client_and_other_sdks_are_recorded_and_replayed(
    server: LoopbackServer, run: Run
) -> None:
    source = """
        import ollama, openai, pytest

        ASKED = [{"role": "user", "content": "Why?"}]

        async def test_async(ground_truth):
            async with ground_truth.async_client.stream("ollama/m", "Why?") as stream:
                assert [chunk.text async for chunk in stream][:2] == ["Scattered ", "light."]

        def test_ollama(ground_truth):
            client = ollama.Client(host=ground_truth.base_url("ollama"))
            parts = client.chat("m", ASKED, stream=True)
            assert "".join(part.message.content for part in parts) == "Scattered light."

        @pytest.mark.ground_truth(environment=True)
        def test_openai(ground_truth):
            client = openai.OpenAI()
            with client.chat.completions.create(model="m", messages=ASKED, stream=True) as stream:
                text = [part.choices[0].delta.content for part in stream if part.choices]
            assert text[1:3] == ["Scattered ", "light."]
    """
    os.environ["OPENAI_API_KEY"] = "sk-" + "k" * 30
    run(source).assert_outcomes(passed=3)
    folder = Path("recordings/test_inner")
    assert sorted(path.stem for path in folder.iterdir()) == [
        *("test_async", "test_ollama", "test_openai"),
    ]
    assert [verify(path).findings for path in folder.iterdir()] == [[], [], []]
    assert os.environ["OPENAI_API_KEY"] not in (folder / "test_openai.jsonl").read_text("utf-8")
    del os.environ["OPENAI_API_KEY"]
    run(source, "--ground-truth=none").assert_outcomes(passed=3)
    assert len(server.requests) == 3


def test_drift_and_leftovers_fail_the_test(server: LoopbackServer, run: Run) -> None:
    run(CLIENT).assert_outcomes(passed=1)
    hidden = """
        from vesselog import VesselogError
        def test_it(ground_truth):
            try:
                ground_truth.client.complete("ollama/m", "Why not?")
            except VesselogError:
                pass
    """
    result = run(hidden)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "requests changed since they were recorded:",
            "*nearest is call 1 of test_it.jsonl, and it differs:",
            "  body.messages[[]0[]].content",
            '    recorded: "Why?"',
            '    asked:    "Why not?"',
            "*--ground-truth=rewrite records it anew*",
            "recorded in test_it.jsonl and not asked for:",
            "call 1: POST http://127.0.0.1:*/api/chat (m)",
        ]
    )
    result.stdout.fnmatch_lines(["*record the test anew, or allow that by leftover=True*"])
    idle = (
        "import pytest\n@pytest.mark.ground_truth(leftover=%s)\ndef test_it(ground_truth): pass\n"
    )
    run(idle % False).assert_outcomes(passed=1, errors=1)
    run(idle % True).assert_outcomes(passed=1)


def test_a_miss_that_the_program_hid_is_shown_where_its_test_fails(
    server: LoopbackServer, run: Run
) -> None:
    run(CLIENT).assert_outcomes(passed=1)
    hidden = """
        from vesselog import VesselogError
        def test_it(ground_truth):
            try:
                ground_truth.client.complete("ollama/m", "Why not?")
            except VesselogError:
                raise KeyError("the answer") from None
    """
    result = run(hidden)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*requests changed since recorded*", '    asked:    "Why not?"'])


def test_new_adds_what_was_not_recorded(server: LoopbackServer, run: Run) -> None:
    run(CLIENT).assert_outcomes(passed=1)
    more = f"{CLIENT}    ground_truth.client.complete('ollama/m', 'And then?')\n"
    by_url = """
        import ollama
        def test_it(ground_truth):
            client = ollama.Client(host=ground_truth.base_url("ollama"))
            for question in ("Why?", "And then?", "And now?"):
                client.chat("m", [{"role": "user", "content": question}])
    """
    changed = CLIENT.replace("Why?", "And then?")
    before = FILE.read_bytes()
    run(changed, "--ground-truth=new").assert_outcomes(passed=1, errors=1)  # a leftover
    assert FILE.read_bytes() == before
    run(more, "--ground-truth=new").assert_outcomes(passed=1)
    run(more, "--ground-truth=none").assert_outcomes(passed=1)
    run(by_url, "--ground-truth=new").assert_outcomes(passed=1)
    run(by_url, "--ground-truth=none").assert_outcomes(passed=1)
    assert len(server.requests) == 4
    assert verify(FILE).findings == []
    asked = [call.request["body"]["messages"][0]["content"] for call in Recording(FILE).calls()]
    assert asked == ["Why?", "And then?", "And now?"]


def test_what_a_failing_test_recorded_is_not_kept(server: LoopbackServer, run: Run) -> None:
    run(f"{CLIENT}    assert False\n").assert_outcomes(failed=1)
    assert not FILE.exists()


def test_settings_for_all_tests_and_a_marker_for_one(server: LoopbackServer, run: Run) -> None:
    source = """
        import itertools, pytest

        days = itertools.count()

        @pytest.fixture
        def ground_truth_settings():
            return {"ignore": ["options.day"], "scrub": {"name": "Alice"}}

        def test_it(ground_truth):
            body = {"options": {"day": next(days)}}
            ground_truth.client.complete("ollama/m", "I am Alice", extra_body=body)

        @pytest.mark.ground_truth(ignore=[])
        @pytest.mark.parametrize("who", ["a/b"])
        class TestMore:
            def test_two(self, ground_truth, who):
                ground_truth.client.complete("ollama/m", "I am Alice")
    """
    run(source).assert_outcomes(passed=2)
    (one,) = Path("recordings/test_inner").glob("test_it.jsonl")
    (two,) = Path("recordings/test_inner").glob("TestMore.test_two-a-b-????????.jsonl")
    for path in (one, two):
        (call,) = Recording(path).calls()
        assert call.request["body"]["messages"][0]["content"] == "I am [name]"
    run(source.replace("count()", "count(7)"), "--ground-truth=none").assert_outcomes(passed=2)


def test_other_machines_are_out_of_reach_in_mode_none(run: Run) -> None:
    source = """
        import http.client, urllib.request, pytest

        def test_blocked(ground_truth):
            for host in ("192.0.2.1", "model.invalid"):
                with pytest.raises(RuntimeError, match=f"tried to reach {host}"):
                    http.client.HTTPConnection(host, timeout=5).connect()

        def test_this_machine(ground_truth):
            with pytest.raises(ConnectionRefusedError):
                http.client.HTTPConnection("127.0.0.1", 9, timeout=5).connect()

        @pytest.mark.ground_truth(network=True)
        def test_allowed(ground_truth):
            with pytest.raises(OSError):
                http.client.HTTPConnection("model.invalid", timeout=5).connect()

        def test_other_tests():
            with pytest.raises(OSError):
                http.client.HTTPConnection("model.invalid", timeout=5).connect()
    """
    run(source, "--ground-truth=none").assert_outcomes(passed=4)


def test_a_secret_fails_the_test_and_is_not_written(server: LoopbackServer, run: Run) -> None:
    secret = "ghp_" + "x1" * 20
    result = run(CLIENT.replace("Why?", secret))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*call 1, request body.messages*content: an access token"])
    assert not FILE.exists()


def test_another_tests_recording_is_replayed_with_a_fault(server: LoopbackServer, run: Run) -> None:
    run(CLIENT).assert_outcomes(passed=1)
    source = """
        import ollama, pytest
        from vesselog import TruncatedError

        @pytest.mark.ground_truth(recording="test_it", fault={"cut_at": 0})
        def test_cut(ground_truth):
            with pytest.raises(TruncatedError):
                ground_truth.client.complete("ollama/m", "Why?")

        @pytest.mark.ground_truth(recording="test_it", fault={"status": 503})
        def test_refused(ground_truth):
            client = ollama.Client(host=ground_truth.base_url("ollama"))
            with pytest.raises(ollama.ResponseError) as raised:
                client.chat("m", [{"role": "user", "content": "Why?"}])
            assert raised.value.status_code == 503

        @pytest.mark.ground_truth(fault={"cut_at": 0})
        def test_of_nothing(ground_truth):
            pass

        @pytest.mark.ground_truth(ignored=[])
        def test_misspelt(ground_truth):
            pass
    """
    result = run(source, "--ground-truth=once")
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*fault= needs recording=*", "*no setting ignored; there are *"])
    assert len(server.requests) == 1


def test_a_wrong_setting_is_refused_while_recording(run: Run) -> None:
    source = """
        import pytest

        @pytest.mark.ground_truth(ignore=["messages[*.x"])
        def test_place(ground_truth): pass

        @pytest.mark.ground_truth(speed="fast")
        def test_speed(ground_truth): pass

        @pytest.mark.ground_truth("rewrite")
        def test_unnamed(ground_truth): pass
    """
    result = run(source)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "ground_truth: ignore='messages[[]*.x' is no place in a body: *",
            "ground_truth: no speed 'fast': give 0 or more, or \"max\"",
            "ground_truth: name its settings, as in mode='rewrite'",
        ]
    )


def test_what_is_translated_is_recorded_and_replayed(server: LoopbackServer, run: Run) -> None:
    """Two dialects that the upstream does not speak, streamed and whole."""
    asking = """
        import httpx, pytest

        def ask(truth, path, **body):
            url = truth.base_url("openai") + path
            with httpx.Client(trust_env=False) as client:
                answer = client.post(url, json={"model": "m", **body})
            return answer.status_code, answer.text

        def respond(truth, question="Why?", **body):
            return ask(truth, "/responses", input=question, **body)

        SAID = {"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 99}
    """
    source = f"""{asking}
        @pytest.mark.ground_truth(leftover=True)
        @pytest.mark.parametrize("stream", [True, False])
        def test_both(ground_truth, stream):
            status, text = respond(ground_truth, stream=stream)
            assert (status, "Scattered" in text) == (200, True)
            assert ("response.completed" in text) == stream
            status, text = ask(ground_truth, "/messages", **SAID, stream=stream)
            assert (status, "Scattered" in text) == (200, True)
            assert ("message_stop" in text) == stream
    """
    run(source).assert_outcomes(passed=2)
    assert len(server.requests) == 4
    run(source, "--ground-truth=none").assert_outcomes(passed=2)
    other = source.replace("respond(ground_truth, ", "respond(ground_truth, 'How?', ")
    result = run(other, "--ground-truth=none")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*POST /responses is not what was recorded*"])
    assert len(server.requests) == 4
    run(other, "--ground-truth=new").assert_outcomes(passed=2)
    assert len(server.requests) == 6
    run(other, "--ground-truth=none").assert_outcomes(passed=2)


def test_other_clients_see_faults_at_a_base_url(server: LoopbackServer, run: Run) -> None:
    """What asks again gets a `status` again, and after a `first_status` the answer."""
    asking = """
        import httpx, pytest

        def ask(truth, timeout=5):
            url = truth.base_url("openai") + "/chat/completions"
            messages = [{"role": "user", "content": "Why?"}]
            body = {"model": "m", "stream": True, "messages": messages}
            lines = []
            with httpx.Client(trust_env=False, timeout=timeout) as client:
                with client.stream("POST", url, json=body) as answer:
                    try:
                        lines += filter(None, answer.iter_lines())
                    except httpx.TransportError as error:
                        return answer.status_code, len(lines), type(error).__name__
            return answer.status_code, len(lines), lines[-1]
    """
    first = "def test_it(ground_truth): assert ask(ground_truth) == (200, 6, 'data: [DONE]')"
    run(f"{asking}\n        {first}").assert_outcomes(passed=1)
    source = f"""{asking}
        def fault(speed="max", **given):
            return pytest.mark.ground_truth(recording="test_it", fault=given, speed=speed)

        @fault(first_status=429)
        def test_first(ground_truth):
            assert [ask(ground_truth)[0] for _ in range(2)] == [429, 200]

        @fault(status=503)
        def test_always(ground_truth):
            assert [ask(ground_truth)[0] for _ in range(3)] == [503, 503, 503]

        cut = (200, 1, "RemoteProtocolError")

        @pytest.mark.parametrize("fault", [
            pytest.param("cut", marks=fault(cut_at=1)),
            pytest.param("reset", marks=fault(reset_at=1)),
            pytest.param("stall", marks=fault(stall_at=1)),
            pytest.param("paced", marks=fault(stall_at=1, stall_seconds=0.05, speed=1.0)),
        ])
        def test_cut(ground_truth, fault):
            assert ask(ground_truth) == cut

        @fault(stall_at=1, speed=1.0)
        def test_stall(ground_truth):
            assert ask(ground_truth, timeout=0.2) == (200, 1, "ReadTimeout")

        @fault(error_at=1)
        def test_error(ground_truth):
            assert "a fault that a test asked for" in ask(ground_truth)[2]
    """
    run(source, "--ground-truth=none").assert_outcomes(passed=8)
    assert len(server.requests) == 1
