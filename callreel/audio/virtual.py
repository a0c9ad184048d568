"""Files that are not stored: any stretch of bytes is made when it is asked for.

A virtual file is a header and segments. Each segment is made by itself and always in the same way,
so that the bytes of a range never depend on which other bytes were asked for.
Source: audio.md section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from callreel.audio.blocks import SafeBytes, SafeExtent


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of an output, in order."""

    data: SafeBytes
    seconds: float
    """How much sound is in it at most; 0 for a header, never more than 1."""


class VirtualFile(Protocol):
    """An output of known size, readable at any position by one reader at a time."""

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        ...

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Exactly the bytes [start, stop), in parts of at most one second of sound.

        Must give the same bytes for the same position whatever was asked before.
        """
        ...

    def stretches(self, start: int, stop: int) -> Iterator[Part | SafeExtent]:
        """The same bytes, some of them of any length as they lie in a file; the rest in parts."""
        ...

    def close(self) -> None:
        """Give back what it holds; may be called twice."""
        ...


class Segments(Protocol):
    """What an encoder makes: a header and independent segments whose sizes are known."""

    @property
    def size(self) -> int:
        """Bytes of header and segments together."""
        ...

    @property
    def header(self) -> SafeBytes:
        """Comes first; holds no sound."""
        ...

    @property
    def segment_size(self) -> int:
        """Bytes of each segment; the last may be shorter."""
        ...

    def segment(self, index: int) -> Iterator[Part]:
        """The parts of one segment, in order; must not depend on other segments.

        A reader that has what it wants stops in the middle.
        """
        ...


Extents = Callable[[int, int], Iterator[tuple[int, SafeExtent]]]
"""From the bytes [start, stop) of an output to those of them that lie in a file: where each begins,
and it; in order."""


class SegmentedFile:
    """A virtual file over an encoder's segments.

    Args:
        segments: What it is made of.
        close: Closes what they are made from.
        extents: What of it lies in a file already; None for nothing.
    """

    def __init__(
        self, segments: Segments, close: Callable[[], None], extents: Extents | None = None
    ) -> None:
        self._segments = segments
        self._close = close
        self._extents = extents
        self.size = segments.size

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """As ``VirtualFile.parts``.

        Raises:
            ValueError: The range is not within the file.
            Unavailable, Unplayable: The source cannot be read.
        """
        self._require_within(start, stop)
        return self._parts(start, stop)

    def stretches(self, start: int, stop: int) -> Iterator[Part | SafeExtent]:
        """As ``VirtualFile.stretches``; raises as ``parts``."""
        self._require_within(start, stop)
        if self._extents is None:
            return self._parts(start, stop)
        return self._stretches(start, stop, self._extents)

    def _require_within(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self.size:
            raise ValueError("a range outside the file")

    def _stretches(self, start: int, stop: int, extents: Extents) -> Iterator[Part | SafeExtent]:
        at = start
        for begin, extent in extents(start, stop):
            if begin > at:
                yield from self._parts(at, begin)
            yield extent
            at = begin + extent.length
        if at < stop:
            yield from self._parts(at, stop)

    def _parts(self, start: int, stop: int) -> Iterator[Part]:
        at = start
        for begin, part in self._from(start):
            if at >= stop:
                return
            end = min(begin + len(part.data), stop)
            if end > at:
                yield Part(SafeBytes(part.data[at - begin : end - begin]), part.seconds)
                at = end
        if at < stop:
            raise AssertionError("an encoder made fewer bytes than it promised")

    def _from(self, start: int) -> Iterator[tuple[int, Part]]:
        """The parts with their positions, from the segment that holds ``start``."""
        header = self._segments.header
        if start < len(header):
            yield 0, Part(header, 0.0)
        index = max(0, start - len(header)) // self._segments.segment_size
        begin = len(header) + index * self._segments.segment_size
        while begin < self.size:
            end = min(begin + self._segments.segment_size, self.size)
            at = begin
            for part in self._segments.segment(index):
                yield at, part
                at += len(part.data)
            if at != end:
                raise AssertionError("an encoder made another size than it promised")
            index, begin = index + 1, end

    def close(self) -> None:
        """As ``VirtualFile.close``."""
        self._close()
