"""The API: calls, one call, tokens, changes. Source: contract.md section 6."""

from __future__ import annotations

import csv
import io
import json
import time
from xml.etree import ElementTree as ET

import pytest
from starlette.testclient import TestClient

from callreel.db.call_filter import CallFilter
from callreel.errors import BadRequest, NotFound, RenderGoesOn, Unavailable, Unplayable
from callreel.model import AudioSpec, Direction, OutputChannels, RecordingId, UnixMillis
from tests.fakes import API_KEY, NOW, URL, make_call
from tests.web.stage import USERNAME, Backstage

CALLS = "/api/v1/calls"
TOKENS = "/api/v1/recordings/rec-1/tokens"
ITEM = {
    "id": "call-1",
    "recording_id": "rec-1",
    "datasource": "3",
    "voicelocation": "4",
    "voicefilename": "NCS0000000000000000000000000000000000000001",
    "started_at": "2026-11-24T06:00:00.123+00:00",
    "duration_s": 61.5,
    "direction": "inbound",
    "from": "+441632960123",
    "to": "2104",
    "extension": "2104",
    "channel": None,
    "masked_spans": [
        {"start_s": 1.0, "end_s": 2.5, "channel": None},
        {"start_s": 4.0, "end_s": 5.0, "channel": "left"},
    ],
}


def test_calls_are_items_and_a_cursor(known: TestClient, backstage: Backstage) -> None:
    """Exactly the members of 6.2; ids are strings, instants have an offset."""
    backstage.browse.items, backstage.browse.following = (make_call(),), "on"
    answer = known.get(CALLS)
    assert answer.json() == {"items": [ITEM], "next": "on"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert backstage.browse.asked == [(CallFilter(), 100, None)]


def test_a_call_without_a_recording_has_nulls(known: TestClient, backstage: Backstage) -> None:
    """Where nothing was recorded."""
    nothing = {"recording_id": None, "voicelocation": None, "voicefilename": None}
    backstage.browse.items = (make_call(masked_spans=(), **nothing),)
    (item,) = known.get(CALLS).json()["items"]
    assert item == ITEM | nothing | {"masked_spans": []}


@pytest.mark.parametrize(
    ("query", "wanted", "limit", "cursor"),
    [
        ("since=2026-11-24T06:00:00.123%2B00:00", CallFilter(since=NOW), 100, None),
        ("from=2026-11-24T06:00:00.123+00:00", CallFilter(since=NOW), 100, None),
        ("from=2026-11-24T07:00:00.123%2B01:00", CallFilter(since=NOW), 100, None),
        ("to=2026-11-24T06:00:00.123Z", CallFilter(until=NOW), 100, None),
        ("to=2026-11-24T06:00:00.123", CallFilter(until=NOW), 100, None),
        ("to=1970-01-02", CallFilter(until=UnixMillis(86_400_000)), 100, None),
        ("party=+441632960123", CallFilter(party="+441632960123"), 100, None),
        ("party=%2A0192", CallFilter(party="*0192"), 100, None),
        ("ext=2104&datasource=%5C3%5C", CallFilter(ext="2104", datasource="\\3\\"), 100, None),
        ("dir=outbound", CallFilter(direction=Direction.OUTBOUND), 100, None),
        ("rec=yes&mask=0", CallFilter(rec=True, mask=False), 100, None),
        ("rec=false&mask=TRUE", CallFilter(rec=False, mask=True), 100, None),
        ("limit=1", CallFilter(), 1, None),
        ("limit=1000&cursor=abc", CallFilter(), 1000, "abc"),
    ],
)
def test_parameters_become_the_filter(
    known: TestClient,
    backstage: Backstage,
    query: str,
    wanted: CallFilter,
    limit: int,
    cursor: str | None,
) -> None:
    """Instants with any offset, without one UTC; a plus is a plus."""
    assert known.get(f"{CALLS}?{query}").status_code == 200
    assert backstage.browse.asked == [(wanted, limit, cursor)]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("form=2026-11-24", "'form' is not a parameter here; known: since, from, to, party"),
        ("From=2026-11-24", "'From' is not a parameter here"),
        ("from=yesterday", "from: not a time such as"),
        ("to=2026-13-01", "to: not a time such as"),
        ("from=2026-11-24&since=2026-11-24", "since: goes without from"),
        ("limit=0", "limit: must be a number from 1 to 1000."),
        ("limit=1001", "limit: must be a number from 1 to 1000."),
        ("limit=٣", "limit: must be a number from 1 to 1000."),
        ("limit=1e3", "limit: must be a number from 1 to 1000."),
        ("rec=maybe", "rec: must be yes or no."),
        ("mask=", "mask: must be yes or no."),
        ("dir=sideways", "dir: must be one of inbound, outbound, internal"),
        ("party=", "party: must not be empty."),
        ("party=%00", "party: holds a control character."),
        ("ext=1&ext=2", "ext: given more than once."),
        ("party=%E0%A4", "party: not UTF-8."),
    ],
)
def test_a_wrong_or_unknown_parameter_is_named(
    known: TestClient, backstage: Backstage, query: str, said: str
) -> None:
    """400 as a problem document; nothing is looked up."""
    answer = known.get(f"{CALLS}?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(said)
    assert answer.json()["code"] == "bad_request"
    assert backstage.browse.asked == []


@pytest.mark.parametrize(
    "path", ["/api/v1/calls/call-1", "/api/v1/changes", "/api/v1/recordings/rec-1/tokens"]
)
def test_every_address_names_unknown_parameters(known: TestClient, path: str) -> None:
    """Also those that take none."""
    answer = known.request("POST" if path.endswith("tokens") else "GET", f"{path}?what=1")
    assert answer.status_code == 400
    assert "'what' is not a parameter here" in answer.json()["detail"]


def test_a_foreign_cursor_is_refused(known: TestClient, backstage: Backstage) -> None:
    """What the flow says of it comes out by name."""
    backstage.browse.error = BadRequest("cursor: this is not one that this server gave out.")
    assert known.get(f"{CALLS}?cursor=zz").json()["detail"].startswith("cursor: ")


@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        (CALLS, "*/*", "application/json"),
        (CALLS, "text/csv", "text/csv; charset=utf-8"),
        (CALLS, "application/xml", "application/xml"),
        (CALLS + ".json", "text/csv", "application/json"),
        (CALLS + ".csv", "application/json", "text/csv; charset=utf-8"),
        (CALLS + ".xml", "*/*", "application/xml"),
        (CALLS + ".XML", "*/*", "application/xml"),
    ],
)
def test_a_list_comes_as_asked_for(
    known: TestClient, path: str, accept: str, media_type: str
) -> None:
    """By Accept, or by the extension, which wins."""
    answer = known.get(path, headers={"Accept": accept})
    assert answer.headers["content-type"] == media_type
    assert answer.headers["vary"] == "Accept"


