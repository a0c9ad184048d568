"""Recordings on local disk: copied into a store of ours, or left where the administrator has them.

Nothing becomes visible under its final name before it is whole and on the disk, so a process that
is killed at any instant leaves either the object or nothing (threats.md F1).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from callreel.store.base import Handle, ObjectInfo, ObjectMissing, ObjectUnreadable
from callreel.store.beneath import open_beneath, open_folder, open_root, safe_parts, unreadable

_CHUNK_BYTES = 1 << 20
_INCOMING = "incoming"
_KEY = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalHandle:
    """An open file; reads are positioned, so threads may share it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        facts = os.fstat(descriptor)
        self._size = facts.st_size
        self._stamp = facts.st_mtime_ns
        # A read that raced with close could meet another file under the reused number.
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Size in bytes when it was opened."""
        return self._size

    @property
    def stamp(self) -> int:
        """When the file was last written, in nanoseconds."""
        return self._stamp

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; shorter only at the end.

        Raises:
            ObjectUnreadable: The disk failed, or the handle is closed.
        """
        wanted = max(0, min(length, self._size - offset))
        found = b""
        try:
            with self._lock:
                while len(found) < wanted:
                    part = os.pread(self._descriptor, wanted - len(found), offset + len(found))
                    if not part:
                        break
                    found += part
        except OSError as error:
            raise unreadable(error) from error
        return found

    def send_to(self, out: int, offset: int, length: int) -> int:
        """As ``audio/reader.py`` says of a reader that can be sent from.

        Raises:
            ObjectUnreadable: The disk failed, the file ends before, or the handle is closed.
            OSError: The socket is closed.
        """
        sent = 0
        with self._lock, suppress(BlockingIOError):
            if self._descriptor < 0:
                raise ObjectUnreadable("The file is closed.", retry=False)
            while sent < length:
                try:
                    taken = os.sendfile(out, self._descriptor, offset + sent, length - sent)
                except OSError as error:
                    if error.errno == errno.EIO:
                        raise unreadable(error) from error
                    raise
                if not taken:
                    raise ObjectUnreadable("The file has become shorter.", retry=False)
                sent += taken
        return sent

    def close(self) -> None:
        """Give the file back; closing twice is allowed."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)


class LocalStore:
    """A folder of ours; keys are made from the SHA-256 of the bytes.

    Args:
        root: The folder; must exist.
        read_only: Refuse ``put`` and ``delete``.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self._root = root
        self.read_only = read_only
        self._swept = False
        self._durable_folders: set[str] = set()

    def open(self, key: str) -> Handle:
        """Open for random reads; any key that ``put`` did not make is missing.

        Raises:
            ObjectMissing: No such object.
            ObjectUnreadable: The disk failed.
        """
        if _KEY.fullmatch(key) is None:
            raise ObjectMissing
        return LocalHandle(open_beneath(self._root, key))

    def put(self, source: BinaryIO) -> ObjectInfo:
        """Copy to the end, hash while copying, make durable, then make visible.

        What is there already is read and compared, not written again; a damaged copy is replaced.

        Raises:
            ObjectUnreadable: The disk is full, read-only or broken, or the source cannot be read.

        Cost: one pass over the source, and one over the copy that is there already.
        """
        if self.read_only:
            raise ObjectUnreadable("The store is read-only.", retry=False)
        try:
            root_fd = open_root(self._root)
            try:
                return self._put(root_fd, source)
            finally:
                os.close(root_fd)
        except OSError as error:
            raise unreadable(error) from error

    def _put(self, root_fd: int, source: BinaryIO) -> ObjectInfo:
        incoming = _made_folder(root_fd, _INCOMING)
        try:
            if not self._swept:
                _sweep(incoming)
                self._swept = True
            name, descriptor = _new_file(incoming)
            try:
                size, digest = _copy(source, descriptor)
                # A failed fsync is never tried again: the kernel may have dropped the pages and
                # would report success for bytes that are lost (threats.md F4).
                os.fsync(descriptor)
                key = self.key_of(digest)
                self._show(root_fd, incoming, name, key)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=incoming)
                os.close(descriptor)
        finally:
            os.close(incoming)
        return ObjectInfo(key=key, size_bytes=size, sha256=digest)

    def _show(self, root_fd: int, incoming: int, name: str, key: str) -> None:
        first, second, digest = key.split("/")
        outer = _made_folder(root_fd, first)
        try:
            inner = _made_folder(outer, second)
            # Once per folder and process, also where they were there: whoever made them may have
            # died before they were durable.
            if key[:5] not in self._durable_folders:
                os.fsync(outer)
                os.fsync(root_fd)
                self._durable_folders.add(key[:5])
        finally:
            os.close(outer)
        try:
            if not self._is_whole(key):
                os.rename(name, digest, src_dir_fd=incoming, dst_dir_fd=inner)
            # Also where it was there: whoever renamed it may have died before this line.
            os.fsync(inner)
        finally:
            os.close(inner)

    def _is_whole(self, key: str) -> bool:
        try:
            handle = self.open(key)
        except ObjectMissing:
            return False
        try:
            digest = hashlib.sha256()
            for offset in range(0, handle.size, _CHUNK_BYTES):
                digest.update(handle.read_at(offset, _CHUNK_BYTES))
            return key.endswith(digest.hexdigest())
        finally:
            handle.close()

    @staticmethod
    def key_of(sha256: str) -> str:
        """The hash itself, below two folders of its first digits."""
        return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"

    def delete(self, key: str) -> None:
        """Remove for good; deleting what is missing is allowed.

        Raises:
            ObjectUnreadable: The store is read-only or the disk failed.
        """
        if self.read_only:
            raise ObjectUnreadable("The store is read-only.", retry=False)
        if _KEY.fullmatch(key) is None:
            return
        first, second, digest = key.split("/")
        root_fd = open_root(self._root)
        try:
            folder = open_folder([first, second], root_fd)
            try:
                os.unlink(digest, dir_fd=folder)
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise unreadable(error) from error
        finally:
            os.close(root_fd)

    def keys(self) -> Iterator[str]:
        """Every object, in no order."""
        for key in _files_beneath(self._root):
            if _KEY.fullmatch(key) is not None:
                yield key


