"""What was made once is kept: outputs whose size nothing tells beforehand, and segments of others.

The files hold masked sound only. They are found by an identity that names content, mask, format and
encoder, so that none is ever out of date, and the ones used longest ago are dropped.
Source: contract.md 3.3.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Self

from callreel.audio.blocks import SafeBytes
from callreel.audio.footer import Footer, append_footer, read_footer
from callreel.audio.prepared import Prepared
from callreel.audio.shared import Name, Origin, SharedSegments
from callreel.audio.virtual import Part
from callreel.errors import RenderGoesOn, Unavailable
from callreel.wording import to_translate

Tick = Callable[[], None]
"""Called for each second of sound or more often than once a second; raises when the render should
end."""
Render = Callable[[Path, Tick], list[int]]
"""Writes a whole output into the file. Gives the positions, rising, at which it may be cut: between
two neighbours, and before the first and behind the last, there is at most one second of sound."""

_LATER = to_translate("The recording is being prepared in this format; ask again.")
_RETRY_S = 5


class RenderCache:
    """Renders, each made once however many ask for it.

    Args:
        folder: Made if missing, readable by us alone; nothing else may be kept in it.
        limit_bytes: How much is kept; the render made last is kept even if larger.
        wait_s: How long ``get`` waits before it sends its caller away.
        workers: How many renders are made at once.
    """

    def __init__(
        self, folder: Path, limit_bytes: int, wait_s: float = 30.0, *, workers: int = 2
    ) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._total = 0
        self.rounds = 0
        """As ``Shelf.rounds``."""
        self.segments = SharedSegments(self)
        self.prepared = Prepared()
        self._closing = threading.Event()
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="render")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        found = []
        for path in folder.iterdir():
            if path.suffix == ".part":
                path.unlink()
            else:
                facts = path.stat()
                found.append((facts.st_mtime_ns, path.name, facts.st_size))
        for _, name, size in sorted(found):
            self._enter(name, _Entry(size))

    def size_if_ready(self, identity: str) -> int | None:
        """Bytes of a finished render; None where there is none. Starts nothing."""
        with self._lock:
            try:
                file = self._open(_name(identity))
            except FileNotFoundError:
                return None
        with file:
            return file.size

    def get(self, identity: str, render: Render) -> RenderedFile:
        """A finished render, made now if there is none; waits for it.

        Args:
            identity: The recording's id, a slash, and everything else that the bytes depend on.
            render: Called in another thread, once for all who ask at the same time, and goes on
                after they were sent away.

        Raises:
            RenderGoesOn: It is not done yet.
            Unavailable: There is no room for it, or the cache is being closed.
            CallreelError: What ``render`` raised. It is not kept: the next caller tries again.
        """
        name = _name(identity)
        deadline = time.monotonic() + self._wait_s
        while True:
            with self._lock:
                try:
                    return self._open(name)
                except FileNotFoundError:
                    job = self._jobs.get(name) or self._start(name, render)
            wait([job.future], max(0.0, deadline - time.monotonic()))
            if not job.future.done():
                raise RenderGoesOn(_LATER, retry_after_s=_RETRY_S)
            job.future.result()
            # Round again to open it: others may have pushed it out in between.
            if time.monotonic() > deadline:
                raise RenderGoesOn(_LATER, retry_after_s=_RETRY_S)

    def kept(self, name: Name) -> list[Part] | None:
        """As ``Shelf.kept``."""
        try:
            with self._lock:
                file = self._open(_name(name.identity))
            with file:
                return list(file.parts(0, file.size))
        except (OSError, Unavailable):
            # It is made again.
            return None

    def keep(self, name: Name, parts: list[Part], rounds: int) -> None:
        """As ``Shelf.keep``."""
        path = self._part()
        try:
            _create(path)
            path.write_bytes(b"".join(part.data for part in parts))
            append_footer(path, list(accumulate(len(part.data) for part in parts)))
            with self._lock:
                if rounds == self.rounds and not self._closing.is_set():
                    self._keep(path, _name(name.identity), name.origin)
        except OSError:
            # Nobody asked for it to be kept: whoever wants it makes it again.
            return
        finally:
            path.unlink(missing_ok=True)

    def forget(
        self, recording_id: str, is_true: Callable[[Origin], bool] = lambda _: False
    ) -> None:
        """Drop what was made of a recording, and what is being rendered of it now.

        Args:
            recording_id: Its id.
            is_true: Of which segments the bytes would be the same again; they stay.
        """
        prefix = _prefix(recording_id)
        self.prepared.forget(recording_id)
        with self._lock:
            self.rounds += 1
            for name, job in self._jobs.items():
                if name.startswith(prefix):
                    job.stop.set()
            for name in [name for name in self._entries if name.startswith(prefix)]:
                origin = self._entries[name].origin
                if origin is None or not is_true(origin):
                    self._drop(name)

    def clear(self) -> None:
        """Drop everything that is finished."""
        with self._lock:
            self.rounds += 1
            for name in list(self._entries):
                self._drop(name)

    def close(self) -> None:
        """End the renders that run, and wait for that; may be called twice."""
        self._closing.set()
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
        # Not cancelled: what waits for a cancelled one is never woken. Each ends at its first tick.
        self._workers.shutdown(wait=True)

    def _open(self, name: str) -> RenderedFile:
        path = self._folder / name
        file = RenderedFile(path)
        if name in self._entries:
            self._entries.move_to_end(name)
            os.utime(path)
        return file

    def _start(self, name: str, render: Render) -> _Job:
        if self._closing.is_set():
            raise Unavailable(to_translate("Callreel is being stopped."), retry_after_s=_RETRY_S)
        job = _Job()
        self._jobs[name] = job
        job.future = self._workers.submit(self._work, name, render, job)
        return job

    def _work(self, name: str, render: Render, job: _Job) -> None:
        part = self._part()

        def tick() -> None:
            if job.stop.is_set():
                raise Unavailable(to_translate("The render was given up."), retry_after_s=_RETRY_S)

        try:
            tick()
            _create(part)
            marks = render(part, tick)
            append_footer(part, marks)
            with self._lock:
                tick()
                self._keep(part, name)
        except OSError as error:
            raise Unavailable(
                to_translate("The recording cannot be prepared in this format now."),
                retry_after_s=60,
                why=str(error),
            ) from error
        finally:
            part.unlink(missing_ok=True)
            with self._lock:
                del self._jobs[name]

    def _part(self) -> Path:
        return self._folder / f"{secrets.token_hex(12)}.part"

    def _keep(self, part: Path, name: str, origin: Origin | None = None) -> None:
        size = part.stat().st_size
        part.replace(self._folder / name)
        self._leave(name)
        self._enter(name, _Entry(size, origin))
        while self._total > self._limit_bytes and len(self._entries) > 1:
            self._drop(next(iter(self._entries)))

    def _drop(self, name: str) -> None:
        # Who has it open reads on: the name goes, the file stays until it is closed.
        (self._folder / name).unlink(missing_ok=True)
        self._leave(name)

    def _enter(self, name: str, entry: _Entry) -> None:
        self._entries[name] = entry
        self._total += entry.size

    def _leave(self, name: str) -> None:
        left = self._entries.pop(name, None)
        self._total -= 0 if left is None else left.size


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is finished and kept."""

    size: int
    """Bytes on the disk."""
    origin: Origin | None = None
    """Of a segment, where it is known."""


