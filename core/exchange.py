"""Decodes one answer, without I/O: bytes in, frames with their chunks out, and how it ended.

The clients, `verify`, `rederive`, `decode` and the server all use this object. Frames are pulled
one at a time, and a bad frame is an error only when it is reached, after all frames before it.
"""

from __future__ import annotations

import gc
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from .chunk import ChunkFields, StreamChunk
from .errors import ProtocolError, ProviderError, TruncatedError, VesselogError
from .frame import Frame
from .framing import DEFAULT_MAX_FRAME_BYTES, WHITE_SPACE, Framing, Splitter, detect_framing
from .make_chunk import ChunkMaker
from .masking import Masker
from .mending import mend_value
from .native import NativeMessages
from .validation import explain
from .vessel import Decoder, Progress, Vessel, WireRequest

__all__ = ["Exchange", "Step"]

_LOGGER = logging.getLogger("vesselog")


class Step(NamedTuple):
    """One step of an answer: a frame and its chunks, recorded first, then handed to the caller.

    Attributes:
        frame: The frame.
        chunks: Its chunks, for the caller.
        fields: The chunks as plain JSON values, for the file, each with its `seq`.
        partial: Whether the frame is the beginning of one that never ended.
        masked: Whether a key was masked in it.
        error: Why the answer failed at this frame; the step is recorded first, then the error is
            raised.
    """

    frame: Frame
    chunks: tuple[StreamChunk, ...] = ()
    fields: tuple[dict[str, Any], ...] = ()
    partial: bool = False
    masked: bool = False
    error: VesselogError | None = None


# Bytes of white space before the first character, which tells the framing. Servers that wait for a
# model send one a second; after so many, the answer is taken to be what was asked for.
_LONGEST_HEAD = 4096

# Bytes from which on a frame is decoded with the garbage collector off.
_LARGE_FRAME = 64 * 1024

# What `Step(…)` does, at half the cost. (The type of `tuple.__new__` is generic and unknown here.)
_new = cast(
    "Callable[[type[Step], tuple[Any, ...]], Step]",
    tuple.__new__,  # pyright: ignore[reportUnknownMemberType]
)


