"""The codecs of stored sound, by name: the names in ``SourceFacts.codec``.

``memory_frames`` says how far a decoder remembers what came before (threats.md T17). Where it is
not 0, sound in a span still colours some frames behind it, so the mask is lengthened by so many.
``tests/audio/reading/test_memory.py`` measures them again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Codec:
    """What is the same for every recording in one codec."""

    shown: str
    """For sentences that people read."""
    sample_bytes: int = 0
    """Bytes of one sample where every sample stands for itself; 0 where a library decodes."""
    memory_s: float = 0.0
    """How long the decoder remembers, in seconds, for codecs that think in time."""
    memory_frames: int = 0
    """The same in frames, for codecs that think in blocks; the two are added."""


CODECS = {
    "pcm_u8": Codec("PCM", sample_bytes=1),
    "pcm_s16le": Codec("PCM", sample_bytes=2),
    "pcm_s24le": Codec("PCM", sample_bytes=3),
    "pcm_s32le": Codec("PCM", sample_bytes=4),
    "pcm_f32le": Codec("float", sample_bytes=4),
    "pcm_f64le": Codec("float", sample_bytes=8),
    "ulaw": Codec("µ-law", sample_bytes=1),
    "alaw": Codec("A-law", sample_bytes=1),
    "gsm": Codec("GSM 6.10"),
    "ima_adpcm": Codec("IMA ADPCM"),
    "g722": Codec("G.722"),
    "mp3": Codec("MP3"),
    "opus": Codec("Opus"),
    "vorbis": Codec("Vorbis"),
    "flac": Codec("FLAC"),
}


def memory_frames(codec: str, rate_hz: int) -> int:
    """How many frames behind a span must be masked with it."""
    known = CODECS[codec]
    return known.memory_frames + round(known.memory_s * rate_hz)
