"""``callreel live``: what a switch tells while calls go on, through a pipe."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from callreel.access.policy import COMMAND
from callreel.bootstrap import open_base, system_clock
from callreel.cli.main import main
from callreel.db.call_filter import CallFilter
from callreel.db.ongoing import LegNews, LegState
from callreel.db.unsettled import list_signals
from callreel.errors import BadInput
from callreel.flows.ongoing import Ongoing, OngoingCall
from callreel.importers.heard import EventOptions, Heard
from callreel.importers.items import Problem
from callreel.importers.legs import LIVE_KINDS
from callreel.model import Direction, Scope
from callreel.settings import load_settings
from tests.imports.switch_lines import (
    AGENT,
    CALLER,
    LATER,
    LEG_A,
    LEG_B,
    ami,
    as_json,
    as_plain,
    at,
    cel,
    fs,
    fs_command,
)

PROGRAM = [sys.executable, "-c", "from callreel.cli.main import main; main()"]
TRUNK = {"Channel": "PJSIP/trunk-0000ce14", "Uniqueid": CALLER}


def read(kind: str, text: str, folder: Path) -> list[object]:
    """What is read of the events of a switch, without those of other kinds."""
    path = folder / "events"
    path.write_text(text)
    options = EventOptions(clock=lambda: LATER, datasource="7")
    return [item for item in LIVE_KINDS[kind](path, options) if item is not None]


def ring(**fields: str) -> str:
    """The first leg of a call from outside, as it begins."""
    return ami(
        "Newchannel", 0, **TRUNK, ChannelStateDesc="Ring", CallerIDName="Northern Pipes",
        Exten="01614960100", **fields,
    )  # fmt: skip


def test_the_manager_interface_tells_both_legs_of_a_call(tmp_path: Path) -> None:
    """The caller's by the line it came in on, the agent's by their extension."""
    agent = {"ConnectedLineNum": "01632960111", "ConnectedLineName": "Northern Pipes"}
    first, second, talks, over = read(
        "asterisk-ami",
        ring()
        + ami("Newchannel", 1, ChannelStateDesc="Ringing", CallerIDNum="2104", **agent)
        + ami("Newstate", 6, ChannelStateDesc="Up", CallerIDNum="2104", **agent)
        + ami("Newchannel", 1, Channel="Local/2104@from-queue-00001;1")
        + ami("VarSet", 1)
        + ami("Hangup", 30, CallerIDNum="2104", **agent),
        tmp_path,
    )
    assert first == LegNews(
        datasource="7", unique_id=CALLER, state=LegState.RINGING, at=at(0), linked_id=CALLER,
        from_number="01632960111", to_number="01614960100", caller_name="Northern Pipes",
        direction=Direction.INBOUND,
    )  # fmt: skip
    assert second == LegNews(
        datasource="7", unique_id=AGENT, state=LegState.RINGING, at=at(1), linked_id=CALLER,
        from_number="01632960111", to_number="2104", caller_name="Northern Pipes",
        direction=Direction.INBOUND, extension="2104",
    )  # fmt: skip
    assert isinstance(talks, LegNews)
    assert isinstance(over, LegNews)
    assert (talks.state, over.state, over.at) == (LegState.TALKING, LegState.ENDED, at(30))


@pytest.mark.parametrize(
    ("fields", "direction", "sides"),
    [
        ({"Exten": "01632960111"}, Direction.OUTBOUND, ("2104", "01632960111")),
        ({"Exten": "2112"}, Direction.INTERNAL, ("2104", "2112")),
        ({"Exten": "s"}, Direction.UNKNOWN, ("2104", "")),
    ],
    ids=["out", "internal", "not-yet-dialled"],
)
def test_a_phone_that_dials(
    tmp_path: Path, fields: dict[str, str], direction: Direction, sides: tuple[str, str]
) -> None:
    """Where to, by what was dialled."""
    (leg,) = read("asterisk-ami", ami("Newchannel", 0, Linkedid=AGENT, **fields), tmp_path)
    assert isinstance(leg, LegNews)
    assert (leg.direction, (leg.from_number, leg.to_number)) == (direction, sides)
    assert leg.extension == "2104"


@pytest.mark.parametrize("form", [as_json, as_plain])
def test_freeswitch_tells_both_legs_of_a_call(tmp_path: Path, form: Callable[..., str]) -> None:
    """By the uuid of the call, which is that of its first leg."""
    both = {
        "Channel_Call_UUID": LEG_A,
        "Caller_Caller_ID_Number": "01632960111",
        "Caller_Caller_ID_Name": "Northern Pipes",
    }
    first = {"Unique_ID": LEG_A, "Caller_Destination_Number": "01614960100"}
    second = {"Unique_ID": LEG_B, "Caller_Destination_Number": "2104", "Other_Leg_Unique_ID": LEG_A}
    found = read(
        "freeswitch",
        form(
            [
                fs("CHANNEL_CREATE", 0, **both, **first),
                fs("CHANNEL_CREATE", 1, **both, **second),
                fs("CHANNEL_ANSWER", 5, **both, **second),
                fs("CHANNEL_HOLD", 7, **both, **second),
                fs("HEARTBEAT", 8),
                fs("CHANNEL_HANGUP_COMPLETE", 9, **both, **second),
            ]
        ),
        tmp_path,
    )
    legs = [each for each in found if isinstance(each, LegNews)]
    assert len(legs) == len(found) == 5
    assert [each.state.value for each in legs] == [
        "ringing", "ringing", "talking", "held", "ended",
    ]  # fmt: skip
    assert {(each.unique_id, each.linked_id) for each in legs} == {(LEG_A, None), (LEG_B, LEG_A)}
    assert (legs[0].direction, legs[0].extension) == (Direction.INBOUND, None)
    assert (legs[1].direction, legs[1].extension) == (Direction.INBOUND, "2104")
    assert legs[1].caller_name == "Northern Pipes"


def test_what_cannot_be_read_is_told_and_the_rest_is_taken(tmp_path: Path) -> None:
    """A torn end, an id that is none, a time that is none."""
    good, *wrong = read(
        "asterisk-ami",
        ring()
        + ami("Newchannel", 0, Uniqueid="a b")
        + ami("Newchannel", 0, Uniqueid="-", Linkedid="-")
        + ami("Hangup", 0, Timestamp="noon")
        + "Event: Hangup\r\nUniqueid: 1",
        tmp_path,
    )
    assert isinstance(good, LegNews)
    assert [isinstance(each, Problem) for each in wrong] == [True] * 4
    (torn,) = read("freeswitch", as_plain([fs("CHANNEL_CREATE", 0)])[:-9], tmp_path)
    assert isinstance(torn, Problem)


def test_the_channel_events_of_asterisk_tell_both_legs_of_a_call(tmp_path: Path) -> None:
    """Also where a caller's line has no number, and where the last channel is the switch's own."""
    first = {"uniqueid": CALLER, "channame": "PJSIP/trunk-0000ce14", "dialled": "01614960100"}
    lines = [
        cel("CHAN_START", 0, **first),
        cel("CHAN_START", 1, cidname="", cidnum="2104", dialled="s"),
        cel("APP_START", 2),
        cel("mask", 3),
        cel("ANSWER", 5, cidnum="2104"),
        cel("HANGUP", 9),
        cel("CHAN_START", 9, uniqueid="a b", linkedid=""),
        cel("CHAN_START", 9, eventtime=""),
        cel("LINKEDID_END", 9, channame="Local/2104@queue-00000001;1"),
    ]
    caller, agent, mask, talks, over, *wrong, end = read(
        "asterisk-cel", "\n".join(lines) + "\n" + lines[0][:-9], tmp_path
    )[:-1]
    assert caller == LegNews(
        datasource="7", unique_id=CALLER, state=LegState.RINGING, at=at(0), linked_id=CALLER,
        from_number="01632960111", to_number="01614960100", caller_name="Ann Example",
        direction=Direction.INBOUND,
    )  # fmt: skip
    assert isinstance(agent, LegNews)
    assert (agent.unique_id, agent.linked_id, agent.extension) == (AGENT, CALLER, "2104")
    assert isinstance(mask, Heard)
    assert mask.mute is True
    assert [isinstance(each, Problem) for each in wrong] == [True, True]
    told = [each for each in (talks, over, end) if isinstance(each, LegNews)]
    assert [(each.state.value, each.at, each.of_all) for each in told] == [
        ("talking", at(5), False), ("ended", at(9), False), ("ended", at(9), True),
    ]  # fmt: skip
    assert end.linked_id == CALLER  # type: ignore[union-attr]  # counted above


@pytest.mark.parametrize("form", ["header", "json"])
def test_channel_events_of_other_forms_are_read_while_they_come(tmp_path: Path, form: str) -> None:
    """By the names that stand in them; a database is none."""
    row = {"eventtype": "CHAN_START", "eventtime": f"{at(0) / 1000}", "uniqueid": CALLER}
    if form == "json":
        text = "\n" + json.dumps(row) + "\n"
    else:
        text = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
    (leg,) = read("asterisk-cel", text, tmp_path)
    assert isinstance(leg, LegNews)
    assert (leg.unique_id, leg.at) == (CALLER, at(0))
    with pytest.raises(BadInput, match="is a database, and not lines"):
        read("asterisk-cel", "SQLite format 3\0 and more\n", tmp_path)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Ann\u00a0Example", "Ann Example"),
        ("Ann\u200b\u202eExample", "AnnExample"),
        ("A" * 5000, "A" * 200),
        ("<b>Ann</b>", "<b>Ann</b>"),
        ("0" * 5000, "0" * 200),
    ],
    ids=["no-break", "unseen", "long", "tag", "long-number"],
)
def test_no_name_hides_a_call_or_keeps_its_end_away(tmp_path: Path, said: str, name: str) -> None:
    """Callers choose their names; what cannot be shown of one is left out."""
    data = tmp_path / "data"
    assert CliRunner().invoke(main, ["init", "--data", str(data)]).exit_code == 0
    born = f"{system_clock() // 1000}.1"
    fields = {"Uniqueid": born, "Linkedid": born, "CallerIDName": said, "CallerIDNum": said}
    for event, names in (("Newchannel", [name]), ("Hangup", [])):
        path = tmp_path / "events"
        path.write_text(ami(event, None, **fields))
        done = CliRunner().invoke(main, ["live", "asterisk-ami", str(path), "--data", str(data)])
        assert done.exit_code == 0, done.output
        assert [each.caller_name for each in shown(data)] == names


def shown(data: Path) -> tuple[OngoingCall, ...]:
    """What Call View would show."""
    base = open_base(load_settings(data, {}))
    with closing(base):
        return Ongoing(base.db, system_clock).seen(COMMAND, CallFilter())


def until(data: Path, states: list[str]) -> tuple[OngoingCall, ...]:
    """Wait until these are shown."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = shown(data)
        if [each.state.value for each in found] == states:
            return found
        time.sleep(0.1)
    raise AssertionError(shown(data))


