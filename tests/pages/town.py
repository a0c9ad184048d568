"""A small town with a real server, for tests that look at it with a real browser."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvicorn

from callreel.access.identity import hash_password
from callreel.access.keys import create_key_file
from callreel.bootstrap import Serving, open_intake, open_serving, prepare_database, system_clock
from callreel.db import directory, masks, users
from callreel.flows.entry import CallEntry, Result, SoundFile
from callreel.model import (
    CallId,
    Direction,
    Disposition,
    Party,
    RecordingId,
    Role,
    Scope,
    Span,
    SpanSource,
    UnixMillis,
)
from callreel.settings import ServerSettings, Settings
from callreel.web.app import build_web
from callreel.web.connection import GuardedConnection

PASSWORD = "correct horse battery staple"
RATE_HZ = 8000
LONG_S = 180.0
"""Length of the longest recording; a minute and a half in, a token would be dead."""
SECRET_HZ = 2600.0
"""What is said under the mask of the long call; nothing else sounds like it."""
MASK_S = (95.0, 105.0)


def tone(seconds: float, hz: float, level: float = 0.3) -> np.ndarray:
    """A tone, float."""
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


def write_wav(path: Path, left: np.ndarray, right: np.ndarray) -> None:
    """A recording of two channels."""
    samples = np.stack([left, right], axis=1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def talk(seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two people who take turns of three seconds, and are silent for two between them."""
    draw = np.random.default_rng(seed)
    left, right = np.zeros(round(seconds * RATE_HZ)), np.zeros(round(seconds * RATE_HZ))
    for number, start in enumerate(np.arange(0.5, seconds - 3, 5)):
        begin = round(start * RATE_HZ)
        voice = tone(3, draw.uniform(180, 420)) * (0.5 + 0.5 * tone(3, 3, 1.0))
        (right if number % 2 else left)[begin : begin + len(voice)] = voice
    return left, right


@dataclass
class Town:
    """What there is, where it answers, and how to change it behind its back."""

    settings: Settings
    serving: Serving
    folder: Path
    port: int
    calls: dict[str, CallId] = field(default_factory=dict)
    """By the names that tests use."""
    is_quiet: bool = False
    """Whether its calls may be counted, and none comes in."""

    @property
    def url(self) -> str:
        """Of the web application."""
        return self.settings.server.public_base_url

    def import_call(self, name: str, **more: object) -> CallId:
        """A call comes in, as from a switch."""
        assert not self.is_quiet, "others count the calls of this town: mark the test with 'grows'"
        values: dict[str, object] = {
            "datasource": "1",
            "source_key": name,
            "origin": name,
            "started_at": UnixMillis(system_clock() - 600_000),
            "duration_s": 30.0,
            "direction": Direction.INBOUND,
            "from_number": "01632960001",
            "to_number": "01614960100",
            "extension": "2104",
            "disposition": Disposition.ANSWERED,
        }
        importing = open_intake(self.settings)
        try:
            entry = CallEntry(**{**values, **more})  # type: ignore[arg-type]
            (taken,) = importing.intake.take([entry], actor="test")
        finally:
            importing.close()
        assert taken.result in {Result.NEW, Result.CHANGED}, taken
        assert taken.call_id is not None
        self.calls[name] = taken.call_id
        return taken.call_id

    def mask(self, call_id: CallId, start_s: float, end_s: float) -> None:
        """A span arrives while somebody listens."""
        with self.serving.base.db.write() as conn:
            masks.add_spans(
                conn,
                self.recording_of(call_id),
                [Span(start_s, end_s)],
                SpanSource.HAND,
                actor="test",
                reason="a test",
                seal=self.serving.base.keys.seal_mask,
                now=system_clock(),
            )

    def recording_of(self, call_id: CallId) -> RecordingId:
        """The recording of a call."""
        from callreel.db import calls  # noqa: PLC0415  # only here

        with self.serving.base.db.read() as conn:
            found = calls.find_call(conn, Scope(everything=True), call_id)
        assert found is not None
        assert found.recording_id is not None
        return found.recording_id


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


