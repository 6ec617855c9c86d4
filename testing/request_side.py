"""Checks of the requests that a vessel makes: whatever is asked is said, or refused.

The kit knows no dialect. It asks with words and numbers that occur nowhere else, and looks for them
in the body (and in the URL). What the dialect has no word for, the vessel refuses by an
InvalidRequestError; to leave it out silently is what is found here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from ..vessels import (
    ChatRequest,
    InvalidRequestError,
    ProviderError,
    Vessel,
    WireRequest,
    chat_request,
    is_retryable,
    loads,
)
from .running import shown

__all__ = ["REQUEST_CHECKS"]

_MODEL = "model-of-conformance"
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
_KEY = "sk-conformance-0123456789abcdef"
_HOST = "http://conformance.test:81"
_LIMIT = 4321  # some dialects need one
_SYSTEM = {"role": "system", "content": "word-of-the-system"}
_QUESTION = {"role": "user", "content": "word-of-the-user"}
_ANSWER = {"role": "assistant", "content": "word-of-the-assistant"}
_NEXT = {"role": "user", "content": "second-word-of-the-user"}
_IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PIXEL}"}}
_CALL = {
    "id": "call00001",
    "type": "function",
    "function": {"name": "tool_called", "arguments": '{"city": "word-of-arguments"}'},
}
_PARAMETERS = {"type": "object", "properties": {"word_of_parameters": {"type": "string"}}}
_TOOL = {
    "type": "function",
    "function": {
        "name": "tool_offered",
        "description": "word-of-the-description",
        "parameters": _PARAMETERS,
    },
}
_MESSAGES: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "the system message": ([_SYSTEM, _QUESTION], ["word-of-the-system"]),
    "the user's message": ([_QUESTION], ["word-of-the-user"]),
    "the history": (
        [_QUESTION, _ANSWER, _NEXT],
        ["word-of-the-user", "word-of-the-assistant", "second-word-of-the-user"],
    ),
    "the text beside an image": (
        [{"role": "user", "content": [{"type": "text", "text": "word-of-a-part"}, _IMAGE]}],
        ["word-of-a-part"],
    ),
    "the image": (
        [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, _IMAGE]}],
        [_PIXEL],
    ),
    "the call of a tool": (
        [_QUESTION, {"role": "assistant", "content": None, "tool_calls": [_CALL]}, _NEXT],
        ["tool_called", "word-of-arguments"],
    ),
    "the result of a tool": (
        [
            _QUESTION,
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "call00001", "content": "word-of-the-result"},
        ],
        ["word-of-the-result"],
    ),
}
_TOOL_WORDS = {
    "name": "tool_offered",
    "description": "word-of-the-description",
    "parameters": "word_of_parameters",
}
# Fields, each with a value, and what has to be seen of it; None: that the body is another one.
_FIELDS: dict[str, tuple[Any, Any]] = {
    "temperature": (0.3125, 0.3125),
    "top_p": (0.4375, 0.4375),
    "max_tokens": (6543, 6543),
    "stop": (["word-of-stop"], "word-of-stop"),
    "seed": (87654, 87654),
    "n": (3, 3),
    "logprobs": (True, None),
    "think": (True, None),
    "tool_choice": ("required", None),
    "response_format": (_PARAMETERS, "word_of_parameters"),
    "options": ({"x_conformance_option": "word-of-options"}, "word-of-options"),
}
_EXTRA: dict[str, Any] = {"x_conformance": {"kept": [1, None, "word-of-extra"]}}
_STATUSES = (400, 401, 403, 404, 422, 429, 500, 502, 503, 504)
_VERSION = re.compile(r"/v\d+\w*")
_WORDS = "the crane is broken"
_JUNK: tuple[Any, ...] = (None, 5, "no", [], {}, {"data": 5}, {"models": [5]})
# What a client takes for an answer that is not of the dialect.
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError)


def messages_are_said(vessel: Vessel) -> Iterator[str]:
    """Every message is in the request, in its order."""
    for what, (messages, words) in _MESSAGES.items():
        request = _request(vessel, messages)
        if request is None:
            if what == "the user's message":
                yield "a plain question is refused"
            continue
        text = _text(request)
        missing = [word for word in words if word not in text]
        if missing:
            yield f"{what} is not in the body: {', '.join(missing)} of {shown(messages)}"
        elif sorted(words, key=text.index) != words:
            yield f"{what} is not in its order: {shown(request.body)}"


def tools_are_said(vessel: Vessel) -> Iterator[str]:
    """A tool's name, description and parameters are in the body."""
    request = _request(vessel, [_QUESTION], tools=[_TOOL])
    if request is not None:
        text = _text(request)
        for what, word in _TOOL_WORDS.items():
            if word not in text:
                yield f"the {what} of a tool is not in the body: {shown(request.body)}"


