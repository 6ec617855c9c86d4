"""A vessel of a stranger's own is typed by what it inherits. Checked, never run."""

from collections.abc import Iterable
from typing import ClassVar, assert_type

from vesselog.vessels import (
    ChatRequest,
    ChunkFields,
    Decoder,
    Frame,
    OpenAI,
    Progress,
    ProviderError,
    ToolCalls,
    Vessel,
    WireRequest,
    error_of_status,
    route_url,
)


class LabDecoder(Decoder):
    """Every frame is a text."""

    def decode(self, frame: Frame) -> Iterable[ChunkFields]:
        """One chunk a frame."""
        self.progress = Progress.FINISHED
        return [{"text": "a", "usage": {"output_tokens": 1}}]


class Lab(Vessel):
    """A provider that does not exist."""

    name: ClassVar[str] = "lab"
    version: ClassVar[str] = "1"
    default_base_url: ClassVar[str] = "http://127.0.0.1:1"

    def request(self, chat: ChatRequest) -> WireRequest:
        """The whole conversation goes as it is."""
        return WireRequest(url=f"{self.base_url}/chat", body={"model": chat.model})

    def decoder(self, request: WireRequest) -> Decoder:
        """The same for every request."""
        return LabDecoder()

    def failure(self, status: int, text: str) -> ProviderError:
        """The text is the message."""
        return ProviderError(text, status=status)


def configured(environment: dict[str, str]) -> Lab:
    """A copy is of the same class."""
    assert_type(Lab().api_key, str | None)
    return Lab(api_key=lambda: "made when it is asked for").configured(environment)


def helped(frame: Frame) -> OpenAI:
    """Names that are imported when they are asked for are typed like any other."""
    assert_type(error_of_status("lab", 500, "no"), ProviderError)
    assert_type(route_url("http://lab", "/chat", routes=["/chat"], root="/v1"), str)
    ToolCalls().add({"function": {"name": "f"}}, frame, whole=True)
    return OpenAI(base_url="http://lab")
