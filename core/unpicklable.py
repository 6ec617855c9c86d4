"""A base class for what may hold a key or a connection, and so must not be pickled."""

from __future__ import annotations

from typing import Never, SupportsIndex

__all__ = ["Unpicklable"]


class Unpicklable:
    """Cannot be pickled: raises TypeError, which gives the reason."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Never:
        raise TypeError(
            f"{type(self).__name__} may hold a key and cannot be pickled: create it in the process "
            "that uses it"
        )
