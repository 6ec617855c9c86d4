"""What a hostile HTTP/2 server says: frames that are illegal or odd, answers, refusals, floods."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import hpack

from scripted_http2 import Answer, frame
from vesselog import ConnectionFailedError, ProviderError, TruncatedError

__all__ = [
    "DATA",
    "END_HEADERS",
    "END_STREAM",
    "FLOODS",
    "GOAWAY",
    "GREETINGS",
    "HARMLESS",
    "HEADERS",
    "ILLEGAL",
    "INTERNAL_ERROR",
    "OK",
    "REFUSALS",
    "REFUSED_STREAM",
    "RST_STREAM",
    "SHAPES",
    "Script",
    "go_away",
    "number",
    "random_frames",
]

# Types and flags of frames (RFC 9113, 6).
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8

LARGEST = 2**31 - 1
INTERNAL_ERROR, REFUSED_STREAM = 2, 7
PLANTED = b'{"message": {"content": "PLANTED"}, "done": false}\n'

Script = Callable[[Answer], None]


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def setting(code: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, struct.pack(">HL", code, value))


def go_away(last: int, code: int = 0) -> bytes:
    return frame(GOAWAY, 0, 0, number(last) + number(code))


def header_block(*headers: tuple[str, str | bytes]) -> bytes:
    return hpack.Encoder().encode(headers)


OK = header_block((":status", "200"))

# Bytes that no server may send, by what is wrong with them; `s` is the running stream.
ILLEGAL: dict[str, Callable[[int], bytes]] = {
    "push promise": lambda s: frame(PUSH_PROMISE, END_HEADERS, s, number(2) + OK),
    "push promise on no stream": lambda s: frame(PUSH_PROMISE, END_HEADERS, 0, number(2) + OK),
    "data on a stream never asked for": lambda s: frame(DATA, 0, s + 2, PLANTED),
    "data on a stream of the server": lambda s: frame(DATA, 0, 2, PLANTED),
    "data on stream 0": lambda s: frame(DATA, 0, 0, PLANTED),
    "headers on a stream never asked for": lambda s: frame(HEADERS, END_HEADERS, s + 2, OK),
    "headers on stream 0": lambda s: frame(HEADERS, END_HEADERS, 0, OK),
    "reset of stream 0": lambda s: frame(RST_STREAM, 0, 0, number(0)),
    "a reset too short": lambda s: frame(RST_STREAM, 0, s, b"\0"),
    "window overflow": lambda s: frame(WINDOW_UPDATE, 0, 0, number(LARGEST)) * 2,
    "window overflow of the stream": lambda s: frame(WINDOW_UPDATE, 0, s, number(LARGEST)) * 2,
    "window update of nothing": lambda s: frame(WINDOW_UPDATE, 0, 0, number(0)),
    "window update of nothing for the stream": lambda s: frame(WINDOW_UPDATE, 0, s, number(0)),
    "a window update too short": lambda s: frame(WINDOW_UPDATE, 0, 0, b"\0"),
    "hpack index out of range": lambda s: frame(HEADERS, END_HEADERS, s, b"\xff\xff\xff\x0f"),
    "hpack index 0": lambda s: frame(HEADERS, END_HEADERS, s, b"\x80"),
    "hpack integer cut short": lambda s: frame(HEADERS, END_HEADERS, s, b"\xff"),
    "hpack string cut short": lambda s: frame(HEADERS, END_HEADERS, s, b"\x00\x7fab"),
    "hpack huffman code that is none": lambda s: frame(
        HEADERS, END_HEADERS, s, b"\x00\x84\xff\xff\xff\xff\x00"
    ),
    "hpack table too large": lambda s: frame(HEADERS, END_HEADERS, s, b"\x3f\xff\xff\x7f" + OK),
    "setting enable-push 2": lambda s: setting(2, 2),
    "setting initial-window too large": lambda s: setting(4, 2**31),
    "setting max-frame-size too small": lambda s: setting(5, 1),
    "setting max-frame-size too large": lambda s: setting(5, 2**24),
    "settings of five bytes": lambda s: frame(SETTINGS, 0, 0, b"12345"),
    "settings on a stream": lambda s: frame(SETTINGS, 0, s, b""),
    "settings acknowledged with a payload": lambda s: frame(SETTINGS, ACK, 0, b"123456"),
    "a frame too large": lambda s: frame(DATA, 0, s, bytes(16_385)),
    "continuation without headers": lambda s: frame(CONTINUATION, END_HEADERS, s, OK),
    "a frame within a header block": lambda s: (
        frame(HEADERS, 0, s, OK) + frame(PING, 0, 0, bytes(8))
    ),
    "continuation without end": lambda s: (
        frame(HEADERS, 0, s, OK) + frame(CONTINUATION, 0, s, b"") * 100
    ),
    "header list bomb": lambda s: frame(
        HEADERS, END_HEADERS, s, OK + b"\x40\x01a\x7f\x81\x1e" + b"b" * 4000 + b"\xbe" * 12_000
    ),
    "padding longer than its frame": lambda s: frame(DATA, PADDED, s, b"\xffab"),
    "a ping too short": lambda s: frame(PING, 0, 0, b"1234"),
    "a ping on a stream": lambda s: frame(PING, 0, s, bytes(8)),
    "a go-away too short": lambda s: frame(GOAWAY, 0, 0, b"\0"),
    "a go-away on a stream": lambda s: frame(GOAWAY, 0, s, bytes(8)),
    "priority of itself": lambda s: frame(PRIORITY, 0, s, number(s) + b"\0"),
}

# What is odd but allowed, or what h2 lets pass; the answer goes on.
HARMLESS: dict[str, Callable[[int], bytes]] = {
    "reset of a stream never asked for": lambda s: frame(RST_STREAM, 0, s + 2, number(0)),
    "frames of unknown types": lambda s: frame(0xFA, 0xFF, s, PLANTED) + frame(0xFB, 0, 0, b"x"),
    "pings": lambda _: frame(PING, 0, 0, bytes(8)) * 1000 + frame(PING, ACK, 0, bytes(8)),
    "settings": lambda _: setting(3, 0) + setting(3, 1) * 500 + setting(0xAAAA, 7),
    "priorities": lambda s: frame(PRIORITY, 0, s, number(0) + b"\xff") * 100,
    "window updates": lambda s: (
        frame(WINDOW_UPDATE, 0, s, number(1)) + frame(WINDOW_UPDATE, 0, 0, number(1))
    ),
    "go-away that covers the stream": go_away,
    "go-away that covers all streams": lambda _: go_away(LARGEST),
    "go-away in two steps": lambda s: go_away(LARGEST) + go_away(s),
    "go-away with a reason": lambda s: (
        go_away(s) + frame(GOAWAY, 0, 0, number(s) + number(0) + b"bye")
    ),
}


REFUSALS: dict[str, Script] = {
    "reset": lambda answer: answer.reset(REFUSED_STREAM),
    "go-away": lambda answer: answer.raw(go_away(answer.stream - 2 if answer.stream > 1 else 0)),
    "go-away with an error": lambda answer: answer.raw(go_away(0, INTERNAL_ERROR)),
    "go-away in two steps": lambda answer: answer.raw(go_away(LARGEST), go_away(0)),
}


def with_head(*headers: tuple[str, str | bytes], frames: int = 5, end: bool = True) -> Script:
    """The answer's frames behind these headers, which are not checked."""

    def script(answer: Answer) -> None:
        answer.raw(frame(HEADERS, END_HEADERS, answer.stream, header_block(*headers)))
        for each in answer.frames[:frames]:
            answer.raw(frame(DATA, 0, answer.stream, each))
        if end:
            answer.raw(frame(DATA, END_STREAM, answer.stream))

    return script


