"""What a decoder is not given: blocks and packets that a mask takes away, and nothing else."""

from __future__ import annotations

import struct
from dataclasses import replace

import av
import numpy as np
import pytest

from callreel.audio.decoders.opus_packets import lost_packet, packet_samples
from callreel.audio.decoders.withheld import withheld
from callreel.audio.encoders.ogg import ogg_crc, ogg_page
from callreel.audio.probe import probe
from callreel.audio.sources import open_source
from callreel.errors import Unavailable
from callreel.model import Span
from callreel.spans import Mask
from tests.audio.codec_files import CASES, OPUS_CASES, Case, Stored, steady, stored, voices
from tests.audio.reading import clips
from tests.audio.splicing import packets, pages, repaged

SPAN = (Span(1.0, 1.2),)
EVERY_SIZE = (1, 2, 3, 4, 257, 258, 259, 512, 513, 1275)
EVERY_LENGTH = (120, 240, 480, 960, 1440, 1920, 2400, 2880, 3840, 4800, 5760)


def of(label: str, channels: int = 1) -> Case:
    """A kind of file."""
    every = [*CASES, *OPUS_CASES]
    return next(case for case in every if (case.label, case.channels) == (label, channels))


def recording(label: str, channels: int = 1, seconds: float = 3) -> Stored:
    """A recording of a kind, with speech in it."""
    case = of(label, channels)
    return stored(case, voices(int(seconds * case.rate_hz) + 137, case.rate_hz, channels, 6))


def given(known: Stored, mask: Mask) -> bytes:
    """The file as the decoder is given it."""
    reader = withheld(clips.Bytes(known.data), known.facts, mask)
    assert reader.size == len(known.data)
    whole = reader.read_at(0, reader.size)
    pieces = [reader.read_at(place, 1000) for place in range(0, reader.size, 1000)]
    assert b"".join(pieces) == whole
    return whole


def changed_bytes(known: Stored, mask: Mask) -> list[int]:
    """Where the decoder is given something else than what is stored."""
    pair = zip(known.data, given(known, mask), strict=True)
    return [place for place, (mine, other) in enumerate(pair) if mine != other]


@pytest.mark.parametrize("label", ["wav-s16", "wav-ulaw", "wav-ima", "mp3", "vorbis", "flac"])
def test_decoders_that_forget_are_given_everything(label: str) -> None:
    """What they tell of a span has an end, and that is masked."""
    known = recording(label)
    reader = clips.Bytes(known.data)
    assert withheld(reader, known.facts, known.mask(SPAN)) is reader


@pytest.mark.parametrize("label", ["raw-gsm", "wav-gsm", "raw-g722", "opus"])
def test_where_nothing_masked_is_followed_by_sound_nothing_is_withheld(label: str) -> None:
    """Unmasked recordings, and masks that reach to the end."""
    known = recording(label)
    reader = clips.Bytes(known.data)
    for spans in ((), (Span(0.5, 99.0),)):
        assert withheld(reader, known.facts, known.mask(spans)) is reader


