"""`vesselog serve … -- COMMAND`: runs a command whose model requests go through the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .output import print_error

if TYPE_CHECKING:
    from ..server.serving import Serving

__all__ = ["run_command"]

# As a shell does (POSIX, 2.8.2): the command cannot be run, is not there, ended by a signal.
_NOT_EXECUTABLE, _NOT_FOUND, _BY_SIGNAL = 126, 127, 128
_PASSED_ON = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
_FROM_THE_TERMINAL = ("SIGINT", "SIGQUIT")
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OLLAMA_API_KEY")


def run_command(program: Sequence[str], serving: Serving, token: str | None) -> int:
    """Run it while the server serves; returns its exit status, as a shell reports it."""
    thread = threading.Thread(target=serving.run, name="vesselog-serve")
    thread.start()
    try:
        return _run(program, environment_for(serving.url, token, os.environ))
    finally:
        serving.stop()
        thread.join()


def environment_for(url: str, token: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """The command's environment: the server's base URLs, and no proxy on the way to it.

    A token is given as the API key of those SDKs for which no key is set.
    """
    from .serve import base_urls

    made = {**environment, **base_urls(url)}
    if token is not None:
        for name in _KEYS:
            made.setdefault(name, token)
    else:
        # The openai SDK does not start without one. One of 12 characters would count as a secret.
        made.setdefault("OPENAI_API_KEY", "vesselog")
    for name in ("NO_PROXY", "no_proxy"):
        made[name] = ",".join(filter(None, [environment.get(name), "127.0.0.1,localhost,::1"]))
    return made


def _run(program: Sequence[str], environment: Mapping[str, str]) -> int:
    children: list[subprocess.Popen[bytes]] = []
    with _signals_to(children):
        try:
            child = subprocess.Popen(program, env=environment)  # noqa: S603 - what the user asks for
        except FileNotFoundError:
            print_error(f"there is no program {program[0]!r}")
            return _NOT_FOUND
        except OSError as error:
            print_error(f"{program[0]}: {error.strerror}")
            return _NOT_EXECUTABLE
        children.append(child)
        status = child.wait()
    return status if status >= 0 else _BY_SIGNAL - status


@contextmanager
def _signals_to(children: Sequence[subprocess.Popen[bytes]]) -> Generator[None]:
    """Pass signals on to the child. Those of a terminal's keys it gets from the terminal."""

    def pass_on(number: int, _frame: Any) -> None:
        for child in children:
            child.send_signal(number)

    def ignore(_number: int, _frame: Any) -> None:
        pass

    at_terminal = sys.stdin is not None and sys.stdin.isatty()
    of_keys: Callable[[int, Any], None] = ignore if at_terminal else pass_on
    handlers = {**dict.fromkeys(_PASSED_ON, pass_on), **dict.fromkeys(_FROM_THE_TERMINAL, of_keys)}
    before: dict[Any, Any] = {}
    for name, handler in handlers.items():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
