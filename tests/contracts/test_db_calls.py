"""Calls and recordings are written and found, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import text

from callreel.db import bulk, calls, changes, directory, search
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.model import (
    CallId,
    Disposition,
    RecordingId,
    RecordingState,
    Scope,
    SourceFacts,
    UnixMillis,
)
from tests.contracts.records import (
    ALL,
    FACTS,
    NOW,
    CallPlan,
    at,
    found_call,
    found_recording,
    new_recording,
    write_call,
    write_recording,
)


def feed(database: Database) -> list[str]:
    """The kinds of all changes so far."""
    with database.read() as conn:
        return [change.kind for change in changes.list_changes(conn, ALL, None, 1000).items]


def test_writing_the_same_call_again_changes_nothing(database: Database) -> None:
    """New, then the same, then changed; a recording is never lost by a poorer record."""
    plan = CallPlan("c1", recording="r1")
    with database.write() as conn:
        assert write_call(conn, plan) == "new"
        assert write_call(conn, plan) == "same"
        assert write_call(conn, replace(plan, to_number="01632960009")) == "changed"
        assert write_call(conn, replace(plan, to_number="01632960009", recording=None)) == "same"
    found = found_call(database, "c1")
    assert (found.recording_id, found.to_number, found.duration_s) == ("r1", "01632960009", 60.0)
    assert found.voicefilename == "NCSr1"
    assert feed(database) == ["recording", "call", "call"]


def test_the_duration_is_that_of_the_sound(database: Database) -> None:
    """Of the recording where it can be played, else of the call (contract.md 6.2)."""
    unplayable = replace(
        new_recording("r2"), state=RecordingState.UNPLAYABLE, reason="no data", facts=None
    )
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", duration_s=61.5))
        write_call(conn, CallPlan("c2", recording="r2", duration_s=62.5))
        write_recording(conn, unplayable)
        write_call(conn, CallPlan("c3", duration_s=63.5))
    lengths = [found_call(database, call_id).duration_s for call_id in ("c1", "c2", "c3")]
    assert lengths == [60.0, 62.5, 63.5]
    found = found_recording(database, "r2")
    assert (found.state, found.reason, found.facts) == (RecordingState.UNPLAYABLE, "no data", None)


def test_other_sound_is_another_version_of_the_content(database: Database) -> None:
    """Bytes, or what was found in them: outputs differ, so their tags must (contract.md 3.4)."""
    first = new_recording("r1")
    trimmed = replace(FACTS, frames=8_000)
    steps = [
        (first, "same", 1),
        (replace(first, sha256="1" * 64), "changed", 2),
        (replace(first, sha256="1" * 64, facts=trimmed), "changed", 3),
        (replace(first, sha256="1" * 64, facts=replace(trimmed, repaired="x")), "changed", 3),
        (replace(first, sha256="1" * 64, facts=trimmed, object_key="moved"), "changed", 3),
    ]
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
    for recording, outcome, version in steps:
        with database.write() as conn:
            assert write_recording(conn, recording) == outcome
        found = found_recording(database, "r1")
        assert (found.content_version, found.facts) == (version, recording.facts)
    assert found.object_key == "moved"


def test_every_fact_about_the_sound_comes_back(database: Database) -> None:
    """None is lost or swapped on its way through the table."""
    facts = SourceFacts("gsm", "raw", 8_000, 1, 2**40, 11, 2**41, 33, 160, "size taken from file")
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        write_recording(conn, replace(new_recording("r1"), facts=facts))
    assert found_recording(database, "r1").facts == facts


def test_what_retention_deleted_stays_deleted(database: Database) -> None:
    """An import that runs again does not bring it back; its call stays listed."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        assert calls.delete_recording(conn, RecordingId("r1"), NOW)
        assert not calls.delete_recording(conn, RecordingId("r1"), NOW)
        assert write_recording(conn, replace(new_recording("r1"), sha256="1" * 64)) == "same"
        write_call(conn, CallPlan("c1", recording="r1"))
    assert found_recording(database, "r1").state is RecordingState.DELETED
    assert found_call(database, "c1").recording_id == "r1"
    assert feed(database) == ["recording", "call", "recording"]