class Exchange:
    """The answer to one request; its chunks have this `call` number.

    Call `respond` with the status and content type, `feed` with bytes, and `pull` until it gives
    None (`take` does both); when the body has ended, take the steps of `finish`. `progress` tells
    what may still follow; `error` is set once the answer has failed. Times `t` are in seconds since
    the request left; chunks get that of the bytes fed last.
    """

    def __init__(
        self,
        vessel: Vessel,
        request: WireRequest,
        *,
        call: int = 1,
        max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
        masker: Masker | None = None,
    ) -> None:
        self._vessel = vessel
        self._request = request
        self._limit = max_frame_bytes
        self._masker = masker or Masker()
        self._decoder = vessel.decoder(request) if request.reading != "frames" else _NoDecoder()
        self._chunks = ChunkMaker(request.split_think, call)
        self._status = 200
        self._content_type = ""
        self._framing = Framing.BODY
        self._splitter: Splitter | None = None
        self._head = bytearray()
        self._looked_at = 0
        self._waiting: deque[bytes] = deque()
        self._first = True
        self.error: VesselogError | None = None

    @property
    def progress(self) -> Progress:
        """How much of the answer has arrived, by the rules of its dialect."""
        return self._decoder.progress

    def native(self) -> NativeMessages:
        """The assistant's message of each choice in the provider's own form, as far as it came."""
        try:
            messages = self._decoder.native()
            return {choice: mend_value(message) for choice, message in messages.items()}
        except Exception:  # noqa: BLE001 - a decoder may be anyone's; all it read is recorded
            _LOGGER.warning("%r made no native message", self._decoder)
            return {}

    @property
    def whole(self) -> bool:
        """Whether the body is one frame, which ends with the body."""
        return self._splitter is not None and self._framing is Framing.BODY

    @property
    def succeeded(self) -> bool:
        """Whether the status is 2xx; any other answer is read whole, as an error."""
        return 200 <= self._status < 300

    def respond(self, status: int, content_type: str = "") -> None:
        """The status and the content type have arrived."""
        self._status = status
        self._content_type = content_type.lower()
        if not self.succeeded:
            self._begin(Framing.BODY)
        elif self._request.reading == "frames":
            self._begin(_framing_of_type(self._content_type))

    def feed(self, data: bytes, t: float = 0.0) -> None:
        """The next bytes of the body, received at `t`."""
        self._chunks.t = t
        if self._splitter is not None:
            self._waiting += self._splitter.split(data)
            return
        self._head += data
        if (framing := self._framing_of_head()) is not None:
            self._waiting += self._begin(framing).split(bytes(self._head))
            self._head.clear()

    def take(self, data: bytes, t: float = 0.0) -> list[Step]:
        """All steps that the next bytes of the body, received at `t`, complete."""
        waiting = self._waiting
        if self._splitter is None:
            self.feed(data, t)
        else:  # as `feed`, without the call
            self._chunks.t = t
            waiting += self._splitter.split(data)
        steps: list[Step] = []
        while waiting and self.error is None:
            steps.append(self._decode(waiting.popleft()))
        if self._splitter is not None and (self._splitter.error or self.error) is not None:
            steps += iter(self.pull, None)
        return steps

    def pull(self) -> Step | None:
        """The next frame with its chunks.

        None when more bytes are needed or the answer has failed.
        """
        failed, splitter = self.error is not None, self._splitter
        if failed and self._request.reading == "answer":
            return None
        if self._waiting:
            raw = self._waiting.popleft()
            return self._unread(raw) if failed else self._decode(raw)
        if splitter is None or splitter.error is None:
            return None
        rest = splitter.rest()
        if failed and not rest:
            return None
        self.error = self.error or splitter.error
        return self._unread(rest, partial=True)

    def finish(self, t: float = 0.0, *, whole: bool = True) -> Iterator[Step]:
        """The body has ended: the steps of its last frame, and of what was held back.

        whole: it did not fail before its end. Sets `error` if the answer is incomplete, or if the
        status is an error.
        """
        self._chunks.t = t
        if whole and self._request.reading == "frames":
            self._decoder.progress = Progress.TERMINATED
        while (step := self.pull()) is not None:
            yield step
        if self.error is not None:
            yield from self.undecoded()
        else:
            rest = bytes(self._head) if self._splitter is None else self._splitter.rest()
            yield from self._end(rest)
        # An answer that failed has this too: what was held back is a part of what arrived.
        frame = Frame(b"", self._framing)
        chunks: list[StreamChunk] = []
        fields: list[dict[str, Any]] = []
        try:
            self._chunks.make(list(self._decoder.flush(frame)), frame, chunks, fields, last=True)
        except Exception as problem:  # noqa: BLE001 - as in `_decode`
            reason = f"cannot end the answer: {explain(problem)}"
            self.error = self.error or ProtocolError(reason, phase="body")
        if chunks or frame.repairs:
            yield Step(frame, tuple(chunks), tuple(fields), error=self.error)

    def _end(self, rest: bytes) -> Iterator[Step]:
        """The remainder of the body, and whether the answer is complete."""
        if not self.succeeded:
            text = self._masker.bytes(rest).decode(errors="replace")
            try:
                self.error = self._vessel.failure(self._status, text)
            except Exception as problem:  # noqa: BLE001 - a vessel may be anyone's; the body is kept
                reason = f"status {self._status}, with an unreadable body: {explain(problem)}"
                self.error = ProviderError(reason, phase="response", status=self._status)
            if rest:
                yield self._unread(rest)
            return
        if rest.strip(WHITE_SPACE):
            yield from self._last(rest)
        elif rest:
            yield self._unread(rest)
        if self.error is None and self.progress is Progress.OPEN:
            self.error = self._truncated()

    def undecoded(self) -> Iterator[Step]:
        """What has arrived of an answer that is not read on: to be recorded, but not decoded."""
        while self._waiting:
            yield self._unread(self._waiting.popleft())
        rest = bytes(self._head) if self._splitter is None else self._splitter.rest()
        if rest:
            yield self._unread(rest, partial=True)

    def _begin(self, framing: Framing) -> Splitter:
        self._framing = framing
        self._splitter = Splitter(framing, self._limit)
        return self._splitter

    def _framing_of_head(self) -> Framing | None:
        # Servers send white space while a model loads; each of it is looked at once.
        head = bytes(self._head[self._looked_at :])
        if not head.lstrip(WHITE_SPACE):
            self._looked_at = len(self._head)
        own = self._vessel.framing
        found = detect_framing(head, self._content_type, own, stream=self._request.stream)
        if found is None and len(self._head) > min(_LONGEST_HEAD, self._limit):
            return own if self._request.stream else Framing.BODY
        return found

    def _decode(self, raw: bytes) -> Step:
        if len(raw) > _LARGE_FRAME and gc.isenabled():
            with _no_collections():
                return self._decode(raw)
        frame = Frame(raw, self._framing)
        masker = self._masker
        if self._first or (not masker.idle and masker.may_be_in(frame.text)):
            frame = Frame(masker.bytes(raw), self._framing, first=self._first)
            self._first = False
        before = self._decoder.progress
        decoded: list[ChunkFields] = []
        chunks: list[StreamChunk] = []
        fields: list[dict[str, Any]] = []
        error: VesselogError | None = None
        try:
            decoded += self._decoder.decode(frame)
        except VesselogError as problem:
            error = problem
        except Exception as problem:  # noqa: BLE001 - a decoder may be anyone's; the frame is kept
            error = ProtocolError(f"cannot decode a frame: {explain(problem)}", phase="body")
        try:
            self._chunks.make(decoded, frame, chunks, fields)
        except Exception as problem:  # noqa: BLE001 - as above
            error = ProtocolError(f"the vessel made a bad chunk: {explain(problem)}", phase="body")
        if frame.ignored and not frame.repairs:
            frame.repair("unknown-event-field")
        if error is not None:
            if _is_late(error, before, chunks):
                frame.repair("error-after-the-end")
                error = None
            else:
                self.error = error
        masked = frame.raw is not raw
        return _new(Step, (frame, tuple(chunks), tuple(fields), False, masked, error))

    def _unread(self, raw: bytes, *, partial: bool = False) -> Step:
        masked = self._masker.bytes(raw)
        frame = Frame(masked, self._framing)
        return Step(frame, partial=partial, masked=masked is not raw, error=self.error)

    def _last(self, rest: bytes) -> Iterator[Step]:
        """The remainder of the body.

        It is a frame without its terminator, lines with a wrong content type, or half a frame.
        """
        step = self._decode(rest)
        if not isinstance(step.error, ProtocolError):
            yield step._replace(partial="error-after-the-end" in step.frame.repairs)
            return
        begin = rest.lstrip(WHITE_SPACE)[:1]
        page = self._framing is Framing.BODY and begin not in b"{["
        if page or step.chunks or step.frame.overfull or _is_json(step.frame):
            # It is whole, but not of the dialect.
            yield step
            return
        self.error = None
        if self._framing is Framing.BODY and _begins_with_a_line(rest):
            lines, failed = self._begin(Framing.NDJSON), False
            self._waiting.extend(lines.split(rest))
            while (line := self.pull()) is not None:
                failed = line.error is not None
                yield line
            if failed:
                yield from self.undecoded()
            elif half := lines.rest():
                yield from self._last(half)
        else:
            self.error = self._truncated()
            yield step._replace(partial=True, error=self.error)

    def _truncated(self) -> TruncatedError:
        if self._first:
            return TruncatedError("the body is empty: the answer never began", phase="body")
        return TruncatedError(
            f"the body ended before the answer did, after {self._chunks.seq} chunks", phase="body"
        )


