"""Masks wait for what is just being sent: a gate for each recording, beside an SQLite file.

To look at the mask and then to send is a race: a mask may come in between, and what the kernel was
given cannot be taken back. Where the look and the sending are one visit behind the gate, a mask is
stored either before the look, and then nothing is sent, or after the sending. So much more than a
second of sound may be given to the kernel at once (contract.md 3.6).

A gate is two bytes of an empty file, locked by Linux's locks of open files: those who send share
the inner byte, whoever masks must have it alone. The outer one is held by whoever masks while they
wait, so that readers who come and go cannot keep them out for ever. Locks work between processes,
and end with them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from callreel.errors import MaskChanged, Unavailable
from callreel.model import RecordingId
from callreel.wording import to_translate

MOST_WAIT_S = 1.0
"""How long a mask waits for those who send. A visit takes a millisecond; who is behind the gate
still was stopped there, and a mask must not be refused for it."""
_TRY_S = 0.0005
_HELD = "callreel.held"
# Not in the module on other systems; there all goes in parts of a second.
_SET = getattr(fcntl, "F_OFD_SETLK", None)
_NO_LOCKS = frozenset({errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a file system says that has none."""
_LOCK = struct.Struct("hhqqi4x")


def open_gate(path: Path) -> Gate | None:
    """The gates of a database; None where neither this process nor any other can lock the file.

    Args:
        path: Of the file, which is made; its folder must be there.

    Raises:
        OSError: It cannot be opened here, and others may well have it.
    """
    gate = Gate(path)
    descriptor = gate.opened()
    try:
        _lock(descriptor, fcntl.F_RDLCK, 0, 1)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    finally:
        os.close(descriptor)
    return gate


class Gate:
    """The gates of all recordings of a database.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def opened(self) -> int:
        """A descriptor of the file, which has locks of its own."""
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def visit(self, recording_id: RecordingId) -> Visit:
        """Go behind the gate of a recording, as often as one likes.

        Raises:
            Unavailable: No file can be opened.
        """
        try:
            return Visit(self.opened(), _place(recording_id))
        except OSError as error:
            raise _closed(error) from error

    def hold(self, conn: Connection) -> Holding:
        """Let a transaction close gates by ``hold_sound``; to be opened when it is over."""
        holding = Holding(conn, self.opened)
        conn.info[_HELD] = holding
        return holding


class Visit:
    """Somebody who sends a recording; ``with`` this nobody can mask it. For one thread at a time.

    Raises:
        MaskChanged: Somebody is masking it.
    """

    def __init__(self, descriptor: int, place: int) -> None:
        self._descriptor = descriptor
        self._place = place

    def __enter__(self) -> None:
        """Go in."""
        try:
            _lock(self._descriptor, fcntl.F_RDLCK, self._place, 2)
            _lock(self._descriptor, fcntl.F_UNLCK, self._place, 1)
        except BlockingIOError:
            _lock(self._descriptor, fcntl.F_UNLCK, self._place, 2)
            raise MaskChanged(
                to_translate("A mask of this recording is being changed; fetch it again.")
            ) from None
        except OSError as error:
            raise _closed(error) from error

    def __exit__(self, *_error: object) -> None:
        """Come out."""
        _lock(self._descriptor, fcntl.F_UNLCK, self._place, 2)

    def close(self) -> None:
        """Need it no more; may be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Holding:
    """The gates that one transaction closed."""

    def __init__(self, conn: Connection, opened: Callable[[], int]) -> None:
        self._info = conn.info
        self._opened = opened
        self._descriptor = -1

    def close(self, recording_id: RecordingId) -> None:
        """Close the gate of a recording, once nobody is behind it.

        Raises:
            Unavailable: No file can be opened: nobody knows then who sends.
        """
        until = time.monotonic() + MOST_WAIT_S
        place = _place(recording_id)
        try:
            if self._descriptor < 0:
                self._descriptor = self._opened()
            for at in (place, place + 1):
                while not _is_locked(self._descriptor, at) and time.monotonic() < until:
                    time.sleep(_TRY_S)
        except OSError as error:
            raise _closed(error) from error

    def open(self) -> None:
        """The transaction is over: open them all."""
        self._info.pop(_HELD, None)
        if self._descriptor >= 0:
            os.close(self._descriptor)


def hold_sound(conn: Connection, recording_id: RecordingId) -> None:
    """Let no sound of a recording leave until this transaction is over.

    What is leaving in this moment is waited for. Where there are no gates it leaves in parts of a
    second, and each looks first.
    """
    holding = conn.info.get(_HELD)
    if holding is not None:
        holding.close(recording_id)


def _place(recording_id: RecordingId) -> int:
    # Two that share a place wait for each other, and nothing else happens.
    return zlib.crc32(recording_id.encode()) * 2


def _is_locked(descriptor: int, at: int) -> bool:
    try:
        _lock(descriptor, fcntl.F_WRLCK, at, 1)
    except BlockingIOError:
        return False
    return True


def _lock(descriptor: int, kind: int, start: int, length: int) -> None:
    if _SET is None:
        raise OSError(errno.ENOSYS, "no locks of open files")
    fcntl.fcntl(descriptor, _SET, _LOCK.pack(kind, os.SEEK_SET, start, length, 0))


def _closed(error: OSError) -> Unavailable:
    return Unavailable(
        to_translate("The database cannot be reached now; try again."),
        retry_after_s=5,
        why=str(error),
    )
