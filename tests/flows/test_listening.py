"""Issue, deliver and signal over a real database, a real store and real sound."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from callreel.access.tokens import sign, verify
from callreel.db import calls, masks, users
from callreel.db.listened import listened
from callreel.errors import (
    CallreelError,
    MaskChanged,
    NotFound,
    NotReady,
    RecordingDeleted,
    TokenExpired,
    TokenRefused,
    TokenUsed,
    Unavailable,
    Unplayable,
)
from callreel.flows.peaks import Stretch
from callreel.flows.signal import SignalOrder
from callreel.flows.tidy import Tidy
from callreel.model import (
    AudioSpec,
    Grant,
    RecordingId,
    Role,
    Scope,
    Span,
    SpanSource,
    UnixMillis,
)
from tests.flows.house import ALL, SOUND_S, START, WAV, House, samples, token_of


def test_a_token_fetches_the_masked_sound_and_all_of_it_is_written_down(house: House) -> None:
    """The two steps, by id and by names, with what the audit log then tells."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()
    issued = house.issue.by_names(
        crm, datasource="3", voicelocation="1", voicefilename="R", spec=WAV, address="192.0.2.1"
    ).result(20)
    assert issued.url.startswith("http://echo.example/v/")
    heard = house.hear(issued)
    assert len(heard) == issued.size_bytes
    assert samples(heard).shape == (SOUND_S * 8000, 2)
    assert house.hear(issued) == heard
    told = [("token.issue", "allowed"), ("sound.start", "allowed")]
    assert house.actions(recording)[-4:] == [*told, *[("sound.end", "allowed")] * 2]


def test_a_token_that_is_used_again_is_one_listening_with_all_its_bytes(house: House) -> None:
    """Players ask for many ranges: from one address, under one mask, they began once."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    issued = house.ask(house.user("ann", Role.SUPERVISOR), recording)

    def fetch(address: str, sent: int) -> None:
        delivery = house.deliver.open(token_of(issued), head=False, address=address)
        delivery.started()
        delivery.close(sent).result()
        house.now = UnixMillis(house.now + 1000)

    for address, sent in (("192.0.2.1", 10), ("192.0.2.1", 20), ("192.0.2.2", 5)):
        fetch(address, sent)
    ada = house.user("ada", Role.SUPERVISOR)
    house.masking.add(ada, recording, Span(1.0, 2.0), "card", address=None)
    fetch("192.0.2.1", 40)
    with house.db.read() as conn:
        found = listened(conn, ALL, START, UnixMillis(house.now + 1), 10)
    told = [(each.listening.address, each.listening.bytes_sent) for each in found]
    assert sorted(told) == [("192.0.2.1", 30), ("192.0.2.1", 40), ("192.0.2.2", 5)]
    first = next(each.listening for each in found if each.listening.bytes_sent == 30)
    assert first.until == first.at + 1000


def test_a_signal_on_either_leg_masks_the_shared_recording_for_both(house: House) -> None:
    """Must-show 5: two calls, one recording, a signal about each of their users."""
    recording = house.take("a", extension="2104", start_s=0)
    assert house.take("b", extension="2105", start_s=5) == recording
    crm = house.user()
    for extension, on_s, off_s in (("2104", 1, 2), ("2105", 7, 8)):
        for at_s, mute in ((on_s, True), (off_s, False)):
            house.now = UnixMillis(START + at_s * 1000)
            house.signals.send(crm, SignalOrder(mute, "user", extension), address=None)
    house.now = UnixMillis(START + 3_600_000)
    page = house.browse.changes(crm, None, 100)
    assert {change.kind for change in page.items} == {"call", "recording", "mask"}
    heard = samples(house.hear(house.ask(crm, recording)))
    source = samples((house.folder / "R.wav").read_bytes())
    masked = np.zeros(len(source), bool)
    for start_s, end_s in ((0.5, 2.5), (6.5, 8.5)):
        masked[int(start_s * 8000) : int(end_s * 8000)] = True
    assert (heard[~masked] == source[~masked]).all()
    assert (heard[masked] == heard[masked][:, :1]).all(), "the tone is the same on both channels"
    for call_id in {change.call_id for change in page.items if change.call_id}:
        shown = house.browse.call(crm, call_id).masked_spans  # type: ignore[arg-type]  # an id of ours
        assert shown == (Span(0.5, 2.5), Span(6.5, 8.5))


def test_a_signal_about_nobody_known_is_refused(house: House) -> None:
    """404, and out of reach looks the same."""
    house.take("a", extension="2104", start_s=0)
    near = house.user("near", reach=Scope(site_ids=frozenset({"elsewhere"})))
    auditor = house.user("auditor", Role.AUDITOR)
    far = house.user()
    for who, extension in ((far, "9999"), (near, "2104"), (auditor, "2104")):
        with pytest.raises(NotFound, match=extension):
            house.signals.send(who, SignalOrder(True, "user", extension), address=None)


def test_what_is_not_yours_is_not_there(house: House) -> None:
    """One answer for both; an auditor sees calls and does not listen."""
    recording = house.take("a", extension="2104", start_s=0)
    messages = set()
    for who, wanted in (
        (house.user("far", reach=Scope(site_ids=frozenset({"elsewhere"}))), recording),
        (house.user("auditor", Role.AUDITOR), recording),
        (house.user(), "r" + "a" * 26),
    ):
        with pytest.raises(NotFound) as refused:
            house.ask(who, wanted)
        messages.add(refused.value.message)
    assert messages == {"There is no such recording."}


def test_a_render_can_be_asked_for_before_its_token(house: House) -> None:
    """With a known size afterwards; what is not yours is not rendered (contract.md 6.3)."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    far = house.user("far", reach=Scope(site_ids=frozenset({"elsewhere"})))
    flac = AudioSpec("flac")
    with pytest.raises(NotFound):
        house.issue.prepare(far, recording, flac)
    crm = house.user()
    assert house.ask(crm, recording, flac).size_bytes is None
    house.issue.prepare(crm, recording, flac)
    assert house.ask(crm, recording, flac).size_bytes is not None


