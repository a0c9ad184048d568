"""The Store protocol: what a place that keeps recordings must do.

A store holds whole objects under keys of its own making. It knows nothing of HTTP, calls or masks.
Missing is one error, whatever the backend says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol


class ObjectMissing(Exception):
    """There is no object under this key."""


class ObjectUnreadable(Exception):
    """The object is there but cannot be read now; ``retry`` says whether trying again may help."""

    def __init__(self, message: str, *, retry: bool) -> None:
        super().__init__(message)
        self.retry = retry


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store knows of an object."""

    key: str
    size_bytes: int
    sha256: str
    """Hex, of all bytes."""


class Handle(Protocol):
    """An open object. Thread-safe for ``read_at``; must be closed."""

    @property
    def size(self) -> int:
        """Size in bytes when it was opened."""

    @property
    def stamp(self) -> int:
        """Another number whenever the bytes may be others; what it counts is the store's affair."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; shorter only at the end.

        Raises:
            ObjectUnreadable: The store failed.
        """

    def close(self) -> None:
        """Give everything back; closing twice is allowed."""


class Store(Protocol):
    """A place for recordings. The conformance suite is ``tests/contracts/test_store.py``.

    Keys are made by the store side from hex digits and ``/``; an implementation must refuse every
    other key with ObjectMissing and must not follow a link out of its root.
    """

    read_only: bool

    def open(self, key: str) -> Handle:
        """Open for random reads.

        Raises:
            ObjectMissing: No such object.
            ObjectUnreadable: The store failed.
        """

    def put(self, source: BinaryIO) -> ObjectInfo:
        """Copy to its end, hash while copying, make durable, then make visible.

        The key is derived from the hash. Must not show a partial object; must be harmless when
        repeated.

        Raises:
            ObjectUnreadable: The store cannot take it (full, read-only, broken).
        """

    def key_of(self, sha256: str) -> str:
        """The key that ``put`` will give to bytes with this hash, in hex.

        Raises:
            ObjectUnreadable: The store is read-only.
        """

    def delete(self, key: str) -> None:
        """Remove for good; deleting what is missing is allowed."""

    def keys(self) -> Iterator[str]:
        """Every object, in no order."""
