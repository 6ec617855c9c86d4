"""The second half of `vesselog demo`: a program asks through the gateway, a browser resumes.

The program is an HTTP client without this library, which speaks Ollama's API; the model's server
speaks OpenAI's. The browser reads the program's answer from the gateway's sessions, leaves in the
middle, and comes back with the id of the last event that it has.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .live_text import LiveText
from .output import BOLD, DIM, print_line
from .recording_growth import RecordingGrowth

if TYPE_CHECKING:
    import httpx

    from ..core.vessel import Vessel

__all__ = ["Passed", "pass_through"]

# Events that the browser gets before its connection breaks.
_BEFORE_THE_BREAK = 8


class Passed(NamedTuple):
    """One answer that passed the gateway, and was read again by a browser.

    pieces: how many pieces the program got. late: those of them that were not in the file yet.
    text: what the program got. seen: the events that the browser got, as id and text.
    """

    pieces: int
    late: int
    text: str
    seen: list[tuple[str, str]]

    def checks(self) -> Iterator[tuple[bool, str]]:
        """Whether each check passed, and its result in words."""
        recorded = f"{self.pieces - self.late} of {self.pieces} pieces were in the file"
        yield self.late == 0, f"{recorded} before the program had them"
        ids = [identifier for identifier, _ in self.seen]
        once = len(set(ids)) == len(ids)
        whole = once and "".join(text for _, text in self.seen) == self.text
        yield whole, f"the browser has the whole answer: {len(ids)} events, each once"


def pass_through(number: int, vessel: Vessel, growth: RecordingGrowth) -> Passed:
    """Ask a model's server through a gateway, then read the answer as a browser; print both."""
    import httpx

    session = growth.path.stem
    with (
        _gateway_to(vessel, growth.path.parent) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=10.0, verify=False) as http,  # noqa: S501 - plain HTTP on this machine
    ):
        _title(f"{number}. A program in any language", f" asks the gateway at {url}")
        print_line("  POST /api/chat: it speaks Ollama's API, and the model's server OpenAI's", DIM)
        texts, late = _as_program(http, session, growth)
        _title(f"{number + 1}. A browser", " that loses its connection in mid-answer")
        seen = _as_browser(http, session, growth.call)
    return Passed(len(texts), late, "".join(texts), seen)


@contextmanager
def _gateway_to(vessel: Vessel, recordings: Path) -> Generator[str]:
    """A gateway to one model server, in a thread; gives its URL."""
    import httpx

    from ..core.client.async_client import AsyncClient
    from ..core.settings import Retries
    from ..server import Gateway, gateway_vessels
    from ..server.serving import Serving

    upstreams = {"model": vessel}
    # As in the first half: no certificates are read.
    http = httpx.AsyncClient(verify=False, trust_env=False)  # noqa: S501
    client = AsyncClient(
        http_client=http,
        recordings=recordings,
        vessels=gateway_vessels(upstreams, {}),
        retries=Retries(count=0),
        environment={},
    )
    gateway = Gateway(client, upstreams, environment={})
    serving = Serving(gateway, "127.0.0.1", 0, before_end=http.aclose)
    thread = threading.Thread(target=serving.run, name="vesselog-demo", daemon=True)
    thread.start()
    try:
        yield serving.url
    finally:
        serving.stop()
        thread.join()


def _as_program(http: httpx.Client, session: str, growth: RecordingGrowth) -> tuple[list[str], int]:
    """The pieces of text that a program gets, and how many were not recorded before."""
    asked = {"model": "think", "messages": [{"role": "user", "content": "Hello!"}]}
    texts: list[str] = []
    late = 0
    shown = LiveText(sys.stdout, lambda: growth.size_text)
    with http.stream(
        "POST", "/api/chat", json=asked, headers={"x-vesselog-session": session}
    ) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            text = json.loads(line)["message"]["content"]
            if not text:
                continue
            growth.read_new_lines()
            texts.append(text)
            late += not growth.text.startswith("".join(texts))
            shown.add(text)
    shown.end()
    return texts, late


def _as_browser(http: httpx.Client, session: str, call: int) -> list[tuple[str, str]]:
    """The events that a browser gets over two connections, as id and text."""
    first = [*islice(_events(http, f"/sessions/{session}?call={call}"), _BEFORE_THE_BREAK)]
    last = first[-1][0]
    print_line(f"  GET /sessions/{session} ({len(first)} events, then it breaks)")
    rest = [*_events(http, f"/sessions/{session}", {"last-event-id": last})]
    print_line(f"  Last-Event-ID: {last} (the other {len(rest)} events)")
    print_line("  They come from the recording; the model is not asked again.", DIM)
    return first + rest


def _events(
    http: httpx.Client, path: str, headers: dict[str, str] | None = None
) -> Iterator[tuple[str, str]]:
    """The events of an answer, each with its id and its text."""
    from httpx_sse import EventSource

    with http.stream("GET", path, headers=headers) as response:
        response.raise_for_status()
        for event in EventSource(response).iter_sse():
            data: Any = event.json()
            yield event.id, data.get("text", "") if event.event == "chunk" else ""


def _title(text: str, more: str) -> None:
    print_line()
    print_line(text, BOLD, end="")
    print_line(more)
