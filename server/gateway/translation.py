"""One request and its answer, between a client and an upstream of another dialect.

The client's body becomes the upstream's request (translated_request.py); the chunks and the
completion that come back are written by the encoder of the client's dialect.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, cast

from ...core.chunk import StreamChunk
from ...core.clock import SYSTEM_CLOCK, Clock, timestamp
from ...core.completion import Completion
from ...core.errors import ProviderError, VesselogError
from ...core.jsontext import dumps
from ...core.request import ChatRequest
from ...core.vessel import Vessel, WireRequest
from ...vessels.answer_encoder import AnswerEncoder
from ...vessels.anthropic_encoder import AnthropicEncoder
from ...vessels.gemini_encoder import GeminiEncoder, GeminiListEncoder
from ...vessels.ollama_encoder import OllamaEncoder
from ...vessels.openai_encoder import OpenAIEncoder
from ...vessels.responses_encoder import ResponsesEncoder
from ..protocols.problem import Problem
from .problems import explained_problem, problem_event, problem_response
from .response_ids import Place, response_id
from .routes import GEMINI_LIST
from .translated_request import translated_request

__all__ = ["Translation"]

_JSON = "application/json"


class Translation:
    """client: the client's dialect, or GEMINI_LIST. route: the path of its request, with this body.

    request: what the upstream gets. chat: what it says. stream: whether a stream was asked for.
    content_type: of the answer. heartbeat: what may be sent while nothing comes. Raises
    InvalidRequestError, which names what cannot be said in the upstream's dialect.
    """

    def __init__(
        self, client: str, route: str, body: Any, upstream: Vessel, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.chat: ChatRequest
        self.request: WireRequest
        self.chat, self.request = translated_request(
            "gemini" if client == GEMINI_LIST else client, route, body, upstream
        )
        self.stream = self.chat.stream
        self._client = client
        self._encoder = _encoder(client, route, body, self.chat.model, clock)
        self.content_type = self._encoder.content_type if self.stream else _JSON
        self.heartbeat = self._encoder.heartbeat

    def recorded_as(self, session: str | None, call: int | None) -> None:
        """Where the answer is recorded, which the id of a response tells its client."""
        if isinstance(self._encoder, ResponsesEncoder) and session is not None and call is not None:
            self._encoder.identifier = response_id(Place(session, call))

    def begun(self) -> bytes:
        """What a client is told of an answer in the background, which it asks for later."""
        return dumps({**self._encoder.whole(Completion()), "output": [], "status": "in_progress"})

    def write(self, chunk: StreamChunk) -> bytes:
        """The frames for a chunk of the answer; b"" if it says nothing in the client's dialect."""
        return self._encoder.write(chunk)

    def end(self, completion: Completion) -> bytes:
        """The frames that end the stream of an answer that is complete."""
        return self._encoder.end(completion)

    def whole(self, completion: Completion) -> bytes:
        """The answer to a request for no stream."""
        return dumps(self._encoder.whole(completion))

    def error(self, error: VesselogError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for an error before anything was sent."""
        problem = self._problem(error)
        headers, body = problem_response(self._client, problem)
        return problem.status, headers, body

    def error_event(self, error: VesselogError) -> bytes:
        """The last frame of a stream that failed."""
        problem = self._problem(error)
        if isinstance(self._encoder, ResponsesEncoder):
            return self._encoder.fail(problem.code, problem.text)
        return problem_event(self._client, problem) or b""

    def _problem(self, error: VesselogError) -> Problem:
        """A provider's error is told as it would be without the gateway, with its own words."""
        if not isinstance(error, ProviderError):
            return explained_problem(error, session=error.session, call=error.call)
        code = (error.code or "").lower()
        told = int(code) if re.fullmatch(r"[45][0-9]{2}", code) else 502
        # Others than these are no statuses of errors, and cannot be passed on.
        status = error.status if error.status in range(400, 600) else None
        found = status or _STATUSES.get(code, told)
        return Problem(
            _status_in(self._client, found),
            error.code or "provider_error",
            error.message,
            retryable=error.retryable,
            retry_after=error.retry_after,
        )


# Of errors in mid-stream, which have no status: the codes of Anthropic's, OpenAI's and Google's.
_STATUSES: Mapping[str, int] = {
    **dict.fromkeys(("invalid_request_error", "invalid_argument"), 400),
    **dict.fromkeys(("authentication_error", "invalid_api_key", "unauthenticated"), 401),
    **dict.fromkeys(("permission_error", "permission_denied"), 403),
    **dict.fromkeys(("not_found_error", "model_not_found", "not_found"), 404),
    **dict.fromkeys(("rate_limit_error", "rate_limit_exceeded", "resource_exhausted"), 429),
    **dict.fromkeys(("api_error", "server_error", "internal"), 500),
    **dict.fromkeys(("overloaded_error", "overloaded", "unavailable"), 503),
}


def _status_in(client: str, status: int) -> int:
    """Anthropic says 529 where others say 503."""
    if client == "anthropic":
        return 529 if status == 503 else status
    return 503 if status == 529 else status


def _encoder(client: str, route: str, body: Any, model: str, clock: Clock) -> AnswerEncoder:
    unique = secrets.token_hex(12)
    if client == "anthropic":
        return AnthropicEncoder(model=model, identifier=f"msg_{unique}")
    if client in {"gemini", GEMINI_LIST}:
        gemini = GeminiListEncoder if client == GEMINI_LIST else GeminiEncoder
        return gemini(model=model, identifier=unique)
    if client == "ollama":
        prompt = route.rstrip("/").endswith("/generate")
        return OllamaEncoder(model=model, now=lambda: timestamp(clock.wall()), prompt=prompt)
    created = clock.wall() // 1_000_000
    if client == "openai-responses":
        return ResponsesEncoder(
            model=model, identifier=f"resp_{unique}", created=created, asked=body
        )
    options = cast("dict[str, Any]", body).get("stream_options")
    asked = isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage")
    prompt = not route.rstrip("/").endswith("/chat/completions")
    kind = "cmpl" if prompt else "chatcmpl"
    return OpenAIEncoder(
        model=model,
        created=created,
        identifier=f"{kind}-{unique}",
        usage=asked is True,
        prompt=prompt,
    )