@pytest.mark.parametrize("label", ["raw-gsm", "wav-gsm", "raw-g722"])
def test_blocks_that_begin_within_the_first_half_are_silent(label: str) -> None:
    """From the first block in the mask to half of what is masked behind the span."""
    known = recording(label)
    facts = known.facts
    mask = known.mask(SPAN)
    ((start, end),) = mask.channels[0]
    frames = facts.frames * facts.block_align // facts.data_size
    first = facts.data_offset + -(-start // frames) * facts.block_align
    last = facts.data_offset + -(-(end - facts.memory_frames // 2) // frames) * facts.block_align
    changed = changed_bytes(known, mask)
    assert first <= changed[0] < first + facts.block_align
    assert last - facts.block_align <= changed[-1] < last
    silent = given(known, mask)[first:last]
    blocks = {
        silent[at : at + facts.block_align] for at in range(0, len(silent), facts.block_align)
    }
    assert len(blocks) == 1


@pytest.mark.parametrize("label", ["raw-gsm", "wav-gsm", "raw-g722"])
def test_a_silent_block_is_silent(label: str) -> None:
    """What is given to the decoder instead must not sound."""
    known = recording(label)
    mask = known.mask(SPAN)
    ((start, end),) = mask.channels[0]
    inside = known.decoded(mask)[start + known.facts.rate_hz // 4 : end - known.facts.memory_frames]
    assert np.abs(inside.astype(int)).max() <= 32


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "label", ["opus", "opus-cd", "opus-music", "opus-2.5-ms", "opus-60-ms", "opus-120-ms"]
)
def test_packets_that_come_out_within_the_mask_are_lost_ones(label: str, channels: int) -> None:
    """Each packet keeps its size and its length; every page keeps all but its checksum."""
    known = recording(label, channels)
    facts = known.facts
    mask = known.mask(SPAN)
    ((start, end),) = mask.channels[0]
    data = given(known, mask)
    assert probe(clips.Bytes(data), "a.opus") == facts
    head, _, *before = packets(known.data)
    factor = 48000 // facts.rate_hz
    place = -int.from_bytes(head[10:12], "little")
    lost = 0
    for mine, others in zip(before, packets(data)[2:], strict=True):
        samples = packet_samples(mine[:2])
        inside = (start + 1) * factor <= place < (end - facts.memory_frames // 2) * factor
        assert others == (lost_packet(len(mine), samples, channels) if inside else mine)
        place, lost = place + samples, lost + inside
    assert lost >= 2
    for (offset, body, lacing), (other, *_) in zip(pages(known.data), pages(data), strict=True):
        assert (offset, data[offset + 27 : body]) == (other, lacing)
        page = bytearray(data[offset : body + sum(lacing)])
        assert page[:22] == known.data[offset : offset + 22]
        crc, page[22:26] = page[22:26], bytes(4)
        assert crc == struct.pack("<I", ogg_crc(bytes(page)))


def torn(data: bytes, per_page: int) -> bytes:
    """The same Ogg Opus file in pages of so many lacing values, so that packets go over pages."""
    sound = packets(data)[2:]
    whole = repaged(data, sound)
    (head, tags, *_), rest = pages(whole), b"".join(sound)
    lacing = [
        part for packet in sound for part in [255] * (len(packet) // 255) + [len(packet) % 255]
    ]
    *_, (last, _, _) = pages(data)
    (end,) = struct.unpack_from("<q", data, last + 6)
    made = [whole[: tags[1] + sum(tags[2])]]
    assert head[0] == 0
    granule, packet, open_packet = 0, 0, False
    for number, at in enumerate(range(0, len(lacing), per_page)):
        values = lacing[at : at + per_page]
        finished = sum(value < 255 for value in values)
        granule += sum(packet_samples(each[:2]) for each in sound[packet : packet + finished])
        packet += finished
        ends = at + per_page >= len(lacing)
        place = end if ends else granule if finished else -1
        flags = (1 if open_packet else 0) | (4 if ends else 0)
        body, rest = rest[: sum(values)], rest[sum(values) :]
        page = struct.pack("<4sBBqII", b"OggS", 0, flags, place, 9, number + 2) + bytes(4)
        page += bytes([len(values)]) + bytes(values) + body
        made.append(page[:22] + struct.pack("<I", ogg_crc(page)) + page[26:])
        open_packet = values[-1] == 255
    return b"".join(made)


@pytest.mark.parametrize("per_page", [1, 2, 3, 7])
def test_packets_that_go_over_pages_are_lost_whole(per_page: int) -> None:
    """As in files whose pages are cut by size."""
    case = of("opus-120-ms")
    known = stored(case, voices(3 * 48000 + 137, 48000, 1, 6))
    data = torn(known.data, per_page)
    assert packets(data)[2:] == packets(known.data)[2:]
    in_pages = Stored(data, replace(known.facts, data_size=len(data)))
    assert probe(clips.Bytes(data), case.name) == in_pages.facts
    mask = known.mask(SPAN)
    assert max(len(packet) for packet in packets(data)) > 255
    assert packets(given(in_pages, mask))[2:] == packets(given(known, mask))[2:]
    assert np.array_equal(in_pages.decoded(mask), known.decoded(mask))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", EVERY_LENGTH)
def test_a_lost_packet_is_as_long_as_the_one_it_stands_for(samples: int, channels: int) -> None:
    """In every size; libopus makes so many samples of it."""
    alone = {120, 240, 480, 960, 1920, 2880, 3840, 5760}
    for size in EVERY_SIZE:
        if size == 1 and samples not in alone:
            continue
        packet = lost_packet(size, samples, channels)
        assert len(packet) == size
        assert packet_samples(packet[:2]) == samples
        decoder = av.CodecContext.create("libopus", "r")
        decoder.sample_rate, decoder.layout = 48000, "stereo"
        assert sum(frame.samples for frame in decoder.decode(av.Packet(packet))) == samples


@pytest.mark.parametrize(
    ("head", "samples"),
    [
        ("", 0),
        ("00", 480),  # SILK of 10 ms, one frame
        ("18", 2880),  # SILK of 60 ms
        ("49", 1920),  # SILK of 20 ms, two frames
        ("7a", 1920),  # hybrid of 20 ms, two frames of different size
        ("80", 120),  # CELT of 2.5 ms
        ("fb06", 5760),  # CELT of 20 ms, six frames
        ("fb86", 5760),  # the same, of different size
        ("fb07", 0),  # 140 ms: no packet is longer than 120
        ("fb", 0),
        ("fb00", 0),
    ],
)
def test_the_length_of_a_packet_is_in_its_first_bytes(head: str, samples: int) -> None:
    """Known answers. Source: RFC 6716 section 3.1 and 3.2."""
    assert packet_samples(bytes.fromhex(head)) == samples


def rewritten(data: bytes, page: int, at: int, value: bytes) -> bytes:
    """A file with some bytes of one page changed, and its checksum with them."""
    offset, body, lacing = list(pages(data))[page]
    changed = bytearray(data)
    changed[offset + at : offset + at + len(value)] = value
    end = body + sum(lacing)
    changed[offset + 22 : offset + 26] = bytes(4)
    crc = ogg_crc(bytes(changed[offset:end]))
    changed[offset + 22 : offset + 26] = struct.pack("<I", crc)
    return bytes(changed)


def damaged() -> dict[str, bytes]:
    """Opus files whose packets cannot be told apart, or not be placed, before second 1."""
    known = recording("opus")
    sound = packets(known.data)[2:]
    data = repaged(known.data, sound, 10)
    cut = [offset for offset, _, _ in pages(data)]
    empty = repaged(known.data, [*sound[:9], b"", *sound[10:]], 10)
    return {
        "a page with a false checksum": data[: cut[3] + 100] + b"!" + data[cut[3] + 101 :],
        "a page is missing": data[: cut[3]] + data[cut[4] :],
        "something between pages": data[: cut[3]] + b"junk" + data[cut[3] :],
        "another stream": rewritten(data, 3, 14, b"\0\0\0\1"),
        "a page that goes on with nothing": rewritten(data, 3, 5, b"\1"),
        "no first page": rewritten(data, 0, 5, b"\0"),
        "no Opus": rewritten(data, 0, 28, b"Speex   "),
        "several streams in one": rewritten(data, 0, 28 + 18, b"\1"),
        "ends early": rewritten(data, 3, 5, b"\4"),
        "a page that is cut off": data[: cut[4] - 20],
        "a head that is cut off": data[: cut[4] + 10],
        "lacing that is cut off": data[: cut[4] + 30],
        "an empty packet": empty,
    }


@pytest.mark.parametrize("fault", damaged())
def test_what_cannot_be_placed_is_left_as_it_is(fault: str) -> None:
    """Its decoder does as it would; what is masked is masked all the same."""
    known = recording("opus")
    spoilt = Stored(damaged()[fault], known.facts)
    mask = known.mask((Span(1.6, 1.8),))
    assert changed_bytes(spoilt, mask) == []


def test_a_file_that_was_cut_out_of_a_longer_one_is_placed_by_what_is_heard() -> None:
    """It begins at a later position, where nothing is skipped any more."""
    known = recording("opus")
    head, tags, *sound = packets(known.data)
    made = [
        ogg_page([head], granule=0, serial=9, sequence=0, flags=2),
        ogg_page([tags], granule=0, serial=9, sequence=1),
    ]
    for number, packet in enumerate(sound):
        flags = 4 if number == len(sound) - 1 else 0
        granule = 480_000 + 960 * (number + 1)
        made.append(ogg_page([packet], granule=granule, serial=9, sequence=2 + number, flags=flags))
    data = b"".join(made)
    later = Stored(data, probe(clips.Bytes(data), "a.opus"))
    mask = later.mask(SPAN)
    ((start, end),) = mask.channels[0]
    lost = [
        number
        for number, pair in enumerate(zip(sound, packets(given(later, mask))[2:], strict=True))
        if pair[0] != pair[1]
    ]
    frames = 960 * later.facts.rate_hz // 48000
    assert lost[0] == -(-(start + 1) // frames)
    assert lost[-1] == -(-(end - later.facts.memory_frames // 2) // frames) - 1


def test_an_opus_file_of_one_page_is_placed_too() -> None:
    """Its only page of sound is its last, whose position is where the sound ends."""
    known = recording("opus-60-ms", seconds=2.5)
    data = repaged(known.data, packets(known.data)[2:], 255)
    assert len(list(pages(data))) == 3
    one = Stored(data, probe(clips.Bytes(data), "a.opus"))
    mask = known.mask(SPAN)
    assert packets(given(one, mask)) == packets(given(known, mask))


def test_channels_that_are_coded_together_are_not_masked_one_by_one() -> None:
    """Who made such a mask did not ask ``mask_on_frames``; rather an error than a half."""
    known = recording("opus", 2)
    with pytest.raises(ValueError, match="one by one"):
        withheld(clips.Bytes(known.data), known.facts, Mask((((0, 9),), ())))


def test_a_store_that_fails_is_told_as_it_is() -> None:
    """While the pages are looked through, too."""

    class Failing(clips.Bytes):
        """A store that is away."""

        def read_at(self, offset: int, length: int) -> bytes:
            """Fails."""
            raise Unavailable("The store is away.")

    known = recording("opus")
    source = open_source(Failing(known.data), known.facts, known.mask(SPAN))
    with pytest.raises(Unavailable, match="away"):
        source.read(0, 100)
    source.close()


def test_two_masks_of_one_recording_are_independent() -> None:
    """A steady vowel under GSM: each span withholds its own blocks, and no others."""
    known = stored(of("raw-gsm"), steady(40_137, 8000))
    mask = known.mask((Span(1.0, 1.1), Span(3.0, 3.1)))
    assert len(mask.channels[0]) == 2
    apart = [changed_bytes(known, known.mask((span,))) for span in (Span(1.0, 1.1), Span(3.0, 3.1))]
    assert changed_bytes(known, mask) == apart[0] + apart[1]
