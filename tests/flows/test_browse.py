"""What stands above a list: counted where that is quick, estimated where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from callreel.db import directory, estimate
from callreel.db.call_filter import CallFilter
from callreel.db.schema import call_records
from callreel.db.summary import Grain
from callreel.errors import TooSlow
from callreel.flows import browse
from callreel.model import Scope
from tests.flows.house import START, House, open_house

CALLS = 12_000
HOUR_MS = 3_600_000
LONG_ONES = CallFilter(at_least_s=100.0)


@pytest.fixture
def full_house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """With more calls than can be counted in a millisecond."""
    rows = [
        {
            "id": f"many{number}",
            "site_id": "north",
            "datasource": "north",
            "started_at": START + number * 10_000,
            "duration_s": float(number % 200),
            "direction": "inbound",
            "from_number": "01632960001",
            "to_number": "07700900002",
            "disposition": "answered",
            "created_at": 0,
        }
        for number in range(CALLS)
    ]
    with open_house(tmp_path, database_url) as house:
        with house.db.write() as conn:
            directory.ensure_datasource(conn, "north")
            conn.execute(insert(call_records), rows)
        yield house


def hourly(_first: int, _last: int) -> Grain:
    """Whatever there is."""
    return Grain(HOUR_MS)


def test_what_is_quick_is_counted(full_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, here."""
    monkeypatch.setattr(browse, "COUNT_WITHIN_S", 60.0)
    found = full_house.browse.overview(full_house.user(), LONG_ONES, hourly)
    assert found is not None
    assert (found.counted.calls, found.counted.sampled) == (CALLS // 2, 0)
    assert (found.first, found.last) == (START + 1_000_000, START + (CALLS - 1) * 10_000)


def test_what_takes_too_long_is_estimated(
    full_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And counted for whoever asks for all of them."""
    house = full_house
    monkeypatch.setattr(browse, "COUNT_WITHIN_S", 0.0)
    monkeypatch.setattr(estimate, "SAMPLE_CALLS", 3_000)
    crm = house.user()
    about = house.browse.overview(crm, LONG_ONES, hourly)
    assert about is not None
    assert 2_000 < about.counted.sampled < 4_000
    assert about.counted.calls == pytest.approx(CALLS // 2, rel=0.1)
    exact = house.browse.count(crm, LONG_ONES, hourly, 60.0)
    assert exact is not None
    assert (exact.counted.calls, exact.counted.sampled) == (CALLS // 2, 0)
    nobody = house.user("far", reach=Scope(site_ids=frozenset({"elsewhere"})))
    seen = house.browse.overview(nobody, LONG_ONES, hourly)
    assert seen is None or (seen.counted.calls, seen.counted.buckets) == (0, ())
    nothing = CallFilter(until=START)
    assert house.browse.overview(crm, nothing, hourly) is None


def test_counting_ends_as_well(full_house: House) -> None:
    """With what to do about it."""
    with pytest.raises(TooSlow, match="shorter period"):
        full_house.browse.count(full_house.user(), LONG_ONES, hourly, 0.0)
