"""What comes in, what it becomes, and that coming in twice or in another order changes nothing."""

from __future__ import annotations

import errno
import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, select

from callreel.db import audit, calls, directory, schema, signals, users
from callreel.errors import Unavailable
from callreel.flows import writer
from callreel.flows.entry import (
    CallEntry,
    Result,
    SharedRecording,
    SoundFile,
    call_id,
    content_name,
    recording_id,
)
from callreel.model import Direction, RecordingState, Role, Scope, Span, UnixMillis

if TYPE_CHECKING:
    from tests.flows.conftest import Landed

EntryMaker = Callable[..., CallEntry]
STARTED_AT = 1_795_426_200_000
NOW = UnixMillis(1_795_500_000_000)


def test_a_call_with_sound_becomes_a_call_and_a_recording(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """With the hash of the bytes as they came, and what the probe found."""
    sound = landed.wav("call.wav")
    (taken,) = landed.take(make_entry(audio=sound, spans=(Span(0.1, 0.2),)))
    assert (taken.result, taken.reason) == (Result.NEW, None)
    recording = landed.recording(taken.recording_id)
    assert recording.sha256 == hashlib.sha256(Path(sound.path).read_bytes()).hexdigest()
    assert recording.state is RecordingState.READY
    assert recording.facts is not None
    assert recording.facts.frames == 2000
    assert (recording.datasource, recording.voicelocation) == ("1", "1")
    handle = landed.store.open(recording.object_key)
    assert handle.read_at(0, handle.size) == Path(sound.path).read_bytes()
    handle.close()
    (call,) = landed.calls()
    assert (call.id, call.recording_id) == (taken.call_id, taken.recording_id)
    assert (call.voicelocation, call.voicefilename) == ("1", "NCS1")
    assert call.masked_spans == (Span(0.1, 0.2),)


def test_ids_are_made_from_names_and_look_like_ids() -> None:
    """A letter and 26 of base32; other borders between the names are other ids."""
    assert call_id("1", "k") == call_id("1", "k")
    assert len({call_id("1", "k"), call_id("1k", ""), call_id("", "1k"), call_id("2", "k")}) == 4
    assert recording_id("1", "1", "x") != recording_id("1", "1x", "")
    for each, letter in ((call_id("1", "k"), "c"), (recording_id("1", "1", "x"), "r")):
        assert each[0] == letter
        assert len(each) == 27
        assert each.isalnum()
        assert each == each.lower()


def test_coming_in_again_changes_nothing(landed: Landed, make_entry: EntryMaker) -> None:
    """No second call, no second object, no row in the audit log, no new mask."""
    one = make_entry(audio=landed.wav("call.wav"), spans=(Span(0.1, 0.2),))
    landed.take(one)
    before = (landed.calls(), list(landed.store.keys()), _audited(landed), _changes(landed))
    (again,) = landed.take(one)
    assert again.result is Result.SAME
    assert (landed.calls(), list(landed.store.keys()), _audited(landed), _changes(landed)) == before


def _audited(landed: Landed) -> list[str]:
    with landed.database.read() as conn:
        return [row.action for row in audit.entries(conn)]


def _changes(landed: Landed) -> int:
    with landed.database.read() as conn:
        return len(conn.execute(select(schema.changes.c.seq)).all())


def test_what_came_in_is_in_the_audit_log(landed: Landed, make_entry: EntryMaker) -> None:
    """Each recording with its hash, calls without sound by their number."""
    landed.take(make_entry("a"), make_entry("b"), make_entry("c", landed.wav("c.wav")))
    with landed.database.read() as conn:
        rows = {row.action: row for row in audit.entries(conn)}
    assert rows["calls.import"].detail == {"calls": 2}
    assert len(str(rows["recording.import"].detail["sha256"])) == 64
    assert {row.actor for row in rows.values()} == {"command"}


def test_a_corrected_record_changes_the_call(landed: Landed, make_entry: EntryMaker) -> None:
    """By its identity it is the same one."""
    landed.take(make_entry())
    (taken,) = landed.take(make_entry(from_number="01632960222"))
    assert taken.result is Result.CHANGED
    assert [call.from_number for call in landed.calls()] == ["01632960222"]


def test_other_bytes_under_the_same_names_are_a_new_content_version(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """A recorder rewrote its file after the call."""
    landed.take(make_entry(audio=landed.wav("call.wav", seed=1)))
    (taken,) = landed.take(make_entry(audio=landed.wav("call.wav", seed=2)))
    assert taken.result is Result.CHANGED
    assert landed.recording(taken.recording_id).content_version == 2


def test_a_recording_that_is_not_there_is_listed_and_attached_later(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """The call comes in at once; the sound when it is there; neither is lost by a later run."""
    missing = SoundFile(landed.source, "late.wav")
    landed.source.mkdir()
    (first,) = landed.take(make_entry(audio=missing, voicefilename="NCS1"))
    assert (first.result, first.recording_id, first.sound_refused) == (Result.NEW, None, True)
    assert "late.wav" in (first.reason or "")
    (call,) = landed.calls()
    assert (call.recording_id, call.voicefilename) == (None, None)
    landed.wav("late.wav")
    (second,) = landed.take(make_entry(audio=missing, voicefilename="NCS1"))
    assert second.result is Result.CHANGED
    assert landed.calls()[0].recording_id == second.recording_id
    landed.take(make_entry())
    assert landed.calls()[0].recording_id == second.recording_id


@pytest.mark.parametrize(
    "name", ["../secret.wav", "link.wav", "/etc/hostname", "linked/secret.wav"]
)
def test_a_name_that_leads_out_of_the_folder_brings_no_sound(
    landed: Landed, make_entry: EntryMaker, tmp_path: Path, name: str
) -> None:
    """Even if an importer let it pass (T29, T47)."""
    landed.wav("call.wav")
    secret = tmp_path / "secret.wav"
    secret.write_bytes((landed.source / "call.wav").read_bytes())
    (landed.source / "link.wav").symlink_to(secret)
    (landed.source / "linked").symlink_to(tmp_path)
    (taken,) = landed.take(make_entry(audio=SoundFile(landed.source, name)))
    assert taken.sound_refused
    assert landed.recording_ids() == set()
    assert list(landed.store.keys()) == []


def test_sound_that_cannot_be_played_keeps_its_call_and_the_reason(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """The file is kept as well: a later version may play it."""
    landed.source.mkdir()
    (landed.source / "call.wav").write_bytes(b"RIFF....WAVEnothing")
    (taken,) = landed.take(make_entry(audio=SoundFile(landed.source, "call.wav")))
    assert taken.result is Result.NEW
    assert not taken.sound_refused
    recording = landed.recording(taken.recording_id)
    assert recording.state is RecordingState.UNPLAYABLE
    assert recording.reason
    assert recording.reason in (taken.reason or "")
    assert recording.facts is None
    assert len(list(landed.store.keys())) == 1


def test_nameless_sound_is_named_by_its_content_and_timed_by_its_file(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """The end of the call is when the file was last written."""
    sound = landed.wav("any.wav", seconds=0.5)
    os.utime(sound.path, (1_795_426_200, 1_795_426_200))
    (taken,) = landed.take(
        make_entry(None, sound, voicefilename=None, started_at=None, duration_s=None)
    )
    (call,) = landed.calls()
    sha256 = hashlib.sha256(Path(sound.path).read_bytes()).hexdigest()
    assert call.voicefilename == content_name(sha256) == f"SHA{sha256[:40].upper()}"
    assert (call.started_at, call.duration_s) == (STARTED_AT - 500, 0.5)
    assert landed.recording(taken.recording_id).ready_at == STARTED_AT


def test_a_recording_is_not_ready_before_the_call_has_settled(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """End of the call and the site's settle time (T24); an exchange whose clock is ahead cannot
    lock it for longer than that from now.
    """
    (one,) = landed.take(make_entry("a", landed.wav("a.wav")))
    assert landed.recording(one.recording_id).ready_at == STARTED_AT + 60_000 + 30_000
    ahead = make_entry("b", landed.wav("b.wav"), voicefilename="B", started_at=NOW + 10**9)
    (two,) = landed.take(ahead)
    assert landed.recording(two.recording_id).ready_at == NOW + 30_000


def test_the_sites_default_voicelocation_is_used_where_none_is_named(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """And a new default makes no second recording of what is there."""
    one = make_entry("a", landed.wav("a.wav"))
    landed.take(one)
    with landed.database.write() as conn:
        site = directory.ensure_datasource(conn, "1")
        directory.set_site(conn, replace(site, default_voicelocation="4"))
    two = make_entry("b", landed.wav("b.wav"), voicefilename="B")
    three = make_entry("c", landed.wav("c.wav"), voicefilename="C", voicelocation="9")
    landed.take(one, two, three)
    located = {call.voicefilename: call.voicelocation for call in landed.calls()}
    assert located == {"NCS1": "1", "B": "4", "C": "9"}
    assert len(landed.recording_ids()) == 3


def test_legs_share_one_recording_with_their_own_names(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """Two calls, one recording, one object; a span of either masks both."""
    sound = landed.wav("leg1.wav")
    copy = landed.wav("leg2.wav")
    first = make_entry("a", sound, voicefilename="V1")
    second = make_entry(
        "b",
        sound,
        voicefilename="V2",
        shared=SharedRecording(None, "V1"),
        second_copy=copy,
        spans=(Span(0.0, 0.1),),
    )
    taken = landed.take(first, second)
    assert [each.result for each in taken] == [Result.NEW, Result.NEW]
    assert len({each.recording_id for each in taken}) == 1
    assert len(list(landed.store.keys())) == 1
    assert {call.voicefilename for call in landed.calls()} == {"V1", "V2"}
    assert [call.masked_spans for call in landed.calls()] == [(Span(0.0, 0.1),)] * 2


def test_a_second_copy_with_other_sound_is_skipped(landed: Landed, make_entry: EntryMaker) -> None:
    """The first stays."""
    sound = landed.wav("leg1.wav", seed=1)
    other = landed.wav("leg2.wav", seed=2)
    first = make_entry("a", sound)
    second = make_entry("b", sound, shared=SharedRecording(None, "NCS1"), second_copy=other)
    one, two = sorted(landed.take(first, second), key=lambda each: each.entry.origin)
    assert (one.result, two.result) == (Result.NEW, Result.SKIPPED)
    assert "different" in (two.reason or "")
    assert len(landed.calls()) == 1


def test_two_sounds_under_the_same_names_in_one_run_are_not_mixed(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """Nor two calls that say different things under one key."""
    taken = landed.take(
        make_entry("a", landed.wav("a.wav", seed=1)),
        make_entry("b", landed.wav("b.wav", seed=2)),
        make_entry("a", landed.wav("a.wav", seed=1), from_number="01632960999"),
    )
    results = sorted((each.result, each.entry.from_number) for each in taken)
    assert results == [
        (Result.NEW, "01632960111"),
        (Result.SKIPPED, "01632960111"),
        (Result.SKIPPED, "01632960999"),
    ]


def test_the_same_id_of_two_exchanges_is_two_calls(landed: Landed, make_entry: EntryMaker) -> None:
    """Unique ids are unique to one exchange only (T47)."""
    landed.take(
        make_entry("a", landed.wav("a.wav", seed=1), datasource="1"),
        make_entry("a", landed.wav("b.wav", seed=2), datasource="2"),
    )
    assert len(landed.calls()) == 2
    assert len(landed.recording_ids()) == 2


def test_a_signal_that_was_held_masks_the_call_when_it_comes(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """Call records come after the call (contract.md 4.4); of both legs of a transfer."""
    landed.take(make_entry("earlier", extension="2105"))
    with landed.database.write() as conn:
        user = users.add_user(conn, "ann", Role.INTEGRATOR, "x", Scope(everything=True), NOW)
        signals.add_signal(
            conn,
            signals.object_ids(conn, Scope(everything=True), "user", "2105", None),
            signals.NewSignal(UnixMillis(STARTED_AT + 100), NOW, True, "web", user),
        )
    sound = landed.wav("leg.wav")
    landed.take(
        make_entry("a", sound, extension="2104"),
        make_entry("b", sound, extension="2105", voicefilename="V2",
                   shared=SharedRecording(None, "NCS1")),
    )  # fmt: skip
    masked = {call.voicefilename: call.masked_spans for call in landed.calls()}
    assert masked["NCS1"] == masked["V2"] == (Span(0.0, 0.25),)


def test_spans_reach_the_same_sound_that_came_in_without_names(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """A side-car that was late must not leave an unmasked twin behind."""
    sound = landed.wav("call.wav")
    (nameless,) = landed.take(make_entry(None, sound, voicefilename=None))
    landed.take(make_entry("named", sound, spans=(Span(0.0, math.inf),)))
    assert landed.recording(nameless.recording_id).spans == (Span(0.0, math.inf),)


def test_a_deleted_recording_does_not_come_back(landed: Landed, make_entry: EntryMaker) -> None:
    """Retention deleted it; the file of the exchange is still there."""
    one = make_entry(audio=landed.wav("call.wav"))
    (taken,) = landed.take(one)
    assert taken.recording_id is not None
    with landed.database.write() as conn:
        calls.delete_recording(conn, taken.recording_id, NOW)
    (again,) = landed.take(one)
    assert again.result is Result.SKIPPED
    assert landed.recording(taken.recording_id).state is RecordingState.DELETED


def test_sound_that_is_referred_to_stays_where_it_is_and_its_hash_is_watched(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """Nothing is copied; other bytes are noticed by the next run."""
    sound = replace(landed.wav("sub/call.wav", seed=1), in_place=True)
    one = make_entry(audio=sound)
    (taken,) = landed.take(one)
    recording = landed.recording(taken.recording_id)
    assert recording.object_key == "sub/call.wav"
    assert list(landed.store.keys()) == []
    with landed.database.read() as conn:
        assert directory.find_store(conn, recording.store_id) == (landed.source.as_uri(), True)
    assert landed.take(one)[0].result is Result.SAME
    landed.wav("sub/call.wav", seed=2)
    assert landed.take(one)[0].result is Result.CHANGED
    assert landed.recording(taken.recording_id).content_version == 2


def test_text_that_a_database_cannot_hold_costs_its_own_entry_only(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """A NUL character, and half of one that has two."""
    taken = landed.take(
        make_entry("a", from_number="a\0b"), make_entry("b", to_number="\ud800"), make_entry("c")
    )
    assert sorted(each.result for each in taken) == [Result.NEW, Result.SKIPPED, Result.SKIPPED]


def test_an_entry_that_the_database_refuses_costs_its_own_batch_nothing(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """The others of its batch come in one by one."""
    bad = make_entry("bad", duration_s=None, started_at=2**70)
    taken = landed.take(make_entry("a"), bad, make_entry("b"))
    assert {each.entry.origin: each.result for each in taken} == {
        "a": Result.NEW,
        "b": Result.NEW,
        "bad": Result.SKIPPED,
    }


def test_a_full_store_stops_the_import_and_loses_nothing(
    landed: Landed, make_entry: EntryMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was told is there; the rest comes in when there is room (F3)."""
    entries = [
        make_entry(f"k{n}", landed.wav(f"{n}.wav", seed=n), voicefilename=f"V{n}") for n in range(3)
    ]

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    landed.take(entries[0])
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", full)
        with pytest.raises(Unavailable, match="full"):
            landed.take(*entries)
    assert len(landed.calls()) == 1
    results = [each.result for each in landed.take(*entries)]
    assert sorted(results) == [Result.NEW, Result.NEW, Result.SAME]


def test_a_file_that_changes_while_it_is_read_waits(
    landed: Landed, make_entry: EntryMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hash and bytes would not belong together (F5)."""
    sound = landed.wav("call.wav")
    real_put = landed.store.put

    def growing_put(source: object) -> object:
        with Path(sound.path).open("ab") as file:
            file.write(b"more")
        return real_put(source)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(landed.store, "put", growing_put)
    (taken,) = landed.take(make_entry(audio=sound))
    assert taken.result is Result.WAITING
    assert landed.calls() == ()


@given(order=st.permutations(range(6)), cut=st.integers(0, 6))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_any_interruption_end_the_same(
    landed: Landed, make_entry: EntryMaker, order: list[int], cut: int
) -> None:
    """Ids come from content, times are the widest of all legs. A new datasource for each example
    stands for an empty database.
    """
    feed = f"feed-{hashlib.sha256(str((order, cut)).encode()).hexdigest()[:12]}"
    shared = landed.wav("shared.wav", seed=1)
    single = landed.wav("single.wav", seed=2)
    entries = [
        make_entry("a", shared, datasource=feed),
        make_entry("b", shared, datasource=feed, started_at=STARTED_AT - 5000),
        make_entry("c", shared, datasource=feed, started_at=STARTED_AT + 5000, spans=(Span(0, 1),)),
        make_entry("d", single, datasource=feed, voicefilename=None),
        make_entry("e", None, datasource=feed, direction=Direction.OUTBOUND),
        make_entry("a", shared, datasource=feed),
    ]
    shuffled = [entries[index] for index in order]
    landed.take(*shuffled[:cut])
    landed.take(*shuffled)
    with landed.database.read() as conn:
        rows = conn.execute(
            select(
                schema.recordings.c.voicefilename,
                schema.recordings.c.started_at,
                schema.recordings.c.ready_at,
                schema.recordings.c.content_version,
                schema.recordings.c.sha256,
            ).where(schema.recordings.c.datasource == feed)
        ).all()
        count = len(
            conn.execute(
                select(schema.call_records.c.id).where(schema.call_records.c.datasource == feed)
            ).all()
        )
    assert count == 5
    assert sorted((row.voicefilename[:3], row.started_at, row.ready_at) for row in rows) == [
        ("NCS", STARTED_AT - 5000, STARTED_AT + 5000 + 90_000),
        ("SHA", STARTED_AT, STARTED_AT + 90_000),
    ]
    assert {row.content_version for row in rows} == {1}


def test_calls_without_sound_are_not_read_again_for_each_other(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """A million of them must not cost a million squared: no statement looks for all of them."""
    statements: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        landed.take(make_entry("a"), make_entry("b"))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert statements
    assert [each for each in statements if "recording_id IS NULL" in each] == []


def test_two_records_with_one_name_and_two_meanings_are_not_taken_for_one(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """Without sound as with it: the second is skipped, and importing again changes nothing."""
    first = make_entry("7", from_number="01632960111")
    other = make_entry("7", from_number="01632960112")
    for result in (Result.NEW, Result.SAME):
        taken = landed.take(first, other)
        assert {each.result for each in taken} == {result, Result.SKIPPED}
        (skipped,) = [each for each in taken if each.result is Result.SKIPPED]
        assert "says something else" in (skipped.reason or "")
    (call,) = landed.calls()
    assert call.from_number == "01632960111"


@pytest.mark.parametrize("datasource", ["", "a\x01b", "a\nb"])
def test_a_datasource_is_a_name(landed: Landed, make_entry: EntryMaker, datasource: str) -> None:
    """It becomes the id of a site: nothing that is invisible, or commands a terminal."""
    (taken,) = landed.take(make_entry("1", datasource=datasource))
    assert (taken.result, "its datasource" in (taken.reason or "")) == (Result.SKIPPED, True)


def test_a_batch_gives_way_to_signals_between_its_turns(
    landed: Landed, make_entry: EntryMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the database is, a "mute on" waits for one turn and not for a batch."""
    monkeypatch.setattr(writer, "TURN_S", 0.0)
    monkeypatch.setattr(writer, "TOGETHER_CALLS", 1)
    monkeypatch.setattr(writer, "GIVE_WAY_S", 0.0)
    commits: list[object] = []

    def committed(connection: object) -> None:
        commits.append(connection)

    engine = landed.database._writers
    event.listen(engine, "commit", committed)
    entries = [make_entry(str(number)) for number in range(5)]
    assert [each.result for each in landed.take(*entries)] == [Result.NEW] * 5
    event.remove(engine, "commit", committed)
    assert len(commits) >= 5