def in_transaction(house: House, statement: str) -> None:
    """What an administrator, or a fault, does to the database."""
    with house.db.write() as conn:
        conn.execute(text(statement))


def delete(house: House, recording: str) -> None:
    """Retention comes by."""
    with house.db.write() as conn:
        assert calls.delete_recording(conn, RecordingId(recording), house.now)


def mark(house: House, recording: str, span: Span) -> None:
    """A span by hand."""
    with house.db.write() as conn:
        masks.add_spans(
            conn,
            RecordingId(recording),
            [span],
            SpanSource.HAND,
            actor="ann",
            reason="asked for",
            seal=house.keys.seal_mask,
            now=house.now,
        )


Harm = Callable[[House, str], object]
HARMS: list[tuple[str, Harm, type[CallreelError]]] = [
    ("deleted", delete, RecordingDeleted),
    (
        "unplayable",
        lambda h, _: in_transaction(h, "UPDATE recordings SET state='unplayable', reason='torn'"),
        Unplayable,
    ),
    ("still running", lambda h, _: setattr(h, "now", UnixMillis(START + 4_000)), NotReady),
    ("settling", lambda h, _: setattr(h, "now", UnixMillis(START + 6_000)), NotReady),
    ("a span that fits no seal", lambda h, _: in_transaction(h, FORGED_SPAN), Unavailable),
    (
        "a revision set back",
        lambda h, _: in_transaction(h, "UPDATE recordings SET mask_revision = 0"),
        Unavailable,
    ),
    ("the database is away", lambda h, _: in_transaction(h, "DROP TABLE spans"), Unavailable),
]
FORGED_SPAN = (
    "INSERT INTO spans (id, recording_id, start_s, end_s, source, state, created_at) "
    "SELECT 'x', id, 1, 2, 'hand', 'active', 0 FROM recordings"
)