def test_another_extension_is_refused(known: TestClient) -> None:
    """With those that are known."""
    answer = known.get(CALLS + ".pdf")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "The extension must be one of json, csv, xml."


NASTY = 'a "quoted", <b>&amp;</b>\r\nsecond line; =1+1 \x0b\ufffe'


def test_a_csv_reads_back_as_it_was(known: TestClient, backstage: Backstage) -> None:
    """RFC 4180: quotes, commas and line breaks survive; the next page is named in a header."""
    backstage.browse.items = (make_call(channel=NASTY), make_call(2, recording_id=None))
    backstage.browse.following = "on"
    answer = known.get(CALLS + ".csv")
    first, second = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert list(first) == list(ITEM)
    assert first["channel"] == NASTY
    assert first["masked_spans"] == "1.0-2.5 4.0-5.0/left"
    assert first["from"] == "+441632960123"
    assert second["recording_id"] == ""
    assert answer.text.count("\r\n") == 3 + NASTY.count("\r\n")
    assert answer.headers["callreel-next"] == "on"


def test_an_xml_is_well_formed_whatever_a_call_holds(
    known: TestClient, backstage: Backstage
) -> None:
    """Markup is escaped, what XML cannot hold is replaced, null is an element that is not there."""
    backstage.browse.items, backstage.browse.following = (make_call(from_number=NASTY),), 'o"n'
    root = ET.fromstring(known.get(CALLS + ".xml").content)  # noqa: S314  # our own
    assert (root.tag, root.get("next")) == ("calls", 'o"n')
    (call,) = root
    assert [child.tag for child in call] == [name for name in ITEM if name != "channel"]
    replaced = NASTY.replace("\x0b", "\ufffd").replace("\ufffe", "\ufffd")
    assert (call.findtext("from") or "").replace("\n", "") == replaced.replace("\r\n", "")
    assert [span.attrib for span in call.findall("masked_spans/span")] == [
        {"start_s": "1.0", "end_s": "2.5"},
        {"start_s": "4.0", "end_s": "5.0", "channel": "left"},
    ]


