"""Answers that no honest server sends, each made from a seed, with what of them is the answer.

An answer is a body of frames, wrapped in a content encoding, HTTP framing and segments, each of
which may be odd (allowed, so that the answer is still whole) or wrong (so that it is not).
"""

from __future__ import annotations

import gzip
import json
import random
import threading
import zlib
from dataclasses import dataclass, field

from loopback import Conversation, ollama_body, ollama_lines, openai_body, openai_events

__all__ = ["PLANTED", "HostileAnswer", "HostileServer"]

PLANTED = "PLANTED"

_BOMB = 24 << 20  # bytes: three times the largest frame that is read
_DEEP = (3, 100, 1_100, 100_000)  # below and above what JSON parsers take


@dataclass
class HostileAnswer:
    """What a server does with one request.

    text: what the body says. payload: the body's bytes after decoding, as far as it can be decoded.
    honest: nothing is wrong, so that the answer must be complete. segments: what is written, each
    piece in a write of its own. then: how the connection is left, by "keep", "close", "reset" or
    "stall". pause: seconds before each segment. notes: what was done, for whoever repeats it.
    """

    number: int
    model: str
    streamed: bool
    status: int = 200
    text: str = ""
    payload: bytes = b""
    honest: bool = True
    stalls: bool = False
    segments: list[bytes] = field(default_factory=list[bytes])
    then: str = "keep"
    pause: float = 0.0
    notes: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, number: int, chance: random.Random) -> HostileAnswer:
        """The answer to the request of this number."""
        model = chance.choice(("lab/m", "open/m"))
        answer = cls(number, model, streamed=chance.random() < 0.8)
        if chance.random() < 0.1:
            answer.status = chance.choice((400, 401, 404, 429, 500, 503))
            answer._note(f"status {answer.status}")
        body = answer._body(chance)
        coded, encoding = answer._encoded(body, chance)
        wire = answer._framed(coded, encoding, chance)
        wire = answer._cut(wire, chance)
        wire += answer._planted(chance)
        answer._segmented(wire, chance)
        return answer

    @property
    def ollama(self) -> bool:
        return self.model == "lab/m"

    def send(self, conversation: Conversation) -> None:
        """Answer a request with this."""
        for each in self.segments:
            if self.pause:
                conversation.server.released.wait(self.pause)
            conversation.raw(each)
        if self.then == "close":
            conversation.cut()
        elif self.then == "reset":
            conversation.reset()
        elif self.then == "stall":
            conversation.wait_for_hangup()

    def _note(self, what: str, *, honest: bool = True) -> None:
        self.notes.append(what)
        self.honest = self.honest and honest

    def _body(self, chance: random.Random) -> bytes:
        texts = [f"{self.number}-{each};" for each in range(chance.randrange(1, 12))]
        if self.status != 200:
            return json.dumps({"error": {"message": f"no {self.number}"}}).encode()
        if not self.streamed:
            self.text = "".join(texts)
            return (ollama_body if self.ollama else openai_body)(self.text)
        frames = ollama_lines(*texts) if self.ollama else openai_events(*texts)
        made: list[bytes] = []
        for each in frames:
            times = 1
            said = next((text for text in texts if text.encode() in each), None)
            if said is not None and chance.random() < 0.1:
                times = chance.choice((2, 3, 50))
                self._note(f"{times} times the same frame")
            if said is not None:
                self.text += said * times
            nested = each
            if chance.random() < 0.03:
                depth = chance.choice(_DEEP)
                nested = _nested(each, depth)
                self._note(f"nested {depth} deep", honest=depth < 1000)
            made += [nested] * times
            if chance.random() < 0.1:
                silence = (
                    b"\n" if self.ollama else chance.choice((b": ping\n\n", b"\n", b":\r\n\r\n"))
                )
                made.append(silence * chance.choice((1, 20)))
                self._note("silence")
        return b"".join(made)

    def _encoded(self, body: bytes, chance: random.Random) -> tuple[bytes, str]:
        """The body in a content encoding, and the header of it."""
        how = chance.choice(
            ("plain",) * 8
            + (
                "gzip",
                "gzip in members",
                "deflate",
                "gzip, damaged",
                "gzip, cut",
                "no gzip",
                "bomb",
            )
        )
        self.payload = body
        if how == "plain":
            return body, ""
        header = "content-encoding: gzip\r\n"
        half = len(body) // 2
        if how == "gzip in members":
            # RFC 1952, 2.2: members one after the other are one file. Not all libraries know.
            self._note(how, honest=False)
            return gzip.compress(body[:half], mtime=0) + gzip.compress(body[half:], mtime=0), header
        self._note(how, honest=how in {"gzip", "deflate"})
        if how == "deflate":
            return zlib.compress(body), "content-encoding: deflate\r\n"
        if how == "no gzip":
            self.payload = b""
            return body, header
        if how == "bomb":
            self.payload = body[:half] + b"a" * _BOMB
            return gzip.compress(self.payload, mtime=0), header
        packed = bytearray(gzip.compress(body, mtime=0))
        if how == "gzip, damaged":
            packed[chance.randrange(10, len(packed))] ^= 1 << chance.randrange(8)
        elif how == "gzip, cut":
            del packed[chance.randrange(1, len(packed)) :]
        self.payload = _unpacked(bytes(packed))
        return bytes(packed), header

    def _framed(self, coded: bytes, encoding: str, chance: random.Random) -> bytes:
        """Head and body as HTTP/1.1."""
        kind = "application/json"
        if self.streamed and self.status == 200:
            kind = "application/x-ndjson" if self.ollama else "text/event-stream"
        head = f"HTTP/1.1 {self.status} Hostile\r\ncontent-type: {kind}\r\n{encoding}"
        how = chance.choice(
            ("chunked",) * 5 + ("length",) * 3 + ("close", "short", "long", "bad size")
        )
        if how == "length":
            return f"{head}content-length: {len(coded)}\r\n\r\n".encode() + coded
        self._note(how, honest=how in {"chunked", "close"})
        if how == "close":
            self.then = "close"
            return f"{head}connection: close\r\n\r\n".encode() + coded
        if how in {"short", "long"}:
            off = chance.randrange(1, len(coded))
            length = len(coded) - off if how == "short" else len(coded) + off
            if how == "long":
                self.then = chance.choice(("close", "stall"))
                self.stalls = self.then == "stall"
            return f"{head}content-length: {length}\r\n\r\n".encode() + coded
        chunks: list[bytes] = []
        at, largest = 0, chance.choice((1, 7, 200, 100_000)) if len(coded) < 20_000 else 1 << 20
        while at < len(coded):
            piece = coded[at : at + chance.randrange(1, largest + 1)]
            at += len(piece)
            size = chance.choice((f"{len(piece):x}", f"{len(piece):X}", f"{len(piece):06x}"))
            extension = ";a=b" if chance.random() < 0.05 else ""
            chunks.append(f"{size}{extension}\r\n".encode() + piece + b"\r\n")
        end = b"0\r\nx-trailer: 1\r\n\r\n" if chance.random() < 0.2 else b"0\r\n\r\n"
        if how == "bad size":
            bad = chance.choice((b"-5\r\n", b"zz\r\n", b"f" * 30 + b"\r\n", b"0x10\r\n", b"\r\n"))
            chunks.insert(chance.randrange(len(chunks) + 1), bad)
            self.then = "close"
        return f"{head}transfer-encoding: chunked\r\n\r\n".encode() + b"".join(chunks) + end

    def _cut(self, wire: bytes, chance: random.Random) -> bytes:
        """Often all of it; else it ends anywhere, by FIN, by RST or in silence."""
        draw = chance.random()
        if draw > 0.25:
            return wire
        then = "stall" if draw < 0.03 else chance.choice(("close", "reset"))
        at = chance.randrange(len(wire))
        self._note(f"{then} at {at} of {len(wire)}", honest=False)
        self.then, self.stalls = then, then == "stall"
        return wire[:at]

    def _planted(self, chance: random.Random) -> bytes:
        """A whole second answer, or the beginning of one; nothing where it would be in the body."""
        in_body = self.then != "keep" or "bad size" in self.notes
        if in_body or chance.random() > 0.4:
            return b""
        body = b"".join(ollama_lines(PLANTED) if self.ollama else openai_events(PLANTED))
        if chance.random() < 0.2:
            body = (ollama_body if self.ollama else openai_body)(PLANTED)
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
        plant = (head.encode() + body) * chance.choice((1, 1, 3))
        if chance.random() < 0.2:
            plant = plant[: chance.randrange(1, len(plant))]
        self._note(f"{len(plant)} bytes planted")
        return plant

    def _segmented(self, wire: bytes, chance: random.Random) -> None:
        largest = chance.choice((1, 3, 50, 2000, 1 << 30))
        if len(wire) / largest > 3000:
            largest = len(wire) // 1000
        at = 0
        while at < len(wire):
            size = chance.randrange(1, largest + 1)
            self.segments.append(wire[at : at + size])
            at += size
        if chance.random() < 0.15:
            self.pause = 0.05 / max(len(self.segments), 1)
        self._note(f"{len(self.segments)} segments")


class HostileServer:
    """A script that answers each request by the number in its prompt; `sent` waits for its end."""

    def __init__(self, answers: list[HostileAnswer]) -> None:
        self._answers = answers
        self._over = [threading.Event() for _ in answers]

    def __call__(self, conversation: Conversation) -> None:
        number = int(conversation.request.json["messages"][-1]["content"])
        try:
            self._answers[number].send(conversation)
        finally:
            self._over[number].set()

    def sent(self, number: int, patience: float) -> bool:
        """Wait until everything of an answer has been sent."""
        return self._over[number].wait(patience)


def _nested(frame: bytes, depth: int) -> bytes:
    """The frame with a field that no one knows, whose value is as deep."""
    at = frame.find(b"{")
    if at < 0:
        return frame
    deep = b'{"x-nested": ' + b"[" * depth + b"]" * depth + b", "
    return frame[:at] + deep + frame[at + 1 :]


def _unpacked(packed: bytes) -> bytes:
    """As much as comes out of damaged gzip before the damage is seen."""
    inflate = zlib.decompressobj(31)
    out = bytearray()
    for each in packed:
        try:
            out += inflate.decompress(bytes([each]))
        except zlib.error:
            break
    return bytes(out)