@pytest.mark.parametrize(
    ("harm", "expected"), [harm[1:] for harm in HARMS], ids=[h[0] for h in HARMS]
)
def test_what_must_not_be_served_is_refused_at_both_steps_and_not_drawn(
    house: House, harm: Harm, expected: type[CallreelError]
) -> None:
    """At the token, at Echo with a token from before, and where peaks are kept; zero bytes."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()
    issued = house.ask(crm, recording)
    token = token_of(issued)
    grant = grant_of(house, token, house.now)
    house.peaks.look(crm, RecordingId(recording), Stretch())
    harm(house, recording)
    with pytest.raises(expected):
        house.peaks.look(crm, RecordingId(recording), Stretch())
    with pytest.raises(expected) as refused:
        house.ask(crm, recording)
    assert refused.value.message.endswith(".") or expected is Unplayable
    for head in (False, True):
        # Where the harm was to set the clock back, the token is as old as before.
        issued_at, expires_at = house.now, UnixMillis(house.now + 60_000)
        token = sign(replace(grant, issued_at=issued_at, expires_at=expires_at), house.keys)
        with pytest.raises(expected):
            house.deliver.open(token, head=head, address=None)


def grant_of(house: House, token: str, now: UnixMillis) -> Grant:
    """The grant of a token, at a moment when it was good."""
    return verify(token, house.keys, now)


def test_a_file_that_is_gone_from_its_store_is_away_not_lost(house: House, tmp_path: Path) -> None:
    """503: the administrator may bring it back."""
    recording = house.take("a", extension="2104", start_s=0)
    issued = house.ask(house.user(), recording)
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(Unavailable):
        house.hear(issued)


def test_a_file_in_place_is_served_while_its_bytes_are_the_imported_ones(house: House) -> None:
    """Touched is fine; other bytes of the same length are refused, the old ones welcome again."""
    recording = house.take("a", extension="2104", start_s=0, in_place=True)
    crm = house.user()
    heard = house.hear(house.ask(crm, recording))
    path = house.folder / "R.wav"
    good = path.read_bytes()
    os.utime(path, (1, 1))
    assert house.hear(house.ask(crm, recording)) == heard
    path.write_bytes(good[:-2] + b"xx")
    for _ in range(2):
        with pytest.raises(Unavailable, match="changed since it was imported"):
            house.hear(house.ask(crm, recording))
    path.write_bytes(good)
    assert house.hear(house.ask(crm, recording)) == heard
    path.write_bytes(good[:-2])
    with pytest.raises(Unavailable, match="changed since it was imported"):
        house.hear(house.ask(crm, recording))


def test_an_echo_sends_the_voicelocations_that_are_its_own(house: House) -> None:
    """A token for another node is refused like a forged one (contract.md 3.2)."""
    recording = house.take("a", extension="2104", start_s=0)
    issued = house.ask(house.user(), recording)
    for own, is_sent in ((set(), True), ({"1"}, True), ({"1", "2"}, True), ({"2"}, False)):
        house.deliver = house.echo(own)
        if is_sent:
            assert house.hear(issued)
        else:
            with pytest.raises(TokenRefused):
                house.hear(issued)


def test_a_token_is_judged_by_the_clock_of_who_serves(house: House) -> None:
    """59 s passes, 60 s is over, 6 s in the future is refused."""
    recording = house.take("a", extension="2104", start_s=0)
    issued = house.ask(house.user(), recording)
    begin = house.now
    house.now = UnixMillis(begin + 59_999)
    assert house.hear(issued)
    house.now = UnixMillis(begin + 60_000)
    with pytest.raises(TokenExpired):
        house.hear(issued)
    house.now = UnixMillis(begin - 5_001)
    with pytest.raises(TokenRefused):
        house.hear(issued)


def test_rights_that_were_withdrawn_after_issue_count_at_once(house: House) -> None:
    """Disabled, moved to another site, or a token of another location (T6, T7)."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()
    issued = house.ask(crm, recording)
    grant = grant_of(house, token_of(issued), house.now)
    elsewhere = sign(replace(grant, voicelocation="2"), house.keys)
    with pytest.raises(TokenRefused):
        house.deliver.open(elsewhere, head=False, address=None)
    with house.db.write() as conn:
        users.set_reach(conn, crm.web_user_id, Scope(site_ids=frozenset({"3"})))
    assert house.hear(issued)
    with house.db.write() as conn:
        users.set_reach(conn, crm.web_user_id, Scope())
    with pytest.raises(TokenRefused):
        house.hear(issued)
    with house.db.write() as conn:
        users.set_reach(conn, crm.web_user_id, ALL)
        users.disable(conn, "crm", house.now)
    with pytest.raises(TokenRefused):
        house.hear(issued)


def test_a_token_for_one_use_is_used_once_and_not_by_looking(house: House) -> None:
    """HEAD burns nothing; of two that begin at once one gets the sound (T4)."""
    recording = house.take("a", extension="2104", start_s=0)
    token = token_of(house.ask(house.user(), recording, single_use=True))
    house.deliver.open(token, head=True, address=None).close()
    first = house.deliver.open(token, head=False, address=None)
    second = house.deliver.open(token, head=False, address=None)
    first.started()
    with pytest.raises(TokenUsed):
        second.started()
    first.close()
    second.close()
    with pytest.raises(TokenUsed):
        house.deliver.open(token, head=False, address=None)


def test_a_mask_that_arrives_stops_the_answer(house: House) -> None:
    """Before the next second of sound; what follows is of another revision (T20, T21)."""
    recording = house.take("a", extension="2104", start_s=0)
    issued = house.ask(house.user(), recording)
    delivery = house.deliver.open(token_of(issued), head=False, address=None)
    assert delivery.size is not None
    stream = delivery.stream(0, delivery.size)
    before = b"".join(next(stream) for _ in range(4))
    mark(house, recording, Span(8, 9))
    with pytest.raises(MaskChanged):
        next(stream)
    old = delivery.etag
    delivery.close(len(before))
    fresh = house.deliver.open(token_of(issued), head=True, address=None)
    assert fresh.etag != old
    fresh.close()


