"""The library's version, as a constant: an import need not search the package metadata."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
