"""Open a file beneath a folder, whatever its name claims.

Names of recordings come from other people's records (threats.md T29, T47), so a name is walked part
by part with open folders and no link is followed: nothing outside the folder can be reached, not
even when somebody swaps a folder for a link in the middle of the walk.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from callreel.store.base import ObjectMissing, ObjectUnreadable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO that somebody put there would wait for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NAME_MAX_BYTES = 255

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
_REASONS: dict[int, tuple[str, bool]] = {
    errno.ENOSPC: ("the disk is full", True),
    errno.EDQUOT: ("the disk quota is used up", True),
    errno.EROFS: ("the disk is mounted read-only", False),
    errno.EACCES: ("access is denied", False),
    errno.EPERM: ("access is denied", False),
    errno.EIO: ("the disk reported a read or write error", False),
    errno.EMFILE: ("too many files are open", True),
    errno.ENFILE: ("too many files are open", True),
    errno.ESTALE: ("the network disk lost the file", True),
    errno.ETIMEDOUT: ("the network disk does not answer", True),
}


def unreadable(error: OSError) -> ObjectUnreadable:
    """What the operating system said, of a store or of a file that is offered."""
    reason, retry = _REASONS.get(error.errno or 0, (os.strerror(error.errno or 0).lower(), False))
    return ObjectUnreadable(f"{reason[:1].upper()}{reason[1:]}.", retry=retry)


def open_root(root: Path) -> int:
    """Open the folder of a store; the administrator's own links on the way to it are followed.

    Raises:
        ObjectUnreadable: It is not there (unmounted), or may not be read.
    """
    try:
        return os.open(root, _FOLDER)
    except OSError as error:
        if error.errno in _ABSENT:
            raise ObjectUnreadable("The folder of the store is away.", retry=True) from error
        raise unreadable(error) from error


def safe_parts(name: str) -> list[str] | None:
    """The parts of a relative name, or None where it could mean anything but a file beneath."""
    parts = name.split("/")
    for part in parts:
        if part in {"", ".", ".."} or "\0" in part:
            return None
        try:
            if len(os.fsencode(part)) > _NAME_MAX_BYTES:
                return None
        except UnicodeEncodeError:
            return None
    return parts


def open_folder(parts: list[str], root_fd: int) -> int:
    """Open a folder beneath an open one, part by part, following no link.

    Raises:
        OSError: As the operating system says it.
    """
    folder = os.dup(root_fd)
    for part in parts:
        try:
            deeper = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
        folder = deeper
    return folder


def open_beneath(root: Path, name: str) -> int:
    """Open a plain file beneath ``root`` for reading; the caller closes it.

    Args:
        root: A folder that is trusted, with the way to it.
        name: Relative, with ``/`` between its parts; not trusted.

    Returns:
        A file descriptor.

    Raises:
        ObjectMissing: No plain file of that name is there, or the name or a link leads elsewhere.
        ObjectUnreadable: It is there and cannot be read.
    """
    parts = safe_parts(name)
    if parts is None:
        raise ObjectMissing
    root_fd = open_root(root)
    try:
        folder = open_folder(parts[:-1], root_fd)
        try:
            file = os.open(parts[-1], _FILE, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno in _ABSENT or error.errno == errno.ENXIO:
            raise ObjectMissing from error
        raise unreadable(error) from error
    finally:
        os.close(root_fd)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        with suppress(OSError):
            os.close(file)
        raise ObjectMissing
    return file
