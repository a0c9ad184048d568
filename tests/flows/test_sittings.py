"""What is written down of those who listen: nobody hears more, or other things, than it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from callreel.db import listened, masks, playbacks
from callreel.errors import BadRequest
from callreel.flows.delivery import Delivery
from callreel.flows.listen import Listening
from callreel.flows.sittings import SITTING_MS, SPEC, Asked, Listener
from callreel.flows.streams import Streams
from callreel.model import (
    AudioSpec,
    Principal,
    Recording,
    RecordingId,
    Scope,
    Span,
    SpanSource,
    UnixMillis,
)
from tests.flows.house import House, open_house

NAME = "p0123456789abcdef0123"
HEADER = 44
PER_S = 32_000
"""Bytes of a second: two channels of 16 bits at 8 kHz."""
SOUND_S = 10.0


@dataclass
class Room:
    """A house with somebody who listens to a recording of ten seconds, as it was taken in."""

    house: House
    who: Principal
    recording_id: RecordingId
    lost: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Build the flow over the house's parts."""
        house = self.house
        self.listening = Listening(
            house.db,
            house.sound,
            Streams(8, 8),
            lambda: house.now,
            on_audit_failure=self.lost.append,
        )
        self.listener = Listener(self.who, lambda _conn, _now: None, "u", "session-1")

    @property
    def recording(self) -> Recording:
        """As it is now."""
        return self.recording_of(self.recording_id)

    def recording_of(self, recording_id: RecordingId) -> Recording:
        """As it is now."""
        from callreel.db import calls  # noqa: PLC0415  # only here

        with self.house.db.read() as conn:
            found = calls.find_recording(conn, Scope(everything=True), recording_id)
        assert found is not None
        return found

    def open(self, listener: Listener | None = None, address: str | None = "192.0.2.7") -> Delivery:
        """A piece for a player."""
        recording = self.recording
        return self.listening.open_piece(
            listener or self.listener,
            recording,
            recording.mask_revision,
            Asked(None, SPEC, NAME, address),
            head=False,
        )

    def play(
        self,
        start: int = 0,
        count: int = PER_S,
        listener: Listener | None = None,
        address: str | None = "192.0.2.7",
    ) -> None:
        """Fetch some bytes, as a player does, and tell nothing."""
        delivery = self.open(listener, address)
        delivery.started()
        sent = len(b"".join(delivery.stream(start, start + count)))
        delivery.close(sent).result()

    def rows(self) -> list[playbacks.Playback]:
        """The sittings, in their order."""
        from callreel.db.people_schema import playbacks as table  # noqa: PLC0415  # only here

        with self.house.db.read() as conn:
            query = table.select().order_by(table.c.started_at, table.c.heard_at)
            return [playbacks.of_row(row) for row in conn.execute(query).mappings()]

    def later(self, ms: int) -> None:
        """Time goes by."""
        self.house.now = UnixMillis(self.house.now + ms)

    def told(self) -> list[listened.Listening]:
        """What the playback audit has of this recording, oldest first."""
        with self.house.db.read() as conn:
            found = listened.listened(
                conn, Scope(everything=True), UnixMillis(0), UnixMillis(self.house.now + 1), 100
            )
        return [each.listening for each in reversed(found)]


@pytest.fixture
def room(tmp_path: Path, database_url: str) -> Iterator[Room]:
    """On each kind of database."""
    with open_house(tmp_path, database_url) as house:
        recording = RecordingId(house.take("a", extension="2104", start_s=0))
        yield Room(house, house.user(), recording)


