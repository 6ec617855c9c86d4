"""The line that a newcomer types next: a chat with the Ollama of his own machine."""

from __future__ import annotations

import os
import shlex
import shutil
import ssl
import sys
import threading
from pathlib import Path

__all__ = ["OwnOllama", "command_as_started"]

_QUESTION = '"Why is the sky blue?"'
# Suggested where there is nothing to choose from: small, and it reasons.
_SUGGESTED = "qwen3:1.7b"


class OwnOllama:
    """Asks the Ollama at OLLAMA_HOST, or at its default port, for its models, in the background.

    Only an address on this machine is asked. `lines` says what to type, whatever came of it.
    """

    def __init__(self) -> None:
        self._models: list[str] | None = None
        self._address = ""
        self._thread = threading.Thread(target=self._ask, name="vesselog-own-ollama", daemon=True)
        self._thread.start()

    def lines(self, patience: float = 0.5) -> list[str]:
        """What to type for a chat of one's own. patience: seconds to wait for the answer."""
        self._thread.join(patience)
        models = self._models
        model = models[0] if models else _SUGGESTED
        chat = f"{command_as_started()} chat ollama/{model} {_QUESTION}"
        if models:
            return [f"Your own Ollama, which is running at {self._address}:", f"  {chat}"]
        pull = f"  ollama pull {_SUGGESTED}"
        if models is not None:
            there = f"Your own Ollama, which is running at {self._address} and has no model yet:"
            return [there, pull, f"  {chat}"]
        return [
            "Your own Ollama (https://ollama.com), once `ollama serve` runs:",
            pull,
            f"  {chat}",
        ]

    def _ask(self) -> None:
        import httpx

        from ..core.client.client import Client
        from ..core.errors import VesselogError
        from ..vessels import Ollama

        try:
            vessel = Ollama().configured({"OLLAMA_HOST": os.environ.get("OLLAMA_HOST", "")})
            request = vessel.models_request()
            address = httpx.URL(request.url if request else "")
            if address.host not in {"127.0.0.1", "localhost", "::1"}:
                return
            host = address.netloc.decode().rpartition("@")[2]
            self._address = f"{address.scheme}://{host}"
            trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nobody: it is this machine
            with Client(
                recordings=None, vessels={"ollama": vessel}, environment={}, ssl_context=trusted
            ) as client:
                models = client.models("ollama")
        except (VesselogError, httpx.InvalidURL):
            return  # it does not run, or its address is none: the line to type says so
        models.sort(key=lambda model: model.modified or "", reverse=True)
        # A model that only embeds cannot chat; the list does not tell, but the names do.
        self._models = [model.name for model in models if "embed" not in model.name]


def command_as_started() -> str:
    """The words that start this command again, as they would be typed."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m vesselog"
    found = shutil.which(started.name)
    if found is not None and started.exists() and Path(found).samefile(started):
        return shlex.quote(started.name)
    return shlex.quote(str(started.absolute()))
