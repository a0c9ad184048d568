"""Signals of a switch: each stored once, in any order, bound whenever the call comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from callreel.db import audit, schema
from callreel.db.database import Database, open_database
from callreel.errors import Unavailable
from callreel.flows import switch
from callreel.flows.entry import CallEntry, Result
from callreel.flows.switch import Cause, SwitchEvent, SwitchSignals, TakenEvent
from callreel.model import Span, UnixMillis
from tests.contracts.records import KEYS, CallPlan, write_call
from tests.contracts.records import NOW as PLANNED
from tests.counts import repeated
from tests.flows.conftest import NOW, STARTED_AT, EntryMaker, Landed

UNIQUE, LINKED = "1795426200.91", "1795426200.90"


def event(seconds: float, *, mute: bool = True, **fields: object) -> SwitchEvent:
    """An event on the agent's leg, so many seconds into the call."""
    usual: dict[str, object] = {
        "origin": "events:1",
        "datasource": "1",
        "at": UnixMillis(round(STARTED_AT + seconds * 1000)),
        "mute": mute,
        "unique_id": UNIQUE,
        "linked_id": LINKED,
    }
    return SwitchEvent(**{**usual, **fields})  # type: ignore[arg-type]  # named by the tests


def signals_of(landed: Landed) -> SwitchSignals:
    """What takes events, over the same database."""
    return SwitchSignals(landed.database, landed.keys, lambda: NOW)


def take(landed: Landed, *events: SwitchEvent) -> list[TakenEvent]:
    """Take events as one run."""
    return list(signals_of(landed).take(events, actor="command"))


def spoken(landed: Landed, make_entry: EntryMaker, key: str = "k1", **fields: object) -> CallEntry:
    """A call of a minute with sound, whose leg is the caller's."""
    audio = landed.wav(f"{key}.wav", seconds=60)
    names = {"unique_id": LINKED, "linked_id": LINKED, "voicefilename": key}
    return make_entry(key, audio, **{**names, **fields})


def masked(landed: Landed, recording_id: str | None) -> tuple[Span, ...]:
    """What of a recording is masked."""
    (call,) = [each for each in landed.calls() if each.recording_id == recording_id]
    return call.masked_spans


@pytest.mark.parametrize("first", ["call", "events"])
def test_events_mask_the_call_whichever_comes_first(
    landed: Landed, make_entry: EntryMaker, first: str
) -> None:
    """Held until the call record is there (contract.md 4.4); padded like every signal (4.3)."""
    events = [event(5), event(9, mute=False)]
    if first == "events":
        assert [each.matches for each in take(landed, *events)] == [(), ()]
    (call,) = landed.take(spoken(landed, make_entry))
    if first == "call":
        assert {each.matches[0].call_id for each in take(landed, *events)} == {call.call_id}
    assert masked(landed, call.recording_id) == (Span(4.5, 9.5),)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_event_that_names_more_of_its_call_later_finds_it(
    landed: Landed, make_entry: EntryMaker, order: tuple[int, int]
) -> None:
    """One form of the log holds the linked id, another does not; either may come first."""
    (call,) = landed.take(spoken(landed, make_entry))
    told = [event(5, linked_id=None), event(5)]
    results = [take(landed, told[number])[0].result for number in order]
    assert results.count(Result.NEW) == (2 if order == (0, 1) else 1)
    assert masked(landed, call.recording_id) == (Span(4.5, 60.0),)


def test_the_same_events_again_store_nothing(landed: Landed, make_entry: EntryMaker) -> None:
    """Also where another form of the log leaves the linked id out; nor is it audited again."""
    (call,) = landed.take(spoken(landed, make_entry))
    events = [event(5), event(9, mute=False)]
    assert {each.result for each in take(landed, *events)} == {Result.NEW}
    again = [*events, replace(events[0], linked_id=None, origin="elsewhere:7", cause=Cause.KEYS)]
    assert {each.result for each in take(landed, *again)} == {Result.SAME}
    with landed.database.read() as conn:
        assert len(conn.execute(select(schema.signals)).all()) == 2
        assert len(audit.entries(conn, object_id=UNIQUE)) == 2
    assert masked(landed, call.recording_id) == (Span(4.5, 9.5),)


def test_events_that_differ_in_anything_are_different(landed: Landed) -> None:
    """On and off of the same instant, another leg, another feed."""
    one = event(5)
    others = [
        replace(one, mute=False),
        replace(one, unique_id="1795426200.92"),
        replace(one, datasource="2"),
        replace(one, at=UnixMillis(one.at + 1)),
    ]
    assert {each.result for each in take(landed, one, *others)} == {Result.NEW}


def test_every_leg_of_a_transfer_is_masked(landed: Landed, make_entry: EntryMaker) -> None:
    """Both have the linked id; the event happened on a third."""
    legs = [spoken(landed, make_entry, f"k{n}", unique_id=f"1795426200.8{n}") for n in (1, 2)]
    calls = landed.take(*legs)
    taken = take(landed, event(5), event(9, mute=False))
    assert {match.call_id for each in taken for match in each.matches} == {
        each.call_id for each in calls
    }
    for call in calls:
        assert masked(landed, call.recording_id) == (Span(4.5, 9.5),)


def test_a_leg_that_was_linked_elsewhere_later_is_still_found(
    landed: Landed, make_entry: EntryMaker
) -> None:
    """A transfer gives it the linked id of the older call; the event holds the one of before."""
    late = spoken(landed, make_entry, unique_id=UNIQUE, linked_id="1795426100.1")
    (call,) = landed.take(late)
    take(landed, event(5, unique_id="1795426200.99", linked_id=UNIQUE))
    assert masked(landed, call.recording_id) == (Span(4.5, 60.0),)


