"""Segments that are encoded once, however many read them, and kept for whoever comes later.

A segment is a pure function of what it was made from, so that all who want the same one may have
the same bytes. Whoever needs its next part makes that part, for themselves and for the others:
nobody waits for somebody whose client is slow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

from callreel.audio.blocks import SafeBytes
from callreel.audio.virtual import Part, Segments
from callreel.errors import CallreelError
from callreel.spans import Interval, Mask


@dataclass(frozen=True, slots=True)
class Origin:
    """What a segment was made from, where that is less than the whole recording."""

    source: str
    """Names the recording and the version of its bytes."""
    start: int
    """The first frame that was looked at."""
    stop: int
    """The frame behind the last."""
    masked: tuple[tuple[Interval, ...], ...]
    """Per channel of the recording what was masked among them, in whole intervals: a fill swells at
    their edges."""

    @classmethod
    def of(cls, source: str, mask: Mask, frames: Interval) -> Self:
        """The origin of what is made from some frames under a recording's mask."""
        masked = tuple(
            tuple(mask.touching(channel, *frames)) for channel in range(len(mask.channels))
        )
        return cls(source, *frames, masked)

    def is_true_of(self, source: str, mask: Mask) -> bool:
        """Whether the same would be made from these bytes under this mask."""
        return self == Origin.of(source, mask, (self.start, self.stop))


@dataclass(frozen=True, slots=True)
class Name:
    """Under which a segment is kept."""

    identity: str
    """The recording's id, a slash, and everything else that the bytes depend on."""
    origin: Origin | None
    """None where the bytes depend on the whole mask, which ``identity`` names then."""


class Shelf(Protocol):
    """Where finished segments are kept."""

    @property
    def rounds(self) -> int:
        """How often anything was dropped because it was out of date."""

    def kept(self, name: Name) -> list[Part] | None:
        """The parts of a finished segment; None where it is not kept."""

    def keep(self, name: Name, parts: list[Part], rounds: int) -> None:
        """Keep a segment, if there is room for it.

        Args:
            name: Under which it is found again.
            parts: All of it, in order.
            rounds: What ``rounds`` was when its making began: since then it may have become out of
                date itself, and nobody would drop it.
        """


class SharedSegments:
    """The segments that are being made now, in front of those that were.

    Args:
        shelf: Where they go once they are whole.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._lock = threading.Lock()
        self._making: dict[str, _Making] = {}

    def kept(self, name: Name) -> list[Part] | None:
        """As ``Shelf.kept``."""
        return self._shelf.kept(name)

    def join(self, name: Name, make: Callable[[], Iterator[Part]]) -> tuple[_Making, bool]:
        """A segment that is being made, and whether this call began it: its caller must leave."""
        with self._lock:
            making = self._making.get(name.identity)
            if making is not None and not making.is_given_up:
                return making, False
            rounds = self._shelf.rounds
            making = _Making(make(), lambda parts: self._shelf.keep(name, parts, rounds))
            self._making[name.identity] = making
            return making, True

    def leave(self, name: Name, making: _Making) -> None:
        """Give up what was begun; nothing happens to what is whole."""
        making.give_up()
        with self._lock:
            if self._making.get(name.identity) is making:
                del self._making[name.identity]


class _GivenUp(Exception):
    """Whoever owned the source of a segment has left before it was whole."""


class _Making:
    """One segment, made part by part by whoever needs the next.

    Args:
        source: Makes the parts; it belongs to one of the readers, who must ``give_up`` before they
            close it.
        done: Called once with all parts.
    """

    def __init__(self, source: Iterator[Part], done: Callable[[list[Part]], None]) -> None:
        self._source = source
        self._done = done
        self._lock = threading.Lock()
        self._parts: list[Part] = []
        self._is_whole = False
        self.is_given_up = False

    def part(self, number: int) -> Part | None:
        """A part by its number, made now if nobody has; None behind the last.

        Raises:
            _GivenUp: It is not there, and cannot be made here any more.
            CallreelError: It cannot be made.
        """
        with self._lock:
            while number >= len(self._parts) and not self._is_whole:
                self._make_one()
            return self._parts[number] if number < len(self._parts) else None

    def _make_one(self) -> None:
        if self.is_given_up:
            raise _GivenUp
        try:
            made = next(self._source, None)
        except BaseException:
            self.is_given_up = True
            raise
        if made is not None:
            self._parts.append(made)
            return
        self._is_whole = True
        self._done(self._parts)

    def give_up(self) -> None:
        """Touch the source no more."""
        with self._lock:
            self.is_given_up = True


class KeptSegments:
    """An encoder's segments, shared with everybody who reads the same.

    Args:
        segments: Makes what nobody has made.
        shared: All that are made and kept.
        name_of: What the bytes of a segment depend on, by its index.
    """

    def __init__(
        self, segments: Segments, shared: SharedSegments, name_of: Callable[[int], Name]
    ) -> None:
        self._segments = segments
        self._shared = shared
        self._name_of = name_of
        self._own: tuple[Name, _Making] | None = None
        self.size = segments.size
        self.header: SafeBytes = segments.header
        self.segment_size = segments.segment_size

    def segment(self, index: int) -> Iterator[Part]:
        """As ``Segments.segment``."""
        name = self._name_of(index)
        had = 0
        while True:
            making, is_own = self._shared.join(name, lambda: self._segments.segment(index))
            try:
                if is_own:
                    self._own = (name, making)
                    kept = self._shared.kept(name)
                    if kept is not None:
                        yield from kept[had:]
                        return
                while (part := making.part(had)) is not None:
                    had += 1
                    yield part
            except _GivenUp:
                continue
            except CallreelError:
                # Of somebody else's source; our own may be well.
                if is_own:
                    raise
                continue
            finally:
                if is_own:
                    self.leave()
            return

    def leave(self) -> None:
        """Give up what was begun here and is not whole; comes before its source is closed."""
        if self._own is not None:
            self._shared.leave(*self._own)
            self._own = None
