"""A fill from a file of sound that an administrator chose."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from callreel.audio.fill import LEAST_S, MOST_S, fill_of
from callreel.audio.probe import probe
from callreel.audio.reader import ByteReader
from callreel.audio.sources import open_source
from callreel.errors import BadRequest, Unplayable
from callreel.model import Fill


def read_fill(reader: ByteReader, name: str) -> Fill:
    """A fill from a file of sound: any WAV that can be a source.

    Args:
        reader: The file.
        name: Its name, for the extension.

    Raises:
        BadRequest: It cannot be decoded, or is too short, too long or silent.
    """
    try:
        facts = probe(reader, name)
        if not LEAST_S <= facts.duration_s <= MOST_S:
            fill_of("file", samples=bytes(2 * facts.frames), rate_hz=facts.rate_hz)
        source = open_source(reader, facts)
        try:
            samples = source.read(0, facts.frames).samples.astype(np.int32)
        finally:
            source.close()
    except Unplayable as error:
        raise BadRequest(f"fill: the file cannot be played: {error.message}") from None
    mono = (samples.sum(axis=1) // samples.shape[1]).astype("<i2")
    return fill_of("file", samples=mono.tobytes(), rate_hz=facts.rate_hz)


def read_fill_file(path: Path) -> Fill:
    """As ``read_fill``, from a path."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadRequest(f"fill: {path}: {error.strerror}.") from None
    return read_fill(_Bytes(data), path.name)


class _Bytes:
    """A small file in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        """As ``ByteReader.read_at``."""
        return self._data[offset : offset + length]