def headers_twice(answer: Answer) -> None:
    answer.some(1)
    answer.wait_until_heard()
    answer.raw(frame(HEADERS, END_HEADERS, answer.stream, OK))
    answer.raw(frame(DATA, END_STREAM, answer.stream, b"".join(answer.frames[1:])))


def trailers(answer: Answer, *, status: bool = False) -> None:
    answer.some(len(answer.frames))
    block = OK if status else header_block(("x-checksum", "1"))
    answer.raw(frame(HEADERS, END_HEADERS | END_STREAM, answer.stream, block))


def more_than_its_length(answer: Answer) -> None:
    length = ("content-length", str(len(answer.frames[0])))
    with_head((":status", "200"), length, frames=1, end=False)(answer)
    answer.wait_until_heard()
    answer.raw(frame(DATA, END_STREAM, answer.stream, b"".join(answer.frames[1:])))


def in_many_pieces(answer: Answer) -> None:
    """Every byte in a frame of its own, padded, and the headers in 60 frames."""
    answer.raw(frame(HEADERS, 0, answer.stream), *[frame(CONTINUATION, 0, answer.stream)] * 60)
    answer.raw(frame(CONTINUATION, END_HEADERS, answer.stream, OK))
    for byte in b"".join(answer.frames):
        answer.raw(frame(DATA, PADDED, answer.stream, bytes((3, byte)) + bytes(3)))
    answer.raw(frame(DATA, END_STREAM | PADDED, answer.stream, b"\xff" + bytes(255)))