def test_a_recording_is_not_ready_before_the_last_of_its_calls(database: Database) -> None:
    """Legs come in any order; the latest end counts (T24)."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        for ready_s in (90, 30):
            write_recording(conn, replace(new_recording("r1"), ready_at=at(ready_s)))
    assert found_recording(database, "r1").ready_at == at(90)


def test_a_recording_starts_with_the_first_of_its_calls(database: Database) -> None:
    """Legs in any order; and a call whose time is put right takes the recording along."""

    def started_at(recording_id: str) -> UnixMillis:
        with database.read() as conn:
            found = conn.execute(
                text("SELECT started_at FROM recordings WHERE id = :id"), {"id": recording_id}
            )
            return UnixMillis(found.scalar_one())

    leg = CallPlan("c2", recording="r1", at_s=30, extension="2105")
    with database.write() as conn:
        write_call(conn, leg)
    assert started_at("r1") == at(30)
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", at_s=0))
    assert started_at("r1") == at(0)
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", at_s=3600))
    assert started_at("r1") == at(30)
    with database.write() as conn:
        write_call(conn, replace(leg, recording="r2"))
    assert (started_at("r1"), started_at("r2")) == (at(3600), at(30))


def test_a_scope_shows_the_same_everywhere(database: Database) -> None:
    """List, single look-ups and the feed agree with a plain oracle, for every scope (T28)."""
    plans = {
        f"c{number:02}": CallPlan(
            f"c{number:02}",
            site=f"s{number % 3}",
            extension=f"21{number % 4:02}",
            # c06, of s0, and c07, of s1, share the recording of c00, of s0.
            recording="r00" if number in {6, 7} else f"r{number:02}",
        )
        for number in range(12)
    }
    with database.write() as conn:
        for plan in plans.values():
            write_call(conn, plan)
        group = directory.ensure_group(conn, "s0", "Sales")
        directory.set_user(conn, "s0", "2100", name="Ann Example", group_id=group)
    in_group = {i for i, p in plans.items() if (p.site, p.extension) == ("s0", "2100")}
    of_site = {s: {i for i, p in plans.items() if p.site == s} for s in ("s0", "s1", "s2")}
    table = [
        (Scope(), set()),
        (ALL, set(plans)),
        (Scope(site_ids=frozenset({"s1"})), of_site["s1"]),
        (Scope(group_ids=frozenset({group})), in_group),
        (Scope(site_ids=frozenset({"s2"}), group_ids=frozenset({group})), of_site["s2"] | in_group),
        (Scope(site_ids=frozenset({"nowhere"})), set()),
        (Scope(group_ids=frozenset({"s0"})), set()),
    ]
    for scope, allowed in table:
        audible = {plans[call_id].recording for call_id in allowed}
        with database.read() as conn:
            page = search.search_calls(conn, scope, CallFilter(), 1000, None)
            assert {call.id for call in page.items} == allowed
            news = changes.list_changes(conn, scope, None, 1000).items
            assert {change.call_id for change in news if change.call_id} == allowed
            assert {change.recording_id for change in news} == audible
            for call_id, plan in plans.items():
                assert (calls.find_call(conn, scope, CallId(call_id)) is not None) == (
                    call_id in allowed
                )
                recording_id = RecordingId(str(plan.recording))
                found = calls.find_recording(conn, scope, recording_id)
                assert (found is not None) == (recording_id in audible)
                names = (plan.site, "1", f"NCS{plan.recording}")
                by_names = calls.find_recording_by_names(conn, scope, *names)
                named = any(
                    (plans[each].site, plans[each].recording) == (plan.site, plan.recording)
                    for each in allowed
                )
                assert (by_names is not None) == named


def test_names_compare_exactly(database: Database) -> None:
    """Neither case nor wildcards nor blanks are forgiven."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
    with database.read() as conn:
        for names in (
            ("s1", "1", "ncsr1"),
            ("s1", "1", "NCS%"),
            ("s1", "1", "NCSr1 "),
            ("s1", "01", "NCSr1"),
            ("s1", "2", "NCSr1"),
            ("S1", "1", "NCSr1"),
            ("", "1", "NCSr1"),
        ):
            assert calls.find_recording_by_names(conn, ALL, *names) is None
        assert calls.find_recording_by_names(conn, ALL, "s1", "1", "NCSr1") is not None


