"""Notes about calls: whoever may see a call and may note writes one; own ones can be taken away."""

from __future__ import annotations

import re

from callreel.access.policy import Action, scope_for
from callreel.db import audit, calls, notes
from callreel.db.database import Database
from callreel.errors import BadRequest, Forbidden, NotFound
from callreel.flows.browse import NO_SUCH_CALL
from callreel.model import CallId, Clock, Principal, Role
from callreel.wording import to_translate, worded

MOST_CHARS = 4000

_MOMENT = re.compile(r"\d{1,6}(\.\d{1,6})?")


class Noting:
    """Writes notes."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def add(
        self, principal: Principal, call_id: CallId, at: str, text: str, address: str | None
    ) -> None:
        """Write a note.

        Args:
            principal: Who writes.
            call_id: About this call.
            at: The moment in seconds of its recording; empty for the whole call.
            text: What is written.
            address: Where from.

        Raises:
            NotFound: No such call, or not within this user's sight.
            BadRequest: The text is empty or too long, or the moment is none of the recording.
            Forbidden: This user may not write notes.
        """
        written = text.replace("\r\n", "\n").strip()
        if not written:
            raise BadRequest(to_translate("text: a note must say something."))
        if len(written) > MOST_CHARS or "\0" in written:
            raise BadRequest(
                worded("text: a note has at most %(most)s characters.", most=str(MOST_CHARS))
            )
        if at and _MOMENT.fullmatch(at) is None:
            raise BadRequest(to_translate("at: not a moment in seconds."))
        with self._db.write() as conn:
            call = calls.find_call(conn, scope_for(principal, Action.NOTE), call_id)
            if call is None:
                if calls.find_call(conn, scope_for(principal, Action.SEE_CALLS), call_id):
                    raise Forbidden(to_translate("Your role does not write notes."))
                raise NotFound(NO_SUCH_CALL)
            if at and float(at) > call.duration_s:
                raise BadRequest(to_translate("at: this moment is after the end of the recording."))
            now = self._clock()
            moment = float(at) if at else None
            note_id = notes.add(conn, call_id, moment, written, principal.web_user_id, now)
            audit.append(conn, self._entry(principal, "note.add", call_id, note_id, address))

    def remove(
        self, principal: Principal, call_id: CallId, note_id: str, address: str | None
    ) -> None:
        """Take a note away.

        Raises:
            NotFound: No such note of a call within this user's sight.
            Forbidden: It is somebody else's, and this user is no administrator.
        """
        with self._db.write() as conn:
            scope = scope_for(principal, Action.NOTE)
            call = calls.find_call(conn, scope, call_id)
            found = [each for each in notes.of_call(conn, call_id) if each.id == note_id]
            if call is None or not found:
                raise NotFound(to_translate("There is no such note."))
            own = found[0].web_user_id == principal.web_user_id
            if not own and principal.role is not Role.ADMINISTRATOR:
                raise Forbidden(
                    to_translate("Only who wrote a note, or an administrator, takes it away.")
                )
            notes.remove(conn, note_id, self._clock())
            audit.append(conn, self._entry(principal, "note.remove", call_id, note_id, address))

    def _entry(
        self, principal: Principal, action: str, call_id: CallId, note_id: str, address: str | None
    ) -> audit.AuditEntry:
        return audit.AuditEntry(
            at=self._clock(),
            actor=principal.username,
            action=action,
            object_id=call_id,
            decision="allowed",
            detail={"note": note_id},
            address=address,
        )
