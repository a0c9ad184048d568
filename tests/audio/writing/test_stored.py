"""From stored bytes, through the readers of real codecs, to outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from callreel.audio.pipeline import Identity, open_output
from callreel.audio.probe import probe
from callreel.audio.rendered import RenderCache
from callreel.audio.sources import open_source
from callreel.model import Span
from callreel.spans import mask_on_frames
from tests.audio.writing.decoding import decoded
from tests.audio.writing.sounds import FORMATS, filled, rendered, spec, voice, whole


class Bytes:
    """Stored bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        """As ``ByteReader.read_at``."""
        return self._data[offset : offset + length]


@pytest.mark.parametrize("stored", ["wav", "wav-ulaw", "mp3", "opus", "flac"])
def test_stored_sound_comes_out_masked_whatever_its_codec(
    cache: RenderCache, tmp_path: Path, stored: str
) -> None:
    """What we write is what we can read: outside the span the source, inside the tone, and around
    it as far as the codec spreads a sound.
    """
    data = rendered(voice(40000, 2), (), spec(stored), tmp_path / "stored")
    reader = Bytes(data)
    facts = probe(reader, f"call.{stored[:3]}")
    rate = facts.rate_hz
    mask = mask_on_frames(
        [Span(1.0, 3.0)],
        rate_hz=rate,
        frames=facts.frames,
        channels=facts.channels,
        memory_frames=facts.memory_frames,
    )
    source = open_source(reader, facts, mask)
    wanted = source.read(0, facts.frames).samples.copy()
    source.close()
    start, end = rate - facts.memory_frames, 3 * rate + facts.memory_frames
    flags = np.zeros(wanted.shape, bool)
    flags[start:end] = True
    wanted[start:end] = filled(flags, rate)[start:end]
    for name in FORMATS:
        file = open_output(
            lambda: open_source(reader, facts, mask),
            facts,
            [Span(1.0, 3.0)],
            spec(name),
            cache=cache,
            identity=Identity(f"r/{stored}", 0, name),
        )
        sound, _ = decoded(whole(file))
        if name in {"wav", "flac"}:
            assert np.array_equal(sound, wanted)