def test_one_call_is_the_same_item(known: TestClient, backstage: Backstage) -> None:
    """And 404 where there is none, or none of yours."""
    backstage.browse.items = (make_call(),)
    assert known.get(f"{CALLS}/call-1").json() == ITEM
    answer = known.get(f"{CALLS}/call-2")
    assert answer.status_code == 404
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "detail": "There is no such call.",
        "code": "not_found",
    }


def test_changes_come_with_the_place_to_go_on_from(known: TestClient, backstage: Backstage) -> None:
    """In the order of the flow."""
    answer = known.get("/api/v1/changes?since=41&limit=7").json()
    at = "2026-11-24T06:00:00.123+00:00"
    assert answer == {
        "items": [
            {"kind": "call", "at": at, "call_id": "call-1", "recording_id": None},
            {"kind": "recording", "at": at, "call_id": None, "recording_id": "rec-1"},
            {"kind": "mask", "at": at, "call_id": None, "recording_id": "rec-1"},
        ],
        "next": "42",
    }
    assert backstage.browse.asked == [("41", 7)]


def test_a_token_tells_what_it_will_fetch(known: TestClient, backstage: Backstage) -> None:
    """Exactly the members of 6.3; an empty body takes the defaults."""
    answer = known.post(TOKENS)
    assert answer.status_code == 200
    assert answer.json() == {
        "url": URL,
        "expires_at": "2026-11-24T06:01:00.123+00:00",
        "content_type": "audio/wav",
        "duration_s": 61.5,
        "size_bytes": None,
        "masked_spans": ITEM["masked_spans"],
        "mask_revision": 3,
    }
    assert backstage.issue.asked == [
        {
            "username": USERNAME,
            "recording_id": RecordingId("rec-1"),
            "spec": AudioSpec("wav"),
            "single_use": False,
            "address": "testclient",
        }
    ]