def test_a_pipe_is_taken_line_by_line(tmp_path: Path) -> None:
    """Shown while it goes on, one line for a conversation; a mask is set before the next event."""
    data = tmp_path / "data"
    assert CliRunner().invoke(main, ["init", "--data", str(data)]).exit_code == 0
    # Those of a call that goes on now; without a time of its own an event is of now.
    now_s = system_clock() // 1000
    arguments = ["live", "asterisk-ami", "--data", str(data), "--datasource", "7"]
    with subprocess.Popen(
        [*PROGRAM, *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as feed:

        def say(text: str) -> None:
            assert feed.stdin is not None
            feed.stdin.write(text)
            feed.stdin.flush()

        try:
            _hold_a_call(data, say, now_s)
            assert feed.stdin is not None
            feed.stdin.close()
            assert feed.wait(30) == 0
            assert feed.stderr is not None
            told = feed.stderr.read()
        finally:
            feed.kill()
    assert "news of legs 5, signals 1, events of other kinds 0, not readable 1" in told
    assert "its unique id is not one of Asterisk's" in told
    base = open_base(load_settings(data, {}))
    with closing(base), base.db.read() as conn:
        page = list_signals(
            conn, Scope(everything=True), states=frozenset(), settled=None, limit=9, cursor=None
        )
    assert len(page.items) == 1


def _hold_a_call(data: Path, say: Callable[[str], None], now_s: int) -> None:
    """From its first ring to its end, as Call View follows it."""
    caller, agent = f"{now_s}.90", f"{now_s}.91"
    legs = {"Linkedid": caller, "Uniqueid": agent, "CallerIDNum": "2104"}
    say(
        ami(
            "Newchannel", None, Channel="PJSIP/trunk-0000ce14", Uniqueid=caller,
            Linkedid=caller, ChannelStateDesc="Up", Exten="01614960100",
        )
        + ami(
            "Newchannel", None, ChannelStateDesc="Ringing", ConnectedLineNum="01632960111",
            **legs,
        )
    )  # fmt: skip
    (call,) = until(data, ["ringing"])
    assert (call.id, call.extension, call.from_number) == (caller, "2104", "01632960111")
    say(ami("Newstate", None, **legs))
    until(data, ["talking"])
    say(ami("UserEvent", None, UserEvent="mask", **legs, Timestamp=f"{now_s + 1}.5"))
    say(ami("Newchannel", None, Uniqueid="x y"))
    say(ami("Hangup", None, **legs))
    say(ami("Hangup", None, Channel="PJSIP/trunk-0000ce14", Uniqueid=caller, Linkedid=caller))
    until(data, [])


def test_masks_of_freeswitch_come_in_the_same_way(tmp_path: Path) -> None:
    """The stream that tells of calls tells of masks."""
    data = tmp_path / "data"
    assert CliRunner().invoke(main, ["init", "--data", str(data)]).exit_code == 0
    path = tmp_path / "events"
    path.write_text(as_json([fs_command("mask", 5), fs_command("unmask", 9)]))
    done = CliRunner().invoke(main, ["live", "freeswitch", str(path), "--data", str(data)])
    assert done.exit_code == 0, done.output
    assert "signals 2" in done.stderr
