"""Which calls the demo has."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from callreel.demo.conversations import load_conversations
from callreel.demo.plan import QUIET, PlannedCall, plan_calls
from callreel.demo.sound import Form
from callreel.demo.town import SITES
from callreel.model import Direction, Disposition, UnixMillis

NOW = UnixMillis(int(datetime(2026, 9, 21, 13, 0, tzinfo=UTC).timestamp() * 1000))
FICTION = ("07700900", "01632960", "01614960", "+120255501")
SEEDS = range(12)


@pytest.fixture(params=SEEDS)
def calls(request: pytest.FixtureRequest) -> tuple[PlannedCall, ...]:
    """A plan; what is asked of it must hold whatever was drawn."""
    return plan_calls(request.param, NOW, load_conversations())


def test_the_same_seed_and_instant_give_the_same_calls() -> None:
    """A build that was killed ends as the same calls; another seed gives others."""
    told = load_conversations()
    assert plan_calls(5, NOW, told) == plan_calls(5, NOW, told)
    assert plan_calls(5, NOW, told) != plan_calls(6, NOW, told)


def test_there_are_at_least_two_hundred_calls_in_thirty_days(
    calls: tuple[PlannedCall, ...],
) -> None:
    """They fill the month before the build, and none is so young that it would have to settle."""
    days = {(NOW - call.started_at) // 86_400_000 for call in calls}
    assert len(calls) >= 200
    assert len({call.key for call in calls}) == len(calls)
    assert min(days) >= 0
    assert 25 <= max(days) < 30
    ends = max(call.started_at + call.duration_s * 1000 for call in calls)
    assert ends < NOW - (QUIET - timedelta(minutes=2)).total_seconds() * 1000


def test_every_kind_of_call_is_there(calls: tuple[PlannedCall, ...]) -> None:
    """Two sites; inbound, outbound, internal; abandoned ones have no recording."""
    assert {call.site for call in calls} == set(SITES)
    assert {call.direction for call in calls} == set(Direction) - {Direction.UNKNOWN}
    unrecorded = [call for call in calls if call.voicefilename is None]
    assert Counter(call.disposition for call in unrecorded)[Disposition.ABANDONED] >= 20
    assert all(call.sound is None for call in unrecorded)
    assert all(call.sound for call in calls if call.voicefilename)


def test_transferred_calls_share_one_recording(calls: tuple[PlannedCall, ...]) -> None:
    """At least six pairs: same sound, another extension, one after the other."""
    seconds = [call for call in calls if call.recording_name]
    first_of = {call.key: call for call in calls}
    assert len(seconds) >= 6
    for second in seconds:
        first = first_of[second.key.removesuffix("-second")]
        assert second.sound == first.sound
        assert second.recording_name == first.voicefilename
        assert second.extension != first.extension
        assert second.started_at > first.started_at
        assert second.linked_id == first.linked_id is not None
    assert {call.voicefilename == call.recording_name for call in seconds} == {True, False}


def test_masked_calls_are_many_and_of_every_kind(calls: tuple[PlannedCall, ...]) -> None:
    """At least 24, six of them with several spans, some of one party only."""
    masked = [call for call in calls if call.spans]
    assert len(masked) >= 24
    assert sum(len(call.spans) > 1 for call in masked) >= 6
    assert sum(any(span.channel for span in call.spans) for call in masked) >= 2
    for call in masked:
        assert call.sound is not None
        assert call.spans[-1].end_s <= call.sound.duration_s
        starts_and_ends = [edge for span in call.spans for edge in (span.start_s, span.end_s)]
        assert starts_and_ends == sorted(starts_and_ends)


def test_every_card_that_is_heard_is_masked(calls: tuple[PlannedCall, ...]) -> None:
    """No call of the demo lets a card be heard: spans reach over every stretch of digits."""
    for call in calls:
        if call.sound is None:
            continue
        lead_s = call.sound.lead.duration_s
        for card, span in zip(call.sound.told.card_spans, call.spans, strict=True):
            assert span.start_s <= card.start_s + lead_s - 0.25
            assert span.end_s >= card.end_s + lead_s + 0.25
            assert span.channel in {None, card.channel}


def test_recordings_are_of_many_formats(calls: tuple[PlannedCall, ...]) -> None:
    """Conversion is real: most kinds of files are among the sources."""
    forms = {call.sound.form for call in calls if call.sound}
    assert len(forms) >= len(Form) - 1


def test_names_and_numbers_are_invented_and_of_several_styles(
    calls: tuple[PlannedCall, ...],
) -> None:
    """Numbers of customers come from the ranges for fiction; names look like three systems'."""
    people = {person.extension for site in SITES for person in site.people}
    ours = {site.main_number for site in SITES}
    for call in calls:
        for number in (call.from_number, call.to_number):
            assert number in people | ours or number.startswith(FICTION)
    names = [call.voicefilename for call in calls if call.voicefilename]
    assert any(name.startswith("NCS") and len(name) == 43 for name in names)
    assert any(len(name) == 36 and name.count("-") == 4 for name in names)
    assert any(name.startswith(("external-", "out-", "internal-")) for name in names)


@pytest.mark.parametrize("form", Form, ids=lambda form: form.name)
def test_a_chance_stands_for_every_form(form: Form) -> None:
    """The chances of the forms add up to one and each can be drawn."""
    before = sum(other.value[4] for other in list(Form)[: list(Form).index(form)])
    assert Form.drawn(before + form.value[4] / 2) is form
    assert sum(other.value[4] for other in Form) == pytest.approx(1)
