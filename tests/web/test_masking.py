"""Signals and spans as JSON: what is read, what is answered. Source: contract.md 4.5."""

from __future__ import annotations

import json
import math

import pytest
from starlette.testclient import TestClient

from callreel.db.signals import Match
from callreel.db.unsettled import SignalState
from callreel.errors import Conflict, Forbidden, NotFound
from callreel.flows.masking import SpanChange
from callreel.flows.settling import Settlement
from callreel.flows.signal import SignalAnswer, SignalOrder
from callreel.model import CallId, Party, RecordingId, Span, UnixMillis
from tests.web.stage import USERNAME, Backstage

SIGNALS = "/api/v1/signals"
SPANS = "/api/v1/recordings/r1/spans"
AT = UnixMillis(1_795_500_000_000)
AT_TEXT = "2026-11-24T06:00:00Z"
FROM = "testclient"
TORN = "holds a character that cannot be stored."
UNKNOWN = "is not a member here; known: mute, objtype, objid, key, call_id, at, sent_at."
NO_END = "is missing; null masks to the end of the recording."
NO_CHANNEL = "must be one of both, left, right; null is both."
JSON = {"Content-Type": "application/json"}


def test_a_signal_names_what_it_matched(known: TestClient, backstage: Backstage) -> None:
    """The answer tells the calls and recordings, or that it is held."""
    backstage.signals.answer = SignalAnswer(
        ("s1",), AT, (Match(CallId("c1"), RecordingId("r1")), Match(CallId("c2"), None))
    )
    body = {"mute": "on", "objtype": "user", "objid": "2104", "key": "Leeds", "at": AT_TEXT}
    answer = known.post(SIGNALS, json=body, headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "signals": ["s1"],
            "at": "2026-11-24T06:00:00.000+00:00",
            "state": "bound",
            "matched": [
                {"call_id": "c1", "recording_id": "r1"},
                {"call_id": "c2", "recording_id": None},
            ],
        },
    )
    order = SignalOrder(True, "user", "2104", "Leeds", None, AT)
    assert backstage.signals.sent == [(USERNAME, order, {"address": FROM, "idempotency_key": "k1"})]
    assert "idempotency-replayed" not in answer.headers


