"""Links of integrators: a ticket for a minute, a lease for as long as somebody listens."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import update

from callreel.access.tokens import LIFETIME_MS as TOKEN_LIFETIME_MS
from callreel.db import audit, burns, calls, leases, masks, playbacks, tickets, users
from callreel.db.schema import web_users
from callreel.errors import (
    BadRequest,
    CallreelError,
    Forbidden,
    Gone,
    MaskChanged,
    NotFound,
    NotReady,
    RecordingDeleted,
    TicketExpired,
    TicketUsed,
    Unavailable,
)
from callreel.flows.delivery import Delivery
from callreel.flows.lease import SEEN_EVERY_MS, SHORTEST_MS, BegunLease, Leases, OpenLease
from callreel.flows.listen import Listening
from callreel.flows.streams import Streams
from callreel.flows.ticket import LIFETIME_MS, TicketOrder, Tickets
from callreel.flows.tidy import TICKETS_MS, Tidy
from callreel.model import Principal, RecordingId, Role, Scope, Span, SpanSource, UnixMillis
from tests.flows.house import START, House, open_house, samples

MINUTE_MS = 60_000
SITTING = "p0123456789abcdef0123"
ORDER = TicketOrder("Ann of Brightwater")


@dataclass
class Linked:
    """A house with an integrator, a recording, and what makes and opens links."""

    house: House
    crm: Principal
    recording: RecordingId
    lost: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Build the flows over the house's parts."""
        house = self.house

        def clock() -> UnixMillis:
            return house.now

        self.tickets = Tickets(house.db, house.sound, clock, "https://calls.example")
        self.listening = Listening(
            house.db, house.sound, Streams(8, 2), clock, on_audit_failure=self.lost.append
        )
        self.leases = Leases(house.db, house.sound, self.listening, clock)

    def ticket(self, order: TicketOrder = ORDER) -> str:
        """What stands at the end of a link."""
        issued = self.tickets.issue(self.crm, self.recording, order, "192.0.2.1")
        assert issued.url.startswith("https://calls.example/p/")
        return issued.url.rpartition("/")[2]

    def begin(self, ticket: str) -> BegunLease:
        """Open a link."""
        return self.leases.begin(ticket, "192.0.2.7")

    def lease(self) -> str:
        """The secret of a fresh lease."""
        return self.begin(self.ticket()).secret

    def hear(self, secret: str, revision: int | None = None) -> bytes:
        """All bytes of a lease, as its player fetches them."""
        held = self.leases.find(secret)
        wanted = held.recording.mask_revision if revision is None else revision
        delivery = self.leases.open(held, wanted, SITTING, head=False, address="192.0.2.7")
        try:
            assert delivery.size is not None
            delivery.started()
            return b"".join(delivery.stream(0, delivery.size))
        finally:
            delivery.close(1).result()

    def later(self, ms: int) -> None:
        """Time goes by."""
        self.house.now = UnixMillis(self.house.now + ms)

    def mask(self) -> None:
        """A span arrives."""
        with self.house.db.write() as conn:
            masks.add_spans(
                conn,
                self.recording,
                [Span(8, 9)],
                SpanSource.HAND,
                actor="ann",
                reason="asked for",
                seal=self.house.keys.seal_mask,
                now=self.house.now,
            )

    def told(self, action: str) -> list[audit.AuditEntry]:
        """Rows of the audit log about one action."""
        with self.house.db.read() as conn:
            found = audit.entries(conn, object_id=self.recording)
        return [entry for entry in found if entry.action == action]


