"""Events captured from the manager interface of Asterisk."""

from __future__ import annotations

from pathlib import Path

import pytest

from callreel.flows.entry import Result
from callreel.flows.switch import SwitchEvent
from callreel.importers.events import Tally
from callreel.importers.items import Problem
from tests.imports.switch_lines import AGENT, CALLER, START_S, ami, ami_key, read, reasons, told

KIND = "asterisk-ami"
BANNER = "Asterisk Call Manager/5.0.2\r\nResponse: Success\r\nMessage: Accepted\r\n\r\n"


def write(tmp_path: Path, *events: str) -> Path:
    """A capture."""
    path = tmp_path / "capture.txt"
    path.write_text("".join(events), encoding="utf-8", newline="")
    return path


def test_user_events_say_on_and_off(tmp_path: Path) -> None:
    """Of the names that were given; the rest of a capture is counted."""
    tally = Tally()
    path = write(
        tmp_path,
        BANNER,
        ami("Newchannel", 0),
        ami("UserEvent", 5, UserEvent="Mask"),
        ami("UserEvent", 9.5, UserEvent="unmask"),
        ami("UserEvent", 10, UserEvent="Coffee"),
    )
    items = read(KIND, path, tally=tally)
    assert told(items) == [(5, True), (9.5, False)]
    assert {(i.unique_id, i.linked_id) for i in items if isinstance(i, SwitchEvent)} == {
        (AGENT, CALLER)
    }
    assert tally.others == 2


def test_keys_are_read_as_they_are_let_go(tmp_path: Path) -> None:
    """Once each: the begin and what is sent on to the other channel are the same key."""
    events = [ami_key("*", 5), ami_key("5", 5.4), ami_key("*", 9), ami_key("6", 9.4)]
    items = read(KIND, write(tmp_path, *events))
    assert told(items) == [(5, True), (9.4, False)]
    assert {i.unique_id for i in items if isinstance(i, SwitchEvent)} == {AGENT}


def test_keys_of_an_old_asterisk(tmp_path: Path) -> None:
    """One event for begin and end, and no linked id."""
    old = {"Linkedid": "-", "Direction": "Received"}
    events = [
        ami("DTMF", 5 + n, Digit=key, Begin=begin, End=end, **old)
        for n, key in enumerate("*5")
        for begin, end in (("Yes", "No"), ("No", "Yes"))
    ]
    (item,) = read(KIND, write(tmp_path, *events))
    assert isinstance(item, SwitchEvent)
    assert (item.mute, item.unique_id, item.linked_id) == (True, AGENT, None)


def test_channel_events_say_on_and_off(tmp_path: Path) -> None:
    """Their keys are left to DTMFEnd: each would be there twice."""
    time = {"EventTime": f"{START_S + 5}.000000", "UniqueID": AGENT, "LinkedID": CALLER}
    none = {"Uniqueid": "-", "Linkedid": "-"}
    extra = '{"digit":"5"}'
    events = [
        ami("CEL", None, EventName="mask", **none, **time),
        ami("CEL", None, EventName="USER_DEFINED", UserDefType="unmask", **none, **time),
        ami("CEL", None, EventName="DTMF", Extra=extra, **none, **time),
    ]
    assert told(read(KIND, write(tmp_path, *events))) == [(5, False), (5, True)]


def test_keys_that_are_told_of_twice_are_typed_once(tmp_path: Path) -> None:
    """Where channel events come over the manager interface as well; ``**66`` would be no stop."""
    keys = []
    for n, key in enumerate("*6"):
        time = {"EventTime": f"{START_S + 5 + n}.000500", "UniqueID": AGENT}
        extra = f'{{"digit":"{key}"}}'
        keys.append(ami_key(key, 5 + n))
        keys.append(ami("CEL", None, EventName="DTMF", Extra=extra, Uniqueid="-", **time))
    assert told(read(KIND, write(tmp_path, *keys))) == [(6, False)]


def test_an_event_without_ids_is_about_its_extension_or_channel(tmp_path: Path) -> None:
    """As a program sends it with the action UserEvent."""
    none = {"Uniqueid": "-", "Linkedid": "-"}
    events = [
        ami("UserEvent", 1, UserEvent="mask", Extension="2105", **none),
        ami("UserEvent", 2, UserEvent="mask", **none),
        ami("UserEvent", 3, UserEvent="mask", Channel="DAHDI/i1/4929016329609991-1f", **none),
        ami("UserEvent", 4, UserEvent="mask", Channel="-", **none),
    ]
    items = [i for i in read(KIND, write(tmp_path, *events)) if isinstance(i, SwitchEvent)]
    assert [i.extension for i in items] == ["2105", "2104", None, None]
    assert items[3].channel is None


def test_a_capture_without_timestamps_says_what_to_set(tmp_path: Path) -> None:
    """The file's own time would be a guess."""
    path = write(tmp_path, ami("UserEvent", None, UserEvent="mask"), ami_key("*", 5))
    problem, *_ = read(KIND, path)
    assert isinstance(problem, Problem)
    assert "timestampevents = yes" in problem.reason


def test_hostile_events_are_listed_and_the_others_come_in(tmp_path: Path) -> None:
    """Two in one block, one that never ends, one of a megabyte, a time or an id that is none."""
    bad = [
        "Event: UserEvent\r\nUserEvent: mask\r\n" + ami("UserEvent", 5, UserEvent="unmask"),
        "Event: UserEvent\r\nUserEvent: " + "5" * 1_000_000 + "\r\n\r\n",
        "X: y\r\n" * 3000 + "\r\n",
        ami("UserEvent", 5, UserEvent="mask").replace(f"{START_S + 5}", "4929016329609991"),
        ami("UserEvent", 5, UserEvent="mask", Uniqueid="4929016329609991"),
        ami("DTMFEnd", 5, Digit="7", Direction="Received", Uniqueid="a\0b"),
        ":\r\n: :\r\n\r\n",
    ]
    path = write(
        tmp_path,
        ami("UserEvent", 1, UserEvent="mask"),
        *bad,
        ami("UserEvent", 2, UserEvent="unmask"),
    )
    items = read(KIND, path)
    problems = [item for item in items if isinstance(item, Problem)]
    assert len(problems) == 6
    assert {problem.result for problem in problems} == {Result.SKIPPED}
    assert not any("4929" in p.reason or "7" in p.reason for p in problems)
    assert told([item for item in items if isinstance(item, SwitchEvent)]) == [
        (1, True),
        (2, False),
    ]


@pytest.mark.parametrize("name", ["mask", "unmask"])
def test_a_last_event_that_is_being_written_waits(tmp_path: Path, name: str) -> None:
    """Wherever it ends: only the empty line says that it is whole."""
    whole = ami("UserEvent", 5, UserEvent=name)
    for length in range(1, len(whole) - 2):
        (problem,) = read(KIND, write(tmp_path, whole[:length]))
        assert isinstance(problem, Problem)
        assert problem.result is Result.WAITING
    assert len(told(read(KIND, write(tmp_path, whole)))) == 1


def test_a_time_is_not_that_of_another_zone(tmp_path: Path) -> None:
    """A capture that was made up, or merged from two machines."""
    assert reasons(read(KIND, write(tmp_path, ami("UserEvent", -3600, UserEvent="mask")))) == [
        "its time is not that of its unique id; is the zone right?"
    ]
