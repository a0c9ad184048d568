"""Calls are looked for: every answer through a Scope."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from callreel.access.policy import Action, scope_for
from callreel.db import (
    calls,
    changes,
    estimate,
    listing,
    notes,
    places,
    playbacks,
    search,
    summary,
)
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.errors import NotFound, TooSlow
from callreel.model import Call, CallId, Principal, RecordingId, UnixMillis
from callreel.wording import to_translate

NO_SUCH_CALL = to_translate("There is no such call, or it is not within your sight.")
COUNT_WITHIN_S = 0.15
"""Longer than that nobody waits for a number that says how much there is."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What stands above a list of calls."""

    first: UnixMillis
    """When the first of them started; of an estimate no later than that."""
    last: UnixMillis
    """When the last of them started; of an estimate no earlier than that."""
    counted: summary.Summary


@dataclass(frozen=True, slots=True)
class CallInFull:
    """One call with everything that is known around it."""

    viewed: listing.ViewedCall
    legs: tuple[listing.ViewedCall, ...]
    """The others of the same conversation, oldest first."""
    notes: tuple[notes.Note, ...]
    listeners: tuple[tuple[str, int], ...] | None
    """Who listened, and how often; None for those who may not know it."""
    may_hear: bool


class Browse:
    """Answers searches."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def calls(
        self,
        principal: Principal,
        wanted: CallFilter,
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
            raise NotFound(to_translate("There is no such call."))
        return found

    def changes(self, principal: Principal, since: str | None, limit: int) -> changes.ChangePage:
        """New and changed calls, recordings and masks, in order, missing none.

        Raises:
            BadRequest: The cursor is not one of ours.
        """
        with self._db.read() as conn:
            scope = scope_for(principal, Action.SEE_CALLS)
            return changes.list_changes(conn, scope, since, limit)

    def look(
        self,
        principal: Principal,
        wanted: CallFilter,
        order: search.Order,
        limit: int,
        cursor: str | None,
    ) -> listing.ViewedPage:
        """A page of calls as people look at them.

        Raises:
            BadRequest: The cursor is not one of ours.
        """
        scope = scope_for(principal, Action.SEE_CALLS)
        with self._db.read() as conn:
            return listing.page(conn, scope, wanted, order, limit, cursor)

    def came(
        self, principal: Principal, wanted: CallFilter, since: str | None
    ) -> tuple[tuple[listing.ViewedCall, ...], str]:
        """Calls of a filter that came in after a place in the feed of changes, and the new place.

        Args:
            principal: Who looks.
            wanted: The filter.
            since: The place; None is now.

        Raises:
            BadRequest: The place is not one of ours.
        """
        scope = scope_for(principal, Action.SEE_CALLS)
        with self._db.read() as conn:
            if since is None:
                return (), str(changes.newest(conn))
            page = changes.list_changes(conn, scope, since, _CAME_AT_ONCE)
            fresh = {each.call_id for each in page.items if each.kind == "call" and each.call_id}
            found = listing.some(conn, scope, wanted, sorted(fresh)) if fresh else ()
            return found, page.next

    def in_full(self, principal: Principal, call_id: CallId) -> CallInFull:
        """One call with everything around it.

        Raises:
            NotFound: No such call, or not within this user's sight.
        """
        scope = scope_for(principal, Action.SEE_CALLS)
        with self._db.read() as conn:
            viewed = listing.one(conn, scope, call_id)
            if viewed is None:
                raise NotFound(NO_SUCH_CALL)
            recording_id = viewed.call.recording_id
            heard = scope_for(principal, Action.HEAR)
            return CallInFull(
                viewed=viewed,
                legs=listing.legs(conn, scope, viewed),
                notes=notes.of_call(conn, call_id),
                listeners=None
                if recording_id is None or not self._may_see_listeners(conn, principal, call_id)
                else playbacks.of_recording(conn, RecordingId(recording_id)),
                may_hear=calls.find_call(conn, heard, call_id) is not None,
            )

    @staticmethod
    def _may_see_listeners(conn: Connection, principal: Principal, call_id: CallId) -> bool:
        scope = scope_for(principal, Action.READ_LISTENING)
        return calls.find_call(conn, scope, call_id) is not None

    def count(
        self,
        principal: Principal,
        wanted: CallFilter,
        grain_of: Callable[[UnixMillis, UnixMillis], summary.Grain],
        within_s: float,
    ) -> Overview | None:
        """How many calls a filter finds, and when they were; None where it finds none.

        Args:
            principal: Who looks.
            wanted: The filter.
            grain_of: How finely to count, from when the first and the last call started.
            within_s: How many seconds it may take.

        Raises:
            TooSlow: It takes longer.
        """
        scope = scope_for(principal, Action.SEE_CALLS)
        with self._db.read_within(within_s) as conn:
            extent = summary.extent(conn, scope, wanted)
            if extent is None:
                return None
            return Overview(*extent, summary.summarise(conn, scope, wanted, grain_of(*extent)))

    def overview(
        self,
        principal: Principal,
        wanted: CallFilter,
        grain_of: Callable[[UnixMillis, UnixMillis], summary.Grain],
    ) -> Overview | None:
        """As ``count``; what takes longer than ``COUNT_WITHIN_S`` is estimated."""
        with contextlib.suppress(TooSlow):
            return self.count(principal, wanted, grain_of, COUNT_WITHIN_S)
        scope = scope_for(principal, Action.SEE_CALLS)
        with self._db.read() as conn:
            extent = estimate.extent(conn, scope, wanted)
            if extent is None:
                return None
            return Overview(*extent, estimate.estimate(conn, scope, wanted, grain_of(*extent)))

    def places(self, principal: Principal) -> places.Places:
        """The sites and groups within sight, to choose from."""
        scope = scope_for(principal, Action.SEE_CALLS)
        with self._db.read() as conn:
            return places.within(conn, scope)


_CAME_AT_ONCE = 300
