"""Azure's own addresses: paths below `/openai`, and where its Responses API is.

https://learn.microsoft.com/azure/ai-foundry/openai/how-to/responses: the model is in the body,
never in the path. A program asks for it at `/openai/v1/responses`, or with a dated version
(AzureOpenAI of OpenAI's SDK) at `/openai/responses?api-version=…`, which needs 2025-03-01-preview
or later. So a program that names no version is sent to the first, even if the upstream has one.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from ...vessels.azure import is_dated

__all__ = ["azure_url"]

_BELOW = re.compile(r"/openai(?=/)")
_RESPONSES = re.compile(r"(?:/v1)?(/responses(?:/.*)?)")
_VERSION = re.compile(r"/v1\Z")


def azure_url(root: str, query: str, path: str) -> str | None:
    """The URL of a path that Azure has itself; None for a path that OpenAI has.

    root: of the upstream, `…/openai` or `…/openai/v1`. query: the upstream's own.
    """
    resource = _VERSION.sub("", root)
    if below := _BELOW.match(path):
        path = path[below.end() :]
        with_version = not path.startswith("/v1/")
    elif found := _RESPONSES.fullmatch(path):
        path = f"/v1{found[1]}"
        with_version = False
    else:
        return None
    dated = is_dated(dict(parse_qsl(query)).get("api-version"))
    # Each of the two roots refuses the other's versions.
    kept = query if with_version == dated else ""
    return f"{resource}{path}?{kept}" if kept else resource + path