def test_a_node_that_knows_older_masks_than_the_token_refuses(house: House) -> None:
    """The token carries the revision at issue as a minimum."""
    recording = house.take("a", extension="2104", start_s=0)
    issued = house.ask(house.user(), recording)
    grant = grant_of(house, token_of(issued), house.now)
    newer = sign(replace(grant, mask_revision=grant.mask_revision + 1), house.keys)
    with pytest.raises(Unavailable, match="newest masks"):
        house.deliver.open(newer, head=False, address=None)


def test_slots_are_bounded_and_come_back(house: House) -> None:
    """Two at once here; a third is told when to come again, and closing twice frees one slot."""
    recording = house.take("a", extension="2104", start_s=0)
    token = token_of(house.ask(house.user(), recording))
    open_now = [house.deliver.open(token, head=False, address=None) for _ in range(2)]
    for _ in range(3):
        with pytest.raises(Unavailable) as full:
            house.deliver.open(token, head=False, address=None)
        assert full.value.retry_after_s
    for delivery in open_now:
        delivery.close().result()
        delivery.close().result()
    open_now = [house.deliver.open(token, head=False, address=None) for _ in range(2)]
    for delivery in open_now:
        delivery.close().result()


def test_head_tells_the_size_without_encoding(house: House, tmp_path: Path) -> None:
    """WAV, MP3 and Opus at once; FLAC only after it was rendered (contract.md 3.3)."""
    recording = house.take("a", extension="2104", start_s=0)
    crm = house.user()
    for name in ("wav", "wav-ulaw", "wav-alaw", "mp3", "opus", "flac"):
        issued = house.ask(crm, recording, AudioSpec(name))
        head = house.deliver.open(token_of(issued), head=True, address=None)
        expected = None if name == "flac" else len(house.hear(issued))
        assert (head.size, issued.size_bytes) == (expected, expected)
    assert not list((tmp_path / "cache").rglob("*.flac"))
    issued = house.ask(crm, recording, AudioSpec("flac"))
    size = len(house.hear(issued))
    head = house.deliver.open(token_of(issued), head=True, address=None)
    assert head.size == house.ask(crm, recording, AudioSpec("flac")).size_bytes == size


def test_renders_of_an_older_mask_are_erased(house: House, tmp_path: Path) -> None:
    """And what was left by an earlier run; a render that is current stays (T19)."""
    recording = house.take("a", extension="2104", start_s=0)
    other = house.take("b", extension="2105", start_s=60, recording="Q")
    crm = house.user()
    flac = AudioSpec("flac")

    def kept() -> int:
        return len([path for path in (tmp_path / "cache").iterdir() if path.is_file()])

    house.hear(house.ask(crm, recording, flac))
    tidy = Tidy(house.db, house.cache, house.sound, lambda: house.now)
    assert kept() == 0
    for each in (recording, other):
        house.hear(house.ask(crm, each, flac))
    tidy.once()
    assert kept() == 2
    mark(house, recording, Span(1, 2))
    tidy.once()
    assert kept() == 1
    assert house.ask(crm, other, flac).size_bytes is not None


def test_used_tokens_are_forgotten_long_after_they_are_over(house: House) -> None:
    """Not before: a token is refused as used for as long as it could be accepted at all."""
    recording = house.take("a", extension="2104", start_s=0)
    tidy = Tidy(house.db, house.cache, house.sound, lambda: house.now)
    house.hear(house.ask(house.user(), recording, single_use=True))
    for later_ms, remembered in ((3_000_000, 1), (4_000_000, 0)):
        house.now = UnixMillis(START + 3_600_000 + later_ms)
        tidy.once()
        with house.db.read() as conn:
            assert conn.execute(text("SELECT count(*) FROM used_tokens")).scalar() == remembered


def test_an_end_that_cannot_be_written_down_is_told_to_the_log(house: House) -> None:
    """The sound has left; the slot comes back all the same."""
    recording = house.take("a", extension="2104", start_s=0)
    token = token_of(house.ask(house.user(), recording))
    deliveries = [house.deliver.open(token, head=False, address=None) for _ in range(2)]
    in_transaction(house, "DROP TABLE audit")
    for delivery in deliveries:
        delivery.close().result()
    assert len(house.lost) == 2
    house.deliver.open(token, head=False, address=None).close()
