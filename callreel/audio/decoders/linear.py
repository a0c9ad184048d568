"""PCM, float and G.711: every sample stands for itself, so any place is read by arithmetic.

8-bit samples are moved up, exactly; wider ones and floats go to the nearest int16, halves to the
even one, and are clipped. No dither: what is stored decides alone what is heard.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from callreel.audio.blocks import RawBlock, StoredBytes, StoredPlace
from callreel.audio.g711 import G711Bytes, Int16s, alaw_decode, ulaw_decode
from callreel.audio.reader import ByteReader, SendingReader, can_send
from callreel.errors import Unplayable
from callreel.model import SourceFacts
from callreel.wording import to_translate


class LinearSource:
    """Sound of which every frame has its own bytes.

    Args:
        reader: Where the bytes are; stays open, and its owner closes it.
        facts: What was found at ingest; a codec with ``sample_bytes`` in ``audio/codecs.py``.
    """

    def __init__(self, reader: ByteReader, facts: SourceFacts) -> None:
        self.facts = facts
        self._reader = reader
        self.place: Callable[[int, int], StoredPlace] | None = None
        """As ``PlacedSource.place``."""
        if can_send(reader):
            self.place = partial(_placed, reader, facts)

    def read(self, start: int, count: int) -> RawBlock:
        """Frames [start, start + count), which must lie inside the recording.

        Raises:
            Unplayable: The file has become shorter.
        """
        facts = self.facts
        samples = _DECODE[facts.codec](np.frombuffer(self.stored(start, count), np.uint8))
        return RawBlock(samples.reshape(count, facts.channels), facts.rate_hz)

    def stored(self, start: int, count: int) -> StoredBytes:
        """The bytes of these frames as they are stored; raises as ``read`` does."""
        facts = self.facts
        wanted = count * facts.block_align
        data = self._reader.read_at(facts.data_offset + start * facts.block_align, wanted)
        if len(data) != wanted:
            raise Unplayable(
                to_translate("The stored file is shorter than it was when it was imported.")
            )
        return StoredBytes(data)

    def close(self) -> None:
        """Nothing is held."""


def _placed(reader: SendingReader, facts: SourceFacts, start: int, count: int) -> StoredPlace:
    width = facts.block_align
    return StoredPlace(reader, facts.data_offset + start * width, count * width)


def nearest_int16(scaled: npt.NDArray[np.float64]) -> Int16s:
    """The nearest int16 of values on its scale; not a number is silence."""
    whole = np.rint(np.clip(scaled, -32768, 32767))
    return np.nan_to_num(whole, copy=False).astype(np.int16)


def _from_bytes(codes: G711Bytes) -> Int16s:
    return (codes.astype(np.int16) - 128) << 8


def _from_three_bytes(data: G711Bytes) -> Int16s:
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = data.reshape(-1, 3)
    return _from_four_bytes(wide.reshape(-1))


def _from_four_bytes(data: G711Bytes) -> Int16s:
    return nearest_int16(data.view("<i4") / 65536.0)


def _from_float(values: npt.NDArray[np.floating]) -> Int16s:
    return nearest_int16(np.clip(values.astype(np.float64), -2, 2) * 32768)


_DECODE: dict[str, Callable[[G711Bytes], Int16s]] = {
    "ulaw": ulaw_decode,
    "alaw": alaw_decode,
    "pcm_u8": _from_bytes,
    "pcm_s16le": lambda data: data.view("<i2").astype(np.int16),
    "pcm_s24le": _from_three_bytes,
    "pcm_s32le": _from_four_bytes,
    "pcm_f32le": lambda data: _from_float(data.view("<f4")),
    "pcm_f64le": lambda data: _from_float(data.view("<f8")),
}
