"""Sites and places: their settings are checked, kept where they can be, and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from callreel.access.policy import COMMAND
from callreel.db import directory
from callreel.db.database import Database
from callreel.db.entries import Datasource
from callreel.errors import BadRequest, Conflict, NotFound
from callreel.model import Fill
from tests.flows.administering import Town, make_town, of_sites, who


@pytest.fixture
def town(database: Database, tmp_path: Path) -> Town:
    """On each kind of database."""
    return make_town(database, tmp_path)


def empty_folder(town: Town) -> Path:
    """A folder that can be a store."""
    path = town.folder / "more"
    path.mkdir(exist_ok=True)
    return path


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"timezone": "Europe/Atlantis"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": "localtime"}, "timezone"),
        ({"timezone": "Factory"}, "timezone"),
        ({"name": "  "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"pad_s": -1.0}, "pad_s"),
        ({"pad_s": float("nan")}, "pad_s"),
        ({"settle_s": 1e9}, "settle_s"),
        ({"max_span_s": 0.0}, "max_span_s"),
        ({"retention_days": 0}, "retention_days"),
        ({"burn_in_after_s": -1.0}, "burn_in_after_s"),
        ({"key_presses": "perhaps"}, "key_presses"),
        ({"fill": Fill("tone", 50.0)}, "fill"),
        ({"fill": Fill("song")}, "fill"),
        ({"fill": Fill("file", samples=bytes(16_000), rate_hz=8000)}, "fill"),
        ({"default_voicelocation": ""}, "voicelocation"),
    ],
)
def test_a_setting_that_cannot_be_so_is_named(
    town: Town, wrong: dict[str, object], named: str
) -> None:
    """And nothing is stored."""
    site = town.sites.site(COMMAND, "s1")
    with pytest.raises(BadRequest, match=named):
        town.sites.change(who(), replace(site, **wrong))  # type: ignore[arg-type]  # on purpose
    assert (town.sites.site(COMMAND, "s1"), town.told()) == (site, [])


def test_every_setting_of_a_site_can_be_changed(town: Town) -> None:
    """What is stored is what was asked for, and the audit row tells both."""
    before = town.sites.site(COMMAND, "s1")
    loud = (b"\x00\x10\x00\xf0" * 2000)[:8000]
    wanted = replace(
        before,
        name="Leeds",
        default_voicelocation="5",
        timezone="Europe/London",
        pad_s=1.0,
        max_span_s=300.0,
        settle_s=60.0,
        fill=Fill("file", samples=loud, rate_hz=8000),
        burn_in_after_s=3600.0,
        key_presses="apply",
        retention_days=365,
    )
    assert town.sites.change(who(), wanted, seen=before, address="192.0.2.7") == wanted
    assert town.sites.site(who(), "Leeds") == wanted
    assert "5" in {each.id for each in town.places.voicelocations(who())}
    (row,) = town.told()
    assert row.address == "192.0.2.7"
    after = row.detail["after"]
    assert isinstance(after, dict)
    assert (after["timezone"], after["retention_days"]) == ("Europe/London", 365)
    assert set(after["fill"]) == {"kind", "hz", "dbfs", "rate_hz", "sha256"}
    town.sites.change(who(), wanted, seen=wanted)
    assert len(town.told()) == 1


def test_a_site_takes_no_name_of_another_and_no_place_that_only_others_may_make(
    town: Town,
) -> None:
    """Commands find a site by its name; places belong to every site."""
    site = town.sites.site(COMMAND, "s1")
    with pytest.raises(Conflict, match="'s2'"):
        town.sites.change(who(), replace(site, name="s2"))
    with pytest.raises(Conflict, match="already"):
        town.sites.add(who(), "s1")
    with pytest.raises(Conflict, match="'s2'"):
        town.sites.add(who(), "s3", "s2")
    part = who(reach=of_sites("s1"))
    with pytest.raises(BadRequest, match="default_voicelocation"):
        town.sites.change(part, replace(site, default_voicelocation="5"))
    town.sites.change(part, replace(site, default_voicelocation="1"))


def test_a_datasource_with_calls_stays_where_it_is(town: Town) -> None:
    """Or its calls would change hands; one without moves, where both sites are reached."""
    with pytest.raises(Conflict, match="calls came from it"):
        town.sites.set_datasource(who(), Datasource("s1", "s2"))
    spare = Datasource("spare", "s2")
    for part in ("s1", "s2"):
        with pytest.raises(NotFound):
            town.sites.set_datasource(who(reach=of_sites(part)), spare)
    assert town.sites.set_datasource(who(reach=of_sites("s1", "s2")), spare) == spare
    assert Datasource("spare", "s2") in town.sites.datasources(who())[0]
    with pytest.raises(NotFound, match="'s9'"):
        town.sites.set_datasource(who(), Datasource("spare", "s9"))


def test_a_folder_becomes_a_store_only_where_it_is_empty_and_apart(town: Town) -> None:
    """Neither the keys nor another store may lie beneath it, nor it beneath them."""
    good = empty_folder(town)
    (town.folder / "full").mkdir()
    (town.folder / "full" / "x").write_text("x")
    (town.folder / "link").symlink_to(town.folder / "data" / "store")
    (town.folder / "file").write_text("")
    (town.folder / "data" / "inner").mkdir()
    for path, told in (
        (Path("more"), "whole path"),
        (town.folder / "none", "no folder here"),
        (town.folder / "file", "no folder here"),
        (town.folder / "full", "must be empty"),
        (town.folder / "data" / "inner", "apart from the data folder"),
        (town.folder / "link", "apart from"),
        (town.folder / "a\0b", "no folder here"),
    ):
        with pytest.raises(BadRequest, match=told):
            town.places.add_store(who(), "2", path)
    for wrong in ("", "Two", "a/b", "x" * 33):
        with pytest.raises(BadRequest, match="store id"):
            town.places.add_store(who(), wrong, good)
    store = town.places.add_store(who(), "2", good)
    assert (store.uri, store.read_only) == (good.as_uri(), False)
    (good / "inner").mkdir()
    with pytest.raises(BadRequest, match="apart from store 2"):
        town.places.add_store(who(), "3", good / "inner")
    other = town.folder / "other"
    other.mkdir()
    with pytest.raises(Conflict, match="already"):
        town.places.add_store(who(), "1", other)


def test_a_voicelocation_is_served_and_kept_where_it_can_be(town: Town) -> None:
    """By an address that is one, in a store that is ours."""
    with town.db.write() as conn:
        directory.ensure_store(conn, "theirs", "file:///srv/theirs", read_only=True)
    (place,) = town.places.voicelocations(who())
    for wrong, error in (
        (replace(place, echo_url="ftp://x"), BadRequest),
        (replace(place, echo_url="https://u:p@x"), BadRequest),
        (replace(place, store_id="theirs"), BadRequest),
        (replace(place, store_id="none"), NotFound),
        (replace(place, id="none"), NotFound),
    ):
        with pytest.raises(error):
            town.places.change_voicelocation(who(), wrong)
    for wrong, error in (
        (place, Conflict),
        (replace(place, id=" 9"), BadRequest),
        (replace(place, id="9", echo_url="x"), BadRequest),
        (replace(place, id="9", store_id="theirs"), BadRequest),
    ):
        with pytest.raises(error):
            town.places.add_voicelocation(who(), wrong)
    assert town.told() == []
    assert town.places.change_voicelocation(who(), place, seen=place) == place
    assert town.told() == []