def test_another_feed_is_not_masked(landed: Landed, make_entry: EntryMaker) -> None:
    """Two machines give the same ids."""
    (call,) = landed.take(spoken(landed, make_entry))
    assert take(landed, event(5, datasource="2"))[0].matches == ()
    assert masked(landed, call.recording_id) == ()


@pytest.mark.parametrize("first", ["call", "events"])
@pytest.mark.parametrize(
    "about", [{"extension": "2104"}, {"channel": "SIP/trunk"}], ids=["extension", "channel"]
)
def test_an_event_without_ids_is_about_who_was_in_a_call_then(
    landed: Landed, make_entry: EntryMaker, about: dict[str, str], first: str
) -> None:
    """Known to the directory before or not."""
    call = spoken(landed, make_entry, channel="SIP/trunk")
    none = {"unique_id": None, "linked_id": None, **about}
    events = [event(5, **none), event(9, mute=False, **none), event(5000, **none)]
    if first == "call":
        landed.take(call)
        take(landed, *events)
        (taken,) = landed.take(call)
    else:
        take(landed, *events)
        (taken,) = landed.take(call)
    assert masked(landed, taken.recording_id) == (Span(4.5, 9.5),)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"unique_id": None, "linked_id": ""}, "names no call"),
        ({"unique_id": "a\0b"}, "cannot be one"),
        ({"unique_id": "\ud800"}, "cannot be one"),
        ({"linked_id": "x" * 201}, "cannot be one"),
        ({"datasource": "\x1b[2J"}, "cannot be one"),
        ({"at": UnixMillis(NOW + 86_400_001)}, "a day ahead"),
    ],
)
def test_what_cannot_be_stored_is_skipped_with_its_reason(
    landed: Landed, fields: dict[str, object], reason: str
) -> None:
    """And the events around it come in; the reason repeats nothing of it."""
    before, bad, after = take(landed, event(1), event(2, **fields), event(3))
    assert sorted([before.result, bad.result, after.result]) == ["new", "new", "skipped"]
    (skipped,) = [each for each in (before, bad, after) if each.result is Result.SKIPPED]
    assert reason in (skipped.reason or "")
    assert take(landed, event(2, at=UnixMillis(NOW + 86_400_000)))[0].result is Result.NEW


def test_each_signal_is_audited_with_its_cause(landed: Landed, make_entry: EntryMaker) -> None:
    """Who imported, what it is about, what it masked; nothing of keys but that it was keys."""
    (call,) = landed.take(spoken(landed, make_entry))
    take(landed, event(5, cause=Cause.KEYS), event(9, mute=False))
    with landed.database.read() as conn:
        on, off = audit.entries(conn, object_id=UNIQUE)
    assert (on.action, on.actor, off.action) == ("signal.on", "command", "signal.off")
    assert (on.detail["cause"], off.detail["cause"]) == ("keys", "event")
    assert on.detail["recordings"] == [call.recording_id]
    assert on.detail["at"] == STARTED_AT + 5000


def test_a_batch_is_whole_or_not_there(landed: Landed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told is on the disk; the rest comes in when the import runs again."""
    monkeypatch.setattr(switch, "BATCH_EVENTS", 2)
    events = [event(n) for n in range(5)]

    def until_the_database_is_away() -> Iterator[SwitchEvent]:
        yield from events[:4]
        with landed.database.write() as conn:
            conn.execute(text("ALTER TABLE audit RENAME TO gone"))
        yield events[4]

    told: list[TakenEvent] = []
    with pytest.raises(Unavailable):
        told.extend(signals_of(landed).take(until_the_database_is_away(), actor="command"))
    assert len(told) == 4
    with landed.database.write() as conn:
        assert len(conn.execute(select(schema.signals)).all()) == 4
        conn.execute(text("ALTER TABLE gone RENAME TO audit"))
    results = [each.result for each in take(landed, *events)]
    assert results == [*[Result.SAME] * 4, Result.NEW]


CALL = CallPlan("c1", recording="r1", at_s=(STARTED_AT - PLANNED) / 1000, unique_id=LINKED)
MOMENTS = st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=12)


def state(database: Database) -> list[Sequence[object]]:
    """Signals and spans, less what chance decides."""
    s, p = schema.signals.c, schema.spans.c
    with database.read() as conn:
        signals = conn.execute(select(s.at, s.mute, s.unique_id, s.linked_id, s.source_key))
        spans = conn.execute(select(p.start_s, p.end_s).where(p.state == "active"))
        return [*sorted(map(tuple, signals)), *sorted(map(tuple, spans), key=str)]


@given(moments=MOMENTS, data=st.data(), call_after=st.integers(0, 12))
@settings(parent=repeated(named=500, usual=25), suppress_health_check=[HealthCheck.too_slow])
def test_the_order_of_events_and_of_the_call_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    moments: list[tuple[int, bool]],
    data: st.DataObject,
    call_after: int,
) -> None:
    """In any order, in any batches, with the call in between, and some of it twice."""
    events = [event(seconds, mute=mute, datasource="s1") for seconds, mute in moments]
    shuffled = data.draw(st.permutations(events))
    again = data.draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    found = []
    for order, place in ((events, 0), ([*shuffled, *again], call_after)):
        folder: Path = tmp_path_factory.mktemp("any")
        database = open_database(f"sqlite:///{folder / 'c.db'}")
        database.migrate()
        taker = SwitchSignals(database, KEYS, lambda: NOW)
        list(taker.take(order[:place], actor="command"))
        with database.write() as conn:
            write_call(conn, CALL)
        list(taker.take(order[place:], actor="command"))
        found.append(state(database))
        database.close()
    assert found[0] == found[1]
