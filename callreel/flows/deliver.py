"""Sound is asked for with a token: verify, find, open, stream, and stop when a mask arrives.

Source: contract.md section 3.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping

from callreel.access.keys import KeyRing
from callreel.access.policy import Action, scope_for
from callreel.access.tokens import verify
from callreel.db import audit, calls, tokens
from callreel.db.database import Database
from callreel.db.finding import Finder
from callreel.db.journal import Journal
from callreel.errors import MaskChanged, TokenRefused, TokenUsed, Unavailable
from callreel.flows.delivery import ANSWER_BYTES, Delivery, open_delivery
from callreel.flows.sound import Sound
from callreel.flows.streams import Streams
from callreel.model import Clock, Grant, Principal, Recording

USED = "This address was good for one use, and was used."


class _TokenDoor:
    """What a token grants."""

    def __init__(self, deliver: Deliver, grant: Grant, address: str | None) -> None:
        self._deliver = deliver
        self._grant = grant
        self._address = address
        self._answer = secrets.token_hex(ANSWER_BYTES)

    def require_open(self, recording: Recording) -> None:
        self._deliver.require_unchanged(recording)

    def started(self, recording: Recording) -> None:
        self._deliver.record_start(self._grant, recording, self._address, {"answer": self._answer})

    def ended(self, recording: Recording, start: int, bytes_sent: int) -> None:
        detail = {"answer": self._answer, "start": start, "bytes_sent": bytes_sent}
        self._deliver.record_end(self._grant, recording, self._address, detail)


class Deliver:
    """Opens what tokens grant."""

    def __init__(
        self,
        db: Database,
        keys: KeyRing,
        sound: Sound,
        streams: Streams,
        clock: Clock,
        *,
        voicelocations: Collection[str] = (),
        on_audit_failure: Callable[[Exception], None],
    ) -> None:
        self._db = db
        self._journal = Journal(db)
        self._finder = Finder(db)
        self._keys = keys
        self._sound = sound
        self._clock = clock
        self._streams = streams
        self._voicelocations = frozenset(voicelocations)
        self._on_audit_failure = on_audit_failure

    def open(self, token: str, *, head: bool, address: str | None) -> Delivery:
        """What a token grants, ready to be sent.

        Raises:
            TokenRefused: Forged, altered, from the future, for another node; the user is disabled
                or may not hear this any more.
            TokenExpired, TokenUsed, RecordingDeleted: contract.md 3.2, 410.
            NotReady, Unplayable, Unavailable: as ``Sound.open``; also when this node knows an older
                mask revision than the token.
        """
        grant = verify(token, self._keys, self._clock())
        if self._voicelocations and grant.voicelocation not in self._voicelocations:
            raise TokenRefused("for another node")
        recording = self._find(grant)
        if recording.mask_revision < grant.mask_revision:
            raise Unavailable(
                "This node does not know the newest masks yet.",
                recording_id=recording.id,
                why="older mask revision than the token",
            )
        door = _TokenDoor(self, grant, address)
        return open_delivery(
            door, self._sound, self._streams, grant.web_user_id, recording, grant.spec, head=head
        )

    def _find(self, grant: Grant) -> Recording:
        user = self._finder.user(grant.web_user_id)
        if user is None or user.disabled:
            raise TokenRefused("user disabled")
        principal = Principal(user.id, user.username, user.role, user.reach, "token")
        recording = self._finder.recording(scope_for(principal, Action.HEAR), grant.recording_id)
        if recording is None or recording.voicelocation != grant.voicelocation:
            raise TokenRefused("not within the user's hearing any more")
        if grant.single_use:
            with self._db.read() as conn:
                if tokens.is_burned(conn, grant.token_id):
                    raise TokenUsed(USED)
        return recording

    def require_unchanged(self, recording: Recording) -> None:
        """Raise MaskChanged when the mask is not the one that ``recording`` was read with."""
        if self._finder.mask_revision(recording.id) != recording.mask_revision:
            raise MaskChanged("A mask of this recording has changed; fetch it again.")

    def changed(self, deliveries: Collection[Delivery]) -> list[Delivery]:
        """Those of some deliveries whose mask is not the one that they were opened with.

        Raises:
            Unavailable: The database is away; none of them may go on.
        """
        with self._db.read() as conn:
            revisions = calls.mask_revisions(conn, {each.recording_id for each in deliveries})
        return [
            each for each in deliveries if revisions.get(each.recording_id) != each.mask_revision
        ]

    def record_start(
        self, grant: Grant, recording: Recording, address: str | None, detail: Mapping[str, object]
    ) -> None:
        """Burn a single-use token and write down that listening began, in one transaction."""
        entry = self._entry("sound.start", grant, recording, address, detail)
        if not grant.single_use:
            self._journal.add(entry)
            return
        with self._db.write() as conn:
            if not tokens.burn(conn, grant.token_id, grant.expires_at):
                raise TokenUsed(USED)
            audit.append(conn, entry)

    def record_end(
        self, grant: Grant, recording: Recording, address: str | None, detail: Mapping[str, object]
    ) -> None:
        """Write down how much was sent.

        The sound has left: a database that is away now is told to the log, not to the listener.
        """
        try:
            self._journal.add(self._entry("sound.end", grant, recording, address, detail))
        except Unavailable as error:
            self._on_audit_failure(error)

    def _entry(
        self,
        action: str,
        grant: Grant,
        recording: Recording,
        address: str | None,
        detail: Mapping[str, object],
    ) -> audit.AuditEntry:
        return audit.AuditEntry(
            at=self._clock(),
            actor=grant.web_user_id,
            action=action,
            object_id=recording.id,
            decision="allowed",
            detail={
                "token_id": grant.token_id,
                "format": grant.spec.format,
                "channel": grant.spec.channels.value,
                "mask_revision": recording.mask_revision,
                **detail,
            },
            address=address,
        )
