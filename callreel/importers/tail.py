"""A source of events that is read while it is written: a pipe, a socket, or a file that grows.

It looks like a file to whoever reads it. Its end comes only when it is over, or when somebody says
stop, so that a line is never taken for whole while its end is on the way.
"""

from __future__ import annotations

import io
import os
import select
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STANDARD_INPUT = Path("-")
LOOK_S = 0.25
"""Between two looks at a file that does not grow, or for a stop."""


class Tail:
    """What is read while it is written.

    Args:
        path: A file, a named pipe, or ``STANDARD_INPUT``.
        stop: Set by somebody else to end it.
        follow: Whether a file is read on when its end is reached, also after its rotation.
    """

    def __init__(self, path: Path, stop: threading.Event, *, follow: bool) -> None:
        self._path = path
        self._stop = stop
        self._follow = follow
        self.name = "standard input" if path == STANDARD_INPUT else path.name

    def __str__(self) -> str:
        """For messages."""
        return self.name if self._path == STANDARD_INPUT else str(self._path)

    def open(self, _mode: str) -> BinaryIO:
        """Begin to read it.

        Raises:
            OSError: It cannot be read.
        """
        return io.BufferedReader(_Raw(self._path, self._stop, follow=self._follow))


class _Raw(io.RawIOBase):
    """Waits where a file would end."""

    def __init__(self, path: Path, stop: threading.Event, *, follow: bool) -> None:
        super().__init__()
        self._path = path
        self._stop = stop
        # Opened by its number: /dev/stdin cannot be, where it is a socket.
        self._descriptor = 0 if path == STANDARD_INPUT else _opened(path)
        self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._follow = follow and self._is_file
        self._is_within = False
        """Whether what was read last is the beginning of a line."""
        self._is_torn = False
        """Whether the rest of that line is gone with its file."""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """What is there; waits where nothing is. Nothing at the end."""
        while not self._stop.is_set():
            if self._is_torn:
                # The first line of the next file is a line of its own.
                self._is_torn = self._is_within = False
                memoryview(buffer)[:1] = b"\n"
                return 1
            if not self._is_file and not select.select([self._descriptor], [], [], LOOK_S)[0]:
                continue
            try:
                count = os.readv(self._descriptor, [buffer])
            except BlockingIOError:
                # Somebody shares it and was faster.
                continue
            except ConnectionResetError:
                # Whoever wrote is gone, without a word.
                return 0
            if count:
                self._is_within = bytes(memoryview(buffer)[count - 1 : count]) != b"\n"
            if count or not self._follow:
                return count
            if not self._take_next_file():
                self._stop.wait(LOOK_S)
        return 0

    def close(self) -> None:
        """Give it back; standard input stays."""
        if not self.closed and self._descriptor != 0:
            os.close(self._descriptor)
        super().close()

    def _take_next_file(self) -> bool:
        """Go on with the file that took the place of this one, or at the new beginning of this."""
        if self._path == STANDARD_INPUT:
            return False
        try:
            following = _opened(self._path)
        except OSError:
            # Between the two steps of a rotation there is none.
            return False
        mine, there = os.fstat(self._descriptor), os.fstat(following)
        read = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        if os.path.samestat(mine, there):
            is_cut = mine.st_size < read
            if is_cut:
                os.lseek(self._descriptor, 0, os.SEEK_SET)
        else:
            # What was written into the old one since its end was seen comes first.
            is_cut = mine.st_size <= read
            if is_cut:
                following, self._descriptor = self._descriptor, following
        os.close(following)
        self._is_torn = is_cut and self._is_within
        return is_cut or mine.st_size > read


def _opened(path: Path) -> int:
    # A named pipe that nobody writes to yet would hold the opening, and no stop could end it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(21, "Is a directory", str(path))
    return descriptor