def test_a_recording_that_nobody_knows_has_no_mask_revision(database: Database) -> None:
    """None, not a number that a token could be compared with."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        assert calls.mask_revision(conn, RecordingId("r1")) == 1
        assert calls.mask_revision(conn, RecordingId("r2")) is None
        assert calls.find_recording(conn, ALL, RecordingId("r2")) is None
        assert calls.find_call(conn, ALL, CallId("c2")) is None


@pytest.mark.parametrize("seed", range(4))
def test_many_calls_at_once_are_written_as_one_by_one(
    database: Database, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New, changed and the same among each other, with recordings that move and without any."""
    draw = random.Random(seed)  # noqa: S311  # a test, no secret
    # A statement of few rows, so that there are several.
    monkeypatch.setattr(bulk, "_MOST_VALUES", 100)
    known = [plan_of(draw, number) for number in range(30)]
    fresh = [*known[:3], *(plan_of(draw, number) for number in draw.sample(range(3, 60), 42))]
    told: list[tuple[list[object], list[object]]] = []
    for site in ("alone", "together"):
        with database.write() as conn:
            directory.ensure_store(conn, "1", "file:store", read_only=False)
            directory.ensure_voicelocation(conn, "1", "1")
            directory.ensure_datasource(conn, site)
            for recording in RECORDINGS:
                write_recording(conn, new_recording(f"{site}{recording}", site))
            for call in known:
                calls.put_call(conn, new_call(call, site), NOW)
        with database.write() as conn:
            wanted = [new_call(call, site) for call in fresh]
            if site == "alone":
                outcomes = [calls.put_call(conn, call, NOW) for call in wanted]
            else:
                outcomes = [each.outcome for each in calls.put_calls(conn, wanted, NOW)]
        told.append((list(outcomes), stored(database, site)))
    assert told[0] == told[1]
    assert set(told[0][0]) == {"new", "changed", "same"}


RECORDINGS = ("r1", "r2")


def plan_of(draw: random.Random, number: int) -> CallPlan:
    """One of few calls that can have a number."""
    return CallPlan(
        str(number),
        recording=draw.choice([None, None, *RECORDINGS]),
        at_s=draw.choice([0.0, 7.0]),
        extension=draw.choice([None, "", "2104", "2105"]),
        channel=draw.choice([None, "Trunk 1"]),
    )


def new_call(plan: CallPlan, site: str) -> calls.NewCall:
    """It, at a site."""
    recording = f"{site}{plan.recording}" if plan.recording else None
    return calls.NewCall(
        id=CallId(site + plan.id),
        site_id=site,
        datasource=site,
        voicelocation="1" if recording else None,
        voicefilename=recording,
        recording_id=RecordingId(recording) if recording else None,
        started_at=at(plan.at_s),
        duration_s=plan.duration_s,
        direction=plan.direction,
        from_number=plan.from_number,
        to_number=plan.to_number,
        extension=plan.extension,
        channel=plan.channel,
        disposition=Disposition.ANSWERED,
        linked_id=None,
    )


def stored(database: Database, site: str) -> list[object]:
    """All that is known of a site: calls, recordings, directory, feed; without its name."""
    of_calls = (
        "SELECT id, recording_id, voicefilename, started_at, extension, direction, created_at,"
        " directory_user_id IS NULL, channel_id IS NULL FROM call_records"
        " WHERE site_id = :site ORDER BY id"
    )
    of_recordings = (
        "SELECT id, started_at, starts_late_s FROM recordings WHERE datasource = :site ORDER BY id"
    )
    of_people = "SELECT extension, name FROM directory_users WHERE site_id = :site ORDER BY 1"
    of_lines = "SELECT name FROM channels WHERE site_id = :site"
    of_feed = (
        "SELECT kind, call_id, recording_id FROM changes"
        " WHERE call_id LIKE :site || '%' ORDER BY seq"
    )
    found: list[object] = []
    with database.read() as conn:
        for query in (of_calls, of_recordings, of_people, of_lines, of_feed):
            rows = conn.execute(text(query), {"site": site}).all()
            found.append([tuple(str(value).replace(site, "") for value in row) for row in rows])
    assert all(found)
    return found
