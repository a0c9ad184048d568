"""What names of sites and groups can do to a reach, and forms to a group."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from callreel.access.identity import hash_password
from callreel.db import directory, users
from callreel.model import Role, Scope, UnixMillis
from tests.pages.test_login import entered, token_of
from tests.pages.town import PASSWORD, Town, open_town


@pytest.fixture
def small_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town of its own: nobody else looks at these names."""
    with open_town(tmp_path_factory.mktemp("town"), calls=3) as town:
        yield town


@pytest.mark.parametrize("name", ["everything", "Everything", "Sales, North", "A/B"])
def test_a_place_has_no_name_that_reads_as_a_reach(small_town: Town, name: str) -> None:
    """Whoever renames a site or a group gives nobody more than they reach."""
    with entered(small_town) as browser:
        token = token_of(browser)
        for path, fields in (
            ("/settings/sites", {"id": name}),
            ("/directory/groups", {"do": "add", "site": "1", "name": name}),
        ):
            answer = browser.post(path, data={"csrf": token, **fields})
            assert answer.status_code == 400, path
            assert "everything" in answer.text


def test_a_reach_that_nobody_touched_stays_what_it_is(small_town: Town) -> None:
    """Also where the names of its places mean others by now (threats.md T37)."""
    db = small_town.serving.base.db
    with db.write() as conn:
        group = directory.ensure_group(conn, "2", "Support, Manchester")
        reach = Scope(group_ids=frozenset({group}))
        users.add_user(
            conn, "named", Role.SUPERVISOR, hash_password(PASSWORD), reach, UnixMillis(1)
        )
    with entered(small_town) as browser:
        page = browser.get("/settings/people?q=named").text
        fields = dict(re.findall(r'name="(user|seen|seen_reach|csrf)" value="([^"]*)"', page))
        assert fields["seen_reach"] == "Bristol/Support, Manchester"
        wanted = {"do": "change", "role": "auditor", "reach": fields["seen_reach"], **fields}
        assert browser.post("/settings/people", data=wanted).status_code == 303
        assert browser.post("/settings/people", data=wanted).status_code == 409
    with db.read() as conn:
        found = users.by_name(conn, "named")
    assert found is not None
    assert (found.role, found.reach) == (Role.AUDITOR, reach)


def test_every_group_of_a_site_can_be_chosen(small_town: Town) -> None:
    """A form that offers a hundred of them would take somebody out of the others."""
    db = small_town.serving.base.db
    with db.write() as conn:
        for number in range(510):
            directory.ensure_group(conn, "2", f"A{number:03}")
        last = directory.ensure_group(conn, "2", "Reception")
        directory.set_user(conn, "2", "3104", name="Karen Oduya", group_id=last)
    with entered(small_town) as browser:
        page = browser.get("/directory/extensions?q=3104").text
        assert f'<option value="{last}" selected>Reception</option>' in page


@pytest.mark.parametrize("days", ["nan", "inf", "30.9", "many"])
def test_days_are_whole_numbers(small_town: Town, days: str) -> None:
    """What is none is named, and nothing is cut off without a word."""
    with entered(small_town) as browser:
        page = browser.get("/settings/sites/1").text
        fields = dict(re.findall(r'name="([a-z_]+)"[^>]*? value="([^"]*)"', page))
        answer = browser.post("/settings/sites/1", data={**fields, "retention_days": days})
        assert answer.status_code == 400
        assert "retention_days" in answer.text
        good = {**fields, "retention_days": "30"}
        assert browser.post("/settings/sites/1", data=good).status_code == 303
