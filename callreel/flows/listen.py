"""Somebody listens in a player: every piece of sound is asked for and authorised anew.

They signed in, or they hold the lease of an integrator's link (``flows/lease.py``); what is checked
and written down is the same. No token is ever the address of a player.

Source: contract.md section 7, ui.md section 8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from concurrent.futures import Future

from sqlalchemy import Connection

from callreel.access.policy import Action, scope_for
from callreel.audio.formats import require_available
from callreel.db import calls
from callreel.db.database import Database
from callreel.errors import (
    BadRequest,
    CallreelError,
    Gone,
    MaskChanged,
    NotFound,
    Unavailable,
)
from callreel.flows.delivery import Delivery, open_delivery
from callreel.flows.sessions import SignedIn, require_open
from callreel.flows.sittings import SPEC, Asked, Listener, Sitting, Sittings
from callreel.flows.sound import Sound
from callreel.flows.streams import Streams
from callreel.model import (
    AudioSpec,
    CallId,
    Clock,
    Principal,
    Recording,
    UnixMillis,
)
from callreel.wording import to_translate

NOT_YOURS = to_translate("There is no such call with a recording, or it is not yours to play.")
_MASKED_ANEW = to_translate("The masks of this recording have changed; open the call again.")
_SITTING = re.compile(r"p[0-9a-z]{16,32}")


class _Seat(Sitting):
    """The way out to somebody who listens, or keeps a file."""

    def __init__(self, listening: Listening, listener: Listener, asked: Asked) -> None:
        super().__init__(listener, asked)
        self._listening = listening
        self.gate = listening.gate

    def require_open(self, recording: Recording) -> None:
        try:
            self._listening.require_open(self.listener, recording)
        except MaskChanged as error:
            if self.asked.sitting is None:
                raise
            # The address of a player names a revision, so that asking again would never help.
            raise Gone(_MASKED_ANEW) from error

    def started(self, recording: Recording) -> None:
        self._listening.sittings.started(self, recording)

    def ended(self, recording: Recording, start: int, bytes_sent: int) -> Future[None]:
        return self._listening.sittings.ended(self, recording, start, bytes_sent)


class Listening:
    """Opens sound for the player.

    Args:
        db: Where calls, sessions and what was heard are kept.
        sound: Makes what is served.
        streams: The places for what is sent.
        clock: What time it is.
        on_audit_failure: Told when the end of a download could not be written down.
    """

    def __init__(
        self,
        db: Database,
        sound: Sound,
        streams: Streams,
        clock: Clock,
        *,
        on_audit_failure: Callable[[Exception], None],
    ) -> None:
        self._db = db
        self._sound = sound
        self._clock = clock
        self._streams = streams
        self.gate = db.gate
        self.sittings = Sittings(db, clock, on_audit_failure)

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
        """The sound of a call at a mask revision, for a player, ready to be sent.

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
        asked = Asked(call_id, SPEC, sitting, address)
        return self.open_piece(_listener(signed_in), recording, mask_revision, asked, head=head)

    def open_piece(
        self,
        listener: Listener,
        recording: Recording,
        mask_revision: int,
        asked: Asked,
        *,
        head: bool,
    ) -> Delivery:
        """The same, of a recording that was found for a listener.

        Raises: as ``open``, but for NotFound.
        """
        if recording.mask_revision != mask_revision:
            raise Gone(_MASKED_ANEW)
        if _SITTING.fullmatch(asked.sitting or "") is None:
            raise BadRequest(to_translate("sitting: not one that a page of this server named."))
        return self._opened(_Seat(self, listener, asked), recording, head=head)

    def open_to_keep(
        self,
        signed_in: SignedIn,
        call_id: CallId,
        spec: AudioSpec,
        *,
        head: bool,
        address: str | None,
    ) -> Delivery:
        """The sound of a call in a chosen format, as a file to keep.

        Raises:
            FormatNeedsExtra: The format's library is not installed.
            NotFound, RecordingDeleted, NotReady, Unplayable, Unavailable: as ``open``.
        """
        require_available(spec.format)
        recording = self.recording_of(signed_in.principal, call_id)
        asked = Asked(call_id, spec, None, address)
        return self.open_file(_listener(signed_in), recording, asked, head=head)

    def open_file(
        self, listener: Listener, recording: Recording, asked: Asked, *, head: bool
    ) -> Delivery:
        """The same, of a recording that was found for a listener.

        Raises: as ``open_to_keep``, but for NotFound.
        """
        require_available(asked.spec.format)
        return self._opened(_Seat(self, listener, asked), recording, head=head)

    def _opened(self, seat: _Seat, recording: Recording, *, head: bool) -> Delivery:
        return open_delivery(
            seat,
            self._sound,
            self._streams,
            seat.listener.taker,
            recording,
            seat.asked.spec,
            head=head,
            to_keep=seat.asked.sitting is None,
        )

    def servable(self, principal: Principal, call_id: CallId) -> Recording:
        """The recording of a call, where it can be played now.

        Raises:
            NotFound: as ``recording_of``.
            RecordingDeleted, NotReady, Unplayable, Unavailable: as ``Sound.require_servable``.
        """
        recording = self.recording_of(principal, call_id)
        self._sound.require_servable(recording)
        return recording

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

    def require_open(self, listener: Listener, recording: Recording) -> None:
        """As ``Door.require_open``: they may still, and the mask is the same."""
        with self._db.read() as conn:
            listener.require_open(conn, self._clock())
            if calls.mask_revision(conn, recording.id) != recording.mask_revision:
                raise MaskChanged(
                    to_translate("A mask of this recording has changed; open the call again.")
                )

    def changed(self, deliveries: Collection[Delivery]) -> list[Delivery]:
        """Those of some deliveries that may not go on.

        Raises:
            Unavailable: The database is away; none of them may go on.
        """
        return [each for each in deliveries if _is_shut(each.require_open)]


def _listener(signed_in: SignedIn) -> Listener:
    def may(conn: Connection, now: UnixMillis) -> None:
        require_open(conn, signed_in, now)

    principal = signed_in.principal
    return Listener(principal, may, principal.web_user_id, signed_in.session_id)


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