def fields_are_said(vessel: Vessel) -> Iterator[str]:
    """Every field that is given is in the body, or refused; one that is not given is not there."""
    plain = _request(vessel, [_QUESTION])
    if plain is None:
        return
    if not _holds(plain.body, _MODEL) and _MODEL not in unquote(plain.url):
        yield f"the model is neither in the body nor in the URL: {shown(plain.body)}"
    nulls = [place for place, value in _leaves(plain.body, "") if value is None]
    if nulls:
        yield f"what was not given is sent as null: {', '.join(nulls)}"
    for name, (value, seen) in _FIELDS.items():
        given = {"tools": [_TOOL], name: value} if name == "tool_choice" else {name: value}
        request = _request(vessel, [_QUESTION], **given)
        if request is None:
            continue
        without = {key: each for key, each in given.items() if key != name}
        beside = _request(vessel, [_QUESTION], **without) if without else plain
        same = beside is not None and (beside.body, beside.url) == (request.body, request.url)
        if same or (seen is not None and not _holds(request.body, seen)):
            yield f"{name}={value!r:.60} is neither sent nor refused: {shown(request.body)}"
    request = _request(vessel, None, prompt="word-of-the-prompt")
    if request is not None and "word-of-the-prompt" not in _text(request):
        yield f"prompt is neither sent nor refused: {shown(request.body)}"
    streamed, whole = (_request(vessel, [_QUESTION], stream=each) for each in (True, False))
    if streamed and whole and (streamed.url, streamed.body) == (whole.url, whole.body):
        yield "a stream and a whole answer are asked for by the same request"


def extra_body_is_said(vessel: Vessel) -> Iterator[str]:
    """`extra_body` is at the body's top, untouched, nulls and all, and wins."""
    given = copy.deepcopy(_EXTRA)
    request = _request(vessel, [_QUESTION], extra_body=given)
    if given != _EXTRA:
        yield "the caller's extra_body is changed"
    if request is None:
        return
    for name, value in _EXTRA.items():
        if (request.body or {}).get(name) != value:
            yield f"extra_body is not at the top of the body as it was given: {shown(request.body)}"
    null = _request(vessel, [_QUESTION], extra_body={"x_null": None})
    if null is not None and (null.body or {}).get("x_null", 0) is not None:
        yield f"a null in extra_body is left out: {shown(null.body)}"
    plain = _request(vessel, [_QUESTION])
    for name in ("model", "temperature"):
        chosen = _request(vessel, [_QUESTION], temperature=0.25, extra_body={name: "mine"})
        if plain is not None and chosen is not None and (chosen.body or {}).get(name) != "mine":
            yield f"extra_body does not win over {name}: {shown(chosen.body)}"
    if request.content and loads(request.content) != request.body:
        yield "content, the bytes that are sent, is not the body"


def base_urls(vessel: Vessel) -> Iterator[str]:
    """The host, the dialect's root and the full address are all base URLs, with or without a /."""
    host = _url(vessel, _HOST)
    if host is None:
        return
    if not host.startswith(f"{_HOST}/"):
        yield f"base_url={_HOST!r} is not used: the URL is {host}"
        return
    path = urlsplit(type(vessel).default_base_url).path.rstrip("/")
    roots = {_HOST: host}
    if path:
        root = f"{_HOST}{path}"
        roots[root] = host if _VERSION.fullmatch(path) else _url(vessel, root) or host
        if not roots[root].startswith(f"{root}/"):
            yield f"base_url={root!r} (the root) gives {roots[root]}"
    for root, wanted in roots.items():
        forms = {root: "as it is", f"{root}/": "with a /", wanted: "the full address"}
        for form, what in forms.items():
            url = _url(vessel, form)
            if url is not None and url != wanted:
                yield f"base_url={form!r} ({what}) gives {url}, not {wanted}"
    below = f"{_HOST}/below/it"
    url = _url(vessel, below)
    if url is not None and not url.startswith(f"{below}/"):
        yield f"base_url={below!r} gives {url}: the path is lost"
    for each in (host, url or host):
        if "//" in urlsplit(each).path:
            yield f"the URL {each} has // in its path"


