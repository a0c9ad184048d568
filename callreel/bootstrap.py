"""Settings to the whole object graph: the only file that names implementations."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog

from callreel.access.identity import Verifier
from callreel.access.keys import KeyRing, load_key_file
from callreel.audio.prober import Prober
from callreel.audio.rendered import RenderCache, erase_renders
from callreel.db import audit, directory, users
from callreel.db.audit import AuditEntry
from callreel.db.database import Database, open_database
from callreel.db.finding import Finder
from callreel.errors import ConfigurationError, Unauthenticated, Unavailable
from callreel.flows.browse import Browse
from callreel.flows.burn import Burner
from callreel.flows.call_export import CallExport
from callreel.flows.deliver import Deliver
from callreel.flows.directory import Directory
from callreel.flows.entry import DEFAULT_STORE
from callreel.flows.export import Exporter
from callreel.flows.intake import Intake
from callreel.flows.issue import Issue
from callreel.flows.job_worker import JobWorker
from callreel.flows.jobs import Jobs
from callreel.flows.key_presses import KeyFinder
from callreel.flows.lease import Leases
from callreel.flows.listen import Listening
from callreel.flows.mail import Mailer, MailServer
from callreel.flows.making import Kind
from callreel.flows.masking import Masking
from callreel.flows.noting import Noting
from callreel.flows.ongoing import Ongoing
from callreel.flows.peaks import Peaks
from callreel.flows.people import People
from callreel.flows.places import Places
from callreel.flows.prove import WAIT_S, Prover
from callreel.flows.report_files import report_kinds
from callreel.flows.reports import Reports
from callreel.flows.retention import Retention
from callreel.flows.schedule_runner import ScheduleRunner
from callreel.flows.schedules import Delivery, Schedules
from callreel.flows.sessions import Sessions
from callreel.flows.settling import Settling
from callreel.flows.signal import Signals
from callreel.flows.sites import Sites
from callreel.flows.sound import Sound
from callreel.flows.streams import LISTENER_STREAMS, Streams
from callreel.flows.ticket import Tickets
from callreel.flows.tidy import Tidy
from callreel.flows.views import SavedViews
from callreel.flows.visitors import Visitors
from callreel.model import RecordingId, UnixMillis, WebUser, WebUserId
from callreel.settings import Settings
from callreel.store.base import Store
from callreel.store.local import InPlaceStore, LocalStore
from callreel.web.app import EchoParts, WebParts
from callreel.web.pages.site import PageParts
from callreel.web.session import CookieRules
from callreel.wording import to_translate

log = structlog.get_logger("callreel")


def system_clock() -> UnixMillis:
    """The clock of this machine."""
    return UnixMillis(time.time_ns() // 1_000_000)


class Stores:
    """Finds stores by id; each is opened once."""

    def __init__(self, db: Database, data_dir: Path) -> None:
        self._db = db
        self._data_dir = data_dir
        self._open: dict[str, Store] = {}

    def __call__(self, store_id: str) -> Store:
        """The store of an id.

        Raises:
            Unavailable: It is not known, or not of a kind that this version can read.
        """
        store = self._open.get(store_id)
        if store is None:
            with self._db.read() as conn:
                found = directory.find_store(conn, store_id)
            if found is None:
                raise Unavailable(
                    to_translate("The recording's store is not known here."), store_id=store_id
                )
            store = self._open[store_id] = _open_store(*found, self._data_dir)
        return store


def _open_store(uri: str, read_only: bool, data_dir: Path) -> Store:
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise ConfigurationError(f"stores: {parts.scheme}: is not a kind of store that is known.")
    # A relative one moves with the data folder; what is absolute stays so.
    path = data_dir / unquote(parts.path)
    return InPlaceStore(path) if read_only else LocalStore(path)


class DatabaseUsers:
    """Web users as the verifier asks for them, each from a transaction of its own."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._finder = Finder(db)
        self.is_at_hand = db.is_at_hand

    def by_name(self, username: str) -> WebUser | None:
        """The user of this name."""
        with self._db.read() as conn:
            return users.by_name(conn, username)

    def by_id(self, web_user_id: WebUserId) -> WebUser | None:
        """The user of this id."""
        return self._finder.user(web_user_id)

    def by_api_key(self, key_hash: str) -> WebUser | None:
        """The user whose living API key has this hash."""
        with self._db.read() as conn:
            return users.by_api_key(conn, key_hash)

    def rehashed(self, user: WebUser, password_hash: str) -> None:
        """Keep a stronger hash of the same password."""
        with self._db.write() as conn:
            users.rehash(conn, user.id, user.password_hash, password_hash)

    def refused(self, user: WebUser | None, address: str | None) -> None:
        """Write a row of the audit log; the throttle bounds how many.

        A name that nobody has is not written down: it may be a password in the wrong field.
        """
        entry = AuditEntry(
            at=system_clock(),
            actor=user.username if user is not None else "",
            action="login.refuse",
            object_id=user.id if user is not None else "",
            decision=Unauthenticated.code,
            detail={},
            address=address,
        )
        with self._db.write() as conn:
            audit.append(conn, entry)


