"""Two installations that differ only in what is masked answer alike at every door (T13 to T16).

Must-show 1 of masking: status, headers and bodies are compared to the byte; only the date is left
out. Random numbers are the same in both, so that ids and tokens do not hide a difference.
"""

from __future__ import annotations

import itertools
import random
import secrets
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
from starlette.testclient import TestClient

from callreel.access.identity import Verifier, hash_password
from callreel.audio.blocks import SafeExtents
from callreel.audio.g711 import alaw_encode, ulaw_encode
from callreel.audio.obfuscate import clear_extents, obfuscate
from callreel.bootstrap import DatabaseUsers
from callreel.db import users
from callreel.flows.directory import Directory
from callreel.flows.entry import CallEntry, SoundFile
from callreel.flows.export import ExportOrder
from callreel.flows.jobs import Jobs
from callreel.flows.lease import Leases
from callreel.flows.listen import Listening
from callreel.flows.manifest import Manifest
from callreel.flows.noting import Noting
from callreel.flows.ongoing import Ongoing
from callreel.flows.people import People
from callreel.flows.places import Places
from callreel.flows.reports import Reports
from callreel.flows.schedules import Schedules
from callreel.flows.sessions import Sessions
from callreel.flows.sites import Sites
from callreel.flows.streams import Streams
from callreel.flows.ticket import Tickets
from callreel.flows.views import SavedViews
from callreel.flows.visitors import Visitors
from callreel.model import (
    AudioSpec,
    OutputChannels,
    Party,
    RecordingId,
    Role,
    Span,
    UnixMillis,
)
from callreel.spans import Mask, mask_on_frames
from callreel.web.app import EchoParts, WebParts, build_echo, build_web
from callreel.web.pages.site import PageParts
from callreel.web.session import CookieRules
from tests.audio.test_codec_memory import LOSSY, PREDICTING
from tests.audio.test_codec_memory import twins as packet_twins
from tests.counts import FULL, Shown
from tests.flows.house import ALL, START, House, open_house
from tests.flows.pouring import poured

PAIRS = 500 if FULL else 12
LOSSY_SHARE = 0.3
"""Of pairs that are stored as MP3, Opus, GSM and the like."""
RATE_HZ = 8000
PASSWORD = "a password that is long enough"  # of a test
FORMATS = ("wav", "wav-ulaw", "wav-alaw", "mp3", "opus", "flac", "m4a", "webm")
IGNORED = {"date"}


@dataclass
class Twin:
    """An installation and its two applications."""

    house: House
    web: TestClient
    echo: TestClient


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[tuple[Twin, Twin]]:
    """Two installations with the same keys, people and clock."""
    with ExitStack() as stack:
        made = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            house = stack.enter_context(open_house(tmp_path / name))
            with house.db.write() as conn:
                hashed = hash_password(PASSWORD)
                users.add_user(conn, "ann", Role.SUPERVISOR, hashed, ALL, START)
            web = build_web(web_parts(house))
            echo = build_echo(EchoParts(house.deliver, lambda: True))
            made.append(
                Twin(
                    house,
                    TestClient(web, headers={}, base_url="http://callreel.example"),
                    TestClient(echo, base_url="http://echo.example"),
                )
            )
            made[-1].web.auth = ("ann", PASSWORD)
        # Ids of users are drawn: they would tell the twins apart for another reason.
        yield made[0], made[1]


def web_parts(house: House) -> WebParts:
    """The web application over a house; of the pages, what links open."""

    def clock() -> UnixMillis:
        return house.now

    verifier = Verifier(DatabaseUsers(house.db))
    listening = Listening(
        house.db, house.sound, Streams(8, 2), clock, on_audit_failure=house.lost.append
    )
    pages = PageParts(
        sessions=Sessions(house.db, verifier, clock),
        visitors=Visitors(house.db),
        browse=house.browse,
        listening=listening,
        leases=Leases(house.db, house.sound, listening, clock),
        peaks=house.peaks,
        masking=house.masking,
        noting=Noting(house.db, clock),
        ongoing=Ongoing(house.db, clock),
        views=cast("SavedViews", None),
        jobs=cast("Jobs", None),
        schedules=cast("Schedules", None),
        reports=cast("Reports", None),
        sites=cast("Sites", None),
        directory=cast("Directory", None),
        people=cast("People", None),
        places=cast("Places", None),
        clock=clock,
    )
    return WebParts(
        verifier=verifier,
        issue=house.issue,
        tickets=Tickets(house.db, house.sound, clock, "http://callreel.example"),
        browse=house.browse,
        signals=house.signals,
        masking=house.masking,
        settling=house.settling,
        peaks=house.peaks,
        pages=pages,
        cookie=CookieRules(secure=False),
        is_ready=lambda: True,
    )


