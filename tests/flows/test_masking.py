"""Spans by hand, and signals that carry their own time: who may do what, and what is kept."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from sqlalchemy import text

from callreel.audio.fill import fill_of
from callreel.db import audit, directory, key_presses
from callreel.db.unsettled import SignalState
from callreel.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable
from callreel.flows.masking import SpanChange
from callreel.flows.settling import Settlement
from callreel.flows.signal import SignalOrder
from callreel.model import (
    AudioSpec,
    CallId,
    Party,
    Principal,
    RecordingId,
    Role,
    Scope,
    Span,
    UnixMillis,
    WebUserId,
)
from tests.flows.house import ALL, START, House, samples, token_of


def at(seconds: float) -> UnixMillis:
    """An instant so many seconds after the first call began."""
    return UnixMillis(round(START + seconds * 1000))


def masked(house: House, recording: str) -> tuple[Span, ...]:
    """What everybody sees as masked."""
    anybody = Principal(WebUserId("u"), "anybody", Role.AUDITOR, ALL, "basic")
    return house.masking.spans(anybody, RecordingId(recording)).masked_spans


def test_a_span_by_hand_is_taken_as_given_and_heard_at_once(house: House) -> None:
    """One party only, and not padded (contract.md 4.3)."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    ann = house.user("ann", Role.SUPERVISOR)
    seen = house.masking.add(
        ann, recording, Span(1.0, 2.0, Party.LEFT), " card number ", address="192.0.2.1"
    )
    assert seen.masked_spans == (Span(1.0, 2.0, Party.LEFT),)
    (stored,) = seen.spans
    assert (stored.id, stored.actor, stored.reason) == (seen.changed, "ann", "card number")
    heard = samples(house.hear(house.ask(ann, recording)))
    source = samples((house.folder / "R.wav").read_bytes())
    assert (heard[:, 1] == source[:, 1]).all()
    assert (heard[8000:16000, 0] != source[8000:16000, 0]).mean() > 0.9
    with house.db.read() as conn:
        written = audit.entries(conn, object_id=recording)
    (entry,) = [each for each in written if each.action == "span.add"]
    assert entry.detail["before"] == []
    assert entry.detail["after"] == [[1.0, 2.0, "left"]]
    assert (entry.detail["narrower"], entry.address) == (False, "192.0.2.1")


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.INTEGRATOR])
def test_masking_more_is_easy_and_masking_less_is_not(house: House, role: Role) -> None:
    """Nothing of a refused change stays."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    ann = house.user("ann", role)
    span = house.masking.add(ann, recording, Span(2, 3), "card", address=None).changed
    assert span is not None
    wider = house.masking.change(ann, recording, span, SpanChange("more", start_s=1), address=None)
    assert wider.masked_spans == (Span(1, 3),)
    assert wider.changed is not None
    before = house.masking.spans(ann, recording)
    with pytest.raises(Forbidden, match="compliance"):
        house.masking.change(
            ann, recording, wider.changed, SpanChange("less", start_s=1.5), address=None
        )
    with pytest.raises(Forbidden, match="compliance"):
        house.masking.remove(ann, recording, wider.changed, "away", address=None)
    assert house.masking.spans(ann, recording) == before
    boss = house.user("boss", Role.COMPLIANCE)
    less = house.masking.remove(boss, recording, wider.changed, "a test call", address=None)
    assert less.masked_spans == ()
    assert [each.state for each in less.spans] == ["removed", "removed"]
    with house.db.read() as conn:
        last = audit.entries(conn, object_id=recording)[-1]
    assert (last.detail["narrower"], last.detail["before"]) == (True, [[1.0, 3.0, None]])
    with pytest.raises(Conflict, match="already"):
        house.masking.remove(boss, recording, wider.changed, "again", address=None)


def test_a_span_below_another_can_be_moved_by_anybody(house: House) -> None:
    """What counts is what is masked in the end, not the row."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    ann = house.user("ann", Role.SUPERVISOR)
    house.masking.add(ann, recording, Span(0, math.inf), "all of it", address=None)
    span = house.masking.add(ann, recording, Span(2, 3), "card", address=None).changed
    assert span is not None
    house.masking.remove(ann, recording, span, "covered anyway", address=None)
    assert masked(house, recording) == (Span(0, 10),)


