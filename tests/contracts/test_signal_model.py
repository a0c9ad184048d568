"""Signals in any order against an oracle that colours a line of time (T22; must-show 3).

The oracle knows no pairs and no rows: it walks along the signals of each user and paints what must
not be heard on an array of milliseconds, then compares with what the database masks.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from callreel.db import directory, signals
from callreel.db.database import Database, open_database
from callreel.model import UnixMillis
from callreel.spans import REPEAT_WINDOW_S
from tests.contracts.records import (
    ALL,
    NOW,
    SEAL,
    CallPlan,
    found_recording,
    write_call,
)
from tests.counts import Shown, repeated

EXTENSIONS = ("2104", "2105")
SOUND_MS = 60_000
"""Every recording of the helpers lasts a minute."""
LAST_S = 200


@dataclass
class Painted:
    """What the oracle knows: legs of recordings, and signals of users."""

    legs: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    """Recording to (extension, start in ms, length in ms)."""
    heard: dict[str, set[tuple[int, bool]]] = field(default_factory=dict)
    """Extension to (moment in ms, on)."""

    def line(self, recording: str, pad_ms: int, longest_ms: int | None) -> np.ndarray:
        """A minute in milliseconds, true where nothing may be heard."""
        legs = self.legs[recording]
        begin = min(start for _, start, _ in legs)
        # Of a sound that is shorter than its calls nobody knows when within them it began.
        known_ms = max(start + length for _, start, length in legs) - begin
        before_ms = pad_ms + max(0, known_ms - SOUND_MS)
        # Of one that is longer by more than two seconds, how many calls were before these.
        behind_ms = pad_ms + (SOUND_MS - known_ms if SOUND_MS - known_ms > 2000 else 0)
        line = np.zeros(SOUND_MS, bool)
        for extension in EXTENSIONS:
            times = sorted(
                {
                    (moment - begin, not on)
                    for moment, on in self.heard.get(extension, ())
                    if any(
                        who == extension
                        and start <= moment
                        and (moment < start + length + 1 or moment < begin + SOUND_MS + 1)
                        for who, start, length in legs
                    )
                }
            )
            muted: list[int] = []
            quiet_until = None
            for moment, is_off in times:
                if not is_off:
                    muted.append(moment)
                    continue
                if muted:
                    paint(line, muted[0] - before_ms, moment + behind_ms)
                elif quiet_until is None:
                    paint(line, 0, moment + behind_ms)
                elif moment - quiet_until > REPEAT_WINDOW_S * 1000:
                    paint(line, quiet_until - before_ms, moment + behind_ms)
                muted, quiet_until = [], moment
            for since in muted:
                end = SOUND_MS if longest_ms is None else since + longest_ms + behind_ms
                paint(line, since - before_ms, end)
        return line


def paint(line: np.ndarray, start_ms: int, end_ms: int) -> None:
    """Colour a stretch, as far as it lies on the line."""
    line[max(0, start_ms) : max(0, end_ms)] = True


class SignalsInAnyOrder(RuleBasedStateMachine):
    """Calls, legs and signals arrive; after each step the masks are what the oracle painted."""

    shown: Shown

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database: Database = open_database(f"sqlite:///{Path(self.folder.name) / 'm.db'}")
        self.database.migrate()
        self.painted = Painted()
        self.calls = 0
        self.pad_ms, self.longest_ms = 500, None

    @initialize(pad_ms=st.sampled_from([0, 500, 1500]), longest=st.sampled_from([None, 7_000]))
    def settings(self, pad_ms: int, longest: int | None) -> None:
        """A site with settings of its own, whose users the directory knows."""
        self.pad_ms, self.longest_ms = pad_ms, longest
        with self.database.write() as conn:
            site = directory.ensure_site(conn, "s1")
            directory.set_site(
                conn,
                replace(site, pad_s=pad_ms / 1000, max_span_s=longest and longest / 1000),
            )
            for extension in EXTENSIONS:
                directory.ensure_user(conn, "s1", extension)

    @rule(
        start_s=st.integers(0, 100),
        length_s=st.integers(1, 60),
        extension=st.sampled_from(EXTENSIONS),
    )
    def call(self, start_s: int, length_s: int, extension: str) -> None:
        """A call comes with a recording of its own."""
        self.leg(f"r{self.calls}", start_s, length_s, extension)

    @precondition(lambda self: self.painted.legs)
    @rule(data=st.data(), length_s=st.integers(1, 60), extension=st.sampled_from(EXTENSIONS))
    def transfer(self, data: st.DataObject, length_s: int, extension: str) -> None:
        """Another leg of a recording comes, maybe one that began earlier."""
        recording = data.draw(st.sampled_from(sorted(self.painted.legs)))
        start = self.painted.legs[recording][0][1] // 1000
        later = data.draw(st.integers(max(0, start - 10), start + 50))
        self.leg(recording, later, length_s, extension)

    def leg(self, recording: str, start_s: int, length_s: int, extension: str) -> None:
        """Write it, and tell the oracle."""
        with self.database.write() as conn:
            write_call(
                conn,
                CallPlan(
                    f"c{self.calls}",
                    recording=recording,
                    at_s=start_s,
                    duration_s=length_s,
                    extension=extension,
                ),
            )
        self.calls += 1
        leg = (extension, start_s * 1000, length_s * 1000)
        self.painted.legs.setdefault(recording, []).append(leg)
        self.shown.one("steps of calls and signals against the oracle")

    @rule(
        at_ms=st.integers(0, LAST_S * 1000),
        on=st.booleans(),
        extension=st.sampled_from(EXTENSIONS),
    )
    def signal(self, at_ms: int, on: bool, extension: str) -> None:
        """A signal comes, long after its time or before its call."""
        self.send(at_ms, on, extension)

    @precondition(lambda self: self.painted.legs)
    @rule(data=st.data(), on=st.booleans())
    def signal_within(self, data: st.DataObject, on: bool) -> None:
        """One within a call that is there, so that most mean something."""
        recording = data.draw(st.sampled_from(sorted(self.painted.legs)))
        extension, start, length = data.draw(st.sampled_from(self.painted.legs[recording]))
        self.send(start + data.draw(st.integers(0, length)), on, extension)

    @precondition(lambda self: any(self.painted.heard.values()))
    @rule(data=st.data(), after_ms=st.integers(0, 4_000))
    def repeat(self, data: st.DataObject, after_ms: int) -> None:
        """A signal again, at the same moment or a little later."""
        extension = data.draw(st.sampled_from(sorted(self.painted.heard)))
        at_ms, on = data.draw(st.sampled_from(sorted(self.painted.heard[extension])))
        self.send(at_ms + after_ms, on, extension)

    def send(self, at_ms: int, on: bool, extension: str) -> None:
        """Store it, and tell the oracle."""
        moment = UnixMillis(NOW + at_ms)
        with self.database.write() as conn:
            targets = signals.object_ids(conn, ALL, "user", extension, None)
            new = signals.NewSignal(moment, moment, on, "web")
            signals.take_signal(conn, targets, new, SEAL)
        self.painted.heard.setdefault(extension, set()).add((at_ms, on))
        self.shown.one("steps of calls and signals against the oracle")

    @invariant()
    def masks_are_what_the_oracle_painted(self) -> None:
        """To the millisecond, with the seal that fits."""
        for recording in self.painted.legs:
            line = np.zeros(SOUND_MS, bool)
            for span in found_recording(self.database, recording).spans:
                end = SOUND_MS if np.isinf(span.end_s) else round(span.end_s * 1000)
                paint(line, round(span.start_s * 1000), end)
            expected = self.painted.line(recording, self.pad_ms, self.longest_ms)
            assert (line == expected).all(), recording

    def teardown(self) -> None:
        """Give the folder back."""
        self.database.close()
        self.folder.cleanup()


def test_signals_in_any_order_mask_what_an_oracle_paints(shown: Shown) -> None:
    """Overlap, repeats, transfers, late calls, signals before their calls, site settings."""

    class Counted(SignalsInAnyOrder):
        """With somebody who counts."""

    Counted.shown = shown
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # Hypothesis has no type for it
        Counted, settings=repeated(named=400, usual=12, steps=40)
    )
