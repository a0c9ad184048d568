"""Calls, scopes, search, the feed of changes and masks, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from callreel.db import calls, changes, directory, masks, search, tokens, users
from callreel.db.database import Database
from callreel.errors import BadRequest, Conflict, NotFound
from callreel.model import (
    CallId,
    Direction,
    Party,
    RecordingId,
    Role,
    Scope,
    Span,
    SpanSource,
    UnixMillis,
    WebUserId,
)
from tests.contracts.records import NOW, SEAL, CallPlan, write_call

ALL = Scope(everything=True)
R1 = RecordingId("r1")


def ids(page: search.CallPage) -> list[str]:
    """Only the ids of a page."""
    return [call.id for call in page.items]


def everything(database: Database, scope: Scope = ALL, **wanted: object) -> list[str]:
    """All ids that a filter finds, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        with database.read() as conn:
            page = search.search_calls(conn, scope, search.CallFilter(**wanted), 3, cursor)  # type: ignore[arg-type]  # fields by name
        found += ids(page)
        cursor = page.next
        if cursor is None:
            return found


def test_writing_the_same_call_again_changes_nothing(database: Database) -> None:
    """New, then the same, then changed; a recording is never lost by a poorer record."""
    plan = CallPlan("c1", recording="r1")
    with database.write() as conn:
        assert write_call(conn, plan) == "new"
        assert write_call(conn, plan) == "same"
        assert write_call(conn, replace(plan, to_number="01632960009")) == "changed"
        assert write_call(conn, replace(plan, to_number="01632960009", recording=None)) == "same"
        found = calls.find_call(conn, ALL, CallId("c1"))
    assert found is not None
    assert (found.recording_id, found.to_number, found.duration_s) == ("r1", "01632960009", 60.0)


def test_pages_neither_miss_nor_repeat(database: Database) -> None:
    """Many calls of the same instant, small pages, newest first."""
    generator = random.Random(7)
    plans = [CallPlan(f"c{n:03}", at_s=generator.randrange(6)) for n in range(40)]
    with database.write() as conn:
        for plan in plans:
            write_call(conn, plan)
    expected = [p.id for p in sorted(plans, key=lambda p: (p.at_s, p.id), reverse=True)]
    assert everything(database) == expected


def test_filters_find_what_they_say(database: Database) -> None:
    """Each filter alone; the signs of LIKE are plain characters."""
    plans = [
        CallPlan("c1", recording="r1", from_number="01614960192", at_s=0),
        CallPlan("c2", to_number="01614960000", extension="2105", at_s=10),
        CallPlan("c3", from_number="0161%", direction=Direction.OUTBOUND, site="s2", at_s=20),
        CallPlan("c4", recording="r4", from_number="0_61", at_s=30),
    ]
    with database.write() as conn:
        for plan in plans:
            write_call(conn, plan)
        masks.add_spans(
            conn, R1, [Span(1, 2)], SpanSource.HAND, actor="a", reason="b", seal=SEAL, now=NOW
        )
    at = lambda s: UnixMillis(NOW + s * 1000)  # noqa: E731  # a name for one column of this table
    table: list[tuple[dict[str, object], list[str]]] = [
        ({"party": "0161*"}, ["c3", "c2", "c1"]),
        ({"party": "*0192"}, ["c1"]),
        ({"party": "0161%"}, ["c3"]),
        ({"party": "0161%*"}, ["c3"]),
        ({"party": "0_61*"}, ["c4"]),
        ({"party": "*"}, []),
        ({"ext": "2105"}, ["c2"]),
        ({"direction": Direction.OUTBOUND}, ["c3"]),
        ({"datasource": "s2"}, ["c3"]),
        ({"rec": True}, ["c4", "c1"]),
        ({"rec": False}, ["c3", "c2"]),
        ({"mask": True}, ["c1"]),
        ({"mask": False}, ["c4", "c3", "c2"]),
        ({"since": at(10), "until": at(30)}, ["c3", "c2"]),
        ({"rec": True, "party": "0161*"}, ["c1"]),
    ]
    for wanted, expected in table:
        assert everything(database, **wanted) == expected, wanted


