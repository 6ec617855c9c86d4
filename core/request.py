"""A request, in one shape for every provider.

A field that the caller did not set is not sent. One that is set is sent unchanged, also if it is 0.
A field that a dialect cannot express is refused by its vessel before anything is sent.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypedDict, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from .errors import InvalidRequestError
from .nearest import nearest_names
from .validation import explain

__all__ = [
    "ChatRequest",
    "CustomCall",
    "CustomTool",
    "FunctionCall",
    "ImagePart",
    "ImageURL",
    "Message",
    "OtherPart",
    "Part",
    "RequestFields",
    "SplitThink",
    "TextPart",
    "Tool",
    "ToolCallRequest",
    "ToolFunction",
    "chat_request",
]

SplitThink = bool | Literal["implied"]
"""Whether what is between `<think>` tags in the answer's text is moved to `reasoning`.

False: the text stays. True: it is moved. "implied": it is moved, and an answer without the opening
tag begins as reasoning, because the tag was the end of the prompt (DeepSeek R1, QwQ).
"""


class _Value(BaseModel):
    # Keys that only one provider knows are sent unchanged. Built when first used, not at import.
    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)


class TextPart(_Value):
    """Text, as a part of a message: `{"type": "text", "text": …}`."""

    type: Literal["text"] = "text"
    text: str


class ImageURL(_Value):
    """Where an image is.

    Attributes:
        url: An http(s) address, or the image itself as a `data:` URL.
        detail: How closely it is looked at: "low", "high", "auto"; for OpenAI's API.
    """

    url: str
    detail: str | None = None


class ImagePart(_Value):
    """An image, as a part of a message: `{"type": "image_url", "image_url": {"url": …}}`."""

    type: Literal["image_url"] = "image_url"
    image_url: ImageURL

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = "image/png") -> ImagePart:
        """Make the part from an image file's content.

        Args:
            data: The file's bytes.
            media_type: Its kind, such as "image/jpeg".
        """
        encoded = base64.b64encode(data).decode("ascii")
        return cls(image_url=ImageURL(url=f"data:{media_type};base64,{encoded}"))


class OtherPart(_Value):
    """A part of another `type`, which only some providers know; passed through."""

    type: str


def _part(value: Any) -> Any:
    kinds: dict[str, type[_Value]] = {"text": TextPart, "image_url": ImagePart}
    if isinstance(value, Mapping):
        part = cast("Mapping[str, Any]", value)
        kind = part.get("type")
        made = kinds.get(kind, OtherPart) if isinstance(kind, str) else OtherPart
        return made.model_validate(part)
    return value


Part = Annotated[TextPart | ImagePart | OtherPart, BeforeValidator(_part)]
"""A part of a message, by its `type`: "text", "image_url" or any other, which is sent unchanged."""


class FunctionCall(_Value):
    """A function's name and its arguments: JSON text, or the value itself."""

    name: str
    arguments: str | dict[str, Any] = ""


class CustomCall(_Value):
    """A custom tool's `name` and its `input`, the text that it is called with."""

    name: str
    input: str = ""


class ToolCallRequest(_Value):
    """A tool call that the assistant made earlier in the conversation.

    Attributes:
        id: The call's id, which its result names as `tool_call_id`.
        type: "function", or "custom" for a tool that takes free text.
        function: The function called; either this or `custom` is given.
        custom: The custom tool called.
    """

    id: str | None = None
    type: str = "function"
    function: FunctionCall | None = None
    custom: CustomCall | None = None

    @model_validator(mode="after")
    def _called(self) -> ToolCallRequest:
        if (self.function is None) == (self.custom is None):
            raise ValueError("a tool call needs either function or custom")
        return self

    @property
    def tool(self) -> str:
        """The name of the tool."""
        called = self.function or self.custom
        return called.name if called else ""


# What other libraries and the providers call the same.
_MEANT = {
    **dict.fromkeys(("message", "text"), "content"),
    **dict.fromkeys(("max_completion_tokens", "max_output_tokens", "num_predict"), "max_tokens"),
    **dict.fromkeys(("reasoning", "reasoning_effort", "thinking"), "think"),
    "top_logprobs": "logprobs",
}
# How similar two keys are, from 0 to 1: above this are typing errors ("contnt", "toolCalls"); below
# are the keys that providers have beside the known ones ("tool_name": 0.63, "extra_content": 0.70).
_NEAR = 0.75


