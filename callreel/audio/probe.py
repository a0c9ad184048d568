"""What a file of sound holds: its facts, or why it cannot be played.

``look`` parses, without any library; ``verify`` decodes the whole file once, under limits. A file
whose every sample stands for itself needs no more than the look. ``probe`` does both in this
process; ``audio/prober.py`` does the second half in a child.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from callreel.audio import flac
from callreel.audio.codecs import CODECS, memory_frames
from callreel.audio.decoders import opus_packets
from callreel.audio.decoders.g722 import require_g722
from callreel.audio.decoders.sndfile import SndfileDecoder, Undecodable
from callreel.audio.limits import ProbeLimits
from callreel.audio.mp3 import parse_mp3
from callreel.audio.reader import ByteReader
from callreel.audio.riff import parse_wav
from callreel.audio.sniff import Sniffed, sniff
from callreel.audio.wavformat import LEAST_RATE_HZ, MOST_RATE_HZ
from callreel.errors import Unplayable
from callreel.model import SourceFacts

_STEP_FRAMES = 16384
_SMALL_STEP_FRAMES = 64
_NO_PROMISE_FRAMES = 1 << 40
_GSM_FRAME_BYTES = 33
_GSM_FRAME_SAMPLES = 160
_GSM_MARK = 0xD


def probe(reader: ByteReader, name: str, limits: ProbeLimits | None = None) -> SourceFacts:
    """Find out what a file holds, decoding it in this process: for files that we made ourselves.

    Args:
        reader: The file.
        name: Its name; only the extension counts, and only for raw sound. Never opened.
        limits: Bounds; None for the usual ones.

    Raises:
        Unplayable: It cannot be played; the message says why, in one sentence.
    """
    used = limits or ProbeLimits()
    facts = look(reader, name, used)
    return verify(reader, facts, used) if needs_decoder(facts) else facts


def needs_decoder(facts: SourceFacts) -> bool:
    """Whether these facts are a promise of the file's that only decoding can confirm."""
    return not CODECS[facts.codec].sample_bytes and facts.codec != "g722"


def look(reader: ByteReader, name: str, limits: ProbeLimits) -> SourceFacts:
    """Parse a file without decoding it.

    Returns:
        Facts; where ``needs_decoder`` they are a first guess, and 0 stands for what is not known.

    Raises:
        Unplayable: It cannot be played.
    """
    sniffed = sniff(reader, name)
    if sniffed.container == "wav":
        facts = _wav(reader)
    elif sniffed.container == "raw":
        facts = _raw(reader, sniffed)
    else:
        size = reader.size - sniffed.offset
        facts = SourceFacts(
            sniffed.codec, sniffed.container, 0, 0, 0, data_offset=sniffed.offset, data_size=size
        )
    if facts.frames:
        _require_short(facts, reader.size, limits)
    return facts


def verify(reader: ByteReader, facts: SourceFacts, limits: ProbeLimits) -> SourceFacts:
    """Decode a whole file and count what comes out.

    Args:
        reader: The file.
        facts: What ``look`` found.
        limits: Bounds.

    Raises:
        Unplayable: It cannot be decoded, or holds no sound, or more than the limits allow.

    Cost: one pass, one block held.
    """
    promised, repairs = facts.frames, [facts.repaired] if facts.repaired else []
    if facts.codec == "mp3":
        layout = parse_mp3(reader, facts.data_offset)
        first = layout.first
        facts = replace(facts, rate_hz=first.rate_hz, channels=first.channels)
        if layout.spare_frames is not None:
            promised = max(0, layout.blocks * first.frames - layout.spare_frames)
        _require_short(replace(facts, frames=layout.blocks * first.frames), reader.size, limits)
        if layout.junk_bytes:
            repairs.append(f"passed over {layout.junk_bytes} bytes that are no MP3 frames")
    facts = _cut(reader, facts, repairs)
    decoder = SndfileDecoder(reader, facts)
    decoder.close()
    facts = replace(facts, rate_hz=decoder.rate_hz, channels=decoder.channels)
    _require_playable(facts)
    if facts.codec in {"opus", "vorbis", "flac"}:
        promised = decoder.frames if decoder.frames < _NO_PROMISE_FRAMES else 0
        _require_short(replace(facts, frames=promised), reader.size, limits)
    frames, failed = _counted(reader, facts, limits)
    if failed and frames:
        repairs.append("what follows the last frame that can be decoded was left out")
    if promised and frames < promised:
        repairs.append(f"the file promised {promised} frames and holds {frames}")
    if promised:
        frames = min(frames, promised)
    if not frames:
        shown = CODECS[facts.codec].shown
        why = "none of it can be decoded" if failed else "there is nothing in it"
        raise Unplayable(f"The {shown} file holds no sound: {why}.")
    return replace(
        facts,
        frames=frames,
        memory_frames=facts.memory_frames or memory_frames(facts.codec, facts.rate_hz),
        repaired="; ".join(repairs) or None,
    )


_WHOLE = {"flac": flac.whole_bytes, "opus": opus_packets.whole_bytes}
"""By codec: how far a stream is whole. Behind a fault a decoder goes on, and what it gives there
may be at one position or another (FLAC), or remember what was to be withheld (Opus)."""


