"""A window that watches calls come in, and falls behind."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from callreel.db.call_filter import CallFilter
from callreel.errors import Unavailable
from callreel.flows.browse import Browse
from callreel.flows.ongoing import Ongoing
from callreel.flows.sessions import Sessions, SignedIn
from callreel.web.pages.live import MOST_WAITING, Came, Live, Seat
from tests.loops import run


def test_a_window_that_falls_behind_is_ended_and_comes_back() -> None:
    """It would say that it is live, and miss what comes."""

    async def watched() -> None:
        live = Live(cast("Browse", None), cast("Ongoing", None), cast("Sessions", None))
        seat = Seat(live, cast("SignedIn", None), CallFilter())
        for number in range(MOST_WAITING):
            seat.tell(Came((), str(number)))
        first = await seat.next(1)
        assert first is not None
        assert first.place == "0"
        for number in range(2):
            seat.tell(Came((), f"more-{number}"))
        with pytest.raises(Unavailable):
            await asyncio.wait_for(seat.next(1), 2)

    run(watched())