def test_format_channel_and_single_use_are_taken(known: TestClient, backstage: Backstage) -> None:
    """By the names of 6.3."""
    body = {"format": "wav-ulaw", "channel": "mix", "single_use": True}
    assert known.post(TOKENS, json=body).status_code == 200
    (asked,) = backstage.issue.asked
    assert asked["spec"] == AudioSpec("wav-ulaw", OutputChannels.MIX)
    assert asked["single_use"] is True


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"formt": "wav"}', "'formt' is not a member here; known: format, channel, single_use."),
        (b'{"format": 3}', "format: must be a text."),
        (b'{"channel": null}', "channel: must be a text."),
        (b'{"channel": "middle"}', "channel: must be one of both, left, right, mix."),
        (b'{"single_use": "no"}', "single_use: must be true or false."),
        (b'{"single_use": 1}', "single_use: must be true or false."),
        (b'{"format": "wav", "format": "mp3"}', "The body names a member more than once."),
        (b"[]", "The body must be a JSON object."),
        (b"null", "The body must be a JSON object."),
        (b"{", "The body is not JSON."),
        (b"\xff\xfe", "The body is not JSON."),
        (b"[" * 16_000, "The body is not JSON."),
        (b'{"format": "' + b"w" * 20_000 + b'"}', "The body is longer than 16384 bytes."),
    ],
)
def test_a_wrong_body_is_refused_by_name(
    known: TestClient, backstage: Backstage, body: bytes, said: str
) -> None:
    """400; nothing is issued."""
    answer = known.post(TOKENS, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (400, said)
    assert backstage.issue.asked == []


def test_an_unknown_format_lists_those_that_are_known(known: TestClient) -> None:
    """As on the old way."""
    answer = known.post(TOKENS, json={"format": "aiff"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_format")
    assert "wav-ulaw, wav-alaw, mp3, opus, flac, m4a, webm" in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_read(known: TestClient, backstage: Backstage, kind: str) -> None:
    """A form of another page cannot send that."""
    answer = known.post(TOKENS, content=b"{}", headers={"Content-Type": kind})
    assert answer.json()["detail"] == "The body must be application/json."
    assert backstage.issue.asked == []


def test_another_web_site_cannot_ask_for_tokens(web: TestClient, backstage: Backstage) -> None:
    """403 before any challenge (threats.md T33)."""
    answer = web.post(TOKENS, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


ASYNC = {"Prefer": "wait=1, Respond-Async"}


def test_a_render_is_not_waited_for_where_that_is_preferred(
    known: TestClient, backstage: Backstage
) -> None:
    """202 with the time to wait, one render however often asked, then the token (6.3)."""
    began = time.monotonic()
    for _ in range(3):
        answer = known.post(TOKENS, json={"format": "flac"}, headers=ASYNC)
        assert (answer.status_code, answer.json()) == (202, {"state": "rendering"})
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["preference-applied"] == "respond-async"
    assert time.monotonic() - began < 5
    assert backstage.issue.prepared == 1
    assert backstage.issue.asked == []
    backstage.issue.rendered.set()
    answer = known.post(TOKENS, json={"format": "flac"}, headers=ASYNC)
    assert (answer.status_code, answer.json()["url"]) == (200, URL)
    assert backstage.issue.prepared == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RenderGoesOn("later", retry_after_s=5), 202),
        (Unavailable("The store is away.", retry_after_s=60), 503),
        (Unplayable("It cannot be decoded."), 422),
        (NotFound("There is no such recording."), 404),
    ],
)
def test_a_render_that_failed_is_told(
    known: TestClient, backstage: Backstage, error: Exception, status: int
) -> None:
    """Not hidden behind 202 for ever."""
    backstage.issue.render_error = error
    backstage.issue.rendered.set()
    answer = known.post(TOKENS, json={"format": "m4a"}, headers=ASYNC)
    assert answer.status_code == status


def test_a_render_that_failed_later_is_told_to_who_asks_next(
    known: TestClient, backstage: Backstage
) -> None:
    """And made again after that."""
    backstage.issue.render_error = Unplayable("It cannot be decoded.")
    assert known.post(TOKENS, json={"format": "m4a"}, headers=ASYNC).status_code == 202
    backstage.issue.rendered.set()
    assert known.post(TOKENS, json={"format": "m4a"}, headers=ASYNC).status_code == 422
    backstage.issue.render_error = None
    assert known.post(TOKENS, json={"format": "m4a"}, headers=ASYNC).status_code == 200
    assert backstage.issue.prepared == 2


@pytest.mark.parametrize(
    ("body", "headers"), [({"format": "mp3"}, ASYNC), ({"format": "flac"}, {}), ({}, ASYNC)]
)
def test_nothing_is_rendered_that_need_not_be(
    known: TestClient, backstage: Backstage, body: dict[str, str], headers: dict[str, str]
) -> None:
    """Formats of known size, and programs that did not prefer it, get their token at once."""
    assert known.post(TOKENS, json=body, headers=headers).status_code == 200
    assert backstage.issue.prepared == 0


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", CALLS, "GET, HEAD"),
        ("DELETE", f"{CALLS}/call-1", "GET, HEAD"),
        ("GET", TOKENS, "POST"),
        ("PUT", "/api/v1/changes", "GET, HEAD"),
    ],
)
def test_a_wrong_method_names_the_right_ones(
    known: TestClient, method: str, path: str, allow: str
) -> None:
    """405 as a problem document."""
    answer = known.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.json()["code"] == "method_not_allowed"


def test_an_address_below_the_api_that_is_not_there_is_a_problem_document(web: TestClient) -> None:
    """404, whoever asks."""
    answer = web.get("/api/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_head_is_get_without_a_body(known: TestClient, backstage: Backstage) -> None:
    """Where GET only reads."""
    assert known.head(CALLS).status_code == 200


def test_an_api_key_of_another_site_is_not_ambient(web: TestClient) -> None:
    """Refused all the same: no browser page has one to send, so nobody loses by it."""
    headers = {"Authorization": f"Bearer {API_KEY}", "Sec-Fetch-Site": "cross-site"}
    assert web.post(TOKENS, headers=headers).status_code == 403


def test_json_is_pure_ascii_or_utf8_and_whole(known: TestClient, backstage: Backstage) -> None:
    """A name in any script reads back."""
    backstage.browse.items = (make_call(channel="Zoë 電話 \u2028"),)
    assert json.loads(known.get(CALLS).content)["items"][0]["channel"] == "Zoë 電話 \u2028"
