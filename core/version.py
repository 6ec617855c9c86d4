"""The library's version, written out so that no import has to search the metadata for it."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