def informed(answer: Answer) -> None:
    early = header_block((":status", "103"), ("link", "</x>"))
    answer.raw(frame(HEADERS, END_HEADERS, answer.stream, early) * 50)
    answer.whole()


STATUS = (":status", "200")
# Answers of an odd shape, and how they end: None for whole.
SHAPES: dict[str, tuple[Script, type[Exception] | None]] = {
    "data before headers": (
        lambda answer: answer.raw(frame(DATA, END_STREAM, answer.stream, PLANTED)),
        ConnectionFailedError,
    ),
    "headers twice": (headers_twice, ConnectionFailedError),
    "trailers": (trailers, None),
    "trailers with a status": (lambda answer: trailers(answer, status=True), None),
    "more than its length": (more_than_its_length, ConnectionFailedError),
    "less than its length": (
        with_head(STATUS, ("content-length", "100000"), frames=2),
        ConnectionFailedError,
    ),
    "a length that is no number": (
        with_head(STATUS, ("content-length", "many")),
        ConnectionFailedError,
    ),
    "two lengths": (
        with_head(STATUS, ("content-length", "7"), ("content-length", "100000")),
        ConnectionFailedError,
    ),
    "no status": (with_head(("content-type", "text/plain")), None),
    "two statuses": (with_head((":status", "500"), STATUS), None),
    "a status that is no number": (with_head((":status", "fine")), ConnectionFailedError),
    "a status of 5000 digits": (with_head((":status", "2" * 5000)), ConnectionFailedError),
    "a status of 30 digits": (with_head((":status", "2" * 30)), ProviderError),
    "a status below zero": (with_head((":status", "-200")), ProviderError),
    "switching protocols": (with_head((":status", "101")), ConnectionFailedError),
    "no content": (
        lambda answer: answer.raw(
            frame(
                HEADERS, END_HEADERS | END_STREAM, answer.stream, header_block((":status", "204"))
            )
        ),
        TruncatedError,
    ),
    "odd headers": (
        with_head(
            STATUS,
            ("UPPER", "1"),
            (":unknown", "1"),
            ("", "empty"),
            ("x-lines", "a\r\nb: c\0"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("content-type", b"application/x-ndjson; charset=\xff"),
            ("x-long", "y" * 10_000),
        ),
        None,
    ),
    "in many pieces": (in_many_pieces, None),
    "early hints": (informed, None),
}


FLOODS: dict[str, Callable[[int], bytes]] = {
    "pings": lambda _: frame(PING, 0, 0, bytes(8)),
    "settings": lambda _: setting(3, 100) + setting(3, 1),
    "window sizes": lambda _: setting(4, 0) + setting(4, 65_535),
    "empty data": lambda s: frame(DATA, 0, s),
    "padding": lambda s: frame(DATA, PADDED, s, b"\xff" + bytes(255)),
    "unknown frames": lambda s: frame(0xFA, 0, s, bytes(100)),
    "priorities": lambda s: frame(PRIORITY, 0, s, number(0) + b"\0"),
    "go-away": go_away,
    "early hints": lambda s: frame(HEADERS, END_HEADERS, s, header_block((":status", "103"))),
}


GREETINGS = {
    "nothing": b"",
    "http/1.1": b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n",
    "a frame of 16 MB that never comes": b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    "zeros": bytes(9000),
    "text": b"SSH-2.0-OpenSSH_9.9\r\n",
    "half a frame": b"\x00\x00\x06\x04",
}


def random_frames(chance: random.Random, stream: int) -> bytes:
    """One to three, none of which is data of the answer."""
    made = b""
    for _ in range(chance.randrange(1, 4)):
        kind = chance.choice((*range(1, 11), 0x0C, chance.randrange(256)))
        payload = chance.choice(
            (
                chance.randbytes(chance.choice((0, 1, 4, 5, 6, 8, 12, 40))),
                number(chance.choice((0, 1, stream, stream + 2, LARGEST, 2**32 - 1))),
                number(chance.choice((0, stream, LARGEST))) + number(chance.randrange(15)),
                number(2) + OK,
                header_block(("x-random", chance.randbytes(3).hex())),
            )
        )
        flags = chance.choice((0, 1, 4, 5, 8, 0x20, 0xFF, chance.randrange(256)))
        made += frame(kind, flags, chance.choice((0, stream, stream, 2, stream + 2)), payload)
    return made if chance.random() < 0.9 else made[: chance.randrange(len(made))]
