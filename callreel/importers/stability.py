"""Whether a file of sound is finished: a growing or torn one waits, nothing of it comes in.

A WAV file says itself how long it will be; any other file is taken for finished when nobody wrote
to it for a while. Source: threats.md F5.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from callreel.flows.entry import CallEntry, Result, SoundFile
from callreel.importers.items import Items, Problem
from callreel.store.base import ObjectMissing, ObjectUnreadable
from callreel.store.beneath import open_beneath

_UNTOLD = 0xFFFFFFFF
_HEADER_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a file must have been left alone."""

    stable_for_s: float = 2.0
    """Where its length cannot be told from its header."""
    open_for_s: float = 2.0
    """Where a recorder has not filled in the length in its WAV header."""
    quiet_for_s: float = 60.0
    """Where its header promises more than there is."""
    trust_header: bool = True
    """Take a WAV file at once whose header agrees with its size."""


class Header(Enum):
    """What the header of a file says about its length."""

    WHOLE = "whole"
    """As long as it says."""
    SHORT = "short"
    """It promises more than there is."""
    OPEN = "open"
    """The recorder fills it in at the end, and has not, or died."""
    UNTOLD = "untold"
    """It does not say: another format."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at a file."""

    size_bytes: int
    changed_ns: int
    header: Header


def look(sound: SoundFile) -> Seen:
    """Look at a file without reading its sound.

    Raises:
        ObjectMissing: No such file beneath its folder.
        ObjectUnreadable: It cannot be read.
    """
    descriptor = open_beneath(sound.root, sound.name)
    try:
        status = os.fstat(descriptor)
        return Seen(status.st_size, status.st_mtime_ns, _header(descriptor, status.st_size))
    except OSError as error:
        raise ObjectUnreadable("it cannot be read", retry=True) from error
    finally:
        os.close(descriptor)


def wait_s(seen: Seen, now_ns: int, patience: Patience) -> float:
    """How many more seconds a file must be left alone until it may be taken; 0 for now."""
    if seen.header is Header.WHOLE and patience.trust_header:
        return 0.0
    needed = {
        Header.SHORT: patience.quiet_for_s,
        Header.OPEN: patience.open_for_s,
    }.get(seen.header, patience.stable_for_s)
    age_s = (now_ns - seen.changed_ns) / 1e9
    # A time in the future is a wrong clock; the file is as good as just written.
    return max(0.0, needed - max(0.0, age_s))


def _header(descriptor: int, size_bytes: int) -> Header:
    """Walk the chunks of a RIFF file up to its sound.

    Only a file whose outermost length promises more than there is can be torn; what contradicts
    itself within a file that is all there will not get better by waiting.
    """
    start = os.pread(descriptor, 12, 0)
    if start[:4] != b"RIFF" or (len(start) == 12 and start[8:] != b"WAVE"):
        return Header.UNTOLD
    told = int.from_bytes(start[4:8], "little")
    is_torn = len(start) < 12 or (told not in {0, _UNTOLD} and told + 8 > size_bytes)
    offset = 12
    while offset < min(size_bytes, _HEADER_MAX_BYTES):
        chunk = os.pread(descriptor, 8, offset)
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            behind = size_bytes - offset - 8
            if length == _UNTOLD or (length == 0 and behind > 0):
                return Header.OPEN
            if length <= behind:
                return Header.WHOLE
            return Header.SHORT if is_torn else Header.OPEN
        offset += 8 + length + length % 2
    return Header.SHORT if is_torn else Header.WHOLE


Wait = Callable[[float], bool]
"""Waits so many seconds; True where it was cut short, as ``threading.Event.wait`` does."""


def wait_out(seconds: float) -> bool:
    """Wait to the end."""
    time.sleep(seconds)
    return False


def finished(
    items: Items,
    patience: Patience,
    *,
    now_ns: Callable[[], int] = time.time_ns,
    wait: Wait = wait_out,
) -> Iterator[CallEntry | Problem]:
    """Hand on what is finished, look again at the end at what may be, let the rest wait.

    Entries without sound pass. A file that cannot be opened passes as well: the intake says why.

    Args:
        items: What an importer found.
        patience: How long a file must have been left alone.
        now_ns: The time, in nanoseconds since 1970.
        wait: Waits; where it was cut short, what would have been looked at again waits.
    """
    again: list[tuple[CallEntry, Seen]] = []
    for item in items:
        seen = _look_or_none(item)
        if isinstance(item, Problem) or seen is None:
            yield item
            continue
        remaining_s = wait_s(seen, now_ns(), patience)
        if remaining_s == 0:
            yield item
        elif remaining_s > patience.stable_for_s:
            yield _waiting(item, seen)
        else:
            again.append((item, seen))
    if not again:
        return
    interrupted = wait(max(wait_s(seen, now_ns(), patience) for _, seen in again))
    for entry, before in again:
        seen = _look_or_none(entry)
        unchanged = seen is None or seen == before
        yield entry if unchanged and not interrupted else _waiting(entry, before)


def _look_or_none(item: CallEntry | Problem) -> Seen | None:
    if isinstance(item, Problem) or item.audio is None:
        return None
    try:
        return look(item.audio)
    except (ObjectMissing, ObjectUnreadable):
        return None


def _waiting(entry: CallEntry, seen: Seen) -> Problem:
    if seen.header is Header.SHORT:
        reason = "the sound is shorter than its header says; it waits until it is complete"
    else:
        reason = "the sound is still being written; it waits until nobody has for a while"
    return Problem(_origin(entry), reason, Result.WAITING)


def _origin(entry: CallEntry) -> str:
    return entry.origin if entry.audio is None else f"{entry.origin} ({entry.audio.name})"
