"""Lines as switches write them, and what it takes to bring them in; people and numbers invented."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from callreel.flows.switch import SwitchEvent
from callreel.importers.events import Tally, read_events
from callreel.importers.heard import EventOptions, KeyRules
from callreel.importers.items import Problem
from callreel.model import UnixMillis

START_S = 1_795_426_200
"""When the call of these lines began, in seconds since 1970."""
CALLER, AGENT = f"{START_S}.90", f"{START_S}.91"
"""Unique ids of the two channels; the first is the linked id of both."""
LEG_A, LEG_B = "a5c9f6c0-e752-4e3e-8bfb-65b6c3cdac7d", "b5c9f6c0-e752-4e3e-8bfb-65b6c3cdac7e"
LATER = UnixMillis((START_S + 86_400) * 1000)
KEYS = KeyRules()


def at(seconds: float) -> UnixMillis:
    """An instant so many seconds into the call."""
    return UnixMillis(round((START_S + seconds) * 1000))


def cel(kind: str, seconds: float, *, name: str = "", extra: str = "", **fields: str) -> str:
    """A line of cel_custom with the columns of its sample; anything can be said otherwise."""
    values = {
        "eventtype": kind, "literal": "My Literal", "eventtime": f"{START_S + seconds:.6f}",
        "cidname": "Ann Example", "cidnum": "01632960111", "cidani": "01632960111",
        "cidrdnis": "", "ciddnid": "", "dialled": "2104", "context": "from-internal",
        "channame": "PJSIP/2104-0000ce15", "appname": "AppDial", "appdata": "(Outgoing Line)",
        "amaflags": "3", "acctcode": "", "uniqueid": AGENT, "linkedid": CALLER,
        "peer": "PJSIP/trunk-0000ce14", "userfield": "", "userdeftype": name, "extra": extra,
        **fields,
    }  # fmt: skip
    return ",".join('"' + value.replace('"', '""') + '"' for value in values.values())


def cel_key(key: str, seconds: float, **fields: str) -> str:
    """A key that somebody let go of."""
    extra = json.dumps({"digit": key, "duration_ms": "120"})
    return cel("DTMF", seconds, extra=extra, **fields)


def cel_keys(keys: str, seconds: float, gap_s: float = 0.3, **fields: str) -> list[str]:
    """Keys, one after the other."""
    return [cel_key(key, seconds + n * gap_s, **fields) for n, key in enumerate(keys)]


def ami(event: str, seconds: float | None, **fields: str) -> str:
    """An event of the manager interface."""
    values = {
        "Event": event,
        "Privilege": "dtmf,all",
        **({} if seconds is None else {"Timestamp": f"{START_S + seconds:.6f}"}),
        "Channel": "PJSIP/2104-0000ce15",
        "ChannelState": "6",
        "ChannelStateDesc": "Up",
        "CallerIDNum": "01632960111",
        "CallerIDName": "<unknown>",
        "Uniqueid": AGENT,
        "Linkedid": CALLER,
        **fields,
    }
    lines = [f"{name}: {value}" for name, value in values.items() if value != "-"]
    return "\r\n".join(lines) + "\r\n\r\n"


def ami_key(key: str, seconds: float, **fields: str) -> str:
    """A key, from its begin to its end, as both channels of a bridge tell of it."""
    begin = ami("DTMFBegin", seconds - 0.12, Digit=key, Direction="Received", **fields)
    end = ami("DTMFEnd", seconds, Digit=key, DurationMs="120", Direction="Received", **fields)
    sent = {"Channel": "PJSIP/trunk-0000ce14", "Uniqueid": CALLER, **fields}
    return begin + end + ami("DTMFEnd", seconds + 0.001, Digit=key, Direction="Sent", **sent)


def fs(name: str, seconds: float | None, **fields: str) -> dict[str, str]:
    """An event of FreeSWITCH; underscores in names stand for dashes."""
    micros = "" if seconds is None else str(round((START_S + seconds) * 1_000_000))
    values = {
        "Event-Name": name,
        "Core-UUID": "5a0226ce-e06e-4235-9627-1834fc204408",
        "Event-Date-Local": datetime.fromtimestamp(START_S, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "Event-Date-Timestamp": micros,
        "Event-Sequence": "742",
        **{key.replace("_", "-"): value for key, value in fields.items()},
    }
    return {key: value for key, value in values.items() if value}


def fs_leg(name: str, seconds: float, **fields: str) -> dict[str, str]:
    """An event of the agent's leg."""
    both = {"Unique_ID": LEG_B, "Other_Leg_Unique_ID": LEG_A}
    return fs(name, seconds, **{**both, **fields})


def fs_key(key: str, seconds: float, **fields: str) -> dict[str, str]:
    """A key on the agent's leg."""
    more = {"DTMF_Digit": key, "DTMF_Duration": "1200", "DTMF_Source": "RTP", **fields}
    return fs_leg("DTMF", seconds, **more)


def fs_command(action: str, seconds: float, uuid: str = LEG_A) -> dict[str, str]:
    """``uuid_record`` as the API event tells of it."""
    argument = f"{uuid} {action} /var/lib/freeswitch/recordings/{uuid}.wav"
    return fs("API", seconds, API_Command="uuid_record", API_Command_Argument=argument)


def as_json(events: Iterable[dict[str, str]]) -> str:
    """Events as JSON lines."""
    return "".join(json.dumps(event) + "\n" for event in events)


def as_plain(events: Iterable[dict[str, str]], *, enveloped: bool = False) -> str:
    """Events as the event socket sends them in plain text."""
    blocks = []
    for event in events:
        text = "".join(f"{name}: {quote(value)}\n" for name, value in event.items()) + "\n"
        envelope = f"Content-Length: {len(text)}\nContent-Type: text/event-plain\n\n"
        blocks.append(envelope + text if enveloped else text)
    return "".join(blocks)


def options(**said: object) -> EventOptions:
    """Options with keys, and a clock of the day after."""
    usual: dict[str, object] = {"clock": lambda: LATER, "keys": KEYS}
    return EventOptions(**{**usual, **said})  # type: ignore[arg-type]  # named by the tests


def read(
    kind: str, *paths: Path, tally: Tally | None = None, **said: object
) -> list[SwitchEvent | Problem]:
    """What files hold."""
    return list(read_events(kind, paths, options(**said), tally or Tally()))


def told(items: Sequence[SwitchEvent | Problem]) -> list[tuple[float, bool]]:
    """Seconds into the call, and on or off, in order of time; there must be no problem."""
    assert [item for item in items if isinstance(item, Problem)] == []
    return sorted(
        ((item.at - START_S * 1000) / 1000, item.mute)
        for item in items
        if isinstance(item, SwitchEvent)
    )


def reasons(items: Sequence[SwitchEvent | Problem]) -> list[str]:
    """Why something was not read; there must be nothing else."""
    assert [item for item in items if isinstance(item, SwitchEvent)] == []
    return [item.reason for item in items if isinstance(item, Problem)]
