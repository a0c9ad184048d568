"""A waveform is asked for: the peaks of what may be heard, of one mask revision.

Who may hear a recording may see its peaks, and nobody else: a picture of speech tells the rhythm of
the digits that were spoken. Source: threats.md T16.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from callreel.access.policy import Action, scope_for
from callreel.audio.peaks import PEAKS, Points, read_points
from callreel.db import calls
from callreel.db.database import Database
from callreel.errors import MaskChanged, NotFound
from callreel.flows.issue import NO_SUCH_RECORDING
from callreel.flows.sound import Sound
from callreel.model import Principal, Recording, RecordingId, SourceFacts, Span
from callreel.wording import to_translate

TRIES = 3
"""How often they are looked at anew because the recording changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What of a recording somebody wants to see."""

    from_s: float = 0.0
    to_s: float = math.inf
    points: int = 1000
    """At the most."""


@dataclass(frozen=True, slots=True)
class SeenPeaks:
    """Peaks, with what is needed to draw them."""

    recording_id: RecordingId
    mask_revision: int
    facts: SourceFacts
    points: Points
    masked_spans: tuple[Span, ...]
    etag: str
    """Quoted, strong, the same for the same recording and mask."""


class Peaks:
    """Shows peaks.

    Args:
        db: Where recordings are kept.
        sound: Makes them of what is served.
        forget: Erases what was rendered of a recording.
    """

    def __init__(self, db: Database, sound: Sound, forget: Callable[[RecordingId], None]) -> None:
        self._db = db
        self._sound = sound
        self._forget = forget

    def look(self, principal: Principal, recording_id: RecordingId, wanted: Stretch) -> SeenPeaks:
        """The peaks of a stretch, all of one mask revision.

        Raises:
            NotFound: No such recording, or not within this user's hearing.
            MaskChanged: Its mask changes all the time.
            NotReady, RecordingDeleted, Unplayable, Unavailable: As ``Sound.open``.
        """
        recording = self._find(principal, recording_id)
        for _ in range(TRIES):
            seen = self._look(recording, wanted)
            now = self._find(principal, recording_id)
            if now == recording:
                return seen
            # The round that erases what is out of date may have been before they were made.
            self._forget(recording_id)
            recording = now
        raise MaskChanged(to_translate("The masks of this recording are being changed; ask again."))

    def _find(self, principal: Principal, recording_id: RecordingId) -> Recording:
        with self._db.read() as conn:
            scope = scope_for(principal, Action.HEAR)
            recording = calls.find_recording(conn, scope, recording_id)
        if recording is None:
            raise NotFound(NO_SUCH_RECORDING)
        return recording

    def _look(self, recording: Recording, wanted: Stretch) -> SeenPeaks:
        facts = self._sound.require_servable(recording)
        file = self._sound.open_peaks(recording)
        try:
            points = read_points(file, facts, wanted.from_s, wanted.to_s, wanted.points)
        finally:
            file.close()
        return SeenPeaks(
            recording_id=recording.id,
            mask_revision=recording.mask_revision,
            facts=facts,
            points=points,
            masked_spans=self._sound.shown_spans(recording, facts),
            etag=self._sound.etag(recording, PEAKS),
        )
