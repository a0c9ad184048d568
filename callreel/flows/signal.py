"""Mute on, mute off: stored on disk before the answer, then bound to what it masks.

Source: contract.md section 4.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from callreel.access.keys import KeyRing
from callreel.access.policy import Action, scope_for
from callreel.db import audit, calls, idempotency, signals
from callreel.db.database import Database
from callreel.errors import BadRequest, Conflict, NotFound
from callreel.model import CallId, Clock, Principal, Scope, UnixMillis

AHEAD_MS = 5_000
"""How far a signal's own time may be ahead of ours; the same as for tokens (contract.md 3.2)."""
BEHIND_MS = 7 * 86_400_000
"""How late a signal may come: a queue that was down over a long weekend loses nothing."""
MAX_SKEW_MS = 3_600_000
"""A sender whose clock is further off than this has a fault that must be mended, not corrected."""


@dataclass(frozen=True, slots=True)
class SignalOrder:
    """A signal as somebody sends it."""

    mute: bool
    """True for on."""
    objtype: str | None = None
    """``user`` or ``channel``; None only where ``call_id`` is given."""
    objid: str | None = None
    """The user's extension or the channel's name."""
    container: str | None = None
    """A site or group that narrows the search; None for all."""
    call_id: CallId | None = None
    """The one call it is about."""
    at: UnixMillis | None = None
    """When it happened by the sender's clock; None for now."""
    sent_at: UnixMillis | None = None
    """What the sender's clock said when it sent this; ``at`` is then corrected by the skew."""


@dataclass(frozen=True, slots=True)
class SignalAnswer:
    """What became of a signal."""

    signal_ids: tuple[str, ...]
    at: UnixMillis
    """When it counts as having happened."""
    matches: tuple[signals.Match, ...]
    """The calls it is about; empty while it is held."""
    repeated: bool = False
    """Whether this is the stored answer to the same request."""


class Signals:
    """Takes signals."""

    def __init__(self, db: Database, keys: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock

    def send(
        self,
        principal: Principal,
        order: SignalOrder,
        *,
        address: str | None,
        idempotency_key: str | None = None,
    ) -> SignalAnswer:
        """Store a signal and mask what it is about.

        Where two sites have a user of the same id, the signal is about both: more is masked.

        Args:
            principal: Who sends it; only what they may reach is found.
            order: The signal.
            address: Where it came from.
            idempotency_key: The same key with the same signal gives the same answer and stores
                nothing again.

        Raises:
            BadRequest: Its time cannot be true.
            Conflict: The key came with another signal before.
            NotFound: No such object or call within this user's reach.
            Unavailable: It could not be stored.
        """
        now = self._clock()
        at = _corrected(order, now)
        with self._db.write() as conn:
            if idempotency_key is not None:
                digest = _digest(order)
                known = idempotency.find(conn, principal.web_user_id, idempotency_key)
                if known is not None:
                    return _again(known, digest)
            targets = _targets(conn, scope_for(principal, Action.SIGNAL), order)
            taken = signals.take_signal(
                conn,
                targets,
                signals.NewSignal(at, now, order.mute, "web", principal.web_user_id),
                self._keys.seal_mask,
            )
            answer = SignalAnswer(taken.signal_ids, at, taken.matches)
            if idempotency_key is not None:
                idempotency.keep(
                    conn,
                    principal.web_user_id,
                    idempotency_key,
                    idempotency.Kept(digest, _as_json(answer)),
                    now,
                )
            audit.append(
                conn,
                audit.AuditEntry(
                    at=now,
                    actor=principal.username,
                    action="signal.on" if order.mute else "signal.off",
                    object_id=order.objid or order.call_id or "",
                    decision="allowed",
                    detail={
                        "objtype": order.objtype or "call",
                        "at": at,
                        "signals": list(taken.signal_ids),
                        "recordings": sorted(
                            {each.recording_id for each in taken.matches if each.recording_id}
                        ),
                    },
                    address=address,
                ),
            )
        return answer


def _corrected(order: SignalOrder, now: UnixMillis) -> UnixMillis:
    """When a signal happened by our clock.

    Raises:
        BadRequest: It lies in the future, too long ago, or the sender's clock is far off.
    """
    if order.at is None:
        if order.sent_at is not None:
            raise BadRequest("sent_at: goes with at.")
        return now
    at = int(order.at)
    if order.sent_at is not None:
        skew = now - order.sent_at
        if abs(skew) > MAX_SKEW_MS:
            raise BadRequest(
                f"sent_at: differs from this server's clock by {abs(skew) // 1000} s; "
                "set the sender's clock."
            )
        at += skew
    if at > now + AHEAD_MS:
        raise BadRequest(
            f"at: is {(at - now) / 1000:.1f} s ahead of this server's clock; set the sender's "
            "clock, or send sent_at so that it can be corrected."
        )
    if at < now - BEHIND_MS:
        raise BadRequest("at: is more than seven days ago; set the spans by hand instead.")
    return UnixMillis(min(at, now))


def _targets(conn: Connection, scope: Scope, order: SignalOrder) -> list[signals.Target]:
    if order.call_id is not None and calls.find_call(conn, scope, order.call_id) is None:
        raise NotFound("There is no such call.")
    if order.objtype is None or order.objid is None:
        if order.call_id is None:
            raise BadRequest("objtype and objid, or call_id: say what the signal is about.")
        return [signals.Target(call_id=order.call_id)]
    found = signals.object_ids(conn, scope, order.objtype, order.objid, order.container)
    if not found:
        raise NotFound(f"There is no {order.objtype} {order.objid!r} here.")
    return [replace(target, call_id=order.call_id) for target in found]


def _digest(order: SignalOrder) -> str:
    # sent_at is when this try was sent: a second try of the same signal has another.
    parts = [
        order.mute,
        order.objtype,
        order.objid,
        order.container,
        order.call_id,
        order.at,
    ]
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _as_json(answer: SignalAnswer) -> Mapping[str, object]:
    return {
        "signals": list(answer.signal_ids),
        "at": answer.at,
        "matches": [[match.call_id, match.recording_id] for match in answer.matches],
    }


def _again(known: idempotency.Kept, digest: str) -> SignalAnswer:
    if known.digest != digest:
        raise Conflict("Idempotency-Key: came with another signal before; make a new key.")
    answer = known.answer
    matches = [signals.Match(call, recording) for call, recording in answer["matches"]]
    return SignalAnswer(tuple(answer["signals"]), answer["at"], tuple(matches), repeated=True)
