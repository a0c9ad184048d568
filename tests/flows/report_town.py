"""Random calls for reports, kept as plain records that a test can count by itself."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import insert

from callreel.db import directory
from callreel.db.database import Database
from callreel.db.schema import audit, call_records, recordings, sites, spans
from callreel.flows.report_kinds.shape import Link
from callreel.model import Principal, Role, Scope, UnixMillis, WebUserId

LONDON = ZoneInfo("Europe/London")
NOW = UnixMillis(round(datetime(2026, 10, 28, 15, 30, tzinfo=UTC).timestamp() * 1000))
"""Three days after London's clocks went back."""
PERIOD = "2026-10-22..2026-10-27"
FIRST = datetime(2026, 10, 21, tzinfo=UTC)
DAYS = 8
DIRECTIONS = ("inbound", "inbound", "inbound", "outbound", "internal", "unknown")
ENDS = ("answered", "answered", "answered", "abandoned", "busy", "failed", "unknown")
PEOPLE = {
    "north": {"201": ("Priya", "Sales"), "202": ("Tom", "Sales"), "203": ("Ines", "Support")},
    "south": {"201": ("Omar", "Support"), "305": ("Lea", None)},
}
HOSTILE = "=1+1</title><script>alert(1)</script>\"'&"
"""What a caller may send as a number."""


def principal(role: Role = Role.SUPERVISOR, reach: Scope | None = None) -> Principal:
    """Somebody who asks; sees everything unless told otherwise."""
    return Principal(
        WebUserId("w1"), "ann", role, Scope(everything=True) if reach is None else reach, "basic"
    )


@dataclass(frozen=True, slots=True)
class PlainCall:
    """A call as it was written."""

    id: str
    at: int
    length_ms: int
    answered_ms: int | None
    """After the beginning."""
    direction: str
    end: str
    from_number: str
    to_number: str
    site: str
    extension: str | None
    recorded: bool
    masked_s: float
    proposed: bool

    @property
    def wait_ms(self) -> int | None:
        """Until somebody answered, or the caller hung up."""
        if self.answered_ms is not None:
            return self.answered_ms
        return self.length_ms if self.end == "abandoned" else None

    @property
    def talk_ms(self) -> int:
        """After the answer."""
        if self.answered_ms is not None:
            return max(0, self.length_ms - self.answered_ms)
        return 0 if self.end in {"abandoned", "busy", "failed"} else self.length_ms