def make_linked(house: House) -> Linked:
    """An integrator, and a call of ten seconds."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    return Linked(house, house.user(), recording)


@pytest.fixture
def linked(house: House) -> Linked:
    """On SQLite."""
    return make_linked(house)


@pytest.fixture
def linked_on_each(tmp_path: Path, database_url: str) -> Iterator[Linked]:
    """On each kind of database."""
    with open_house(tmp_path, database_url) as house:
        yield make_linked(house)


def test_a_link_opens_a_player_and_all_of_it_is_written_down(linked_on_each: Linked) -> None:
    """Who asked, for whom, when it was opened, where from, and what was heard."""
    linked = linked_on_each
    begun = linked.begin(linked.ticket())
    assert begun.lasts_s == SHORTEST_MS // 1000
    assert samples(linked.hear(begun.secret)).shape == (80_000, 2)
    (issued,), (used,) = linked.told("ticket.issue"), linked.told("ticket.use")
    assert (issued.actor, issued.decision, issued.address) == ("crm", "allowed", "192.0.2.1")
    assert issued.detail["label"] == used.detail["label"] == "Ann of Brightwater"
    assert issued.detail["ticket"] == used.detail["ticket"]
    assert (used.detail["lease"], used.address) == (begun.name, "192.0.2.7")
    (started,) = linked.told("sound.start")
    assert started.detail["door"] == "lease"
    assert started.detail["lease"] == begun.name
    with linked.house.db.read() as conn:
        assert playbacks.of_recording(conn, linked.recording) == (("Ann of Brightwater", 1),)


def test_each_lease_has_its_own_places(linked: Linked) -> None:
    """A hundred people with links of one program do not take them from each other."""
    first, second = (linked.leases.find(linked.lease()) for _ in range(2))

    def listen(held: OpenLease) -> Delivery:
        """Ask for sound, and read nothing of it."""
        return linked.leases.open(
            held, held.recording.mask_revision, SITTING, head=False, address="192.0.2.7"
        )

    open_now = [listen(first), listen(first)]
    with pytest.raises(Unavailable, match="sent to you already"):
        listen(first)
    open_now.append(listen(second))
    for delivery in open_now:
        delivery.close().result()
    listen(first).close()


def test_neither_ticket_nor_lease_is_stored_as_it_is(linked: Linked) -> None:
    """Whoever reads database or audit log opens nothing with it."""
    ticket = linked.ticket()
    begun = linked.begin(ticket)
    assert begun.secret not in begun.name
    for path in linked.house.folder.parent.glob("callreel.db*"):
        assert ticket.encode() not in path.read_bytes()
        assert begun.secret.encode() not in path.read_bytes()
    told = json.dumps([dict(entry.detail) for entry in linked.told("ticket.use")])
    assert begun.secret not in told
    assert ticket not in told
    assert begun.name in told


@pytest.mark.parametrize("uses", [1, 3])
def test_a_link_is_opened_as_often_as_it_may_be(linked: Linked, uses: int) -> None:
    """Each time it is a lease of its own; then it is used, and the audit log says so."""
    ticket = linked.ticket(TicketOrder("a scanner of mail", uses))
    assert len({linked.begin(ticket).secret for _ in range(uses)}) == uses
    with pytest.raises(TicketUsed):
        linked.begin(ticket)
    decisions = [entry.decision for entry in linked.told("ticket.use")]
    assert decisions == ["allowed"] * uses + ["ticket_used"]


def test_of_many_who_open_it_at_once_one_gets_in(linked_on_each: Linked) -> None:
    """One statement decides, on either database."""
    linked = linked_on_each
    ticket = linked.ticket()
    start = threading.Barrier(8)
    outcomes: list[str] = []

    def open_it() -> None:
        start.wait()
        try:
            outcomes.append(linked.begin(ticket).secret)
        except TicketUsed as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes.count("ticket_used") == 7
    assert len(outcomes) == 8


def test_a_link_is_too_old_after_a_minute(linked: Linked) -> None:
    """59.999 s pass, 60 s do not; it is told what it was for a day, and then is none."""
    assert LIFETIME_MS == TOKEN_LIFETIME_MS == MINUTE_MS
    good, late = linked.ticket(), linked.ticket()
    linked.later(MINUTE_MS - 1)
    linked.begin(good)
    linked.later(1)
    for _ in range(2):
        with pytest.raises(TicketExpired):
            linked.begin(late)
    tidy = Tidy(linked.house.db, linked.house.cache, linked.house.sound, lambda: linked.house.now)
    linked.later(TICKETS_MS)
    tidy.once()
    with pytest.raises(TicketExpired):
        linked.begin(late)
    linked.later(1)
    tidy.once()
    with pytest.raises(NotFound):
        linked.begin(late)


@pytest.mark.parametrize(
    "ticket", ["", "x", "A" * 22, "A" * 23, "é" * 22, "../../etc/passwd000000"]
)
def test_what_is_no_ticket_opens_nothing(linked: Linked, ticket: str) -> None:
    """One answer for whatever was never issued."""
    with pytest.raises(NotFound, match="not valid"):
        linked.begin(ticket)
    with pytest.raises(Forbidden):
        linked.leases.find(ticket)


@pytest.mark.parametrize(
    ("order", "named"),
    [
        (TicketOrder(""), "label"),
        (TicketOrder(" \t"), "label"),
        (TicketOrder("x" * 201), "label"),
        (TicketOrder("two\nlines"), "label"),
        (TicketOrder("x", uses=0), "uses"),
        (TicketOrder("x", uses=11), "uses"),
    ],
)
def test_an_order_that_cannot_be_is_refused(linked: Linked, order: TicketOrder, named: str) -> None:
    """The message names the member."""
    with pytest.raises(BadRequest, match=f"^{named}:"):
        linked.ticket(order)


def test_a_link_is_made_by_those_who_may_hear(linked: Linked) -> None:
    """What is not theirs is not there."""
    house = linked.house
    for who in (
        house.user("far", reach=Scope(site_ids=frozenset({"elsewhere"}))),
        house.user("auditor", Role.AUDITOR),
    ):
        with pytest.raises(NotFound):
            linked.tickets.issue(who, linked.recording, ORDER, None)


def test_no_link_to_what_cannot_be_played_and_none_is_used_up(linked: Linked) -> None:
    """A call that still runs: refused where it is asked for, and where it is opened."""
    ticket = linked.ticket()
    now = linked.house.now
    linked.house.now = UnixMillis(START + 4_000)
    with pytest.raises(NotReady):
        linked.ticket()
    with pytest.raises(NotReady):
        linked.begin(ticket)
    linked.house.now = now
    assert linked.begin(ticket)
    assert [entry.decision for entry in linked.told("ticket.issue")] == ["allowed", "not_ready"]


def test_a_lease_outlives_its_ticket_and_slides(linked: Linked) -> None:
    """Five minutes from the last request; asked for in time it goes on, later it is over."""
    secret = linked.lease()
    for _ in range(10):
        linked.later(leases.IDLE_MS - 1)
        linked.leases.find(secret)
    linked.later(leases.IDLE_MS)
    with pytest.raises(Forbidden):
        linked.leases.find(secret)


def test_not_every_request_is_a_write(linked: Linked) -> None:
    """A player asks many times in a second; its five minutes are exact to fifteen seconds."""
    secret = linked.lease()
    linked.later(SEEN_EVERY_MS - 1)
    linked.leases.find(secret)
    linked.later(leases.IDLE_MS - SEEN_EVERY_MS + 1)
    with pytest.raises(Forbidden):
        linked.leases.find(secret)


def test_a_lease_has_a_hard_end(linked: Linked) -> None:
    """Two hours, however busy it is."""
    secret = linked.lease()
    for _ in range(2 * 60 // 4 - 1):
        linked.later(4 * MINUTE_MS)
        linked.leases.find(secret)
    linked.later(4 * MINUTE_MS - 1)
    assert linked.hear(secret)
    linked.later(1)
    with pytest.raises(Forbidden):
        linked.leases.find(secret)


def test_a_long_recording_gets_three_times_its_length(linked: Linked) -> None:
    """Else nobody could listen to the end."""
    statement = "UPDATE recordings SET frames = 8000 * 3600"
    with linked.house.db.write() as conn:
        conn.exec_driver_sql(statement)
    assert linked.begin(linked.ticket()).lasts_s == 3 * 3600


def disable(linked: Linked) -> None:
    """Whoever made the link is shut out."""
    with linked.house.db.write() as conn:
        users.disable(conn, "crm", linked.house.now)


def change_role(linked: Linked) -> None:
    """Whoever made the link becomes somebody else."""
    with linked.house.db.write() as conn:
        conn.execute(update(web_users).values(role=Role.SUPERVISOR.value))


def take_right(linked: Linked) -> None:
    """Whoever made the link may not hear it any more."""
    with linked.house.db.write() as conn:
        users.set_reach(conn, linked.crm.web_user_id, Scope(site_ids=frozenset({"elsewhere"})))


def delete(linked: Linked) -> None:
    """Retention comes by."""
    with linked.house.db.write() as conn:
        assert calls.delete_recording(conn, linked.recording, linked.house.now)


def revoke(linked: Linked) -> None:
    """An administrator ends it."""
    with linked.house.db.write() as conn:
        (listed,) = leases.open_ones(conn, linked.house.now)
        assert listed.username == "crm"
        assert leases.end(conn, listed.lease.name) == linked.recording


def change_password(linked: Linked) -> None:
    """Whoever made the link thinks that somebody knows it."""
    with linked.house.db.write() as conn:
        users.set_password(conn, "crm", "another hash")


def hold(linked: Linked) -> None:
    """The recording is wanted by a court."""
    with linked.house.db.write() as conn:
        burns.place_hold(conn, linked.recording, by="carl", reason="a case", now=linked.house.now)


ENDS: list[tuple[Callable[[Linked], None], type[CallreelError]]] = [
    (disable, Forbidden),
    (change_role, Forbidden),
    (change_password, Forbidden),
    (hold, Forbidden),
    (take_right, Forbidden),
    (delete, RecordingDeleted),
    (revoke, Forbidden),
    (Linked.mask, Gone),
    (lambda linked: linked.later(leases.IDLE_MS), Forbidden),
]
NAMES = ["disabled", "role", "password", "hold", "right", "deleted", "revoked", "mask", "idle"]


@pytest.mark.parametrize(("end", "expected"), ENDS, ids=NAMES)
def test_what_ends_a_lease_stops_its_sound(
    linked_on_each: Linked, end: Callable[[Linked], None], expected: type[CallreelError]
) -> None:
    """Before the next second of it, and in what other pieces wait for."""
    linked = linked_on_each
    held = linked.leases.find(linked.lease())
    delivery = linked.leases.open(
        held, held.recording.mask_revision, SITTING, head=False, address=None
    )
    assert delivery.size is not None
    stream = delivery.stream(0, delivery.size)
    next(stream)
    assert linked.listening.changed([delivery]) == []
    end(linked)
    with pytest.raises(expected):
        next(stream)
    assert linked.listening.changed([delivery]) == [delivery]
    delivery.close(1).result()


@pytest.mark.parametrize(("end", "expected"), ENDS[:7], ids=NAMES[:7])
def test_what_ends_a_lease_ends_it_for_every_request(
    linked: Linked, end: Callable[[Linked], None], expected: type[CallreelError]
) -> None:
    """Also for whoever comes with a ticket that is good otherwise."""
    secret, ticket = linked.lease(), linked.ticket()
    end(linked)
    with pytest.raises(expected):
        linked.leases.find(secret)
    if end in {disable, take_right}:
        with pytest.raises(NotFound):
            linked.begin(ticket)


def test_an_older_mask_is_gone(linked: Linked) -> None:
    """No two revisions are ever joined: the page is asked for again."""
    secret = linked.lease()
    before = linked.leases.find(secret).recording.mask_revision
    whole = linked.hear(secret)
    linked.mask()
    with pytest.raises(Gone):
        linked.hear(secret, before)
    assert linked.hear(secret) != whole


def test_a_file_is_kept_only_where_the_link_said_so(linked: Linked) -> None:
    """And the audit log says that it was one."""
    from callreel.model import AudioSpec  # noqa: PLC0415  # only here

    held = linked.leases.find(linked.lease())
    with pytest.raises(Forbidden, match="for listening"):
        linked.leases.open_to_keep(held, AudioSpec("wav"), head=False, address=None)
    begun = linked.begin(linked.ticket(TicketOrder("a lawyer", download=True)))
    held = linked.leases.find(begun.secret)
    delivery = linked.leases.open_to_keep(held, AudioSpec("wav"), head=False, address=None)
    delivery.started()
    delivery.close(7).result()
    assert delivery.disposition == "attachment"
    (ended,) = linked.told("sound.end")
    assert ended.detail["door"] == "download"
    assert ended.detail["label"] == "a lawyer"


def test_a_mask_that_comes_while_a_file_begins_is_asked_around(linked: Linked) -> None:
    """The same address gives the new sound; a player's names a mask, and never will."""
    from callreel.model import AudioSpec  # noqa: PLC0415  # only here

    begun = linked.begin(linked.ticket(TicketOrder("a lawyer", download=True)))
    held = linked.leases.find(begun.secret)
    revision = held.recording.mask_revision
    file = linked.leases.open_to_keep(held, AudioSpec("wav"), head=False, address=None)
    piece = linked.leases.open(held, revision, SITTING, head=False, address=None)
    linked.mask()
    with pytest.raises(MaskChanged):
        file.require_open()
    with pytest.raises(Gone):
        piece.require_open()
    file.close(0)
    piece.close(0)


def test_what_is_over_is_forgotten(linked_on_each: Linked) -> None:
    """The list shows what is open, and nothing else is kept."""
    linked = linked_on_each
    linked.lease()
    linked.later(leases.IDLE_MS - 1)
    secret = linked.lease()
    tidy = Tidy(linked.house.db, linked.house.cache, linked.house.sound, lambda: linked.house.now)
    linked.later(1)
    with linked.house.db.read() as conn:
        assert [each.lease.label for each in leases.open_ones(conn, linked.house.now)] == [
            "Ann of Brightwater"
        ]
    tidy.once()
    linked.leases.find(secret)
    with linked.house.db.write() as conn:
        assert leases.end(conn, "0" * 16) is None
        assert leases.end(conn, "%") is None
        assert tickets.find(conn, "0" * 64) is None
