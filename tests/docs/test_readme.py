"""Checks README and docs: the code runs, the shown output is what is printed, the links work.

Python code runs unchanged, against a scripted model server. A `print(…)  # text` prints that text.
A block that begins with `# examples/…` is an excerpt of that file, one that begins with `# NAME.py`
a whole file, which tests/live/test_guides.py uses as the page says. Commands run too; a line that
begins with `$` prints the lines below it.
"""

from __future__ import annotations

import builtins
import configparser
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import duckdb
import pytest

import vesselog
from loopback import Conversation, LoopbackServer
from page_servers import model
from pages import PAGES, ROOT, Block, anchors, blocks, links, prose
from patience import PATIENCE
from vesselog.cli.entry import parser
from vesselog.cli.serve_settings import read_settings
from vesselog.core.replay.compare_requests import request_key
from vesselog.core.truth.line import LONGEST_LINE
from vesselog.core.truth.session import Session
from vesselog.vessels import BUILT_IN
from warm_python import run

LANGUAGES = {"console", "ini", "js", "python", "sh", "sql", "toml"}
# Other tests run their code: test_writing_a_vessel.py, test_repairs.py and test_testing.py.
ELSEWHERE = [ROOT / f"docs/{page}.md" for page in ("writing-a-vessel", "repairs", "testing")]
HERE = [page for page in PAGES if page not in ELSEWHERE]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]
PORTS = re.compile(r"http://127\.0\.0\.1:8000\b")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    """Provide what the pages use: a server at OLLAMA_HOST, the samples, `vesselog` on the PATH."""
    Path("recordings").mkdir()
    Path("recordings/samples").symlink_to(ROOT / "recordings/samples")
    programs = Path(sys.executable).parent
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
    monkeypatch.delenv("COLUMNS", raising=False)
    with LoopbackServer([model]) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "EMPTY")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
        yield server


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed, so the pages' use of it is not checked")


def shell(command: str, **variables: str) -> str:
    """Run a command; returns its stdout."""
    settings: dict[str, Any] = {
        "env": {**os.environ, **variables},
        "stdout": subprocess.PIPE,
        "timeout": PATIENCE,
    }
    if command.startswith("vesselog ") and not re.search(r"[|&;<>$`*(]", command):
        program = [sys.executable, "-P", str(Path(sys.executable).with_name("vesselog"))]
        return run([*program, *shlex.split(command)[1:]], check=True, **settings).stdout.decode()
    bash = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(bash, check=True, **settings).stdout.decode()


def commands(*languages: str) -> list[tuple[Block, str]]:
    return [
        (block, line)
        for block in blocks(*languages, pages=HERE)
        for line in block.code.splitlines()
        if line and not line.startswith("#")
    ]


def test_no_page_holds_code_that_nothing_runs() -> None:
    here = blocks(pages=HERE)
    pictures = [block for block in here if block.language == "text"]
    assert {block.page.name for block in pictures} == {"CONTRIBUTING.md"}
    code = [block for block in here if block not in pictures]
    assert [str(block) for block in code if block.language not in LANGUAGES] == []
    pages = [page for page in PAGES if page.name not in {"CHANGELOG.md", "CONTRIBUTING.md"}]
    indented = re.compile(r"\n\n    \S")
    assert [page.name for page in pages if indented.search(prose(page))] == []


