"""The process in which files from outside are decoded for the first time.

It talks to ``audio/prober.py`` over its standard input and output, and has nothing else: before the
first file it gives up the right to open files or sockets, to write to disk, and to grow. A decoder
that is taken in by a file can therefore neither read another file nor fill the machine.

Messages are a letter, a length of 4 bytes, and so many bytes. Here come ``P`` (a file to probe:
facts, size and limits as JSON) and ``D`` (bytes that were asked for); from here go ``H`` (ready),
``R`` (asks for bytes: offset and length, 8 bytes each), ``F`` (facts as JSON) and ``U`` (cannot be
played; the reason as JSON).
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from callreel.audio.limits import ProbeLimits
from callreel.audio.probe import verify
from callreel.errors import Unplayable
from callreel.model import SourceFacts

MOST_MESSAGE_BYTES = 1 << 24
OUT_OF_MEMORY = 77
"""Exit code of a child that ran out of its memory."""
_STDIN, _STDOUT, _STDERR = 0, 1, 2


def send(descriptor: int, letter: bytes, body: bytes) -> None:
    """Write a message; blocks until the other side has room for it."""
    message = memoryview(letter + struct.pack(">I", len(body)) + body)
    while message:
        message = message[os.write(descriptor, message) :]


def receive(descriptor: int) -> tuple[bytes, bytes]:
    """Read a message.

    Returns:
        Its letter and its body.

    Raises:
        EOFError: The other side is gone, or talks nonsense.
    """
    head = _exactly(descriptor, 5)
    size = int.from_bytes(head[1:], "big")
    if size > MOST_MESSAGE_BYTES:
        raise EOFError
    return head[:1], _exactly(descriptor, size)


def serve(channel_in: int, channel_out: int, before_each: Callable[[ProbeLimits], None]) -> None:
    """Probe one file after the other, until the other side closes.

    Args:
        channel_in: Descriptor to read messages from.
        channel_out: Descriptor to write messages to.
        before_each: Sets the limits that count per file.
    """
    send(channel_out, b"H", b"")
    while True:
        try:
            _, body = receive(channel_in)
        except EOFError:
            return
        job = json.loads(body)
        limits = ProbeLimits(**job["limits"])
        before_each(limits)
        reader = _PipeReader(channel_in, channel_out, job["size"])
        try:
            facts = verify(reader, SourceFacts(**job["facts"]), limits)
        except Unplayable as error:
            send(channel_out, b"U", json.dumps(error.message).encode())
        except MemoryError:
            sys.exit(OUT_OF_MEMORY)
        else:
            send(channel_out, b"F", json.dumps(asdict(facts)).encode())


class _PipeReader:
    """A file whose bytes the other side hands over on demand."""

    def __init__(self, channel_in: int, channel_out: int, size: int) -> None:
        self._in = channel_in
        self._out = channel_out
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, length: int) -> bytes:
        send(self._out, b"R", struct.pack(">QQ", offset, max(0, length)))
        return receive(self._in)[1]


def _exactly(descriptor: int, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = os.read(descriptor, min(count - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


class _Confinement:
    """What this process may use; tightened once, then renewed for each file."""

    def __init__(self) -> None:
        self._own_bytes = _address_space_bytes()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        # What is open stays open; every open, socket and pipe from here on fails in the kernel.
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))

    def before_each(self, limits: ProbeLimits) -> None:
        if self._own_bytes:
            most = self._own_bytes + limits.memory_bytes
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = int(used.ru_utime + used.ru_stime) + 1 + limits.cpu_s
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, resource.RLIM_INFINITY))


def _address_space_bytes() -> int:
    """Size of this process before its first file; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except FileNotFoundError:
        return 0
    return pages * resource.getpagesize()


def main() -> None:
    """Run as a child; ends when its standard input does."""
    channel_out = os.dup(_STDOUT)
    # A library that prints must not be able to talk into the channel.
    os.dup2(_STDERR, _STDOUT)
    serve(_STDIN, channel_out, _Confinement().before_each)


if __name__ == "__main__":
    main()
