"""How somebody wants pages: what they may choose, and what they get where they chose nothing."""

from __future__ import annotations

import pytest

from callreel.db import directory, preferences, users
from callreel.db.database import Database
from callreel.db.schema import sites
from callreel.errors import BadRequest
from callreel.flows.reports import Reports
from callreel.flows.visitors import Chosen, Visitors
from callreel.model import Principal, Role, Scope
from tests.flows.jobbing import NOW

ALL = Scope(everything=True)


@pytest.fixture
def ann(database: Database) -> Principal:
    """Somebody who sees one site, in Berlin."""
    with database.write() as conn:
        directory.ensure_datasource(conn, "s1")
        conn.execute(sites.update().values(timezone="Europe/Berlin"))
        user_id = users.add_user(conn, "ann", Role.SUPERVISOR, "no hash", ALL, NOW)
    return Principal(user_id, "ann", Role.SUPERVISOR, ALL, "session")


def test_the_time_zone_is_that_of_the_site_until_one_is_chosen(
    database: Database, ann: Principal
) -> None:
    """And again once the choice is taken back."""
    visitors = Visitors(database)
    assert visitors.preferences(ann).zone.key == "Europe/Berlin"
    visitors.choose(ann, Chosen(timezone="Asia/Kolkata"))
    assert visitors.preferences(ann).zone.key == "Asia/Kolkata"
    visitors.choose(ann, Chosen())
    assert visitors.preferences(ann).zone.key == "Europe/Berlin"


@pytest.mark.parametrize("name", ["localtime", "Factory", "Moon/Base", "../UTC"])
def test_what_is_no_place_cannot_be_chosen(database: Database, ann: Principal, name: str) -> None:
    """What was chosen before stays."""
    visitors = Visitors(database)
    visitors.choose(ann, Chosen(timezone="Asia/Kolkata"))
    with pytest.raises(BadRequest, match=r"^timezone: "):
        visitors.choose(ann, Chosen(timezone=name))
    assert visitors.preferences(ann).zone.key == "Asia/Kolkata"


def test_a_choice_that_is_older_than_the_rule_shuts_nobody_out(
    database: Database, ann: Principal
) -> None:
    """Pages are in the zone of the site, or where that is none either in UTC, as reports."""
    with database.write() as conn:
        preferences.put(conn, ann.web_user_id, '{"timezone": "localtime"}')
    assert Visitors(database).preferences(ann).zone.key == "Europe/Berlin"
    with database.write() as conn:
        conn.execute(sites.update().values(timezone="Factory"))
    assert Visitors(database).preferences(ann).zone.key == "UTC"
    assert Reports(database, lambda: NOW).make(ann, "agents", {}).zone.key == "UTC"