@pytest.mark.parametrize("block", blocks("python", pages=HERE), ids=str)
def test_python_runs(block: Block, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    if block.code.startswith("# examples/"):
        name, excerpt = block.code.split("\n", 1)
        assert excerpt in (ROOT / name.removeprefix("# ")).read_text("utf-8")
        return
    printed: list[str] = []

    def keep(*values: object, sep: str = " ", end: str = "\n", **_: object) -> None:
        printed.append(sep.join(map(str, values)) + end)

    monkeypatch.setattr(builtins, "print", keep)
    code = PORTS.sub(server.url, block.code)
    program = compile("\n" * (block.line - 1) + code, str(block.page), "exec")
    exec(program, {"__name__": "__main__"})
    said = "".join(printed)
    assert said.strip() or re.match(r"# \w+\.py\n", block.code), "it prints nothing"
    for expected in re.findall(r"print\(.*\)  # (.+)$", block.code, re.MULTILINE):
        assert expected in said.splitlines()
    for path in Path("recordings").glob("*.jsonl"):
        assert vesselog.verify(path).ok


@pytest.mark.parametrize(("block", "command"), commands("sh"), ids=str)
def test_the_shell_runs(block: Block, command: str, server: LoopbackServer) -> None:
    command = command.removeprefix(".venv/bin/")
    words = [word for word in shlex.split(command) if "=" not in word.partition("/")[0]]
    match words:
        case ["pip", "install", what, *others]:
            assert {*others} <= {"fastapi", "ollama", "pytest", "pytest-asyncio"}
            asked = re.search(r"\[(.*)\]", what)
            assert what.partition("[")[0] in {".", "vesselog"}
            assert set(asked[1].split(",") if asked else []) <= {*EXTRAS}
        case ["uvicorn", "backend:app"] | ["curl", *_] | ["vesselog", "serve", *_, "program.py"]:
            file = "program.py" if words[0] == "vesselog" else "backend.py"  # in test_guides.py
            assert f"```python\n# {file}\n" in block.page.read_text("utf-8")
        case ["uvicorn", "--app-dir", folder, app, *_]:  # it runs in test_fastapi_example.py
            assert (ROOT / folder / f"{app.partition(':')[0]}.py").exists()
            assert "app = " in (ROOT / folder / f"{app.partition(':')[0]}.py").read_text("utf-8")
        case ["gunicorn", "-c", settings, "app:app"]:  # it serves in test_resuming.py
            assert (ROOT / settings).exists()
        case [program] if program.startswith("scripts/"):  # they run in .ci/run
            assert os.access(ROOT / program, os.X_OK)
        case ["vesselog", "serve", *_] if "--" not in words:  # it would run on
            assert read_settings(parser().parse_args(shlex.split(command)[1:]))
        case ["vesselog" | "jq" as program, *_]:
            needs(program)
            assert shell(PORTS.sub(server.url, command)).strip(), "it prints nothing"
        case _:
            pytest.fail(f"{block} has a command that this test cannot check: {command}")


@pytest.mark.parametrize("block", blocks("toml", pages=[ROOT / "docs/gateway.md"]), ids=str)
def test_configuration_files_are_read(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(block.code)
    settings = read_settings(parser().parse_args(["serve", "--config", str(file)]))
    assert settings.upstreams


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_units_start_a_command_that_there_is(block: Block) -> None:
    unit = configparser.ConfigParser()
    unit.read_string(block.code)
    _, *words = shlex.split(unit["Service"]["ExecStart"])
    assert parser().parse_args(words).run


def without_run_details(demo: str) -> str:
    """The demo's output without what differs between runs: times, sizes, names, paces."""
    demo = re.sub(r"\S*vesselog (replay|chat) ", r"vesselog \1 ", demo)
    demo = re.sub(
        r"\d+ times slower than recorded|[\d.]+ times faster than recorded|at the recorded pace",
        "PACE",
        demo,
    )
    demo = re.sub(r"demo-[0-9TZ]+-\w+(\.jsonl)?", r"DEMO\1", demo)
    demo = re.sub(r'"crc":"\w+"', '"crc":"CRC"', demo)
    demo = re.sub(r'"raw":".* …', '"raw":"…', demo)  # it is cut at a width
    return re.sub(r" +", " ", re.sub(r"\d[\d.]*", "0", demo))


def shown(block: Block) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output below it."""
    parts = re.split(r"^\$ (.*)\n", block.code, flags=re.MULTILINE)
    assert parts[0] == "", f"{block} does not begin with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_commands_print_what_is_shown(block: Block, server: LoopbackServer) -> None:
    for command, output in shown(block):
        program, *_ = shlex.split(command)
        if program == "curl":
            continue  # in test_fastapi_example.py
        needs(program)
        if "jq" in shlex.split(command):
            needs("jq")
        assert shell(command) == output


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_sql_runs(block: Block, server: LoopbackServer) -> None:
    rows = duckdb.sql(block.code).fetchall()
    assert rows
    assert all(value is not None for row in rows for value in row)


def test_links_lead_somewhere() -> None:
    broken: list[str] = []
    for page in PAGES:
        for link in links(page):
            if re.match(r"https?:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    named = set(links(ROOT / "docs/README.md"))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {link for link in named if "/" not in link} == pages


def test_every_command_is_on_the_page_of_the_command_line() -> None:
    listed = re.findall(r"^    ([\w-]+)(?: |$)", parser().format_help(), re.MULTILINE)
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    assert len(listed) > 10
    assert [name for name in listed if f"vesselog {name}" not in page] == []


def test_the_picture_shows_what_the_demo_prints(server: LoopbackServer) -> None:
    """Its last state; scripts/demo-svg draws it again."""
    picture = ET.parse(ROOT / "docs/demo.svg").getroot()
    texts = [each for each in picture.iter() if each.tag.endswith("}text")]
    last = ["".join(each.itertext()) for each in texts if "passing" not in each.attrib["class"]]
    printed = shell("vesselog demo --speed 5", OLLAMA_HOST="127.0.0.1:9")
    kept = [re.sub(r"\s+", "", line) for line in without_run_details(printed).splitlines()]
    drawn = [re.sub(r"\s+", "", line) for line in without_run_details("\n".join(last)).splitlines()]
    assert drawn == [line for line in kept if line]


def test_the_figures_of_the_readme_are_those_of_the_page() -> None:
    names = {
        "vesselog, `fast`, recorded": "**vesselog, `fast`, recorded**",
        "vesselog, recorded": "**vesselog, recorded**",
        "httpx + httpx-sse": "httpx + httpx-sse + json",
        "openai SDK": "openai SDK",
        "litellm": "litellm",
    }
    rows = {row[0]: row[1].strip("*") for row in table("costs.md", "## CPU time per chunk")}
    lines = (ROOT / "README.md").read_text("utf-8").partition("## What it costs")[2].splitlines()
    head, _, figures = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert dict(zip(head, figures, strict=True)) == {
        name: rows[there] for name, there in names.items()
    }


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without the table's own headings."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    lines = text.partition(f"\n{heading}\n")[2].split("\n")
    rows = [line for line in lines if line.startswith("|")]
    end = next((n for n, line in enumerate(lines) if line.startswith("|")), 0)
    rows = []
    for line in lines[end:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[2:]


def codes(cells: list[str]) -> list[str]:
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell)]


def test_the_deadlines_are_those_of_the_code() -> None:
    rows = table("timeouts-and-cancelling.md", "## How long each wait lasts")
    told = {row[0].strip("`"): row[1].strip("`") for row in rows}
    defaults = vesselog.Timeouts()
    real = {name: getattr(defaults, name) for name in vesselog.Timeouts.model_fields}
    assert told == {name: "None" if v is None else f"{v:g}" for name, v in real.items()}


def test_the_limits_are_those_of_the_code() -> None:
    rows = table("sync-or-async.md", "`Limits` bounds the connections:")
    told = {row[0].strip("`"): row[1] for row in rows}
    assert told == {name: f"{value:.0f}" for name, value in vesselog.Limits()}


def test_the_longest_line_is_that_of_the_code() -> None:
    assert f"at most {LONGEST_LINE:,} bytes" in (ROOT / "docs/file-format.md").read_text()


def test_the_outcomes_are_those_of_the_code() -> None:
    rows = table("timeouts-and-cancelling.md", "## How a call ended")
    assert {row[0].strip("`") for row in rows} == set(get_args(vesselog.Outcome))
    (outcome,) = [row[1] for row in table("file-format.md", "### end") if "outcome" in row[0]]
    written = set(get_args(vesselog.Outcome)) - {"interrupted"}  # that is to have no end line
    assert set(codes([outcome])) == written


def test_the_variables_are_those_of_the_vessels() -> None:
    rows = table("quickstart.md", "## Stream") or []
    told = {row[0].strip("`"): set(codes(row[1:])) for row in rows}
    real = {
        name: {variable for names in vessel.variables.values() for variable in names}
        for name, vessel in BUILT_IN.items()
    }
    assert told == {name: real[name] for name in told}
    assert {"ollama", "openai"} <= set(told)


def test_the_file_format_tells_every_field_of_a_chunk() -> None:
    told = table("file-format.md", "## Chunks")
    named = set(codes([row[0] for row in told]))
    assert named == set(vesselog.StreamChunk.model_fields) - {"call", "t", "raw"}
    inner = set(codes([row[1] for row in told]))
    for part in (vesselog.Usage, vesselog.Timings, vesselog.ToolCallDelta):
        assert set(part.model_fields) <= inner
    assert set(get_args(vesselog.FinishReason)) <= inner


def test_the_file_format_tells_every_key_that_is_written(tmp_path: Path) -> None:
    """The session has every kind of line: a repair, a masked key, bytes, an error, a retry."""

    def awkward(conversation: Conversation) -> None:
        conversation.head()
        for frame in conversation.frames("a secret-key-of-14", "<think>b</think>")[:-1]:
            conversation.chunk(frame)
        conversation.chunk(b'{"message": {"content": "\xff"}, "done": false}\n')
        conversation.chunk(b'{"message": {"cont')
        conversation.end()

    def busy(conversation: Conversation) -> None:
        conversation.whole(b"{}", 503)

    odd = {"n": 2**70}
    with (
        LoopbackServer([busy, awkward]) as server,
        vesselog.Client(
            vessels={"lab": BUILT_IN["ollama"](base_url=server.url, api_key="secret-key-of-14")},
            retries=vesselog.Retries(backoff=0),
        ) as client,
        pytest.raises(vesselog.TruncatedError),
    ):
        client.complete("lab/m", "hi", session="s", meta={"a": 1}, split_think=True, options=odd)
    with Path("recordings/s.jsonl").open("ab") as file:
        file.write(b'{"torn')
    Session.open(Path("recordings"), "s").close()
    written: dict[str, set[str]] = {}
    for line in vesselog.Recording("recordings/s.jsonl").lines():
        written.setdefault(line["type"], set()).update(line)
    anywhere = set(codes([row[0] for row in table("file-format.md", "## Lines")]))
    unused = {
        "meta",
        "opened",
        "raw_b64",
        "masked",
        "repairs",
        "partial",
        "retry_of",
        "torn",
        "split_think",
        "exact",
    }
    for kind, keys in written.items():
        told = set(codes([row[0] for row in table("file-format.md", f"### {kind}")]))
        assert keys - anywhere <= told, f"{kind} lines have keys that the page does not tell"
        unused -= keys
    assert unused == set(), "the session does not hold all that there is"
    error = [row[1] for row in table("file-format.md", "### end") if row[0] == "`error`"]
    recorded = [call.end or {} for call in vesselog.Recording("recordings/s.jsonl").calls()]
    assert {key for end in recorded for key in end["error"]} <= set(codes(error))
    metrics = [row[1] for row in table("file-format.md", "### end") if row[0] == "`metrics`"]
    assert set(vesselog.Metrics.model_fields) <= set(codes(metrics))


def test_a_recording_takes_about_twice_the_bytes_of_the_wire() -> None:
    samples = sorted((ROOT / "recordings/samples").glob("*.jsonl"))
    on_disk = sum(path.stat().st_size for path in samples)
    ends = [call.end for path in samples for call in vesselog.Recording(path).calls()]
    on_the_wire = sum(end["bytes"] for end in ends if end is not None)
    assert "about twice the bytes of the wire" in (ROOT / "README.md").read_text("utf-8")
    assert on_disk / on_the_wire == pytest.approx(2, abs=0.25)


def key_by_the_page(path: str, body: dict[str, Any]) -> str:
    """Compute the request key as docs/file-format.md describes it."""
    counted = {
        name: value for name, value in body.items() if name not in {"stream", "stream_options"}
    }
    text = json.dumps(counted, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(f"{path}\n{text}".encode()).hexdigest()


def test_request_keys_are_those_that_the_page_describes() -> None:
    for sample in (ROOT / "recordings/samples").glob("*.jsonl"):
        for call in vesselog.Recording(sample).calls():
            path = urlsplit(call.request["url"]).path
            assert call.request["key"] == key_by_the_page(path, call.request["body"])
    odd = {"b": '\u2028\x00\x7f\n"\\/é🚢', "é": [1.0, -0.5, 0.0001, 1e15, 2**63], "a": {"z": None}}
    assert request_key("/x", {**odd, "stream": True}) == key_by_the_page("/x", odd)
    assert request_key("/x", None) == "sha256:" + hashlib.sha256(b"/x\nnull").hexdigest()


def test_line_ends_are_escaped_and_lookalikes_are_not(tmp_path: Path) -> None:
    """As the page says: LF occurs only at the end of a line."""
    text = "a\nb\r\x00\u0085\u2028\u2029"
    with LoopbackServer([lambda conversation: conversation.answer(text)]) as server:
        vessel = BUILT_IN["ollama"](base_url=server.url)
        with vesselog.Client(vessels={"lab": vessel}) as client:
            client.complete("lab/m", text, session="s")
    data = Path("recordings/s.jsonl").read_bytes()
    lines: list[dict[str, Any]] = [json.loads(line) for line in data.split(b"\n")[:-1]]
    assert data.endswith(b"\n")
    assert [line["type"] for line in lines] == [
        "session",
        "open",
        "request",
        "response",
        *(["frame"] * (len(lines) - 6)),
        "end",
        "close",
    ]
    assert "\u2028".encode() in data
    assert lines[4]["chunks"][0]["text"] == text
