"""Call records of Asterisk and FreePBX, in each of their forms, with a monitor tree."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callreel.errors import BadInput
from callreel.flows.entry import CallEntry, Result
from callreel.importers.asterisk import AsteriskOptions, read_asterisk
from callreel.importers.asterisk_rows import CdrRow, read_rows
from callreel.importers.items import Item, Problem
from callreel.importers.monitor import MonitorTree
from callreel.model import Direction, Disposition

BASE = (
    '"","01632960111","2104","from-trunk","""Ann Example"" <01632960111>","SIP/trunk-0000ce14",'
    '"SIP/2104-0000ce15","Dial","SIP/2104,,gT","2026-11-23 09:30:00","2026-11-23 09:30:05",'
    '"2026-11-23 09:31:00",60,55,"ANSWERED","DOCUMENTATION"'
)
UNIQUE, USER, LATER = '"1795426200.99"', '"note"', '"","1795426200.90",7'
FORMS = {
    16: BASE,
    17: f"{BASE},{UNIQUE}",
    18: f"{BASE},{UNIQUE},{USER}",
    19: f"{BASE},{LATER}",
    20: f"{BASE},{UNIQUE},{LATER}",
    21: f"{BASE},{UNIQUE},{USER},{LATER}",
}
GUI_COLUMNS = (
    "calldate,clid,src,dst,dcontext,channel,dstchannel,lastapp,lastdata,duration,billsec,"
    "disposition,amaflags,accountcode,uniqueid,userfield,did,cnum,cnam,outbound_cnum,"
    "outbound_cnam,dst_cnam,recordingfile,linkedid,peeraccount,sequence"
)

UTC_OPTIONS = AsteriskOptions(timezone=UTC)


def _rows(tmp_path: Path, *lines: str, end: str = "\n") -> Path:
    path = tmp_path / "Master.csv"
    path.write_text("\n".join(lines) + end, encoding="utf-8")
    return path


def _items(
    path: Path, monitor: Path | None = None, options: AsteriskOptions = UTC_OPTIONS
) -> list[Item]:
    tree = None if monitor is None else MonitorTree(monitor)
    return list(read_asterisk(partial(read_rows, path), tree, options))


def _entries(items: list[Item]) -> list[CallEntry]:
    problems = [item for item in items if isinstance(item, Problem)]
    assert problems == []
    return [item for item in items if isinstance(item, CallEntry)]


def _cdr(unique: str, *, linked: str = "", file: str = "", answered: bool = True) -> str:
    """A row of FreePBX's export."""
    said = "ANSWERED" if answered else "NO ANSWER"
    return (
        f'"2026-11-23 09:30:00","","01632960111","2104","from-trunk","SIP/t-0000aa{unique[-2:]}",'
        f'"SIP/2104-0000bbbb","Dial","",60,55,"{said}",3,"","{unique}","","","","","","","",'
        f'"{file}","{linked}","",1'
    )


@pytest.mark.parametrize("columns", sorted(FORMS))
def test_master_csv_is_read_with_every_number_of_columns(tmp_path: Path, columns: int) -> None:
    """16 to 21 columns, each with what it has."""
    (row,) = read_rows(_rows(tmp_path, FORMS[columns]))
    assert isinstance(row, CdrRow)
    assert (row.src, row.dst, row.start, row.duration) == (
        "01632960111", "2104", "2026-11-23 09:30:00", "60",
    )  # fmt: skip
    assert row.uniqueid == ("1795426200.99" if columns in {17, 18, 20, 21} else "")
    assert row.userfield == ("note" if columns in {18, 21} else "")
    assert row.linkedid == ("1795426200.90" if columns in {19, 20, 21} else "")


def test_the_one_column_more_is_a_user_field_where_it_looks_like_none(tmp_path: Path) -> None:
    """17 and 20 columns hold the unique id or the user field; the text decides."""
    rows = list(read_rows(_rows(tmp_path, f"{BASE},{USER}", f"{BASE},{USER},{LATER}")))
    assert [getattr(row, "userfield", None) for row in rows] == ["note", "note"]
    assert [getattr(row, "uniqueid", None) for row in rows] == ["", ""]


def test_utc_and_local_differ_by_the_offset_of_that_day(tmp_path: Path) -> None:
    """The records do not say their zone, so whoever imports does."""
    path = _rows(tmp_path, FORMS[18].replace("2026-11-23", "2026-07-23"))
    (utc,) = _entries(_items(path))
    (london,) = _entries(_items(path, options=AsteriskOptions(timezone=ZoneInfo("Europe/London"))))
    assert utc.started_at is not None
    assert london.started_at == utc.started_at - 3600_000
    assert london.source_key == utc.source_key


