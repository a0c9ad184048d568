"""The codecs of stored sound, by name: the names in ``SourceFacts.codec``.

A decoder with a memory lets sound in a span colour some frames behind it (threats.md T17), so the
mask is lengthened by so many. Measured by putting other blocks into a stretch of a recording and
counting the frames behind the stretch that change; ``tests/audio/reading/test_memory.py`` does it
again. The longest found in speech and noise, before rounding up: GSM 224 ms, G.722 381 ms, Opus
460 ms (SILK and CELT; behind 240 ms it is one bit). MP3 and Vorbis have a hard bound instead: MP3
two windows of 512 and one of 1152 samples, Vorbis half of its longest block, 8192 samples.
IMA ADPCM forgets everything at the next block.

What an encoder remembered while the call was recorded is in the stored bytes and is not meant here.
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
    """How long the decoder remembers, in seconds, where it fades."""
    memory_frames: int = 0
    """How far it remembers, in frames, where that has a bound."""
    forgets_at_block: bool = False
    """Whether it remembers to the end of the block and no further."""


CODECS = {
    "pcm_u8": Codec("PCM", sample_bytes=1),
    "pcm_s16le": Codec("PCM", sample_bytes=2),
    "pcm_s24le": Codec("PCM", sample_bytes=3),
    "pcm_s32le": Codec("PCM", sample_bytes=4),
    "pcm_f32le": Codec("float", sample_bytes=4),
    "pcm_f64le": Codec("float", sample_bytes=8),
    "ulaw": Codec("µ-law", sample_bytes=1),
    "alaw": Codec("A-law", sample_bytes=1),
    "gsm": Codec("GSM 6.10", memory_s=0.4),
    "ima_adpcm": Codec("IMA ADPCM", forgets_at_block=True),
    "g722": Codec("G.722", memory_s=0.5),
    "mp3": Codec("MP3", memory_frames=2304),
    "opus": Codec("Opus", memory_s=0.5),
    "vorbis": Codec("Vorbis", memory_frames=4096),
    "flac": Codec("FLAC"),
}


def memory_frames(codec: str, rate_hz: int, block_frames: int = 0) -> int:
    """How many frames behind a span must be masked with it.

    Args:
        codec: A name from the table.
        rate_hz: Of the recording.
        block_frames: Frames in a block of the recording, for codecs that forget there.
    """
    known = CODECS[codec]
    block = block_frames if known.forgets_at_block else 0
    return block + known.memory_frames + round(known.memory_s * rate_hz)