@contextmanager
def answering(town: Town, listening: socket.socket) -> Iterator[None]:
    """The web application on a socket, until the block ends."""
    config = uvicorn.Config(
        build_web(town.serving.web),
        http=GuardedConnection,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=town.settings.server.tls_cert or None,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


def listen(port: int = 0) -> socket.socket:
    """A socket that accepts."""
    return socket.create_server(("127.0.0.1", port))


@contextmanager
def open_town(
    folder: Path, calls: int = 200, embed_origins: str = "", certificate: Path | None = None
) -> Iterator[Town]:
    """A town with so many calls of the last two days, and its server; by https with a certificate.

    The file of the certificate holds its key too.
    """
    with ExitStack() as stack:
        listening = stack.enter_context(listen())
        port = listening.getsockname()[1]
        tls = "" if certificate is None else str(certificate)
        server = ServerSettings(port=port, tls_cert=tls, tls_key=tls, embed_origins=embed_origins)
        settings = Settings(folder / "data", server)
        settings.data_dir.mkdir()
        create_key_file(settings.key_file)
        prepare_database(settings)
        serving = open_serving(settings)
        stack.callback(serving.close)
        town = Town(settings, serving, folder / "in", port)
        town.folder.mkdir()
        _people(town)
        _calls(town, calls)
        stack.enter_context(answering(town, listening))
        yield town


def _people(town: Town) -> None:
    hashed = hash_password(PASSWORD)
    with town.serving.base.db.write() as conn:
        for number, name in (("1", "Manchester"), ("2", "Bristol")):
            directory.ensure_site(conn, number, name)
            directory.ensure_datasource(conn, number, number)
        sales = directory.ensure_group(conn, "1", "Sales")
        support = directory.ensure_group(conn, "1", "Support")
        for extension, name, group in (
            ("2104", "Priya Nair", sales),
            ("2112", "Aoife Byrne", support),
            ("2115", "Kwame Mensah", support),
        ):
            directory.set_user(conn, "1", extension, name=name, group_id=group)
        reaches = {
            "admin": (Role.ADMINISTRATOR, Scope(everything=True)),
            "marcus": (Role.SUPERVISOR, Scope(site_ids=frozenset({"1"}))),
            "carla": (Role.COMPLIANCE, Scope(everything=True)),
            "otto": (Role.AUDITOR, Scope(everything=True)),
        }
        for name, (role, reach) in reaches.items():
            users.add_user(conn, name, role, hashed, reach, system_clock())


def _calls(town: Town, count: int) -> None:
    draw = random.Random(7)  # noqa: S311  # calls of a test
    for number in range(4):
        write_wav(town.folder / f"short-{number}.wav", *talk(20 + number, number))
    left, right = talk(LONG_S, 9)
    begin, end = (round(each * RATE_HZ) for each in MASK_S)
    left[begin:end] = tone(MASK_S[1] - MASK_S[0], SECRET_HZ)
    write_wav(town.folder / "long.wav", left, right)
    now = system_clock() - 3_600_000
    entries = []
    for number in range(count):
        abandoned = number % 9 == 4
        direction = draw.choice([Direction.INBOUND, Direction.INBOUND, Direction.OUTBOUND])
        started_at = UnixMillis(now - round(number / count * 2 * 86_400_000))
        rang_ms = draw.randrange(3000, 20_000)
        recorded = number % 5 == 1 and not abandoned
        outside = f"0163296{draw.randrange(1000):04d}"
        extension = draw.choice(["2104", "2112", "2115"])
        entries.append(
            CallEntry(
                datasource="2" if number % 10 == 7 else "1",
                source_key=f"call-{number}",
                origin=f"call-{number}",
                started_at=started_at,
                answered_at=None if abandoned else UnixMillis(started_at + rang_ms),
                duration_s=rang_ms / 1000 + (0 if abandoned else 20 + number % 4),
                direction=Direction.INBOUND if abandoned else direction,
                from_number=outside if direction is Direction.INBOUND or abandoned else extension,
                to_number=outside if direction is Direction.OUTBOUND else "01614960100",
                caller_name=draw.choice(["", "Northern Pipes", "Fenwick Motors"]),
                extension=extension,
                disposition=Disposition.ABANDONED if abandoned else Disposition.ANSWERED,
                voicefilename=f"rec-{number}" if recorded else None,
                agent_channel=Party.LEFT if recorded else None,
                audio=SoundFile(town.folder, f"short-{number % 4}.wav") if recorded else None,
            )
        )
    importing = open_intake(town.settings)
    try:
        for taken in importing.intake.take(entries, actor="test"):
            assert taken.result is Result.NEW, taken
    finally:
        importing.close()
    started_at = UnixMillis(system_clock() - 1_800_000)
    town.import_call(
        "long",
        started_at=started_at,
        answered_at=UnixMillis(started_at + 6000),
        duration_s=LONG_S + 6,
        from_number="01614960192",
        caller_name="Brightwater Ltd",
        voicefilename="long",
        agent_channel=Party.LEFT,
        spans=(Span(*MASK_S),),
        audio=SoundFile(town.folder, "long.wav"),
    )
    town.import_call("first", started_at=UnixMillis(system_clock() - 1_200_000))
