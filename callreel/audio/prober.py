"""Probing of files from outside, with the decoding in a child process that can do no harm."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from types import TracebackType
from typing import Self

from callreel.audio.limits import ProbeLimits
from callreel.audio.probe import look, needs_decoder, require_sane
from callreel.audio.probe_child import OUT_OF_MEMORY, receive, send
from callreel.audio.reader import ByteReader
from callreel.errors import Unavailable, Unplayable
from callreel.model import SourceFacts
from callreel.wording import to_translate

_MOST_READ_BYTES = 1 << 20


class Prober:
    """Finds out what files hold. Safe for many threads; one file is decoded at a time.

    One child serves file after file and is replaced when a file was too much for it. Must be
    closed.

    Args:
        limits: What one file may cost; None for the usual bounds.
    """

    def __init__(self, limits: ProbeLimits | None = None) -> None:
        self._limits = limits or ProbeLimits()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def probe(self, reader: ByteReader, name: str) -> SourceFacts:
        """The facts about a file.

        Args:
            reader: The file; whatever its ``read_at`` raises comes out as it is.
            name: Its name; only the extension counts, and only for raw sound. Never opened.

        Raises:
            Unplayable: It cannot be played, or the decoder broke on it; the message says why.
            Unavailable: No child process can be started.

        Cost: PCM and G.711 a few reads; everything else is decoded once.
        """
        facts = look(reader, name, self._limits)
        if not needs_decoder(facts):
            return facts
        with self._lock:
            while True:
                fresh = self._child is None
                try:
                    return self._verified(self._ready_child(), reader, facts)
                except _BrokenDown as broken:
                    # A file is blamed only if a child broke that had seen no other.
                    if fresh or broken.overdue:
                        raise broken.verdict from broken

    def close(self) -> None:
        """End the child; closing twice is allowed, and probing again starts a new one."""
        with self._lock:
            self._discard()

    def __enter__(self) -> Self:
        """The prober itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _ready_child(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._discard()
        try:
            child = subprocess.Popen(
                [sys.executable, "-I", "-m", "callreel.audio.probe_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                # Each of numpy's threads would take address space that the limit counts.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        except OSError as error:
            raise Unavailable(
                to_translate("The process that decodes files cannot be started now."),
                why=str(error),
            ) from error
        self._child = child
        try:
            receive(_output(child))
        except EOFError:
            code = child.wait()
            self._discard()
            raise Unavailable(
                to_translate("The process that decodes files ended before it was ready."),
                why=f"code {code}",
            ) from None
        return child

    def _verified(
        self, child: subprocess.Popen[bytes], reader: ByteReader, facts: SourceFacts
    ) -> SourceFacts:
        timer = threading.Timer(self._limits.wall_s, child.kill)
        timer.daemon = True
        timer.start()
        try:
            return self._converse(child, reader, facts)
        except Unplayable:
            raise
        except (EOFError, BrokenPipeError, ValueError, TypeError, struct.error) as error:
            overdue = not timer.is_alive()
            self._discard()
            raise _BrokenDown(child.returncode, overdue=overdue) from error
        except BaseException:
            # The child still waits for an answer; the next file must not get it.
            self._discard()
            raise
        finally:
            timer.cancel()

    def _converse(
        self, child: subprocess.Popen[bytes], reader: ByteReader, facts: SourceFacts
    ) -> SourceFacts:
        job = {"facts": asdict(facts), "size": reader.size, "limits": asdict(self._limits)}
        send(_input(child), b"P", json.dumps(job).encode())
        while True:
            letter, body = receive(_output(child))
            if letter == b"R":
                offset, length = struct.unpack(">QQ", body)
                part = reader.read_at(offset, min(length, _MOST_READ_BYTES))
                send(_input(child), b"D", part)
            elif letter == b"U":
                raise Unplayable(str(json.loads(body)))
            else:
                return self._believed(facts, body, reader.size)

    def _believed(self, looked: SourceFacts, body: bytes, size_bytes: int) -> SourceFacts:
        """What the child found, as far as it can be true.

        Raises:
            ValueError, TypeError: It talks nonsense.
        """
        found = SourceFacts(**json.loads(body))
        facts = replace(
            looked,
            rate_hz=int(found.rate_hz),
            channels=int(found.channels),
            frames=int(found.frames),
            memory_frames=int(found.memory_frames),
            repaired=None if found.repaired is None else str(found.repaired),
        )
        require_sane(facts, size_bytes, self._limits)
        return facts

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        try:
            # Closed pipes end a sound child; one that broke keeps the exit code that says why.
            child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class _BrokenDown(Exception):
    """The child is gone in the middle of a file, or talked nonsense."""

    def __init__(self, code: int, *, overdue: bool) -> None:
        super().__init__(code)
        self.overdue = overdue
        if overdue:
            reason = "Decoding the file took too long and was stopped."
        elif code == -signal.SIGXCPU:
            reason = "Decoding the file took too much work and was stopped."
        elif code == OUT_OF_MEMORY:
            reason = "Decoding the file took too much memory and was stopped."
        else:
            reason = "The decoder broke down over the file."
        self.verdict = Unplayable(reason, code=code)


def _input(child: subprocess.Popen[bytes]) -> int:
    if child.stdin is None:
        raise ValueError("the child has no standard input")
    return child.stdin.fileno()


def _output(child: subprocess.Popen[bytes]) -> int:
    if child.stdout is None:
        raise ValueError("the child has no standard output")
    return child.stdout.fileno()
