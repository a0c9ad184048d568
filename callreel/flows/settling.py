"""Signals that have no partner or belong to no call: listed, and settled by a person.

Nothing is silently dropped: an unpaired signal masks more than was meant until somebody who may
mask less says what was meant. Source: contract.md 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from callreel.access.keys import KeyRing
from callreel.access.policy import Action, scope_for
from callreel.db import audit, changes, masks, signals, unsettled
from callreel.db.database import Database
from callreel.db.unsettled import ListedSignal, SignalPage, SignalState
from callreel.errors import BadRequest, Conflict, Forbidden, NotFound
from callreel.flows.masking import require_reason
from callreel.model import Clock, Principal, UnixMillis


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a person decides about a signal."""

    how: str
    """``accepted``: it masks what it masks. ``completed``: the missing one was at
    ``counterpart_at``. ``dismissed``: it was sent by mistake and masks nothing."""
    reason: str
    counterpart_at: UnixMillis | None = None


class Settling:
    """Shows signals and takes decisions about them."""

    def __init__(self, db: Database, keys: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock

    def signals(
        self,
        principal: Principal,
        *,
        states: frozenset[SignalState],
        settled: bool | None,
        limit: int,
        cursor: str | None,
    ) -> SignalPage:
        """A page of signals about what this user may review, newest first.

        Raises:
            BadRequest: The cursor is not one of ours.
        """
        with self._db.read() as conn:
            return unsettled.list_signals(
                conn,
                scope_for(principal, Action.REVIEW),
                states=states,
                settled=settled,
                limit=limit,
                cursor=cursor,
            )

    def settle(
        self, principal: Principal, signal_id: str, decision: Settlement, *, address: str | None
    ) -> ListedSignal:
        """Settle a signal; what it masks is worked out anew.

        Raises:
            BadRequest: No reason, an unknown decision, or ``completed`` without a time.
            NotFound: No such signal within this user's review.
            Forbidden: This user may not mask less.
            Conflict: It has a partner, or less would be shown as masked than is burned in.
            Unavailable: It could not be stored.
        """
        reason = require_reason(decision.reason)
        _require_whole(decision)
        now = self._clock()
        with self._db.write() as conn:
            changes.hold_order(conn)
            found = unsettled.find_signal(conn, scope_for(principal, Action.REVIEW), signal_id)
            if found is None:
                raise NotFound("There is no such signal.")
            if unsettled.find_signal(conn, scope_for(principal, Action.NARROW), signal_id) is None:
                raise Forbidden("Settling a signal needs the role compliance or administrator.")
            if found.state is SignalState.PAIRED and decision.how != "dismissed":
                raise Conflict("This signal has a partner; there is nothing to settle.")
            _require_in_order(found, decision)
            _require_not_burned(conn, found, decision)
            meant = signals.calls_meant(conn, [signal_id])
            unsettled.settle(
                conn, signal_id, decision.how, by=principal.username, reason=reason, now=now
            )
            if decision.counterpart_at is not None:
                target = signals.target_of(conn, signal_id)
                if target.call_id is None and target.leg is None and len(meant) == 1:
                    # Its time may lie behind the call: it is still this call that is meant.
                    target = replace(target, call_id=meant[0].call_id)
                partner = signals.NewSignal(
                    at=decision.counterpart_at,
                    received_at=now,
                    mute=not found.mute,
                    source="person",
                    web_user_id=principal.web_user_id,
                )
                signals.add_signal(conn, [target], partner)
            touched = {each.recording_id for each in meant if each.recording_id}
            before = {each: masks.shown(conn, each) for each in sorted(touched)}
            for recording_id in sorted(touched):
                signals.rebuild_signal_spans(conn, recording_id, self._keys.seal_mask, now)
            audit.append(
                conn,
                audit.AuditEntry(
                    at=now,
                    actor=principal.username,
                    action="signal.settle",
                    object_id=signal_id,
                    decision="allowed",
                    detail={
                        "how": decision.how,
                        "reason": reason,
                        "counterpart_at": decision.counterpart_at,
                        "before": before,
                        "after": {each: masks.shown(conn, each) for each in sorted(touched)},
                    },
                    address=address,
                ),
            )
            after = unsettled.find_signal(conn, scope_for(principal, Action.REVIEW), signal_id)
            assert after is not None  # noqa: S101  # it was there a moment ago
            return after


def _require_whole(decision: Settlement) -> None:
    if decision.how not in {"accepted", "completed", "dismissed"}:
        raise BadRequest("settle: must be accepted, completed or dismissed.")
    if (decision.how == "completed") != (decision.counterpart_at is not None):
        raise BadRequest("counterpart_at: goes with completed, and completed needs it.")


def _require_in_order(found: ListedSignal, decision: Settlement) -> None:
    other = decision.counterpart_at
    if other is not None and (other <= found.at if found.mute else other >= found.at):
        raise BadRequest("counterpart_at: a mute off comes after its mute on.")


def _require_not_burned(conn: Connection, found: ListedSignal, decision: Settlement) -> None:
    if decision.how == "accepted":
        return
    for recording_id in found.recording_ids:
        if masks.burned_revision(conn, recording_id) is not None:
            raise Conflict("The masks of this recording are burned in; nothing can bring it back.")
