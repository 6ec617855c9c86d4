"""What may hold a key, or a connection, does not leave its process in a pickle."""

from __future__ import annotations

from typing import Never, SupportsIndex

__all__ = ["Unpicklable"]


class Unpicklable:
    """Refuses to be pickled, or copied as if by a pickle, with a TypeError that says why."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Never:
        raise TypeError(
            f"{type(self).__name__} may hold a key and is not pickled: make it where it is used"
        )
