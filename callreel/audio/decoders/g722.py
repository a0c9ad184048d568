"""Raw G.722, through the one decoder of PyAV that is meant for it: no demuxer, no guessing.

Every byte is two frames at 16 kHz, whatever it holds, so the length is arithmetic.
Source: ITU-T G.722 (64 kbit/s, mode 1); RFC 3551 section 4.5.2.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np

from callreel.audio.blocks import Samples
from callreel.audio.reader import ByteReader
from callreel.errors import Unplayable
from callreel.model import SourceFacts

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

RATE_HZ = 16000
_PACKET_BYTES = 8192


def require_g722() -> None:
    """Raise where the optional library is not installed.

    Raises:
        Unplayable: It is not; the message names the extra.
    """
    if importlib.util.find_spec("av") is None:
        raise Unplayable("G.722 needs an optional library: pip install 'callreel[ffmpeg]'.")


class G722Decoder:
    """One pass over a raw G.722 recording.

    Args:
        reader: Where the bytes are.
        facts: What was found at ingest.

    Raises:
        Unplayable: The optional library is not installed.
    """

    def __init__(self, reader: ByteReader, facts: SourceFacts) -> None:
        require_g722()
        import av  # noqa: PLC0415 - an extra, and slow to load

        self._reader = reader
        self._place = facts.data_offset
        self._end = facts.data_offset + facts.data_size
        self._packet = av.Packet
        codec: AudioCodecContext = av.CodecContext.create("g722", "r")
        codec.sample_rate = RATE_HZ
        codec.layout = "mono"
        self._codec = codec
        self._waiting: Samples = np.zeros((0, 1), np.int16)

    def read(self, count: int) -> Samples:
        """The next ``count`` frames, or fewer where that is handier; none only at the end."""
        if not len(self._waiting):
            self._waiting = self._decoded()
        found, self._waiting = self._waiting[:count], self._waiting[count:]
        return found

    def close(self) -> None:
        """Let the decoder go."""
        self._waiting = self._waiting[:0]
        self._end = self._place

    def _decoded(self) -> Samples:
        data = self._reader.read_at(self._place, min(_PACKET_BYTES, self._end - self._place))
        if not data:
            return np.zeros((0, 1), np.int16)
        self._place += len(data)
        frames = self._codec.decode(self._packet(data))
        parts = [frame.to_ndarray().reshape(-1, 1) for frame in frames]
        return np.concatenate(parts).astype(np.int16, copy=False)
