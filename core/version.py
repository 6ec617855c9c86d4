"""The version of this library: in the package's metadata, and in every recording it makes."""

__all__ = ["__version__"]

__version__ = "0.1.0"