@dataclass(frozen=True, slots=True)
class Base:
    """What every command needs; close it."""

    settings: Settings
    db: Database
    keys: KeyRing
    stores: Stores

    def close(self) -> None:
        """Close the database."""
        self.db.close()


def open_base(settings: Settings) -> Base:
    """Keys, a current database and the stores.

    Raises:
        ConfigurationError: No keys, an older or newer schema, an unusable address.
        Unavailable: The database is away.
    """
    keys = load_key_file(settings.key_file)
    db = open_database(settings.database_url)
    try:
        db.require_current()
    except BaseException:
        db.close()
        raise
    return Base(settings, db, keys, Stores(db, settings.data_dir))


def places_of(base: Base) -> Places:
    """What changes stores and voicelocations."""
    return Places(base.db, system_clock, base.settings.data_dir)


def people_of(base: Base) -> People:
    """What changes web users."""
    return People(base.db, system_clock, Verifier(DatabaseUsers(base.db)))


def prepare_database(settings: Settings) -> bool:
    """Bring the database to this version's schema and make the default store known.

    Returns: as ``Database.migrate``.

    Raises:
        DatabaseNewer, ConfigurationError, Unavailable: as ``open_base``.
    """
    db = open_database(settings.database_url)
    try:
        has_reader = db.migrate()
        with db.write() as conn:
            if directory.find_store(conn, DEFAULT_STORE) is None:
                # Made once only: where it is missing later, a disk is not mounted.
                settings.store_dir.mkdir(mode=0o700, exist_ok=True)
            uri = f"file:{settings.store_dir.name}"
            directory.ensure_store(conn, DEFAULT_STORE, uri, read_only=False)
        return has_reader
    finally:
        db.close()


@dataclass(frozen=True, slots=True)
class Importing:
    """What an import needs; close it."""

    base: Base
    intake: Intake
    close: Callable[[], None]


def open_intake(settings: Settings) -> Importing:
    """Everything that takes calls and recordings in.

    Raises: as ``open_base``.
    """
    base = open_base(settings)
    prober = Prober()
    intake = Intake(base.db, base.stores, prober.probe, base.keys, system_clock)

    def close() -> None:
        prober.close()
        base.close()

    return Importing(base, intake, close)


@dataclass(frozen=True, slots=True)
class Office:
    """What makes files for people, now and by schedules."""

    jobs: Jobs
    worker: JobWorker
    schedules: Schedules
    runner: ScheduleRunner

    def stop(self) -> None:
        """Leave what is being made to the next server."""
        self.worker.stop()
        self.runner.stop()


def open_office(base: Base) -> Office:
    """Jobs and schedules over a database that is open."""
    settings, mail = base.settings, base.settings.mail
    kinds: dict[str, Kind] = {"calls": CallExport(base.db), **report_kinds(base.db)}
    mailer = None
    if mail.host:
        mailer = Mailer(
            MailServer(
                mail.host,
                mail.port,
                mail.security,
                mail.sender,
                mail.username,
                mail.password_file,
                mail.ca_file,
                mail.allowed_domains,
            )
        )
    folder = settings.schedules.folder
    delivery = Delivery(mailer is not None, mail.allowed_domains, bool(folder))
    jobs_dir = settings.jobs_dir
    return Office(
        Jobs(base.db, kinds, jobs_dir, system_clock),
        JobWorker(base.db, kinds, jobs_dir, system_clock),
        Schedules(base.db, kinds, delivery, system_clock),
        ScheduleRunner(base.db, kinds, jobs_dir, folder, mailer, system_clock),
    )


@dataclass(frozen=True, slots=True)
class Serving:
    """The parts of the two applications; close it."""

    base: Base
    web: WebParts
    echo: EchoParts
    tidy: Tidy
    key_finder: KeyFinder
    burner: Burner
    office: Office
    retention: Retention
    close: Callable[[], None]


