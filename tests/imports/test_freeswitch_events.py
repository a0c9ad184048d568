"""Events of FreeSWITCH: JSON lines, and plain text with and without its envelopes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from callreel.flows.entry import Result
from callreel.flows.switch import Cause, SwitchEvent
from callreel.importers.events import Tally
from callreel.importers.items import Problem
from tests.imports.switch_lines import (
    LEG_A,
    LEG_B,
    START_S,
    as_json,
    as_plain,
    fs,
    fs_command,
    fs_key,
    fs_leg,
    read,
    reasons,
    told,
)

KIND = "freeswitch"
FORMS: dict[str, Callable[[list[dict[str, str]]], str]] = {
    "json": as_json,
    "plain": as_plain,
    "enveloped": lambda events: as_plain(events, enveloped=True),
    "json in envelopes": lambda events: "".join(
        f"Content-Length: {len(text)}\nContent-Type: text/event-json\n\n{text}"
        for text in map(json.dumps, events)
    ),
}


def write(tmp_path: Path, text: str) -> Path:
    """A file of events."""
    path = tmp_path / "events.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_a_recording_that_is_masked_by_command(tmp_path: Path, form: str) -> None:
    """The command names the leg; what was recorded where is counted with all the rest."""
    tally = Tally()
    record = {"Record_File_Path": f"/r/{LEG_A}.wav"}
    events = [
        fs_leg("RECORD_START", 0, **record),
        fs_command("mask", 5),
        fs_command("unmask", 9.5),
        fs_command("stop", 10),
        fs("API", 11, API_Command="show", API_Command_Argument="calls as json"),
        fs_leg("RECORD_STOP", 12, **record),
        fs("HEARTBEAT", 13),
    ]
    items = read(KIND, write(tmp_path, FORMS[form](events)), tally=tally)
    assert told(items) == [(5, True), (9.5, False)]
    assert {(i.unique_id, i.linked_id) for i in items if isinstance(i, SwitchEvent)} == {
        (LEG_A, None)
    }
    assert tally.others == 5


def test_a_recording_that_is_masked_by_the_dial_plan(tmp_path: Path) -> None:
    """As FusionPBX does behind ``*5`` and ``*6``; both legs are named."""
    events = [
        fs_leg("CHANNEL_EXECUTE", 5, Application="record_session_mask"),
        fs_leg("CHANNEL_EXECUTE_COMPLETE", 5, Application="record_session_mask"),
        fs_leg("CHANNEL_EXECUTE", 9, Application="record_session_unmask"),
        fs_leg("CHANNEL_EXECUTE", 10, Application="playback"),
    ]
    items = read(KIND, write(tmp_path, as_json(events)))
    assert told(items) == [(5, True), (9, False)]
    assert {(i.unique_id, i.linked_id) for i in items if isinstance(i, SwitchEvent)} == {
        (LEG_B, LEG_A)
    }


def test_custom_events_of_a_name_that_was_given(tmp_path: Path) -> None:
    """By their subclass, or as a command that another program passes on."""
    passed_on = {**fs_command("mask", 7), "Event-Name": "CUSTOM", "Event-Subclass": "fusion::x"}
    events = [
        fs_leg("CUSTOM", 5, Event_Subclass="Card::On", Unique_ID=LEG_B.upper()),
        fs_leg("CUSTOM", 6, Event_Subclass="sofia::register"),
        passed_on,
    ]
    items = read(KIND, write(tmp_path, as_json(events)), mask_names=frozenset({"card::on"}))
    assert told(items) == [(5, True), (7, True)]
    assert isinstance(items[0], SwitchEvent)
    assert items[0].unique_id == LEG_B


@pytest.mark.parametrize("form", FORMS)
def test_keys_say_on_and_off(tmp_path: Path, form: str) -> None:
    """A star is sent as ``%2A`` in plain text."""
    events = [fs_key(key, 5 + n) for n, key in enumerate("*5")]
    events += [fs_key(key, 9 + n) for n, key in enumerate("*6")]
    items = read(KIND, write(tmp_path, FORMS[form](events)))
    assert told(items) == [(5, True), (10, False)]
    assert {i.cause for i in items if isinstance(i, SwitchEvent)} == {Cause.KEYS}


def test_an_event_without_uuid_is_about_its_channel(tmp_path: Path) -> None:
    """The extension in its name."""
    names = {"Event_Subclass": "mask", "Channel_Name": "sofia/internal/2104@pbx.example"}
    (item,) = read(KIND, write(tmp_path, as_json([fs("CUSTOM", 5, **names)])))
    assert isinstance(item, SwitchEvent)
    assert (item.unique_id, item.extension) == (None, "2104")


def test_a_body_cannot_say_on_or_off(tmp_path: Path) -> None:
    """A text message may hold what looks like an event; its length says where it ends."""
    body = as_plain([fs_command("unmask", 6)])
    message = as_plain([fs("MESSAGE", 5, Content_Length=str(len(body)))]) + body
    answer = f"Content-Type: api/response\nContent-Length: {len(body)}\n\n{body}"
    mask = as_plain([fs_command("mask", 7)])
    assert told(read(KIND, write(tmp_path, message + answer + mask))) == [(7, True)]
    enveloped = f"Content-Length: {len(message)}\nContent-Type: text/event-plain\n\n{message}"
    assert told(read(KIND, write(tmp_path, enveloped + mask))) == [(7, True)]


def test_hostile_events_are_listed_and_the_others_come_in(tmp_path: Path) -> None:
    """No JSON, deep JSON, two in one block, lengths that lie, ids and times that are none."""
    mask = fs_command("mask", 5)
    bad = [
        "{torn\n",
        '{"a":' * 60_000 + "\n",
        as_json([fs_command("mask", 5, uuid="4929")]),
        as_json([fs_command("mask", 5, uuid="4929016329609991")]),
        as_json([{**mask, "Event-Date-Timestamp": "4929016329609991777"}]),
        as_json([{**fs_key("7", 5), "Event-Date-Timestamp": ""}]),
        as_plain([mask]).rstrip("\n") + "\n" + as_plain([mask]),
        "Event-Name: API\nContent-Length: -5\n\n",
        "Event-Name: API\nContent-Length: 99999999999999\n\n",
        "Event-Name: API\nContent-Length: \u0663\n\n",
        "Content-Type: text/event-json\nContent-Length: 2\n\n[]",
        "X: " + "5" * 2_000_000 + "\n\n",
        "{" + "5" * 2_000_000 + "\n",
    ]
    text = as_json([fs_command("mask", 1)]) + "".join(bad) + as_plain([fs_command("unmask", 9)])
    items = read(KIND, write(tmp_path, text))
    problems = [item for item in items if isinstance(item, Problem)]
    assert len(problems) == len(bad)
    assert {problem.result for problem in problems} == {Result.SKIPPED}
    assert not any("4929" in problem.reason for problem in problems)
    assert told([item for item in items if isinstance(item, SwitchEvent)]) == [
        (1, True),
        (9, False),
    ]


@pytest.mark.parametrize("form", ["plain", "enveloped", "json", "json in envelopes"])
def test_a_last_event_that_is_being_written_waits(tmp_path: Path, form: str) -> None:
    """Wherever it ends; a whole JSON object needs no end of line."""
    whole = FORMS[form]([fs_command("mask", 5)])
    for length in range(1, len(whole) - 1):
        items = read(KIND, write(tmp_path, whole[:length]))
        assert [item.result for item in items if isinstance(item, Problem)] == [Result.WAITING]
        assert len(items) == 1
    assert told(read(KIND, write(tmp_path, whole))) == [(5, True)]


def test_a_time_must_be_there(tmp_path: Path) -> None:
    """In microseconds, which need no zone."""
    event = {**fs_command("mask", 5), "Event-Date-Timestamp": str(START_S)}
    assert reasons(read(KIND, write(tmp_path, as_json([event])))) == [
        "it has no Event-Date-Timestamp in microseconds"
    ]
