"""Streams from language models, recorded chunk by chunk before anyone sees them."""

from vesselog.core.version import VERSION

__all__ = ["__version__"]

__version__ = VERSION