@pytest.mark.parametrize("cursor", ["", "x", "MTIz", "!!!!", "MTIzfGMx\n", "9" * 400])
def test_a_cursor_that_is_not_ours_is_named(database: Database, cursor: str) -> None:
    """A clear error, no surprise."""
    with pytest.raises(BadRequest, match="cursor"), database.read() as conn:
        search.search_calls(conn, ALL, search.CallFilter(), 10, cursor)


def test_a_scope_shows_the_same_everywhere(database: Database) -> None:
    """List, single look-ups and the feed agree with a plain oracle, for every scope (T28)."""
    with database.write() as conn:
        for number in range(12):
            site = f"s{number % 3}"
            extension = f"21{number % 4:02}"
            write_call(
                conn,
                CallPlan(
                    f"c{number:02}", site=site, extension=extension, recording=f"r{number:02}"
                ),
            )
        group = directory.ensure_group(conn, "s0", "Sales")
        directory.set_user(conn, "s0", "2100", name="Ann Example", group_id=group)
    in_group = {f"c{n:02}" for n in range(12) if n % 3 == 0 and n % 4 == 0}
    of_site = {s: {f"c{n:02}" for n in range(12) if n % 3 == s} for s in range(3)}
    table = [
        (Scope(), set()),
        (ALL, of_site[0] | of_site[1] | of_site[2]),
        (Scope(site_ids=frozenset({"s1"})), of_site[1]),
        (Scope(group_ids=frozenset({group})), in_group),
        (Scope(site_ids=frozenset({"s2"}), group_ids=frozenset({group})), of_site[2] | in_group),
        (Scope(site_ids=frozenset({"nowhere"})), set()),
    ]
    for scope, allowed in table:
        assert set(everything(database, scope)) == allowed
        with database.read() as conn:
            feed = changes.list_changes(conn, scope, None, 1000)
            assert {change.call_id for change in feed.items if change.call_id} == allowed
            for number in range(12):
                call_id = f"c{number:02}"
                recording_id = RecordingId(f"r{number:02}")
                site = f"s{number % 3}"
                found = (
                    calls.find_call(conn, scope, CallId(call_id)),
                    calls.find_recording(conn, scope, recording_id),
                    calls.find_recording_by_names(conn, scope, site, "1", f"NCS{recording_id}"),
                )
                assert [each is not None for each in found] == [call_id in allowed] * 3


def test_names_compare_exactly(database: Database) -> None:
    """Neither case nor wildcards nor blanks are forgiven."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        for names in (
            ("s1", "1", "ncsr1"),
            ("s1", "1", "NCS%"),
            ("s1", "2", "NCSr1"),
            ("", "1", "NCSr1"),
        ):
            assert calls.find_recording_by_names(conn, ALL, *names) is None
        assert calls.find_recording_by_names(conn, ALL, "s1", "1", "NCSr1") is not None


def test_the_feed_misses_nothing_while_many_write(database: Database) -> None:
    """A reader that follows the cursor sees every change once, in order, whoever is slow."""
    with database.write() as conn:
        write_call(conn, CallPlan("c-first"))

    def write(part: int) -> None:
        for number in range(8):
            with database.write() as conn:
                write_call(conn, CallPlan(f"c{part}-{number}"))

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    seen: list[str | None] = []
    cursor = None
    while any(thread.is_alive() for thread in threads) or len(seen) < 33:
        with database.read() as conn:
            page = changes.list_changes(conn, ALL, cursor, 5)
        seen += [change.call_id for change in page.items]
        cursor = page.next
        if not page.items and not any(thread.is_alive() for thread in threads):
            break
    with database.read() as conn:
        page = changes.list_changes(conn, ALL, cursor, 100)
    seen += [change.call_id for change in page.items]
    assert len(seen) == len(set(seen)) == 33


@pytest.mark.parametrize("since", ["-1", "x", "1.5", "٣", "9" * 40, ""])
def test_a_place_in_the_feed_that_is_not_ours_is_named(database: Database, since: str) -> None:
    """A clear error."""
    with pytest.raises(BadRequest, match="since"), database.read() as conn:
        changes.list_changes(conn, ALL, since, 10)


def web_user(conn: object) -> WebUserId:
    """Somebody who sends signals."""
    return users.add_user(conn, "pbx", Role.INTEGRATOR, "h", ALL, NOW)  # type: ignore[arg-type]  # a Connection


def send(
    database: Database, mute: bool, at_s: float, objid: str = "2104", objtype: str = "user"
) -> None:
    """A signal at a moment, as the flow does it."""
    at = UnixMillis(round(NOW + at_s * 1000))
    with database.write() as conn:
        user = users.by_name(conn, "pbx")
        user_id = user.id if user else web_user(conn)
        targets = masks.object_ids(conn, ALL, objtype, objid, None)
        masks.add_signal(
            conn, targets, at=at, received_at=at, mute=mute, web_user_id=user_id, now=at
        )
        for recording_id in masks.recordings_touched(conn, targets, at):
            masks.rebuild_signal_spans(conn, recording_id, SEAL, at)


def shown(database: Database, call_id: str) -> tuple[Span, ...]:
    """What a call shows as masked."""
    with database.read() as conn:
        found = calls.find_call(conn, ALL, CallId(call_id))
    assert found is not None
    return found.masked_spans


def test_signals_mask_the_recording_that_both_legs_share(database: Database) -> None:
    """A signal on either leg of a transferred call masks it for both (contract.md 4.1)."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", duration_s=30, extension="2104"))
        write_call(conn, CallPlan("c2", recording="r1", at_s=30, duration_s=30, extension="2105"))
    send(database, True, 5)
    send(database, False, 8)
    send(database, True, 40, objid="2105")
    send(database, False, 42, objid="2105")
    expected = (Span(4.5, 8.5), Span(39.5, 42.5))
    assert shown(database, "c1") == shown(database, "c2") == expected


