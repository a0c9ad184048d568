"""What every change of directory, settings and people shares: its right, its base, its audit row.

A change tells what it was based on. Where that is not what is stored any more, somebody else was
first: nothing is changed, and the Conflict names what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from callreel.access.policy import NOTHING, Action, scope_for
from callreel.db import audit
from callreel.errors import BadRequest, Conflict, Forbidden
from callreel.model import Principal, Role, Scope, UnixMillis
from callreel.wording import joined, to_translate, worded

Values = Mapping[str, object]
"""What a thing is, by the names of its settings; JSON values."""
MAX_PAGE = 500
"""Rows of one page of a list at the most."""
MAX_NAME_CHARS = 200
_ROLES = {
    Role.ADMINISTRATOR: to_translate("administrator"),
    Role.SUPERVISOR: to_translate("supervisor"),
    Role.COMPLIANCE: to_translate("compliance"),
    Role.INTEGRATOR: to_translate("integrator"),
    Role.AUDITOR: to_translate("auditor"),
}


@dataclass(frozen=True, slots=True)
class Act:
    """Who changes something, when, from where."""

    principal: Principal
    at: UnixMillis
    address: str | None = None

    @property
    def scope(self) -> Scope:
        """The part of the directory that may be changed.

        Raises:
            Forbidden: None of it: only an administrator changes it.
        """
        return require_scope(self.principal, Action.ADMINISTER)

    def require_everything(self) -> None:
        """Refuse who reaches a part only: what is changed belongs to every site.

        Raises:
            Forbidden: Not an administrator of everything.
        """
        if not self.scope.everything:
            raise Forbidden(
                to_translate("Only an administrator who reaches every site may do this.")
            )

    def tell(
        self,
        conn: Connection,
        action: str,
        object_id: str,
        *,
        before: Values | None,
        after: Values | None,
    ) -> None:
        """Write the audit row, within the transaction of the change."""
        detail: dict[str, object] = {"before": before, "after": after}
        entry = audit.AuditEntry(
            self.at, self.principal.username, action, object_id, "allowed", detail, self.address
        )
        audit.append(conn, entry)


def require_scope(principal: Principal, action: Action) -> Scope:
    """Where somebody may do something.

    Raises:
        Forbidden: Nowhere.
    """
    scope = scope_for(principal, action)
    if scope == NOTHING:
        raise Forbidden(
            worded("A user with the role %(role)s may not do this.", role=_ROLES[principal.role])
        )
    return scope


def require_unchanged(seen: Values | None, now: Values) -> None:
    """Refuse a change that was based on what is not so any more.

    Args:
        seen: What somebody saw and changed; None where the change is based on nothing.
        now: What is stored.

    Raises:
        Conflict: It differs; the message and ``fields["differs"]`` name each setting.
    """
    if seen is None:
        return
    differs = {name: value for name, value in now.items() if seen.get(name) != value}
    if differs:
        told = joined(
            [
                worded(
                    "%(name)s is %(now)s now, it was %(before)s",
                    name=name,
                    now=_told(value),
                    before=_told(seen.get(name)),
                )
                for name, value in differs.items()
            ],
            "; ",
        )
        raise Conflict(
            worded("Somebody changed this meanwhile: %(told)s.", told=told), differs=differs
        )


def _told(value: object) -> str:
    return to_translate("not set") if value is None else str(value)


EVERYTHING = "everything"
"""How a reach without bounds is written."""


def require_name(name: str, what: str = "name") -> str:
    """A name as it is kept: without blanks at its ends.

    Raises:
        BadRequest: It is empty, too long, or holds control characters.
    """
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise BadRequest(
            worded(
                "%(what)s: 1 to %(most)s characters, and no control characters.",
                what=what,
                most=str(MAX_NAME_CHARS),
            )
        )
    return name


def require_place_name(name: str, what: str = "name") -> str:
    """The name of a site or a group as it is kept: one that a reach can be written with.

    A reach is told as ``Site, Site/Group`` or ``everything``; by another name somebody would be
    given what nobody meant to give.

    Raises:
        BadRequest: As ``require_name``; or it holds a comma or a slash, or is ``everything``.
    """
    name = require_name(name, what)
    if "," in name or "/" in name or name.casefold() == EVERYTHING:
        raise BadRequest(
            worded(
                "%(what)s: without a comma or a slash, and not %(everything)s.",
                what=what,
                everything=repr(EVERYTHING),
            )
        )
    return name


def require_limit(limit: int) -> int:
    """How many rows a page may have.

    Raises:
        BadRequest: None, or too many.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise BadRequest(worded("limit: a number from 1 to %(most)s.", most=str(MAX_PAGE)))
    return limit
