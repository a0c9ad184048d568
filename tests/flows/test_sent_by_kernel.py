"""Stored bytes that the kernel sends: the same ones, and no mask comes between look and sending."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from callreel.audio.blocks import SafeExtent
from callreel.errors import MaskChanged, Unavailable
from callreel.flows.delivery import Delivery
from callreel.model import AudioSpec, OutputChannels, Party, RecordingId, Role, Span
from callreel.store.local import LocalHandle
from callreel.web.outlet import Body, Poured
from tests.counts import FULL, Shown
from tests.flows.house import WAV, House, token_of
from tests.flows.pouring import line, poured

RANGES = 400 if FULL else 40


@pytest.fixture
def recording(house: House) -> RecordingId:
    """One with masks near its beginning and its end, and on one channel."""
    found = RecordingId(house.take("a", extension="2104", start_s=0))
    ann = house.user("ann", Role.SUPERVISOR)
    for span in (Span(0.0, 0.5), Span(3.0, 4.0001, Party.LEFT), Span(9.5, 10.0)):
        house.masking.add(ann, found, span, "card", address=None)
    return found


@contextmanager
def opened(house: House, recording: RecordingId, spec: AudioSpec = WAV) -> Iterator[Delivery]:
    """An answer to somebody."""
    user = house.principal("w1", "crm")
    with house.db.read() as conn:
        known = conn.exec_driver_sql("SELECT id, username FROM web_users").first()
    assert known is not None
    user = house.principal(known[0], known[1], Role.SUPERVISOR)
    token = token_of(house.ask(user, recording, spec))
    delivery = house.deliver.open(token, head=False, address=None)
    try:
        delivery.started()
        yield delivery
    finally:
        delivery.close().result()


def test_what_is_poured_is_what_is_streamed(
    house: House, recording: RecordingId, shown: Shown
) -> None:
    """In any range, over masks, their edges, the header and the end."""
    with opened(house, recording) as delivery:
        assert delivery.size is not None
        whole = b"".join(delivery.stream(0, delivery.size))
    draw = random.Random(5)  # noqa: S311  # a fixed seed, on purpose
    ranges = [(0, len(whole)), (0, 44), (0, 45), (43, 46), (len(whole) - 1, len(whole)), (7, 7)]
    ranges += [tuple(sorted(draw.choices(range(len(whole) + 1), k=2))) for _ in range(RANGES)]
    for start, stop in ranges:
        with opened(house, recording) as delivery:
            assert poured(delivery, start, stop) == whole[start:stop]
        shown.one("ranges that the kernel sent, compared with the bytes as they are made")


def test_a_short_end_for_which_there_is_no_room_is_sent_once(
    house: House, recording: RecordingId
) -> None:
    """It goes back to the loop, which waits for the reader, and is over then."""
    with opened(house, recording) as delivery, line() as (ours, theirs):
        body = Body(delivery, by_kernel=True)
        body.select(100_000, 101_000)
        assert body.begin() == b""
        with suppress(BlockingIOError):
            while ours.send(bytes(1000)):
                pass
        full = body.pour(os.dup(ours.fileno()), 0)
        assert (full.sent, len(full.rest)) == (0, 1000)
        theirs.recv(1 << 20)
        assert body.pour(os.dup(ours.fileno()), 1000) == Poured(0, is_over=True)


def test_most_of_it_is_neither_made_nor_read(house: House, recording: RecordingId) -> None:
    """Beside the header there are stretches only: of the file, and of what is masked."""
    with opened(house, recording) as delivery:
        assert delivery.size is not None
        pieces = list(delivery.stream(0, delivery.size, by_kernel=True))
    made = [each for each in pieces if not isinstance(each, SafeExtent)]
    assert [len(each) for each in made] == [44]
    stretches = [each.length for each in pieces if isinstance(each, SafeExtent)]
    assert sum(stretches) == delivery.size - 44
    assert len(stretches) == 5


@pytest.mark.parametrize(
    "spec", [AudioSpec("mp3"), AudioSpec("wav-ulaw"), AudioSpec("wav", OutputChannels.MIX)]
)
def test_what_must_be_made_is_made(house: House, recording: RecordingId, spec: AudioSpec) -> None:
    """Nothing of the file can be sent where the output is not what is stored."""
    with opened(house, recording, spec) as delivery:
        assert delivery.size is not None
        pieces = list(delivery.stream(0, delivery.size, by_kernel=True))
        assert not [each for each in pieces if isinstance(each, SafeExtent)]
        assert poured(delivery, 0, delivery.size) == b"".join(map(bytes, pieces))


def test_a_mask_waits_for_what_is_just_being_sent(
    house: House, recording: RecordingId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was looked at, and not sent yet: a mask must not come in between."""
    looked, go = threading.Event(), threading.Event()
    real = LocalHandle.send_to

    def wait_first(handle: LocalHandle, out: int, offset: int, length: int) -> int:
        looked.set()
        assert go.wait(20)
        return real(handle, out, offset, length)

    monkeypatch.setattr(LocalHandle, "send_to", wait_first)
    masked = threading.Event()
    ann = house.user("ada", Role.SUPERVISOR)

    def mask() -> None:
        house.masking.add(ann, recording, Span(6.0, 6.1), "card", address=None)
        masked.set()

    with opened(house, recording) as delivery, line() as (ours, _):
        assert delivery.size is not None
        at = 44 + 32_000 * 5
        (extent, *_) = delivery.stream(at, delivery.size, by_kernel=True)
        assert isinstance(extent, SafeExtent)
        sent: list[int] = []
        sending = threading.Thread(target=lambda: sent.append(delivery.send(extent, ours.fileno())))
        sending.start()
        assert looked.wait(20)
        masking = threading.Thread(target=mask)
        masking.start()
        assert not masked.wait(0.2)
        go.set()
        sending.join(20)
        masking.join(20)
        assert sent[0] > 0
        assert masked.is_set()
        with pytest.raises(MaskChanged):
            delivery.send(extent, ours.fileno())
        with pytest.raises(MaskChanged):
            delivery.read(extent)