def test_a_held_signal_masks_when_its_call_arrives(database: Database) -> None:
    """Call records come after the call; legs in any order give the same (contract.md 4.4)."""
    with database.write() as conn:
        write_call(conn, CallPlan("c0", at_s=-9000))  # the directory knows 2104 from here
    send(database, True, 5)
    send(database, False, 8)
    with database.write() as conn:
        write_call(conn, CallPlan("c2", recording="r1", at_s=30, extension="2105"))
    assert shown(database, "c2") == ()
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", duration_s=30))
    assert shown(database, "c1") == shown(database, "c2") == (Span(4.5, 8.5),)


def test_a_channel_signal_masks_the_calls_of_that_channel(database: Database) -> None:
    """By the name of the channel; other channels stay clear."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", channel="T1"))
        write_call(conn, CallPlan("c2", recording="r2", channel="T2", extension=None))
    send(database, True, 50, objid="T1", objtype="channel")
    assert shown(database, "c1") == (Span(49.5, 60),)
    assert shown(database, "c2") == ()


def test_each_change_of_the_mask_has_a_new_revision_and_seal(database: Database) -> None:
    """And what changes nothing has none: repeated signals, the same span again."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))

    def revision() -> int | None:
        with database.read() as conn:
            found = calls.find_recording(conn, ALL, R1)
            assert found is not None
            assert found.mask_seal == SEAL(R1, found.mask_revision, found.spans)
            assert calls.mask_revision(conn, R1) == found.mask_revision
            return found.mask_revision

    def add(span: Span) -> bool:
        with database.write() as conn:
            return masks.add_spans(
                conn, R1, [span], SpanSource.IMPORT, actor=None, reason=None, seal=SEAL, now=NOW
            )

    assert revision() == 1
    assert add(Span(1, 2, Party.LEFT))
    assert revision() == 2
    assert not add(Span(1, 2, Party.LEFT))
    send(database, True, 5)
    assert revision() == 3
    send(database, True, 6)
    assert revision() == 3
    send(database, False, 7)
    assert revision() == 4