def test_an_answered_inbound_call_of_an_extension(tmp_path: Path) -> None:
    """The called extension is ours, the trunk is the channel."""
    (entry,) = _entries(_items(_rows(tmp_path, FORMS[21])))
    assert entry.direction is Direction.INBOUND
    assert entry.disposition is Disposition.ANSWERED
    assert (entry.from_number, entry.to_number) == ("01632960111", "2104")
    assert (entry.extension, entry.channel) == ("2104", "SIP/trunk")
    assert (entry.duration_s, entry.linked_id) == (60.0, "1795426200.90")


def test_an_inbound_call_that_nobody_answered_is_abandoned(tmp_path: Path) -> None:
    """An empty answer time stands there without quotes."""
    line = FORMS[18].replace('"2026-11-23 09:30:05"', "").replace("ANSWERED", "NO ANSWER")
    (entry,) = _entries(_items(_rows(tmp_path, line)))
    assert entry.disposition is Disposition.ABANDONED


def test_arithmetic_that_does_not_add_up_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """16 s of duration against 18 s between start and end, names in any script."""
    line = (
        '"","+441614960123","+447700900123","outgoingmind",'
        '"""Пример Звонящий"" <+441614960123>","SIP/211-0000ce14","SIP/441614960123-0000ce15",'
        '"Dial","SIP/+447700900123@441614960123,,","2015-12-23 07:56:55","2015-12-23 07:57:04",'
        '"2015-12-23 07:57:13",16,8,"ANSWERED","DOCUMENTATION","1450857416.80700",""'
    )
    (entry,) = _entries(_items(_rows(tmp_path, line)))
    assert entry.duration_s == 16.0
    assert entry.direction is Direction.OUTBOUND
    assert (entry.extension, entry.channel) == ("211", "SIP/441614960123")


@pytest.mark.parametrize(
    ("src", "dst", "context", "direction"),
    [
        ("2104", "2105", "from-internal", Direction.INTERNAL),
        ("2104", "*97", "from-internal", Direction.INTERNAL),
        ("2104", "07700900123", "from-internal", Direction.OUTBOUND),
        ("", "2104", "default", Direction.INBOUND),
        ("07700900123", "01632960500", "from-trunk-sip", Direction.INBOUND),
        ("2104", "2105", "sales-in", Direction.INBOUND),
    ],
)
def test_direction_comes_from_the_context_or_the_numbers(
    tmp_path: Path, src: str, dst: str, context: str, direction: Direction
) -> None:
    """A context that the administrator named wins."""
    line = (
        f'"","{src}","{dst}","{context}","","SIP/a-00000001","SIP/b-00000002","Dial","",'
        '"2026-11-23 09:30:00",,"2026-11-23 09:31:00",60,0,"NO ANSWER","DOCUMENTATION"'
    )
    options = AsteriskOptions(timezone=UTC, contexts={"sales-in": Direction.INBOUND})
    (entry,) = _entries(_items(_rows(tmp_path, line), options=options))
    assert entry.direction is direction


def test_a_broken_row_is_listed_and_the_next_is_read(tmp_path: Path) -> None:
    """A torn quote or a wrong number of columns costs one row."""
    path = _rows(tmp_path, FORMS[18], '"","torn', "a,b,c", FORMS[18].replace("09:30:00", "x"), BASE)
    items = _items(path)
    assert [item.origin for item in items if isinstance(item, Problem)] == [
        "Master.csv:2",
        "Master.csv:3",
        "Master.csv:4",
    ]
    assert len([item for item in items if isinstance(item, CallEntry)]) == 2


@pytest.mark.parametrize("cut", range(1, 40))
def test_the_last_line_waits_while_it_is_being_written(tmp_path: Path, cut: int) -> None:
    """Wherever it is cut, also where it still looks like a shorter form of the row."""
    path = _rows(tmp_path, FORMS[18], FORMS[18][:-cut], end="")
    _, last = list(read_rows(path))
    assert isinstance(last, Problem)
    assert last.result is Result.WAITING


def test_a_last_line_without_a_line_end_is_read_where_it_is_whole(tmp_path: Path) -> None:
    """Editors leave the end of the line out; a program may not have come to it yet."""
    path = _rows(tmp_path, FORMS[18], FORMS[18], end="")
    assert [type(item) for item in _items(path)] == [CallEntry, Problem]
    os.utime(path, (1_790_000_000, 1_790_000_000))
    assert len(_entries(_items(path))) == 2


