"""Who may see, add and change web users, how far, and what the audit log tells of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from callreel.access.identity import Verifier, hash_password
from callreel.access.policy import COMMAND
from callreel.bootstrap import DatabaseUsers
from callreel.db import audit, directory, users
from callreel.db.database import Database
from callreel.errors import (
    BadRequest,
    CallreelError,
    Conflict,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unauthenticated,
)
from callreel.flows.people import People, Person, Rights
from callreel.model import Principal, Role, Scope, UnixMillis, WebUserId

NOW = UnixMillis(1_790_000_000_000)
ALL = Scope(everything=True)
OLD = "the old password of ann"
NEW = "a new password for ann"


@dataclass
class Staff:
    """A flow over a database with two sites and a group in each."""

    db: Database
    people: People
    verifier: Verifier
    groups: dict[str, str]

    def user(self, name: str, role: Role = Role.SUPERVISOR, reach: Scope = ALL) -> Principal:
        """Add a web user; their principal."""
        hashed = hash_password(OLD) if name == "ann" else "no hash"
        with self.db.write() as conn:
            user_id = users.add_user(conn, name, role, hashed, reach, NOW)
        return Principal(user_id, name, role, reach, "session")

    def told(self) -> list[audit.AuditEntry]:
        """The whole audit log."""
        with self.db.read() as conn:
            return list(audit.entries(conn))


@pytest.fixture
def staff(database: Database) -> Staff:
    """On each kind of database."""
    with database.write() as conn:
        for site in ("s1", "s2"):
            directory.ensure_site(conn, site)
        groups = {site: directory.ensure_group(conn, site, "Sales") for site in ("s1", "s2")}
    verifier = Verifier(DatabaseUsers(database))
    return Staff(database, People(database, lambda: NOW, verifier), verifier, groups)


def sites(*names: str) -> Scope:
    """A reach of whole sites."""
    return Scope(site_ids=frozenset(names))


CHANGES: dict[str, Callable[[People, Principal, str], object]] = {
    "add": lambda people, who, _: people.add(who, "new", Rights(Role.AUDITOR, sites("s1"))),
    "change": lambda people, who, user: people.change(who, user, Rights(Role.AUDITOR, sites("s1"))),
    "disable": lambda people, who, user: people.set_enabled(who, user, enabled=False),
    "enable": lambda people, who, user: people.set_enabled(who, user, enabled=True),
    "passwd": lambda people, who, user: people.new_password(who, user),
    "key": lambda people, who, user: people.add_key(who, user, "crm"),
    "revoke": lambda people, who, _: people.revoke_key(who, people.keys(COMMAND)[0].id),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_only_an_administrator_changes_people(staff: Staff, role: Role, change: str) -> None:
    """Every other role is refused, and nothing is written."""
    who = staff.user("who", role)
    staff.user("bob", reach=sites("s1"))
    staff.people.add_key(COMMAND, "bob", "")
    before = staff.told()
    with pytest.raises(Forbidden, match=role.value):
        CHANGES[change](staff.people, who, "bob")
    assert staff.told() == before


@pytest.mark.parametrize("change", CHANGES)
def test_an_administrator_changes_people_within_reach_and_is_told_of_by_name(
    staff: Staff, change: str
) -> None:
    """Each change is one audit row, with what was before and what is after."""
    who = staff.user("boss", Role.ADMINISTRATOR, sites("s1"))
    staff.user("bob", reach=sites("s1"))
    staff.people.add_key(COMMAND, "bob", "")
    if change == "enable":
        staff.people.set_enabled(COMMAND, "bob", enabled=False)
    before = len(staff.told())
    CHANGES[change](staff.people, who, "bob")
    (row,) = staff.told()[before:]
    assert (row.actor, row.decision) == ("boss", "allowed")
    assert set(row.detail) == {"before", "after"}
    assert row.detail["before"] != row.detail["after"]


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "add"])
@pytest.mark.parametrize("beyond", ["everything", "another site", "another group", "both"])
def test_who_reaches_more_than_an_administrator_looks_absent_to_them(
    staff: Staff, change: str, beyond: str
) -> None:
    """Or a new password for them would be a way to reach it."""
    reach = {
        "everything": ALL,
        "another site": sites("s2"),
        "another group": Scope(group_ids=frozenset({staff.groups["s2"]})),
        "both": sites("s1", "s2"),
    }[beyond]
    who = staff.user("boss", Role.ADMINISTRATOR, sites("s1"))
    staff.user("bob", reach=reach)
    staff.people.add_key(COMMAND, "bob", "")
    before = staff.told()
    with pytest.raises(NotFound):
        CHANGES[change](staff.people, who, "bob")
    with pytest.raises(NotFound, match="'bob'"):
        staff.people.person(who, "bob")
    assert [each.username for each in staff.people.page(who).items] == ["boss"]
    assert staff.people.keys(who) == ()
    assert staff.told() == before


def test_nobody_gives_more_than_they_reach(staff: Staff) -> None:
    """Neither to somebody new, nor to somebody there, nor to themselves."""
    own = Scope(site_ids=frozenset({"s1"}), group_ids=frozenset({staff.groups["s2"]}))
    who = staff.user("boss", Role.ADMINISTRATOR, own)
    staff.user("bob", reach=sites("s1"))
    for reach in (ALL, sites("s2"), sites("s1", "s2")):
        rights = Rights(Role.SUPERVISOR, reach)
        with pytest.raises(Forbidden, match="more than they reach"):
            staff.people.add(who, "new", rights)
        for name in ("bob", "boss"):
            with pytest.raises(Forbidden, match="more than they reach"):
                staff.people.change(who, name, rights)
    inside = Scope(group_ids=frozenset(staff.groups.values()))
    assert staff.people.change(who, "bob", Rights(Role.ADMINISTRATOR, inside)).reach == inside


def test_a_group_is_within_the_reach_of_its_site_and_not_the_other_way(staff: Staff) -> None:
    """Somebody with a group cannot look after those of the whole site."""
    group = Scope(group_ids=frozenset({staff.groups["s1"]}))
    chief = staff.user("chief", Role.ADMINISTRATOR, sites("s1"))
    desk = staff.user("desk", Role.ADMINISTRATOR, group)
    staff.user("bob", reach=group)
    staff.user("nil", reach=Scope())

    def seen_by(who: Principal) -> list[str]:
        return [each.username for each in staff.people.page(who).items]

    assert seen_by(chief) == ["bob", "chief", "desk", "nil"]
    assert seen_by(desk) == ["bob", "desk", "nil"]
    assert seen_by(COMMAND) == ["bob", "chief", "desk", "nil"]


@pytest.mark.parametrize("role", Role)
def test_the_list_of_people_is_for_administrators_and_auditors(staff: Staff, role: Role) -> None:
    """An auditor sees who there is and changes nothing."""
    who = staff.user("who", role)
    asked = (
        lambda: staff.people.page(who).items[0].username,
        lambda: staff.people.person(who, "WHO").username,
        lambda: "who" if staff.people.keys(who) == () else "",
    )
    for ask in asked:
        if role in {Role.ADMINISTRATOR, Role.AUDITOR}:
            assert ask() == "who"
        else:
            with pytest.raises(Forbidden):
                ask()


def test_the_last_administrator_of_everything_stays(staff: Staff) -> None:
    """A disabled one and one of a part do not count; with another one there, the first may go."""
    boss = staff.user("boss", Role.ADMINISTRATOR)
    staff.user("part", Role.ADMINISTRATOR, sites("s1", "s2"))
    staff.user("away", Role.ADMINISTRATOR)
    staff.people.set_enabled(boss, "away", enabled=False)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: staff.people.set_enabled(COMMAND, "boss", enabled=False),
        lambda: staff.people.change(COMMAND, "boss", Rights(Role.AUDITOR, ALL)),
        lambda: staff.people.change(COMMAND, "boss", Rights(Role.ADMINISTRATOR, sites("s1"))),
    )
    for attempt in attempts:
        with pytest.raises(Conflict, match="boss is the last administrator"):
            attempt()
    staff.people.set_enabled(boss, "away", enabled=True)
    staff.people.change(COMMAND, "boss", Rights(Role.AUDITOR, ALL))
    with pytest.raises(Conflict, match="away is the last administrator"):
        staff.people.set_enabled(COMMAND, "away", enabled=False)


def test_two_administrators_who_demote_each_other_at_once_leave_one(staff: Staff) -> None:
    """Whoever comes second finds the other one gone."""
    bosses = {name: staff.user(name, Role.ADMINISTRATOR) for name in ("ada", "bea")}
    ready = threading.Barrier(2)
    failures: list[CallreelError] = []

    def demote(by: str, other: str) -> None:
        ready.wait()
        try:
            staff.people.change(bosses[by], other, Rights(Role.AUDITOR, ALL))
        except CallreelError as error:
            failures.append(error)

    threads = [
        threading.Thread(target=demote, args=pair) for pair in (("ada", "bea"), ("bea", "ada"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(each) for each in failures] == [Conflict]
    roles = {each.role for each in staff.people.page(COMMAND).items}
    assert roles == {Role.ADMINISTRATOR, Role.AUDITOR}


def test_a_change_that_was_based_on_something_else_names_what_differs(staff: Staff) -> None:
    """Two looked, both changed: the second is told what the first did, and changes nothing."""
    staff.user("bob", Role.SUPERVISOR, sites("s1"))
    seen = Rights(Role.SUPERVISOR, sites("s1"))
    staff.people.change(COMMAND, "bob", Rights(Role.COMPLIANCE, sites("s1", "s2")), seen=seen)
    before = staff.told()
    with pytest.raises(Conflict, match="role is compliance now, it was supervisor") as refused:
        staff.people.change(COMMAND, "bob", Rights(Role.AUDITOR, sites("s1")), seen=seen)
    assert refused.value.fields["differs"] == {"role": "compliance", "sites": ["s1", "s2"]}
    assert staff.told() == before


def test_a_change_is_told_with_what_was_before_and_what_is_after(staff: Staff) -> None:
    """Word for word; what changes nothing is not told."""
    bob = staff.user("bob", Role.SUPERVISOR, sites("s1"))
    wanted = Rights(Role.COMPLIANCE, Scope(group_ids=frozenset({staff.groups["s2"]})))
    staff.people.change(COMMAND, "bob", wanted, address="192.0.2.7")
    staff.people.change(COMMAND, "bob", wanted)
    staff.people.set_enabled(COMMAND, "bob", enabled=True)
    (row,) = staff.told()
    assert (row.actor, row.action, row.object_id) == ("command", "user.change", bob.web_user_id)
    assert (row.address, row.at) == ("192.0.2.7", NOW)
    common = {"username": "bob", "everything": False, "disabled": False}
    assert row.detail == {
        "before": {**common, "role": "supervisor", "sites": ["s1"], "groups": []},
        "after": {**common, "role": "compliance", "sites": [], "groups": [staff.groups["s2"]]},
    }


def test_sites_and_groups_that_are_not_there_are_named(staff: Staff) -> None:
    """Not left to a rule of the database."""
    for reach in (sites("s9"), Scope(group_ids=frozenset({"g9"}))):
        with pytest.raises(NotFound, match="9"):
            staff.people.add(COMMAND, "new", Rights(Role.AUDITOR, reach))
    with pytest.raises(NotFound):
        staff.people.person(COMMAND, "new")


@pytest.mark.parametrize("name", ["command", "Policy"])
def test_names_that_the_audit_log_gives_to_nobody_are_refused(staff: Staff, name: str) -> None:
    """Or somebody could act under them."""
    with pytest.raises(BadRequest, match="audit log"):
        staff.people.add(COMMAND, name, Rights(Role.ADMINISTRATOR, ALL))


def test_passwords_and_keys_are_shown_once_and_work(staff: Staff) -> None:
    """Neither is in the audit log, nor in any list."""
    added = staff.people.add(COMMAND, "bob", Rights(Role.INTEGRATOR, ALL))
    assert added.password is not None
    assert staff.verifier.basic("bob", added.password, None).role is Role.INTEGRATOR
    made = staff.people.new_password(COMMAND, "bob")
    assert made is not None
    with pytest.raises(Unauthenticated):
        staff.verifier.basic("bob", added.password, None)
    staff.verifier.basic("bob", made, None)
    assert staff.people.new_password(COMMAND, "bob", password=NEW) is None
    staff.verifier.basic("bob", NEW, None)
    key = staff.people.add_key(COMMAND, "bob", "wallboard")
    assert staff.verifier.api_key(key.secret, None).username == "bob"
    staff.people.revoke_key(COMMAND, key.id)
    staff.people.revoke_key(COMMAND, key.id)
    with pytest.raises(Unauthenticated):
        staff.verifier.api_key(key.secret, None)
    told = repr(staff.told()) + repr(staff.people.keys(COMMAND)) + repr(staff.people.page(COMMAND))
    for secret in (added.password, made, NEW, key.secret):
        assert secret not in told
    assert [row.action for row in staff.told()].count("key.revoke") == 1


def test_ones_own_password_needs_the_old_one(staff: Staff) -> None:
    """Whoever finds an open browser cannot take the account over; a role is not needed."""
    ann = staff.user("ann", Role.INTEGRATOR)
    with pytest.raises(Unauthenticated):
        staff.people.change_own_password(ann, "not the old one at all", NEW)
    for wrong in ("short", OLD):
        with pytest.raises(BadRequest, match="password"):
            staff.people.change_own_password(ann, OLD, wrong)
    assert [row.action for row in staff.told()] == ["login.refuse"]
    staff.people.change_own_password(ann, OLD, NEW)
    staff.verifier.basic("ann", NEW, None)
    with pytest.raises(Unauthenticated):
        staff.verifier.basic("ann", OLD, None)
    _, row, again = staff.told()
    assert again.action == "login.refuse"
    assert (row.actor, row.action) == ("ann", "user.passwd")
    assert row.detail["after"] == {"username": "ann", "password_version": 2, "own": True}


def test_a_password_of_somebody_else_changes_nothing_of_mine(staff: Staff) -> None:
    """A name that was given to another user since."""
    staff.user("ann")
    imposter = Principal(WebUserId("w-gone"), "ann", Role.AUDITOR, ALL, "session")
    with pytest.raises(Unauthenticated):
        staff.people.change_own_password(imposter, OLD, NEW)


def test_the_list_comes_in_pages_and_by_the_beginning_of_a_name(staff: Staff) -> None:
    """None is missed or told twice, and a cursor of another kind is refused."""
    with staff.db.write() as conn:
        for number in range(25):
            name = f"{'Ab' if number % 2 else 'b'}{number:02}"
            users.add_user(conn, name, Role.AUDITOR, "no hash", sites("s1"), NOW)
    found: list[Person] = []
    after = None
    while True:
        page = staff.people.page(COMMAND, limit=10, after=after)
        found += page.items
        after = page.next
        if after is None:
            break
    names = [each.username for each in found]
    assert (len(names), names) == (25, sorted(names, key=str.casefold))
    assert {each.username[:2] for each in staff.people.page(COMMAND, "aB").items} == {"Ab"}
    assert staff.people.page(COMMAND, "%").items == ()
    for wrong in ("x", "%%%", "W10", "WzFd", "WyJhIiwiYiJd"):
        with pytest.raises(BadRequest, match="cursor"):
            staff.people.page(COMMAND, after=wrong)
    for limit in (0, 501):
        with pytest.raises(BadRequest, match="limit"):
            staff.people.page(COMMAND, limit=limit)


def test_wrong_credentials_are_in_the_audit_log(staff: Staff) -> None:
    """Who was meant and where from; never what was typed, which may be a password."""
    bob = staff.user("Bob", reach=sites("s1"))
    before = len(staff.told())
    for name in ("bOB", "my password by mistake"):
        with pytest.raises(Unauthenticated):
            staff.verifier.basic(name, "not the password", "192.0.2.7")
    with pytest.raises(Unauthenticated):
        staff.verifier.api_key("crk_nobody", "192.0.2.8")
    rows = staff.told()[before:]
    assert [(row.action, row.decision) for row in rows] == [("login.refuse", "unauthenticated")] * 3
    assert [(row.actor, row.object_id, row.address) for row in rows] == [
        ("Bob", bob.web_user_id, "192.0.2.7"),
        ("", "", "192.0.2.7"),
        ("", "", "192.0.2.8"),
    ]
    assert "password by" not in str(rows)


def test_the_throttle_bounds_the_audit_log(staff: Staff) -> None:
    """Whoever must wait fills no disk."""
    staff.user("Bob", reach=sites("s1"))
    before = len(staff.told())
    for _ in range(30):
        with pytest.raises((Unauthenticated, TooManyRequests)):
            staff.verifier.basic("Bob", "not the password", "192.0.2.7")
    assert 15 < len(staff.told()) - before < 25
