"""Sound is asked for with a token: verify, find, open, stream, and stop when a mask arrives.

Source: contract.md section 3.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future

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

_REMEMBERED = 8192
USED = "This address was good for one use, and was used."


class _Begun:
    """Listenings whose beginning is written down, the newest: a token is good for a minute."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str | None, int], str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, begun: tuple[str, str | None, int]) -> str | None:
        """The name of a listening; None where it begins now."""
        with self._lock:
            return self._answers.get(begun)

    def add(self, begun: tuple[str, str | None, int], answer: str) -> None:
        """Its beginning is durable."""
        with self._lock:
            self._answers[begun] = answer
            if len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)


class _TokenDoor:
    """What a token grants."""

    def __init__(self, deliver: Deliver, grant: Grant, address: str | None) -> None:
        self._deliver = deliver
        self._grant = grant
        self._address = address
        self._answer = secrets.token_hex(ANSWER_BYTES)
        self.gate = deliver.gate

    def require_open(self, recording: Recording) -> None:
        self._deliver.require_unchanged(recording)

    def started(self, recording: Recording) -> None:
        self._answer = self._deliver.record_start(
            self._grant, recording, self._address, self._answer
        )

    def ended(self, recording: Recording, start: int, bytes_sent: int) -> Future[None]:
        detail = {"answer": self._answer, "start": start, "bytes_sent": bytes_sent}
        return self._deliver.record_end(self._grant, recording, self._address, detail)


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
        self._begun = _Begun()
        self.gate = db.gate

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
        self, grant: Grant, recording: Recording, address: str | None, answer: str
    ) -> str:
        """Write down that listening began, before anything leaves.

        Of a token that is used again, as players do, once for all answers to one address at one
        mask revision; what each of them sent is written down when it ends.

        Returns:
            The name that the rows about it have in common.

        Raises:
            TokenUsed: A single-use token was used before; it is burned in the same transaction.
            Unavailable: It could not be written down.
        """
        begun = (grant.token_id, address, recording.mask_revision)
        known = self._begun.get(begun)
        if known is not None:
            return known
        entry = self._entry("sound.start", grant, recording, address, {"answer": answer})
        if not grant.single_use:
            self._journal.add(entry)
            self._begun.add(begun, answer)
            return answer
        with self._db.write() as conn:
            if not tokens.burn(conn, grant.token_id, grant.expires_at):
                raise TokenUsed(USED)
            audit.append(conn, entry)
        return answer

    def record_end(
        self, grant: Grant, recording: Recording, address: str | None, detail: Mapping[str, object]
    ) -> Future[None]:
        """Write down how much was sent; done when that is durable, or failed.

        The sound has left: a database that is away now is told to the log, not to the listener.
        """
        entry = self._entry("sound.end", grant, recording, address, detail)
        return self._journal.told(entry, self._on_audit_failure)

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
