"""The obfuscator: what is inside is gone, what is outside is untouched."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import callreel
from callreel.audio.blocks import RawBlock, SafeBlock, SafeExtents, Samples, StoredBytes
from callreel.audio.fill import stretch
from callreel.audio.obfuscate import (
    clear_extents,
    derive,
    join,
    mask_for_output,
    obfuscate,
    select_channels,
)
from callreel.model import DEFAULT_FILL, OutputChannels
from callreel.spans import Mask, merge

RATES = (6000, 8000, 8001, 11025, 16000, 44100, 48000)
FRAMES = 300

intervals = st.lists(
    st.tuples(st.integers(0, FRAMES), st.integers(0, FRAMES)).map(lambda ab: (min(ab), max(ab))),
    max_size=5,
).map(lambda found: tuple(merge(pair for pair in found if pair[0] < pair[1])))
sounds = st.integers(1, 2).flatmap(
    lambda channels: arrays.arrays(np.int16, (FRAMES, channels), elements=st.integers(-9, 9))
)


def mono(*values: int) -> SafeBlock:
    """A safe block, made as all are: through the obfuscator."""
    samples = np.array(values, np.int16)[:, np.newaxis]
    return obfuscate(RawBlock(samples, 8000), 0, Mask(((),)))


def stereo(left: list[int], right: list[int]) -> SafeBlock:
    """A safe block of two channels."""
    samples = np.array([left, right], np.int16).T
    return obfuscate(RawBlock(samples, 8000), 0, Mask(((), ())))


@settings(max_examples=200)
@given(
    samples=sounds,
    left=intervals,
    right=intervals,
    cuts=st.lists(st.integers(0, FRAMES), max_size=4),
    rate_hz=st.sampled_from(RATES),
    first=st.integers(0, 10**9),
)
def test_no_sample_survives_inside_and_none_changes_outside(
    samples: Samples,
    left: tuple[tuple[int, int], ...],
    right: tuple[tuple[int, int], ...],
    cuts: list[int],
    rate_hz: int,
    first: int,
) -> None:
    """However the sound is cut into blocks, wherever in the recording, at any rate."""
    per_channel = [left, right][: samples.shape[1]]
    mask = Mask(tuple(tuple((a + first, b + first) for a, b in found) for found in per_channel))
    edges = sorted([0, FRAMES, *cuts])
    pieces = [
        obfuscate(RawBlock(samples[a:b], rate_hz), first + a, mask) for a, b in pairwise(edges)
    ]
    masked = join(pieces).samples
    for channel, found in enumerate(per_channel):
        wanted = samples[:, channel].copy()
        for a, b in found:
            whole = (a + first, b + first)
            wanted[a:b] = stretch(DEFAULT_FILL, whole, *whole, rate_hz)
        assert np.array_equal(masked[:, channel], wanted)


def test_the_block_itself_is_left_as_it_was() -> None:
    """Somebody else may still hold it; it must not be masked by chance, nor the copy unmasked."""
    samples = np.full((80, 1), 77, np.int16)
    safe = obfuscate(RawBlock(samples, 8000), 0, Mask((((10, 20),),)))
    assert (samples == 77).all()
    samples[:] = 5
    assert (safe.samples[:10] == 77).all()


def test_a_mask_of_other_channels_lets_nothing_out() -> None:
    """Rather an error than a channel that nobody masked."""
    with pytest.raises(ValueError, match="channels"):
        obfuscate(RawBlock(np.zeros((8, 2), np.int16), 8000), 0, Mask((((0, 8),),)))


def test_a_mix_is_half_the_sum_rounded_down() -> None:
    """In 32 bits, so that two loud sides do not wrap."""
    block = stereo([32767, -32768, 3, -3], [32767, -32768, 0, 0])
    mixed = select_channels(block, OutputChannels.MIX).samples[:, 0]
    assert mixed.tolist() == [32767, -32768, 1, -2]


def test_left_and_right_are_the_first_and_second_channel() -> None:
    """As stored."""
    block = stereo([1, 2], [3, 4])
    assert select_channels(block, OutputChannels.LEFT).samples.tolist() == [[1], [2]]
    assert select_channels(block, OutputChannels.RIGHT).samples.tolist() == [[3], [4]]
    assert select_channels(block, OutputChannels.BOTH) is block


@pytest.mark.parametrize("chosen", list(OutputChannels))
def test_of_mono_every_choice_is_that_mono(chosen: OutputChannels) -> None:
    """Source: contract.md 6.5."""
    assert select_channels(mono(1, 2), chosen).samples.tolist() == [[1], [2]]


def test_for_a_mix_a_span_of_one_channel_masks_both() -> None:
    """Else one party's secret would be heard under the tone."""
    mask = Mask((((0, 5), (9, 12)), ((4, 8),)))
    both = ((0, 8), (9, 12))
    assert mask_for_output(mask, OutputChannels.MIX) == Mask((both, both))
    for chosen in (OutputChannels.BOTH, OutputChannels.LEFT, OutputChannels.RIGHT):
        assert mask_for_output(mask, chosen) == mask
    alone = Mask((((0, 5),),))
    assert mask_for_output(alone, OutputChannels.MIX) == alone


