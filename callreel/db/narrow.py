"""A filter that can mean few calls only: which those are, from indexes, before any call is read.

Lists are read newest first, and most filters find a page among the newest calls. One that finds
little would read all of them to know. So each part of a filter that an index knows is asked first
how many calls it can mean at the most, and stops counting at a few thousand; where it is less,
nothing else is read. What is found here is a superset: every condition is still put to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    case,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.sql.visitors import iterate

from callreel.db.call_filter import CallFilter, conditions
from callreel.db.people_schema import notes
from callreel.db.rows import in_scope
from callreel.db.schema import call_records, directory_users, groups, spans
from callreel.db.tally_tables import caller_names
from callreel.db.terms import ENDING, Field, Term, ending, holds, is_number, matches
from callreel.model import Scope

MOST = 2_000
"""Calls that are named to the database one by one."""
MOST_GATHERED = 20_000
"""Calls that are put in order, where reading along the time might mean to read millions."""
MOST_NAMES = 200
"""Names of callers, and people, that one text can mean."""
_LAST = "\U0010ffff"
"""No number goes on with this."""

_Source = ColumnElement[bool]
"""A condition on calls that an index knows."""


IN_TIME = frozenset({"id", "started_at", "site_id", "direction", "disposition", "extension"})
"""Columns whose indexes go on with the time: reading along them gives the newest calls first."""
IN_LENGTH = frozenset({"id", "started_at", "duration_s"})
"""As ``IN_TIME``, for lists by length."""


@dataclass(frozen=True, slots=True)
class Found:
    """The calls of a filter, as conditions."""

    where: list[ColumnElement[bool]]
    sides: tuple[ColumnElement[bool], ...] = ()
    """Where there are some, each of the calls meets one of them at least, and an index that goes on
    with the time leads to the calls of each: their newest are the newest of all. One that is always
    true: they are so few that they can be put in order before anything else is read of them."""
    apart: list[ColumnElement[bool]] | None = None
    """In place of ``where`` for a list by its sides: no index goes on with the time, but each side
    leads to so few calls that all of them are put in order. No other index knows these."""


def found_by(
    conn: Connection, scope: Scope, wanted: CallFilter, along: frozenset[str] | None = None
) -> Found:
    """The calls of a filter within a scope, as conditions that no database takes the long way for.

    Args:
        conn: A transaction.
        scope: Only calls within it.
        wanted: The filter.
        along: Columns whose indexes a list in their order is read along, until a page is full. Of
            another index a planner believes that it leads to a few, reads all that it leads to and
            sorts them. None where everything is read anyhow.
    """
    found = [in_scope(scope), *conditions(wanted)]
    sides, others = _sides(wanted) if along is IN_TIME else ((), wanted)
    gathered: list[_Source] = []
    for sources in _parts(conn, scope, others):
        count = _count(conn, sources)
        if count <= MOST:
            ids = {each for source in sources for each in conn.execute(_calls(source)).scalars()}
            by_id = call_records.c.id.in_(sorted(ids))
            return Found([by_id, *_veiled(found, _BY_ID)], (true(),))
        if count <= MOST_GATHERED and not gathered:
            gathered = sources
    if along is None:
        return Found(found)
    if sides:
        return Found(_veiled(found, _BY_SIDE), sides)
    if gathered:
        return Found(_veiled(found, along), tuple(gathered), _veiled(found, _BY_ID))
    return Found(_veiled(found, along))


def _sides(wanted: CallFilter) -> tuple[tuple[ColumnElement[bool], ...], CallFilter]:
    """Of a number on either side: a condition for each; and the rest of the filter."""
    c = call_records.c
    either = (c.from_number, c.to_number)
    party = wanted.party
    if party is not None and ("*" not in party or _is_ending(party)):
        return tuple(_leads(side, party) for side in either), replace(wanted, party=None)
    for term in wanted.terms:
        if term.wanted and term.field is Field.ANY and _is_ending(term.text):
            others = tuple(each for each in wanted.terms if each is not term)
            sides = (*(_leads(side, term.text) for side in either), c.extension == term.text)
            return sides, replace(wanted, terms=others)
    return (), wanted


def _leads(number: ColumnElement[str], pattern: str) -> _Source:
    """What an index that goes on with the time knows of a number; more may match than does."""
    if _is_ending(pattern):
        return ending(number) == pattern[-ENDING:]
    return matches(number, pattern)


def _is_ending(pattern: str) -> bool:
    end = pattern.removeprefix("*")
    return end != pattern and end.isdigit() and len(end) >= ENDING


def unindexed(column: Column[Any]) -> ColumnElement[Any]:
    """The same value, also where there is none, as an expression that no index knows."""
    neutral: ColumnElement[Any] = literal_column("''")
    return column.concat(neutral) if isinstance(column.type, Text) else column + literal_column("0")


def _veiled(
    conditions: Iterable[ColumnElement[bool]], but: frozenset[str]
) -> list[ColumnElement[bool]]:
    """The same conditions; those of other columns of calls than some say nothing to a planner.

    No index knows them, and each is believed to hold for every other row: of what seems to hold for
    a few, PostgreSQL collects all to sort them.
    """
    return [
        case((each, true()), else_=false()) if _columns(each) - but else each for each in conditions
    ]


def _columns(condition: ColumnElement[bool]) -> set[str]:
    """The columns of calls in a condition."""
    return {
        cast("Column[Any]", each).name
        for each in iterate(condition)
        if getattr(each, "table", None) is call_records
    }


_BY_ID = frozenset({"id"})
_BY_SIDE = frozenset({"id", "started_at"})


def _count(conn: Connection, sources: Iterable[_Source]) -> int:
    """How many calls some sources lead to, where one is counted twice that two lead to.

    Stops above MOST_GATHERED, or MOST where that is more.
    """
    most, found = max(MOST, MOST_GATHERED), 0
    for source in sources:
        counted: Select[Any] = select(literal_column("1")).select_from(call_records).where(source)
        some = counted.limit(most + 1 - found).subquery()
        found += conn.execute(select(func.count()).select_from(some)).scalar_one()
        if found > most:
            break
    return found


def _few(conn: Connection, query: Select[Any], most: int) -> list[str] | None:
    """What a query finds; None where that is too much."""
    found = list(conn.execute(query.limit(most + 1)).scalars())
    return found if len(found) <= most else None


def _parts(conn: Connection, scope: Scope, wanted: CallFilter) -> Iterator[list[_Source]]:
    """Of each part of a filter that indexes know: sources that hold all its calls together."""
    yield from _of_places(scope, wanted)
    yield from _of_sound(conn, wanted)
    for term in wanted.terms:
        sources = _of_term(conn, term) if term.wanted else None
        if sources is not None:
            yield sources


def _of_places(scope: Scope, wanted: CallFilter) -> Iterator[list[_Source]]:
    if wanted.party is not None and (not wanted.party.startswith("*") or _is_ending(wanted.party)):
        yield _numbers(wanted.party)
    if scope.group_ids and not scope.everything and not scope.site_ids:
        yield [_of_people(directory_users.c.group_id.in_(sorted(scope.group_ids)))]
    if wanted.group_id is not None:
        yield [_of_people(directory_users.c.group_id == wanted.group_id)]


def _of_sound(conn: Connection, wanted: CallFilter) -> Iterator[list[_Source]]:
    c = call_records.c
    if wanted.rec:
        yield [c.recording_id >= ""]
    if wanted.noted:
        yield [c.id.in_(select(notes.c.call_id).where(notes.c.removed_at.is_(None)))]
    if wanted.at_least_s is not None:
        yield [c.duration_s >= wanted.at_least_s]
    if wanted.at_most_s is not None:
        yield [c.duration_s <= wanted.at_most_s]
    for asked, state in ((wanted.mask, "active"), (wanted.proposed, "proposed")):
        recordings = _few(conn, _with_spans(state), MOST) if asked else None
        if recordings is not None:
            yield [c.recording_id.in_(recordings)]


def _of_term(conn: Connection, term: Term) -> list[_Source] | None:
    """Where a term can be found; None where no index tells."""
    c, text = call_records.c, term.text
    extension = c.extension == text
    if term.field is Field.ANY and is_number(text):
        pattern = text if "*" in text else text + "*"
        if pattern.startswith("*") and not _is_ending(pattern):
            return None
        return [*_numbers(pattern), extension]
    if term.field is Field.EXT:
        return None if "*" in text else [extension]
    sources: list[_Source] = []
    if term.field in {Field.ANY, Field.PARTY}:
        names = _names(conn, text)
        if names is None or text.startswith("*"):
            return None
        sources += [c.caller_name.in_(names), *_numbers(text)]
    if term.field in {Field.ANY, Field.AGENT}:
        u = directory_users.c
        sources += [extension, _of_people(or_(u.extension == text, holds(u.name, text)))]
    if term.field in {Field.ANY, Field.GRP}:
        found = select(groups.c.id).where(holds(groups.c.name, text))
        sources.append(_of_people(directory_users.c.group_id.in_(found)))
    if term.field in {Field.ANY, Field.ID}:
        sources += [c.id == text, c.unique_id == text]
    if term.field is Field.ID:
        sources += [c.linked_id == text, c.voicefilename == text]
    return sources or None


def _with_spans(state: str) -> Select[Any]:
    return select(spans.c.recording_id).where(spans.c.state == state).distinct()


def _names(conn: Connection, text: str) -> list[str] | None:
    """Names of callers that hold a text; None where they are too many."""
    return _few(
        conn, select(caller_names.c.name).where(holds(caller_names.c.name, text)), MOST_NAMES
    )


def _numbers(pattern: str) -> list[_Source]:
    """Calls with a number: whole, by its beginning, or by its end."""
    sides = (call_records.c.from_number, call_records.c.to_number)
    if pattern.endswith("*") and len(pattern) > 1:
        begin = pattern[:-1]
        return [and_(side >= begin, side < begin + _LAST) for side in sides]
    return [matches(side, pattern) for side in sides]


def _of_people(condition: ColumnElement[bool]) -> _Source:
    people = select(directory_users.c.id).where(condition)
    return call_records.c.directory_user_id.in_(people)


def _calls(source: _Source) -> Select[Any]:
    return select(call_records.c.id).where(source)
