"""Calls in progress: how long they are kept, and what is shown of several legs."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from callreel.access.policy import COMMAND
from callreel.db.call_filter import CallFilter
from callreel.db.ongoing import LegNews, LegState
from callreel.errors import BadRequest
from callreel.flows.ongoing import Ongoing
from callreel.flows.tidy import Tidy
from callreel.model import UnixMillis
from tests.flows.house import House

HOUR_MS = 3_600_000


def rings(house: House, unique_id: str = "u1") -> LegNews:
    """A leg that begins now."""
    return LegNews("1", unique_id, LegState.RINGING, house.now, from_number="01632960001")


def test_how_long_a_leg_is_kept_is_a_setting(house: House) -> None:
    """The same for what is shown, what is taken and what is tidied away."""
    ongoing = Ongoing(house.db, lambda: house.now, age_ms=HOUR_MS)
    tidy = Tidy(house.db, house.cache, house.sound, lambda: house.now, ongoing_ms=HOUR_MS)
    news = rings(house)
    ongoing.tell(COMMAND, news)

    def kept() -> tuple[int, int]:
        """Calls shown, and rows there."""
        tidy.once()
        with house.db.read() as conn:
            rows = conn.execute(text("SELECT count(*) FROM ongoing_legs")).scalar_one()
        return len(ongoing.seen(COMMAND, CallFilter())), rows

    house.now = UnixMillis(house.now + HOUR_MS - 1)
    assert kept() == (1, 1)
    house.now = UnixMillis(house.now + 1)
    assert len(Ongoing(house.db, lambda: house.now).seen(COMMAND, CallFilter())) == 1
    assert kept() == (0, 0)
    with pytest.raises(BadRequest, match="at: more than 1 h ago"):
        ongoing.tell(COMMAND, news)


def test_what_was_tidied_away_can_come_in_no_more(house: House) -> None:
    """What ended is remembered for as long as news of it are taken."""
    ongoing = Ongoing(house.db, lambda: house.now, age_ms=HOUR_MS)
    news = rings(house)
    ongoing.tell(COMMAND, LegNews("1", "u1", LegState.ENDED, house.now))
    for later_ms in (HOUR_MS - 1, HOUR_MS):
        house.now = UnixMillis(news.at + later_ms)
        Tidy(house.db, house.cache, house.sound, lambda: house.now, ongoing_ms=HOUR_MS).once()
        try:
            ongoing.tell(COMMAND, news)
        except BadRequest:
            assert later_ms == HOUR_MS
        assert ongoing.seen(COMMAND, CallFilter()) == ()
