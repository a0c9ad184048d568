"""About how many calls a filter finds, where counting them all would take too long.

Of every hour that has calls, or quarter of one, the calls of a few seconds are looked at, the same
part of each; how many calls there are in all is known from the tallies. So a bar of the histogram
is estimated from calls of its own time, and how long it takes does not depend on how many there
are.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    func,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from callreel.db.call_filter import CallFilter, conditions
from callreel.db.rows import in_scope
from callreel.db.schema import call_records, groups
from callreel.db.summary import (
    Bucket,
    Grain,
    Summary,
    is_abandoned,
    summarise,
    talked_ms,
    unit_of,
)
from callreel.db.tally_tables import QUARTER_MS, call_tallies
from callreel.model import Direction, Scope, UnixMillis

SAMPLE_CALLS = 40_000
"""About so many are looked at. Of a filter that finds one call in a hundred these are 400, and the
estimate is off by 5 %, give or take."""

_MANY_HITS = 400
"""From here on a second digit means something."""

_STRIDES_MS = {1: 556_231, 4: 2_224_921}
"""By the quarters of a stretch of which a part is looked at. Prime to its length, and near 0.618 of
it: the seconds that are looked at wander evenly through it, whatever calls do at a full hour."""
_STRETCHES = 24
"""A bar is made of so many at the least."""


def extent(
    conn: Connection, scope: Scope, wanted: CallFilter
) -> tuple[UnixMillis, UnixMillis] | None:
    """From when to when the sites of a scope have calls in the period of a filter; None: none."""
    quarter = call_tallies.c.quarter
    where = _in_period(wanted)
    if not scope.everything:
        of_groups = select(groups.c.site_id).where(groups.c.id.in_(sorted(scope.group_ids)))
        site_id = call_tallies.c.site_id
        where.append(or_(site_id.in_(sorted(scope.site_ids)), site_id.in_(of_groups)))
    first = conn.execute(select(quarter).where(*where).order_by(quarter).limit(1)).scalar()
    last = conn.execute(select(quarter).where(*where).order_by(quarter.desc()).limit(1)).scalar()
    if first is None or last is None:
        return None
    return UnixMillis(first * QUARTER_MS), UnixMillis((last + 1) * QUARTER_MS - 1)


def estimate(conn: Connection, scope: Scope, wanted: CallFilter, grain: Grain) -> Summary:
    """As ``summary.summarise``, from a sample; where no sample is smaller, of all.

    Its total and its talk time are rounded to the digits that mean something.
    """
    there: dict[int, int] = {}
    seen: dict[int, int] = defaultdict(int)
    rows = []
    for row in conn.execute(_sample(conn, scope, wanted, grain)):
        if row.direction is None:
            there[row.unit] = int(row.seen)
        else:
            seen[row.unit] += int(row.seen)
            rows.append(row)
    if sum(there.values()) <= SAMPLE_CALLS:
        return summarise(conn, scope, wanted, grain)
    hits, calls, talk_s, buckets = 0, 0.0, 0.0, []
    for row in rows:
        stands_for = there.get(row.unit, 0) / seen[row.unit]
        hits += int(row.calls)
        calls += int(row.calls) * stands_for
        talk_s += int(row.talk_ms) * stands_for / 1000
        if row.calls:
            at = UnixMillis(int(row.quarter) * QUARTER_MS)
            count = max(1, round(int(row.calls) * stands_for))
            buckets.append(Bucket(at, Direction(row.direction), bool(row.abandoned), count))
    # The estimate is off by one part in the root of the hits, give or take.
    digits = 2 if hits >= _MANY_HITS else 1
    talk = float(_roughly(talk_s, digits))
    return Summary(_roughly(calls, digits), talk, tuple(buckets), sum(seen.values()))


def _roughly(number: float, digits: int) -> int:
    whole = round(number)
    return round(whole, digits - len(str(whole)))


def _in_period(wanted: CallFilter) -> list[ColumnElement[bool]]:
    t = call_tallies.c
    found = [t.calls > 0]
    if wanted.since is not None:
        found.append(t.quarter >= wanted.since // QUARTER_MS)
    if wanted.until is not None:
        found.append(t.quarter <= (wanted.until - 1) // QUARTER_MS)
    return found


def _sample(
    conn: Connection, scope: Scope, wanted: CallFilter, grain: Grain
) -> CompoundSelect[*tuple[Any, ...]]:
    """The sample by bar, direction and end, and how many calls each bar has in all.

    The latter have no direction. One statement, since both read all tallies of the period.
    """
    t, c = call_tallies.c, call_records.c
    held = (
        select(t.quarter, func.sum(t.calls).cast(BigInteger).label("calls"))
        .where(*_in_period(wanted))
        .group_by(t.quarter)
        .cte("held")
    )
    quarters = 4 if grain.unit_ms >= 4 * _STRETCHES * QUARTER_MS else 1
    stretch_ms = quarters * QUARTER_MS
    total = select(func.sum(held.c.calls).cast(BigInteger)).scalar_subquery()
    part_ms = 1 + literal(stretch_ms * SAMPLE_CALLS, BigInteger) // total
    stretch = held.c.quarter // quarters
    begins = stretch * stretch_ms + (stretch * _STRIDES_MS[quarters]) % stretch_ms
    parts = select(begins.label("begin")).distinct().subquery()
    # Not in WHERE: an index that knows a part of the filter would lead through all of its calls.
    found = and_(true(), in_scope(scope), *conditions(wanted))
    one = select(
        unit_of(c.started_at, grain),
        (c.started_at // QUARTER_MS).label("quarter"),
        c.direction,
        is_abandoned(c.disposition),
        case((found, 1), else_=0).label("calls"),
        case((found, talked_ms()), else_=0).label("talk_ms"),
    )
    each = _within(conn, one, parts, c.started_at, part_ms)
    sample = select(
        each.unit,
        func.min(each.quarter).label("quarter"),
        each.direction,
        each.abandoned,
        func.count().label("seen"),
        func.sum(each.calls).label("calls"),
        func.sum(each.talk_ms).label("talk_ms"),
    ).group_by(each.unit, each.direction, each.abandoned)
    unit = unit_of(held.c.quarter * QUARTER_MS, grain)
    calls = func.sum(held.c.calls).cast(BigInteger)
    none = [null().label(name) for name in ("quarter", "direction", "abandoned")]
    totals = select(unit, *none, calls, null(), null()).group_by(unit)
    return sample.union_all(totals).order_by("unit", "direction", "abandoned")


def _within(
    conn: Connection,
    one: Select[*tuple[Any, ...]],
    parts: FromClause,
    at: ColumnElement[int],
    part_ms: ColumnElement[int],
) -> ReadOnlyColumnCollection[str, Any]:
    """What is read of each call, of those in some parts of time: by an index, part after part."""
    within = and_(at >= parts.c.begin, at < parts.c.begin + part_ms)
    if conn.dialect.name != "postgresql":
        return one.select_from(parts.join(call_records, within)).subquery().c
    # It believes that a part is a two-hundredth of all calls, and would hold every call against
    # every part. What has an order of its own is not taken apart.
    found = one.where(within).order_by(at).correlate(parts).lateral()
    return select(found).select_from(parts.join(found, true())).subquery().c
