"""What was typed into the search field, as conditions: ``0161*``, ``agent:priya``, ``-grp:sales``.

A number is whole, its beginning, or its end; a word is found anywhere in a name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, case, func, literal_column, not_, or_, select

from callreel.db.schema import call_records, directory_users, groups, sites

ENDING = 3
"""Characters at the end of a number that an index knows; nobody looks for fewer."""


class Field(StrEnum):
    """Where a term looks; the names are those of the search field."""

    ANY = "any"
    PARTY = "party"
    AGENT = "agent"
    EXT = "ext"
    GRP = "grp"
    SITE = "site"
    ID = "id"


@dataclass(frozen=True, slots=True)
class Term:
    """One term."""

    field: Field
    text: str
    wanted: bool = True
    """False: calls that it is found in are left out."""


def meets(term: Term) -> ColumnElement[bool]:
    """The condition of a term on ``call_records``."""
    found = _CONDITIONS[term.field](term.text)
    # A call without an agent is not one of Sales: NOT of NULL would be neither.
    return found if term.wanted else not_(func.coalesce(found, False))


def matches(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Whether a number is ``pattern``: whole, its beginning (``0161*``), or its end (``*0192``)."""
    # Not LIKE: it has wildcards of its own, and SQLite's takes upper for lower case.
    if pattern.endswith("*") and len(pattern) > 1:
        return begins(column, pattern[:-1])
    if pattern.startswith("*") and len(pattern) > 1:
        end = pattern[1:]
        length = func.length(column)
        found = and_(length >= len(end), func.substr(column, length - len(end) + 1) == end)
        return found if len(end) < ENDING else and_(ending(column) == end[-ENDING:], found)
    return column == pattern


def ending(number: ColumnElement[str]) -> ColumnElement[str]:
    """The last characters of a number; written as the indexes of migration 0014 know it."""
    length = func.length(number)
    at = case(
        (length > literal_column("3"), length - literal_column("2")), else_=literal_column("1")
    )
    return func.substr(number, at)


def begins(column: ColumnElement[str], beginning: str) -> ColumnElement[bool]:
    """Whether a text begins so."""
    return func.substr(column, 1, len(beginning)) == beginning


def _party(text: str) -> ColumnElement[bool]:
    c = call_records.c
    return or_(matches(c.from_number, text), matches(c.to_number, text), holds(c.caller_name, text))


def _agent(text: str) -> ColumnElement[bool]:
    u = directory_users.c
    found = select(u.id).where(or_(u.extension == text, holds(u.name, text)))
    return or_(call_records.c.extension == text, call_records.c.directory_user_id.in_(found))


def _ext(text: str) -> ColumnElement[bool]:
    return matches(call_records.c.extension, text)


def _group(text: str) -> ColumnElement[bool]:
    members = (
        select(directory_users.c.id)
        .join(groups, groups.c.id == directory_users.c.group_id)
        .where(holds(groups.c.name, text))
    )
    return call_records.c.directory_user_id.in_(members)


def _site(text: str) -> ColumnElement[bool]:
    found = select(sites.c.id).where(or_(sites.c.id == text, holds(sites.c.name, text)))
    return call_records.c.site_id.in_(found)


def _id(text: str) -> ColumnElement[bool]:
    c = call_records.c
    return or_(c.id == text, c.unique_id == text, c.linked_id == text, c.voicefilename == text)


def _any(text: str) -> ColumnElement[bool]:
    c = call_records.c
    if is_number(text):
        # Somebody who types a number has typed its beginning so far.
        pattern = text if "*" in text else text + "*"
        return or_(
            matches(c.from_number, pattern),
            matches(c.to_number, pattern),
            matches(c.extension, text),
        )
    return or_(_party(text), _agent(text), _group(text), c.unique_id == text, c.id == text)


def is_number(text: str) -> bool:
    """Whether somebody who types this means a number."""
    return text.strip("+*").isdigit()


def holds(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether a name holds a text, upper and lower case alike; ``*`` at either end says so too."""
    return func.lower(column).contains(text.strip("*").lower(), autoescape=True)


_CONDITIONS: dict[Field, Callable[[str], ColumnElement[bool]]] = {
    Field.ANY: _any,
    Field.PARTY: _party,
    Field.AGENT: _agent,
    Field.EXT: _ext,
    Field.GRP: _group,
    Field.SITE: _site,
    Field.ID: _id,
}