class InPlaceStore:
    """A folder of the administrator's, never written to; keys are relative paths.

    Unlike other stores its keys are names that somebody else chose, so every part is walked; a name
    or a link that leads out of the folder is missing.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.read_only = True

    def open(self, key: str) -> Handle:
        """Open for random reads.

        Raises:
            ObjectMissing: No plain file of that name beneath the folder.
            ObjectUnreadable: The disk failed, or the folder is away.
        """
        return LocalHandle(open_beneath(self._root, key))

    def put(self, source: BinaryIO) -> ObjectInfo:  # noqa: ARG002 - refused, whatever it is
        """Refuse: the folder is not ours.

        Raises:
            ObjectUnreadable: Always.
        """
        raise ObjectUnreadable("The store is read-only.", retry=False)

    def key_of(self, sha256: str) -> str:  # noqa: ARG002 - refused, whatever it is
        """Refuse.

        Raises:
            ObjectUnreadable: Always.
        """
        raise ObjectUnreadable("The store is read-only.", retry=False)

    def delete(self, key: str) -> None:  # noqa: ARG002 - refused, whatever it is
        """Refuse: the folder is not ours.

        Raises:
            ObjectUnreadable: Always.
        """
        raise ObjectUnreadable("The store is read-only.", retry=False)

    def keys(self) -> Iterator[str]:
        """Every plain file, in no order; links are left out."""
        return _files_beneath(self._root)


def _copy(source: BinaryIO, descriptor: int) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]
    return size, digest.hexdigest()


def _made_folder(parent: int, name: str) -> int:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    return open_folder([name], parent)


def _new_file(folder: int) -> tuple[str, int]:
    """A private file that says by its lock that somebody still writes it."""
    while True:
        name = secrets.token_hex(16)
        descriptor = os.open(name, _NEW, 0o600, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        # A sweeper may have come between the two lines above.
        if os.fstat(descriptor).st_nlink:
            return name, descriptor
        os.close(descriptor)


def _sweep(folder: int) -> None:
    """Remove what killed processes left; a file in use is locked by whoever writes it."""
    for name in os.listdir(folder):
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
        except (BlockingIOError, FileNotFoundError):
            continue
        finally:
            os.close(descriptor)


def _files_beneath(root: Path) -> Iterator[str]:
    for folder, _, files in os.walk(root):
        for name in files:
            path = Path(folder, name)
            key = path.relative_to(root).as_posix()
            if stat.S_ISREG(path.lstat().st_mode) and safe_parts(key) is not None:
                yield key