def test_a_span_that_a_person_took_away_does_not_come_back(house: House) -> None:
    """By the next leg that is imported, or by the same signal paired again."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    crm = house.user()
    boss = house.user("boss", Role.ADMINISTRATOR)
    for moment, mute in ((1, True), (2, False)):
        house.signals.send(crm, SignalOrder(mute, "user", "2104", at=at(moment)), address=None)
    (stored,) = [
        each for each in house.masking.spans(boss, recording).spans if each.state == "active"
    ]
    house.masking.remove(boss, recording, stored.id, "a test", address=None)
    house.take("b", extension="2105", start_s=5)
    house.signals.send(crm, SignalOrder(True, "user", "2104", at=at(1.5)), address=None)
    assert masked(house, recording) == ()


def test_a_proposal_masks_nothing_until_somebody_confirms_it(house: House) -> None:
    """Dismissing one is a decision of those who may mask less."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    ann = house.user("ann", Role.SUPERVISOR)
    with house.db.write() as conn:
        key_presses.propose(conn, recording, [Span(1, 2), Span(5, 6)], START)
        key_presses.note_searched(conn, recording)
    first, second = house.masking.spans(ann, recording).spans
    assert masked(house, recording) == ()
    done = house.masking.change(
        ann, recording, first.id, SpanChange("keys heard", confirm=True), address=None
    )
    assert (done.masked_spans, done.changed) == ((Span(1, 2),), first.id)
    with pytest.raises(Forbidden):
        house.masking.remove(ann, recording, second.id, "music", address=None)
    boss = house.user("boss", Role.COMPLIANCE)
    house.masking.remove(boss, recording, second.id, "music", address=None)
    assert masked(house, recording) == (Span(1, 2),)


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (Span(-1, 2), "start_s: must be a number"),
        (Span(math.nan, 2), "start_s: must be a number"),
        (Span(2, 2), "end_s: must be behind"),
        (Span(2, math.nan), "must be a number"),
        (Span(10, 11), "start_s: is behind the end"),
    ],
)
def test_a_span_outside_the_recording_is_refused(house: House, span: Span, said: str) -> None:
    """A span that masks nothing is a mistake that somebody should hear of."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    with pytest.raises(BadRequest, match=said):
        house.masking.add(house.user(), recording, span, "why", address=None)
    for reason in ("  ", "x" * 501):
        with pytest.raises(BadRequest, match="reason"):
            house.masking.add(
                house.user(f"u{len(reason)}"), recording, Span(1, 2), reason, address=None
            )


def test_masks_of_others_are_not_there(house: House) -> None:
    """404 for who cannot see it; an auditor sees and does not change."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    far = house.user("far", Role.COMPLIANCE, Scope(site_ids=frozenset({"elsewhere"})))
    auditor = house.user("auditor", Role.AUDITOR)
    with pytest.raises(NotFound):
        house.masking.spans(far, recording)
    for who in (far, auditor):
        with pytest.raises(NotFound):
            house.masking.add(who, recording, Span(1, 2), "x", address=None)
    assert house.masking.spans(auditor, recording).spans == ()


def test_damaged_rows_stay_refused_whatever_is_added(house: House) -> None:
    """A span deleted by hand is not laundered by the next signal or span (must-show 5)."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    crm = house.user()
    boss = house.user("boss", Role.ADMINISTRATOR)
    house.masking.add(boss, recording, Span(1, 2), "card", address=None)
    with house.db.write() as conn:
        conn.execute(text("DELETE FROM spans"))
    with pytest.raises(Unavailable, match="administrator"):
        house.masking.add(boss, recording, Span(5, 6), "another", address=None)
    house.signals.send(crm, SignalOrder(True, "user", "2104", at=at(4)), address=None)
    with pytest.raises(Unavailable, match="cannot be read"):
        house.ask(boss, recording)


def test_a_signal_counts_at_its_own_time_corrected_by_the_senders_clock(house: House) -> None:
    """A sender ten minutes behind, whose signal was two minutes on the way to be sent."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()
    house.now = at(120)
    late = -600_000
    for moment, mute in ((2, True), (3, False)):
        order = SignalOrder(
            mute,
            "user",
            "2104",
            at=UnixMillis(at(moment) + late),
            sent_at=UnixMillis(at(120) + late),
        )
        answer = house.signals.send(crm, order, address=None)
        assert answer.at == at(moment)
        assert [each.recording_id for each in answer.matches] == [recording]
    assert masked(house, recording) == (Span(1.5, 3.5),)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"at": 5_001}, "at: is 5.0 s ahead"),
        ({"at": -7 * 86_400_000 - 1}, "at: is more than seven days ago"),
        ({"at": 0, "sent_at": 3_600_001}, "sent_at: differs"),
        ({"sent_at": 0}, "sent_at: goes with at"),
    ],
)
def test_a_time_that_cannot_be_true_is_refused(
    house: House, order: dict[str, int], said: str
) -> None:
    """And names what to mend."""
    house.take("a", extension="2104", start_s=0)
    given = {name: UnixMillis(house.now + offset) for name, offset in order.items()}
    with pytest.raises(BadRequest, match=said):
        house.signals.send(house.user(), SignalOrder(True, "user", "2104", **given), address=None)