class _NoDecoder(Decoder):
    """Makes no chunks."""

    def decode(self, frame: Frame) -> tuple[ChunkFields, ...]:  # noqa: ARG002 - as its base has it
        return ()


def _framing_of_type(content_type: str) -> Framing:
    if "event-stream" in content_type:
        return Framing.SSE
    lines = "ndjson" in content_type or "jsonl" in content_type
    return Framing.NDJSON if lines else Framing.PIECES


def _is_late(error: VesselogError, before: Progress, chunks: Sequence[StreamChunk]) -> bool:
    """Whether an error came after the end of the answer, and so changes nothing.

    A provider's error beside one more piece of the answer shows that it had not ended.
    """
    if before is Progress.FINISHED and isinstance(error, ProviderError):
        return not chunks
    return before is not Progress.OPEN


def _is_json(frame: Frame) -> bool:
    if frame.parsed:
        return True
    with _no_collections():
        try:
            frame.json()
        except ValueError:
            return False
        return True


@contextmanager
def _no_collections() -> Generator[None]:
    """Leave the garbage collector off: it looks again and again at the values of a large frame.

    For 1 MB of empty lists that takes 130 ms, and parsing them 25 ms.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _begins_with_a_line(body: bytes) -> bool:
    """Whether the first line is a JSON value by itself.

    That is so for NDJSON with a wrong content type, but not for one value on several lines.
    """
    line, more, _ = body.lstrip(WHITE_SPACE).partition(b"\n")
    return bool(more) and _is_json(Frame(line, Framing.NDJSON))
