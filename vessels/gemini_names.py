"""The names of the Gemini API's fields, which it and others also write in snake_case.

https://protobuf.dev/programming-guides/json/: a reader of the API's messages takes both spellings,
and some proxies write the other one, or both. Here they are read alike.
"""

from __future__ import annotations

import re
from typing import Any, cast

from ..core.frame import Frame

__all__ = ["in_camel_case", "may_be_in_snake_case"]

_SNAKE = re.compile("_([a-z])")
_SNAKE_NAME = re.compile(r'"[a-z]+_[a-z_]+"\s*:')
_CAMEL_CASE = frozenset(
    {
        # of requests, and of their contents
        *("allowedFunctionNames", "cachedContent", "candidateCount", "codeExecution"),
        *("codeExecutionResult", "displayName", "endOffset", "executableCode", "fileData"),
        *("fileUri", "frequencyPenalty", "functionCall", "functionCallingConfig"),
        *("functionDeclarations", "functionResponse", "generationConfig", "googleSearch"),
        *("includeThoughts", "inlineData", "jsonPath", "maxOutputTokens", "mediaResolution"),
        *("mimeType", "parametersJsonSchema", "partMetadata", "partialArgs", "presencePenalty"),
        *("responseJsonSchema", "responseLogprobs", "responseMimeType", "responseModalities"),
        *("responseSchema", "safetySettings", "speechConfig", "startOffset", "stopSequences"),
        *("systemInstruction", "thinkingBudget", "thinkingConfig", "thinkingLevel"),
        *("thoughtSignature", "toolCall", "toolConfig", "toolResponse", "topK", "topP"),
        *("urlContext", "videoMetadata", "willContinue"),
        *("boolValue", "nullValue", "numberValue", "stringValue"),
        # of answers
        *("avgLogprobs", "blockReason", "blockReasonMessage", "chosenCandidates"),
        *("citationMetadata", "finishMessage", "finishReason", "groundingMetadata"),
        *("logProbability", "logprobsResult", "modelVersion", "promptFeedback", "responseId"),
        *("safetyRatings", "tokenCount", "topCandidates", "urlContextMetadata", "usageMetadata"),
        *("cachedContentTokenCount", "candidatesTokenCount", "promptTokenCount"),
        *("thoughtsTokenCount", "toolUsePromptTokenCount", "totalTokenCount"),
        *("cacheTokensDetails", "candidatesTokensDetails", "promptTokensDetails"),
        *("toolUsePromptTokensDetails", "trafficType"),
    }
)
# What is the user's or the model's: schemas, arguments and results of functions, and labels.
_NOT_OF_THE_API = frozenset(
    {
        *("args", "arguments", "input", "labels", "parameters", "parametersJsonSchema"),
        *("response", "responseJsonSchema", "responseSchema"),
    }
)


def may_be_in_snake_case(text: str) -> bool:
    """Whether an object in this JSON has a name in snake_case, of the API or not."""
    return _SNAKE_NAME.search(text) is not None


def in_camel_case(value: Any, frame: Frame | None = None) -> Any:
    """`value` with the names of the API's fields as they are usually written.

    Of a field in both spellings the value that says something is kept. A name that is changed is a
    repair of `frame`.
    """
    if isinstance(value, list):
        return [in_camel_case(each, frame) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    read: dict[str, Any] = {}
    for key, each in cast("dict[str, Any]", value).items():
        camel = _SNAKE.sub(lambda found: found[1].upper(), key)
        name = camel if camel in _CAMEL_CASE else key
        if name != key and frame is not None:
            frame.repair("field-in-snake-case")
        if each or name not in read:
            read[name] = each if name in _NOT_OF_THE_API else in_camel_case(each, frame)
    return read