def test_a_signal_a_little_ahead_counts_as_now(house: House) -> None:
    """Clocks differ by seconds; nothing is masked in the future."""
    house.take("a", extension="2104", start_s=0)
    order = SignalOrder(True, "user", "2104", at=UnixMillis(house.now + 5_000))
    assert house.signals.send(house.user(), order, address=None).at == house.now


def test_a_signal_that_names_its_call_needs_no_clock(house: House) -> None:
    """It masks that call whatever its time; another call of the same user stays clear."""
    first = house.take("a", extension="2104", start_s=0)
    second = house.take("b", extension="2104", start_s=0, recording="Q")
    crm = house.user()
    page = house.browse.changes(crm, None, 100).items
    calls = {each.recording_id: each.call_id for each in page if each.kind == "call"}
    house.now = at(4000)
    for mute in (True, False):
        house.now = UnixMillis(house.now + 1)
        order = SignalOrder(mute, call_id=CallId(str(calls[first])), at=at(2 if mute else 3))
        answer = house.signals.send(crm, order, address=None)
        assert [each.recording_id for each in answer.matches] == [first]
    assert masked(house, first) == (Span(1.5, 3.5),)
    assert house.masking.spans(crm, RecordingId(second)).masked_spans == ()
    with pytest.raises(NotFound, match="no such call"):
        house.signals.send(crm, SignalOrder(True, call_id=CallId("c0")), address=None)


def test_the_same_signal_sent_again_is_stored_once(house: House) -> None:
    """The key answers again, refuses another signal, and is each sender's own."""
    house.take("a", extension="2104", start_s=0)
    crm, other = house.user(), house.user("other")
    order = SignalOrder(True, "user", "2104", at=at(1))

    first = house.signals.send(crm, order, address=None, idempotency_key="k")
    house.now = UnixMillis(house.now + 60_000)
    again = house.signals.send(crm, order, address=None, idempotency_key="k")
    assert (again.signal_ids, again.at, again.matches) == (
        first.signal_ids,
        first.at,
        first.matches,
    )
    assert (first.repeated, again.repeated) == (False, True)
    with pytest.raises(Conflict, match="Idempotency-Key"):
        off = SignalOrder(False, "user", "2104", at=at(1))
        house.signals.send(crm, off, address=None, idempotency_key="k")
    house.signals.send(other, off, address=None, idempotency_key="k")
    with house.db.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM signals")).scalar() == 2


