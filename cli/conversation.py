"""The conversation of `vesselog chat` on a terminal: question and answer, until the user ends it.

Each question is sent with all that was said before. What fails or is stopped before anything was
answered is forgotten, so that the question can be asked again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .answer_printer import AnswerPrinter
from .chat_request import user_message
from .line_input import LineInput
from .output import DIM, print_error, print_note
from .termination import Terminated

if TYPE_CHECKING:
    from ..core.client.client import Client
    from ..core.client.stream import Stream
    from ..core.completion import Completion
    from ..core.errors import VesselogError

__all__ = ["Conversation"]

_PROMPT = ">>> "
_COMMAND = re.compile(r"/[a-z]+")
_ENDS = ("/bye", "/exit")
_HELP = (
    "/help        this text",
    "/bye, /exit  end the conversation (also Ctrl-D, or Ctrl-C twice)",
    "Ctrl-C       stop the answer",
    "A line that ends with \\ goes on in the next. Up and down: earlier lines.",
)


class Conversation:
    """A conversation with one model in one session.

    messages: what was said before, and what each answer adds to. images: files for the first
    question. describe: makes the message of an error.
    """

    def __init__(
        self,
        client: Client,
        model: str,
        session: str | None,
        messages: list[Any],
        *,
        fields: dict[str, Any],
        images: list[Path],
        printer: Callable[[], AnswerPrinter],
        describe: Callable[[VesselogError], str],
    ) -> None:
        self._client = client
        self._model = model
        self._session = session
        self._messages = messages
        self._fields = fields
        self._images = images
        self._printer = printer
        self._describe = describe
        self._path: Path | None = None

    def run(self) -> Path | None:
        """Talk until the user ends it; returns the recording, None if there is none.

        Raises UsageError before the first question if no request to this model can be made.
        """
        self._stream([*self._messages, user_message("?", self._images)]).close()
        asked = [each.text for each in self._messages if getattr(each, "role", "") == "user"]
        questions = "1 earlier question" if len(asked) == 1 else f"{len(asked)} earlier questions"
        earlier = f" · {questions}" if asked else ""
        print_note(f"{self._model}{earlier} · /help for help, Ctrl-D to end", DIM)
        try:
            self._loop(LineInput(asked))
        except Terminated:
            raise
        except KeyboardInterrupt:
            pass  # Ctrl-C again, before the first was dealt with
        return self._path

    def _loop(self, lines: LineInput) -> None:
        while (text := lines.read(_PROMPT)) is not None and text.strip() not in _ENDS:
            if text.strip() == "/help":
                for line in _HELP:
                    print_note(line)
            elif _COMMAND.fullmatch(text.strip()):
                print_error(f"there is no command {text.strip()}; /help lists them")
            else:
                self._talk(text, lines)

    def _talk(self, question: str, lines: LineInput) -> None:
        """Ask, and ask again with the results of the tools that the answer calls."""
        before = len(self._messages)
        self._messages.append(user_message(question, self._images))
        try:
            while (answer := self._ask()) is not None and (message := _message(answer)) is not None:
                self._messages.append(message)
                if not message.get("tool_calls"):
                    self._images = []
                    return
                if not self._add_results(answer, lines):
                    break
        except Terminated:
            raise
        except KeyboardInterrupt:
            pass  # between two steps
        del self._messages[before:]

    def _ask(self) -> Completion | None:
        """Send the messages and print the answer as far as it comes; None if it failed."""
        from ..core.errors import UsageError, VesselogError

        printer = self._printer()
        failure: VesselogError | None = None
        try:
            stream = self._stream(self._messages)
        except UsageError as error:
            print_error(self._describe(error))
            return None
        try:
            with stream:
                for chunk in stream:
                    printer.chunk(chunk)
        except Terminated:
            printer.end(stream.completion)
            raise
        except KeyboardInterrupt:
            pass
        except VesselogError as error:
            failure = error
        self._path = stream.path or self._path
        if failure is None or printer.started:
            printer.end(stream.completion, failure)
        if failure is None:
            return stream.completion
        print_error(self._describe(failure))
        return None

    def _add_results(self, answer: Completion, lines: LineInput) -> bool:
        """Let the user type the result of each tool call; returns whether all were given."""
        print_note("type what each of these tools returns (Ctrl-D gives up)", DIM)
        for call in answer.tool_calls:
            result = lines.read(f"{call.name}: ")
            if result is None:
                return False
            self._messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        return True

    def _stream(self, messages: list[Any]) -> Stream:
        return self._client.stream(self._model, messages, session=self._session, **self._fields)


def _message(answer: Completion) -> dict[str, Any] | None:
    """The answer for the history; None if there is nothing that a next question could follow.

    Of a stopped answer only the text is kept: its other parts may be incomplete.
    """
    if answer.outcome != "complete":
        return {"role": "assistant", "content": answer.text} if answer.text else None
    message = answer.to_message()
    return message if any(message[key] for key in message if key != "role") else None
