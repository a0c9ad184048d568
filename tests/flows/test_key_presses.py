"""Keys that are heard in a recording: listed for a person, or masked before anything is served."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callreel.db import audit, calls, directory, key_presses
from callreel.db.call_filter import CallFilter
from callreel.db.search import search_calls
from callreel.errors import Forbidden, NotFound, NotReady
from callreel.flows.masking import SpanChange
from callreel.model import Party, Principal, RecordingId, Role, Span, SpanSource
from tests.audio.labelled_keys import Kind, key
from tests.flows.house import ALL, House, samples

SECONDS = 30


def with_keys(path: Path, *places: float, noise: int = 1) -> None:
    """Half a minute of noise on two channels, with a key of 0.1 s at each place on the left."""
    draw = np.random.default_rng(noise)
    sound = draw.integers(-90, 90, (SECONDS * 8000, 2)).astype(np.int16)
    for place in places:
        tone = key(np.random.default_rng(9), Kind(held_s=(0.1, 0.1), dbfs=(-12, -12)))
        start = round(place * 8000)
        sound[start : start + len(tone), 0] += tone.astype(np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(sound.astype("<i2").tobytes())


def set_policy(house: House, policy: str) -> None:
    """What the only site does with keys."""
    with house.db.write() as conn:
        site = directory.ensure_datasource(conn, "3")
        directory.set_site(conn, replace(site, key_presses=policy))


def take(house: House, policy: str, *places: float, name: str = "R") -> RecordingId:
    """Import a recording with keys at these places."""
    set_policy(house, policy)
    with_keys(house.folder / f"{name}.wav", *places)
    return RecordingId(house.take(f"call-{name}", extension="2104", start_s=0, recording=name))


def proposed(house: House, who: Principal, recording: RecordingId) -> list[tuple[float, float]]:
    """What a person is asked about, to a tenth of a second."""
    seen = house.masking.spans(who, recording)
    return [
        (round(each.span.start_s, 1), round(each.span.end_s, 1))
        for each in seen.spans
        if each.state == "proposed"
    ]


def test_keys_are_listed_for_a_person_and_nothing_is_masked(house: House) -> None:
    """The way of every site until it says otherwise."""
    recording = take(house, "list", 5.0, 5.6, 20.2)
    ann = house.user("ann", Role.SUPERVISOR)
    assert house.hear(house.ask(ann, recording))
    (searched,) = house.key_finder.once()
    assert (searched.recording_id, searched.done, searched.spans) == (recording, True, 2)
    assert proposed(house, ann, recording) == [(4.5, 6.2), (19.7, 20.8)]
    seen = house.masking.spans(ann, recording)
    assert (seen.masked_spans, seen.mask_revision) == ((), 1)
    assert {each.source for each in seen.spans} == {SpanSource.DTMF}
    assert house.key_finder.once() == []
    with house.db.read() as conn:
        for wanted, count in ((True, 1), (False, 0)):
            found = search_calls(conn, ALL, CallFilter(proposed=wanted), 5, None)
            assert len(found.items) == count
        (entry,) = [e for e in audit.entries(conn, object_id=recording) if e.action == "keys.find"]
    assert entry.detail == {"policy": "list", "spans": 2, "mask_revision": 1}


def test_keys_are_masked_before_anything_is_served(house: House) -> None:
    """Where the site wants that; nobody hears them even once."""
    recording = take(house, "apply", 5.0, 5.6)
    ann = house.user("ann", Role.SUPERVISOR)
    with pytest.raises(NotReady, match="keys") as refused:
        house.ask(ann, recording)
    assert refused.value.retry_after_s > 0
    (searched,) = house.key_finder.once()
    assert (searched.done, searched.spans) == (True, 1)
    heard = samples(house.hear(house.ask(ann, recording)))
    source = samples((house.folder / "R.wav").read_bytes())
    inside = slice(round(4.6 * 8000), round(6.1 * 8000))
    assert (heard[inside] != source[inside]).mean() > 0.9
    assert (heard[: round(4.4 * 8000)] == source[: round(4.4 * 8000)]).all()
    assert (heard[round(6.3 * 8000) :] == source[round(6.3 * 8000) :]).all()
    (stored,) = house.masking.spans(ann, recording).spans
    assert (stored.source, stored.state, stored.actor) == (SpanSource.DTMF, "active", "policy")


def test_a_recording_without_keys_is_served_once_it_was_searched(house: House) -> None:
    """And its mask is as it was."""
    recording = take(house, "apply")
    ann = house.user("ann", Role.SUPERVISOR)
    with pytest.raises(NotReady):
        house.ask(ann, recording)
    (searched,) = house.key_finder.once()
    assert searched.spans == 0
    assert house.hear(house.ask(ann, recording))
    assert house.masking.spans(ann, recording).mask_revision == 1


def test_a_site_that_wants_nothing_of_it_gets_nothing(house: House) -> None:
    """Nothing waits, nothing is searched."""
    take(house, "off", 5.0)
    assert house.key_finder.once() == []


def test_what_cannot_be_searched_is_not_served_and_holds_nobody_up(house: House) -> None:
    """Its stored sound is away; the next one is searched all the same, and the first one later."""
    broken = take(house, "apply", 5.0, name="A")
    whole = take(house, "apply", 6.0, name="B")
    ann = house.user("ann", Role.SUPERVISOR)
    with house.db.read() as conn:
        recording = calls.find_recording(conn, ALL, broken)
    assert recording is not None
    stored = next(house.folder.parent.glob(f"store/**/{recording.object_key.rpartition('/')[2]}"))
    aside = stored.rename(stored.with_suffix(".aside"))
    results = {each.recording_id: each.done for each in house.key_finder.once()}
    assert results == {broken: False, whole: True}
    with pytest.raises(NotReady):
        house.ask(ann, broken)
    aside.rename(stored)
    assert house.key_finder.once() == []
    house.now += 301_000
    (searched,) = house.key_finder.once()
    assert (searched.recording_id, searched.spans) == (broken, 1)


def test_taking_one_proposal_leaves_the_others_as_they_are(house: House) -> None:
    """A person goes through the list; ids stay good."""
    recording = take(house, "list", 5.0, 12.0, 20.0)
    ann, carl = house.user("ann", Role.SUPERVISOR), house.user("carl", Role.COMPLIANCE)
    house.key_finder.once()
    first, second, third = [each.id for each in house.masking.spans(ann, recording).spans]
    taken = house.masking.change(
        ann, recording, first, SpanChange("a card", confirm=True), address=None
    )
    assert [each.state for each in taken.spans] == ["active", "proposed", "proposed"]
    with pytest.raises(Forbidden):
        house.masking.remove(ann, recording, second, "no card", address=None)
    left = house.masking.remove(carl, recording, second, "no card", address=None)
    assert [each.state for each in left.spans] == ["active", "removed", "proposed"]
    house.masking.change(ann, recording, third, SpanChange("a card", confirm=True), address=None)
    assert house.key_finder.once() == []


@pytest.mark.parametrize(
    ("wanted", "is_less"),
    [
        (SpanChange("moved", start_s=29.98, end_s=29.99), True),
        (SpanChange("shorter", end_s=5.0), True),
        (SpanChange("one party", channel=Party.RIGHT.value), True),
        (SpanChange("longer", start_s=4.0, end_s=6.0), False),
    ],
    ids=["elsewhere", "shorter", "one-channel", "longer"],
)
def test_a_proposal_is_not_dismissed_by_moving_it(
    house: House, wanted: SpanChange, is_less: bool
) -> None:
    """Masking less than what was proposed needs the right to narrow, as taking it away does."""
    recording = take(house, "list", 5.0, 20.0)
    ann, carl = house.user("ann", Role.SUPERVISOR), house.user("carl", Role.COMPLIANCE)
    house.key_finder.once()
    first = house.masking.spans(ann, recording).spans[0].id
    if is_less:
        with pytest.raises(Forbidden):
            house.masking.change(ann, recording, first, wanted, address=None)
        assert proposed(house, ann, recording)[0] == (4.5, 5.6)
    who = carl if is_less else ann
    house.masking.change(who, recording, first, wanted, address=None)
    assert [each.state for each in house.masking.spans(carl, recording).spans].count("active") == 1


def test_a_dismissed_proposal_does_not_come_back(house: House) -> None:
    """Even where the sound is searched again."""
    recording = take(house, "list", 5.0, 20.0)
    carl = house.user("carl", Role.COMPLIANCE)
    house.key_finder.once()
    first, kept = [each.id for each in house.masking.spans(carl, recording).spans]
    house.masking.remove(carl, recording, first, "a menu", address=None)
    house.masking.add(carl, recording, Span(10.0, 11.0), "name", address=None)
    (searched,) = house.key_finder.once()
    assert searched.spans == 1
    seen = house.masking.spans(carl, recording).spans
    assert {each.id: each.state for each in seen if each.source is SpanSource.DTMF} == {
        first: "removed",
        kept: "proposed",
    }


def test_proposals_of_an_older_mask_are_not_shown(house: House) -> None:
    """They may tell of what is masked now; what is still to be heard is proposed again."""
    recording = take(house, "list", 5.0, 7.5, 20.0)
    ann = house.user("ann", Role.SUPERVISOR)
    house.key_finder.once()
    assert proposed(house, ann, recording) == [(4.5, 8.1), (19.5, 20.6)]
    stale = house.masking.spans(ann, recording).spans[0].id
    house.masking.add(ann, recording, Span(4.0, 6.0), "card", address=None)
    assert proposed(house, ann, recording) == []
    with pytest.raises(NotFound):
        house.masking.change(ann, recording, stale, SpanChange("x", confirm=True), address=None)
    with house.db.read() as conn:
        assert search_calls(conn, ALL, CallFilter(proposed=True), 5, None).items == ()
    house.key_finder.once()
    assert proposed(house, ann, recording) == [(7.0, 8.1), (19.5, 20.6)]


@pytest.mark.parametrize("policy", ["list", "apply"])
def test_keys_within_a_mask_leave_no_trace(house: House, policy: str) -> None:
    """One recording has keys where it is masked, the other has none; their rows are alike."""
    ann = house.user("ann", Role.SUPERVISOR)
    rows = []
    for name, places in (("A", (5.0, 5.6, 20.0)), ("B", (20.0,))):
        recording = take(house, policy, *places, name=name)
        house.masking.add(ann, recording, Span(4.9, 5.8), "card", address=None)
        house.key_finder.once()
        seen = house.masking.spans(ann, recording)
        rows.append([(s.span, s.source, s.state) for s in seen.spans])
    assert rows[0] == rows[1]
    assert len(rows[0]) == 2


def test_a_mask_that_comes_while_it_is_searched_begins_the_search_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found belongs to the mask it was found with."""
    recording = take(house, "list", 5.0, 20.0)
    ann = house.user("ann", Role.SUPERVISOR)
    listens = house.key_finder._store  # the moment between search and store

    def meanwhile(*args: object) -> object:
        monkeypatch.undo()
        house.masking.add(ann, recording, Span(4.0, 6.0), "card", address=None)
        return listens(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(house.key_finder, "_store", meanwhile)
    (searched,) = house.key_finder.once()
    assert searched.spans == 1
    assert proposed(house, ann, recording) == [(19.5, 20.6)]


def test_other_sound_under_the_same_names_is_searched_again(house: House) -> None:
    """Nobody listened for keys in it yet, so it is not served."""
    recording = take(house, "apply", 5.0)
    ann = house.user("ann", Role.SUPERVISOR)
    house.key_finder.once()
    assert take(house, "apply", 12.0) == recording
    with pytest.raises(NotReady):
        house.ask(ann, recording)
    (searched,) = house.key_finder.once()
    assert searched.spans == 1
    assert [each.start_s for each in house.masking.spans(ann, recording).masked_spans] == [
        pytest.approx(4.5, abs=0.02),
        pytest.approx(11.5, abs=0.02),
    ]


def test_nothing_is_burned_in_that_is_still_to_be_searched(house: House) -> None:
    """By the policy of a site; a proposal may come out of it."""
    recording = take(house, "list", 5.0)
    carl = house.user("carl", Role.COMPLIANCE)
    with house.db.write() as conn:
        site = directory.ensure_datasource(conn, "3")
        directory.set_site(conn, replace(site, burn_in_after_s=1.0))
    house.masking.add(carl, recording, Span(10.0, 11.0), "name", address=None)
    assert house.burner.due() == ()
    house.key_finder.once()
    assert house.burner.due() == ()
    (span,) = [s for s in house.masking.spans(carl, recording).spans if s.state == "proposed"]
    house.masking.change(carl, recording, span.id, SpanChange("card", confirm=True), address=None)
    assert house.burner.due() == (recording,)


def test_a_search_that_nobody_waits_for_changes_nothing(house: House) -> None:
    """Two servers found the same recording at the same moment."""
    recording = take(house, "list", 5.0)
    house.key_finder.once()
    again = house.key_finder.search(recording, actor="policy")
    assert (again.done, again.spans) == (True, 0)
    with house.db.write() as conn:
        key_presses.ask_for(conn, [recording], "list")
    assert house.key_finder.search(recording, actor="command").spans == 1
    ann = house.user("ann", Role.SUPERVISOR)
    assert len(proposed(house, ann, recording)) == 1
    with pytest.raises(NotFound):
        house.key_finder.search(RecordingId("r" + "0" * 20), actor="command")