def test_unpaired_and_orphaned_signals_are_listed_and_settled(house: House) -> None:
    """Each leaves the list by a decision, with its reason; paired ones never were on it."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    house.take("b", extension="2105", start_s=0)
    crm, boss = house.user(), house.user("boss", Role.COMPLIANCE)
    ids = {}
    for name, extension, moment, mute in (
        ("alone", "2104", 4, True),
        ("paired on", "2105", 1, True),
        ("paired off", "2105", 2, False),
        ("orphan", "2105", 900, True),
    ):
        order = SignalOrder(mute, "user", extension, at=at(moment))
        (ids[name],) = house.signals.send(crm, order, address=None).signal_ids

    def listed(**wanted: object) -> dict[str, SignalState]:
        every = {"states": frozenset(), "settled": None, "limit": 100, "cursor": None}
        page = house.settling.signals(boss, **{**every, **wanted})  # type: ignore[arg-type]  # as named above
        return {each.id: each.state for each in page.items}

    assert listed() == {
        ids["orphan"]: SignalState.ORPHAN,
        ids["alone"]: SignalState.UNPAIRED,
        ids["paired off"]: SignalState.PAIRED,
        ids["paired on"]: SignalState.PAIRED,
    }
    assert masked(house, recording) == (Span(0.5, 2.5), Span(3.5, 10))
    supervisor = house.user("ann", Role.SUPERVISOR)
    completed = Settlement("completed", "pressed stop too late", at(6))
    with pytest.raises(Forbidden):
        house.settling.settle(supervisor, ids["alone"], completed, address=None)
    with pytest.raises(BadRequest, match="comes after"):
        early = Settlement("completed", "x", at(3))
        house.settling.settle(boss, ids["alone"], early, address=None)
    with pytest.raises(Conflict, match="partner"):
        accepted = Settlement("accepted", "x")
        house.settling.settle(boss, ids["paired on"], accepted, address=None)
    done = house.settling.settle(boss, ids["alone"], completed, address=None)
    assert (done.state, done.settled, done.settled_by) == (SignalState.PAIRED, "completed", "boss")
    assert house.masking.spans(boss, recording).masked_spans == (Span(0.5, 2.5), Span(3.5, 6.5))
    house.settling.settle(boss, ids["orphan"], Settlement("dismissed", "rang only"), address=None)
    assert listed(states=frozenset({SignalState.ORPHAN}), settled=False) == {}
    house.settling.settle(boss, ids["paired on"], Settlement("dismissed", "test"), address=None)
    house.settling.settle(boss, ids["paired off"], Settlement("dismissed", "test"), address=None)
    assert house.masking.spans(boss, recording).masked_spans == (Span(3.5, 6.5),)
    with house.db.read() as conn:
        last = audit.entries(conn, object_id=ids["paired off"])[-1]
    assert last.detail["before"] == {recording: [[0.0, 2.5, None], [3.5, 6.5, None]]}
    assert last.detail["after"] == {recording: [[3.5, 6.5, None]]}


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Settlement("forgotten", "x"), "settle: must be"),
        (Settlement("accepted", " "), "reason: is missing"),
        (Settlement("completed", "x"), "counterpart_at: goes"),
        (Settlement("dismissed", "x", at(1)), "counterpart_at: goes"),
    ],
)
def test_half_a_decision_is_refused(house: House, decision: Settlement, said: str) -> None:
    """Before anything is looked at."""
    boss = house.user("boss", Role.COMPLIANCE)
    with pytest.raises(BadRequest, match=said):
        house.settling.settle(boss, "s1", decision, address=None)


def test_what_is_burned_in_cannot_be_shown_as_clear(house: House) -> None:
    """Narrowing would tell a lie: the stored sound is masked for ever."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    crm, boss = house.user(), house.user("boss", Role.ADMINISTRATOR)
    span = house.masking.add(boss, recording, Span(2, 3), "card", address=None).changed
    order = SignalOrder(True, "user", "2104", at=at(8))
    (signal,) = house.signals.send(crm, order, address=None).signal_ids
    with house.db.write() as conn:
        conn.execute(text("UPDATE recordings SET burned_at = 1, burned_revision = 2"))
    assert span is not None
    with pytest.raises(Conflict, match="burned in"):
        house.masking.remove(boss, recording, span, "x", address=None)
    with pytest.raises(Conflict, match="burned in"):
        house.settling.settle(boss, signal, Settlement("dismissed", "x"), address=None)
    wider = house.masking.change(boss, recording, span, SpanChange("x", end_s=4), address=None)
    assert wider.masked_spans == (Span(2, 4), Span(7.5, 10))


def test_a_site_chooses_what_is_written_over_its_masks(house: House) -> None:
    """Another fill is another output: neither tag nor cached render of the old one is used."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    ann = house.user("ann", Role.SUPERVISOR)
    house.masking.add(ann, recording, Span(1, 2), "card", address=None)

    def tag(name: str) -> str:
        token = token_of(house.ask(ann, recording, AudioSpec(name)))
        delivery = house.deliver.open(token, head=True, address=None)
        delivery.close().result()
        return delivery.etag

    tone = {}
    for name in ("wav", "flac"):
        tone[name] = house.hear(house.ask(ann, recording, AudioSpec(name)))
    tags = {name: tag(name) for name in tone}
    with house.db.write() as conn:
        site = directory.ensure_datasource(conn, "3")
        directory.set_site(conn, replace(site, fill=fill_of("silence")))
    for name, before in tone.items():
        assert house.hear(house.ask(ann, recording, AudioSpec(name))) != before
        assert tag(name) != tags[name]
    heard = samples(house.hear(house.ask(ann, recording)))
    assert (heard[8000:16000] == 0).all()
    assert (heard[:8000] == samples(tone["wav"])[:8000]).all()
