"""Retention over a real store, on both databases: what goes, what stays, and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from callreel.bootstrap import Stores
from callreel.db import audit, burns, calls, directory, retention
from callreel.db.burns import Burn
from callreel.db.database import Database
from callreel.db.schema import call_records, datasources, recordings
from callreel.errors import RecordingDeleted
from callreel.flows import retention as flow
from callreel.flows.burn import RENDERS_GONE_MS
from callreel.flows.entry import Result, SoundFile
from callreel.flows.retention import Retention, Round
from callreel.model import RecordingId, RecordingState, UnixMillis
from callreel.store.base import ObjectUnreadable
from callreel.store.local import LocalStore
from tests.flows.conftest import STARTED_AT, EntryMaker, Landed
from tests.flows.house import House, open_house

DAY_MS = 86_400_000
CALL_MS = 60_000


@dataclass
class Kept:
    """An intake, retention over the same store, and a clock that a test sets."""

    landed: Landed
    retention: Retention
    forgotten: list[RecordingId]
    now: UnixMillis
    make: EntryMaker

    def days(self, site: str, days: int | None) -> None:
        """Say how long a site keeps recordings."""
        with self.landed.database.write() as conn:
            found = directory.ensure_datasource(conn, site)
            directory.set_site(conn, replace(found, retention_days=days))

    def take(self, name: str, seed: int = 1, **fields: object) -> RecordingId:
        """A call of a minute with sound of its own seed."""
        audio = self.landed.wav(f"{name}.wav", seed)
        (taken,) = self.landed.take(self.make(name, audio, voicefilename=name, **fields))
        assert taken.recording_id is not None, taken.reason
        return taken.recording_id

    def after(self, days: float, more_ms: int = 0) -> Round:
        """A round so long after the end of a call."""
        self.now = UnixMillis(round(STARTED_AT + CALL_MS + days * DAY_MS + more_ms))
        return self.retention.once()

    def gone(self, *recordings: RecordingId) -> list[bool]:
        """Which of them are deleted."""
        return [self.landed.recording(each).state is RecordingState.DELETED for each in recordings]

    def burn(self, recording: RecordingId, written: str | None = None) -> Burn:
        """A burn-in that began now, and what it wrote so far."""
        found = self.landed.recording(recording)
        return Burn(
            recording,
            "writing",
            "policy",
            "policy",
            None,
            mask_revision=1,
            old_store_id=found.store_id,
            old_key=found.object_key,
            new_key=written,
            created_at=self.now,
            done_at=None,
        )

    def keys(self) -> int:
        """How many objects the store holds."""
        return len(list(self.landed.store.keys()))

    def told(self, recording: RecordingId) -> list[audit.AuditEntry]:
        """What the audit log tells of a recording after it came in."""
        with self.landed.database.read() as conn:
            found = audit.entries(conn, object_id=recording)
        return [each for each in found if each.action != "recording.import"]


@pytest.fixture
def kept(landed: Landed, make_entry: EntryMaker) -> Kept:
    """Retention of 30 days for site 1."""
    forgotten: list[RecordingId] = []
    made: Kept

    def clock() -> UnixMillis:
        return made.now

    round_of = Retention(landed.database, lambda _id: landed.store, clock, forgotten.append)
    made = Kept(landed, round_of, forgotten, UnixMillis(STARTED_AT), make_entry)
    made.days("1", 30)
    return made


def test_a_recording_goes_when_its_call_ended_so_many_days_ago(kept: Kept) -> None:
    """To the millisecond; its call stays, and the row says when and why."""
    recording = kept.take("a")
    assert kept.after(30, -1) == Round()
    assert kept.gone(recording) == [False]
    done = kept.after(30)
    assert (done.deleted, done.erased, done.waiting) == (1, 0, 1)
    found = kept.landed.recording(recording)
    assert (found.state, found.deleted_at) == (RecordingState.DELETED, kept.now)
    assert found.reason == "Deleted by retention on 2026-12-23."
    assert kept.keys() == 0
    assert len(kept.landed.calls()) == 1
    later = kept.after(30, RENDERS_GONE_MS)
    assert (later.deleted, later.erased) == (0, 1)
    assert kept.after(31) == Round()
    assert kept.forgotten == [recording, recording]
    assert [(each.actor, each.action) for each in kept.told(recording)] == [
        ("policy", "recording.delete"),
        ("policy", "recording.erase"),
    ]
    assert kept.told(recording)[0].detail["sha256"] == found.sha256


def test_a_site_that_says_nothing_keeps_for_ever(kept: Kept) -> None:
    """And one that is told to keep again deletes no more."""
    recording = kept.take("a")
    kept.days("1", None)
    assert kept.after(36_500) == Round()
    assert kept.gone(recording) == [False]


def test_a_recording_that_calls_share_goes_with_the_last(kept: Kept) -> None:
    """A leg that ended ten days later keeps it ten days longer."""
    first = kept.take("a")
    audio = SoundFile(kept.landed.source, "a.wav")
    later = UnixMillis(STARTED_AT + 10 * DAY_MS)
    leg = kept.make("b", audio, voicefilename="a", started_at=later)
    assert kept.landed.take(leg)[0].recording_id == first
    assert kept.after(39).deleted == 0
    assert kept.after(41).deleted == 1


def test_a_call_of_a_site_that_keeps_longer_keeps_what_it_shares(kept: Kept) -> None:
    """Whatever the site of the datasource says; the longest wins, and for ever is longest."""
    recording = kept.take("a")
    with kept.landed.database.write() as conn:
        directory.ensure_site(conn, "hq")
        conn.execute(datasources.insert().values(id="hq", site_id="hq"))
    other = kept.make("b", SoundFile(kept.landed.source, "a.wav"), voicefilename="a")
    kept.landed.take(other)
    with kept.landed.database.write() as conn:
        first = select(func.min(call_records.c.id)).scalar_subquery()
        conn.execute(update(call_records).where(call_records.c.id == first).values(site_id="hq"))
    assert kept.after(400).deleted == 0
    kept.days("hq", 300)
    assert kept.after(299).deleted == 0
    assert kept.after(300).deleted == 1
    assert kept.gone(recording) == [True]


def test_sound_that_is_longer_than_its_call_counts_to_its_end(kept: Kept) -> None:
    """A quarter of a second of sound, and a call of no length."""
    kept.take("a", duration_s=0.0)
    kept.now = UnixMillis(STARTED_AT + 30 * DAY_MS + 249)
    assert kept.retention.once().deleted == 0
    kept.now = UnixMillis(STARTED_AT + 30 * DAY_MS + 250)
    assert kept.retention.once().deleted == 1


def test_a_legal_hold_wins_over_every_site(kept: Kept) -> None:
    """Released, the recording goes with the next round."""
    recording = kept.take("a")
    with kept.landed.database.write() as conn:
        burns.place_hold(conn, recording, by="ann", reason="claim", now=kept.now)
    assert kept.after(400) == Round()
    assert (kept.gone(recording), kept.keys()) == ([False], 1)
    with kept.landed.database.write() as conn:
        burns.release_holds(conn, recording, by="ann", reason="settled", now=kept.now)
    assert kept.after(400).deleted == 1


def test_a_hold_that_comes_before_the_object_is_erased_keeps_the_object(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store was away when the recording was deleted."""
    recording = kept.take("a")

    def broken(_key: str) -> None:
        raise ObjectUnreadable("the disk is read-only", retry=True)

    with monkeypatch.context() as patched:
        patched.setattr(kept.landed.store, "delete", broken)
        done = kept.after(30)
    assert (done.deleted, done.away) == (1, {"1": "the disk is read-only"})
    with kept.landed.database.write() as conn:
        burns.place_hold(conn, recording, by="ann", reason="claim", now=kept.now)
    assert kept.after(400) == Round()
    assert (kept.keys(), kept.retention.left()) == (1, 1)
    with kept.landed.database.write() as conn:
        burns.release_holds(conn, recording, by="ann", reason="settled", now=kept.now)
    assert kept.after(401).erased == 1
    assert (kept.keys(), kept.retention.left()) == (0, 0)


