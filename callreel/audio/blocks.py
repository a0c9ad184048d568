"""Sound in memory: what a decoder gives, and what may leave.

``RawBlock`` and ``StoredBytes`` have not been masked; nothing may encode or send them. What may
leave is made on the obfuscator's side only: ``SafeBlock`` and ``SafeExtents`` in ``obfuscate.py``,
``SafeBytes`` by the encoders, from those two and from headers that hold no sound.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NewType

import numpy as np
import numpy.typing as npt

from callreel.audio.reader import SendingReader
from callreel.spans import Interval

Samples = npt.NDArray[np.int16]
"""int16, shape (frames, channels)."""

SafeBytes = NewType("SafeBytes", bytes)
"""Encoded from SafeBlocks, or a header without sound: this and nothing else is sent."""

StoredBytes = NewType("StoredBytes", bytes)
"""Bytes of a recording as they are stored: not masked."""


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """Where bytes of a recording lie in a file: not masked, and not read yet."""

    reader: SendingReader
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class RawBlock:
    """Decoded sound that was not masked yet."""

    samples: Samples
    """int16, shape (frames, channels), channels 1 or 2."""
    rate_hz: int


class SafeBlock:
    """Masked sound. Only ``obfuscate.py`` makes one (a test counts where the seal is named)."""

    __slots__ = ("rate_hz", "samples")

    samples: Samples
    rate_hz: int

    def __init__(self, samples: Samples, rate_hz: int, *, seal: object) -> None:
        if seal is not _OBFUSCATOR_SEAL:
            raise TypeError("a SafeBlock is made by the obfuscator only")
        self.samples = samples
        self.rate_hz = rate_hz


class SafeExtent:
    """Bytes of a file that may leave as they are stored. Made as SafeBlock is.

    Args:
        place: Where they are.
        seal: The obfuscator's.
    """

    __slots__ = ("_place", "length")

    def __init__(self, place: StoredPlace, *, seal: object) -> None:
        if seal is not _OBFUSCATOR_SEAL:
            raise TypeError("a SafeExtent is made by the obfuscator only")
        self._place = place
        self.length = place.length

    def part(self, start: int, length: int) -> SafeExtent:
        """Some of it, from a byte of it on; no more than there is."""
        place = self._place
        start = min(max(0, start), place.length)
        inner = StoredPlace(
            place.reader, place.offset + start, max(0, min(length, place.length - start))
        )
        return SafeExtent(inner, seal=_OBFUSCATOR_SEAL)

    def send_to(self, out: int, most: int) -> int:
        """Let the kernel send its beginning, up to ``most`` bytes; as ``SendingReader``."""
        return self._place.reader.send_to(out, self._place.offset, min(most, self.length))

    def read(self, most: int) -> SafeBytes:
        """Up to ``most`` bytes of its beginning; fewer only where there are no more."""
        return SafeBytes(self._place.reader.read_at(self._place.offset, min(most, self.length)))


class _InMemory:
    """Bytes that may leave, as a file."""

    def __init__(self, data: SafeBytes) -> None:
        self._data = memoryview(data)
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        """As ``ByteReader.read_at``."""
        return bytes(self._data[offset : offset + length])

    def send_to(self, out: int, offset: int, length: int) -> int:
        """As ``SendingReader.send_to``."""
        try:
            return os.write(out, self._data[offset : offset + length])
        except BlockingIOError:
            return 0


def extent_of(data: SafeBytes) -> SafeExtent:
    """Bytes that may leave, to be sent like those that lie in a file."""
    return SafeExtent(StoredPlace(_InMemory(data), 0, len(data)), seal=_OBFUSCATOR_SEAL)


class SafeExtents:
    """The frames of a stored recording that may leave as they are stored. Made as SafeBlock is.

    Args:
        masked: The frames that may not, of whichever channel: sorted, disjoint.
        stored: Gives the stored bytes of frames, from a start and a count.
        place: Gives the place of frames in a file; None where there is no file.
        seal: The obfuscator's.
    """

    __slots__ = ("_ends", "_masked", "_place", "_stored")

    def __init__(
        self,
        masked: Sequence[Interval],
        stored: Callable[[int, int], StoredBytes],
        place: Callable[[int, int], StoredPlace] | None = None,
        *,
        seal: object,
    ) -> None:
        if seal is not _OBFUSCATOR_SEAL:
            raise TypeError("SafeExtents are made by the obfuscator only")
        self._masked = masked
        self._ends = [end for _, end in masked]
        self._stored = stored
        self._place = place

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, SafeBytes | None]]:
        """The frames [start, stop) in pieces: first, behind the last, and their bytes.

        The bytes are None where something is masked: nothing that is stored there is even read.

        Raises:
            Unplayable, Unavailable: The stored bytes cannot be read.
        """
        for first, end, is_clear in self._runs(start, stop):
            stored = SafeBytes(self._stored(first, end - first)) if is_clear else None
            yield first, end, stored

    @property
    def has_place(self) -> bool:
        """Whether the stored bytes lie in a file."""
        return self._place is not None

    def extents(self, start: int, stop: int) -> Iterator[tuple[int, int, SafeExtent | None]]:
        """As ``pieces``, for those that lie in a file: nothing is read.

        What is masked is given whole, though some of it lies outside of [start, stop).
        """
        if self._place is None:
            raise AssertionError("not in a file")
        for first, end, is_clear in self._runs(start, stop):
            if is_clear:
                place = self._place(first, end - first)
                yield first, end, SafeExtent(place, seal=_OBFUSCATOR_SEAL)
            else:
                whole = self._masked[bisect_right(self._ends, first)]
                yield *whole, None

    def _runs(self, start: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        at = start
        # The first interval that ends behind the start, and all after it.
        for begin, end in self._masked[bisect_right(self._ends, start) :]:
            if max(begin, at) >= stop:
                break
            if begin > at:
                yield at, begin, True
            yield max(begin, at), min(end, stop), False
            at = min(end, stop)
        if at < stop:
            yield at, stop, True


_OBFUSCATOR_SEAL = object()
