"""GSM, IMA ADPCM, MP3, Ogg and FLAC through libsndfile, over bytes that our parsers chose.

libsndfile guesses from the first bytes what a file is. Those bytes are ours, or were looked at by
``audio/sniff.py``; what it took the file for is compared with that before anything is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import soundfile

from callreel.audio.blocks import Samples
from callreel.audio.codecs import CODECS
from callreel.audio.decoders.linear import nearest_int16
from callreel.audio.mp3 import mp3_window
from callreel.audio.reader import ByteReader, Window
from callreel.errors import Unplayable
from callreel.model import SourceFacts

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What libsndfile must take a file for, and how its samples are fetched."""

    container: str
    subtypes: frozenset[str]
    dtype: str


_KINDS = {
    "gsm": _Kind("WAV", frozenset({"GSM610"}), "int16"),
    "ima_adpcm": _Kind("WAV", frozenset({"IMA_ADPCM"}), "int16"),
    "mp3": _Kind("MP3", frozenset({"MPEG_LAYER_III"}), "float32"),
    "opus": _Kind("OGG", frozenset({"OPUS"}), "float32"),
    "vorbis": _Kind("OGG", frozenset({"VORBIS"}), "float32"),
    "flac": _Kind("FLAC", frozenset({"PCM_S8", "PCM_16", "PCM_24"}), "int32"),
}


class Undecodable(Unplayable):
    """libsndfile stopped with an error; what it gave before is good."""


class _OnwardFile(soundfile.SoundFile):  # type: ignore[misc] # soundfile ships no types
    """A SoundFile that does not seek to where it is after every read, as a seekable one does.

    In MP3 and Opus that seek starts the decoder anew, so the sound would depend on the size of the
    blocks in which it is read; and a read is cut at the length that the header gives.
    """

    def seekable(self) -> bool:
        """Told to soundfile only; libsndfile itself may go where it wants."""
        return False


class SndfileDecoder:
    """One pass over a recording.

    Args:
        reader: Where the bytes are; stays open, and its owner closes it.
        facts: What was found at ingest; a probe may expect a rate and channels of 0, for any.

    Raises:
        Undecodable: libsndfile cannot open it.
        Unplayable: It takes the file for something else than we do.
    """

    def __init__(self, reader: ByteReader, facts: SourceFacts) -> None:
        self._shown = CODECS[facts.codec].shown
        self._kind = _KINDS[facts.codec]
        self._window = _window(reader, facts)
        self._file: _OnwardFile | None = None
        file = self._guarded(lambda: _opened(self._window, facts))
        self._file = file
        self.rate_hz: int = file.samplerate
        self.channels: int = file.channels
        self.frames: int = file.frames
        """As the container gives them; not to be believed."""
        container = "RAW" if facts.container == "raw" else self._kind.container
        if (
            (file.format, file.subtype in self._kind.subtypes) != (container, True)
            or facts.rate_hz not in {0, self.rate_hz}
            or facts.channels not in {0, self.channels}
        ):
            self.close()
            raise Unplayable(f"The file begins like {self._shown} but is something else inside.")

    def read(self, count: int) -> Samples:
        """The next ``count`` frames; fewer only at the end.

        Raises:
            Undecodable: What follows cannot be decoded.
        """
        file, dtype = self._open_file(), self._kind.dtype
        found = self._guarded(lambda: file.read(count, dtype=dtype, always_2d=True))
        if dtype == "int16":
            samples: Samples = found
            return samples
        # libsndfile's own way from float to int16 wraps around where it should clip.
        scale = 1 / 65536 if dtype == "int32" else 32768
        return nearest_int16(found.astype(np.float64) * scale)

    def seek(self, frame: int) -> None:
        """Go to a frame; the sound there is exact only where blocks stand for themselves.

        Raises:
            Undecodable: libsndfile cannot go there.
        """
        file = self._open_file()
        self._guarded(lambda: file.seek(frame))

    def close(self) -> None:
        """Close the file of the library; closing twice is allowed."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open_file(self) -> _OnwardFile:
        if self._file is None:
            raise ValueError("the decoder is closed")
        return self._file

    def _guarded(self, call: Callable[[], _Result]) -> _Result:
        try:
            result = call()
        except soundfile.SoundFileError as error:
            self._raise_failure()
            raise Undecodable(
                f"The {self._shown} sound in the file cannot be decoded.", why=str(error)
            ) from error
        self._raise_failure()
        return result

    def _raise_failure(self) -> None:
        failure, self._window.failure = self._window.failure, None
        if failure is not None:
            raise failure


def _opened(window: Window, facts: SourceFacts) -> _OnwardFile:
    if facts.container == "raw":
        return _OnwardFile(
            window, samplerate=facts.rate_hz, channels=1, format="RAW", subtype="GSM610"
        )
    return _OnwardFile(window)


def _window(reader: ByteReader, facts: SourceFacts) -> Window:
    if facts.codec == "mp3":
        return mp3_window(reader, facts.data_offset, facts.data_size)
    prefix = _wav_header(facts) if facts.container == "wav" else b""
    return Window(reader, facts.data_offset, facts.data_size, prefix)


def _wav_header(facts: SourceFacts) -> bytes:
    """A header for the blocks of sound alone, with nothing in it that the file said."""
    if facts.codec == "gsm":
        tag, bits, block_frames = 0x31, 0, 320
    else:
        tag, bits = 0x11, 4
        block_frames = (facts.block_align - 4 * facts.channels) * 2 // facts.channels + 1
    bytes_per_second = facts.rate_hz * facts.block_align // block_frames
    fmt = struct.pack(
        "<4sIHHIIHHHH",
        b"fmt ",
        20,
        tag,
        facts.channels,
        facts.rate_hz,
        bytes_per_second,
        facts.block_align,
        bits,
        2,
        block_frames,
    )
    blocks = facts.data_size // facts.block_align
    fact = struct.pack("<4sII", b"fact", 4, blocks * block_frames)
    data = struct.pack("<4sI", b"data", facts.data_size)
    body = b"WAVE" + fmt + fact + data
    return struct.pack("<4sI", b"RIFF", len(body) + facts.data_size) + body
