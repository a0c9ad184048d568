"""Web users, keys, the directory, used tokens and the audit log, on both databases alike."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from callreel.db import audit, directory, tokens, users
from callreel.db.database import Database
from callreel.errors import BadRequest, Conflict, NotFound
from callreel.model import Role, Scope, UnixMillis, WebUser, WebUserId
from tests.contracts.records import ALL, NOW, CallPlan, write_call


def user(database: Database, name: str) -> WebUser:
    """A web user who must be there."""
    with database.read() as conn:
        found = users.by_name(conn, name)
    assert found is not None
    return found


def test_names_of_web_users_compare_without_case(database: Database) -> None:
    """One Ada, however she writes herself; the name is kept as it was given."""
    with database.write() as conn:
        added = users.add_user(conn, "Ada Straße", Role.SUPERVISOR, "hash", ALL, NOW)
    assert user(database, "ada STRASSE") == WebUser(
        added, "Ada Straße", Role.SUPERVISOR, "hash", 1, disabled=False, reach=ALL
    )
    with database.write() as conn:
        with pytest.raises(Conflict):
            users.add_user(conn, "ADA STRASSE", Role.AUDITOR, "hash", ALL, NOW)
        assert users.by_name(conn, "ada") is None
        assert users.by_id(conn, WebUserId("w0")) is None


@pytest.mark.parametrize("name", ["", "a:b", " a", "a ", "a\n", "a\0b", "x" * 129])
def test_a_name_that_basic_cannot_carry_is_refused(database: Database, name: str) -> None:
    """A colon ends the name (RFC 7617); blanks and control characters only mislead."""
    with database.write() as conn, pytest.raises(BadRequest, match="user name"):
        users.add_user(conn, name, Role.AUDITOR, "hash", ALL, NOW)


def test_what_a_user_reaches_is_what_was_given(database: Database) -> None:
    """Each its own sites and groups; a new reach replaces the old one whole."""
    with database.write() as conn:
        for site_id in ("s1", "s2"):
            directory.ensure_site(conn, site_id)
        groups = [directory.ensure_group(conn, "s2", name) for name in ("Sales", "Desk")]
        narrow = Scope(site_ids=frozenset({"s1"}))
        mixed = Scope(site_ids=frozenset({"s1", "s2"}), group_ids=frozenset(groups))
        reaches = {"ada": ALL, "bob": Scope(), "cid": narrow, "dee": mixed}
        for name, reach in reversed(reaches.items()):
            users.add_user(conn, name, Role.SUPERVISOR, "hash", reach, NOW)
    with database.read() as conn:
        listed = users.list_users(conn)
    assert [(each.username, each.reach) for each in listed] == list(reaches.items())
    with database.write() as conn:
        users.set_reach(conn, user(database, "dee").id, narrow)
        users.set_reach(conn, user(database, "ada").id, Scope(group_ids=frozenset(groups[:1])))
    assert user(database, "dee").reach == narrow
    assert user(database, "ada").reach == Scope(group_ids=frozenset(groups[:1]))


def test_a_new_password_voids_what_was_verified_before(database: Database) -> None:
    """Its version grows; a stronger hash of the same password changes no version."""
    with database.write() as conn:
        users.add_user(conn, "ada", Role.SUPERVISOR, "hash1", ALL, NOW)
        users.set_password(conn, "ADA", "hash2")
    found = user(database, "ada")
    assert (found.password_hash, found.password_version) == ("hash2", 2)
    with database.write() as conn:
        users.rehash(conn, found.id, "hash1", "stale")
    assert user(database, "ada") == found
    with database.write() as conn:
        users.rehash(conn, found.id, "hash2", "strong")
    assert user(database, "ada") == replace(found, password_hash="strong")


def test_a_user_is_shut_out_and_let_in_again(database: Database) -> None:
    """Nothing else about them changes."""
    with database.write() as conn:
        users.add_user(conn, "ada", Role.SUPERVISOR, "hash", ALL, NOW)
    before = user(database, "ada")
    with database.write() as conn:
        users.disable(conn, "ADA", NOW)
    assert user(database, "ada") == replace(before, disabled=True)
    with database.write() as conn:
        users.enable(conn, "ADA")
    assert user(database, "ada") == before


def test_a_revoked_key_opens_nothing(database: Database) -> None:
    """It stays listed; the other keys of its owner go on."""
    with database.write() as conn:
        users.add_user(conn, "ada", Role.INTEGRATOR, "hash", ALL, NOW)
        first = users.add_key(conn, "ADA", "k1", "crm", NOW)
        users.add_key(conn, "ada", "k2", "wallboard", UnixMillis(NOW + 1))
        assert users.by_api_key(conn, "k1") == users.by_name(conn, "ada")
        users.revoke_key(conn, first, NOW)
    with database.read() as conn:
        assert users.by_api_key(conn, "k1") is None
        assert users.by_api_key(conn, "k2") == users.by_name(conn, "ada")
        assert users.by_api_key(conn, "k3") is None
        listed = users.list_keys(conn)
    assert [(key.username, key.label, key.disabled) for key in listed] == [
        ("ada", "crm", True),
        ("ada", "wallboard", False),
    ]


def test_whoever_is_not_there_is_named(database: Database) -> None:
    """Every command on a user or key that does not exist says so."""
    with database.write() as conn:
        for attempt in (
            lambda: users.disable(conn, "nobody", NOW),
            lambda: users.enable(conn, "nobody"),
            lambda: users.set_password(conn, "nobody", "h"),
            lambda: users.add_key(conn, "nobody", "h", "l", NOW),
        ):
            with pytest.raises(NotFound, match="nobody"):
                attempt()
        with pytest.raises(NotFound, match="nothing"):
            users.revoke_key(conn, "nothing", NOW)


def test_a_token_is_burned_once(database: Database) -> None:
    """Of many that try at once, one wins (T4)."""
    won: list[bool] = []

    def attempt() -> None:
        with database.write() as conn:
            won.append(tokens.burn(conn, "t1", NOW))

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 5 + [True]


def test_a_burned_token_is_remembered_until_it_has_expired(database: Database) -> None:
    """Forgetting it earlier would let it be used again."""
    with database.write() as conn:
        assert tokens.burn(conn, "t1", NOW)
        assert tokens.burn(conn, "t2", UnixMillis(NOW + 1))
        assert tokens.forget_expired(conn, UnixMillis(NOW + 1)) == 1
        assert not tokens.is_burned(conn, "t1")
        assert tokens.is_burned(conn, "t2")
        assert not tokens.burn(conn, "t2", UnixMillis(NOW + 1))


def test_a_burned_token_leaves_the_rest_of_the_transaction_alone(database: Database) -> None:
    """Losing the race is an answer; what else was written in the same transaction stays."""
    entry = audit.AuditEntry(NOW, "ada", "sound.start", "r1", "allowed", {}, None)
    with database.write() as conn:
        tokens.burn(conn, "t1", NOW)
    with database.write() as conn:
        audit.append(conn, entry)
        assert not tokens.burn(conn, "t1", NOW)
    with database.read() as conn:
        assert audit.entries(conn) == (entry,)


def test_the_audit_log_keeps_its_order_and_its_words(database: Database) -> None:
    """Whatever the detail holds comes back as it was, oldest first."""
    entries = tuple(
        audit.AuditEntry(
            at=UnixMillis(NOW - number),
            actor="ada",
            action="token.issue",
            object_id=f"r{number % 2}",
            decision="allowed" if number else "not_found",
            detail={"n": number, "text": "ß 漢 \"'; --", "spans": [[0.5, None]], "ok": True},
            address="192.0.2.1" if number else None,
        )
        for number in range(4)
    )
    with database.write() as conn:
        for entry in entries:
            audit.append(conn, entry)
    with database.read() as conn:
        assert audit.entries(conn) == entries
        assert audit.entries(conn, object_id="r1") == entries[1::2]


def test_an_unknown_datasource_becomes_a_site_of_its_own(database: Database) -> None:
    """Asked again it is the same; one that was given to a site stays there."""
    with database.write() as conn:
        own = directory.ensure_datasource(conn, "3")
        assert (own.id, own.name, own.timezone) == ("3", "3", "UTC")
        assert (own.pad_s, own.max_span_s, own.default_voicelocation) == (0.5, None, None)
        assert directory.ensure_datasource(conn, "4", "3") == own
        assert directory.ensure_datasource(conn, "4", "other") == own
        assert directory.list_sites(conn) == (own,)


def test_the_settings_of_a_site_are_checked_and_kept(database: Database) -> None:
    """And found by id or by a name that only one has."""
    with database.write() as conn:
        site = directory.ensure_site(conn, "s1", "Leeds")
        directory.ensure_site(conn, "s2", "York")
        wanted = replace(site, name="York", pad_s=1.5, max_span_s=30.0, timezone="Europe/London")
        for wrong in (
            replace(site, pad_s=-0.1),
            replace(site, settle_s=-1),
            replace(site, max_span_s=0),
        ):
            with pytest.raises(BadRequest):
                directory.set_site(conn, wrong)
        assert directory.find_site(conn, "Leeds") == site
        directory.set_site(conn, wanted)
        assert directory.find_site(conn, "s1") == wanted
        with pytest.raises(NotFound, match="York"):
            directory.find_site(conn, "York")
        with pytest.raises(NotFound, match="Hull"):
            directory.find_site(conn, "Hull")


def test_calls_bring_their_users_and_channels_into_the_directory(database: Database) -> None:
    """Once each, by site; a name and a group that somebody gave them stay."""
    with database.write() as conn:
        for number, site in enumerate(("s1", "s2", "s1")):
            write_call(conn, CallPlan(f"c{number}", site=site, channel="T1"))
        group = directory.ensure_group(conn, "s1", "Sales")
        directory.set_user(conn, "s1", "2104", name="Ann Example", group_id=group)
        write_call(conn, CallPlan("c9", site="s1", extension="", channel=""))
        write_call(conn, CallPlan("c10", site="s1"))
        found = conn.execute(
            text("SELECT site_id, extension, name, group_id FROM directory_users ORDER BY site_id")
        )
        assert [tuple(row) for row in found] == [
            ("s1", "2104", "Ann Example", group),
            ("s2", "2104", "2104", None),
        ]
        channels = conn.execute(text("SELECT site_id, name FROM channels ORDER BY site_id"))
        assert [tuple(row) for row in channels] == [("s1", "T1"), ("s2", "T1")]
        assert directory.find_group(conn, "s1/Sales") == group
        for missing in ("s1/Desk", "s2/Sales", "nowhere/Sales", "Sales"):
            with pytest.raises(NotFound):
                directory.find_group(conn, missing)
        with pytest.raises(BadRequest, match="extension"):
            directory.set_user(conn, "s1", "", name="x", group_id=None)


def test_stores_and_voicelocations_are_made_once(database: Database) -> None:
    """What is known keeps its address; the Echo's may be changed."""
    with database.write() as conn:
        directory.ensure_store(conn, "1", "file:///srv/a", read_only=False)
        directory.ensure_store(conn, "1", "file:///srv/b", read_only=True)
        assert directory.find_store(conn, "1") == ("file:///srv/a", False)
        assert directory.find_store(conn, "2") is None
        directory.ensure_voicelocation(conn, "4", "1", "https://echo4.example")
        directory.ensure_voicelocation(conn, "4", "1", "https://other.example")
        assert directory.echo_url(conn, "4") == "https://echo4.example"
        directory.set_echo_url(conn, "4", None)
        assert directory.echo_url(conn, "4") is None
        assert directory.echo_url(conn, "5") is None
        with pytest.raises(NotFound, match="'5'"):
            directory.set_echo_url(conn, "5", "https://echo5.example")
    with pytest.raises(Conflict), database.write() as conn:
        directory.ensure_voicelocation(conn, "6", "no-store")


def test_writers_that_make_the_same_things_at_once_agree(database: Database) -> None:
    """Two imports of the same feed, started together, both succeed."""
    failures: list[BaseException] = []
    ready = threading.Barrier(4)

    def make() -> None:
        try:
            ready.wait()
            with database.write() as conn:
                site = directory.ensure_datasource(conn, "3")
                directory.ensure_group(conn, site.id, "Sales")
                directory.ensure_user(conn, site.id, "2104")
                directory.ensure_channel(conn, site.id, "T1")
                directory.ensure_store(conn, "1", "file:a", read_only=False)
                directory.ensure_voicelocation(conn, "1", "1")
        except BaseException as error:  # noqa: BLE001  # told below, whatever it is
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