def keys_in_headers(vessel: Vessel) -> Iterator[str]:
    """The key is in the headers that `authorization` makes, and nowhere else."""
    keyed = _configured(vessel, api_key=_KEY)
    request = _request(keyed, [_QUESTION])
    if request is None:
        return
    if _KEY in request.url:
        yield "the key is in the URL, which servers and proxies log"
    if _KEY.encode() in request.content:
        yield "the key is in the body, which is recorded"
    if any(_KEY in value for value in request.headers.values()):
        yield "the key is in the request's own headers: `authorization` makes those with the key"
    headers = keyed.authorization(_KEY)
    if not any(_KEY in value for value in headers.values()):
        yield "authorization(key) makes no header with the key"


def error_statuses(vessel: Vessel) -> Iterator[str]:
    """What may pass is `retryable`, what does not is not; the server's words are in the message."""
    for status in _STATUSES:
        for text in (_WORDS, f'{{"error": {{"message": "{_WORDS}"}}}}'):
            error: Any = vessel.failure(status, text)
            if isinstance(error, ProviderError) and error.retryable is not is_retryable(status):
                right = "may" if is_retryable(status) else "may not"
                yield (
                    f"failure({status}, …) has retryable={error.retryable}: the same request "
                    f"{right} succeed later"
                )
                break
    if _WORDS not in str(vessel.failure(500, _WORDS)):
        yield f"the server's words are not in the message of failure(500, {_WORDS!r})"


def models_are_asked_for(vessel: Vessel) -> Iterator[str]:
    """The question for models is a GET of the same server, whose answer may be anything."""
    request = _configured(vessel, base_url=_HOST).models_request()
    if request is None:
        return
    if request.method != "GET" or request.body is not None:
        yield f"models_request is a {request.method}, not a GET without a body"
    if not request.url.startswith(f"{_HOST}/"):
        yield f"models_request asks {request.url}, not the base URL {_HOST}"
    for junk in _JUNK:
        try:
            vessel.read_models(junk)
        except _UNREADABLE:
            continue
        except Exception as problem:  # noqa: BLE001 - a vessel may raise anything
            yield f"read_models raises {problem!r} for {shown(junk)}"


REQUEST_CHECKS = {
    "messages are in the request": messages_are_said,
    "tools are in the request": tools_are_said,
    "fields are in the request or refused": fields_are_said,
    "extra_body passes untouched": extra_body_is_said,
    "base URLs have every form": base_urls,
    "keys are in headers alone": keys_in_headers,
    "error statuses tell what may pass": error_statuses,
    "models are asked for": models_are_asked_for,
}
"""The checks of a vessel's requests, by name."""


def _request(
    vessel: Vessel, messages: list[dict[str, Any]] | None, **fields: Any
) -> WireRequest | None:
    """The request; None where the vessel refuses it."""
    given = {"max_tokens": _LIMIT, **fields}
    try:
        return vessel.request(_chat(messages, given))
    except InvalidRequestError:
        if "max_tokens" in fields:
            return None
    try:
        return vessel.request(_chat(messages, fields))
    except InvalidRequestError:
        return None


def _chat(messages: list[dict[str, Any]] | None, fields: dict[str, Any]) -> ChatRequest:
    return chat_request(_MODEL, messages, **fields)


def _configured(vessel: Vessel, **settings: str) -> Vessel:
    """A copy of the vessel with another base URL or key."""
    made = copy.copy(vessel)
    for name, value in settings.items():
        setattr(made, f"_{name}", value)
    return made


def _url(vessel: Vessel, base_url: str) -> str | None:
    request = _request(_configured(vessel, base_url=base_url), [_QUESTION])
    return None if request is None else request.url


def _text(request: WireRequest) -> str:
    """All strings of the body, names and values, in their order."""
    return "\n".join(_strings(request.body))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in cast("dict[str, Any]", value).items():
            yield name
            yield from _strings(each)
    elif isinstance(value, list | tuple):
        for each in cast("list[Any]", value):
            yield from _strings(each)


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, each in cast("dict[str, Any]", value).items():
            yield from _leaves(each, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, each in enumerate(cast("list[Any]", value)):
            yield from _leaves(each, f"{place}[{index}]")
    else:
        yield place, value


def _holds(body: Any, seen: Any) -> bool:
    """Whether a value is somewhere in the body."""
    if isinstance(seen, str):
        return any(seen in text for text in _strings(body))
    return any(type(value) is type(seen) and value == seen for _, value in _leaves(body, ""))
