"""Mute on, mute off: stored on disk before the answer, then bound to what it masks.

Source: contract.md section 4.
"""

from __future__ import annotations

from callreel.access.keys import KeyRing
from callreel.access.policy import Action, scope_for
from callreel.db import audit, masks
from callreel.db.database import Database
from callreel.errors import NotFound
from callreel.model import Clock, Principal


class Signals:
    """Takes signals."""

    def __init__(self, db: Database, keys: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock

    def send(
        self,
        principal: Principal,
        *,
        objtype: str,
        objid: str,
        container: str | None,
        mute: bool,
        address: str | None,
    ) -> None:
        """Store a signal about a user or a channel; its time is now.

        Where two sites have a user of the same id, the signal is about both: more is masked.

        Args:
            principal: Who sends it; only what they may reach is found.
            objtype: ``user`` or ``channel``.
            objid: The user's extension or the channel's name.
            container: A site or group that narrows the search; None for all.
            mute: True for on.
            address: Where it came from.

        Raises:
            NotFound: No such object within this user's reach.
            Unavailable: It could not be stored.
        """
        now = self._clock()
        with self._db.write() as conn:
            scope = scope_for(principal, Action.SIGNAL)
            targets = masks.object_ids(conn, scope, objtype, objid, container)
            if not targets:
                raise NotFound(f"There is no {objtype} {objid!r} here.")
            masks.add_signal(
                conn,
                targets,
                at=now,
                received_at=now,
                mute=mute,
                web_user_id=principal.web_user_id,
                now=now,
            )
            touched = masks.recordings_touched(conn, targets, now)
            for recording_id in touched:
                masks.rebuild_signal_spans(conn, recording_id, self._keys.seal_mask, now)
            audit.append(
                conn,
                audit.AuditEntry(
                    at=now,
                    actor=principal.username,
                    action="signal.on" if mute else "signal.off",
                    object_id=objid,
                    decision="allowed",
                    detail={"objtype": objtype, "recordings": sorted(touched)},
                    address=address,
                ),
            )
