"""Mute on, mute off, as the old programs send them. Source: contract.md section 4."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from callreel.errors import NotFound, Unavailable
from callreel.flows.signal import SignalOrder
from tests.web.stage import USERNAME, Backstage


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "cat=4&type=1&objtype=user&objid=2104&key=",
            SignalOrder(True, "user", "2104", None),
        ),
        (
            "cat=0x04&type=0x01&objtype=user&objid=2104",
            SignalOrder(True, "user", "2104", None),
        ),
        (
            "cat=4&type=2&objtype=channel&objid=Trunk+1&key=Leeds",
            SignalOrder(False, "channel", "Trunk+1", "Leeds"),
        ),
        (
            "CAT=0X04;TYPE=0x02;ObjType=Channel;ObjId=a%20b;unknown=1",
            SignalOrder(False, "channel", "a b", None),
        ),
        (
            "cat=4type=1objtype=userobjid=2104key=",
            SignalOrder(True, "user", "2104", None),
        ),
    ],
)
def test_a_signal_is_stored_and_answered_ok(
    known: TestClient, backstage: Backstage, query: str, expected: SignalOrder
) -> None:
    """Both spellings of numbers, a blank key for everywhere."""
    answer = known.get(f"/signal.js?{query}")
    assert (answer.status_code, answer.content) == (200, b"OK")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert backstage.signals.sent == [(USERNAME, expected, {"address": "testclient"})]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("type=1&objtype=user&objid=1", "cat: is missing."),
        ("cat=5&type=1&objtype=user&objid=1", "cat: must be 4 (or 0x04)."),
        ("cat=four&type=1&objtype=user&objid=1", "cat: must be 4 (or 0x04)."),
        ("cat=4&objtype=user&objid=1", "type: is missing."),
        (
            "cat=4&type=3&objtype=user&objid=1",
            "type: must be 1 (mute on) or 2 (mute off); 0x01 and 0x02 too.",
        ),
        ("cat=4&type=1&objid=1", "objtype: is missing."),
        ("cat=4&type=1&objtype=site&objid=1", "objtype: must be user or channel."),
        ("cat=4&type=1&objtype=user", "objid: is missing."),
        ("cat=4&type=1&objtype=user&objid=", "objid: is missing."),
        ("cat=4&type=1&type=2&objtype=user&objid=1", "type: given more than once."),
        ("cat=4&type=1&objtype=user&objid=%", "objid: a % is not followed by two hex digits."),
    ],
)
def test_a_wrong_signal_is_refused_by_name_and_masks_nothing(
    known: TestClient, backstage: Backstage, query: str, said: str
) -> None:
    """400, one line."""
    answer = known.get(f"/signal.js?{query}")
    assert (answer.status_code, answer.text) == (400, f"bad_request: {said}")
    assert backstage.signals.sent == []


GOOD = "/signal.js?cat=4&type=1&objtype=user&objid=2104"


def test_a_signal_about_nobody_is_not_found(known: TestClient, backstage: Backstage) -> None:
    """404: no such object in what this web user may reach."""
    backstage.signals.error = NotFound("There is no user '2104' here.")
    answer = known.get(GOOD)
    assert (answer.status_code, answer.text) == (404, "not_found: There is no user '2104' here.")


def test_a_signal_that_could_not_be_stored_is_sent_again(
    known: TestClient, backstage: Backstage
) -> None:
    """503 with the time to wait."""
    backstage.signals.error = Unavailable("The database is away.", retry_after_s=7)
    answer = known.get(GOOD)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(
    ("site", "status"),
    [
        ("cross-site", 403),
        ("Cross-Site", 403),
        ("same-site", 200),
        ("same-origin", 200),
        ("none", 200),
    ],
)
def test_another_web_site_cannot_mute(
    known: TestClient, backstage: Backstage, site: str, status: int
) -> None:
    """A browser sends Basic along by itself, so it also says where from (threats.md T33)."""
    assert known.get(GOOD, headers={"Sec-Fetch-Site": site}).status_code == status
    assert len(backstage.signals.sent) == (status == 200)


def test_another_web_site_makes_no_browser_ask_for_a_password(web: TestClient) -> None:
    """403 before any challenge."""
    answer = web.get(GOOD, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "www-authenticate" not in answer.headers
