"""What a type checker knows of a chunk. Checked, never run."""

from typing import assert_type

from vesselog.core.chunk import StreamChunk, Usage


def text_of(chunk: StreamChunk) -> str:
    """The text of a chunk is a string, its usage may be missing."""
    assert_type(chunk.seq, int)
    assert_type(chunk.usage, Usage | None)
    if chunk.usage is not None:
        assert_type(chunk.usage.output_tokens, int | None)
    return chunk.text
