"""Calls in progress: on top of the list while they last, for those who may see them."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest
from playwright.sync_api import Route, expect

from callreel.bootstrap import system_clock
from callreel.model import UnixMillis
from tests.pages.conftest import OpenWindow, keep_picture
from tests.pages.test_everywhere import AXE, violations
from tests.pages.test_language import sign_in
from tests.pages.town import PASSWORD, Town

PATH = "/api/v1/calls-in-progress"


def ask(town: Town, username: str, body: object = None) -> tuple[int, dict[str, object]]:
    """Tell of a leg, or without a body ask what goes on; status and answer."""
    login = base64.b64encode(f"{username}:{PASSWORD}".encode()).decode()
    connection = HTTPConnection("127.0.0.1", town.port)
    with closing(connection):
        connection.request(
            "GET" if body is None else "POST",
            PATH,
            None if body is None else json.dumps(body),
            {"Authorization": f"Basic {login}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        return answer.status, json.load(answer)


@pytest.fixture
def leg(town: Town) -> Iterator[dict[str, object]]:
    """A leg of the site in Manchester; ended when the test is over."""
    # What ended does not come back, so each test has a leg of its own.
    name = uuid.uuid4().hex
    told: dict[str, object] = {
        "datasource": "1",
        "unique_id": name,
        "state": "ringing",
        "from": "01632960042",
        "to": "01614960100",
        "caller_name": "Meadow Lane Dairy",
        "extension": "2104",
        "direction": "inbound",
    }
    yield told
    for site in ("1", "2"):
        gone = {"datasource": site, "unique_id": name, "state": "ended"}
        assert ask(town, "admin", gone)[0] == 200


@pytest.mark.grows
def test_a_call_is_shown_while_it_goes_on(
    window: OpenWindow, town: Town, leg: dict[str, object]
) -> None:
    """It appears, its clock ticks, it has nothing to play, and its record takes its place."""
    page = window("marcus", bypass_csp=True)
    going = page.locator("tr.ongoing")
    expect(going).to_have_count(0)
    assert ask(town, "marcus", leg) == (200, {"unique_id": leg["unique_id"], "state": "ringing"})
    expect(going).to_contain_text("Meadow Lane Dairy")
    expect(going).to_contain_text("Priya Nair")
    expect(going).to_contain_text("rings")
    ask(town, "marcus", {"datasource": "1", "unique_id": leg["unique_id"], "state": "talking"})
    expect(going).to_contain_text("talks")
    page.evaluate("document.querySelector('tr.ongoing').dataset.same = 'yes'")
    expect(going.locator("[data-s]")).to_have_text("0:03")
    assert going.get_attribute("data-same") == "yes", "the clock ticks in the window alone"
    assert going.locator("button, a").count() == 0
    keep_picture(page, "calls-in-progress")
    page.evaluate(AXE)
    assert violations(page) == []
    call = town.import_call(
        "over", unique_id=leg["unique_id"], started_at=UnixMillis(system_clock() - 9000)
    )
    page.locator(f"#c-{call}").wait_for(state="attached")
    expect(going).to_have_count(0)


def test_filters_and_a_page_without_a_script(
    window: OpenWindow, town: Town, leg: dict[str, object]
) -> None:
    """It is found by what is known of it, also where nothing else is, and not among older calls."""
    ask(town, "admin", leg)
    plain = window("admin", java_script_enabled=False)
    for query, count in (
        ("", 1), ("?q=meadow", 1), ("?dir=in", 1), ("?dir=out", 0), ("?rec=yes", 0),
        ("?sort=oldest", 0), ("?min=30s", 0), ("?q=agent:aoife", 0),
    ):  # fmt: skip
        plain.goto(f"/calls{query}")
        assert plain.locator("tr.ongoing").count() == count, query
    german = window(None, locale="de-DE")
    sign_in(german)
    german.goto("/calls?q=meadow")
    expect(german.locator("tr.ongoing")).to_contain_text("klingelt")
    ask(town, "admin", {**leg, "state": "ended"})
    expect(german.locator("tr.ongoing")).to_have_count(0)
    german.goto("/calls?q=meadow+lane+dairy")
    ask(town, "admin", {**leg, "datasource": "2"})
    expect(german.locator("tr.ongoing")).to_have_count(1)


def test_a_list_lives_also_where_a_script_comes_late(
    window: OpenWindow, town: Town, leg: dict[str, object]
) -> None:
    """The two that make it live may come in two moments; it is asked for once, and not twice."""
    page = window(None)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def late(route: Route) -> None:
        """What the network may do to any file."""
        page.wait_for_timeout(700)
        route.continue_()

    page.route("**/hx-sse.js", late)
    sign_in(page, "marcus")
    ask(town, "marcus", leg)
    expect(page.locator("tr.ongoing")).to_contain_text("Meadow Lane Dairy")
    assert len([url for url in asked if "/calls/live/" in url]) == 1


@pytest.mark.grows
def test_a_list_that_stood_still_is_true_again_when_it_lives(
    window: OpenWindow, town: Town, leg: dict[str, object]
) -> None:
    """Its clocks stand meanwhile, and no row of it goes; what it missed is there afterwards."""
    ask(town, "admin", leg)
    call = town.import_call("changes", started_at=UnixMillis(system_clock() - 99_000))
    page = window("admin")
    going, row = page.locator("tr.ongoing"), page.locator(f"#c-{call}")
    expect(going).to_have_count(1)
    page.uncheck("#live")
    stands = going.locator("[data-s]").inner_text()
    assert ask(town, "admin", {**leg, "state": "ended"})[0] == 200
    town.import_call("changes", started_at=UnixMillis(system_clock() - 99_000), to_number="2112")
    page.wait_for_timeout(3000)
    assert (going.locator("[data-s]").inner_text(), row.count()) == (stands, 1)
    page.check("#live")
    expect(going).to_have_count(0)
    expect(row).to_have_count(1)
    expect(page.locator("#live")).to_be_checked()


def test_the_row_that_is_read_does_not_move(
    window: OpenWindow, town: Town, leg: dict[str, object]
) -> None:
    """Calls in progress come and go above it."""
    page = window("admin")
    page.set_viewport_size({"width": 1280, "height": 520})
    page.locator("#rows tr").nth(20).evaluate("row => row.scrollIntoView({block: 'center'})")
    going, place = page.locator("tr.ongoing"), "row => row.getBoundingClientRect().top"
    before = page.locator("#rows tr").nth(20).evaluate(place)
    ask(town, "admin", leg)
    expect(going).to_have_count(1)
    assert page.locator("#rows tr").nth(20).evaluate(place) == before
    ask(town, "admin", {**leg, "state": "ended"})
    expect(going).to_have_count(0)
    assert page.locator("#rows tr").nth(20).evaluate(place) == before


def test_a_list_of_nothing_else_says_so_when_the_call_is_over(
    window: OpenWindow, town: Town, leg: dict[str, object]
) -> None:
    """As before it came."""
    page = window("admin")
    page.goto("/calls?q=meadow+lane+dairy+ltd")
    expect(page.locator(".empty")).to_be_visible()
    ask(town, "admin", {**leg, "caller_name": "Meadow Lane Dairy Ltd"})
    expect(page.locator("tr.ongoing")).to_have_count(1)
    ask(town, "admin", {**leg, "state": "ended"})
    expect(page.locator(".empty")).to_be_visible()
    expect(page.locator("tr.ongoing")).to_have_count(0)


def test_nobody_sees_or_tells_beyond_their_reach(
    window: OpenWindow, town: Town, leg: dict[str, object]
) -> None:
    """Another site's call is neither in the list nor in the answer; an auditor tells nothing."""
    bristol = {**leg, "datasource": "2"}
    assert ask(town, "admin", bristol)[0] == 200
    page = window("marcus")
    page.wait_for_timeout(2500)
    assert page.locator("tr.ongoing").count() == 0
    assert ask(town, "marcus") == (200, {"items": []})
    status, seen = ask(town, "otto")
    assert status == 200
    (item,) = seen["items"]
    assert item["caller_name"] == "Meadow Lane Dairy"
    for who, told in (("marcus", bristol), ("otto", leg), ("marcus", {**leg, "datasource": "9"})):
        status, problem = ask(town, who, told)
        assert (status, problem["code"]) == (404, "not_found"), who


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"state": "asleep"}, "state: must be one of ringing, talking, held, ended"),
        ({"direction": "up"}, "direction: must be one of"),
        ({"unique_id": None}, "unique_id: is missing"),
        ({"colour": "red"}, "'colour' is not a member"),
        ({"at": "2020-01-01T00:00:00Z"}, "at: more than 4 h ago"),
        ({"from": "0" * 201}, "from_number: longer than 200"),
    ],
)
def test_what_cannot_be_true_is_named(
    town: Town, leg: dict[str, object], wrong: dict[str, object], named: str
) -> None:
    """And nothing is kept of it."""
    status, problem = ask(town, "admin", {**leg, **wrong})
    assert status == 400
    assert named in str(problem["detail"])
    assert ask(town, "admin") == (200, {"items": []})
