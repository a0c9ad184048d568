"""Which signal ends which mask, where calls share a recording and people correct masks."""

from __future__ import annotations

import pytest

from callreel.db import calls
from callreel.errors import BadRequest
from callreel.flows.masking import SpanChange
from callreel.flows.signal import SignalOrder
from callreel.model import CallId, RecordingId, Role, Span
from tests.flows.house import ALL, House
from tests.flows.test_masking import at, masked


def test_calls_that_share_a_recording_mask_each_for_itself(house: House) -> None:
    """The off of one named call does not end what the other has still masked."""
    recording = house.take("a", extension="2104", start_s=0)
    house.take("b", extension="2105", start_s=0)
    crm = house.user()
    with house.db.read() as conn:
        first, second = [each.id for each in calls.calls_of(conn, ALL, RecordingId(recording))]
    for call, mute, moment in ((first, True, 1), (second, True, 2), (first, False, 3)):
        order = SignalOrder(mute, call_id=CallId(call), at=at(moment))
        house.signals.send(crm, order, address=None)
    assert masked(house, recording) == (Span(0.5, 10.0),)
    order = SignalOrder(False, call_id=CallId(second), at=at(4.9))
    house.signals.send(crm, order, address=None)
    assert masked(house, recording) == (Span(0.5, 5.4),)


@pytest.mark.parametrize("how", ["taken away", "moved"])
def test_after_a_person_corrected_an_unpaired_on_the_next_one_masks(house: House, how: str) -> None:
    """It is no repeat of the one that was given up."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    crm, carl = house.user(), house.user("carl", Role.COMPLIANCE)
    house.signals.send(crm, SignalOrder(True, "user", "2104", at=at(1)), address=None)
    (span,) = house.masking.spans(carl, recording).spans
    if how == "taken away":
        house.masking.remove(carl, recording, span.id, "by mistake", address=None)
    else:
        change = SpanChange("only this", end_s=2.0)
        house.masking.change(carl, recording, span.id, change, address=None)
    house.signals.send(crm, SignalOrder(True, "user", "2104", at=at(4)), address=None)
    assert masked(house, recording)[-1] == Span(3.5, 10.0)


@pytest.mark.parametrize("position", [1.1e9, 1e300])
def test_no_recording_is_that_long(house: House, position: float) -> None:
    """A position that is a mistake is named, and stored nowhere."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    ann = house.user("ann", Role.SUPERVISOR)
    with pytest.raises(BadRequest, match="end_s"):
        house.masking.add(ann, recording, Span(1, position), "x", address=None)
    with pytest.raises(BadRequest, match="start_s"):
        house.masking.add(ann, recording, Span(position, position * 1.1), "x", address=None)
    assert house.masking.spans(ann, recording).spans == ()
