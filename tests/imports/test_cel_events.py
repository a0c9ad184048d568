"""Channel events of Asterisk, in each of their forms."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callreel.errors import BadInput
from callreel.flows.entry import Result
from callreel.flows.switch import Cause, SwitchEvent
from callreel.importers.events import Tally
from callreel.importers.heard import KeyRules
from callreel.importers.items import Problem
from tests.imports.switch_lines import (
    AGENT,
    CALLER,
    START_S,
    cel,
    cel_key,
    cel_keys,
    read,
    reasons,
    told,
)

KIND = "asterisk-cel"
ADVANCED = (
    '"{kind}","{enum}","x","{time}","{name}","Ann","01632960111","2104","from-internal",'
    '"PJSIP/2104-0000ce15","AppDial","","3","",'
    f'"{AGENT}","","","","","PJSIP/t-1","{CALLER}","","{{extra}}"'
)


def write(tmp_path: Path, *lines: str, end: str = "\n") -> Path:
    """A file of lines."""
    path = tmp_path / "Master.csv"
    path.write_text("\n".join(lines) + end, encoding="utf-8")
    return path


def test_user_events_say_on_and_off(tmp_path: Path) -> None:
    """By the name in their own column, or where the type should be; other events say nothing."""
    tally = Tally()
    path = write(
        tmp_path,
        cel("CHAN_START", 0),
        cel("USER_DEFINED", 5, name="mask"),
        cel("Unmask", 9.25),
        cel("USER_DEFINED", 10, name="coffee"),
        cel("SOMETHING_NEW", 11),
    )
    items = read(KIND, path, tally=tally)
    assert told(items) == [(5, True), (9.25, False)]
    first = items[0]
    assert isinstance(first, SwitchEvent)
    assert (first.unique_id, first.linked_id, first.cause) == (AGENT, CALLER, Cause.EVENT)
    assert (first.origin, tally.others) == ("Master.csv:2", 3)


def test_names_can_be_said(tmp_path: Path) -> None:
    """Several; capitals do not matter, the usual ones are then none."""
    path = write(tmp_path, cel("CardOn", 1), cel("CARDOFF", 2), cel("mask", 3), cel("hush", 4))
    names = {
        "mask_names": frozenset({"cardon", "hush"}),
        "unmask_names": frozenset({"cardoff"}),
    }
    assert told(read(KIND, path, **names)) == [(1, True), (2, False), (4, True)]


def test_keys_say_on_and_off(tmp_path: Path) -> None:
    """The channel on which they were typed is the leg."""
    items = read(KIND, write(tmp_path, *cel_keys("*5", 5), *cel_keys("*6", 9)))
    assert told(items) == [(5, True), (9.3, False)]
    assert {(i.unique_id, i.cause) for i in items if isinstance(i, SwitchEvent)} == {
        (AGENT, Cause.KEYS)
    }


def test_keys_can_be_left_alone(tmp_path: Path) -> None:
    """Where nobody types on and off, ``*5`` is something else."""
    assert read(KIND, write(tmp_path, *cel_keys("*5", 5)), keys=None) == []


def test_a_sequence_may_be_cut_by_the_rotation_of_a_log(tmp_path: Path) -> None:
    """In either order of the files; and a file that was given twice changes nothing."""
    (tmp_path / "old").mkdir()
    star, six = cel_keys("*6", 5)
    old, new = write(tmp_path / "old", star), write(tmp_path, six)
    for paths in ([old, new], [new, old], [old, new, old]):
        assert told(read(KIND, *paths)) == [(5.3, False)]


def test_keys_of_whole_seconds_are_counted_in_each_file(tmp_path: Path) -> None:
    """The same key twice in a second is two keys, and a copy of the file adds none."""
    (tmp_path / "copy").mkdir()
    lines = cel_keys("66", 5, gap_s=0)
    paths = write(tmp_path, *lines), write(tmp_path / "copy", *lines)
    assert told(read(KIND, *paths, keys=KeyRules("55", "66"))) == [(5, False)]


def test_a_nul_harms_nothing(tmp_path: Path) -> None:
    """In a field that nobody reads; in an id it is none."""
    path = write(tmp_path, cel("mask", 5, cidname="a\0b"), cel("mask", 6, uniqueid="a\0b"))
    good, bad = read(KIND, path)
    assert told([good]) == [(5, True)]
    assert reasons([bad]) == ["its unique id is not one of Asterisk's"]


@pytest.mark.parametrize("tenant", ["", ',"acme"'], ids=["23 columns", "24 columns"])
def test_the_newer_sample_has_other_columns(tmp_path: Path, tenant: str) -> None:
    """With a tenant since it has one."""
    row = {"kind": "mask", "enum": "USER_DEFINED", "time": f"{START_S + 5}.000000", "name": "mask"}
    key = {"kind": "DTMF", "enum": "DTMF", "time": f"{START_S + 7}.5", "name": ""}
    digit = '{""digit"":""*"",""duration_ms"":100}'
    path = write(
        tmp_path,
        ADVANCED.format(**row, extra="") + tenant,
        ADVANCED.format(**key, extra=digit) + tenant,
        ADVANCED.format(**{**key, "time": f"{START_S + 8}.5"}, extra=digit.replace("*", "5"))
        + tenant,
    )
    assert told(read(KIND, path)) == [(5, True), (7.5, True)]


def test_a_header_names_the_columns(tmp_path: Path) -> None:
    """As FreePBX's table is exported; tabs will do as well."""
    for sign in ",\t":
        header = sign.join(["id", "eventtype", "eventtime", "cid_num", "uniqueid", "linkedid"])
        row = sign.join(["7", "mask", f"{START_S + 5}.5", "01632960111", AGENT, CALLER])
        assert told(read(KIND, write(tmp_path, header, row))) == [(5.5, True)]