def test_bytes_that_another_recording_has_stay_for_it(kept: Kept) -> None:
    """And go with the last one that has them."""
    old = kept.take("a", seed=5)
    young = kept.take("b", seed=5, started_at=UnixMillis(STARTED_AT + 20 * DAY_MS))
    kept.after(30)
    assert (kept.gone(old, young), kept.keys()) == ([True, False], 1)
    kept.after(31)
    assert kept.told(old)[-1].detail == {"kept_in_place": False, "shared_with": [young]}
    kept.after(50)
    assert (kept.gone(young), kept.keys()) == ([True], 0)


def test_a_deleted_recording_keeps_no_bytes_for_a_burn_in(kept: Kept) -> None:
    """Its row still names them: speech that is burned in elsewhere would stay for its sake."""
    old = kept.take("a", seed=5)
    young = kept.take("b", seed=5, started_at=UnixMillis(STARTED_AT + 20 * DAY_MS))
    burn = kept.burn(young)
    with kept.landed.database.read() as conn:
        assert burns.others_of(conn, burn) == (old,)
    kept.after(30)
    with kept.landed.database.read() as conn:
        assert burns.others_of(conn, burn) == ()
        assert calls.is_stored(conn, "1", burn.old_key)
    kept.after(50)
    with kept.landed.database.read() as conn:
        assert not calls.is_stored(conn, "1", burn.old_key)


