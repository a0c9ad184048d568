"""The codecs of stored sound, by name: the names in ``SourceFacts.codec``.

A codec with a memory spreads a sound over its neighbours (threats.md T17), so the mask is
lengthened by so many frames on both sides. ``tests/audio/test_codec_memory.py`` puts other packets
under spans and finds not one frame outside the mask changed.

Before a span: a block or window that holds its first sample began earlier. GSM 160 frames (320 in
WAV), G.722 two, Opus 120 ms and the 6.5 ms that its encoder looks ahead; MP3 and Vorbis as below.

Behind it, MP3 and Vorbis have a bound. A frame of MP3 is heard for 2208 samples at most: two
granules of 576, of which each overlaps the next, and 480 more of the filter bank of 512 taps
(ISO/IEC 11172-3, 2.4.3.4); 1632 with one granule. A block of Vorbis is heard for its own length,
8192 at most (Vorbis I specification, 4.2.2). IMA ADPCM forgets everything at the next block, and
tells nothing before it: that its mask begins a block early is the price of one rule for all.

GSM, G.722 and Opus have none, in speech neither: ``decoders/withheld.py`` keeps from their decoders
what is masked. What is masked behind a span is the time that they take to find their way back.
Measured with speech: GSM 224 ms, G.722 381 ms, Opus 240 ms until what is left is faint.

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
    """How long a decoder takes to find its way back, in seconds, where it may never forget."""
    memory_frames: int = 0
    """How far a sound is spread, in frames, where that has a bound."""
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
    "vorbis": Codec("Vorbis", memory_frames=8192),
    "flac": Codec("FLAC"),
}


def memory_frames(codec: str, rate_hz: int, block_frames: int = 0) -> int:
    """How many frames before a span, and how many behind it, must be masked with it.

    Args:
        codec: A name from the table.
        rate_hz: Of the recording.
        block_frames: Frames in a block of the recording, for codecs that forget there.
    """
    known = CODECS[codec]
    block = block_frames if known.forgets_at_block else 0
    return block + known.memory_frames + round(known.memory_s * rate_hz)