class _Job:
    """One render that runs."""

    __slots__ = ("future", "stop")

    future: Future[None]

    def __init__(self) -> None:
        self.stop = threading.Event()


def _create(path: Path) -> None:
    """An empty file that nobody else may read."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def erase_renders(folder: Path, recording_id: str) -> None:
    """Erase the finished renders of a recording from a cache that another process may serve."""
    if folder.is_dir():
        for path in folder.glob(f"{_prefix(recording_id)}*"):
            path.unlink(missing_ok=True)


def _prefix(recording_id: str) -> str:
    return hashlib.sha256(recording_id.encode()).hexdigest()[:24] + "-"


def _name(identity: str) -> str:
    recording_id, _, _ = identity.partition("/")
    return _prefix(recording_id) + hashlib.sha256(identity.encode()).hexdigest()[:40]


class RenderedFile:
    """A virtual file over a finished render.

    Args:
        path: Of a file of the cache.

    Raises:
        FileNotFoundError: There is none, or it was cut short by a crash.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY)
        try:
            footer = read_footer(self._fd)
        except OSError:
            os.close(self._fd)
            raise
        if footer is None:
            os.close(self._fd)
            raise FileNotFoundError(path.name)
        self._footer: Footer = footer
        self._is_open = True
        self.size = footer.size

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """As ``VirtualFile.parts``."""
        if not 0 <= start <= stop <= self.size:
            raise ValueError("a range outside the file")
        return self._parts(start, stop)

    def stretches(self, start: int, stop: int) -> Iterator[Part]:
        """As ``VirtualFile.stretches``: all of it in parts."""
        return self.parts(start, stop)

    def _parts(self, start: int, stop: int) -> Iterator[Part]:
        marks = self._footer.marks
        at = start
        while at < stop:
            following = bisect_right(marks, at)
            end = min(stop, marks[following] if following < len(marks) else stop)
            data = os.pread(self._fd, end - at, at)
            if not data:
                raise Unavailable(
                    to_translate("The prepared recording cannot be read."), retry_after_s=_RETRY_S
                )
            yield Part(SafeBytes(data), 1.0)
            at += len(data)

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._is_open:
            self._is_open = False
            os.close(self._fd)

    def __enter__(self) -> Self:
        """Use as a context: closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()
