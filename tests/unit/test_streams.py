"""Places for what is sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from callreel.errors import Unavailable
from callreel.flows.streams import Streams


def test_one_taker_leaves_places_to_others() -> None:
    """And may come again when one of theirs has ended."""
    streams = Streams(5, 2)
    first, second = streams.take("ann"), streams.take("ann")
    with pytest.raises(Unavailable, match="sent to you already") as told:
        streams.take("ann")
    assert told.value.retry_after_s == 2
    others = [streams.take(taker) for taker in ("ben", "ben", "cleo")]
    with pytest.raises(Unavailable, match="Too many recordings"):
        streams.take("dora")
    first()
    with pytest.raises(Unavailable, match="sent to you already"):
        [streams.take("ben")]
    streams.take("ann")()
    for give_back in (second, *others):
        give_back()
    assert [streams.take(taker) for taker in ("ann", "ann", "ben", "ben", "cleo")]


def test_no_place_is_lost_between_threads() -> None:
    """However many take and give back at the same moment."""
    streams = Streams(3, 3)

    def take_and_give_back(_: int) -> int:
        """Counts how often there was a place."""
        had = 0
        for _ in range(300):
            try:
                streams.take("ann")()
            except Unavailable:
                continue
            had += 1
        return had

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take_and_give_back, range(8))) > 0
    held = [streams.take("ann") for _ in range(3)]
    with pytest.raises(Unavailable):
        streams.take("ann")
    assert len(held) == 3
