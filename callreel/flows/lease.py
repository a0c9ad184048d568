"""Somebody opens an integrator's link: its ticket is used, and a lease of the player begins.

The secret of a lease is in the browser's cookie, or in the path where a frame is given no cookie;
its hash is here. Source: ui.md section 8.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection

from callreel.access.identity import principal_of
from callreel.access.policy import Action, scope_for
from callreel.db import audit, calls, leases, listing, tickets, users
from callreel.db.database import Database
from callreel.errors import (
    CallreelError,
    Forbidden,
    NotFound,
    RecordingDeleted,
    TicketExpired,
    TicketUsed,
    Unavailable,
)
from callreel.flows.delivery import Delivery
from callreel.flows.listen import Listening
from callreel.flows.sittings import SPEC, Asked, Listener
from callreel.flows.sound import Sound
from callreel.flows.ticket import TICKET_BYTES, hashed, name_of
from callreel.model import (
    AudioSpec,
    CallId,
    Clock,
    Principal,
    Recording,
    RecordingId,
    RecordingState,
    UnixMillis,
    WebUserId,
)
from callreel.wording import to_translate

OVER = to_translate(
    "This player was closed, or its time is over. Ask for a new link where you found this one."
)
NO_SUCH_LINK = to_translate("This link is not valid. It may be too old, or not copied as a whole.")
SHORTEST_MS = 2 * 3_600_000
"""The hard end is this long after the beginning, or three times the recording, if that is more."""
SEEN_EVERY_MS = 15_000
"""How often it is written down that a lease is used; its five minutes are exact to so much."""
SECRET = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
"""How the secret of a lease, and a ticket, look."""


@dataclass(frozen=True, slots=True)
class BegunLease:
    """What a ticket was exchanged for."""

    name: str
    secret: str
    """For the browser alone."""
    lasts_s: int
    """Until the hard end."""


@dataclass(frozen=True, slots=True)
class OpenLease:
    """A lease that is good now."""

    lease: leases.Lease
    principal: Principal
    """Who asked for its ticket; whoever holds it may hear what they may hear, of one recording."""
    recording: Recording
    call_id: CallId
    """Of the first call of that recording within their hearing."""
    csrf: str
    """What the player sends with what it heard."""


class Leases:
    """Begins leases, finds them, and opens sound for them.

    Args:
        db: Where tickets and leases are kept.
        sound: Knows what can be played.
        listening: Opens sound.
        clock: What time it is.
    """

    def __init__(self, db: Database, sound: Sound, listening: Listening, clock: Clock) -> None:
        self._db = db
        self._sound = sound
        self._listening = listening
        self._clock = clock

    def begin(self, ticket: str, address: str | None) -> BegunLease:
        """Use a ticket once, and begin a lease.

        Raises:
            NotFound: There is no such ticket, or who asked for it may not hear it any more.
            TicketExpired, TicketUsed: It is too old, or was used as often as it may be.
            NotReady, RecordingDeleted, Unplayable: as ``Sound.require_servable``; nothing is used.
            Unavailable: The database is away; nothing is used.
        """
        if SECRET.fullmatch(ticket) is None:
            raise NotFound(NO_SUCH_LINK)
        with self._db.read() as conn:
            found = tickets.find(conn, hashed(ticket))
            if found is None:
                raise NotFound(NO_SUCH_LINK)
            known = _within_hearing(conn, found.web_user_id, found.recording_id)
        refusal = self._refusal(found)
        if refusal is None and known is not None:
            principal, recording = known
            lasts_s = self._sound.require_servable(recording).duration_s * 3
            lasts_ms = max(SHORTEST_MS, round(lasts_s * 1000))
            return self._begun(found, principal, recording, lasts_ms, address)
        told = refusal or NotFound(NO_SUCH_LINK)
        with self._db.write() as conn:
            audit.append(conn, self._use(found, told.code, address, {}))
        raise told

    def _refusal(self, found: tickets.Ticket) -> CallreelError | None:
        if found.uses_left <= 0:
            return TicketUsed(
                to_translate("This link was opened already. Ask for a new one where you found it.")
            )
        if self._clock() >= found.expires_at:
            return TicketExpired(
                to_translate("This link is too old. Ask for a new one where you found it.")
            )
        return None

    def _begun(
        self,
        ticket: tickets.Ticket,
        principal: Principal,
        recording: Recording,
        lasts_ms: int,
        address: str | None,
    ) -> BegunLease:
        secret, now = secrets.token_urlsafe(TICKET_BYTES), self._clock()
        lease = leases.Lease(
            id=hashed(secret),
            recording_id=recording.id,
            web_user_id=principal.web_user_id,
            role=principal.role.value,
            label=ticket.label,
            download=ticket.download,
            created_at=now,
            seen_at=now,
            ends_at=UnixMillis(now + lasts_ms),
        )
        with self._db.write() as conn:
            if tickets.use(conn, ticket.id, now):
                leases.add(conn, lease)
                detail = {"lease": lease.name, "mask_revision": recording.mask_revision}
                audit.append(conn, self._use(ticket, "allowed", address, detail))
                return BegunLease(lease.name, secret, lasts_ms // 1000)
            # Somebody was faster since it was looked at.
            told = TicketUsed(
                to_translate("This link was opened already. Ask for a new one where you found it.")
            )
            audit.append(conn, self._use(ticket, told.code, address, {}))
        raise told

    def _use(
        self,
        ticket: tickets.Ticket,
        decision: str,
        address: str | None,
        detail: dict[str, object],
    ) -> audit.AuditEntry:
        return audit.AuditEntry(
            at=self._clock(),
            actor=ticket.web_user_id,
            action="ticket.use",
            object_id=ticket.recording_id,
            decision=decision,
            detail={"ticket": name_of(ticket), "label": ticket.label, **detail},
            address=address,
        )

    def find(self, secret: str) -> OpenLease:
        """The lease of this secret; it lasts five minutes from now on.

        Raises:
            Forbidden: There is none, it is over, or who asked for it may not hear it any more.
            RecordingDeleted: Deleted by retention.
            Unavailable: The database is away.
        """
        if SECRET.fullmatch(secret) is None:
            raise Forbidden(OVER)
        now = self._clock()
        with self._db.read() as conn:
            lease, principal, recording = _open(conn, hashed(secret), now)
            scope = scope_for(principal, Action.HEAR)
            of_it = calls.calls_of(conn, scope, recording.id)
        if not of_it:
            raise Forbidden(OVER)
        if now - lease.seen_at >= SEEN_EVERY_MS:
            self._touch(lease.id, now)
        return OpenLease(lease, principal, recording, of_it[0].id, _csrf_of(secret))

    def _touch(self, lease_id: str, now: UnixMillis) -> None:
        try:
            with self._db.write() as conn:
                leases.touch(conn, lease_id, now)
        except Unavailable:
            # Who only listens may go on while nobody can write; the next request tries.
            return

    def viewed(self, held: OpenLease) -> listing.ViewedCall:
        """The call of a lease, for its page.

        Raises:
            Forbidden: It went out of the hearing of who asked for it.
        """
        with self._db.read() as conn:
            found = listing.one(conn, scope_for(held.principal, Action.HEAR), held.call_id)
        if found is None:
            raise Forbidden(OVER)
        return found

    def servable(self, held: OpenLease) -> Recording:
        """The recording of a lease, where it can be played now.

        Raises:
            RecordingDeleted, NotReady, Unplayable, Unavailable: as ``Sound.require_servable``.
        """
        self._sound.require_servable(held.recording)
        return held.recording

    def open(
        self,
        held: OpenLease,
        mask_revision: int,
        sitting: str,
        *,
        head: bool,
        address: str | None,
    ) -> Delivery:
        """The sound of a lease at a mask revision, for its player.

        Raises:
            BadRequest, Gone, RecordingDeleted, NotReady, Unplayable, Unavailable: as
                ``Listening.open``.
        """
        asked = Asked(held.call_id, SPEC, sitting, address)
        return self._listening.open_piece(
            _listener(held), held.recording, mask_revision, asked, head=head
        )

    def open_to_keep(
        self, held: OpenLease, spec: AudioSpec, *, head: bool, address: str | None
    ) -> Delivery:
        """The sound of a lease as a file.

        Raises:
            Forbidden: Its link was made for listening only.
            FormatNeedsExtra, RecordingDeleted, NotReady, Unplayable, Unavailable: as
                ``Listening.open_to_keep``.
        """
        if not held.lease.download:
            raise Forbidden(to_translate("This link is for listening; a file was not allowed."))
        asked = Asked(held.call_id, spec, None, address)
        return self._listening.open_file(_listener(held), held.recording, asked, head=head)


def _listener(held: OpenLease) -> Listener:
    def require_open(conn: Connection, now: UnixMillis) -> None:
        _open(conn, held.lease.id, now)

    label = held.lease.label
    detail = {"lease": held.lease.name, "label": label}
    name = held.lease.name
    return Listener(held.principal, require_open, name, name, "lease", label, detail)


def _open(
    conn: Connection, lease_id: str, now: UnixMillis
) -> tuple[leases.Lease, Principal, Recording]:
    """A lease with what it opens.

    Raises:
        Forbidden: It is over, or who asked for it may not hear the recording any more.
        RecordingDeleted: Deleted by retention.
    """
    lease = leases.find(conn, lease_id, now)
    if lease is None:
        raise Forbidden(OVER)
    known = _within_hearing(conn, lease.web_user_id, lease.recording_id)
    if known is None or known[0].role.value != lease.role:
        raise Forbidden(OVER)
    principal, recording = known
    if recording.state is RecordingState.DELETED:
        raise RecordingDeleted(to_translate("The recording was deleted by retention."))
    return lease, principal, recording


def _within_hearing(
    conn: Connection, web_user_id: WebUserId, recording_id: RecordingId
) -> tuple[Principal, Recording] | None:
    """A user who is let in, and a recording that they may hear; None where it is not so."""
    user = users.by_id(conn, web_user_id)
    if user is None or user.disabled:
        return None
    principal = principal_of(user, "lease")
    recording = calls.find_recording(conn, scope_for(principal, Action.HEAR), recording_id)
    return None if recording is None else (principal, recording)


def _csrf_of(secret: str) -> str:
    """The token against forged requests: known to the player of a lease and to nobody else."""
    return hmac.new(secret.encode("ascii"), b"callreel lease", hashlib.sha256).hexdigest()[:32]
