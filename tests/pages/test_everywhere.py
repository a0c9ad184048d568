"""What holds on every page: readable by everybody, at any size, and whatever a name says."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Page

from callreel.bootstrap import system_clock
from callreel.db import directory, schedules, users
from callreel.db.schedules import Plan
from callreel.flows.entry import SoundFile
from callreel.flows.reports import KINDS
from callreel.model import UnixMillis
from tests.pages.conftest import OpenWindow, Watched, keep_picture
from tests.pages.test_login import entered, token_of
from tests.pages.town import Town

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

PAGES = [
    "/calls",
    "/calls?q=zebra",
    "/calls?colour=red",
    "/calls/LONG",
    "/calls/FIRST",
    "/calls/nothing",
    "/reports",
    "/schedules",
    "/jobs",
    "/preferences",
    "/directory",
    "/directory/groups",
    "/directory/channels",
    "/settings",
    "/settings/sites/1",
    "/settings/people",
    "/settings/places",
    *(f"/reports/{kind.slug}" for kind in KINDS),
]

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    '"><script>alert(1)</script>',
    "'><script>alert(1)</script>",
    "' onfocus=alert(1) autofocus='",
    '" onmouseover="alert(1)',
    "javascript:alert(1)",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<iframe src=javascript:alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "{{7*7}}",
    "{% for x in y %}",
    "${7*7}",
    "<style>*{display:none}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<form action=//evil.example><button>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<math><mtext><script>alert(1)</script>",
    "<!--<img src=x onerror=alert(1)>-->",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    '=HYPERLINK("http://evil.example")',
    "+cmd|' /C calc'!A0",
    "\u202egnp.exe",
    "\u2028alert(1)\u2029",
    "hx-get=/logout hx-trigger=load",
]


def address(path: str, town: Town) -> str:
    """A path with the ids of this town."""
    return path.replace("LONG", town.calls["long"]).replace("FIRST", town.calls["first"])


def violations(page: Page) -> list[str]:
    """What axe finds, one line each."""
    found = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", TAGS)
    return [
        f"{each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_everybody_can_read_it(window: OpenWindow, town: Town, path: str, scheme: str) -> None:
    """axe-core: WCAG 2.0 to 2.2 A and AA and its best practice, without a violation (bar 8)."""
    page = window(color_scheme=scheme, bypass_csp=True)
    page.goto(address(path, town))
    page.evaluate(AXE)
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_login_and_the_dock_can_be_read(window: OpenWindow, town: Town, scheme: str) -> None:
    """The same where nobody is signed in, and with the player open over the list."""
    page = window(None, color_scheme=scheme, bypass_csp=True)
    page.goto("/login")
    page.evaluate(AXE)
    assert violations(page) == []
    page = window("marcus", color_scheme=scheme, bypass_csp=True)
    page.locator(f"tr[data-call='{town.calls['long']}'] [data-play]").click()
    page.locator("[data-player] .wave").wait_for()
    page.keyboard.press("Space")
    page.evaluate(AXE)
    keep_picture(page, f"calls-{scheme}")
    assert violations(page) == []


WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("username", ["admin", "carla", None])
@pytest.mark.parametrize(
    "viewport",
    [{"width": 320, "height": 640}, {"width": 720, "height": 440}],
    ids=["phone", "zoom"],
)
@pytest.mark.grows
@pytest.mark.usefixtures("hostile_calls")
def test_a_narrow_window_scrolls_one_way(
    window: OpenWindow, town: Town, username: str | None, viewport: dict[str, int]
) -> None:
    """320 px, and 200 % of 1440: nothing is lost, and only tables scroll sideways (bar 18).

    Every list has something in it: one that is empty is never too wide.
    """
    page = window(username)
    page.set_viewport_size(viewport)  # type: ignore[arg-type]
    wide = {}
    for path in ("/login",) if username is None else PAGES:
        page.goto(address(path, town))
        wide[path] = page.evaluate(WIDE)
        if path in {"/calls", "/calls/LONG", "/preferences", "/reports/agents", "/login"}:
            keep_picture(page, f"{viewport['width']}-{path.strip('/').replace('/', '-')}")
    assert {path: by for path, by in wide.items() if by > 0} == {}


@pytest.mark.grows
@pytest.mark.usefixtures("hostile_calls")
def test_the_lists_that_narrow_windows_look_at_are_not_empty(town: Town) -> None:
    """The check itself: saved views, files, schedules and keys are there to be seen."""
    seen = {
        ("carla", "/preferences"): LONG_NAME[:60],
        ("carla", "/schedules"): LONG_NAME,
        ("carla", "/jobs"): "/jobs/j",
        ("admin", "/settings/people"): LONG_NAME,
    }
    for (username, path), text in seen.items():
        with entered(town, username) as browser:
            assert text in browser.get(path).text, path


@pytest.fixture(scope="module")
def hostile_calls(growing_town: Town) -> list[str]:
    """Calls, people, places, notes and files whose every text is somebody's trick."""
    found = []
    for number, text in enumerate(HOSTILE):
        found.append(
            growing_town.import_call(
                f"hostile-{number}",
                started_at=UnixMillis(system_clock() - 5_000_000 - number * 1000),
                from_number=text,
                to_number=text,
                caller_name=text,
                extension=text,
                channel=text,
                linked_id=text,
                unique_id=text,
                voicefilename=text if number % 3 == 0 else None,
                audio=SoundFile(growing_town.folder, "short-2.wav") if number % 3 == 0 else None,
            )
        )
    with growing_town.serving.base.db.write() as conn:
        for number, text in enumerate(HOSTILE):
            group = directory.ensure_group(conn, "1", text)
            directory.set_user(conn, "1", text, name=text, group_id=group)
            conn.exec_driver_sql(
                "INSERT INTO notes (id, call_id, at_s, text, web_user_id, created_at)"
                " SELECT ?, ?, 1.0, ?, id, 1 FROM web_users WHERE username = 'admin'",
                (f"hn{number}", found[number], text),
            )
            conn.exec_driver_sql(
                "INSERT INTO saved_views (id, name, query, audience, web_user_id, created_at)"
                " SELECT ?, ?, ?, 'me', id, 1 FROM web_users WHERE username = 'carla'",
                (f"hv{number}", text, text),
            )
    _fill_lists(growing_town)
    return [str(each) for each in found]


