"""An agent: the model calls functions until it has an answer.

    python examples/agent_loop.py [MODEL] [QUESTION]

The server is at OLLAMA_HOST (default: Ollama on this machine). Any model that can call tools works,
of any provider: python examples/agent_loop.py openai/gpt-5-mini.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import vesselog

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"{city}: sunny, {15 + len(city)} degrees"


FUNCTIONS: dict[str, Callable[..., str]] = {"get_weather": get_weather}


def run(call: vesselog.ToolCall) -> dict[str, Any]:
    """The result of a call, as a message. What is wrong with the call is told to the model."""
    try:
        content = FUNCTIONS[call.name](**call.arguments)
    except (KeyError, TypeError) as error:
        content = f"The call failed: {error!r}"
    return {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": content}


def ask(client: vesselog.Client, model: str, question: str, *, turns: int = 8) -> str:
    """The model's answer, after as many turns as it needs, up to a limit."""
    messages: list[Any] = [{"role": "user", "content": question}]
    for _ in range(turns):
        with client.stream(model, messages, tools=[WEATHER]) as stream:
            for chunk in stream:
                print(chunk.text, end="", flush=True)
        answer = stream.completion
        results = [run(call) for call in answer.tool_calls]
        for call, result in zip(answer.tool_calls, results, strict=True):
            print(f"{call.name}({call.arguments_text}) -> {result['content']}")
        messages += [answer.to_message(), *results]
        if not results:
            print()
            return answer.text
    raise RuntimeError(f"no answer in {turns} turns")


def main() -> None:
    """Ask one question."""
    model = sys.argv[1] if len(sys.argv) > 1 else "ollama/qwen3:1.7b"
    question = sys.argv[2] if len(sys.argv) > 2 else "Where is it warmer, in Rostock or in Kiel?"
    with vesselog.Client() as client:
        ask(client, model, question)


if __name__ == "__main__":
    main()