def test_what_retention_deleted_is_not_imported_again(kept: Kept) -> None:
    """The same file under the same names is skipped, and told why."""
    kept.take("a")
    kept.after(31)
    kept.after(32)
    (taken,) = kept.landed.take(
        kept.make("a", SoundFile(kept.landed.source, "a.wav"), voicefilename="a")
    )
    assert (taken.result, taken.reason) == (
        Result.SKIPPED,
        "its recording was deleted by retention",
    )
    assert kept.keys() == 0


@pytest.mark.parametrize("moment", ["stored", "probed"])
def test_bytes_that_are_erased_while_they_come_in_again_wait_for_the_next_run(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Under another name: found in the store, then erased with the old recording, before the new
    rows were written. No row may point at nothing.
    """
    kept.take("a", seed=5)
    kept.now = UnixMillis(STARTED_AT + 31 * DAY_MS)
    keeper = kept.landed.intake._keeper
    place, name = (kept.landed.store, "put") if moment == "stored" else (keeper, "_probe")
    work = getattr(place, name)

    def work_and_lose(*given: object) -> object:
        found = work(*given)
        kept.retention.once()
        return found

    wanted = kept.make("b", kept.landed.wav("b.wav", 5), voicefilename="b")
    with monkeypatch.context() as patched:
        patched.setattr(place, name, work_and_lose)
        (taken,) = kept.landed.take(wanted)
    assert (taken.result, taken.recording_id) == (Result.WAITING, None)
    assert len(kept.landed.recording_ids()) == 1
    (taken,) = kept.landed.take(wanted)
    assert (taken.result, kept.keys()) == (Result.NEW, 1)


def test_a_burn_in_that_goes_on_is_let_end_and_a_dead_one_is_cleared_away(kept: Kept) -> None:
    """What it wrote and never showed is speech without later masks."""
    recording = kept.take("a")
    with (kept.landed.source / kept.landed.wav("half.wav", 9).name).open("rb") as file:
        written = kept.landed.store.put(file).key
    kept.now = UnixMillis(STARTED_AT + 31 * DAY_MS)
    burn = kept.burn(recording, written)
    with kept.landed.database.write() as conn:
        burns.begin(conn, burn)
    assert kept.after(31).deleted == 0
    assert kept.after(33).deleted == 1
    assert kept.keys() == 0
    with kept.landed.database.read() as conn:
        assert burns.in_hand(conn) == ()


def test_rounds_are_bounded_and_go_on(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oldest first; what is left comes with the next."""
    monkeypatch.setattr(flow, "BATCH", 2)
    monkeypatch.setattr(flow, "ROUND", 4)
    entries = [
        kept.make(
            f"k{number}",
            kept.landed.wav(f"{number}.wav", number),
            voicefilename=f"k{number}",
            started_at=UnixMillis(STARTED_AT - number * DAY_MS),
        )
        for number in range(7)
    ]
    ids = [RecordingId(str(taken.recording_id)) for taken in kept.landed.take(*entries)]
    assert kept.after(30).deleted == 4
    assert kept.gone(*ids) == [False, False, False, True, True, True, True]
    done = kept.after(30, RENDERS_GONE_MS)
    assert (done.deleted, done.erased) == (3, 4)
    assert all(kept.gone(*ids))
    assert kept.keys() == 0


def test_a_store_that_is_away_does_not_stop_what_lies_elsewhere(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and tried again."""
    first = kept.take("a", seed=1)
    second = kept.take("b", seed=2)
    (tmp_path / "other").mkdir()
    other = LocalStore(tmp_path / "other")
    with (kept.landed.source / "b.wav").open("rb") as file:
        other.put(file)
    with kept.landed.database.write() as conn:
        directory.ensure_store(conn, "2", "file:other", read_only=False)
        conn.execute(update(recordings).where(recordings.c.id == second).values(store_id="2"))
    stores = {"1": kept.landed.store, "2": other}
    monkeypatch.setattr(kept.retention, "_store_of", stores.__getitem__)

    def broken(_key: str) -> None:
        raise ObjectUnreadable("the disk failed", retry=True)

    with monkeypatch.context() as patched:
        patched.setattr(kept.landed.store, "delete", broken)
        assert kept.after(30).away == {"1": "the disk failed"}
        assert list(other.keys()) == []
        assert kept.after(31).erased == 1
    done = kept.after(32)
    assert (done.erased, done.away, kept.gone(first)) == (1, {}, [True])


def test_what_is_kept_and_what_would_go_is_counted(kept: Kept) -> None:
    """As the next rounds do it; nothing is changed by asking."""
    for number in range(3):
        at = UnixMillis(STARTED_AT + number * 10 * DAY_MS)
        kept.take(f"k{number}", seed=number, started_at=at)
    kept.days("keeper", None)
    kept.now = UnixMillis(STARTED_AT + 45 * DAY_MS)
    size = kept.landed.recording(min(kept.landed.recording_ids())).size_bytes
    one, keeper = kept.retention.keeping()
    assert one == retention.Keeping(
        "1", "1", 30, 3, 3 * size, STARTED_AT, expired=2, expired_bytes=2 * size
    )
    assert (keeper.retention_days, keeper.recordings, keeper.oldest_at) == (None, 0, None)
    assert kept.retention.once().deleted == 2
    (again, _) = kept.retention.keeping()
    assert (again.recordings, again.expired) == (1, 0)


@pytest.fixture
def lived_in(tmp_path: Path, database_url: str, database: Database) -> Iterator[House]:
    """A house on each kind of database."""
    with open_house(tmp_path, database_url) as opened:
        yield opened


def test_a_file_in_place_is_never_erased(lived_in: House) -> None:
    """It is not ours: its recording is marked deleted and not served, and the file stays."""
    house = lived_in
    recording = RecordingId(house.take("c1", extension="2104", start_s=0, in_place=True))
    path = house.folder / "R.wav"
    before = path.read_bytes()
    with house.db.write() as conn:
        site = directory.find_site(conn, "3")
        directory.set_site(conn, replace(site, retention_days=1))
    stores = Stores(house.db, house.folder.parent)
    rounds = Retention(house.db, stores, lambda: house.now, house.cache.forget)
    who = house.user()
    house.hear(house.ask(who, recording))
    house.now = UnixMillis(house.now + 2 * DAY_MS)
    assert rounds.once().deleted == 1
    with pytest.raises(RecordingDeleted):
        house.ask(who, recording)
    house.now = UnixMillis(house.now + RENDERS_GONE_MS)
    assert rounds.once().erased == 1
    assert path.read_bytes() == before
    with house.db.read() as conn:
        found = {each.action: each.detail for each in audit.entries(conn, object_id=recording)}
    assert found["recording.erase"] == {"kept_in_place": True, "shared_with": []}
