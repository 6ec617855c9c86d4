"""Whether a conversation is being answered now."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessions import request
from vesselog import AsyncClient, Client, SessionNameError
from vesselog.core.truth.session import Session
from vesselog.server import session_in_use


def test_a_session_is_in_use_while_an_answer_of_it_runs(tmp_path: Path) -> None:
    with Client(recordings=tmp_path) as client:
        assert not session_in_use(client, "s"), "there is no such session yet"
        session = Session.open(tmp_path, "s")
        call = session.begin(request())
        assert session_in_use(client, "s")
        call.end("complete")
        session.close()
        assert not session_in_use(client, "s")


async def test_what_cannot_be_a_session_or_a_file_is_an_error(tmp_path: Path) -> None:
    async with AsyncClient(recordings=tmp_path) as client:
        with pytest.raises(SessionNameError):
            session_in_use(client, "../s")
