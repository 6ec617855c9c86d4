"""Suggests the next command after the demo: a chat with the Ollama on the user's machine."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import threading
from pathlib import Path

__all__ = ["LocalOllama", "command_as_started"]

_QUESTION = '"Why is the sky blue?"'
# Suggested if no model is installed: it is small, and it reasons.
_SUGGESTED = "qwen3:1.7b"


class LocalOllama:
    """Asks the Ollama at OLLAMA_HOST, or at its default port, for its models, in a thread.

    Only an address on this machine is asked. `suggestion` works whether Ollama answers or not.
    """

    def __init__(self) -> None:
        self._models: list[str] | None = None
        self._address = ""
        self._thread = threading.Thread(target=self._ask, name="vesselog-local-ollama", daemon=True)
        self._thread.start()

    def suggestion(self, timeout: float = 0.5) -> list[str]:
        """The lines to print. timeout: seconds to wait for Ollama's answer."""
        self._thread.join(timeout)
        models = self._models
        model = models[0] if models else _SUGGESTED
        chat = f"{command_as_started()} chat ollama/{model} {_QUESTION}"
        if models:
            return [f"Your own Ollama is running at {self._address}. Try:", f"  {chat}"]
        pull = f"  ollama pull {_SUGGESTED}"
        if models is not None:
            running = f"Your own Ollama is running at {self._address} and has no model yet. Try:"
            return [running, pull, f"  {chat}"]
        return [
            "To try it with your own Ollama (https://ollama.com), start `ollama serve`, then:",
            pull,
            f"  {chat}",
        ]

    def _ask(self) -> None:
        import httpx

        from ..core.client.client import Client
        from ..core.errors import VesselogError
        from ..core.settings import Timeouts
        from ..vessels import Ollama

        try:
            vessel = Ollama().configured({"OLLAMA_HOST": os.environ.get("OLLAMA_HOST", "")})
            request = vessel.models_request()
            address = httpx.URL(request.url if request else "")
            if address.host not in {"127.0.0.1", "localhost", "::1"}:
                return
            host = address.netloc.decode().rpartition("@")[2]
            self._address = f"{address.scheme}://{host}"
            with Client(
                recordings=None,
                vessels={"ollama": vessel},
                environment={},
                timeouts=Timeouts(total=2),
            ) as client:
                models = client.models("ollama")
        except (VesselogError, httpx.InvalidURL):
            return  # Ollama is not running or OLLAMA_HOST is not a URL: `suggestion` covers that
        models.sort(key=lambda model: model.modified or "", reverse=True)
        # An embedding model cannot chat. Only its name shows that it is one.
        self._models = [model.name for model in models if "embed" not in model.name]


def command_as_started() -> str:
    """What the user would type to start this program again, quoted for the shell."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m vesselog"
    found = shutil.which(program.name)
    if found is not None and program.exists() and Path(found).samefile(program):
        return shlex.quote(program.name)
    return shlex.quote(str(program.absolute()))
