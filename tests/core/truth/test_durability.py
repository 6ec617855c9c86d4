"""Durability levels: what each syncs and waits for, in sessions on real files."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import Conversation, LoopbackServer
from media import Medium, flush, medium_under
from patience import PATIENCE
from sessions import kinds, request, step, write
from talking import KINDS, every_client, every_dialect, talking
from vesselog import (
    AsyncClient,
    Client,
    ConfigurationError,
    RecordingError,
    StreamChunk,
    follow,
)
from vesselog.core.truth.fsync_thread import SYNC_THREAD
from vesselog.core.truth.session import Session

LEVELS = ["process", "interval", "power"]


@pytest.fixture
def medium(monkeypatch: pytest.MonkeyPatch) -> Iterator[Medium]:
    with medium_under(monkeypatch) as medium:
        yield medium


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_records_the_same(tmp_path: Path, level: str) -> None:
    session = Session.open(tmp_path, "a", durability=level)
    writer = session.begin(request())
    write(writer, [step(0), step(1)])
    writer.end("complete")
    session.close()
    lines = ["session", "open", "request", "frame", "frame", "end complete", "close"]
    assert kinds(session.path) == lines
    flush()


def test_an_unknown_level_is_refused_with_the_three_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='"process", "interval" or "power"') as caught:
        Session.open(tmp_path, durability="forever")
    assert caught.value.setting == "durability"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_refuses_it_before_anything_is_asked(kind: type[Client]) -> None:
    with pytest.raises(ConfigurationError, match="'fsync'"):
        kind(durability="fsync", recordings=None)


def test_process_neither_syncs_nor_starts_a_thread(tmp_path: Path, medium: Medium) -> None:
    session = Session.open(tmp_path)
    writer = session.begin(request())
    assert writer.gate is None
    write(writer, [step(0)])
    writer.end("complete")
    session.close()
    assert SYNC_THREAD.files == ()
    assert medium.files == []
    assert "vesselog sync" not in [thread.name for thread in threading.enumerate()]


def test_power_has_what_passed_the_gate_on_the_medium(tmp_path: Path, medium: Medium) -> None:
    session = Session.open(tmp_path, durability="power")
    writer = session.begin(request())
    assert writer.gate is not None
    for seq in range(3):
        write(writer, [step(seq)])
        size = session.path.stat().st_size
        writer.gate.wait()
        assert medium.synced(session.path) == size
    writer.end("complete")
    writer.gate.wait()
    assert medium.synced(session.path) == session.path.stat().st_size
    session.close()
    assert medium.threads == {"vesselog sync"}


@pytest.mark.parametrize("level", ["interval", "power"])
def test_a_new_file_is_synced_with_every_folder_that_got_an_entry(
    tmp_path: Path, medium: Medium, level: str
) -> None:
    folder = tmp_path / "deep" / "er"
    session = Session.open(folder, durability=level)
    session.begin(request()).end("complete")
    session.close()
    flush()
    assert set(medium.folders) == {folder, folder.parent, tmp_path}
    assert medium.synced(session.path) == session.path.stat().st_size


def test_a_file_that_is_gone_on_with_is_synced_with_its_folder(
    tmp_path: Path, medium: Medium
) -> None:
    first = Session.open(tmp_path, "a")
    first.begin(request()).end("complete")
    first.close()
    again = Session.open(tmp_path, "a", durability="power")
    writer = again.begin(request())
    assert writer.gate is not None
    writer.gate.wait()
    assert medium.synced(again.path) == again.path.stat().st_size
    assert medium.folders == [tmp_path]
    writer.end("complete")
    again.close()


def test_interval_is_synced_within_its_time_though_nobody_asks(
    tmp_path: Path, medium: Medium
) -> None:
    session = Session.open(tmp_path, durability="interval")
    writer = session.begin(request())
    assert writer.gate is None
    write(writer, [step(0)])
    size = session.path.stat().st_size
    synced = threading.Event()
    # Asking only makes it come sooner; this one waits for the thread's own look.
    for file in SYNC_THREAD.files:
        file._waiting.append(synced.set)
    assert synced.wait(PATIENCE)
    assert medium.synced(session.path) == size
    writer.end("complete")
    session.close()


def test_interval_does_not_wait_for_a_stuck_disk(tmp_path: Path, medium: Medium) -> None:
    medium.free.clear()
    session = Session.open(tmp_path, durability="interval")
    writer = session.begin(request())
    write(writer, (step(seq) for seq in range(10)))
    writer.end("complete")
    session.close()
    assert kinds(session.path)[-2:] == ["end complete", "close"]
    assert medium.files == []


def test_a_closed_session_is_free_for_another_writer_before_it_is_synced(
    tmp_path: Path, medium: Medium
) -> None:
    medium.free.clear()
    for _ in range(2):
        session = Session.open(tmp_path, "a", durability="power")
        session.begin(request()).end("complete")
        session.close()
    medium.free.set()
    flush()
    assert medium.synced(session.path) == session.path.stat().st_size


@pytest.mark.parametrize("level", ["interval", "power"])
def test_after_a_failed_sync_nothing_is_written_and_no_sync_is_tried(
    tmp_path: Path, medium: Medium, level: str
) -> None:
    session = Session.open(tmp_path, durability=level)
    writer = session.begin(request())
    flush()
    medium.refusing = True
    write(writer, [step(0)])
    flush()
    size = session.path.stat().st_size
    medium.refusing = False
    before = list(medium.files)
    for _ in range(2):
        with pytest.raises(RecordingError, match="cannot sync: Input/output error"):
            write(writer, [step(1)])
        with pytest.raises(RecordingError, match="cannot sync"):
            session.begin(request())
    if writer.gate is not None:
        with pytest.raises(RecordingError, match="cannot sync: Input/output error"):
            writer.gate.wait()
    with pytest.raises(RecordingError, match="cannot sync"):
        writer.end("complete")
    session.close()
    flush()
    assert medium.files == before
    assert session.path.stat().st_size == size


def test_a_call_abandoned_in_a_poisoned_session_is_no_noise(
    tmp_path: Path, medium: Medium, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session.open(tmp_path, durability="power")
    writer = session.begin(request())
    medium.refusing = True
    assert writer.gate is not None
    with pytest.raises(RecordingError):
        writer.gate.wait()
    writer.abandon()
    session.close()
    flush()
    assert caplog.messages == []


def test_a_sync_that_fails_when_nobody_waits_is_told_to_the_log(
    tmp_path: Path, medium: Medium, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session.open(tmp_path, durability="interval")
    medium.free.clear()
    session.begin(request()).end("complete")
    session.close()
    medium.refusing = True
    medium.free.set()
    for thread in threading.enumerate():
        if thread.name == "vesselog sync":
            thread.join()
    assert "cannot sync: Input/output error" in caplog.text


async def test_the_loop_runs_while_a_sync_is_waited_for(tmp_path: Path, medium: Medium) -> None:
    session = Session.open(tmp_path, durability="power")
    writer = session.begin(request())
    assert writer.gate is not None
    await writer.gate.passed()
    medium.free.clear()
    write(writer, [step(0)])
    waiting = asyncio.create_task(writer.gate.passed())  # type: ignore[arg-type]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    medium.free.set()
    await waiting
    assert medium.synced(session.path) == session.path.stat().st_size
    writer.end("complete")
    session.close()


def answer(conversation: Conversation) -> None:
    conversation.answer("Hel", "lo", " there")


@every_client
@every_dialect
@pytest.mark.parametrize("level", ["interval", "power"])
def test_a_stream_is_the_same_at_every_level(
    tmp_path: Path, medium: Medium, kind: str, model: str, level: str
) -> None:
    with (
        LoopbackServer([answer]) as server,
        talking(kind, server, recordings=tmp_path, durability=level) as talker,
    ):
        heard = talker.hear(model).check("complete")
        assert heard.text == "Hello there"
        assert talker.complete(model).text
        talker.close()
        for path in tmp_path.iterdir():
            assert medium.synced(path) == path.stat().st_size


@every_client
@every_dialect
def test_power_hands_out_only_what_is_on_the_medium(
    tmp_path: Path, medium: Medium, kind: str, model: str
) -> None:
    with (
        LoopbackServer([answer]) as server,
        talking(kind, server, recordings=tmp_path, durability="power") as talker,
    ):
        stream = talker.stream(model)
        seen: list[str] = []

        def look(chunk: StreamChunk) -> None:
            kept = stream.path.read_bytes()[: medium.synced(stream.path)]
            seen.append(chunk.raw)
            frames = [json.loads(line) for line in kept.splitlines() if b'"frame"' in line]
            assert [frame["raw"] for frame in frames][: len(seen)] == seen

        talker.begin(stream, look).result(PATIENCE).check("complete")
        assert seen
        lines = stream.path.read_bytes().splitlines(keepends=True)
        assert medium.synced(stream.path) >= sum(map(len, lines[:-1])), "all but the close line"


@every_client
def test_the_request_is_on_the_medium_before_it_leaves(
    tmp_path: Path, medium: Medium, kind: str
) -> None:
    synced: list[int] = []

    def look(conversation: Conversation) -> None:
        (path,) = tmp_path.iterdir()
        synced.append(medium.synced(path))
        answer(conversation)

    with (
        LoopbackServer([look]) as server,
        talking(kind, server, recordings=tmp_path, durability="power") as talker,
    ):
        heard = talker.hear().check("complete")
        lines = heard.stream.path.read_bytes().splitlines(keepends=True)  # type: ignore[union-attr]
        assert synced == [sum(map(len, lines[:3]))]


@every_client
@pytest.mark.parametrize("at", ["request", "chunk", "end"])
def test_a_sync_that_fails_ends_the_stream_and_nothing_unsynced_is_handed_out(
    tmp_path: Path, medium: Medium, kind: str, at: str
) -> None:
    def fail_under_way(conversation: Conversation) -> None:
        conversation.begin()
        first, *others = conversation.frames("Hel", "lo")
        conversation.chunk(first)
        assert begun.wait(PATIENCE)
        medium.refusing = at == "chunk"
        for frame in others[:-1]:
            conversation.chunk(frame)
        if at == "end":
            assert ended.wait(PATIENCE)
            medium.refusing = True
        conversation.chunk(others[-1])
        conversation.end()

    begun, ended = threading.Event(), threading.Event()
    texts: list[str] = []

    def take(chunk: StreamChunk) -> None:
        texts.append(chunk.text)
        begun.set()
        if "".join(texts) == "Hello":
            ended.set()

    medium.refusing = at == "request"
    with (
        LoopbackServer([fail_under_way]) as server,
        talking(kind, server, recordings=tmp_path, durability="power") as talker,
    ):
        heard = talker.begin(talker.stream(), take).result(PATIENCE)
        assert isinstance(heard.error, RecordingError)
        assert "cannot sync" in heard.error.message
        assert heard.outcome == "error"
        assert heard.text == {"request": "", "chunk": "Hel", "end": "Hello"}[at]
        assert heard.stream.completion.text == heard.text
        assert len(server.requests) == (at != "request")
        medium.refusing = False
        server.scripts[:] = [answer]
        assert talker.hear().check("complete").text == "Hello there"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("sync")])
class TestAReaderAtTheGate:
    """An async stream is read on, and can be left, while its caller waits for the disk."""

    @pytest.fixture
    def stuck(self) -> threading.Event:
        return threading.Event()

    @pytest.fixture
    def server(self, stuck: threading.Event) -> Iterator[LoopbackServer]:
        def talk(conversation: Conversation) -> None:
            conversation.begin()
            first, *others = conversation.frames(*"abcdefgh")
            conversation.chunk(first)
            assert stuck.wait(PATIENCE)
            for frame in others:
                conversation.chunk(frame)
            conversation.end()

        with LoopbackServer([talk]) as server:
            yield server

    def test_one_sync_takes_all_that_came_meanwhile(
        self,
        tmp_path: Path,
        medium: Medium,
        kind: str,
        server: LoopbackServer,
        stuck: threading.Event,
    ) -> None:
        with talking(kind, server, recordings=tmp_path, durability="power") as talker:
            stream = talker.stream()
            talker.open(stream)
            talker.take(stream, 1)
            medium.free.clear()
            stuck.set()
            assert len(list(follow(stream.path))) == 9  # to the call's end
            before = len(medium.files)
            medium.free.set()
            assert len(talker.take(stream, 8)) == 8
            assert len(medium.files) - before <= 3, "the frames, the end, and the close line"
            talker.leave(stream)

    def test_leaving_waits_for_no_disk(
        self,
        tmp_path: Path,
        medium: Medium,
        kind: str,
        server: LoopbackServer,
        stuck: threading.Event,
    ) -> None:
        with talking(kind, server, recordings=tmp_path, durability="power") as talker:
            stream = talker.stream()
            talker.open(stream)
            talker.take(stream, 1)
            medium.free.clear()
            waiting = talker.begin(stream, opened=True)
            stuck.set()
            list(follow(stream.path))
            talker.leave(stream)
            heard = waiting.result(PATIENCE)
            assert (heard.outcome, heard.chunks) == ("complete", [])
            medium.free.set()

    def test_the_loop_goes_on_before_the_request_leaves(
        self, tmp_path: Path, medium: Medium, kind: str
    ) -> None:
        with (
            LoopbackServer([answer]) as server,
            talking(kind, server, recordings=tmp_path, durability="power") as talker,
        ):
            medium.free.clear()
            hearing = talker.begin(talker.stream())
            assert medium.asked.wait(PATIENCE)
            talker.stream()  # made in the loop
            assert server.requests == []
            assert not hearing.done()
            medium.free.set()
            hearing.result(PATIENCE).check("complete")

    def test_the_loop_goes_on_while_the_client_closes(
        self, tmp_path: Path, medium: Medium, kind: str
    ) -> None:
        with (
            LoopbackServer([answer]) as server,
            talking(kind, server, recordings=tmp_path, durability="interval") as talker,
        ):
            medium.free.clear()
            talker.hear().check("complete")
            closing = threading.Thread(target=talker.close)
            closing.start()
            assert medium.asked.wait(PATIENCE)
            assert talker._here(closing.is_alive)
            medium.free.set()
            closing.join(PATIENCE)
            assert not closing.is_alive()


@every_client
def test_a_closed_client_has_all_on_the_medium(tmp_path: Path, medium: Medium, kind: str) -> None:
    with (
        LoopbackServer([answer]) as server,
        talking(kind, server, recordings=tmp_path, durability="interval") as talker,
    ):
        heard = talker.hear()
        talker.close()
        assert heard.stream.path is not None
        assert medium.synced(heard.stream.path) == heard.stream.path.stat().st_size
        assert SYNC_THREAD.files == ()
