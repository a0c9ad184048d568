"""One answer of sound, whichever door it leaves by: streamed, checked, written down, closed once.

A door is a token (``flows/deliver.py``) or the seat of somebody who signed in
(``flows/listen.py``). What they share is here, so that no door checks less than another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Protocol

from callreel.audio.blocks import SafeBytes, SafeExtent
from callreel.audio.formats import FORMATS
from callreel.audio.virtual import Part
from callreel.db.gate import Gate, Visit
from callreel.errors import Unavailable
from callreel.flows.sound import OpenSound, Sound
from callreel.flows.streams import Streams
from callreel.model import AudioSpec, Recording
from callreel.store.base import ObjectUnreadable
from callreel.wording import to_translate

LEAST_PIECE = 4096
"""Bytes, less than a second of any sound that lies in a file: one channel of G.711 has 8,000."""
MOST_AT_ONCE = 4 << 20
"""Bytes that a mask may have to wait for."""
_SHORTER = to_translate("The recording's store cannot be read now.")
ANSWER_BYTES = 8
"""Of the random name that the rows about one answer have in the audit log."""


class Door(Protocol):
    """Why somebody may hear a recording, and until when."""

    gate: Gate | None
    """Where masks wait for what is just being sent."""

    def require_open(self, recording: Recording) -> None:
        """Return where the sound may go on.

        Raises:
            MaskChanged: The mask is not the one that ``recording`` was read with.
            Forbidden, Unauthenticated: Whoever listens may not any more.
            Unavailable: It can't be known.
        """

    def started(self, recording: Recording) -> None:
        """Write down that sound is about to leave; what it raises is answered instead."""

    def ended(self, recording: Recording, start: int, bytes_sent: int) -> Future[None]:
        """Write down how much left, from which byte on; done when that is durable, or failed.

        The sound has left: a failure is told to the log, and to nobody who waits.
        """


class Delivery:
    """One answer, open until ``close``.

    For HEAD it holds no sound and ``size`` may be None; for GET ``size`` is always known.
    """

    def __init__(
        self,
        door: Door,
        recording: Recording,
        spec: AudioSpec,
        etag: str,
        sound: OpenSound | None,
        size: int | None,
        *,
        to_keep: bool,
    ) -> None:
        self._door = door
        self._recording = recording
        self._sound = sound
        self._ended: Future[None] | None = None
        self._start = 0
        self._lock = threading.Lock()
        self._visit: Visit | None = None
        chosen = FORMATS[spec.format]
        self.etag = etag
        self.size = size
        self.content_type = chosen.media_type
        self.recording_id = recording.id
        self.mask_revision = recording.mask_revision
        self.filename = f"call-{recording.id}{chosen.extensions[0]}"
        self.disposition = "attachment" if to_keep else "inline"

    def started(self) -> None:
        """Called once, just before the first byte of a GET; raises as ``Door.started``."""
        self._door.started(self._recording)

    def require_open(self) -> None:
        """As ``Door.require_open``."""
        self._door.require_open(self._recording)

    def stream(
        self, start: int, stop: int, *, by_kernel: bool = False
    ) -> Iterator[SafeBytes | SafeExtent]:
        """The bytes [start, stop), all of one revision.

        Args:
            start: First byte.
            stop: Behind the last.
            by_kernel: What lies in a file may be given as its place there, for ``send`` and
                ``read``. All else is given in pieces of at most one second of sound.

        Raises: as ``Door.require_open``; break the answer off.
        """
        if self._sound is None:
            raise AssertionError("a HEAD has no sound to stream")
        self._start = start
        file = self._sound.file
        if by_kernel and self._door.gate is not None:
            self._visit = self._door.gate.visit(self.recording_id)
            pieces = file.stretches(start, stop)
        else:
            pieces = file.parts(start, stop)
        return self._checked(pieces)

    def _checked(self, pieces: Iterator[Part | SafeExtent]) -> Iterator[SafeBytes | SafeExtent]:
        for piece in pieces:
            if isinstance(piece, SafeExtent):
                yield piece
                continue
            # After the piece was made and right before it goes out: a span that came while it was
            # being encoded must stop it.
            self._door.require_open(self._recording)
            yield piece.data

    def send(self, extent: SafeExtent, out: int) -> int:
        """Let the kernel send the beginning of what ``stream`` gave; no mask can come meanwhile.

        Args:
            extent: What is sent.
            out: A socket's descriptor that does not block.

        Returns:
            How many bytes it took; 0 where it takes none just now.

        Raises:
            As ``Door.require_open``.
            Unavailable: The file cannot be read.
            OSError: The socket is closed.
        """
        if self._visit is None:
            raise AssertionError("nothing is sent by the kernel without a gate")
        with self._visit, _told():
            self._door.require_open(self._recording)
            return extent.send_to(out, MOST_AT_ONCE)

    def read(self, extent: SafeExtent) -> SafeBytes:
        """The beginning of what ``stream`` gave, to be sent otherwise; less than a second.

        Raises: as ``send``.
        """
        with _told():
            data = extent.read(LEAST_PIECE)
        if not data:
            raise Unavailable(_SHORTER)
        self._door.require_open(self._recording)
        return data

    def close(self, bytes_sent: int = 0) -> Future[None]:
        """Give back source and slot, and record how much was sent; may be called twice.

        Returns:
            Done when it is written down, if it could be.
        """
        with self._lock:
            if self._ended is not None:
                return self._ended
            self._ended = Future()
            self._ended.set_result(None)
        if self._visit is not None:
            self._visit.close()
        if self._sound is not None:
            try:
                self._sound.close()
            finally:
                self._ended = self._door.ended(self._recording, self._start, bytes_sent)
        return self._ended


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ObjectUnreadable as error:
        raise Unavailable(_SHORTER, why=str(error)) from error


def open_delivery(  # noqa: PLR0913  # what both doors have
    door: Door,
    sound: Sound,
    streams: Streams,
    taker: str,
    recording: Recording,
    spec: AudioSpec,
    *,
    head: bool,
    to_keep: bool = False,
) -> Delivery:
    """An answer, ready to be sent.

    Args:
        door: Why it may be heard.
        sound: Makes what is served.
        streams: The places of this door.
        taker: Who takes one: a user, or a lease.
        recording: As it was found for whoever asks.
        spec: Format and channels.
        head: No sound is wanted.
        to_keep: It is a file to keep.

    Raises:
        NotReady, Unplayable, RecordingDeleted, Unavailable: as ``Sound.open``.
        Unavailable: Too many are sent already.
    """
    if head:
        size = sound.known_size(recording, spec)
        etag = sound.etag(recording, spec)
        return Delivery(door, recording, spec, etag, None, size, to_keep=to_keep)
    give_back = streams.take(taker)
    try:
        opened = sound.open(recording, spec)
    except BaseException:
        give_back()
        raise

    def close() -> None:
        try:
            opened.close()
        finally:
            give_back()

    held = OpenSound(opened.file, opened.etag, close)
    return Delivery(door, recording, spec, held.etag, held, held.file.size, to_keep=to_keep)