def test_columns_can_be_said(tmp_path: Path) -> None:
    """For a mapping of one's own."""
    path = write(tmp_path, f"{START_S}.5,mask,{AGENT}")
    assert told(read(KIND, path, columns=("EventTime", "EventType", "UniqueID"))) == [(0.5, True)]
    assert reasons(read(KIND, path)) == ["3 columns; say with --columns what they are"]


def test_json_lines(tmp_path: Path) -> None:
    """Names in capitals as the sample writes them; the extra field may be an object."""
    first = {
        "EventType": "mask",
        "EventTime": f"{START_S}.5",
        "UniqueID": AGENT,
        "LinkedID": CALLER,
    }
    lines = [first, {**first, "EventType": "unmask", "EventTime": f"{START_S + 2}.5"}]
    for n, key in enumerate("*5"):
        time = f"{START_S + 10 + n}.5"
        lines.append({**first, "EventType": "DTMF", "EventTime": time, "Extra": {"digit": key}})
    path = write(tmp_path, *(json.dumps(line) for line in lines))
    assert told(read(KIND, path)) == [(0.5, True), (2.5, False), (10.5, True)]


def test_sqlite(tmp_path: Path) -> None:
    """As cel_sqlite3_custom writes it; a wrong table is told."""
    path = tmp_path / "master.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE cel (eventtype, eventtime, userdeftype, uniqueid, linkedid)"
        )
        connection.execute(
            "INSERT INTO cel VALUES ('USER_DEFINED', ?, 'mask', ?, NULL)", (START_S + 0.5, AGENT)
        )
        connection.execute("CREATE TABLE other (eventtype)")
        connection.commit()
    assert told(read(KIND, path)) == [(0.5, True)]
    with pytest.raises(BadInput, match="lacks the columns"):
        read(KIND, path, table="other")
    with pytest.raises(BadInput, match="no such table"):
        read(KIND, path, table='x"; DROP TABLE cel')


@pytest.mark.parametrize(
    ("text", "zone", "seconds"),
    [
        ("2026-11-23 09:30:00", UTC, 0),
        ("2026-11-23 09:30:00.25", UTC, 0.25),
        ("2026-11-23 10:30:00", ZoneInfo("Europe/Berlin"), 0),
        ("2026-11-23T11:30:00+02:00", None, 0),
    ],
)
def test_times_by_dateformat_are_read_in_the_zone_that_was_said(
    tmp_path: Path, text: str, zone: object, seconds: float
) -> None:
    """One with an offset needs none."""
    path = write(tmp_path, cel("mask", 0, eventtime=text))
    assert told(read(KIND, path, timezone=zone)) == [(seconds, True)]


def test_a_zone_is_never_guessed(tmp_path: Path) -> None:
    """The event is skipped, and says what to do."""
    path = write(tmp_path, cel("mask", 0, eventtime="2026-11-23 09:30:00"))
    assert reasons(read(KIND, path)) == [
        "its time has no zone; say --utc, --local or --timezone ZONE"
    ]


@pytest.mark.parametrize("seconds", [-6, 8 * 86_400])
def test_a_wrong_zone_shows_by_the_unique_id(tmp_path: Path, seconds: float) -> None:
    """It begins with the second in which its channel did: else speech would stay unmasked."""
    path = write(tmp_path, cel("mask", seconds), cel_key("*", seconds))
    assert (
        reasons(read(KIND, path))
        == ["its time is not that of its unique id; is the zone right?"] * 2
    )
    near = write(tmp_path, cel("mask", -4.5))
    assert told(read(KIND, near)) == [(-4.5, True)]


