"""Who may hear a recording may see its peaks: of what is heard, of one mask revision."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from callreel.audio.virtual import VirtualFile
from callreel.errors import MaskChanged, NotFound, Unavailable
from callreel.flows.peaks import TRIES, Peaks, SeenPeaks, Stretch
from callreel.flows.sound import Sound
from callreel.flows.tidy import Tidy
from callreel.model import Party, Principal, Recording, RecordingId, Role, Scope, Span
from tests.flows.house import SOUND_S, House, samples

WHOLE = Stretch(points=4000)


def look(house: House, who: Principal, recording: str, wanted: Stretch = WHOLE) -> SeenPeaks:
    """The peaks, as the web application asks for them."""
    return house.peaks.look(who, RecordingId(recording), wanted)


def mark(house: House, recording: str, span: Span) -> None:
    """A span by hand."""
    by = house.principal("u1", "ann", Role.SUPERVISOR)
    house.masking.add(by, RecordingId(recording), span, "card", address=None)


def kept(tmp_path: Path) -> list[str]:
    """What lies in the cache."""
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_they_are_those_of_what_is_heard(house: House) -> None:
    """The same samples that a token gives, masked as those are."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()
    mark(house, recording, Span(1.001, 2.5))
    mark(house, recording, Span(4, 5.0002, Party.RIGHT))
    seen = look(house, crm, recording)
    heard = samples(house.hear(house.ask(crm, recording))).astype(np.int32)
    windows = [heard[begin : begin + 256] for begin in range(0, len(heard), 256)]
    lowest = np.array([np.trunc(each.min(axis=0) / 256) for each in windows])
    highest = np.array([np.trunc(each.max(axis=0) / 256) for each in windows])
    assert (seen.points.lowest == lowest).all()
    assert (seen.points.highest == highest).all()
    issued = house.ask(crm, recording)
    assert seen.masked_spans == issued.masked_spans
    assert (seen.mask_revision, seen.facts.duration_s) == (issued.mask_revision, SOUND_S)


def test_what_is_not_yours_is_not_drawn(house: House) -> None:
    """Out of reach, an auditor, and a recording that is not there look the same; nobody's render
    is made.
    """
    recording = house.take("a", extension="2104", start_s=0)
    refusals = set()
    for who, wanted in (
        (house.user("far", reach=Scope(site_ids=frozenset({"elsewhere"}))), recording),
        (house.user("auditor", Role.AUDITOR), recording),
        (house.user(), "r" + "a" * 26),
    ):
        with pytest.raises(NotFound) as refused:
            look(house, who, wanted)
        refusals.add((refused.value.code, refused.value.message))
    assert refusals == {("not_found", "There is no such recording.")}
    assert kept(house.folder.parent) == []


def test_they_are_made_once_for_each_mask_revision(house: House, tmp_path: Path) -> None:
    """Whoever asks and for whatever stretch; a new mask has new ones and another tag, and those of
    before are erased by the next round (T19).
    """
    recording = house.take("a", extension="2104", start_s=0)
    tidy = Tidy(house.db, house.cache, house.sound, lambda: house.now)
    first = look(house, house.user(), recording)
    (name,) = kept(tmp_path)
    made = (tmp_path / "cache" / name).stat().st_ino
    again = look(house, house.user("ann", Role.SUPERVISOR), recording, Stretch(3.0, 4.0, 10))
    assert (again.etag, again.mask_revision) == (first.etag, first.mask_revision)
    assert kept(tmp_path) == [name]
    assert (tmp_path / "cache" / name).stat().st_ino == made
    mark(house, recording, Span(3, 4))
    masked = look(house, house.principal("u2", "ben"), recording)
    assert masked.mask_revision > first.mask_revision
    assert masked.etag != first.etag
    assert masked.points.highest[100:120].max() < first.points.highest[100:120].min()
    assert len(kept(tmp_path)) == 2
    tidy.once()
    assert kept(tmp_path) == []
    assert look(house, house.principal("u2", "ben"), recording).etag == masked.etag


def test_another_fill_has_other_peaks(house: House) -> None:
    """The fill of a site is drawn as it is heard."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()
    mark(house, recording, Span(3, 4))
    tone = look(house, crm, recording)
    with house.db.write() as conn:
        conn.exec_driver_sql("UPDATE sites SET fill_kind = 'silence'")
    silence = look(house, crm, recording)
    assert silence.etag != tone.etag
    assert tone.points.highest[110].tolist() == [12, 12]
    assert silence.points.highest[110].tolist() == [0, 0]


class Meddling(Sound):
    """Something happens while peaks are looked at, after they were made."""

    def __init__(self, house: House, happens: Callable[[int], None]) -> None:
        real = house.peaks._sound
        for name, value in vars(real).items():
            setattr(self, name, value)
        self._happens = happens
        self.opened: list[int] = []

    def open_peaks(self, recording: Recording) -> VirtualFile:
        """As ``Sound.open_peaks``."""
        file = super().open_peaks(recording)
        self.opened.append(recording.mask_revision)
        self._happens(len(self.opened))
        return file


def meddled(house: House, happens: Callable[[int], None]) -> tuple[Peaks, Meddling]:
    """The flow over such a sound."""
    sound = Meddling(house, happens)
    return Peaks(house.db, sound, house.cache.forget), sound


def test_a_mask_that_comes_while_they_are_made_is_in_them(house: House, tmp_path: Path) -> None:
    """They are made again, and what was made of the old mask is not left behind."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()

    def once(count: int) -> None:
        if count == 1:
            mark(house, recording, Span(3, 4))

    peaks, sound = meddled(house, once)
    seen = peaks.look(crm, RecordingId(recording), WHOLE)
    assert len(sound.opened) == 2
    assert seen.mask_revision == house.ask(crm, recording).mask_revision == max(sound.opened)
    assert seen.masked_spans == (Span(3, 4),)
    assert seen.points.highest[100:120].max() == 12
    assert len(kept(tmp_path)) == 1


def test_masks_that_change_all_the_time_end_the_answer(house: House, tmp_path: Path) -> None:
    """503 with the time to wait, and nothing of the old masks is kept."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()
    peaks, sound = meddled(house, lambda count: mark(house, recording, Span(count, count + 0.5)))
    with pytest.raises(MaskChanged) as refused:
        peaks.look(crm, RecordingId(recording), WHOLE)
    assert refused.value.retry_after_s
    assert len(sound.opened) == TRIES
    assert kept(tmp_path) == []


def test_a_right_that_is_withdrawn_meanwhile_counts(house: House) -> None:
    """What is answered is asked for within the scope of the moment."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()

    def moved(_: int) -> None:
        with house.db.write() as conn:
            conn.exec_driver_sql("UPDATE call_records SET site_id = 'elsewhere'")

    near = dataclasses.replace(crm, reach=Scope(site_ids=frozenset({"3"})))
    look(house, near, recording)
    peaks, _ = meddled(house, moved)
    with pytest.raises(NotFound):
        peaks.look(near, RecordingId(recording), WHOLE)


def test_a_store_that_is_away_is_told_and_tried_again(house: House, tmp_path: Path) -> None:
    """503; what failed is not kept."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()
    (stored,) = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    hidden = stored.rename(tmp_path / "hidden")
    with pytest.raises(Unavailable):
        look(house, crm, recording)
    hidden.rename(stored)
    assert look(house, crm, recording).points.end == SOUND_S * 8000
