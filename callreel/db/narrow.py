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
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.sql.visitors import ExternallyTraversible, replacement_traverse

from callreel.db.call_filter import CallFilter, conditions
from callreel.db.people_schema import notes
from callreel.db.rows import in_scope
from callreel.db.schema import call_records, directory_users, groups, spans
from callreel.db.tally_tables import caller_names
from callreel.db.terms import ENDING, Field, Term, holds, is_number, matches
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
    by_id = [_without_index(each, _BY_ID) for each in found]
    parts = []
    for sources in _parts(conn, scope, others):
        ids = _few(conn, map(_calls, sources))
        if ids is not None:
            return Found([call_records.c.id.in_(ids), *by_id], (true(),))
        parts.append(sources)
    if along is None:
        return Found(found)
    if sides:
        return Found([_without_index(each, _BY_SIDE) for each in found], sides)
    in_order = [_without_index(each, along) for each in found]
    for sources in parts:
        if _are_gathered(conn, sources):
            return Found(in_order, tuple(sources), by_id)
    return Found(in_order)


def _sides(wanted: CallFilter) -> tuple[tuple[ColumnElement[bool], ...], CallFilter]:
    """Of a number on either side: a condition for each; and the rest of the filter."""
    c = call_records.c
    either = (c.from_number, c.to_number)
    party = wanted.party
    if party is not None and ("*" not in party or _is_ending(party)):
        return tuple(matches(side, party) for side in either), replace(wanted, party=None)
    for term in wanted.terms:
        if term.wanted and term.field is Field.ANY and _is_ending(term.text):
            others = tuple(each for each in wanted.terms if each is not term)
            sides = (*(matches(side, term.text) for side in either), c.extension == term.text)
            return sides, replace(wanted, terms=others)
    return (), wanted


def _is_ending(pattern: str) -> bool:
    end = pattern.removeprefix("*")
    return end != pattern and end.isdigit() and len(end) >= ENDING


def unindexed(column: Column[Any]) -> ColumnElement[Any]:
    """The same value, also where there is none, as an expression that no index knows."""
    neutral: ColumnElement[Any] = literal_column("''")
    return column.concat(neutral) if isinstance(column.type, Text) else column + literal_column("0")


def _without_index(condition: ColumnElement[bool], kept: frozenset[str]) -> ColumnElement[bool]:
    """The same condition; an index knows no other columns of calls than those that are kept."""

    def column(element: ExternallyTraversible, **_: object) -> ColumnElement[Any] | None:
        if getattr(element, "table", None) is not call_records:
            return None
        plain = cast("Column[Any]", element)
        if plain.name in kept:
            return None
        return unindexed(plain)

    changed: ColumnElement[bool] = replacement_traverse(condition, {}, column)
    return changed


_BY_ID = frozenset({"id"})
_BY_SIDE = frozenset({"id", "started_at"})


def _are_gathered(conn: Connection, sources: Iterable[_Source]) -> bool:
    """Whether the calls of some sources are few enough to be put in order."""
    left = MOST_GATHERED
    for source in sources:
        counted = _calls(source).limit(left + 1).subquery()
        left -= conn.execute(select(func.count()).select_from(counted)).scalar_one()
        if left < 0:
            return False
    return True


def _few(conn: Connection, sources: Iterable[Select[Any]]) -> list[str] | None:
    """What some sources have together; None where that is too much."""
    found: set[str] = set()
    for source in sources:
        found.update(conn.execute(source.limit(MOST + 1)).scalars())
        if len(found) > MOST:
            return None
    return sorted(found)


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
        recordings = _few(conn, [_with_spans(state)]) if asked else None
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
    wanted = select(caller_names.c.name).where(holds(caller_names.c.name, text))
    found = list(conn.execute(wanted.limit(MOST_NAMES + 1)).scalars())
    return found if len(found) <= MOST_NAMES else None


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
