"""Masking: the only place where unmasked sound becomes sound that may leave.

Samples are overwritten, never lowered or mixed, before anything encodes or even selects a channel.
What is written is a pure function of the frame number and the rate, so two sources that differ only
where they are masked give the same bytes in every format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from callreel.audio.blocks import (
    _OBFUSCATOR_SEAL,
    RawBlock,
    SafeBlock,
    SafeExtents,
    Samples,
    StoredBytes,
    StoredPlace,
)
from callreel.audio.fill import stretch
from callreel.model import DEFAULT_FILL, Fill, OutputChannels
from callreel.spans import Mask, merge


def obfuscate(block: RawBlock, start: int, mask: Mask, fill: Fill = DEFAULT_FILL) -> SafeBlock:
    """Write over every sample that lies in a masked interval; keep all others bit for bit.

    The block itself is left as it was.

    Args:
        block: Sound as decoded.
        start: Number of the block's first frame, counted from the start of the recording.
        mask: What is masked, with an entry for each channel of the block.
        fill: What is written instead.

    Raises:
        ValueError: The mask is of another number of channels. Nothing may leave then.

    Cost: one copy of the block.
    Source: audio.md section 3.
    """
    samples = block.samples.copy()
    frames, channels = samples.shape
    if channels != len(mask.channels):
        raise ValueError(f"a mask of {len(mask.channels)} channels for sound of {channels}")
    for channel in range(channels):
        for interval in mask.touching(channel, start, start + frames):
            first, end = max(interval[0], start), min(interval[1], start + frames)
            written = stretch(fill, interval, first, end, block.rate_hz)
            samples[first - start : end - start, channel] = written
    return SafeBlock(samples, block.rate_hz, seal=_OBFUSCATOR_SEAL)


def clear_extents(
    mask: Mask,
    stored: Callable[[int, int], StoredBytes],
    place: Callable[[int, int], StoredPlace] | None = None,
) -> SafeExtents:
    """What of a recording may leave without being decoded, where every frame has its own bytes.

    Args:
        mask: As for ``obfuscate``. A frame of which one channel is masked does not leave.
        stored: As for SafeExtents.
        place: As for SafeExtents.
    """
    masked = merge([each for intervals in mask.channels for each in intervals])
    return SafeExtents(tuple(masked), stored, place, seal=_OBFUSCATOR_SEAL)


def mask_for_output(mask: Mask, chosen: OutputChannels) -> Mask:
    """The mask that an output needs: for a mix, both channels wherever either is masked.

    Source: contract.md 6.5.
    """
    if chosen is not OutputChannels.MIX or len(mask.channels) == 1:
        return mask
    either = tuple(merge([*mask.channels[0], *mask.channels[1]]))
    return Mask((either, either))


def select_channels(block: SafeBlock, chosen: OutputChannels) -> SafeBlock:
    """The channels that were asked for; of mono all choices are that mono.

    A mix is (left + right) >> 1, taken in 32 bits. Source: contract.md 6.5.
    """
    if block.samples.shape[1] == 1 or chosen is OutputChannels.BOTH:
        return block
    if chosen is OutputChannels.LEFT:
        return derive(block, lambda samples: samples[:, :1])
    if chosen is OutputChannels.RIGHT:
        return derive(block, lambda samples: samples[:, 1:])
    return derive(block, _mix)


def _mix(samples: Samples) -> Samples:
    wide = samples.astype(np.int32)
    return ((wide[:, :1] + wide[:, 1:]) >> 1).astype(np.int16)


def derive(
    block: SafeBlock, change: Callable[[Samples], Samples], rate_hz: int | None = None
) -> SafeBlock:
    """Masked sound made from masked sound.

    Args:
        block: What it is made from.
        change: Sees the masked samples and nothing else; must not bring in sound from elsewhere.
        rate_hz: The new rate; None keeps the old one.
    """
    return SafeBlock(change(block.samples), rate_hz or block.rate_hz, seal=_OBFUSCATOR_SEAL)


def join(blocks: Sequence[SafeBlock]) -> SafeBlock:
    """Masked sound, one after another: at least one block, all of one rate and channel count."""
    if len(blocks) == 1:
        return blocks[0]
    samples = np.concatenate([block.samples for block in blocks])
    return SafeBlock(samples, blocks[0].rate_hz, seal=_OBFUSCATOR_SEAL)