def test_what_was_masked_is_not_kept_under_the_next_mask(
    house: House, recording: RecordingId
) -> None:
    """The stretches in memory go with what they were made for."""
    with opened(house, recording) as delivery:
        assert delivery.size is not None
        before = poured(delivery, 0, delivery.size)
    ann = house.user("ada", Role.SUPERVISOR)
    house.masking.add(ann, recording, Span(3.5, 5.0, Party.RIGHT), "card", address=None)
    with opened(house, recording) as delivery:
        assert delivery.size is not None
        after = poured(delivery, 0, delivery.size)
    with opened(house, recording) as delivery:
        assert after == b"".join(delivery.stream(0, len(after)))
    assert after != before


def test_a_file_that_became_shorter_breaks_the_answer_off(
    house: House, recording: RecordingId
) -> None:
    """Its length was promised: it must not look whole."""
    with opened(house, recording) as delivery, line() as (ours, _):
        assert delivery.size is not None
        stretches = delivery.stream(delivery.size - 20_000, delivery.size, by_kernel=True)
        extent = next(each for each in stretches if isinstance(each, SafeExtent))
        (path,) = (each for each in house.folder.parent.rglob("*") if len(each.name) == 64)
        with path.open("r+b") as file:
            file.truncate(100)
        with pytest.raises(Unavailable):
            delivery.send(extent, ours.fileno())
        with pytest.raises(Unavailable):
            delivery.read(extent)


def test_what_was_sent_by_the_kernel_is_written_down(house: House, recording: RecordingId) -> None:
    """The end of an answer tells its bytes, whichever way they took."""
    with opened(house, recording) as delivery:
        size = len(poured(delivery, 1000, 101_000))
    from callreel.db import audit  # noqa: PLC0415  # only here

    with house.db.read() as conn:
        ended = [e for e in audit.entries(conn, object_id=recording) if e.action == "sound.end"]
    # The test writes what did not fit by itself, which only a sender would count.
    assert 0 < ended[-1].detail["bytes_sent"] <= size  # type: ignore[operator]
    assert ended[-1].detail["start"] == 1000
