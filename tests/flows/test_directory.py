"""The directory, sites and places: who may see and change them, and what is told of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from callreel.access.policy import COMMAND
from callreel.db import directory, users
from callreel.db.database import Database
from callreel.db.directory import Voicelocation
from callreel.db.entries import Datasource, DirectoryUser, Filter, Group
from callreel.db.schema import directory_users
from callreel.errors import BadRequest, CallreelError, Conflict, Forbidden, NotFound
from callreel.model import Principal, Role, Scope
from tests.flows.administering import NOW, Town, make_town, of_groups, of_sites, who

Change = Callable[[Town, Principal], object]


@pytest.fixture
def town(database: Database, tmp_path: Path) -> Town:
    """On each kind of database."""
    return make_town(database, tmp_path)


def empty_folder(town: Town) -> Path:
    """A folder that can be a store."""
    path = town.folder / "more"
    path.mkdir(exist_ok=True)
    return path


IN_SITE: dict[str, Change] = {
    "site.set": lambda town, by: town.sites.change(
        by, replace(town.sites.site(COMMAND, "s1"), pad_s=1.5)
    ),
    "datasource.add": lambda town, by: town.sites.set_datasource(by, Datasource("9", "s1")),
    "group.add": lambda town, by: town.directory.add_group(by, "s1", "Desk"),
    "group.rename": lambda town, by: town.directory.rename_group(by, town.group("s1").id, "Desk"),
    "group.remove": lambda town, by: town.directory.remove_group(by, town.group("s1", "Empty").id),
    "extension.add": lambda town, by: town.directory.add_user(
        by, DirectoryUser("", "s1", None, "2199", "Cid Example")
    ),
    "extension.set": lambda town, by: town.directory.change_user(
        by, replace(town.user("s1", "2104"), name="Ann Other")
    ),
    "extension.remove": lambda town, by: town.directory.remove_user(by, town.user("s1", "2105").id),
    "channel.add": lambda town, by: town.directory.add_channel(by, "s1", "T9"),
    "channel.remove": lambda town, by: town.directory.remove_channel(
        by, town.channel("s1", "T2").id
    ),
}
"""Changes within site s1, by the audit row that each leaves."""
OF_ALL: dict[str, Change] = {
    "site.add": lambda town, by: town.sites.add(by, "s9", "York"),
    "store.add": lambda town, by: town.places.add_store(by, "2", empty_folder(town)),
    "voicelocation.add": lambda town, by: town.places.add_voicelocation(
        by, Voicelocation("7", None, "1")
    ),
    "voicelocation.set": lambda town, by: town.places.change_voicelocation(
        by, Voicelocation("1", "https://echo.example", "1")
    ),
}
"""Changes of what belongs to every site."""


@pytest.mark.parametrize("change", [*IN_SITE, *OF_ALL])
@pytest.mark.parametrize("role", Role)
def test_only_an_administrator_changes_the_directory(town: Town, role: Role, change: str) -> None:
    """Each change by each role: it is done and told in one audit row, or refused and not told."""
    work = {**IN_SITE, **OF_ALL}[change]
    if role is Role.ADMINISTRATOR:
        work(town, who(role))
        (row,) = town.told()
        assert (row.actor, row.action, row.decision) == ("boss", change, "allowed")
        assert set(row.detail) == {"before", "after"}
        assert row.detail["before"] != row.detail["after"]
        assert (row.detail["before"] is None) == change.endswith(".add")
        assert (row.detail["after"] is None) == change.endswith(".remove")
    else:
        with pytest.raises(Forbidden, match=role.value):
            work(town, who(role))
        assert town.told() == []


@pytest.mark.parametrize("change", IN_SITE)
def test_an_administrator_of_a_site_changes_that_site_and_no_other(town: Town, change: str) -> None:
    """What lies beyond looks absent."""
    with pytest.raises(NotFound):
        IN_SITE[change](town, who(reach=of_sites("s2")))
    assert town.told() == []
    IN_SITE[change](town, who(reach=of_sites("s1")))
    assert len(town.told()) == 1


@pytest.mark.parametrize("change", [name for name in IN_SITE if name != "extension.set"])
def test_an_administrator_of_a_group_changes_nothing_of_its_site(town: Town, change: str) -> None:
    """Only the users of the group."""
    by = who(reach=of_groups(town.group("s1"), town.group("s1", "Empty")))
    with pytest.raises(NotFound):
        IN_SITE[change](town, by)
    IN_SITE["extension.set"](town, by)
    assert [row.action for row in town.told()] == ["extension.set"]


@pytest.mark.parametrize("change", OF_ALL)
def test_what_belongs_to_every_site_is_changed_by_those_who_reach_every_site(
    town: Town, change: str
) -> None:
    """Reaching each site that there is is not enough: there may be another tomorrow."""
    with pytest.raises(Forbidden, match="every site"):
        OF_ALL[change](town, who(reach=of_sites("s1", "s2")))
    assert town.told() == []


def test_a_user_is_moved_between_groups_within_reach_only(town: Town) -> None:
    """Into no group would be out of sight; a group of another site is none of theirs."""
    sales, empty = town.group("s1"), town.group("s1", "Empty")
    ann = town.user("s1", "2104")
    by = who(reach=of_groups(sales))
    for beyond in (empty.id, None, town.group("s2").id):
        with pytest.raises(NotFound):
            town.directory.change_user(by, replace(ann, group_id=beyond))
    both = who(reach=of_groups(sales, empty))
    moved = town.directory.change_user(both, replace(ann, group_id=empty.id), seen=ann)
    assert town.user("s1", "2104") == moved
    with pytest.raises(NotFound):
        town.directory.change_user(by, replace(moved, group_id=sales.id))
    for wrong in (town.group("s2").id, "nothing"):
        with pytest.raises(NotFound, match="group"):
            town.directory.change_user(who(), replace(moved, group_id=wrong))
    (row,) = town.told()
    before, after = row.detail["before"], row.detail["after"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert (before["group_id"], after["group_id"]) == (sales.id, empty.id)


@pytest.mark.parametrize("role", Role)
def test_the_directory_is_seen_by_people_and_not_by_programs(town: Town, role: Role) -> None:
    """Each list, by each role."""
    by = who(role)
    asked: tuple[Callable[[], int], ...] = (
        lambda: len(town.sites.sites(by)),
        lambda: len(town.sites.datasources(by)[0]) - 1,
        lambda: len(town.directory.groups(by).items) - 2,
        lambda: len(town.directory.users(by).items) - 2,
        lambda: len(town.directory.channels(by).items) - 2,
    )
    for ask in asked:
        if role is Role.INTEGRATOR:
            with pytest.raises(Forbidden):
                ask()
        else:
            assert ask() == 2
    for places in (town.places.stores, town.places.voicelocations):
        if role is Role.ADMINISTRATOR:
            assert len(places(by)) == 1
        else:
            with pytest.raises(Forbidden):
                places(by)


def test_lists_show_what_is_within_reach(town: Town) -> None:
    """A site shows all of it; a group shows its users, itself and the name of its site."""
    site = who(Role.SUPERVISOR, of_sites("s2"))
    group = who(Role.SUPERVISOR, of_groups(town.group("s1")))
    nothing = who(Role.SUPERVISOR, Scope(site_ids=frozenset({"nowhere"})))
    seen = {
        name: (
            [each.id for each in town.sites.sites(by)],
            [(each.site_id, each.name) for each in town.directory.groups(by).items],
            [(each.site_id, each.extension) for each in town.directory.users(by).items],
            [each.site_id for each in town.directory.channels(by).items],
            [each.id for each in town.sites.datasources(by)[0]],
        )
        for name, by in (("site", site), ("group", group), ("nothing", nothing))
    }
    assert seen == {
        "site": (
            ["s2"],
            [("s2", "Empty"), ("s2", "Sales")],
            [("s2", "2104"), ("s2", "2105")],
            ["s2", "s2"],
            ["s2"],
        ),
        "group": (["s1"], [("s1", "Sales")], [("s1", "2104"), ("s1", "2105")], [], []),
        "nothing": ([], [], [], [], []),
    }
    assert town.directory.groups(group).members == {town.group("s1").id: 2}
    with pytest.raises(NotFound):
        town.directory.find(group, Group, "s1", "Empty")
    with pytest.raises(NotFound):
        town.directory.find(site, DirectoryUser, "s1", "2104")


def test_a_change_that_was_based_on_something_else_names_what_differs(town: Town) -> None:
    """Each kind: nothing is changed, and the message tells what is stored now."""
    seen = town.sites.site(COMMAND, "s1")
    town.sites.change(COMMAND, replace(seen, pad_s=1.5, retention_days=90), seen=seen)
    with pytest.raises(Conflict, match=r"pad_s is 1\.5 now, it was 0\.5") as refused:
        town.sites.change(who(), replace(seen, settle_s=5.0), seen=seen)
    assert refused.value.fields["differs"] == {"pad_s": 1.5, "retention_days": 90}
    ann = town.user("s1", "2104")
    town.directory.change_user(COMMAND, replace(ann, name="Ann Other"))
    with pytest.raises(Conflict, match="name is Ann Other now"):
        town.directory.change_user(who(), replace(ann, name="Ann Third"), seen=ann)
    group = town.group("s1")
    town.directory.rename_group(COMMAND, group.id, "Desk")
    with pytest.raises(Conflict, match="name is Desk now, it was Sales"):
        town.directory.rename_group(who(), group.id, "Board", seen="Sales")
    spare = Datasource("spare", "s1")
    town.sites.set_datasource(COMMAND, Datasource("spare", "s2"), seen=spare)
    with pytest.raises(Conflict, match="site_id is s2 now"):
        town.sites.set_datasource(who(), Datasource("spare", "s1"), seen=spare)
    (place,) = town.places.voicelocations(COMMAND)
    town.places.change_voicelocation(COMMAND, replace(place, echo_url="https://a.example"))
    with pytest.raises(Conflict, match="it was not set"):
        town.places.change_voicelocation(
            who(), replace(place, echo_url="https://b.example"), seen=place
        )
    assert {row.actor for row in town.told()} == {"command"}


def test_of_two_who_change_the_same_at_once_one_is_told(town: Town) -> None:
    """Whoever comes second finds what the first wrote."""
    seen = town.sites.site(COMMAND, "s1")
    ready = threading.Barrier(2)
    failures: list[CallreelError] = []

    def change(pad_s: float) -> None:
        ready.wait()
        try:
            town.sites.change(who(), replace(seen, pad_s=pad_s), seen=seen)
        except CallreelError as error:
            failures.append(error)

    threads = [threading.Thread(target=change, args=(pad_s,)) for pad_s in (1.0, 2.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(each) for each in failures] == [Conflict]
    assert len(town.told()) == 1


def test_what_is_used_is_not_removed(town: Town) -> None:
    """And the message tells by what."""
    sales, empty = town.group("s1"), town.group("s1", "Empty")
    with town.db.write() as conn:
        reach = Scope(group_ids=frozenset({empty.id}))
        users.add_user(conn, "ann", Role.SUPERVISOR, "no hash", reach, NOW)
    attempts: tuple[tuple[Callable[[], None], str], ...] = (
        (lambda: town.directory.remove_group(who(), sales.id), "users of the directory are in it"),
        (lambda: town.directory.remove_group(who(), empty.id), "web users reach it"),
        (lambda: town.directory.remove_user(who(), town.user("s1", "2104").id), "calls are theirs"),
        (
            lambda: town.directory.remove_channel(who(), town.channel("s1").id),
            "calls went over it",
        ),
    )
    for attempt, told in attempts:
        with pytest.raises(Conflict, match=told):
            attempt()
    assert town.told() == []


def test_a_renamed_group_keeps_its_people_and_its_old_name_can_be_given_again(town: Town) -> None:
    """A group has one id for its life; an import that names the old name makes a new group."""
    sales = town.group("s1")
    renamed = town.directory.rename_group(who(), sales.id, "Desk")
    assert renamed == replace(sales, name="Desk")
    assert town.user("s1", "2104").group_id == sales.id
    again = town.directory.add_group(who(), "s1", "Sales")
    assert again.id != sales.id
    with town.db.write() as conn:
        assert directory.find_group(conn, "s1/Sales") == again.id
        assert directory.find_group(conn, "s1/Desk") == sales.id
        assert directory.ensure_group(conn, "s1", "Desk") == sales.id
    for taken in ("Desk", "Empty"):
        with pytest.raises(Conflict, match=taken):
            town.directory.rename_group(who(), again.id, taken)
        with pytest.raises(Conflict, match=taken):
            town.directory.add_group(who(), "s1", taken)


def test_an_extension_is_added_once_and_keeps_its_number(town: Town) -> None:
    """Calls find their user by it."""
    new = DirectoryUser("", "s1", town.group("s1").id, "2199", "Cid Example")
    added = town.directory.add_user(who(), new)
    assert added == replace(new, id=town.user("s1", "2199").id)
    with pytest.raises(Conflict, match="2199"):
        town.directory.add_user(who(), new)
    with pytest.raises(BadRequest, match="extension"):
        town.directory.change_user(who(), replace(added, extension="2200"))
    for wrong in ("", " 2201", "2" * 65, "22\n01"):
        with pytest.raises(BadRequest, match="extension"):
            town.directory.add_user(who(), replace(new, extension=wrong))
    with pytest.raises(NotFound):
        town.directory.add_user(who(), replace(new, site_id="s2", extension="2202"))
    with town.db.write() as conn:
        # A call of that extension finds the user that was added.
        assert directory.ensure_user(conn, "s1", "2199") == added.id


def test_people_are_found_by_name_and_by_the_beginning_of_an_extension(town: Town) -> None:
    """Signs of a pattern are only signs."""

    def found(text: str, **more: str) -> list[tuple[str, str]]:
        wanted = Filter(text, **more)
        return [(u.site_id, u.extension) for u in town.directory.users(who(), wanted).items]

    assert found("aNN") == [("s1", "2104"), ("s2", "2104")]
    assert found("2105", site_id="s2") == [("s2", "2105")]
    assert len(found("210")) == 4
    assert found("104") == []
    assert (found("%"), found("_")) == ([], [])
    assert len(found("example", group_id=town.group("s1").id)) == 2
    assert [g.name for g in town.directory.groups(who(), Filter("sal", "s1")).items] == ["Sales"]
    assert [c.name for c in town.directory.channels(who(), Filter("t2", "s2")).items] == ["T2"]


def test_a_long_list_comes_in_pages_that_miss_none(town: Town) -> None:
    """Also where many have the same name."""
    with town.db.write() as conn:
        conn.execute(
            insert(directory_users),
            [
                {
                    "id": f"x{number:04}",
                    "site_id": "s2",
                    "extension": f"3{number:04}",
                    "name": f"Same {number // 50:02}",
                }
                for number in range(1000)
            ],
        )
    found: list[DirectoryUser] = []
    after = None
    while True:
        page = town.directory.users(who(), Filter(site_id="s2"), limit=97, after=after)
        found += page.items
        after = page.next
        if after is None:
            break
    assert len(found) == len({each.id for each in found}) == 1002
    assert [(each.name, each.id) for each in found] == sorted(
        (each.name, each.id) for each in found
    )
    with pytest.raises(BadRequest, match="cursor"):
        town.directory.users(who(), after="nonsense")
    with pytest.raises(BadRequest, match="limit"):
        town.directory.users(who(), limit=501)
