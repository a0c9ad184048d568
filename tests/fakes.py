"""Flows written by hand, with the signatures of the real ones, that do as a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from callreel.access.identity import Verifier, hash_api_key, hash_password
from callreel.audio.peaks import Points
from callreel.db.call_filter import CallFilter
from callreel.db.changes import Change, ChangePage
from callreel.db.search import CallPage
from callreel.db.unsettled import ListedSignal, SignalPage, SignalState
from callreel.errors import CallreelError, NotFound, Unauthenticated
from callreel.flows.issue import Issued
from callreel.flows.masking import RecordingSpans
from callreel.flows.peaks import SeenPeaks, Stretch
from callreel.flows.sessions import SignedIn
from callreel.flows.settling import Settlement
from callreel.flows.signal import SignalAnswer, SignalOrder
from callreel.model import (
    AudioSpec,
    Call,
    CallId,
    Direction,
    Party,
    Principal,
    RecordingId,
    Role,
    Scope,
    SourceFacts,
    Span,
    UnixMillis,
    WebUser,
    WebUserId,
)

NOW = UnixMillis(1_795_500_000_123)
API_KEY = "crk_a-key-of-a-test"
URL = "https://echo.example/v/a-token"


class FakeUsers:
    """Web users in memory; the verifier over them is the real one."""

    is_at_hand = True

    def __init__(self, passwords: dict[str, str]) -> None:
        self.users = {
            name: WebUser(
                id=WebUserId(f"user-{name}"),
                username=name,
                role=Role.SUPERVISOR,
                password_hash=hash_password(password),
                password_version=1,
                disabled=False,
                reach=Scope(everything=True),
            )
            for name, password in passwords.items()
        }

    def by_name(self, username: str) -> WebUser | None:
        """As the database would."""
        return self.users.get(username)

    def by_id(self, web_user_id: WebUserId) -> WebUser | None:
        """As the database would."""
        return next((user for user in self.users.values() if user.id == web_user_id), None)

    def by_api_key(self, key_hash: str) -> WebUser | None:
        """The first user has the one key."""
        return next(iter(self.users.values())) if key_hash == hash_api_key(API_KEY) else None

    def rehashed(self, user: WebUser, password_hash: str) -> None:
        """Hashes of tests are as strong as any."""

    def refused(self, user: WebUser | None, address: str | None) -> None:
        """Nobody reads what these users got wrong."""


class FakeSessions:
    """Nobody is signed in."""

    def find(self, secret: str) -> SignedIn:
        """No secret is good."""
        raise Unauthenticated("You are not signed in.")


@dataclass
class FakeIssue:
    """Gives one token to everybody, or raises."""

    error: Exception | None = None
    asked: list[dict[str, object]] = field(default_factory=list)
    rendered: threading.Event = field(default_factory=threading.Event)
    prepared: int = 0
    render_error: Exception | None = None
    blocks: bool = False

    def by_names(self, principal: Principal, **names: object) -> Future[Issued]:
        """Remembers what was asked for."""
        return self._issued(principal, names)

    def by_id(
        self,
        principal: Principal,
        recording_id: RecordingId,
        spec: AudioSpec,
        *,
        single_use: bool = False,
        address: str | None,
    ) -> Future[Issued]:
        """Remembers what was asked for."""
        asked = {"recording_id": recording_id, "spec": spec, "single_use": single_use}
        return self._issued(principal, {**asked, "address": address})

    def prepare(self, principal: Principal, recording_id: RecordingId, spec: AudioSpec) -> None:
        """Waits until the test says that the render is there."""
        self.prepared += 1
        assert self.rendered.wait(10)
        if self.render_error is not None:
            raise self.render_error

    def _issued(self, principal: Principal, asked: dict[str, object]) -> Future[Issued]:
        self.asked.append({"username": principal.username, **asked})
        issued: Future[Issued] = Future()
        if self.error is not None:
            issued.set_exception(self.error)
            return issued
        issued.set_result(
            Issued(
                url=URL,
                expires_at=UnixMillis(NOW + 60_000),
                content_type="audio/wav",
                duration_s=61.5,
                size_bytes=None,
                masked_spans=(Span(1.0, 2.5), Span(4.0, 5.0, Party.LEFT)),
                mask_revision=3,
            )
        )
        return issued


@dataclass
class FakeBrowse:
    """A few calls, found by anybody."""

    items: tuple[Call, ...] = ()
    following: str | None = None
    error: Exception | None = None
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def calls(
        self, principal: Principal, wanted: CallFilter, limit: int, cursor: str | None
    ) -> CallPage:
        """All of them, whatever is wanted."""
        self.asked.append((wanted, limit, cursor))
        if self.error is not None:
            raise self.error
        return CallPage(self.items, self.following)

    def call(self, principal: Principal, call_id: CallId) -> Call:
        """The one of this id."""
        for call in self.items:
            if call.id == call_id:
                return call
        raise NotFound("There is no such call.")

    def changes(self, principal: Principal, since: str | None, limit: int) -> ChangePage:
        """One change of each kind."""
        self.asked.append((since, limit))
        items = (
            Change("call", NOW, "call-1", None),
            Change("recording", NOW, None, "rec-1"),
            Change("mask", NOW, None, "rec-1"),
        )
        return ChangePage(items, "42")


@dataclass
class FakeSignals:
    """Takes signals, or raises."""

    error: Exception | None = None
    sent: list[tuple[str, SignalOrder, dict[str, object]]] = field(default_factory=list)
    answer: SignalAnswer = field(default_factory=lambda: SignalAnswer(("s1",), UnixMillis(0), ()))

    def send(self, principal: Principal, order: SignalOrder, **how: object) -> SignalAnswer:
        """Remembers it."""
        self.sent.append((principal.username, order, how))
        if self.error is not None:
            raise self.error
        return self.answer


@dataclass
class FakeMasking:
    """Takes spans, or raises."""

    error: Exception | None = None
    asked: list[tuple[object, ...]] = field(default_factory=list)
    answer: RecordingSpans = field(
        default_factory=lambda: RecordingSpans(RecordingId("r1"), 2, (Span(1, 2),), ())
    )

    def _answered(self, *asked: object) -> RecordingSpans:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return self.answer

    def spans(self, principal: Principal, recording_id: str) -> RecordingSpans:
        """Lists."""
        return self._answered("spans", principal.username, recording_id)

    def add(self, principal: Principal, *asked: object, address: str | None) -> RecordingSpans:
        """Adds one."""
        return self._answered("add", principal.username, *asked, address)

    def change(self, principal: Principal, *asked: object, address: str | None) -> RecordingSpans:
        """Changes one."""
        return self._answered("change", principal.username, *asked, address)

    def remove(self, principal: Principal, *asked: object, address: str | None) -> RecordingSpans:
        """Takes one away."""
        return self._answered("remove", principal.username, *asked, address)


LISTED = ListedSignal(
    id="s1",
    at=UnixMillis(1_795_500_000_000),
    received_at=UnixMillis(1_795_500_000_250),
    mute=True,
    objtype="user",
    objid="2104",
    source="web",
    state=SignalState.UNPAIRED,
    settled=None,
    settled_by=None,
    settled_reason=None,
    recording_ids=(RecordingId("r1"),),
    call_id=None,
)


@dataclass
class FakeSettling:
    """Lists and settles signals, or raises."""

    error: Exception | None = None
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def signals(self, principal: Principal, **wanted: object) -> SignalPage:
        """Lists one."""
        self.asked.append((principal.username, wanted))
        return SignalPage((LISTED,), "more")

    def settle(
        self, principal: Principal, signal_id: str, decision: Settlement, *, address: str | None
    ) -> ListedSignal:
        """Settles it."""
        self.asked.append((principal.username, signal_id, decision, address))
        if self.error is not None:
            raise self.error
        return LISTED


@dataclass
class FakePeaks:
    """Three points of two channels, or raises."""

    error: Exception | None = None
    asked: list[tuple[str, str, Stretch]] = field(default_factory=list)
    facts: SourceFacts = field(
        default_factory=lambda: SourceFacts("ulaw", "wav", rate_hz=8000, channels=2, frames=700)
    )

    def look(self, principal: Principal, recording_id: RecordingId, wanted: Stretch) -> SeenPeaks:
        """Remembers what was asked for."""
        self.asked.append((principal.username, recording_id, wanted))
        if self.error is not None:
            raise self.error
        lowest = np.array([[-128, -3], [0, 0], [-1, -2]], np.int8)[:, : self.facts.channels]
        return SeenPeaks(
            recording_id=recording_id,
            mask_revision=3,
            facts=self.facts,
            points=Points(0, 700, 256, lowest, -1 - lowest),
            masked_spans=(Span(0.01, 0.02, Party.LEFT),),
            etag='"of-three"',
        )


class FakeDelivery:
    """One answer of Echo, whose bytes are those of its deliver."""

    content_type = "audio/wav"
    filename = "call-rec-1.wav"
    disposition = "inline"

    def __init__(self, deliver: FakeDeliver, *, head: bool) -> None:
        self._deliver = deliver
        self._head = head
        self.etag = deliver.etag
        self.size = deliver.head_size if head else len(deliver.content)
        self.closed_with: int | None = None

    def started(self) -> None:
        """Counts, or raises as the test says."""
        if self._deliver.start_error is not None:
            raise self._deliver.start_error
        self._deliver.starts += 1

    def stream(self, start: int, stop: int, **_by_kernel: bool) -> Iterator[bytes]:
        """Parts of ``part_bytes``; after ``fail_at`` of them the error of the test."""
        assert not self._head
        step = self._deliver.part_bytes
        for index, at in enumerate(range(start, stop, step)):
            if index == self._deliver.fail_at:
                assert self._deliver.stream_error is not None
                raise self._deliver.stream_error
            if self._deliver.part_delay_s:
                time.sleep(self._deliver.part_delay_s)
            self._deliver.pulled += 1
            yield self._deliver.content[at : min(at + step, stop)]

    def close(self, bytes_sent: int = 0) -> None:
        """Gives the slot back once."""
        if self.closed_with is None:
            self.closed_with = bytes_sent
            self._deliver.closed(self)


@dataclass
class FakeDeliver:
    """Opens one recording for every token, or raises."""

    content: bytes = bytes(range(256)) * 40
    etag: str = '"a-tag"'
    head_size: int | None = None
    part_bytes: int = 1000
    part_delay_s: float = 0.0
    fail_at: int | None = None
    stream_error: Exception | None = None
    start_error: Exception | None = None
    error: Exception | None = None
    changes: bool | Exception = False
    starts: int = 0
    pulled: int = 0
    looks: int = 0
    asked: list[tuple[str, bool]] = field(default_factory=list)
    deliveries: list[FakeDelivery] = field(default_factory=list)
    closings: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Nothing is open yet."""
        self._lock = threading.Lock()
        self.open_now = 0

    def open(self, token: str, *, head: bool, address: str | None) -> FakeDelivery:
        """A delivery that counts as open until it is closed."""
        self.asked.append((token, head))
        if self.error is not None:
            raise self.error
        with self._lock:
            self.open_now += 1
        delivery = FakeDelivery(self, head=head)
        self.deliveries.append(delivery)
        return delivery

    def changed(self, deliveries: Collection[FakeDelivery]) -> Collection[FakeDelivery]:
        """All of them once the test says so."""
        self.looks += 1
        if isinstance(self.changes, Exception):
            raise self.changes
        return deliveries if self.changes else ()

    def closed(self, delivery: FakeDelivery) -> None:
        """Told by a delivery."""
        with self._lock:
            self.open_now -= 1
            self.closings.append(time.monotonic())


def make_verifier(passwords: dict[str, str]) -> tuple[Verifier, FakeUsers]:
    """The real verifier over users in memory."""
    users = FakeUsers(passwords)
    return Verifier(users), users


def make_call(number: int = 1, **changes: object) -> Call:
    """A call as plain as can be, with what a test changes."""
    plain: dict[str, object] = {
        "id": CallId(f"call-{number}"),
        "recording_id": RecordingId(f"rec-{number}"),
        "datasource": "3",
        "voicelocation": "4",
        "voicefilename": f"NCS{number:040X}",
        "started_at": NOW,
        "duration_s": 61.5,
        "direction": Direction.INBOUND,
        "from_number": "+441632960123",
        "to_number": "2104",
        "extension": "2104",
        "channel": None,
        "masked_spans": (Span(1.0, 2.5), Span(4.0, 5.0, Party.LEFT)),
    }
    return Call(**(plain | changes))  # type: ignore[arg-type]


def all_errors(kind: type[CallreelError] = CallreelError) -> list[type[CallreelError]]:
    """An error class and all below it."""
    return [kind, *(each for child in kind.__subclasses__() for each in all_errors(child))]