def test_what_left_is_written_down_though_nothing_is_told(room: Room) -> None:
    """Whoever wants to listen unseen needs only say nothing: the server says it."""
    room.play(0, HEADER + 2 * PER_S)
    room.play(HEADER + 2 * PER_S, PER_S)
    room.play(HEADER + 5 * PER_S, PER_S // 2)
    (row,) = room.rows()
    assert row.sent == ((0.0, 3.0), (5.0, 5.5))
    assert row.heard == ()
    (told,) = room.told()
    assert (told.sent, told.heard, told.address) == (row.sent, (), "192.0.2.7")


def test_a_row_is_there_before_the_first_byte(room: Room) -> None:
    """Whatever stops the server after that."""
    delivery = room.open()
    delivery.started()
    (row,) = room.rows()
    assert row.sent == ()
    delivery.close(0).result()


def test_a_name_that_is_used_again_is_another_sitting(room: Room) -> None:
    """By another session, from another address, under another mask, and after an hour."""
    room.play()
    room.later(1000)
    room.play()
    assert len(room.rows()) == 1
    room.later(1000)
    room.play(listener=replace(room.listener, seat="session-2"))
    assert len(room.rows()) == 2
    room.later(1000)
    room.play(address="192.0.2.8", listener=replace(room.listener, seat="session-2"))
    assert [row.address for row in room.rows()] == ["192.0.2.7", "192.0.2.7", "192.0.2.8"]
    room.later(SITTING_MS)
    room.play(address="192.0.2.8", listener=replace(room.listener, seat="session-2"))
    assert len(room.rows()) == 4
    with room.house.db.write() as conn:
        seal, now = room.house.keys.seal_mask, room.house.now
        masks.add_spans(
            conn, room.recording_id, [Span(4, 5)], SpanSource.HAND,
            actor="ann", reason="asked for", seal=seal, now=now,
        )  # fmt: skip
    room.later(1000)
    room.play(address="192.0.2.8", listener=replace(room.listener, seat="session-2"))
    assert [row.mask_revision for row in room.rows()][-2:] == [1, 2]
    begun = [each for each in room.house.actions(room.recording_id) if each[0] == "sound.start"]
    assert len(begun) == 5


def test_a_long_sitting_goes_on_while_sound_leaves(room: Room) -> None:
    """An hour after the last of it, not after the first."""
    for _ in range(4):
        room.play()
        room.later(SITTING_MS - 1)
    assert len(room.rows()) == 1


def test_what_a_player_tells_lies_within_the_recording(room: Room) -> None:
    """And is told of a sitting of the same user and recording."""
    room.play()
    sittings, recording = room.listening.sittings, room.recording
    sittings.heard(room.who, recording, NAME, [(0.0, 2.0), (9.0, 12.0), (500_000, 900_000)], 1.0)
    (row,) = room.rows()
    assert row.heard == ((0.0, 2.0), (9.0, SOUND_S))
    other = room.recording_of(
        RecordingId(room.house.take("b", extension="2104", start_s=60, recording="S"))
    )
    with pytest.raises(BadRequest, match="nothing was played"):
        sittings.heard(room.who, other, NAME, [(0.0, 1.0)], 1.0)
    somebody = replace(room.who, web_user_id=room.who.web_user_id + "x")
    with pytest.raises(BadRequest, match="nothing was played"):
        sittings.heard(somebody, recording, NAME, [(0.0, 1.0)], 1.0)


def test_files_at_the_same_time_keep_their_own_numbers(room: Room) -> None:
    """The one that began first may end last; a link's label is told with its file."""
    labelled = replace(
        room.listener, door="lease", label="Ann Other", detail={"lease": "l", "label": "Ann Other"}
    )
    slow, quick = (
        room.listening.open_file(
            listener, room.recording, Asked(None, spec, None, "192.0.2.7"), head=False
        )
        for listener, spec in ((room.listener, SPEC), (labelled, AudioSpec("mp3")))
    )
    slow.started()
    room.later(1000)
    quick.started()
    room.later(1000)
    quick.close(1234).result()
    room.later(1000)
    slow.close(9876).result()
    first, second = room.told()
    assert (first.what, first.bytes_sent, first.label) == ("download: wav both", 9876, None)
    assert second.what == "download: mp3 both"
    assert (second.bytes_sent, second.label) == (1234, "Ann Other")
    assert first.until is not None
    assert second.until is not None
    assert (first.until - first.at, second.until - second.at) == (3000, 1000)
