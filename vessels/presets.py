"""Servers that speak the OpenAI dialect, by name: data, without code of their own.

A preset has the server's address, the variables that hold its key, the fields that it does not take
and those that it names differently. It is a subclass of `OpenAI` with attributes; write your own:

    class Lab(OpenAI):
        name = "lab"
        default_base_url = "http://lab.internal:8000/v1"
        variables = {"api_key": ("LAB_API_KEY",)}

    Client(vessels={"lab": Lab()})

or, for every program of an environment, an entry point in the group `vesselog.vessels`. Each
docstring names the page that the facts come from. What a preset refuses can still be sent by
`extra_body`.
"""

from __future__ import annotations

from .base_urls import ollama_base_url
from .preset import Preset, looked_for, strict

__all__ = [
    "VLLM",
    "XAI",
    "ZAI",
    "Cerebras",
    "DeepSeek",
    "Fireworks",
    "Groq",
    "HuggingFace",
    "LMStudio",
    "LlamaCpp",
    "Mistral",
    "OllamaV1",
    "OpenRouter",
    "Perplexity",
    "Together",
]

_ONLY_CHAT = {"prompt": "there is no completions route; give messages"}
_NO_LOGPROBS = {"logprobs": "the server answers 400"}
_ONE_ANSWER = {"n": "it gives one answer per request"}
_RANDOM_SEED = {"seed": "random_seed"}
_TYPES = {True: "enabled", False: "disabled"}
_BY_TYPE = {on: {"thinking": {"type": kind}} for on, kind in _TYPES.items()}
_BY_EFFORT = {False: {"reasoning_effort": "none"}}
_BY_SWITCH = {on: {"reasoning": {"enabled": on}} for on in (True, False)}
_BY_TEMPLATE = {on: {"chat_template_kwargs": {"enable_thinking": on}} for on in (True, False)}
_TEMPLATE_QUIRK = "think=True/False does nothing if the chat template has no enable_thinking"


class OllamaV1(Preset):
    """Ollama's own /v1. https://docs.ollama.com/api/openai-compatibility."""

    name = "ollama-v1"
    default_base_url = "http://127.0.0.1:11434/v1"
    variables = looked_for("OLLAMA_API_KEY", base_url="OLLAMA_HOST")
    refused = _ONE_ANSWER
    thinking = _BY_EFFORT
    quirks = (
        "the vessel `ollama` speaks its own API: durations, keep_alive, options",
        "if the model runner dies, the answer ends without a finish reason, and so is truncated",
    )

    @property
    def base_url(self) -> str:
        """Where the server is; OLLAMA_HOST may be a host, a :port or a URL."""
        return ollama_base_url(super().base_url)


class LlamaCpp(Preset):
    """llama.cpp's llama-server. https://github.com/ggml-org/llama.cpp/tree/master/tools/server."""

    name = "llamacpp"
    default_base_url = "http://127.0.0.1:8080/v1"
    variables = looked_for("LLAMA_API_KEY")
    thinking = _BY_TEMPLATE
    effort = ("chat_template_kwargs", "reasoning_effort")
    quirks = (
        _TEMPLATE_QUIRK,
        "the model's name has no effect if only one model is loaded",
        "an error may come as an `error:` field in the stream",
    )


class VLLM(Preset):
    """vLLM. https://docs.vllm.ai/en/stable/serving/openai_compatible_server/."""

    name = "vllm"
    default_base_url = "http://127.0.0.1:8000/v1"
    variables = looked_for("VLLM_API_KEY")
    thinking = _BY_TEMPLATE
    quirks = (_TEMPLATE_QUIRK,)


class LMStudio(Preset):
    """LM Studio. https://lmstudio.ai/docs/developer/openai-compat."""

    name = "lmstudio"
    default_base_url = "http://127.0.0.1:1234/v1"
    variables = looked_for("LM_API_TOKEN")
    quirks = ("a model that is not loaded is loaded first: the first chunk may take minutes",)


class OpenRouter(Preset):
    """OpenRouter. https://openrouter.ai/docs/api-reference/overview."""

    name = "openrouter"
    default_base_url = "https://openrouter.ai/api/v1"
    variables = looked_for("OPENROUTER_API_KEY")
    thinking = _BY_SWITCH
    effort = ("reasoning", "effort")
    budget = ("reasoning", "max_tokens")
    quirks = (
        "sends comments (`: OPENROUTER PROCESSING`) while it waits for the provider",
        "an error in a stream has finish_reason `error`, and the provider's text in its metadata",
        "the usage has costs; name your app by headers={'http-referer': …, 'x-title': …}",
    )


