"""Calls are looked for: every answer through a Scope."""

from __future__ import annotations

from callreel.access.policy import Action, scope_for
from callreel.db import calls, changes, search
from callreel.db.database import Database
from callreel.errors import NotFound
from callreel.model import Call, CallId, Principal


class Browse:
    """Answers searches."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def calls(
        self,
        principal: Principal,
        wanted: search.CallFilter,
        limit: int,
        cursor: str | None,
    ) -> search.CallPage:
        """A page of calls within this user's sight, newest first.

        Raises:
            BadRequest: The cursor is not one of ours.
        """
        with self._db.read() as conn:
            scope = scope_for(principal, Action.SEE_CALLS)
            return search.search_calls(conn, scope, wanted, limit, cursor)

    def call(self, principal: Principal, call_id: CallId) -> Call:
        """One call.

        Raises:
            NotFound: No such call, or not within this user's sight.
        """
        with self._db.read() as conn:
            found = calls.find_call(conn, scope_for(principal, Action.SEE_CALLS), call_id)
        if found is None:
            raise NotFound("There is no such call.")
        return found

    def changes(self, principal: Principal, since: str | None, limit: int) -> changes.ChangePage:
        """New and changed calls, recordings and masks, in order, missing none.

        Raises:
            BadRequest: The cursor is not one of ours.
        """
        with self._db.read() as conn:
            scope = scope_for(principal, Action.SEE_CALLS)
            return changes.list_changes(conn, scope, since, limit)
