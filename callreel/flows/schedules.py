"""Schedules as their owner knows them: decided, changed, run at once, removed.

``schedule_runner.py`` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from sqlalchemy import Connection

from callreel.db import audit, schedules
from callreel.db.database import Database
from callreel.db.schedules import Plan, Schedule
from callreel.errors import BadRequest, NotFound, TooManyRequests
from callreel.flows.folders import checked_folder
from callreel.flows.mail import checked_address
from callreel.flows.making import Kind, require_scope
from callreel.flows.timetable import Every, When, checked_when, next_after
from callreel.model import Clock, Principal
from callreel.wording import to_translate, worded

MAX_OF_USER = 50
MAX_RECIPIENTS = 20
MAX_NAME_CHARS = 100


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where schedules may send to."""

    mail: bool
    """Whether there is a mail server."""
    domains: frozenset[str]
    """Where mail may go; empty: anywhere."""
    folder: bool
    """Whether a folder is allowed."""


def when_of(plan: Plan | Schedule) -> When:
    """The timetable of a plan that was looked at before it was stored."""
    # Not looked at again: a rule that is younger than a schedule must not take the list away.
    return When(cast("Every", plan.every), plan.day, plan.minute, plan.zone)


class Schedules:
    """Answers for schedules, each to its owner.

    Args:
        db: Where they are kept.
        kinds: What can be made, by name.
        delivery: Where it may be sent.
        clock: What time it is.
    """

    def __init__(
        self, db: Database, kinds: Mapping[str, Kind], delivery: Delivery, clock: Clock
    ) -> None:
        self._db = db
        self._kinds = kinds
        self._delivery = delivery
        self._clock = clock

    def add(self, principal: Principal, plan: Plan, *, address: str | None) -> Schedule:
        """Add a schedule; it first runs at the next time that it names.

        Raises:
            BadRequest: Something in it is wrong; the message names it.
            Forbidden: They may not see anything of what it would hold.
            TooManyRequests: They have too many.
        """
        checked = self._checked(principal, plan)
        now = self._clock()
        with self._db.write() as conn:
            if len(schedules.of_user(conn, principal.web_user_id)) >= MAX_OF_USER:
                raise TooManyRequests(
                    worded("You have %(most)s schedules; remove one first.", most=str(MAX_OF_USER)),
                    retry_after_s=60,
                )
            following = next_after(when_of(checked), now)
            found = schedules.add(conn, principal.web_user_id, checked, following, now)
            self._audit(conn, principal, "schedule.add", found, address, checked)
        return self.one(principal, found)

    def change(
        self, principal: Principal, schedule_id: str, plan: Plan, *, address: str | None
    ) -> Schedule:
        """Replace what was decided about a schedule.

        Raises: as ``add`` and ``one``.
        """
        known = self.one(principal, schedule_id)
        checked = self._checked(principal, plan)
        with self._db.write() as conn:
            following = next_after(when_of(checked), self._clock()) if known.enabled else None
            schedules.change(conn, schedule_id, checked, following)
            self._audit(conn, principal, "schedule.change", schedule_id, address, checked)
        return self.one(principal, schedule_id)

    def remove(self, principal: Principal, schedule_id: str, *, address: str | None) -> None:
        """Forget a schedule; a run that is under way sends nothing more.

        Raises: as ``one``.
        """
        self.one(principal, schedule_id)
        with self._db.write() as conn:
            schedules.remove(conn, schedule_id)
            self._audit(conn, principal, "schedule.remove", schedule_id, address)

    def enable(
        self, principal: Principal, schedule_id: str, *, enabled: bool, address: str | None
    ) -> Schedule:
        """Have it run, or not run, at its times.

        Raises: as ``one``.
        """
        known = self.one(principal, schedule_id)
        with self._db.write() as conn:
            following = next_after(when_of(known), self._clock()) if enabled else None
            schedules.enable(conn, schedule_id, following)
            verb = "enable" if enabled else "disable"
            self._audit(conn, principal, f"schedule.{verb}", schedule_id, address)
        return self.one(principal, schedule_id)

    def run_now(self, principal: Principal, schedule_id: str, *, address: str | None) -> Schedule:
        """Have it run within seconds, for this moment, also where it is disabled.

        Raises: as ``one``.
        """
        self.one(principal, schedule_id)
        with self._db.write() as conn:
            schedules.run_at(conn, schedule_id, self._clock())
            self._audit(conn, principal, "schedule.run", schedule_id, address)
        return self.one(principal, schedule_id)

    def own(self, principal: Principal) -> tuple[Schedule, ...]:
        """The schedules of a user, by name."""
        with self._db.read() as conn:
            return schedules.of_user(conn, principal.web_user_id)

    def one(self, principal: Principal, schedule_id: str) -> Schedule:
        """One schedule.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        with self._db.read() as conn:
            found = schedules.find(conn, schedule_id)
        if found is None or found.web_user_id != principal.web_user_id:
            raise NotFound(to_translate("There is no such schedule."))
        return found

    def _checked(self, principal: Principal, plan: Plan) -> Plan:
        name = plan.name.strip()
        if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
            raise BadRequest(
                worded("name: 1 to %(most)s characters, on one line.", most=str(MAX_NAME_CHARS))
            )
        checked_when(plan.every, plan.day, plan.minute, plan.zone)
        kind = self._kinds.get(plan.kind)
        if kind is None:
            known = ", ".join(sorted(self._kinds))
            raise BadRequest(
                worded(
                    "kind: there is no %(name)s; known: %(known)s.",
                    name=repr(plan.kind[:40]),
                    known=known,
                )
            )
        require_scope(principal, kind.action)
        # What is told of times is told in the zone of the schedule unless another is named.
        parameters = kind.checked({"zone": plan.zone, **plan.parameters})
        recipients = tuple(dict.fromkeys(plan.recipients))
        if len(recipients) > MAX_RECIPIENTS:
            raise BadRequest(
                worded(
                    "recipients: %(most)s at the most; give them a list of mail.",
                    most=str(MAX_RECIPIENTS),
                )
            )
        for each in recipients:
            checked_address(each, self._delivery.domains)
        if recipients and not self._delivery.mail:
            raise BadRequest(to_translate("recipients: no mail server is set; see mail.host."))
        if plan.folder is not None:
            checked_folder(plan.folder)
            if not self._delivery.folder:
                raise BadRequest(to_translate("folder: none is allowed; see schedules.folder."))
        if not recipients and plan.folder is None:
            raise BadRequest(to_translate("recipients: name an address, or a folder."))
        return replace(plan, name=name, parameters=parameters, recipients=recipients)

    def _audit(
        self,
        conn: Connection,
        principal: Principal,
        action: str,
        schedule_id: str,
        address: str | None,
        plan: Plan | None = None,
    ) -> None:
        detail: dict[str, object] = {}
        if plan is not None:
            detail = {
                "name": plan.name,
                "kind": plan.kind,
                "parameters": plan.parameters,
                "recipients": plan.recipients,
                "folder": plan.folder,
            }
        entry = audit.AuditEntry(
            self._clock(), principal.username, action, schedule_id, "allowed", detail, address
        )
        audit.append(conn, entry)
