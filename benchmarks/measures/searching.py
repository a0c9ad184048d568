"""Searches in many calls, beside the plain SQL that one would write by hand; both databases.

Lists by filters of the API go through the API. What only pages can ask for, words and the bars
above the list, is asked of the flow that the pages stand on.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from urllib.parse import quote, urlencode

import psycopg

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Sample, in_turns, percentile
from benchmarks.ours import Busy, Ours, serving
from benchmarks.rows import (
    END_MS,
    LONGEST_S,
    SCOPED,
    SCOPED_SITE,
    Rows,
    postgresql_rows,
    sqlite_rows,
)
from callreel.bootstrap import open_base
from callreel.db import users
from callreel.db.call_filter import CallFilter
from callreel.db.search import Order
from callreel.db.summary import Grain
from callreel.db.terms import Field, Term
from callreel.errors import CallreelError
from callreel.flows.browse import Browse
from callreel.model import Principal
from callreel.web import parameters

_DAY_MS = 86_400_000
_BY_HAND = "SQL by hand"
_AGAIN_S = 2.0
"""What took longer is not measured again in later rounds."""
_LIMIT = 100
_MASKED = (
    "EXISTS (SELECT 1 FROM spans s WHERE s.recording_id = c.recording_id AND s.state = 'active')"
)
_Query = tuple[str, tuple[object, ...]]


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


FILTERS: dict[tuple[str, str], _Query] = {
    ("from", _iso(END_MS - 30 * _DAY_MS)): ("c.started_at >= ?", (END_MS - 30 * _DAY_MS,)),
    ("to", _iso(END_MS - 60 * _DAY_MS)): ("c.started_at < ?", (END_MS - 60 * _DAY_MS,)),
    ("party", "07700900123"): ("(c.from_number = ? OR c.to_number = ?)", ("07700900123",) * 2),
    ("party", "0163296*"): ("(c.from_number LIKE ? OR c.to_number LIKE ?)", ("0163296%",) * 2),
    ("party", "*0123"): ("(c.from_number LIKE ? OR c.to_number LIKE ?)", ("%0123",) * 2),
    ("ext", f"{SCOPED_SITE}017"): ("c.extension = ?", (f"{SCOPED_SITE}017",)),
    ("dir", "inbound"): ("c.direction = 'inbound'", ()),
    ("datasource", SCOPED_SITE): ("c.datasource = ?", (SCOPED_SITE,)),
    ("rec", "yes"): ("c.recording_id IS NOT NULL", ()),
    ("rec", "no"): ("c.recording_id IS NULL", ()),
    ("mask", "yes"): (_MASKED, ()),
    ("mask", "no"): (f"NOT {_MASKED}", ()),
}
"""Each filter of contract.md 6.2 with a value, and what one would write for it."""
_NAMED = (
    "EXISTS (SELECT 1 FROM directory_users u WHERE u.id = c.directory_user_id"
    " AND lower(u.name) LIKE ?)"
)
TERMS: dict[Term, _Query] = {
    Term(Field.ANY, "pri"): (
        f"({_NAMED} OR lower(c.caller_name) LIKE ? OR c.from_number LIKE ? OR c.to_number LIKE ?)",
        ("%pri%",) * 4,
    ),
    Term(Field.ANY, "okafor"): (
        f"({_NAMED} OR lower(c.caller_name) LIKE ? OR c.from_number LIKE ? OR c.to_number LIKE ?)",
        ("%okafor%",) * 4,
    ),
    Term(Field.ANY, "07700900*"): (
        "(c.from_number LIKE ? OR c.to_number LIKE ?)",
        ("07700900%",) * 2,
    ),
    Term(Field.ANY, "*123"): ("(c.from_number LIKE ? OR c.to_number LIKE ?)", ("%123",) * 2),
    Term(Field.ANY, "zzz"): (
        f"({_NAMED} OR lower(c.caller_name) LIKE ? OR c.from_number LIKE ? OR c.to_number LIKE ?)",
        ("%zzz%",) * 4,
    ),
    Term(Field.AGENT, "grace"): (_NAMED, ("%grace%",)),
}
"""Words and parts of numbers, one of which is nowhere."""


def search(bench: Bench) -> Iterator[Figure]:
    """All of it, on SQLite and on PostgreSQL."""
    for kind, opened in (("sqlite", sqlite_rows), ("postgresql", postgresql_rows)):
        with opened(bench.cache, bench.rows) as rows, _by_hand(rows) as by_hand:
            told = (
                f"{bench.rows:,} calls, {rows.size_bytes / 2**20:,.0f} MiB,"
                f" built in {rows.built_s:,.0f} s"
            )
            with serving(rows.data_dir, bench.both_cores, rows.environment) as ours:
                # The first login of all costs a password hash; those after it are remembered.
                ours.asked("GET", "/api/v1/calls?limit=1", username=SCOPED)
                yield _figure(f"search-{kind}", bench.rounds, _lists(ours, by_hand), told)
            with contextlib.closing(open_base(rows.settings)) as base:
                with base.db.read() as conn:
                    user = users.by_name(conn, SCOPED)
                if user is None:
                    raise AssertionError(f"{SCOPED} was made with the rows")
                who = Principal(user.id, user.username, user.role, user.reach, "benchmark")
                browse = Browse(base.db)
                yield _figure(f"text-{kind}", bench.rounds, _texts(browse, who, by_hand))
                yield _figure(f"count-{kind}", bench.rounds, _counts(browse, who, by_hand))


@dataclass(frozen=True, slots=True)
class _Case:
    label: str
    ours: Callable[[], object]
    peer: Callable[[], object]


_Ask = Callable[[str, Sequence[object]], object]


@contextlib.contextmanager
def _by_hand(rows: Rows) -> Iterator[_Ask]:
    """Asks a database by its own driver, and reads every row of the answer."""
    if rows.url:
        with psycopg.connect(rows.url, autocommit=True) as conn:
            yield lambda query, values: conn.execute(query.replace("?", "%s"), values).fetchall()
        return
    with contextlib.closing(sqlite3.connect(rows.data_dir / "callreel.db")) as lite:
        yield lambda query, values: lite.execute(query, values).fetchall()


def _page(*conditions: _Query) -> tuple[str, list[object]]:
    where = " AND ".join(["c.site_id = ?", *(each for each, _ in conditions)])
    values = [SCOPED_SITE, *(value for _, values in conditions for value in values)]
    query = (
        f"SELECT c.* FROM call_records c WHERE {where}"  # noqa: S608  # our own words
        f" ORDER BY c.started_at DESC, c.id DESC LIMIT {_LIMIT + 1}"
    )
    return query, values


def _lists(ours: Ours, by_hand: _Ask) -> list[_Case]:
    alone: list[tuple[tuple[str, str], ...]] = [(each,) for each in FILTERS]
    pairs = [pair for pair in itertools.combinations(FILTERS, 2) if pair[0][0] != pair[1][0]]
    return [
        _Case(
            " ".join("=".join(each) for each in chosen),
            partial(
                ours.asked,
                "GET",
                f"/api/v1/calls?{urlencode([*chosen, ('limit', _LIMIT)], quote_via=quote)}",
                username=SCOPED,
            ),
            partial(by_hand, *_page(*(FILTERS[each] for each in chosen))),
        )
        for chosen in [*alone, *pairs]
    ]


def _texts(browse: Browse, who: Principal, by_hand: _Ask) -> list[_Case]:
    return [
        _Case(
            f"{term.field.value} {term.text}",
            partial(browse.look, who, CallFilter(terms=(term,)), Order.NEWEST, _LIMIT, None),
            partial(by_hand, *_page(query)),
        )
        for term, query in TERMS.items()
    ]


def _counts(browse: Browse, who: Principal, by_hand: _Ask) -> list[_Case]:
    found = []
    for (name, text), (condition, values) in FILTERS.items():
        wanted = parameters.call_filter(parameters.read({name: text}, parameters.CALLS))
        query = (
            f"SELECT c.started_at / {_DAY_MS}, count(*) FROM call_records c"  # noqa: S608  # as above
            f" WHERE c.site_id = ? AND {condition} GROUP BY 1 ORDER BY 1"
        )
        found.append(
            _Case(
                f"{name}={text}",
                partial(browse.overview, who, wanted, lambda _first, _last: Grain(_DAY_MS)),
                partial(by_hand, query, [SCOPED_SITE, *values]),
            )
        )
    return found


def _figure(name: str, rounds: int, cases: Sequence[_Case], *notes: str) -> Figure:
    slow: dict[tuple[str, str], float] = {}

    def timed(side: str) -> Sample:
        times = {}
        for case in cases:
            kept = slow.get((side, case.label))
            times[case.label] = _time_ms(getattr(case, side)) if kept is None else kept
            if times[case.label] > _AGAIN_S * 1000:
                slow[side, case.label] = times[case.label]
        return Sample(percentile(list(times.values()), 95), times)

    ours, peer = in_turns(rounds, lambda: timed("ours"), lambda: timed("peer"))
    slowest = sorted(ours[-1].detail.items(), key=lambda each: -float(each[1]))[:3]
    told = ", ".join(f"{label} {float(ms):,.0f} ms" for label, ms in slowest)
    if float(slowest[0][1]) > LONGEST_S * 900:
        told += f", stopped after {LONGEST_S} s"
    middle = percentile([float(each) for each in ours[-1].detail.values()], 50)
    return Figure(
        name,
        ours,
        peer,
        _BY_HAND,
        (*notes, f"of {len(cases)}: median {middle:,.1f} ms; slowest {told}"),
    )


def _time_ms(one: Callable[[], object]) -> float:
    began = time.perf_counter()
    try:
        one()
    except (Busy, CallreelError, psycopg.errors.QueryCanceled):
        # It was stopped; what it would have taken in the end nobody knows.
        if time.perf_counter() - began < LONGEST_S * 0.9:
            raise
    return (time.perf_counter() - began) * 1000