@dataclass(slots=True)
class Town:
    """All calls of a database, and the ids of its directory."""

    calls: list[PlainCall] = field(default_factory=list)
    users: dict[tuple[str, str], str] = field(default_factory=dict)
    """By site and extension."""
    groups: dict[str, str] = field(default_factory=dict)
    """Id of a group by id of a user."""

    def matching(self, link: Link) -> list[PlainCall]:
        """The calls that a link stands for, as its keys are explained."""
        return [call for call in self.calls if self._matches(call, link)]

    def _matches(self, call: PlainCall, link: Link) -> bool:
        shown = datetime.fromtimestamp(call.at // 1000, ZoneInfo(str(link.get("zone", "UTC"))))
        user = self.users.get((call.site, call.extension or ""))
        begin, _, end = str(link.get("time", "00:00-24:00")).partition("-")
        tests = {
            "since": lambda value: call.at >= value,
            "until": lambda value: call.at < value,
            "dir": lambda value: call.direction == value,
            "state": lambda value: call.end == value,
            "site": lambda value: call.site == value,
            "ext": lambda value: call.extension == value,
            "grp": lambda value: user is not None and self.groups.get(user) == value,
            "party": lambda value: value in {call.from_number, call.to_number},
            "mask": lambda _: call.masked_s > 0,
            "proposed": lambda _: call.proposed,
            "rec": lambda _: call.recorded,
            "call": lambda value: call.id == value,
            "zone": lambda _: True,
            "weekday": lambda value: shown.weekday() == value,
            "time": lambda _: begin <= f"{shown:%H:%M}" < end,
            "during": lambda value: call.at <= value < call.at + call.length_ms,
            "outside": lambda value: value == "yes" and call.direction != "internal",
        }
        return all(tests[key](value) for key, value in link.items())


def plain_calls(seed: int, count: int) -> list[PlainCall]:
    """Random calls around the night on which London's clocks went back."""
    draw = random.Random(seed)  # noqa: S311  # a test, no secret
    found = []
    for number in range(count):
        if draw.random() < 0.3:
            at = datetime(2026, 10, 24, 22, 30, tzinfo=UTC) + timedelta(
                milliseconds=draw.randrange(5 * 3_600_000)
            )
        else:
            at = FIRST + timedelta(milliseconds=draw.randrange(DAYS * 86_400_000))
        end = draw.choice(ENDS)
        length_ms = draw.choice((0, draw.randrange(90_000), draw.randrange(3_600_000)))
        answered = end == "answered" and draw.random() < 0.8
        site = draw.choice(tuple(PEOPLE))
        recorded = end == "answered" and draw.random() < 0.7
        outside = draw.choice(
            (f"0770090000{draw.randrange(9)}", "", "0161*", HOSTILE, "+442079460001")
        )
        direction = draw.choice(DIRECTIONS)
        line = draw.choice(("01632960001", "01632960002"))
        numbers = (line, outside) if direction == "outbound" else (outside, line)
        found.append(
            PlainCall(
                id=f"c{number}",
                at=round(at.timestamp() * 1000),
                length_ms=length_ms,
                answered_ms=draw.randrange(length_ms + 2) if answered else None,
                direction=direction,
                end=end,
                from_number=numbers[0],
                to_number=numbers[1],
                site=site,
                extension=draw.choice((*PEOPLE[site], None)),
                recorded=recorded,
                masked_s=draw.choice((0.0, 0.0, 1.5, 12.25)) if recorded else 0.0,
                proposed=recorded and draw.random() < 0.1,
            )
        )
    return found


def build(database: Database, calls: list[PlainCall]) -> Town:
    """Write calls, their directory, recordings and masks."""
    town = Town(calls)
    with database.write() as conn:
        directory.ensure_store(conn, "1", "file:store", read_only=False)
        directory.ensure_voicelocation(conn, "1", "1")
        for site, people in PEOPLE.items():
            directory.ensure_datasource(conn, site)
            for extension, (name, group) in people.items():
                group_id = directory.ensure_group(conn, site, group) if group else None
                user_id = directory.set_user(conn, site, extension, name=name, group_id=group_id)
                town.users[site, extension] = user_id
                if group_id:
                    town.groups[user_id] = group_id
        conn.execute(sites.update().values(timezone="Europe/London"))
        sound = [call for call in calls if call.recorded]
        for table, rows in (
            (recordings, [_recording(call) for call in sound]),
            (call_records, [_record(town, call) for call in calls]),
            (spans, [row for call in sound for row in _spans(call)]),
        ):
            if rows:
                conn.execute(insert(table), rows)
    return town


def _recording(call: PlainCall) -> dict[str, object]:
    return {
        "id": f"r{call.id}",
        "datasource": call.site,
        "voicelocation": "1",
        "voicefilename": f"NCS{call.id}",
        "store_id": "1",
        "object_key": "aa/bb",
        "size_bytes": 1,
        "sha256": "0" * 64,
        "content_version": 1,
        "state": "ready",
        "codec": "pcm_s16le",
        "container": "wav",
        "rate_hz": 8000,
        "channels": 2,
        "frames": 8000 * 60,
        "data_offset": 44,
        "data_size": 1,
        "block_align": 4,
        "memory_frames": 0,
        "started_at": call.at,
        "ready_at": call.at,
        "mask_revision": 1,
        "mask_seal": "",
        "created_at": call.at,
    }


def _record(town: Town, call: PlainCall) -> dict[str, object]:
    return {
        "id": call.id,
        "site_id": call.site,
        "datasource": call.site,
        "voicelocation": "1" if call.recorded else None,
        "voicefilename": f"NCS{call.id}" if call.recorded else None,
        "recording_id": f"r{call.id}" if call.recorded else None,
        "started_at": call.at,
        "duration_s": call.length_ms / 1000,
        "answered_at": None if call.answered_ms is None else call.at + call.answered_ms,
        "direction": call.direction,
        "from_number": call.from_number,
        "to_number": call.to_number,
        "extension": call.extension,
        "directory_user_id": town.users.get((call.site, call.extension or "")),
        "disposition": call.end,
        "created_at": call.at,
    }


def _spans(call: PlainCall) -> list[dict[str, object]]:
    """One party, and the other in the middle of it: a moment that is masked twice counts once."""
    common = {"recording_id": f"r{call.id}", "source": "hand", "created_at": call.at}
    found: list[dict[str, object]] = []
    if call.masked_s:
        stretches = ((2.0, 2.0 + call.masked_s, "left"), (2.5, 3.0, "right"))
        found += [
            {"id": f"m{call.id}{start}", "start_s": start, "end_s": end, "channel": channel,
             "state": "active", **common}
            for start, end, channel in stretches
        ]  # fmt: skip
    if call.proposed:
        found.append({"id": f"p{call.id}", "start_s": 30.0, "end_s": 31.0, "channel": None,
                      "state": "proposed", **common})  # fmt: skip
    return found


def played(database: Database, recording_id: str, *rows: tuple[int, str, str, str]) -> None:
    """Audit rows of one listening: when, which action, whose, from which address."""
    with database.write() as conn:
        for at, action, actor, address in rows:
            detail = '{"token_id": "t1", "format": "mp3", "channel": "both", "bytes_sent": 4321}'
            conn.execute(
                insert(audit).values(
                    at=at, actor=actor, action=action, object_id=recording_id,
                    decision="allowed", detail=detail, address=address,
                )
            )  # fmt: skip
