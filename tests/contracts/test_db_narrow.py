"""Few calls found by an index are those that reading all of them finds."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import select

from callreel.db import calls, directory, listing, narrow, search, summary
from callreel.db.call_filter import CallFilter, conditions
from callreel.db.database import Database
from callreel.db.schema import call_records
from callreel.db.terms import Field, Term, matches
from callreel.model import CallId, Direction, Span
from tests.contracts.records import ALL, CallPlan, mask, write_call

PEOPLE = {"2104": "Priya Nair", "2105": "Kwame Mensah", "2106": "Zebra"}
NAMES = ("", "Northern Pipes", "northern LIGHTS", "100%_pipes", "Zoë")
NUMBERS = ("01632960001", "01632960002", "0163", "01614960192", "+441632960001", "*9", "", "2104")
FILTERS: tuple[CallFilter, ...] = (
    *(CallFilter(party=each) for each in ("0163*", "0163", "*0192", "+44*", "*9", "**", "x*", "")),
    CallFilter(group_id="g?"),
    CallFilter(rec=True),
    CallFilter(rec=True, party="0163*"),
    CallFilter(mask=True),
    CallFilter(proposed=True),
    CallFilter(noted=True),
    CallFilter(noted=True, mask=True),
    CallFilter(at_least_s=60.0),
    CallFilter(at_least_s=60.5),
    CallFilter(at_most_s=59.0),
    *(
        CallFilter(terms=(Term(field, text),))
        for field in Field
        for text in ("0163", "0163*", "*0192", "2104", "north*", "*pipes", "PIPES", "%", "zebra")
    ),
    *(CallFilter(terms=(Term(Field.ID, each),)) for each in ("c7", "u7", "l1", "NCSr1")),
    CallFilter(terms=(Term(Field.ANY, "pipes"), Term(Field.ANY, "priya"))),
    CallFilter(terms=(Term(Field.ANY, "pipes", wanted=False),)),
    CallFilter(terms=(Term(Field.GRP, "sales"), Term(Field.AGENT, "priya", wanted=False))),
    CallFilter(either=((CallFilter(party="0163"), CallFilter(party="2104")),)),
)


@pytest.fixture
def filled(database: Database) -> Database:
    """Sixty calls of two sites, some recorded, masked, noted."""
    draw = random.Random(11)  # noqa: S311  # a test, no secret
    with database.write() as conn:
        for number in range(60):
            recording = f"r{number}" if number % 6 == 1 else None
            plan = CallPlan(
                f"c{number}",
                site=draw.choice(["s1", "s2"]),
                recording=recording,
                at_s=draw.randrange(9),
                extension=draw.choice([*PEOPLE, None]),
                from_number=draw.choice(NUMBERS),
                to_number=draw.choice(NUMBERS),
                direction=draw.choice(list(Direction)),
                unique_id=f"u{number}",
                linked_id=f"l{number // 2}",
            )
            write_call(conn, plan)
            conn.execute(
                call_records.update()
                .where(call_records.c.id == plan.id)
                .values(caller_name=draw.choice(NAMES))
            )
        sales = directory.ensure_group(conn, "s1", "Sales")
        for extension, name in PEOPLE.items():
            directory.set_user(conn, "s1", extension, name=name, group_id=sales)
    mask(database, "r1", Span(1, 2))
    mask(database, "r7", Span(900, 901))
    return database


@pytest.mark.parametrize(
    ("most", "gathered", "near"),
    [(0, 0, 0), (3, 0, 0), (2000, 0, 0), (0, 2000, 0), (0, 2000, 12), (3, 9, 3)],
)
def test_narrowing_changes_no_answer(
    filled: Database, most: int, gathered: int, near: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, counts, extent and bars of every kind of filter, however many are named or sorted."""
    monkeypatch.setattr(narrow, "MOST_GATHERED", gathered)
    monkeypatch.setattr(search, "NEAR", near)
    monkeypatch.setattr(narrow, "MOST", most)
    monkeypatch.setattr(narrow, "MOST_NAMES", min(most, 2))
    with filled.read() as conn:
        group_id = directory.find_group(conn, "s1/Sales")
        for each in FILTERS:
            wanted = replace(each, group_id=group_id) if each.group_id else each
            plain = select(call_records.c.id).where(*conditions(wanted))
            expected = sorted(conn.execute(plain).scalars())
            found: list[str] = []
            cursor = None
            while True:
                page = search.search_calls(conn, ALL, wanted, 7, cursor)
                found += [call.id for call in page.items]
                cursor = page.next
                if cursor is None:
                    break
            assert sorted(found) == expected, wanted
            assert search.count_calls(conn, ALL, wanted) == len(expected)
            seen = listing.page(conn, ALL, wanted, search.Order.OLDEST, 100, None)
            assert sorted(each.call.id for each in seen.items) == expected
            assert summary.summarise(conn, ALL, wanted, summary.Grain(900_000)).calls == len(
                expected
            )
            assert (summary.extent(conn, ALL, wanted) is None) == (not expected)


def test_most_filters_of_a_number_or_a_name_are_narrowed(filled: Database) -> None:
    """Else it would change no answer and save nothing."""
    with filled.read() as conn:
        for wanted in (
            CallFilter(party="0163*"),
            CallFilter(rec=True),
            CallFilter(noted=True),
            CallFilter(terms=(Term(Field.ANY, "pipes"),)),
            CallFilter(terms=(Term(Field.ANY, "016"),)),
            CallFilter(terms=(Term(Field.ANY, "*192"),)),
            CallFilter(party="*0192"),
        ):
            plain = conditions(wanted)
            assert len(narrow.found_by(conn, ALL, wanted).where) == len(plain) + 2