class Message(_Value):
    """One message of the conversation. Keys that only one provider knows are sent unchanged.

    Attributes:
        role: Who speaks: "system" (or "developer"), "user", "assistant", or "tool" for the result
            of a tool call.
        content: Text, or parts: TextPart, ImagePart, or a provider's own.
        tool_calls: For the assistant: the tools that it called.
        tool_call_id: For a tool's result: the id of the call that it answers.
        name: A participant's name; for a tool's result, the tool's.
        native: For the assistant: vessel names with the message in their provider's own form, as
            `Completion.to_message` gives it. That vessel sends it in place of the other fields, of
            which it uses only the ids of the calls.
    """

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | tuple[Part, ...] | None = None
    tool_calls: tuple[ToolCallRequest, ...] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    native: dict[str, dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _known_keys(self) -> Message:
        """Refuse a key that is most likely a misspelt one, whose value would be lost.

        Any other unknown key belongs to some provider and is sent.
        """
        if not self.model_extra:
            return self
        missing = sorted(type(self).model_fields.keys() - self.model_fields_set)
        for key in self.model_extra:
            near = nearest_names(_MEANT.get(key, key), missing, similarity=_NEAR)
            if near:
                raise ValueError(f"unknown key {key!r}: write {near[0]!r}")
        return self

    @property
    def text(self) -> str:
        """The text of all text parts."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content or () if isinstance(part, TextPart))

    @property
    def images(self) -> tuple[ImagePart, ...]:
        """The image parts."""
        if isinstance(self.content, str):
            return ()
        return tuple(part for part in self.content or () if isinstance(part, ImagePart))


class ToolFunction(_Value):
    """A function that the model may call.

    Attributes:
        name: Its name.
        description: What it does, for the model.
        parameters: Its arguments as a JSON schema.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class CustomTool(_Value):
    """A tool that the model calls with free text.

    Attributes:
        name: Its name.
        description: What it does, for the model.
        format: OpenAI's `format`: free text, or a grammar that the text must follow.
    """

    name: str
    description: str | None = None
    format: dict[str, Any] | None = None


class Tool(_Value):
    """A tool that the model may call.

    Attributes:
        type: "function", "custom", or a provider's own kind.
        function: The function, for the type "function".
        custom: The tool that takes free text, for the type "custom".
    """

    type: str = "function"
    function: ToolFunction | None = None
    custom: CustomTool | None = None


class ChatRequest(BaseModel):
    """A request for an answer, streamed or not.

    A field that is not given is not sent. A field that a provider's API lacks raises
    InvalidRequestError before anything is sent.

    Attributes:
        model: The model's name, without the vessel.
        messages: The conversation, for the chat route; either this or `prompt` is given. A text is
            one user message.
        prompt: Text, for Ollama's generate and OpenAI's legacy completions.
        stream: Whether a stream is asked for.
        tools: The tools that the model may call.
        tool_choice: "auto", "none", "required", or `{"type": "function", "function": {"name": …}}`.
        functions: Functions in OpenAI's older form, in place of `tools`.
        function_call: Which of `functions` is called: "auto", "none" or `{"name": …}`.
        response_format: "json", a JSON schema, a provider's own object, or a pydantic model class,
            which is taken as its schema.
        temperature: How random the choice of tokens is; 0 is the least.
        top_p: From 0 to 1: only the most likely tokens, up to this sum of probabilities.
        max_tokens: The most tokens of the answer.
        stop: A text, or several, at which the answer ends.
        seed: Makes the choice of tokens repeatable, where the provider can.
        n: How many answers to make; each is a choice.
        logprobs: True for log probabilities, or the number of alternatives for each token.
        think: True or False, an effort or level such as "low", or a number of tokens.
        keep_alive: How long Ollama keeps the model loaded: seconds, or a text such as "5m".
        options: The provider's sampling options, passed through where it keeps them (`options` of
            Ollama, `generationConfig` of Gemini, else the top of the body). They win over the
            named fields.
        extra_body: Passed through to the top of the body; wins over all other fields.
        split_think: Moves text between `<think>` tags to `reasoning`: see SplitThink.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    model: str = Field(min_length=1)
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    stream: bool = True
    tools: tuple[Tool, ...] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: tuple[dict[str, Any], ...] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | Literal["json"] | None = None
    temperature: float | None = Field(default=None, allow_inf_nan=False)
    top_p: float | None = Field(default=None, allow_inf_nan=False)
    max_tokens: int | None = None
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    n: int | None = Field(default=None, ge=1)
    logprobs: bool | int | None = None
    think: bool | Annotated[str, Field(min_length=1)] | int | None = None
    keep_alive: str | int | float | None = None
    options: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = None
    split_think: SplitThink = False

    @field_validator("messages", mode="before")
    @classmethod
    def _text_as_message(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [Message(role="user", content=value)]
        if isinstance(value, Mapping | bytes | int | float):
            kind = type(cast("Any", value)).__name__
            raise ValueError(f"must be a text or a list of messages, not {kind}")  # noqa: TRY004 - pydantic wants it
        return value

    @field_validator("response_format", mode="before")
    @classmethod
    def _model_as_schema(cls, value: Any) -> Any:
        if isinstance(value, type) and issubclass(value, BaseModel):
            # A name that every server takes, also for a generic model: Box[int] is Box_int.
            name = re.sub("[^A-Za-z0-9_-]+", "_", value.__name__)[:64].strip("_") or "answer"
            schema = {"name": name, "schema": value.model_json_schema()}
            return {"type": "json_schema", "json_schema": schema}
        return cast("Any", value)

    @model_validator(mode="after")
    def _messages_or_prompt(self) -> ChatRequest:
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("give either messages or prompt")
        if self.messages is not None and not self.messages:
            raise ValueError("messages is empty: give at least one message")
        return self

    def given(self, *names: str) -> dict[str, Any]:
        """Those of the fields `names` that the caller set, as JSON values, in that order."""
        values = self.model_dump(mode="json", include=set(names), exclude_none=True, by_alias=True)
        return {name: values[name] for name in names if name in values}

    def refuse(self, vessel: str, **reasons: str) -> None:
        """Refuse fields that a dialect cannot express.

        Args:
            vessel: The vessel's name, for the message.
            **reasons: The fields, each with the reason or what to give instead.

        Raises:
            InvalidRequestError: One of the fields is set.
        """
        for name, reason in reasons.items():
            if getattr(self, name) is not None:
                raise InvalidRequestError(f"{vessel} does not take {name}: {reason}")


class RequestFields(TypedDict, total=False):
    """The fields of ChatRequest that a call takes beside model and messages, explained there."""

    prompt: str | None
    tools: Sequence[Tool | Mapping[str, Any]] | None
    tool_choice: str | Mapping[str, Any] | None
    functions: Sequence[Mapping[str, Any]] | None
    function_call: str | Mapping[str, Any] | None
    response_format: Mapping[str, Any] | Literal["json"] | type[BaseModel] | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    n: int | None
    logprobs: bool | int | None
    think: bool | str | int | None
    keep_alive: str | float | None
    options: Mapping[str, Any] | None
    extra_body: Mapping[str, Any] | None
    split_think: SplitThink


def chat_request(
    model: str, messages: str | Sequence[Message | Mapping[str, Any]] | None = None, **fields: Any
) -> ChatRequest:
    """Build a ChatRequest.

    Args:
        model: The model's name, without the vessel.
        messages: The conversation; a plain string is one user message.
        **fields: The other fields of ChatRequest.

    Raises:
        InvalidRequestError: It names the field, but never repeats what was in it.
    """
    for name in sorted(fields.keys() - ChatRequest.model_fields.keys()):
        near = nearest_names(_MEANT.get(name, name), ChatRequest.model_fields)
        instead = f"write {near[0]!r}, or " if near else ""
        raise InvalidRequestError(
            f"there is no field {name!r}: {instead}send it unchanged by extra_body={{{name!r}: …}}"
        )
    try:
        return ChatRequest(model=model, messages=messages, **fields)  # type: ignore[arg-type]
    except ValidationError as error:
        raise InvalidRequestError(f"bad request: {explain(error)}") from None
