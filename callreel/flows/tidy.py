"""What nobody may use any more is removed: renders, tokens, sessions, links, kept answers.

Nothing depends on it for safety: the key of a render names its mask revision, and tokens expire.
"""

from __future__ import annotations

from callreel.audio.rendered import RenderCache
from callreel.db import calls, changes, idempotency, leases, ongoing, sessions, tickets, tokens
from callreel.db.database import Database
from callreel.flows.sound import Sound
from callreel.model import Clock, RecordingId, Scope, UnixMillis

_EVERYTHING = Scope(everything=True)
GRACE_MS = 3_600_000
"""How long a used token is remembered after its expiry; far more than clocks differ."""
REPEATS_MS = 8 * 86_400_000
"""How long an Idempotency-Key is remembered; longer than a late signal is taken."""
TICKETS_MS = 86_400_000
"""How long an integrator's link is remembered: who opens an old one is told what it was."""


class Tidy:
    """Removes, a round at a time.

    It begins with an empty cache: masks may have changed while nobody ran.

    Args:
        db: What it tidies.
        cache: Of masked renders.
        sound: Knows what of it is out of date.
        clock: What time it is.
        ongoing_ms: How long a call in progress is kept without any news of it.

    Raises:
        Unavailable: The database is away.
    """

    def __init__(
        self,
        db: Database,
        cache: RenderCache,
        sound: Sound,
        clock: Clock,
        *,
        ongoing_ms: int = ongoing.AGE_MS,
    ) -> None:
        self._db = db
        self._cache = cache
        self._sound = sound
        self._clock = clock
        self._ongoing_ms = ongoing_ms
        with db.read() as conn:
            self._place = changes.newest(conn)
        cache.clear()

    def once(self) -> None:
        """One round.

        Raises:
            Unavailable: The database is away; the next round does it.
        """
        with self._db.read() as conn:
            changed, place = changes.masks_since(conn, self._place)
            found = {
                each: calls.find_recording(conn, _EVERYTHING, RecordingId(each)) for each in changed
            }
        for recording_id, recording in found.items():
            if recording is None:
                self._cache.forget(recording_id)
            else:
                self._sound.forget_outdated(recording)
        self._place = place
        with self._db.write() as conn:
            tokens.forget_expired(conn, UnixMillis(self._clock() - GRACE_MS))
            idempotency.forget_before(conn, UnixMillis(self._clock() - REPEATS_MS))
            sessions.forget_expired(conn, self._clock())
            tickets.forget_expired(conn, UnixMillis(self._clock() - TICKETS_MS))
            leases.forget_ended(conn, self._clock())
            ongoing.forget_before(conn, UnixMillis(self._clock() - self._ongoing_ms))