def open_serving(settings: Settings) -> Serving:
    """Everything that the web application and Echo are made of.

    Raises: as ``open_base``.
    """
    base = open_base(settings)
    cache = RenderCache(
        settings.cache_dir,
        limit_bytes=settings.cache.limit_mib << 20,
        wait_s=settings.cache.wait_s,
    )
    sound = Sound(base.keys, base.stores, cache, system_clock)
    tidy = Tidy(base.db, cache, sound, system_clock, ongoing_ms=settings.server.ongoing_ms)
    verifier = Verifier(DatabaseUsers(base.db))
    office = open_office(base)
    most = settings.server.max_streams
    listening = Listening(
        base.db,
        sound,
        Streams(most, min(LISTENER_STREAMS, most)),
        system_clock,
        on_audit_failure=_log_audit_failure,
    )
    pages = PageParts(
        sessions=Sessions(base.db, verifier, system_clock),
        visitors=Visitors(base.db),
        browse=Browse(base.db),
        listening=listening,
        leases=Leases(base.db, sound, listening, system_clock),
        embed_origins=settings.server.allowed_frames,
        peaks=Peaks(base.db, sound, cache.forget),
        masking=Masking(base.db, base.keys, system_clock),
        noting=Noting(base.db, system_clock),
        ongoing=Ongoing(base.db, system_clock, age_ms=settings.server.ongoing_ms),
        views=SavedViews(base.db, system_clock),
        jobs=office.jobs,
        schedules=office.schedules,
        reports=Reports(base.db, system_clock),
        sites=Sites(base.db, system_clock),
        directory=Directory(base.db, system_clock),
        people=People(base.db, system_clock, verifier),
        places=places_of(base),
        clock=system_clock,
    )
    web = WebParts(
        verifier=verifier,
        issue=Issue(base.db, base.keys, sound, system_clock, settings.server.public_echo_url),
        tickets=Tickets(base.db, sound, system_clock, settings.server.public_base_url),
        browse=pages.browse,
        signals=Signals(base.db, base.keys, system_clock),
        masking=pages.masking,
        settling=Settling(base.db, base.keys, system_clock),
        peaks=pages.peaks,
        pages=pages,
        cookie=CookieRules(
            secure=settings.server.public_base_url.startswith("https:"),
            plain_allowed=settings.server.plain_login,
        ),
        is_ready=base.db.is_writable,
    )
    echo = EchoParts(
        deliver=Deliver(
            base.db,
            base.keys,
            sound,
            # A program may fetch many at once, and leaves as many to all others.
            Streams(most, -(-most // 2)),
            system_clock,
            voicelocations=settings.server.own_voicelocations,
            on_audit_failure=_log_audit_failure,
        ),
        is_ready=base.db.is_writable,
    )

    def close() -> None:
        cache.close()
        base.close()

    burner = Burner(base.db, base.keys, base.stores, sound, system_clock, cache.forget)
    key_finder = KeyFinder(base.db, base.keys, sound, system_clock)
    retention = Retention(base.db, base.stores, system_clock, cache.forget)
    return Serving(base, web, echo, tidy, key_finder, burner, office, retention, close)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What works on stored sound; close it."""

    base: Base
    prover: Prover
    exporter: Exporter
    key_finder: KeyFinder
    burner: Burner
    retention: Retention
    close: Callable[[], None]


def open_workshop(settings: Settings) -> Workshop:
    """What proves masks, exports, looks for keys, burns masks in and deletes what is too old.

    Its renders are its own, beside those of a server.

    Raises: as ``open_base``.
    """
    base = open_base(settings)
    folder = tempfile.TemporaryDirectory(prefix="callreel-work-")
    cache = RenderCache(Path(folder.name), limit_bytes=1 << 62, wait_s=WAIT_S)
    sound = Sound(base.keys, base.stores, cache, system_clock)

    def close() -> None:
        cache.close()
        folder.cleanup()
        base.close()

    def forget(recording_id: RecordingId) -> None:
        erase_renders(settings.cache_dir, recording_id)

    prover = Prover(base.db, base.keys, sound, system_clock)
    return Workshop(
        base,
        prover,
        Exporter(base.db, sound, prover, system_clock, cache.forget),
        KeyFinder(base.db, base.keys, sound, system_clock),
        Burner(base.db, base.keys, base.stores, sound, system_clock, forget),
        Retention(base.db, base.stores, system_clock, forget),
        close,
    )


def _log_audit_failure(error: Exception) -> None:
    log.error("audit.lost", why=str(error))
