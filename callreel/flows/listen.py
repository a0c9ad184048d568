"""Somebody who signed in listens: every piece of sound is asked for and authorised anew.

Source: contract.md section 7, ui.md section 8. No token is ever the address of a player.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Sequence

from callreel.access.policy import Action, scope_for
from callreel.db import audit, calls, playbacks, sessions
from callreel.db.database import Database
from callreel.errors import (
    BadRequest,
    CallreelError,
    Forbidden,
    Gone,
    MaskChanged,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from callreel.flows.delivery import Delivery
from callreel.flows.sessions import ENDED, SignedIn
from callreel.flows.sound import Sound
from callreel.model import AudioSpec, CallId, Clock, Principal, Recording

SPEC = AudioSpec("wav")
"""Exact in length, and an offset is a sample: a player seeks in it without asking twice."""
NOT_YOURS = "There is no such call with a recording, or it is not yours to play."
_SITTING = re.compile(r"p[0-9a-z]{16,32}")
_MOST_STRETCHES = 200
_MOST_S = 1e6


class _Seat:
    """The place of somebody who signed in and listens."""

    def __init__(
        self,
        listening: Listening,
        signed_in: SignedIn,
        sitting: playbacks.Playback,
    ) -> None:
        self._listening = listening
        self._signed_in = signed_in
        self._sitting = sitting

    def require_open(self, recording: Recording) -> None:
        self._listening.require_open(self._signed_in, recording)

    def started(self, recording: Recording) -> None:
        self._listening.record_start(self._signed_in, self._sitting, recording)

    def ended(self, recording: Recording, bytes_sent: int) -> None:  # noqa: ARG002  # as ``Door``
        self._listening.give_back()


class Listening:
    """Opens sound for the player.

    Args:
        db: Where calls, sessions and what was heard are kept.
        sound: Makes what is served.
        clock: What time it is.
        max_streams: How many pieces are sent at once.
    """

    def __init__(self, db: Database, sound: Sound, clock: Clock, max_streams: int = 256) -> None:
        self._db = db
        self._sound = sound
        self._clock = clock
        self._slots = threading.BoundedSemaphore(max_streams)

    def open(
        self,
        signed_in: SignedIn,
        call_id: CallId,
        mask_revision: int,
        sitting: str,
        *,
        head: bool,
        address: str | None,
    ) -> Delivery:
        """The sound of a call at a mask revision, ready to be sent.

        Args:
            signed_in: Who asks.
            call_id: Of the call.
            mask_revision: That the page was made with.
            sitting: The page's name of this sitting at the player.
            head: No sound is wanted.
            address: Where from.

        Raises:
            NotFound: No such call or recording, or not within this user's hearing.
            BadRequest: The name of the sitting is none.
            Gone: The masks are others now; the page must be asked for again.
            RecordingDeleted, NotReady, Unplayable, Unavailable: as ``Sound.open``.
        """
        recording = self.recording_of(signed_in.principal, call_id)
        if recording.mask_revision != mask_revision:
            raise Gone("The masks of this recording have changed; open the call again.")
        if _SITTING.fullmatch(sitting) is None:
            raise BadRequest("sitting: not one that a page of this server named.")
        now = self._clock()
        seat = _Seat(
            self,
            signed_in,
            playbacks.Playback(
                id=sitting,
                recording_id=recording.id,
                call_id=call_id,
                web_user_id=signed_in.principal.web_user_id,
                username=signed_in.principal.username,
                label=None,
                mask_revision=recording.mask_revision,
                address=address,
                started_at=now,
                heard_at=now,
                speed=1.0,
                heard=(),
            ),
        )
        if head:
            size = self._sound.known_size(recording, SPEC)
            etag = self._sound.etag(recording, SPEC)
            return Delivery(seat, recording, SPEC, etag, None, size)
        if not self._slots.acquire(blocking=False):
            raise Unavailable("Too many recordings are being sent; try again.", retry_after_s=2)
        try:
            sound = self._sound.open(recording, SPEC)
        except BaseException:
            self._slots.release()
            raise
        return Delivery(seat, recording, SPEC, sound.etag, sound, sound.file.size)

    def recording_of(self, principal: Principal, call_id: CallId) -> Recording:
        """The recording of a call.

        Raises:
            NotFound: No such call or recording, or not within this user's hearing.
        """
        scope = scope_for(principal, Action.HEAR)
        with self._db.read() as conn:
            call = calls.find_call(conn, scope, call_id)
            if call is None or call.recording_id is None:
                raise NotFound(NOT_YOURS)
            recording = calls.find_recording(conn, scope, call.recording_id)
        if recording is None:
            raise NotFound(NOT_YOURS)
        return recording

    def require_open(self, signed_in: SignedIn, recording: Recording) -> None:
        """As ``Door.require_open``: the session lives, the user may still, the mask is the same."""
        with self._db.read() as conn:
            session = sessions.find(conn, signed_in.session_id, self._clock())
            if session is None:
                raise Unauthenticated(ENDED)
            if session.user.reach != signed_in.principal.reach:
                raise Forbidden("What you may hear has changed; open the call again.")
            if calls.mask_revision(conn, recording.id) != recording.mask_revision:
                raise MaskChanged("A mask of this recording has changed; open the call again.")

    def changed(self, deliveries: Collection[Delivery]) -> list[Delivery]:
        """Those of some deliveries that may not go on.

        Raises:
            Unavailable: The database is away; none of them may go on.
        """
        return [each for each in deliveries if _is_shut(each.require_open)]

    def record_start(
        self, signed_in: SignedIn, sitting: playbacks.Playback, recording: Recording
    ) -> None:
        """Write down that a sitting began, once for all of its pieces.

        Raises:
            BadRequest: The name of the sitting belongs to somebody else.
        """
        with self._db.read() as conn:
            known = playbacks.owner(conn, sitting.id)
        if known is None:
            with self._db.write() as conn:
                if playbacks.begin(conn, sitting):
                    audit.append(conn, self._entry(signed_in, sitting, recording))
        elif known != (sitting.web_user_id, sitting.recording_id):
            raise BadRequest("sitting: it belongs to another player.")

    def heard(
        self,
        signed_in: SignedIn,
        sitting: str,
        stretches: Sequence[playbacks.Stretch],
        speed: float,
    ) -> None:
        """Add what a player says that it played.

        Raises:
            BadRequest: No such sitting of this user, or stretches that cannot be.
        """
        if len(stretches) > _MOST_STRETCHES or not all(
            0 <= start <= end <= _MOST_S for start, end in stretches
        ):
            raise BadRequest("heard: must be pairs of seconds, each from 0 on, in order.")
        if not 0 < speed <= 16:
            raise BadRequest("speed: must be more than 0 and at most 16.")
        with self._db.write() as conn:
            user_id = signed_in.principal.web_user_id
            known = playbacks.add_heard(conn, sitting, user_id, stretches, speed, self._clock())
        if not known:
            raise BadRequest("sitting: nothing was played under this name.")

    def give_back(self) -> None:
        """Give a slot back."""
        self._slots.release()

    def _entry(
        self, signed_in: SignedIn, sitting: playbacks.Playback, recording: Recording
    ) -> audit.AuditEntry:
        return audit.AuditEntry(
            at=self._clock(),
            actor=signed_in.principal.web_user_id,
            action="sound.start",
            object_id=recording.id,
            decision="allowed",
            detail={
                "door": "player",
                "sitting": sitting.id,
                "format": SPEC.format,
                "channel": SPEC.channels.value,
                "mask_revision": recording.mask_revision,
            },
            address=sitting.address,
        )


def _is_shut(require_open: Callable[[], None]) -> bool:
    try:
        require_open()
    except Unavailable as error:
        # MaskChanged is one of these; with the database away nothing is known, and all must end.
        if not isinstance(error, MaskChanged):
            raise
        return True
    except CallreelError:
        return True
    return False