def _cut(reader: ByteReader, facts: SourceFacts, repairs: list[str]) -> SourceFacts:
    """Leave out what is behind the first fault of a stream, and say so."""
    whole = _WHOLE.get(facts.codec)
    data_size = facts.data_size if whole is None else whole(reader, facts.data_offset)
    if data_size >= facts.data_size:
        return facts
    if not data_size:
        shown = CODECS[facts.codec].shown
        raise Unplayable(
            f"The {shown} sound in the file cannot be decoded: it lacks its beginning."
        )
    repairs.append(f"left out what is behind a fault {data_size} bytes into it")
    return replace(facts, data_size=data_size)


def require_sane(facts: SourceFacts, size_bytes: int, limits: ProbeLimits) -> None:
    """Refuse facts that no recording of this size can have.

    Raises:
        Unplayable: More channels, rate or sound than can be played.
    """
    _require_playable(facts)
    _require_short(facts, size_bytes, limits)


def _counted(reader: ByteReader, facts: SourceFacts, limits: ProbeLimits) -> tuple[int, bool]:
    """Frames that can be decoded, and whether an error came behind them."""
    frames, failed = _walked(reader, facts, limits, 0, _STEP_FRAMES)
    if failed:
        # The step that failed may have begun well; a second pass goes up to the fault itself.
        frames, _ = _walked(reader, facts, limits, frames, _SMALL_STEP_FRAMES)
    return frames, failed


def _walked(
    reader: ByteReader, facts: SourceFacts, limits: ProbeLimits, known: int, step: int
) -> tuple[int, bool]:
    """Decode from the first frame, in large steps as far as is known and then in others."""
    decoder = SndfileDecoder(reader, facts)
    frames = 0
    try:
        while True:
            wanted = min(_STEP_FRAMES, known - frames) if frames < known else step
            found = len(decoder.read(wanted))
            frames += found
            _require_short(replace(facts, frames=frames), reader.size, limits)
            if found < wanted:
                return frames, False
    except Undecodable:
        return frames, True
    finally:
        decoder.close()


def _wav(reader: ByteReader) -> SourceFacts:
    layout = parse_wav(reader.read_at, reader.size)
    return SourceFacts(
        codec=layout.codec,
        container="wav",
        rate_hz=layout.rate_hz,
        channels=layout.channels,
        frames=layout.frames,
        data_offset=layout.data_offset,
        data_size=layout.data_size,
        block_align=layout.block_align,
        memory_frames=memory_frames(layout.codec, layout.rate_hz, layout.block_frames),
        repaired=layout.repaired,
    )


def _raw(reader: ByteReader, sniffed: Sniffed) -> SourceFacts:
    codec, size = sniffed.codec, reader.size
    block_bytes, block_frames = CODECS[codec].sample_bytes, 1
    repairs = []
    if codec == "g722":
        require_g722()
        block_bytes, block_frames = 1, 2
    elif codec == "gsm":
        block_bytes, block_frames = _GSM_FRAME_BYTES, _GSM_FRAME_SAMPLES
        size = _gsm_size(reader)
        if reader.size - size >= _GSM_FRAME_BYTES:
            repairs.append("left out what follows the last frame of GSM")
    blocks, spare = divmod(size, block_bytes)
    if not blocks:
        raise Unplayable("The file is too short to hold a frame of sound.")
    if spare:
        repairs.append("left out an incomplete block at the end")
    return SourceFacts(
        codec=codec,
        container="raw",
        rate_hz=sniffed.rate_hz,
        channels=1,
        frames=blocks * block_frames,
        data_offset=0,
        data_size=blocks * block_bytes,
        block_align=block_bytes,
        memory_frames=memory_frames(codec, sniffed.rate_hz),
        repaired="; ".join(repairs) or None,
    )


def _gsm_size(reader: ByteReader) -> int:
    """Up to where every 33 bytes begin with the mark of a frame. Source: RFC 3551 section 4.5.8."""
    step = _GSM_FRAME_BYTES * 4096
    for place in range(0, reader.size, step):
        marks = np.frombuffer(reader.read_at(place, step), np.uint8)[::_GSM_FRAME_BYTES] >> 4
        wrong = np.flatnonzero(marks != _GSM_MARK)
        if len(wrong):
            good = place + int(wrong[0]) * _GSM_FRAME_BYTES
            if not good:
                raise Unplayable("The file is named .gsm but does not begin with a frame of GSM.")
            return good
    return reader.size


def _require_playable(facts: SourceFacts) -> None:
    shown = CODECS[facts.codec].shown
    if not 1 <= facts.channels <= 2:
        raise Unplayable(f"The {shown} file has {facts.channels} channels; 1 or 2 can be played.")
    if not LEAST_RATE_HZ <= facts.rate_hz <= MOST_RATE_HZ:
        raise Unplayable(
            f"The {shown} file has a sample rate of {facts.rate_hz} Hz; "
            f"{LEAST_RATE_HZ} to {MOST_RATE_HZ} Hz can be played."
        )


def _require_short(facts: SourceFacts, size_bytes: int, limits: ProbeLimits) -> None:
    """Refuse sound without end. PCM cannot grow in decoding, so only its length is bounded."""
    if facts.frames > limits.sound_s * facts.rate_hz:
        hours = limits.sound_s / 3600
        raise Unplayable(f"The file holds more than {hours:g} hours of sound.")
    if facts.frames > limits.most_frames(facts.rate_hz, facts.channels, size_bytes):
        raise Unplayable(
            "The file decodes to far more sound than a recording of its size can hold."
        )