def test_a_first_row_that_was_cut_waits(tmp_path: Path) -> None:
    """It looks like a shorter form of the row, without its unique id."""
    path = _rows(tmp_path, FORMS[18].rpartition(",")[0], end="")
    (waiting,) = _items(path)
    assert isinstance(waiting, Problem)
    assert waiting.result is Result.WAITING


def test_what_can_be_read_only_once_is_refused(tmp_path: Path) -> None:
    """The first rows of a pipe would be lost while its form is found out."""
    pipe = tmp_path / "Master.csv"
    os.mkfifo(pipe)
    with pytest.raises(BadInput, match="write it to a file first"):
        read_rows(pipe)


def test_records_of_a_forked_call_are_told_apart(tmp_path: Path) -> None:
    """They have all in common but their sequence, and maybe their end."""
    row = FORMS[21]
    other = f"{row.rpartition(',')[0]},777"
    found = _entries(_items(_rows(tmp_path, row, other)))
    assert len({entry.source_key for entry in found}) == 2


def test_a_gui_export_is_read_by_its_header(tmp_path: Path) -> None:
    """Columns by name, in any order; Latin-1 is read as well."""
    path = tmp_path / "cdr.csv"
    line = _cdr("1795426200.99", file="x.wav").replace('""', '"José"', 1)
    path.write_bytes(f"{GUI_COLUMNS}\r\n{line}\r\n".encode("latin-1"))
    (row,) = read_rows(path)
    assert isinstance(row, CdrRow)
    assert (row.clid, row.uniqueid, row.recordingfile) == ("José", "1795426200.99", "x.wav")


def test_sqlite_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    """Integers and NULL as well; the file is not changed."""
    path = tmp_path / "master.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE cdr (calldate TEXT, src TEXT, dst TEXT, channel TEXT, dstchannel TEXT,"
            " duration INTEGER, disposition TEXT, uniqueid TEXT, dcontext TEXT)"
        )
        connection.execute(
            "INSERT INTO cdr VALUES ('2026-11-23 09:30:00', '01632960111', '2104',"
            " 'SIP/trunk-0000ce14', 'SIP/2104-0000ce15', 60, 'ANSWERED', '1795426200.99', NULL)"
        )
        connection.commit()
    before = path.read_bytes()
    (from_sqlite,) = _entries(_items(path))
    (from_csv,) = _entries(_items(_rows(tmp_path, FORMS[18])))
    assert from_sqlite.source_key == from_csv.source_key
    assert from_sqlite.duration_s == 60.0
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("table", "says"), [("nothing", "no such table"), ("other", "lacks the columns")]
)
def test_a_database_of_something_else_is_refused_in_words(
    tmp_path: Path, table: str, says: str
) -> None:
    """The name of the table is text, not SQL."""
    path = tmp_path / "master.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (a TEXT)")
        connection.commit()
    with pytest.raises(BadInput, match=says):
        list(read_rows(path, table))


@pytest.mark.parametrize(
    "name",
    [
        "2026/11/23/external-2104-01632960111-20261123-093000-1795426200.99.wav",
        "odd-dst-with-dash-0163-296-20261123-093000-1795426200.99.WAV",
        "1795426200.99.gsm",
    ],
)
def test_a_recording_is_found_by_the_unique_id_at_the_end_of_its_name(
    tmp_path: Path, write_wav: Callable[..., Path], name: str
) -> None:
    """Dashes in numbers make the rest of the name unreadable, so it is not read."""
    write_wav(tmp_path / "monitor" / name)
    (entry,) = _entries(_items(_rows(tmp_path, FORMS[18]), tmp_path / "monitor"))
    assert entry.audio is not None
    assert entry.audio.name == name
    assert entry.voicefilename == Path(name).stem


@pytest.mark.parametrize(
    "spoken",
    [
        "call-7.wav",
        "call-7.gsm",
        "/var/spool/asterisk/monitor/2026/call-7.wav",
        "2026/call-7.wav",
        "{monitor}/2026/call-7.wav",
    ],
)
def test_a_recording_is_found_by_the_name_in_the_row(
    tmp_path: Path, write_wav: Callable[..., Path], spoken: str
) -> None:
    """A base name, a path below the tree, the exchange's own path, or a name converted since."""
    monitor = tmp_path / "monitor"
    write_wav(monitor / "2026" / "call-7.wav")
    path = tmp_path / "cdr.csv"
    row = _cdr("1795426200.11", file=spoken.format(monitor=monitor))
    path.write_text(f"{GUI_COLUMNS}\n{row}\n")
    (entry,) = _entries(_items(path, monitor))
    assert entry.audio is not None
    assert entry.audio.name == "2026/call-7.wav"