def test_calls_by_the_end_of_a_number_are_read_from_the_newest_on(filled: Database) -> None:
    """From an index for each side; the condition and the index must be written alike."""
    c = call_records.c
    explain = "EXPLAIN QUERY PLAN " if filled.dialect == "sqlite" else "EXPLAIN "
    for side, name in ((c.from_number, "from"), (c.to_number, "to")):
        query = select(c.id).where(matches(side, "*0192"))
        with filled.read() as conn:
            asked = (
                query.order_by(c.started_at.desc(), c.id.desc())
                .limit(5)
                .compile(conn, compile_kwargs={"literal_binds": True})
            )
            if filled.dialect == "postgresql":
                # So few calls are read faster without an index.
                conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = str(conn.exec_driver_sql(explain + str(asked)).all())
        assert f"ix_call_records_{name}_ending" in plan
        assert "sort" not in plan.lower()
        assert "temp b-tree" not in plan.lower()


def test_what_thousands_have_is_gathered_from_its_index(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where it is too much, or not asked for in an order, nothing is."""
    c, beginning = call_records.c, CallFilter(party="0163*")
    monkeypatch.setattr(narrow, "MOST", 0)
    with filled.read() as conn:
        found = narrow.found_by(conn, ALL, beginning, narrow.IN_TIME)
        assert len(found.sides) == 2
        assert found.apart is not None
        if filled.dialect == "postgresql":
            conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if filled.dialect == "sqlite" else "EXPLAIN "
        query = select(c.id).where(*found.apart, found.sides[0])
        asked = query.order_by(narrow.unindexed(c.started_at), c.id).limit(5)
        text = str(asked.compile(conn, compile_kwargs={"literal_binds": True}))
        assert "ix_call_records_from_number" in str(conn.exec_driver_sql(explain + text).all())
        assert narrow.found_by(conn, ALL, beginning).apart is None
        monkeypatch.setattr(narrow, "MOST_GATHERED", 1)
        assert narrow.found_by(conn, ALL, beginning, narrow.IN_TIME).apart is None


def test_no_call_without_a_recording_is_masked(filled: Database) -> None:
    """That is known without looking at any."""
    with filled.read() as conn:
        for wanted in (CallFilter(rec=False, mask=True), CallFilter(rec=False, proposed=True)):
            assert [str(each) for each in conditions(wanted)] == ["false"]
            assert search.search_calls(conn, ALL, wanted, 5, None).items == ()
            assert search.count_calls(conn, ALL, wanted) == 0


def test_both_sides_of_a_number_make_one_list(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pages of any size, either way round, with calls on which both sides are the number."""
    monkeypatch.setattr(narrow, "MOST", 0)
    with filled.write() as conn:
        same = {"from_number": "01614960192", "to_number": "01614960192", "started_at": 5}
        conn.execute(call_records.update().where(call_records.c.id.in_(["c3", "c5"])).values(same))
    for wanted in (CallFilter(party="*0192"), CallFilter(party="01614960192")):
        with filled.read() as conn:
            found = narrow.found_by(conn, ALL, wanted, narrow.IN_TIME)
            assert len(found.sides) == 2
            query = select(call_records.c.id).where(*conditions(wanted))
            for order, ends in (
                (search.Order.NEWEST, (call_records.c.started_at.desc(), call_records.c.id.desc())),
                (search.Order.OLDEST, (call_records.c.started_at, call_records.c.id)),
            ):
                expected = list(conn.execute(query.order_by(*ends)).scalars())
                assert len(expected) > 5
                seen: list[str] = []
                cursor = None
                while True:
                    page = listing.page(conn, ALL, wanted, order, 2, cursor)
                    seen += [each.call.id for each in page.items]
                    cursor = page.next
                    if cursor is None:
                        break
                assert seen == expected


@pytest.mark.parametrize("typed", ["émilie", "ÉMILIE", "özdemir", "Özdemir"])
def test_letters_of_all_languages_are_alike_in_both_cases(database: Database, typed: str) -> None:
    """Of callers, people and groups; what is left out is left out."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", extension="2104"))
        write_call(conn, CallPlan("c2", extension="2105"))
        write_call(conn, CallPlan("c3", extension=None))
        group = directory.ensure_group(conn, "s1", "Team Émilie Özdemir")
        directory.set_user(conn, "s1", "2104", name="Émilie Özdemir", group_id=group)
        named = call_records.update().where(call_records.c.id == "c2")
        conn.execute(named.values(caller_name="ÉMILIE ÖZDEMIR"))
    with database.read() as conn:
        for field, found in (
            (Field.AGENT, ["c1"]),
            (Field.GRP, ["c1"]),
            (Field.PARTY, ["c2"]),
            (Field.ANY, ["c1", "c2"]),
        ):
            wanted = CallFilter(terms=(Term(field, typed),))
            page = search.search_calls(conn, ALL, wanted, 5, None)
            assert sorted(call.id for call in page.items) == found
        without = CallFilter(terms=(Term(Field.ANY, typed, wanted=False),))
        assert [call.id for call in search.search_calls(conn, ALL, without, 5, None).items] == [
            "c3"
        ]


def test_names_of_callers_are_kept_as_calls_are_written(database: Database) -> None:
    """Also where a call gets its name later."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1"))
        conn.execute(call_records.update().values(caller_name="Meadow Lane Dairy"))
    wanted = CallFilter(terms=(Term(Field.ANY, "lane"),))
    with database.read() as conn:
        assert [call.id for call in search.search_calls(conn, ALL, wanted, 5, None).items] == ["c1"]
    with database.write() as conn:
        calls.forget_call(conn, CallId("c1"))
    with database.read() as conn:
        assert search.search_calls(conn, ALL, wanted, 5, None).items == ()