@pytest.mark.parametrize(
    "text", ["", "soon", "1e99", "nan", "-5", "4929016329609991", "9999999999999"]
)
def test_a_time_that_is_none_is_skipped_and_not_repeated(tmp_path: Path, text: str) -> None:
    """In a line whose columns have slipped it may be a card number."""
    (reason,) = reasons(read(KIND, write(tmp_path, cel("mask", 0, eventtime=text)), timezone=UTC))
    assert reason == "its time is not one that can be read"


@pytest.mark.parametrize("unique_id", ["4929016329609991", "*5", "a b", "é.1", "x" * 151])
def test_an_id_that_is_none_is_skipped_and_not_repeated(tmp_path: Path, unique_id: str) -> None:
    """It would be stored, and it may be what somebody typed."""
    path = write(tmp_path, cel("mask", 0, uniqueid=unique_id))
    assert reasons(read(KIND, path)) == ["its unique id is not one of Asterisk's"]
    path = write(tmp_path, cel("mask", 0, linkedid=unique_id))
    assert reasons(read(KIND, path)) == ["its unique id is not one of Asterisk's"]


def test_a_system_name_is_part_of_the_id(tmp_path: Path) -> None:
    """``systemname`` in asterisk.conf; its time is still that of the channel."""
    name = f"pbx-1-{AGENT}"
    (item,) = read(KIND, write(tmp_path, cel("mask", 5, uniqueid=name, linkedid="")))
    assert isinstance(item, SwitchEvent)
    assert (item.unique_id, item.linked_id) == (name, None)


def test_an_event_without_ids_is_about_the_name_of_its_channel(tmp_path: Path) -> None:
    """An extension where it is one, else the line."""
    none = {"uniqueid": "", "linkedid": ""}
    lines = [
        cel("mask", 1, channame="PJSIP/2104-0000ce15", **none),
        cel("mask", 2, channame="SIP/trunk-0000ce14", **none),
        cel("mask", 3, channame="Local/2105@from-queue-00000001;2", **none),
    ]
    items = [i for i in read(KIND, write(tmp_path, *lines)) if isinstance(i, SwitchEvent)]
    assert [(i.extension, i.channel) for i in items] == [
        ("2104", None),
        (None, "SIP/trunk"),
        ("2105", None),
    ]


def test_hostile_lines_are_listed_and_the_others_come_in(tmp_path: Path) -> None:
    """NUL, torn quotes, too few columns, bytes that are no text, a line without end."""
    path = tmp_path / "Master.csv"
    good = cel("mask", 5).encode()
    bad = [
        b'"mask","\0"',
        b'"mask","torn',
        b'"mask","x"',
        b"\xff\xfe\xff",
        b'"' + b"5" * 70_000 + b'"',
        b'{"a": 1}',
    ]
    path.write_bytes(b"\n".join([good, *bad, b"", cel("unmask", 9).encode()]) + b"\n")
    items = read(KIND, path)
    problems = [item for item in items if isinstance(item, Problem)]
    assert [problem.origin for problem in problems] == [f"Master.csv:{n}" for n in range(2, 8)]
    assert {problem.result for problem in problems} == {Result.SKIPPED}
    assert not any("555" in problem.reason for problem in problems)
    assert told([item for item in items if isinstance(item, SwitchEvent)]) == [
        (5, True),
        (9, False),
    ]


@pytest.mark.parametrize(
    "line",
    [cel("mask", 5), json.dumps({"eventtype": "mask", "eventtime": START_S, "uniqueid": AGENT})],
)
def test_a_last_line_that_is_being_written_waits(tmp_path: Path, line: str) -> None:
    """Wherever it ends; whole, it needs no end of line."""
    for length in range(1, len(line)):
        (problem,) = read(KIND, write(tmp_path, line[:length], end=""))
        assert isinstance(problem, Problem)
        assert problem.result is Result.WAITING
    assert len(told(read(KIND, write(tmp_path, line, end="")))) == 1


def test_a_stop_at_the_end_waits_until_no_key_can_follow(tmp_path: Path) -> None:
    """The next line may show that a number goes on."""
    path = write(tmp_path, *cel_keys("*6", 5))
    (problem,) = read(KIND, path, clock=lambda: (START_S + 7) * 1000)
    assert isinstance(problem, Problem)
    assert (problem.origin, problem.result) == ("Master.csv:2", Result.WAITING)
    assert told(read(KIND, path, clock=lambda: (START_S + 9) * 1000)) == [(5.3, False)]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(BadInput, match="nowhere"):
        read(KIND, tmp_path / "nowhere")