def test_a_span_changed_by_hand_does_not_fit_its_seal(database: Database) -> None:
    """Removed, moved or added behind the program's back: noticed."""
    for damage in (
        "DELETE FROM spans",
        "UPDATE spans SET end_s = 1.5",
        "UPDATE spans SET state = 'removed'",
        "UPDATE spans SET channel = 'left'",
        "UPDATE recordings SET mask_revision = 9",
    ):
        with pytest.raises(RuntimeError), database.write() as conn:
            write_call(conn, CallPlan("c1", recording="r1"))
            masks.add_spans(
                conn, R1, [Span(1, 2)], SpanSource.HAND, actor="a", reason="b", seal=SEAL, now=NOW
            )
            conn.execute(text(damage))
            found = calls.find_recording(conn, ALL, R1)
            assert found is not None
            assert found.mask_seal != SEAL(R1, found.mask_revision, found.spans), damage
            raise RuntimeError  # undo, for the next damage


def test_objects_are_found_within_reach_and_container(database: Database) -> None:
    """Two sites may have the same extension; key narrows; what is out of reach is not there."""
    with database.write() as conn:
        for site in ("s1", "s2"):
            write_call(conn, CallPlan(f"c-{site}", site=site, channel="T1"))
        group = directory.ensure_group(conn, "s2", "Sales")
        directory.set_user(conn, "s2", "2104", name="Ann Example", group_id=group)

        def count(scope: Scope, container: str | None, objtype: str = "user") -> int:
            objid = "2104" if objtype == "user" else "T1"
            return len(masks.object_ids(conn, scope, objtype, objid, container))

        assert [count(ALL, key) for key in (None, "", "s1", "Sales", group, "nowhere")] == [
            2,
            2,
            1,
            1,
            1,
            0,
        ]
        assert count(Scope(site_ids=frozenset({"s1"})), None) == 1
        assert count(Scope(site_ids=frozenset({"s1"})), "s2") == 0
        assert count(Scope(), None) == 0
        assert count(ALL, "s2", "channel") == 1
        with pytest.raises(BadRequest, match="objtype"):
            masks.object_ids(conn, ALL, "queue", "1", None)


def test_a_token_is_burned_once(database: Database) -> None:
    """Of many that try at once, one wins (T4)."""
    won: list[bool] = []

    def try_it() -> None:
        with database.write() as conn:
            won.append(tokens.burn(conn, "t1", NOW))

    threads = [threading.Thread(target=try_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 5 + [True]
    with database.write() as conn:
        assert tokens.forget_expired(conn, UnixMillis(NOW + 1)) == 1
        assert not tokens.is_burned(conn, "t1")


def test_web_users_and_their_keys(database: Database) -> None:
    """Names compare without case; a disabled user and a revoked key are gone at once."""
    reach = Scope(site_ids=frozenset({"s1"}))
    with database.write() as conn:
        directory.ensure_site(conn, "s1")
        users.add_user(conn, "Ada", Role.SUPERVISOR, "hash", reach, NOW)
        key_id = users.add_key(conn, "ada", "kh", "crm", NOW)
        with pytest.raises(Conflict):
            users.add_user(conn, "ADA", Role.AUDITOR, "hash", ALL, NOW)
        for name in ("", "a:b", " a", "a\n", "x" * 129):
            with pytest.raises(BadRequest):
                users.add_user(conn, name, Role.AUDITOR, "hash", ALL, NOW)
    with database.write() as conn:
        found = users.by_name(conn, "aDa")
        assert found is not None
        assert (found.reach, found.disabled, found.password_version) == (reach, False, 1)
        assert users.by_api_key(conn, "kh") == users.by_id(conn, found.id) == found
        users.set_password(conn, "ada", "hash2")
        users.disable(conn, "ADA", NOW)
        users.revoke_key(conn, key_id, NOW)
        changed = users.by_id(conn, found.id)
        assert changed is not None
        assert (changed.password_hash, changed.password_version, changed.disabled) == (
            "hash2",
            2,
            True,
        )
        assert users.by_api_key(conn, "kh") is None
        assert [key.disabled for key in users.list_keys(conn)] == [True]
        for missing in (
            lambda: users.disable(conn, "nobody", NOW),
            lambda: users.set_password(conn, "nobody", "h"),
            lambda: users.add_key(conn, "nobody", "h", "l", NOW),
            lambda: users.revoke_key(conn, "nothing", NOW),
        ):
            with pytest.raises(NotFound):
                missing()
