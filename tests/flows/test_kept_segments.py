"""Segments that are kept follow the masks of their recordings."""

from __future__ import annotations

from pathlib import Path

from callreel.db import calls
from callreel.flows.tidy import Tidy
from callreel.model import AudioSpec, Recording, RecordingId, Scope, Span
from tests.flows.house import House
from tests.flows.test_peaks import kept, mark


def stored(house: House, recording: str) -> Recording:
    """A recording as it is now."""
    with house.db.read() as conn:
        found = calls.find_recording(conn, Scope(everything=True), RecordingId(recording))
    assert found is not None
    return found


def read(house: House, recording: str) -> bytes:
    """All of it as MP3."""
    opened = house.sound.open(stored(house, recording), AudioSpec("mp3"))
    try:
        return b"".join(part.data for part in opened.file.parts(0, opened.file.size))
    finally:
        opened.close()


def test_a_new_span_erases_what_it_touches_and_nothing_else(house: House, tmp_path: Path) -> None:
    """Within a round (T19): what is masked now is in no file; the rest need not be made again."""
    recording = house.take("a", extension="2104", start_s=0, recording="R")
    other = house.take("b", extension="2104", start_s=0, recording="S")
    tidy = Tidy(house.db, house.cache, house.sound, lambda: house.now)
    clear = read(house, recording)
    before = {each.name: each.read_bytes() for each in (tmp_path / "cache").iterdir()}
    theirs = read(house, other)
    others = set(kept(tmp_path)) - set(before)
    mark(house, recording, Span(0.5, 2.0))
    tidy.once()
    # The first segment is the one that the span touches, and begins behind the Info frame.
    (touched,) = (name for name, data in before.items() if clear[288:5000] in data)
    assert set(kept(tmp_path)) == others | (set(before) - {touched})
    assert len(before) > 1
    assert read(house, recording) != clear
    assert read(house, other) == theirs


def test_a_recording_that_may_not_be_served_keeps_nothing(house: House, tmp_path: Path) -> None:
    """A mask that does not fit its seal: nobody knows what must not be heard."""
    recording = house.take("a", extension="2104", start_s=0)
    tidy = Tidy(house.db, house.cache, house.sound, lambda: house.now)
    read(house, recording)
    mark(house, recording, Span(0.5, 2.0))
    with house.db.write() as conn:
        conn.exec_driver_sql("UPDATE recordings SET mask_seal = 'x'")
    tidy.once()
    assert kept(tmp_path) == []
