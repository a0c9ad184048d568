"""Bytes that can be read at any place, and a stretch of them as a file for a library.

A media library never gets a file name, nor the whole of a file: it gets a ``Window`` over the bytes
that our own parsers chose, behind a header that we built where the format needs one.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol, TypeGuard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_AHEAD_BYTES = 65536


class ByteReader(Protocol):
    """An open object; ``store/base.py`` has handles that are one."""

    @property
    def size(self) -> int:
        """Size in bytes when it was opened."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; shorter only at the end."""


class SendingReader(ByteReader, Protocol):
    """A reader whose bytes the kernel can send without copying them."""

    def send_to(self, out: int, offset: int, length: int) -> int:
        """Send up to ``length`` bytes from ``offset`` to a socket that does not block.

        Returns:
            How many the socket took; 0 where it takes none just now.

        Raises:
            ObjectUnreadable: The file cannot be read, or ends before.
            OSError: The socket is closed.
        """


def can_send(reader: ByteReader) -> TypeGuard[SendingReader]:
    """Whether a reader is one that can be sent from."""
    return hasattr(reader, "send_to")


class Window(io.RawIOBase):
    """A read-only file made of a prefix and a stretch of a reader.

    An error of the reader cannot pass through a C library: it reads as the end of the file, and
    is kept in ``failure`` for whoever called the library.

    Args:
        reader: Where the bytes are.
        offset: First byte of the stretch.
        size: Length of the stretch in bytes; cut at the end of the reader.
        prefix: What comes before it.
    """

    failure: Exception | None = None

    def __init__(self, reader: ByteReader, offset: int, size: int, prefix: bytes = b"") -> None:
        super().__init__()
        self._reader = reader
        self._offset = offset
        self._size = len(prefix) + max(0, min(size, reader.size - offset))
        self._prefix = prefix
        self._at = 0
        self._ahead = b""
        self._ahead_at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Place of the next byte, from the start of the prefix."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; behind the end is allowed and reads nothing."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill a buffer, less far only at the end.

        Returns:
            How many bytes were put into it.
        """
        room = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(room) and self._at < self._size:
            part = self._some(min(len(room) - filled, self._size - self._at))
            if not part:
                break
            room[filled : filled + len(part)] = part
            filled += len(part)
            self._at += len(part)
        return filled

    def _some(self, wanted: int) -> bytes:
        if self._at < len(self._prefix):
            return self._prefix[self._at : self._at + wanted]
        place = self._offset + self._at - len(self._prefix)
        if not self._ahead_at <= place < self._ahead_at + len(self._ahead):
            # Libraries read a few hundred bytes at a time; a store may be far away.
            self._ahead_at = place - place % _AHEAD_BYTES
            self._ahead = self._fetch(self._ahead_at)
        start = place - self._ahead_at
        return self._ahead[start : start + wanted]

    def _fetch(self, place: int) -> bytes:
        try:
            return self._reader.read_at(place, _AHEAD_BYTES)
        except Exception as error:  # noqa: BLE001 - handed on by the caller of the library
            self.failure = error
            return b""
