"""The watch over readers that paused: it ends them when nobody knows, and leaves none behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection
from typing import cast

import pytest

from callreel.errors import MaskChanged
from callreel.flows.delivery import Delivery
from callreel.web.watch import MOST_LOOK_S, MaskWatch
from tests.loops import run


async def for_ever() -> None:
    """A reader that takes nothing."""
    await asyncio.Event().wait()


def reader() -> Delivery:
    """One of several; the watch only tells them apart."""
    return cast("Delivery", object())


def test_a_database_that_hangs_keeps_no_reader() -> None:
    """A look that takes too long is as one that said "changed", for all who wait."""
    released = threading.Event()

    def stalled(asked: Collection[Delivery]) -> Collection[Delivery]:
        released.wait(10)
        return ()

    async def ended_after(watch: MaskWatch, wait_s: float) -> float:
        """How long a reader waited that began so much later."""
        await asyncio.sleep(wait_s)
        began = time.monotonic()
        with pytest.raises(MaskChanged):
            await watch.over(reader(), for_ever())
        return time.monotonic() - began

    async def all_of_them() -> list[float]:
        """Three readers of one watch."""
        watch = MaskWatch(stalled)
        return list(await asyncio.gather(*(ended_after(watch, each) for each in (0, 0.3, 0.9))))

    try:
        assert max(run(all_of_them())) < 3 * MOST_LOOK_S
    finally:
        released.set()


def test_whoever_waits_is_ended_with_the_look() -> None:
    """A look that is cancelled tells nobody anything; nobody waits on for it."""

    async def ended() -> None:
        """A reader waits, and the look is cancelled."""
        watch = MaskWatch(lambda _asked: ())
        waiting = asyncio.ensure_future(watch.over(reader(), for_ever()))
        while watch._looking is None:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0.01)
        watch._looking.cancel()
        with pytest.raises(MaskChanged):
            await asyncio.wait_for(waiting, 2)

    run(ended())
