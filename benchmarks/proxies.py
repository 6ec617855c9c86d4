"""The proxies that are measured: how each is installed, started, and asked.

litellm and mitmproxy get an environment of their own in `.venv`, made when they are first
measured, aimock a folder there; one that cannot be installed is skipped, and stderr says so.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["KEY", "PROXIES", "Proxy", "ProxyError", "Running", "running"]

_HERE = Path(__file__).resolve().parent
_ENVIRONMENTS = _HERE.parent / ".venv"
_LITELLM = _ENVIRONMENTS / "litellm-proxy" / "bin"
_MITMPROXY = _ENVIRONMENTS / "mitmproxy" / "bin"
_AIMOCK = _ENVIRONMENTS / "aimock"
_INSTALL_SECONDS = 900
# litellm imports for about ten seconds, on a busy machine longer.
_START_SECONDS = 120.0
# Variables that would send a proxy elsewhere, or give it a key.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")

KEY = f"sk-{secrets.token_hex(24)}"
"""What clients send as their key; litellm demands one."""


class ProxyError(Exception):
    """The proxy cannot be measured; the message says why."""


@dataclass(frozen=True)
class Proxy:
    """One proxy. records: whether what passes is kept in a file.

    command: from the upstream's origin, the path before its /v1, the port and a folder for files.
    passes_path: it is asked for the upstream's own path; the others know where the upstream is and
    are asked for /v1/…. install: makes it available; raises ProxyError.
    """

    name: str
    records: bool
    command: Callable[[str, str, int, Path], list[str]]
    passes_path: bool = False
    environment: dict[str, str] = field(default_factory=dict[str, str])
    install: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Running:
    """A proxy that runs. path: what is asked for chat completions."""

    port: int
    path: str
    process: int

    def cpu(self) -> float:
        """Seconds of CPU time so far, of its child processes too."""
        return sum(map(_cpu, _tree(self.process)))

    def memory(self) -> float:
        """The most memory that it had, in MiB."""
        return sum(map(_peak, _tree(self.process)))

    def keep_to(self, core: int) -> None:
        """Let it run on this processor core only."""
        for each in _tree(self.process):
            for task in Path(f"/proc/{each}/task").iterdir():
                os.sched_setaffinity(int(task.name), {core})


@contextmanager
def running(proxy: Proxy, upstream: str, path: str, folder: Path) -> Generator[Running]:
    """Start it before this upstream, and end it. Raises ProxyError.

    upstream: the origin. path: before its /v1. folder: for the files that the proxy makes.
    """
    port = _free_port()
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    program = proxy.command(upstream, path, port, folder)
    with (
        (folder / "output.txt").open("wb+") as output,
        subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**kept, **proxy.environment},
            cwd=folder,
        ) as process,
    ):
        try:
            _wait_for(port, process, folder / "output.txt")
            prefix = path if proxy.passes_path else ""
            yield Running(port, f"{prefix}/v1/chat/completions", process.pid)
        finally:
            children = _tree(process.pid)
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
            for child in children[1:]:
                _kill(child)


def _bare(kind: str) -> Callable[[str, str, int, Path], list[str]]:
    script = str(_HERE / "bare_proxies.py")
    return lambda origin, _, port, folder: [
        *(sys.executable, script, kind, str(port), origin, str(folder))
    ]


def _vesselog(origin: str, path: str, port: int, folder: Path) -> list[str]:
    upstream = f"model=openai@{origin}{path}/v1"
    return [
        *(sys.executable, "-P", "-m", "vesselog", "serve", "--upstream", upstream),
        *("--port", str(port), "--recordings", str(folder / "recordings")),
    ]


def _litellm(origin: str, path: str, port: int, folder: Path) -> list[str]:
    config = folder / "litellm.yaml"
    config.write_text(
        "model_list:\n"
        "  - model_name: benchmark\n"
        "    litellm_params:\n"
        "      model: openai/benchmark\n"
        f"      api_base: {origin}{path}/v1\n"
        "      api_key: none\n"
        f"general_settings:\n  master_key: {KEY}\n",
        "utf-8",
    )
    address = ("--host", "127.0.0.1", "--port", str(port))
    return [str(_LITELLM / "litellm"), "--config", str(config), *address]


def _mitmproxy(origin: str, _: str, port: int, folder: Path) -> list[str]:
    return [
        *(str(_MITMPROXY / "mitmdump"), "--quiet", "--mode", f"reverse:{origin}"),
        *("--listen-host", "127.0.0.1", "--listen-port", str(port), "-w", str(folder / "flows")),
        # Otherwise it holds a body back until its end, or does not record it.
        *("--set", "stream_large_bodies=1", "--set", "store_streamed_bodies=true"),
        *("--set", f"confdir={folder / 'mitmproxy'}"),
    ]


def _aimock(origin: str, path: str, port: int, folder: Path) -> list[str]:
    fixtures = folder / "fixtures"
    fixtures.mkdir()
    return [
        *(str(_AIMOCK / "node_modules/.bin/llmock"), "--record", "--fixtures", str(fixtures)),
        *("--port", str(port), "--provider-openai", origin + path, "--log-level", "silent"),
    ]


def _install_packages(folder: Path, package: str, program: Path) -> None:
    if program.exists():
        return
    print(f"installing {package} into {folder} (once) ...", file=sys.stderr, flush=True)
    install = [str(folder / "bin/python"), "-m", "pip", "install", "-qq"]
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    _run([*install, "--disable-pip-version-check", package])


def _install_aimock() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ProxyError("npm is not installed")
    if (_AIMOCK / "node_modules/.bin/llmock").exists():
        return
    print(f"installing aimock into {_AIMOCK} (once) ...", file=sys.stderr, flush=True)
    _run([npm, "install", "--silent", "--prefix", str(_AIMOCK), "@copilotkit/aimock"])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_INSTALL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProxyError(f"it could not be installed: {error}") from None
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ProxyError(f"it could not be installed: {' '.join(last)}")


PROXIES = {
    each.name: each
    for each in (
        Proxy("barest", records=True, command=_bare("barest"), passes_path=True),
        Proxy("starlette", records=False, command=_bare("starlette"), passes_path=True),
        Proxy("vesselog", records=True, command=_vesselog),
        Proxy(
            "mitmproxy",
            records=True,
            command=_mitmproxy,
            passes_path=True,
            install=lambda: _install_packages(
                _MITMPROXY.parent, "mitmproxy", _MITMPROXY / "mitmdump"
            ),
        ),
        Proxy("aimock", records=True, command=_aimock, install=_install_aimock),
        Proxy(
            "litellm",
            records=False,
            command=_litellm,
            # Without it, it asks the network for prices.
            environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            install=lambda: _install_packages(
                _LITELLM.parent, "litellm[proxy]", _LITELLM / "litellm"
            ),
        ),
    )
}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    said = output.read_text("utf-8", "replace").strip().splitlines()[-3:]
    raise ProxyError(f"it did not start: {' '.join(said)}")


def _tree(process: int) -> list[int]:
    """The process and its descendants."""
    found = [process]
    for each in found:
        try:
            tasks = list(Path(f"/proc/{each}/task").iterdir())
            found += [
                int(child) for task in tasks for child in (task / "children").read_text().split()
            ]
        except FileNotFoundError:
            continue
    return found


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text("utf-8").split("\n")
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def _kill(process: int) -> None:
    try:
        os.kill(process, 9)
    except ProcessLookupError:
        return