class SameChance:
    """Random numbers that begin anew for each twin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._counter = itertools.count()
        monkeypatch.setattr(secrets, "token_hex", lambda size=16: self._next(size).hex())
        monkeypatch.setattr(secrets, "token_bytes", lambda size=16: self._next(size))

    def _next(self, size: int) -> bytes:
        return random.Random(next(self._counter)).randbytes(size)  # noqa: S311  # on purpose

    def begin(self, pair: int) -> None:
        """From the same place."""
        self._counter = itertools.count(pair * 1000)


def pair_of_sounds(draw: random.Random) -> tuple[bytes, bytes, str, tuple[Span, ...]]:
    """Two files that differ only where they are masked, their extension, and the spans."""
    if draw.random() < LOSSY_SHARE:
        return lossy_pair(draw)
    channels, frames = draw.choice([1, 2]), draw.randrange(900, 5000)
    noise = np.random.default_rng(draw.randrange(1 << 30))
    one = noise.integers(-9000, 9000, (frames, channels)).astype(np.int16)
    seconds = frames / RATE_HZ
    spans = tuple(
        Span(begin, begin + draw.uniform(0.0002, seconds), draw.choice([None, *Party]))
        for begin in (draw.uniform(0, seconds) for _ in range(draw.choice([1, 1, 2, 5])))
    )
    kind = draw.choice(["wav", "wav", "ulaw", "alaw"])
    if kind != "wav":
        one = one[:, :1]
    mask = mask_on_frames(spans, rate_hz=RATE_HZ, frames=frames, channels=one.shape[1])
    other = one.copy()
    for channel, intervals in enumerate(mask.channels):
        for start, end in intervals:
            other[start:end, channel] = noise.integers(-32768, 32768, end - start)
    return _file(one, kind), _file(other, kind), kind, spans


def lossy_pair(draw: random.Random) -> tuple[bytes, bytes, str, tuple[Span, ...]]:
    """The same of a codec that loses something: other packets wherever they tell of the span."""
    case = draw.choice(LOSSY)
    place, length = draw.uniform(0, 1), draw.randrange(1, case.rate_hz // 4)
    kind = draw.choice(["voices", "hushed", "steady"])
    one, two, span = packet_twins(case, kind, draw.randrange(10**6), place, length)
    return one.data, two.data, case.name.partition(".")[2], (span,)


def _file(samples: np.ndarray, kind: str) -> bytes:
    if kind == "ulaw":
        return bytes(ulaw_encode(samples).tobytes())
    if kind == "alaw":
        return bytes(alaw_encode(samples).tobytes())
    channels, data = samples.shape[1], samples.astype("<i2").tobytes()
    head = struct.pack("<HHIIHH", 1, channels, RATE_HZ, 2 * channels * RATE_HZ, 2 * channels, 16)
    riff = b"WAVEfmt " + struct.pack("<I", len(head)) + head
    riff += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(riff)) + riff


def take(twin: Twin, name: str, data: bytes, kind: str, spans: tuple[Span, ...]) -> str:
    """Import; gives the id of the recording."""
    (twin.house.folder / f"{name}.{kind}").write_bytes(data)
    entry = CallEntry(
        datasource="3",
        source_key=name,
        origin=name,
        started_at=START,
        duration_s=1.0,
        voicefilename=name,
        extension="2104",
        from_number="01632960001",
        to_number="01632960002",
        spans=spans,
        audio=SoundFile(twin.house.folder, f"{name}.{kind}"),
    )
    (taken,) = twin.house.intake.take([entry], actor="test")
    assert taken.recording_id is not None
    return taken.recording_id


def seen(answer: Any) -> tuple[int, list[tuple[str, str]], bytes]:  # noqa: ANN401  # httpx has it untyped here
    """All of an answer but its date."""
    headers = [(k, v) for k, v in answer.headers.multi_items() if k not in IGNORED]
    return answer.status_code, headers, answer.content


def doors(
    twin: Twin, recording: str, name: str, draw: random.Random
) -> list[tuple[int, list[tuple[str, str]], bytes]]:
    """What one twin answers at every door, in a fixed order."""
    web, echo = twin.web, twin.echo
    answers = [
        seen(web.get(path))
        for path in (
            "/api/v1/calls?limit=3",
            "/api/v1/calls.csv?limit=3",
            "/api/v1/calls.xml?limit=3",
            "/api/v1/calls?mask=yes&limit=3",
            "/api/v1/calls?proposed=yes&limit=3",
            "/api/v1/calls?rec=yes&party=0163*&limit=3",
            "/api/v1/changes?limit=1000",
            "/api/v1/signals",
            f"/api/v1/recordings/{recording}/spans",
            f"/api/v1/recordings/{recording}/peaks",
            f"/api/v1/recordings/{recording}/peaks?from_s=0.05&to_s=0.3&points=5",
        )
    ]
    call = web.get("/api/v1/calls?limit=1").json()["items"][0]["id"]
    answers.append(seen(web.get(f"/api/v1/calls/{call}")))
    old = f"cmd=getvmsg&datasource=3&recordingid={quote(name)}&voicelocation=1"
    answers.append(seen(web.get(f"/voice.mp3?{old}")))
    wanted = [(draw.choice(FORMATS), draw.choice(list(OutputChannels))) for _ in range(2)]
    # A mix is where a span of one channel must cover the other; WAV goes out as it is stored.
    always = [("wav-ulaw", OutputChannels.MIX), ("wav", OutputChannels.BOTH)]
    for name_, channels in (*wanted, *always):
        chosen = {"format": name_, "channel": channels.value}
        answer = web.post(f"/api/v1/recordings/{recording}/tokens", json=chosen)
        answers.append(seen(answer))
        path = urlsplit(answer.json()["url"]).path
        whole = echo.get(path)
        size = len(whole.content)
        answers += [seen(whole), seen(echo.head(path))]
        tag = whole.headers["etag"]
        for _ in range(4):
            first = draw.randrange(size + 10)
            last = draw.randrange(first, size + 20)
            asked = draw.choice([f"bytes={first}-{last}", f"bytes=-{last + 1}", f"bytes={first}-"])
            answers.append(seen(echo.get(path, headers={"Range": asked})))
            answers.append(seen(echo.get(path, headers={"Range": asked, "If-Range": tag})))
        answers.append(seen(echo.get(path, headers={"If-None-Match": tag})))
        answers += by_kernel(twin, path.rpartition("/")[2], size, draw)
    answers += linked(web, recording, draw)
    with twin.house.db.read() as conn:
        rows = conn.exec_driver_sql("SELECT * FROM calls ORDER BY id LIMIT 99").all()
    answers.append((0, [], repr(rows).encode()))
    return answers + exported(twin, recording, draw)


def by_kernel(
    twin: Twin, token: str, size: int, draw: random.Random
) -> list[tuple[int, list[tuple[str, str]], bytes]]:
    """What a socket gets of a token, whole and in pieces, where the kernel sends what is stored."""
    answers = []
    for start in (0, draw.randrange(size)):
        delivery = twin.house.deliver.open(token, head=False, address=None)
        try:
            delivery.started()
            stop = draw.choice([size, draw.randrange(start, size)])
            answers.append((0, [], poured(delivery, start, stop)))
        finally:
            delivery.close().result()
    return answers


def linked(
    web: TestClient, recording: str, draw: random.Random
) -> list[tuple[int, list[tuple[str, str]], bytes]]:
    """What the link of an integrator opens: waveform, sound by the piece, files."""
    about = f"/api/v1/recordings/{recording}"
    issued = web.post(f"{about}/tickets", json={"label": "somebody", "download": True})
    opened = web.get(urlsplit(issued.json()["url"]).path, follow_redirects=False)
    base = opened.headers["location"].rstrip("/")
    answers = [seen(issued), seen(opened), seen(web.get(f"{base}/wave"))]
    revision = web.get(f"{about}/spans").json()["mask_revision"]
    audio = f"{base}/audio/{revision}?sitting=p{recording[1:21]}"
    whole = web.get(audio)
    assert whole.status_code == 200
    answers.append(seen(whole))
    for _ in range(4):
        first = draw.randrange(len(whole.content))
        asked = {"Range": f"bytes={first}-{draw.choice(['', first + 99])}"}
        answers.append(seen(web.get(audio, headers=asked)))
    answers.append(seen(web.get(f"{base}/download?format={draw.choice(FORMATS)}")))
    return answers


def exported(
    twin: Twin, recording: str, draw: random.Random
) -> list[tuple[int, list[tuple[str, str]], bytes]]:
    """The files of an export. No proof: it holds a commitment to the source, which must differ."""
    folder = twin.house.folder.parent / "out" / recording
    folder.mkdir(parents=True)
    spec = AudioSpec(draw.choice(FORMATS), draw.choice(list(OutputChannels)))
    order = ExportOrder(spec, with_proof=False, actor="test")
    with Manifest(folder) as manifest:
        twin.house.exporter.export(RecordingId(recording), order, folder, manifest)
        manifest.finish()
    files = sorted(folder.iterdir())
    assert len(files) == 4
    return [(0, [("file", path.name)], path.read_bytes()) for path in files]


def differences(
    twins: tuple[Twin, Twin], chance: SameChance, pair: int, draw: random.Random
) -> tuple[int, int]:
    """How many answers there were, and in how many the twins differ."""
    one, other, kind, spans = pair_of_sounds(draw)
    name, seed = f"R{pair}", draw.randrange(1 << 30)
    answers = []
    for twin, data in zip(twins, (one, other), strict=True):
        chance.begin(pair)
        recording = take(twin, name, data, kind, spans)
        (searched,) = twin.house.key_finder.once()
        assert searched.done
        answers.append(doors(twin, recording, name, random.Random(seed)))  # noqa: S311  # on purpose
    return len(answers[0]), sum(a != b for a, b in zip(*answers, strict=True))


def require_same_people(twins: tuple[Twin, Twin]) -> None:
    """Give the one user the same id in both, since tokens name it."""
    for twin in twins:
        with twin.house.db.write() as conn:
            conn.exec_driver_sql("UPDATE web_users SET id = 'u1'")


def test_nothing_of_what_is_masked_shows_at_any_door(
    twins: tuple[Twin, Twin], monkeypatch: pytest.MonkeyPatch, shown: Shown
) -> None:
    """All formats, channels, ranges, conditions, HEAD, JSON, CSV, XML, feeds and lists."""
    require_same_people(twins)
    chance = SameChance(monkeypatch)
    draw = random.Random(11)  # noqa: S311  # a fixed seed, on purpose
    for pair in range(PAIRS):
        count, different = differences(twins, chance, pair, draw)
        assert different == 0, f"pair {pair}"
        shown.one("pairs of recordings that differ only where they are masked")
        for _ in range(count):
            shown.one("answers of such pairs compared to the byte")


def nothing_masked(block: Any, start: int, mask: Mask, *fill: Any) -> Any:  # noqa: ANN401  # as obfuscate
    """The call that masks, taken away."""
    return obfuscate(block, start, Mask(tuple(() for _ in mask.channels)), *fill)


def one_frame_less(block: Any, start: int, mask: Mask, *fill: Any) -> Any:  # noqa: ANN401  # as obfuscate
    """Each mask ends one frame too early."""
    shorter = tuple(tuple((a, b - 1) for a, b in each if b - a > 1) for each in mask.channels)
    return obfuscate(block, start, Mask(shorter), *fill)


def nothing_held_back(mask: Mask, stored: Any, place: Any = None) -> Any:  # noqa: ANN401  # as clear_extents
    """All stored bytes leave as they are."""
    return clear_extents(Mask(tuple(() for _ in mask.channels)), stored, place)


def one_channel_held_back(mask: Mask, stored: Any, place: Any = None) -> Any:  # noqa: ANN401  # as clear_extents
    """A frame of which only the right channel is masked leaves as it is stored."""
    return clear_extents(Mask(mask.channels[:1]), stored, place)


_EXTENTS = SafeExtents.extents


def nothing_held_back_from_the_kernel(safe: Any, start: int, stop: int) -> Any:  # noqa: ANN401  # as extents
    """What is read is as it should be; what is sent from the file is all of it."""
    return _EXTENTS(clear_extents(Mask(((),)), safe._stored, safe._place), start, stop)


def nothing_withheld(reader: Any, *_: Any) -> Any:  # noqa: ANN401  # as withheld
    """A decoder remembers what is masked."""
    return reader


@pytest.mark.parametrize(
    ("module", "name", "fault"),
    [
        ("masked", "obfuscate", nothing_masked),
        ("masked", "obfuscate", one_frame_less),
        ("pipeline", "clear_extents", nothing_held_back),
        ("pipeline", "clear_extents", one_channel_held_back),
        ("blocks.SafeExtents", "extents", nothing_held_back_from_the_kernel),
        ("sources", "withheld", nothing_withheld),
    ],
)
def test_a_masking_call_that_is_taken_away_is_noticed(
    twins: tuple[Twin, Twin],
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    name: str,
    fault: Callable[..., object],
) -> None:
    """The comparison above can fail."""
    require_same_people(twins)
    chance = SameChance(monkeypatch)
    monkeypatch.setattr(f"callreel.audio.{module}.{name}", fault)
    if name == "withheld":
        monkeypatch.setattr("tests.e2e.test_nothing_shows.LOSSY_SHARE", 1.0)
        monkeypatch.setattr("tests.e2e.test_nothing_shows.LOSSY", PREDICTING)
    draw = random.Random(11)  # noqa: S311  # the same pairs
    assert any(differences(twins, chance, pair, draw)[1] for pair in range(PAIRS))