LONG_NAME = "Kundendienstbesprechungsaufzeichnung" * 2


def _fill_lists(town: Town) -> None:
    """A saved view, a file, a schedule and a key, with names that break nowhere."""
    with entered(town, "carla") as browser:
        csrf = token_of(browser)
        for path, fields in (
            ("/views", {"name": LONG_NAME[:60], "query": "since=7d", "audience": "me"}),
            ("/calls/export", {"query": "", "format": "csv"}),
        ):
            answer = browser.post(path, data={"csrf": csrf, **fields})
            assert answer.status_code == 303, answer.text
    plan = Plan(
        LONG_NAME, "report-agents", {"format": "csv"}, "daily", None, 450, "UTC", (), "x", False
    )
    with town.serving.base.db.write() as conn:
        carla = users.by_name(conn, "carla")
        assert carla is not None
        schedules.add(conn, carla.id, plan, UnixMillis(system_clock() + 10**10), system_clock())
        users.add_key(conn, "admin", "no hash", LONG_NAME, system_clock())


@pytest.mark.grows
def test_no_name_is_alive_on_any_page(
    window: OpenWindow, town: Town, watched: Watched, hostile_calls: list[str]
) -> None:
    """Thirty tricks in every text: no dialog, no script, no report, nothing fetched (T34)."""
    page = window("carla")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    paths = [address(each, town) for each in PAGES]
    paths += ["/calls?q=alert&cols=started,party,agent,group,to,outcome,id,site,flags,shape"]
    paths += [f"/calls/{call}" for call in hostile_calls]
    for path in paths:
        page.goto(path)
        assert (
            page.evaluate("() => document.querySelectorAll('main img, main iframe, base').length")
            == 0
        )
        assert page.evaluate("() => [...document.scripts].every(one => one.src)")
        assert page.evaluate(
            "() => [...document.querySelectorAll('*')].every(one =>"
            " [...one.attributes].every(each => !each.name.startsWith('on')))"
        )
        assert page.evaluate(
            "() => [...document.links].every(one => new URL(one.href).host === location.host)"
        )
    assert dialogs == []
    page.goto("/calls?q=hx-get")
    assert page.locator("tr[data-call]").count() >= 1