def test_a_repeated_signal_says_so(known: TestClient, backstage: Backstage) -> None:
    """And one that is about no call yet is held."""
    backstage.signals.answer = SignalAnswer(("s1",), AT, (), repeated=True)
    answer = known.post(SIGNALS, json={"mute": "off", "call_id": "c1"})
    assert answer.headers["idempotency-replayed"] == "true"
    assert answer.json()["state"] == "held"
    assert backstage.signals.sent[0][1] == SignalOrder(False, call_id=CallId("c1"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "mute: is missing."),
        ({"mute": "maybe"}, "mute: must be on or off."),
        ({"mute": 1}, "mute: must be a text."),
        ({"mute": "on", "objtype": "user"}, "objtype and objid: give both or neither."),
        ({"mute": "on", "objtype": "site", "objid": "1"}, "objtype: must be user or channel."),
        (
            {"mute": "on", "objid": "a\0", "objtype": "user"},
            f"objid: {TORN}",
        ),
        ({"mute": "on", "call_id": "\ud800"}, f"call_id: {TORN}"),
        ({"mute": "on", "at": "noon"}, "at: not a time such as 2026-11-23T09:30:00+00:00."),
        (
            {"mute": "on", "when": "now"},
            f"'when' {UNKNOWN}",
        ),
    ],
)
def test_a_wrong_signal_is_refused_by_name(
    known: TestClient, backstage: Backstage, body: dict[str, object], said: str
) -> None:
    """400, and nothing is stored."""
    answer = known.post(SIGNALS, content=json.dumps(body), headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (400, said)
    assert backstage.signals.sent == []


@pytest.mark.parametrize("keys", [[""], ["x" * 256], ["a", "b"]])
def test_an_idempotency_key_is_one_short_text(known: TestClient, keys: list[str]) -> None:
    """A key that would be cut or chosen from two is refused."""
    headers = [("Idempotency-Key", key) for key in keys]
    answer = known.post(SIGNALS, json={"mute": "on", "call_id": "c1"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["detail"].startswith("Idempotency-Key: ")


def test_signals_are_listed_by_state(known: TestClient, backstage: Backstage) -> None:
    """Unpaired and orphans are what a person should look at."""
    answer = known.get(f"{SIGNALS}?state=unpaired,orphan&settled=no&limit=5&cursor=x")
    assert answer.json() == {
        "items": [
            {
                "id": "s1",
                "at": "2026-11-24T06:00:00.000+00:00",
                "received_at": "2026-11-24T06:00:00.250+00:00",
                "mute": "on",
                "objtype": "user",
                "objid": "2104",
                "call_id": None,
                "source": "web",
                "state": "unpaired",
                "recording_ids": ["r1"],
                "settled": None,
                "settled_by": None,
                "settled_reason": None,
            }
        ],
        "next": "more",
    }
    states = frozenset({SignalState.UNPAIRED, SignalState.ORPHAN})
    wanted = {"states": states, "settled": False, "limit": 5, "cursor": "x"}
    assert backstage.settling.asked == [(USERNAME, wanted)]
    wrong = known.get(f"{SIGNALS}?state=lost")
    assert wrong.json()["detail"] == "state: must be some of paired, unpaired, repeated, orphan."


def test_a_signal_is_settled(known: TestClient, backstage: Backstage) -> None:
    """With a reason, and the time of its partner where it has one."""
    body = {"settle": "completed", "reason": "forgot to press stop", "counterpart_at": AT_TEXT}
    answer = known.post(f"{SIGNALS}/s1/settle", json=body)
    assert (answer.status_code, answer.json()["id"]) == (200, "s1")
    decision = Settlement("completed", "forgot to press stop", AT)
    assert backstage.settling.asked == [(USERNAME, "s1", decision, FROM)]


def test_spans_are_shown_added_changed_and_taken_away(
    known: TestClient, backstage: Backstage
) -> None:
    """Each with who, why and from where."""
    assert known.get(SPANS).json() == {
        "recording_id": "r1",
        "mask_revision": 2,
        "masked_spans": [{"start_s": 1, "end_s": 2, "channel": None}],
        "spans": [],
        "changed": None,
    }
    added = known.post(SPANS, json={"start_s": 1, "end_s": None, "channel": "left", "reason": "a"})
    assert added.status_code == 201
    changed = known.patch(f"{SPANS}/m1", json={"end_s": 9.5, "reason": "b"})
    assert changed.status_code == 200
    known.patch(f"{SPANS}/m1", json={"end_s": None, "channel": None, "reason": "c"})
    known.patch(f"{SPANS}/m1", json={"state": "active", "reason": "d"})
    removed = known.request("DELETE", f"{SPANS}/m1", json={"reason": "e"})
    assert removed.status_code == 200
    assert backstage.masking.asked == [
        ("spans", USERNAME, "r1"),
        ("add", USERNAME, "r1", Span(1, math.inf, Party.LEFT), "a", FROM),
        ("change", USERNAME, "r1", "m1", SpanChange("b", end_s=9.5), FROM),
        ("change", USERNAME, "r1", "m1", SpanChange("c", end_s=math.inf, channel="both"), FROM),
        ("change", USERNAME, "r1", "m1", SpanChange("d", confirm=True), FROM),
        ("remove", USERNAME, "r1", "m1", "e", FROM),
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"end_s": 2, "reason": "x"}', "start_s: is missing."),
        (
            '{"start_s": 1, "reason": "x"}',
            f"end_s: {NO_END}",
        ),
        ('{"start_s": "1", "end_s": 2, "reason": "x"}', "start_s: must be a number of seconds."),
        ('{"start_s": true, "end_s": 2, "reason": "x"}', "start_s: must be a number of seconds."),
        ('{"start_s": NaN, "end_s": 2, "reason": "x"}', "start_s: must be a number of seconds."),
        ('{"start_s": 1, "end_s": Infinity, "reason": "x"}', "end_s: must be a number of seconds."),
        ('{"start_s": 1, "end_s": 1e999, "reason": "x"}', "end_s: must be a number of seconds."),
        ('{"start_s": 1, "end_s": 2}', "reason: is missing."),
        ('{"start_s": 1, "end_s": 2, "reason": ""}', "reason: must be a text."),
        (
            '{"start_s": 1, "end_s": 2, "channel": "middle", "reason": "x"}',
            f"channel: {NO_CHANNEL}",
        ),
    ],
)
def test_a_wrong_span_is_refused_by_name(
    known: TestClient, backstage: Backstage, body: str, said: str
) -> None:
    """400, and nothing is stored."""
    answer = known.post(SPANS, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (400, said)
    assert backstage.masking.asked == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Forbidden("no"), 403, "forbidden"),
        (NotFound("none"), 404, "not_found"),
        (Conflict("burned"), 409, "conflict"),
    ],
)
def test_what_masking_refuses_is_told(
    known: TestClient, backstage: Backstage, error: Exception, status: int, code: str
) -> None:
    """As a problem document."""
    backstage.masking.error = error
    answer = known.patch(f"{SPANS}/m1", json={"end_s": 1, "reason": "x"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", SIGNALS),
        ("POST", f"{SIGNALS}/s1/settle"),
        ("POST", SPANS),
        ("PATCH", f"{SPANS}/m1"),
        ("DELETE", f"{SPANS}/m1"),
    ],
)
def test_another_web_site_cannot_change_masks(
    known: TestClient, backstage: Backstage, method: str, path: str
) -> None:
    """Basic credentials go along with what another site asks of a browser (T33)."""
    answer = known.request(method, path, json={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert backstage.signals.sent == backstage.masking.asked == backstage.settling.asked == []
