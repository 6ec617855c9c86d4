"""Streams from language models, recorded chunk by chunk before anyone sees them."""

from vesselog.core.version import __version__

__all__ = ["__version__"]
