"""Burn-in: what was masked is gone from the disk, what is served stays as it was."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import wave
from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import text

from callreel.audio.formats import FORMATS
from callreel.audio.g711 import alaw_encode, ulaw_encode
from callreel.db import audit, burns, calls, directory, key_presses
from callreel.errors import Conflict, NotReady, Unavailable
from callreel.flows.burn import RENDERS_GONE_MS
from callreel.flows.entry import CallEntry, Result, SoundFile
from callreel.model import (
    AudioSpec,
    Party,
    RecordingId,
    Role,
    Scope,
    Span,
    UnixMillis,
)
from callreel.store.base import ObjectUnreadable
from callreel.store.local import LocalStore
from tests.flows.house import ALL, START, House

SPOKEN = Span(2.0, 4.0)


@pytest.fixture
def recording(house: House) -> RecordingId:
    """One with a masked stretch and a masked party."""
    taken = RecordingId(house.take("a", extension="2104", start_s=0))
    boss = house.user("boss", Role.COMPLIANCE)
    house.masking.add(boss, taken, SPOKEN, "card", address=None)
    house.masking.add(boss, taken, Span(7, 8, Party.LEFT), "name", address=None)
    return taken


def marker(house: House, name: str = "R") -> bytes:
    """What was said under the mask, as it lies in the file that came in."""
    with wave.open(str(house.folder / f"{name}.wav")) as file:
        file.setpos(round(SPOKEN.start_s * 8000) + 100)
        return file.readframes(64)


def lies_in(house: House, wanted: bytes) -> list[str]:
    """The files of the installation that hold some bytes."""
    root = house.folder.parent
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and house.folder not in path.parents and wanted in path.read_bytes()
    )


def outputs(house: House, recording: str) -> dict[str, bytes]:
    """Every output, as a listener gets it."""
    with house.db.read() as conn:
        known = conn.execute(text("SELECT count(*) FROM web_users WHERE username = 'ear'"))
        first = known.scalar() == 0
    listener = house.user("ear") if first else None
    if listener is None:
        with house.db.read() as conn:
            user_id = conn.execute(text("SELECT id FROM web_users WHERE username = 'ear'")).scalar()
        listener = house.principal(str(user_id), "ear")
    return {name: house.hear(house.ask(listener, recording, AudioSpec(name))) for name in FORMATS}


def burn(house: House, recording: RecordingId, **more: tuple[str, str]) -> str:
    """Burn in; what a person is told."""
    return house.burner.burn(recording, actor="command", cause="command", **more).told


def test_what_was_masked_is_gone_and_what_is_served_stays(
    house: House, recording: RecordingId
) -> None:
    """No file of the installation holds the speech; every format is the same bytes as before."""
    before = outputs(house, recording)
    assert lies_in(house, marker(house)) != []
    assert "in a minute" in burn(house, recording)
    assert lies_in(house, marker(house)) == []
    after = outputs(house, recording)
    # An Ogg page is numbered after the output's identity, which names the content version.
    assert {name for name in before if before[name] != after[name]} <= {"opus"}
    assert len(before["opus"]) == len(after["opus"])
    house.now = UnixMillis(house.now + RENDERS_GONE_MS)
    assert "nothing else is left" in burn(house, recording)
    assert "already" in burn(house, recording)
    assert [action for action, _ in house.actions(recording) if action.startswith("burn")] == [
        "burn_in.begin",
        "burn_in.swap",
        "burn_in.done",
    ]
    assert house.prover.prove(recording, actor="ann").proven


def encoded(samples: np.ndarray, codec: str) -> bytes:
    """A file of one channel at 8 kHz."""
    if codec == "pcm":
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(samples.astype("<i2").tobytes())
        return file.getvalue()
    coded = ulaw_encode(samples) if codec == "ulaw" else alaw_encode(samples)
    return bytes(coded.tobytes())


@pytest.mark.parametrize(
    ("codec", "stored"), [("pcm", "pcm_s16le"), ("ulaw", "ulaw"), ("alaw", "alaw")]
)
def test_each_encoding_is_kept(house: House, codec: str, stored: str) -> None:
    """Telephone encodings do not grow; the speech is searched for as it was encoded."""
    samples = np.random.default_rng(3).integers(-20000, 20000, (40_000, 1)).astype(np.int16)
    suffix = "wav" if codec == "pcm" else codec
    data = encoded(samples, codec)
    (house.folder / f"X.{suffix}").write_bytes(data)
    entry = CallEntry(
        datasource="3",
        source_key="x",
        origin="x",
        started_at=START,
        spans=(SPOKEN,),
        audio=SoundFile(house.folder, f"X.{suffix}"),
    )
    (taken,) = house.intake.take([entry], actor="test")
    assert taken.recording_id is not None
    spoken = data[len(data) - 40_000 * (2 if codec == "pcm" else 1) :]
    at = 16_100 * (2 if codec == "pcm" else 1)
    spoken = spoken[at : at + 64]
    before = outputs(house, taken.recording_id)
    assert lies_in(house, spoken) != []
    burn(house, taken.recording_id)
    assert lies_in(house, spoken) == []
    with house.db.read() as conn:
        found = calls.find_recording(conn, ALL, taken.recording_id)
    assert found is not None
    assert found.facts is not None
    assert (found.facts.codec, found.facts.frames) == (stored, 40_000)
    after = outputs(house, taken.recording_id)
    assert {name for name in before if before[name] != after[name]} <= {"opus"}


def test_the_file_that_was_burned_in_does_not_come_back(
    house: House, recording: RecordingId
) -> None:
    """By importing it again, for another leg, or under another name; other sound is refused."""
    burn(house, recording)
    assert house.take("a", extension="2104", start_s=0) == recording
    assert house.take("b", extension="2105", start_s=5) == recording
    assert lies_in(house, marker(house)) == []
    (house.folder / "Q.wav").write_bytes((house.folder / "R.wav").read_bytes())
    other = CallEntry(
        datasource="3",
        source_key="c",
        origin="c",
        started_at=START,
        voicefilename="Q",
        audio=SoundFile(house.folder, "Q.wav"),
    )
    (taken,) = house.intake.take([other], actor="test")
    assert (taken.result, taken.recording_id) == (Result.SKIPPED, None)
    assert taken.reason == f"its sound was masked for good as recording {recording}"
    (house.folder / "R.wav").write_bytes(encoded(np.ones((9000, 1), np.int16), "pcm"))
    again = dataclasses.replace(other, voicefilename="R", audio=SoundFile(house.folder, "R.wav"))
    (taken,) = house.intake.take([again], actor="test")
    assert taken.result is Result.SKIPPED
    assert taken.reason is not None
    assert "burned in" in taken.reason
    with house.db.read() as conn:
        found = calls.find_recording(conn, ALL, recording)
    assert found is not None
    assert found.facts is not None
    assert found.facts.frames == 80_000


def test_a_hold_stops_it_unless_two_people_say_otherwise(
    house: House, recording: RecordingId
) -> None:
    """And the audit log names them."""
    with house.db.write() as conn:
        burns.place_hold(conn, recording, by="ann", reason="a claim", now=START)
    with pytest.raises(Conflict, match="legal hold"):
        burn(house, recording)
    assert lies_in(house, marker(house)) != []
    burn(house, recording, approved_by=("ann", "bob"))
    assert lies_in(house, marker(house)) == []
    with house.db.read() as conn:
        (entry,) = [
            each
            for each in audit.entries(conn, object_id=recording)
            if each.action == "burn_in.swap"
        ]
    assert entry.detail["approved_by"] == "ann and bob"


def interrupted(house: House, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let something happen once the new sound was written and before it takes its place."""
    put = LocalStore.put
    left = [True]

    def late(self: LocalStore, source: object) -> object:
        info = put(self, source)  # type: ignore[arg-type]  # a stream
        if left:
            left.clear()
            act()
        return info

    monkeypatch.setattr(LocalStore, "put", late)