class Groq(Preset):
    """Groq. https://console.groq.com/docs/openai; refuses unknown keys: musistudio/llms#64."""

    name = "groq"
    default_base_url = "https://api.groq.com/openai/v1"
    variables = looked_for("GROQ_API_KEY")
    refused = _ONLY_CHAT | _ONE_ANSWER | _NO_LOGPROBS
    message_rules = strict("name", "function_call", "reasoning")
    quirks = (
        "several chunks have the usage in x_groq too, with durations",
        "an error in a stream comes as `event: error`",
        "the field name of a message is refused; temperature 0 becomes 1e-8",
    )


class DeepSeek(Preset):
    """DeepSeek. https://api-docs.deepseek.com/guides/thinking_mode."""

    name = "deepseek"
    default_base_url = "https://api.deepseek.com"
    variables = looked_for("DEEPSEEK_API_KEY")
    root = ""
    thinking = _BY_TYPE
    # Answered with 400 where it is missing. Other providers' answers have none; an empty text
    # counts as missing.
    message_rules = Preset.message_rules._replace(needed={"reasoning_content": " "})
    quirks = (
        "completions (prompt=) need base_url='https://api.deepseek.com/beta'",
        "while thinking, it ignores temperature and penalties without an error",
        "finish_reason `insufficient_system_resource` raises ProviderError",
    )


class Mistral(Preset):
    """Mistral. https://docs.mistral.ai/api/endpoint/chat."""

    name = "mistral"
    default_base_url = "https://api.mistral.ai/v1"
    variables = looked_for("MISTRAL_API_KEY")
    refused = _ONLY_CHAT
    renamed = _RANDOM_SEED
    message_rules = strict("prefix", ids="[a-zA-Z0-9]{9}")
    asks_usage = False
    quirks = (
        "the last chunk has the usage without being asked for it; unknown fields are refused (422)",
        "thinking comes as parts of the content",
    )


class Together(Preset):
    """Together AI. https://docs.together.ai/docs/inference/openai-compatibility."""

    name = "together"
    default_base_url = "https://api.together.ai/v1"
    variables = looked_for("TOGETHER_API_KEY")


class Fireworks(Preset):
    """Fireworks AI. https://docs.fireworks.ai/tools-sdks/openai-compatibility."""

    name = "fireworks"
    default_base_url = "https://api.fireworks.ai/inference/v1"
    variables = looked_for("FIREWORKS_API_KEY")
    quirks = ("models are named accounts/fireworks/models/…",)


class XAI(Preset):
    """xAI. https://docs.x.ai/docs/api-reference."""

    name = "xai"
    default_base_url = "https://api.x.ai/v1"
    variables = looked_for("XAI_API_KEY")
    quirks = ("not every model accepts an effort, stop, or penalties",)


class Cerebras(Preset):
    """Cerebras. https://inference-docs.cerebras.ai/resources/openai; see vercel/ai#15042."""

    name = "cerebras"
    default_base_url = "https://api.cerebras.ai/v1"
    variables = looked_for("CEREBRAS_API_KEY")
    message_rules = strict("name", "reasoning")
    quirks = (
        "never sends [DONE]; sends durations in time_info",
        "penalties, logit_bias and service_tier are refused (400)",
    )


class Perplexity(Preset):
    """Perplexity Sonar. https://docs.perplexity.ai/docs/sonar/openai-compatibility."""

    name = "perplexity"
    default_base_url = "https://api.perplexity.ai"
    variables = looked_for("PERPLEXITY_API_KEY", "PPLX_API_KEY")
    root = ""
    refused = _ONLY_CHAT
    asks_usage = False
    quirks = (
        "each chunk also has the whole message so far, and the usage so far",
        "never sends [DONE]; lines end with CRLF; citations and search results are in extra",
    )


class ZAI(Preset):
    """Z.AI. https://docs.z.ai/guides/develop/openai/python."""

    name = "zai"
    default_base_url = "https://api.z.ai/api/paas/v4"
    variables = looked_for("ZAI_API_KEY", base_url="ZAI_BASE_URL")
    refused = _ONLY_CHAT
    thinking = _BY_TYPE
    quirks = (
        "may send the tool index -1, and several frames on one line",
        "finish_reason `sensitive` is content_filter; `network_error` raises ProviderError",
    )


class HuggingFace(Preset):
    """Hugging Face's router. https://huggingface.co/docs/inference-providers/index."""

    name = "huggingface"
    default_base_url = "https://router.huggingface.co/v1"
    variables = looked_for("HF_TOKEN", "HUGGINGFACE_HUB_TOKEN")
    refused = _ONLY_CHAT
    quirks = (
        "a provider is chosen by a suffix: huggingface/ORG/MODEL:PROVIDER",
        "about half of the providers behind it never send [DONE]",
    )