@settings(max_examples=300)
@given(
    left=intervals,
    right=intervals,
    ends=st.tuples(st.integers(0, FRAMES), st.integers(0, FRAMES)).map(sorted),
)
def test_no_stored_byte_of_a_masked_frame_is_even_read(
    left: tuple[tuple[int, int], ...], right: tuple[tuple[int, int], ...], ends: list[int]
) -> None:
    """The pieces cover the stretch once, in order; of one masked channel all are masked."""
    masked = {frame for a, b in (*left, *right) for frame in range(a, b)}
    read: list[int] = []

    def stored(start: int, count: int) -> StoredBytes:
        read.extend(range(start, start + count))
        return StoredBytes(bytes(frame % 251 for frame in range(start, start + count)))

    seen: list[int] = []
    for first, end, data in clear_extents(Mask((left, right)), stored).pieces(*ends):
        assert first < end
        frames = list(range(first, end))
        seen += frames
        if data is None:
            assert masked.issuperset(frames)
        else:
            assert data == bytes(frame % 251 for frame in frames)
    assert seen == list(range(*ends))
    assert read == [frame for frame in range(*ends) if frame not in masked]


def test_what_is_derived_keeps_or_takes_a_rate() -> None:
    """A resampler gives a new one."""
    assert derive(mono(1), lambda samples: samples).rate_hz == 8000
    assert derive(mono(1), lambda samples: samples, 16000).rate_hz == 16000


def test_only_the_obfuscator_makes_safe_blocks() -> None:
    """Without the seal there is no SafeBlock."""
    with pytest.raises(TypeError):
        SafeBlock(np.zeros((1, 1), np.int16), 8000, seal=object())
    with pytest.raises(TypeError):
        SafeExtents((), lambda *_: StoredBytes(b""), seal=object())


def test_the_seal_is_named_in_two_modules_alone() -> None:
    """Where it is kept and where it is used; a third place would be a second way out."""
    package = Path(callreel.__file__).parent
    naming = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"_OBFUSCATOR_SEAL|\bseal\s*=\s*blocks\b", path.read_text("utf-8"))
    }
    assert naming == {"audio/blocks.py", "audio/obfuscate.py"}


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        # Bytes that may be sent: from encoders of SafeBlocks, cut from such, or a masked render.
        (
            r"\bSafeBytes\(",
            {
                *("audio/encoders/mp3.py", "audio/encoders/opus.py", "audio/encoders/wav.py"),
                # What is stored where nothing is masked.
                "audio/blocks.py",
                *("audio/rendered.py", "audio/virtual.py"),
            },
        ),
        # Stored bytes: read by one decoder, handed through by whoever opens it, and proven with.
        (
            r"\bStoredBytes\(|\.stored\b",
            {
                *("audio/decoders/linear.py", "audio/pipeline.py"),
                *("audio/evidence.py", "flows/sound.py"),
            },
        ),
        # Unmasked sound: for the pipeline that masks it, and for those who compare with it.
        (
            r"\bopen_source\(",
            {
                *("audio/sources.py", "audio/pipeline.py", "audio/evidence.py"),
                *("audio/fill_file.py", "flows/sound.py", "flows/prove.py", "flows/burn.py"),
            },
        ),
    ],
)
def test_ways_to_sound_are_known_by_name(name: str, modules: set[str]) -> None:
    """A new place that makes bytes to send, or opens unmasked sound, is looked at by a person."""
    package = Path(callreel.__file__).parent
    naming = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(name, path.read_text("utf-8"))
    }
    assert naming == modules


def test_safe_blocks_are_made_in_the_obfuscator_alone() -> None:
    """No other module calls the class, or its allocator around the check."""
    package = Path(callreel.__file__).parent
    making = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\bSafeBlock\(|\bSafeBlock\.__new__|object\.__new__", path.read_text("utf-8"))
    }
    assert making == {"audio/obfuscate.py"}