def test_a_mask_that_comes_while_it_is_written_is_burned_in_too(
    house: House, recording: RecordingId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins anew; the half-masked sound is not left behind."""

    def mask() -> None:
        boss = house.principal("u", "boss2", Role.COMPLIANCE)
        house.masking.add(boss, recording, Span(9, 9.5), "more", address=None)

    interrupted(house, monkeypatch, mask)
    burn(house, recording)
    with wave.open(str(house.folder / "R.wav")) as file:
        file.setpos(9 * 8000 + 100)
        late = file.readframes(64)
    assert lies_in(house, late) == lies_in(house, marker(house)) == []


def test_a_hold_that_comes_while_it_is_written_counts(
    house: House, recording: RecordingId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old sound stays, and nothing else does."""

    def hold() -> None:
        with house.db.write() as conn:
            burns.place_hold(conn, recording, by="ann", reason="a claim", now=START)

    stored = sorted(path for path in (house.folder.parent / "store").rglob("*") if path.is_file())
    interrupted(house, monkeypatch, hold)
    with pytest.raises(Conflict, match="legal hold"):
        burn(house, recording)
    after = sorted(path for path in (house.folder.parent / "store").rglob("*") if path.is_file())
    assert after == stored


def test_sound_that_is_not_what_it_should_be_is_never_swapped_in(
    house: House, recording: RecordingId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read back before the old is given up: here the disk changed a byte."""
    put = LocalStore.put

    def torn(self: LocalStore, source: io.BufferedReader) -> object:
        data = bytearray(source.read())
        data[-9] ^= 4
        return put(self, io.BytesIO(bytes(data)))

    monkeypatch.setattr(LocalStore, "put", torn)
    with pytest.raises(Unavailable, match="not the masked sound"):
        burn(house, recording)
    monkeypatch.undo()
    assert lies_in(house, marker(house)) != []
    burn(house, recording)
    assert lies_in(house, marker(house)) == []


def test_a_sound_that_another_recording_has_too_stays_its_own(
    house: House, recording: RecordingId
) -> None:
    """The same bytes under two names are one object; it is told that the other still has it."""
    (house.folder / "Q.wav").write_bytes((house.folder / "R.wav").read_bytes())
    other = house.take("q", extension="2105", start_s=0, recording="Q")
    burn(house, recording)
    assert lies_in(house, marker(house)) != []
    house.now = UnixMillis(house.now + RENDERS_GONE_MS)
    assert burn(house, recording) == f"its masks are burned in; its old sound is that of {other}"
    assert len(outputs(house, other)["wav"]) == len(outputs(house, str(recording))["wav"])


def test_what_is_not_ours_or_not_masked_is_left_alone(house: House) -> None:
    """A file in place, a recording without masks, one that is not ready."""
    plain = RecordingId(house.take("a", extension="2104", start_s=0))
    assert burn(house, plain) == "nothing is masked in it"
    house.now = UnixMillis(START + 4_000)
    young = RecordingId(house.take("y", extension="2104", start_s=0, recording="Y"))
    with pytest.raises(NotReady):
        burn(house, young)
    house.now = UnixMillis(START + 3_600_000)


def test_a_file_in_place_is_refused(house: House) -> None:
    """It is the administrator's; the message says what to do."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0, in_place=True))
    boss = house.user("boss", Role.COMPLIANCE)
    house.masking.add(boss, recording, SPOKEN, "card", address=None)
    with pytest.raises(Conflict, match="import a copy"):
        burn(house, recording)


def test_a_site_says_when_its_masks_are_burned_in(house: House, recording: RecordingId) -> None:
    """Not before its time, not with an open proposal, not on hold; a newer mask is due again."""
    assert house.burner.due() == ()
    with house.db.write() as conn:
        site = directory.ensure_datasource(conn, "3")
        directory.set_site(conn, dataclasses.replace(site, burn_in_after_s=7200.0))
    assert house.burner.due() == ()
    house.now = UnixMillis(START + 7_300_000)
    house.key_finder.once()
    assert house.burner.due() == (recording,)
    with house.db.write() as conn:
        key_presses.propose(conn, recording, [Span(5, 6)], START)
    assert house.burner.due() == ()
    with house.db.write() as conn:
        conn.execute(text("UPDATE spans SET state = 'removed' WHERE state = 'proposed'"))
        burns.place_hold(conn, recording, by="ann", reason="a claim", now=START)
    assert house.burner.due() == ()
    with house.db.write() as conn:
        assert burns.release_holds(conn, recording, by="ann", reason="over", now=START) == 1
    (burned,) = house.burner.once()
    assert burned.done
    assert house.burner.due() == (recording,), "to be finished a minute later"
    house.now = UnixMillis(house.now + RENDERS_GONE_MS)
    (burned,) = house.burner.once()
    assert "nothing else is left" in burned.told
    assert house.burner.due() == ()
    boss = house.principal("u", "boss2", Role.COMPLIANCE)
    house.masking.add(boss, recording, Span(5, 6), "late", address=None)
    house.key_finder.once()
    assert house.burner.due() == (recording,)
    (burned,) = house.burner.once()
    assert burned.done
    with house.db.read() as conn:
        found = calls.find_recording(conn, Scope(everything=True), recording)
    assert found is not None
    original = (house.folder / "R.wav").read_bytes()
    assert found.source_commitment == house.keys.commit_source(hashlib.sha256(original).hexdigest())


def test_the_plain_hash_of_what_came_in_is_forgotten(house: House, recording: RecordingId) -> None:
    """Who holds the rest of a recording could try out with it what was said."""
    digest = hashlib.sha256((house.folder / "R.wav").read_bytes()).hexdigest()
    burn(house, recording)
    with house.db.read() as conn:
        rows = conn.execute(text("SELECT * FROM recordings")).all()
    assert digest not in str(rows)


def test_a_store_that_cannot_erase_is_asked_again(
    house: House, recording: RecordingId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new sound is served meanwhile; the next run erases the old."""

    def broken(self: LocalStore, key: str) -> None:  # a method's shape
        raise ObjectUnreadable("The disk failed.", retry=True)

    monkeypatch.setattr(LocalStore, "delete", broken)
    with pytest.raises(Unavailable, match="could not be erased"):
        burn(house, recording)
    monkeypatch.undo()
    assert lies_in(house, marker(house)) != []
    assert house.burner.due() == (recording,)
    burn(house, recording)
    assert lies_in(house, marker(house)) == []


def test_what_is_burned_in_stays_in_the_store_that_it_was_in(house: House) -> None:
    """The administrator chose that disk for the recordings of a voicelocation."""
    other = house.folder.parent / "other"
    other.mkdir()
    with house.db.write() as conn:
        directory.ensure_store(conn, "2", "file:other", read_only=False)
        directory.ensure_voicelocation(conn, "1", "2")
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    house.masking.add(house.user("bo", Role.COMPLIANCE), recording, SPOKEN, "card", address=None)
    assert [place.split("/")[0] for place in lies_in(house, marker(house))] == ["other"]
    burn(house, recording)
    assert lies_in(house, marker(house)) == []
    assert len(list(LocalStore(other).keys())) == 1
    assert list(LocalStore(house.folder.parent / "store").keys()) == []
    house.hear(house.ask(house.user(), recording))
