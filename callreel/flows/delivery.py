"""One answer of sound, whichever door it leaves by: streamed, checked, written down, closed once.

A door is a token (``flows/deliver.py``) or the seat of somebody who signed in
(``flows/listen.py``). What they share is here, so that no door checks less than another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol

from callreel.audio.formats import FORMATS
from callreel.flows.sound import OpenSound, Sound
from callreel.flows.streams import Streams
from callreel.model import AudioSpec, Recording

ANSWER_BYTES = 8
"""Of the random name that the rows about one answer have in the audit log."""


class Door(Protocol):
    """Why somebody may hear a recording, and until when."""

    def require_open(self, recording: Recording) -> None:
        """Return where the sound may go on.

        Raises:
            MaskChanged: The mask is not the one that ``recording`` was read with.
            Forbidden, Unauthenticated: Whoever listens may not any more.
            Unavailable: It can't be known.
        """

    def started(self, recording: Recording) -> None:
        """Write down that sound is about to leave; what it raises is answered instead."""

    def ended(self, recording: Recording, start: int, bytes_sent: int) -> None:
        """Write down how much left, from which byte on."""


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
        self._closed = False
        self._start = 0
        self._lock = threading.Lock()
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

    def stream(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes [start, stop), each piece at most one second of sound, all of one revision.

        Raises: as ``Door.require_open``; break the answer off.
        """
        if self._sound is None:
            raise AssertionError("a HEAD has no sound to stream")
        self._start = start
        for part in self._sound.file.parts(start, stop):
            # After the piece was made and right before it goes out: a span that came while it was
            # being encoded must stop it.
            self._door.require_open(self._recording)
            yield part.data

    def close(self, bytes_sent: int = 0) -> None:
        """Give back source and slot, and record how much was sent; may be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._sound is not None:
            try:
                self._sound.close()
            finally:
                self._door.ended(self._recording, self._start, bytes_sent)


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
