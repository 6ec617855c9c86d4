"""Whether a conversation is being answered now, by any process of this machine."""

from __future__ import annotations

from ..core.client.async_client import AsyncClient
from ..core.client.client import Client
from ..core.errors import RecordingError
from ..core.truth.file_lock import has_writer
from .check_arguments import check_client

__all__ = ["session_in_use"]


def session_in_use(client: AsyncClient | Client, session: str) -> bool:
    """Whether a session is written now, by this process or by another one of this machine.

    A backend that answers one question of a conversation at a time asks this before it reads the
    conversation, and refuses the second question. The file is opened for a moment, but not read.

    Args:
        client: The client whose folder has the session.
        session: The session's name. False if there is no such session yet.

    Raises:
        SessionNameError: It cannot be a session's name.
        RecordingError: The file cannot be read.
        ConfigurationError: The client records nothing, or is no client.
    """
    check_client(client, "session_in_use")
    try:
        return has_writer(client.recording(session).path)
    except RecordingError as error:
        if isinstance(error.__context__, FileNotFoundError):
            return False
        raise
