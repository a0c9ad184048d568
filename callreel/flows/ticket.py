"""An integrator asks for a link that somebody else opens: a ticket, good for a minute.

What it opens is a lease (``flows/lease.py``); a ticket is never the address of a player, since
players seek long after a minute. Source: contract.md section 7, ui.md section 8.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from callreel.access.policy import Action, scope_for
from callreel.db import audit, calls, tickets
from callreel.db.database import Database
from callreel.errors import BadRequest, CallreelError, NotFound
from callreel.flows.issue import NO_SUCH_RECORDING
from callreel.flows.sound import Sound
from callreel.model import Clock, Principal, Recording, RecordingId, UnixMillis

LIFETIME_MS = 60_000
MOST_USES = 10
"""More than one is for what opens links before their reader does, such as a scanner of mail."""
MOST_LABEL_CHARS = 200
TICKET_BYTES = 16


@dataclass(frozen=True, slots=True)
class TicketOrder:
    """What a link is to be."""

    label: str
    """Whom it is for."""
    uses: int = 1
    download: bool = False
    """Whether a file may be kept."""


@dataclass(frozen=True, slots=True)
class IssuedTicket:
    """A link."""

    url: str
    expires_at: UnixMillis


class Tickets:
    """Makes tickets.

    Args:
        db: Where they are kept.
        sound: Knows what can be played.
        clock: What time it is.
        base_url: Public address of the web application, without a slash at the end.
    """

    def __init__(self, db: Database, sound: Sound, clock: Clock, base_url: str) -> None:
        self._db = db
        self._sound = sound
        self._clock = clock
        self._base_url = base_url

    def issue(
        self,
        principal: Principal,
        recording_id: RecordingId,
        order: TicketOrder,
        address: str | None,
    ) -> IssuedTicket:
        """A link to a recording.

        Raises:
            BadRequest: The label is empty, too long or not printable, or the uses are out of range.
            NotFound: No such recording, or not within this user's hearing.
            NotReady, RecordingDeleted, Unplayable, Unavailable: as ``Sound.require_servable``.
        """
        label = order.label.strip()
        if not 0 < len(label) <= MOST_LABEL_CHARS or not label.isprintable():
            raise BadRequest(
                f"label: whom the link is for, 1 to {MOST_LABEL_CHARS} printable characters."
            )
        if not 1 <= order.uses <= MOST_USES:
            raise BadRequest(f"uses: must be from 1 to {MOST_USES}.")
        with self._db.read() as conn:
            scope = scope_for(principal, Action.HEAR)
            recording = calls.find_recording(conn, scope, recording_id)
        if recording is None:
            raise NotFound(NO_SUCH_RECORDING)
        secret = secrets.token_urlsafe(TICKET_BYTES)
        now = self._clock()
        ticket = tickets.Ticket(
            id=hashed(secret),
            recording_id=recording.id,
            web_user_id=principal.web_user_id,
            label=label,
            download=order.download,
            uses_left=order.uses,
            expires_at=UnixMillis(now + LIFETIME_MS),
        )
        try:
            self._sound.require_servable(recording)
        except CallreelError as refusal:
            with self._db.write() as conn:
                entry = self._entry(principal, recording, ticket, refusal.code, address)
                audit.append(conn, entry)
            raise
        with self._db.write() as conn:
            tickets.add(conn, ticket, now)
            audit.append(conn, self._entry(principal, recording, ticket, "allowed", address))
        return IssuedTicket(f"{self._base_url}/p/{secret}", ticket.expires_at)

    def _entry(
        self,
        principal: Principal,
        recording: Recording,
        ticket: tickets.Ticket,
        decision: str,
        address: str | None,
    ) -> audit.AuditEntry:
        return audit.AuditEntry(
            at=self._clock(),
            actor=principal.username,
            action="ticket.issue",
            object_id=recording.id,
            decision=decision,
            detail={
                "ticket": name_of(ticket),
                "label": ticket.label,
                "uses": ticket.uses_left,
                "download": ticket.download,
                "mask_revision": recording.mask_revision,
                "via": principal.via,
            },
            address=address,
        )


def hashed(secret: str) -> str:
    """What is kept of a ticket or of a lease."""
    # 128 random bits: one fast hash is enough.
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def name_of(ticket: tickets.Ticket) -> str:
    """Tells tickets apart in the audit log, and opens nothing."""
    return ticket.id[:16]