def test_a_recording_is_found_by_the_user_field(
    tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    """Old FreePBX wrote ``audio:`` and the name there."""
    write_wav(tmp_path / "monitor" / "auto-7.wav")
    line = f'{BASE},{UNIQUE},"audio:auto-7.wav"'
    (entry,) = _entries(_items(_rows(tmp_path, line), tmp_path / "monitor"))
    assert entry.audio is not None


@pytest.mark.parametrize(
    "spoken",
    ["../secret.wav", "/etc/hostname", "2026/../../secret.wav", "/var/spool/asterisk/monitor/../x"],
)
def test_a_row_that_names_a_file_outside_the_tree_is_refused_its_sound(
    tmp_path: Path, write_wav: Callable[..., Path], spoken: str
) -> None:
    """Names in records are data; the call stays, with the reason (T29, T47)."""
    monitor = tmp_path / "monitor"
    write_wav(monitor / "x-20261123-093000-1795426200.11.wav")
    write_wav(tmp_path / "secret.wav")
    path = tmp_path / "cdr.csv"
    path.write_text(f"{GUI_COLUMNS}\n{_cdr('1795426200.11', file=spoken)}\n")
    entry, orphan = _items(path, monitor)
    assert isinstance(entry, CallEntry)
    assert entry.audio is None
    assert "refused" in (entry.missing or "")
    assert isinstance(orphan, Problem)


def test_44_bytes_are_no_recording(tmp_path: Path) -> None:
    """A header without sound is what a recorder leaves of a call that nobody answered."""
    (tmp_path / "monitor").mkdir()
    (tmp_path / "monitor" / "call-7.wav").write_bytes(bytes(44))
    path = tmp_path / "cdr.csv"
    path.write_text(f"{GUI_COLUMNS}\n{_cdr('1795426200.11', file='call-7.wav')}\n")
    (entry,) = _entries(_items(path, tmp_path / "monitor"))
    assert entry.audio is None
    assert "44 bytes" in (entry.missing or "")


def test_legs_of_one_linked_id_share_the_recording(
    tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    """In any order of rows; a leg that only rang does not."""
    monitor = tmp_path / "monitor"
    write_wav(monitor / "x-20261123-093000-1795426200.11.wav")
    rows = [
        _cdr("1795426200.11", linked="1795426200.90"),
        _cdr("1795426200.12", linked="1795426200.90"),
        _cdr("1795426200.13", linked="1795426200.90", answered=False),
    ]
    found = []
    for seed in range(4):
        random.Random(seed).shuffle(rows)  # noqa: S311 - any order will do
        path = tmp_path / "cdr.csv"
        path.write_text("\n".join((GUI_COLUMNS, *rows)) + "\n")
        entries = _entries(_items(path, monitor))
        found.append({(e.source_key, e.audio, e.voicefilename) for e in entries})
    assert all(each == found[0] for each in found)
    assert sorted(audio is not None for _, audio, _ in found[0]) == [False, True, True]


def test_unique_ids_of_two_systems_with_the_same_digits_are_kept_apart(
    tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    """A system's name in front of the id counts."""
    monitor = tmp_path / "monitor"
    write_wav(monitor / "x-20261123-093000-west-1795426200.11.wav", seed=1)
    write_wav(monitor / "x-20261123-093000-east-1795426200.11.wav", seed=2)
    path = tmp_path / "cdr.csv"
    path.write_text(f"{GUI_COLUMNS}\n{_cdr('east-1795426200.11')}\n")
    entry, orphan = _items(path, monitor)
    assert isinstance(entry, CallEntry)
    assert entry.audio is not None
    assert "east" in entry.audio.name
    assert isinstance(orphan, Problem)
    assert (orphan.origin, orphan.result) == (
        "x-20261123-093000-west-1795426200.11.wav",
        Result.WAITING,
    )


def test_a_name_that_two_folders_hold_is_not_guessed(
    tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    """Which of them is meant is not known."""
    write_wav(tmp_path / "monitor" / "a" / "call-7.wav", seed=1)
    write_wav(tmp_path / "monitor" / "b" / "call-7.wav", seed=2)
    path = tmp_path / "cdr.csv"
    path.write_text(f"{GUI_COLUMNS}\n{_cdr('1795426200.11', file='call-7.wav')}\n")
    entry = _items(path, tmp_path / "monitor")[0]
    assert isinstance(entry, CallEntry)
    assert entry.audio is None
    assert "2 recordings" in (entry.missing or "")
