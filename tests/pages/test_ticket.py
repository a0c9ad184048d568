"""Links of integrators: opened once, a player without a way further, in a frame where allowed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import expect
from sqlalchemy import select, update

from callreel.bootstrap import system_clock
from callreel.db import leases, users
from callreel.db.people_schema import leases as lease_rows
from callreel.db.people_schema import playbacks
from callreel.db.people_schema import tickets as ticket_rows
from callreel.flows.entry import SoundFile
from callreel.model import UnixMillis
from tests.pages.conftest import OpenWindow, Watched, keep_picture
from tests.pages.test_everywhere import AXE, HOSTILE, violations
from tests.pages.test_login import entered, token_of
from tests.pages.test_player import sound, wait_until_it_plays
from tests.pages.town import LONG_S, PASSWORD, Town

PIECE = {"Range": "bytes=0-99"}
SITTING = "?sitting=p0123456789abcdef0123"


def ask(town: Town, call: str = "long", **body: object) -> httpx2.Response:
    """A link, asked for as a program does."""
    recording = town.recording_of(town.calls[call])
    return httpx2.post(
        f"{town.url}/api/v1/recordings/{recording}/tickets",
        auth=("marcus", PASSWORD),
        json={"label": "Ann of Brightwater", **body},
        timeout=20,
    )


def link(town: Town, call: str = "long", **body: object) -> str:
    """Its address."""
    answer = ask(town, call, **body)
    assert answer.status_code == 200, answer.text
    url = str(answer.json()["url"])
    assert url.startswith(f"{town.url}/p/")
    return url


@contextmanager
def opened(town: Town, **body: object) -> Iterator[tuple[httpx2.Client, str]]:
    """A browser without a window that opened a link, and the base of its lease."""
    with httpx2.Client(base_url=town.url, timeout=20) as browser:
        answer = browser.get(link(town, **body))
        assert answer.status_code == 303
        yield browser, answer.headers["location"].rstrip("/")


def audio_of(browser: httpx2.Client, base: str) -> str:
    """The address of its sound."""
    return str(browser.get(f"{base}/").text.split('data-audio="')[1].split('"')[0])


def csrf_of(browser: httpx2.Client, base: str) -> str:
    """What its player sends along."""
    return str(browser.get(f"{base}/").text.split('name="csrf" content="')[1].split('"')[0])


def kill_tickets(town: Town) -> None:
    """A minute and a half go by for every link."""
    with town.serving.base.db.write() as conn:
        conn.execute(update(ticket_rows).values(expires_at=system_clock() - 30_000))


def test_a_link_is_a_player_and_a_seek_long_after_it(window: OpenWindow, town: Town) -> None:
    """The ticket has left the address bar and is long dead; a seek goes where it must."""
    page = window(None)
    url = link(town)
    page.goto(url)
    assert urlsplit(page.url).path.startswith("/lease/")
    assert url.rpartition("/")[2] not in page.content()
    assert page.locator("a[href]").count() == 0
    expect(page.locator(".title")).to_contain_text("For Ann of Brightwater")
    expect(page.locator("rect.masked")).to_have_count(1)
    assert "Brightwater Ltd" not in page.content()
    assert "01614960192" not in page.content()
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until_it_plays(page, 0.5)
    keep_picture(page, "lease")
    kill_tickets(town)
    slider = page.get_by_role("slider", name="Position in the recording")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 150 / LONG_S, box["y"] + box["height"] / 2)
    assert 148 < wait_until_it_plays(page, 148) < 156
    page.keyboard.press("Space")
    page.keyboard.press("m")
    page.keyboard.press("?")
    page.locator("[data-do=zoom-in]").click()
    page.locator(".zoomed .piece").wait_for()


def test_what_was_heard_is_written_down_for_whom_it_was(window: OpenWindow, town: Town) -> None:
    """The label, the stretches, and where from."""
    page = window(None)
    page.goto(link(town, label="Zoë <b>Quist</b>"))
    expect(page.locator(".title")).to_contain_text("For Zoë <b>Quist</b>")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until_it_plays(page, 1.0)
    with page.expect_response(lambda answer: answer.url.endswith("/heard")) as told:
        page.get_by_role("button", name="Pause", exact=True).click()
    assert told.value.status == 204
    with town.serving.base.db.read() as conn:
        wanted = select(playbacks).where(playbacks.c.label == "Zoë <b>Quist</b>")
        (row,) = conn.execute(wanted).all()
    ((start, end),) = json.loads(row.heard)
    assert start < 0.3
    assert 1.0 <= end < 10.0
    assert row.address == "127.0.0.1"
    assert row.call_id == town.calls["long"]


def test_a_link_opens_once(window: OpenWindow, town: Town) -> None:
    """The second to come is told so, and is given no cookie."""
    page = window(None)
    url = link(town)
    page.goto(url)
    page.locator("[data-player]").wait_for()
    other = window(None)
    answer = other.goto(url)
    assert answer is not None
    assert answer.status == 410
    assert "set-cookie" not in answer.headers
    assert "opened already" in other.locator("main").inner_text()
    keep_picture(other, "lease-used")
    page.reload()
    page.locator("[data-player]").wait_for()


def test_who_only_looks_uses_nothing(town: Town) -> None:
    """HEAD says nothing; a browser that guesses is put off; another method is none."""
    url = link(town)
    with httpx2.Client(timeout=20) as browser:
        for _ in range(3):
            answer = browser.head(url)
            assert (answer.status_code, answer.headers.get("set-cookie")) == (200, None)
        assert browser.get(url, headers={"Sec-Purpose": "prefetch"}).status_code == 503
        assert browser.post(url).status_code == 405
        assert browser.get(url).status_code == 303
        assert browser.get(url).status_code == 410


def test_a_scanner_of_links_may_come_first(town: Town) -> None:
    """Where the integrator allowed for it."""
    url = link(town, uses=3)
    answers = [httpx2.get(url, timeout=20) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [303, 303, 303, 410]
    assert len({answer.headers["location"] for answer in answers[:3]}) == 3


def test_an_old_link_says_so(town: Town) -> None:
    """And one that never was says something else."""
    url = link(town)
    kill_tickets(town)
    answer = httpx2.get(url, timeout=20)
    assert (answer.status_code, "too old" in answer.text) == (410, True)
    answer = httpx2.get(url[:-1], timeout=20)
    assert (answer.status_code, "not valid" in answer.text) == (404, True)


def test_headers_of_a_link_and_of_its_player(town: Town) -> None:
    """Nothing is kept, nothing is referred, nobody frames it; the cookie is bound to the lease."""
    with httpx2.Client(base_url=town.url, timeout=20) as browser:
        answer = browser.get(link(town))
        base = answer.headers["location"]
        cookie = answer.headers["set-cookie"]
        assert f"Path={base}; Max-Age=7200; HttpOnly; SameSite=Lax" in cookie
        assert "Domain" not in cookie
        for each in (answer, browser.get(base)):
            assert each.headers["referrer-policy"] == "no-referrer"
            assert each.headers["cache-control"] == "no-store"
            assert each.headers["x-frame-options"] == "DENY"
            assert "frame-ancestors 'none'" in each.headers["content-security-policy"]
        assert httpx2.get(town.url + base, timeout=20).status_code == 403


def test_a_name_of_a_lease_opens_nothing(town: Town) -> None:
    """Nor does the cookie of another lease, on any of its addresses."""
    with opened(town) as (browser, base), opened(town) as (other, others):
        audio = audio_of(browser, base)
        assert browser.get(audio + SITTING, headers=PIECE).status_code == 206
        name, secret = next(iter(dict(other.cookies).items()))
        for path in (audio + SITTING, f"{base}/", f"{base}/dock", f"{base}/wave"):
            for cookies in ({}, {name: secret}):
                header = {"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}
                answer = httpx2.get(town.url + path, headers=header, timeout=20)
                assert answer.status_code == 403, path
                assert b"RIFF" not in answer.content
        assert others != base


def test_a_piece_is_bounded(town: Town) -> None:
    """Half a mebibyte, then it is asked for again, and authorised again."""
    with opened(town) as (browser, base):
        answer = browser.get(audio_of(browser, base) + SITTING, headers={"Range": "bytes=0-"})
        assert answer.status_code == 206
        assert len(answer.content) == 512 * 1024
        assert browser.get(f"{base}/audio/99{SITTING}", headers=PIECE).status_code == 410
        assert browser.get(f"{base}/audio/x{SITTING}", headers=PIECE).status_code == 400


def test_a_file_only_where_the_link_says_so(window: OpenWindow, town: Town) -> None:
    """The menu is there, or is not; the address answers accordingly."""
    with opened(town) as (browser, base):
        assert browser.get(f"{base}/download?format=mp3").status_code == 403
        assert "download" not in browser.get(f"{base}/").text
    with opened(town, download=True) as (browser, base):
        answer = browser.get(f"{base}/download?format=mp3")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment")
        assert browser.get(f"{base}/download?format=exe").status_code == 400
    page = window(None)
    page.goto(link(town, download=True))
    page.get_by_text("Download").click()
    with page.expect_download() as kept:
        page.get_by_role("link", name="MP3").click()
    assert kept.value.suggested_filename.endswith(".mp3")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"X-Csrf-Token": ""}, 403),
        ({"X-Csrf-Token": "0" * 32}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_only_its_own_player_tells_what_was_heard(
    town: Town, headers: dict[str, str], status: int
) -> None:
    """The token of the page, and sent from it."""
    with opened(town) as (browser, base):
        usual = {"X-Csrf-Token": csrf_of(browser, base), "Sec-Fetch-Site": "same-origin"}
        revision = int(audio_of(browser, base).rpartition("/")[2])
        body = {"sitting": "p" + "1" * 24, "revision": revision, "heard": []}
        answer = browser.post(f"{base}/heard", json=body, headers=usual | headers)
        assert answer.status_code == status
        old = browser.post(f"{base}/heard", json=body | {"revision": 99}, headers=usual)
        assert old.status_code == 410
        assert browser.get(f"{base}/heard").status_code == 405


def test_a_player_that_waits_keeps_its_lease(window: OpenWindow, town: Town) -> None:
    """Before anything was played, and while it is paused."""
    page = window(None)
    page.goto(link(town))
    with page.expect_response(lambda answer: answer.url.endswith("/heard"), timeout=25_000) as told:
        page.locator("[data-player]").wait_for()
    assert told.value.status == 204


def end(town: Town, base: str) -> None:
    """An administrator ends the lease."""
    with town.serving.base.db.write() as conn:
        assert leases.end(conn, base.rpartition("/")[2]) is not None


def disable(town: Town, base: str) -> None:
    """Whoever asked for the link is shut out."""
    with town.serving.base.db.write() as conn:
        users.disable(conn, "marcus", system_clock())


def grow_old(town: Town, base: str) -> None:
    """The hard end comes."""
    with town.serving.base.db.write() as conn:
        conn.execute(update(lease_rows).values(ends_at=system_clock()))


@pytest.mark.parametrize("ending", [end, disable, grow_old])
def test_what_ends_a_lease_silences_its_player(
    window: OpenWindow, town: Town, ending: Callable[[Town, str], None]
) -> None:
    """The next piece is refused at once; the page is silent within 25 s and says why."""
    page = window(None)
    page.goto(link(town))
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until_it_plays(page)
    ending(town, page.url.rstrip("/"))
    try:
        refused = page.request.get(str(sound(page)["src"]), headers=PIECE)
        assert refused.status == 403
        told = page.locator("[data-told]")
        expect(told).to_contain_text("not open to you any more", timeout=25_000)
        assert sound(page)["src"] is None
        page.reload()
        assert "Ask for a new link" in page.locator("main").inner_text()
    finally:
        with town.serving.base.db.write() as conn:
            users.enable(conn, "marcus")


@pytest.mark.grows
def test_a_mask_that_comes_while_it_plays_is_heard_as_one(window: OpenWindow, town: Town) -> None:
    """The player goes on where it was, without a new link."""
    town.import_call(
        "to-mask-by-link",
        started_at=UnixMillis(system_clock() - 3_000_000),
        duration_s=LONG_S,
        voicefilename="to-mask-by-link",
        audio=SoundFile(town.folder, "long.wav"),
    )
    page = window(None)
    page.goto(link(town, "to-mask-by-link"))
    page.get_by_role("button", name="Play", exact=True).click()
    before, old = wait_until_it_plays(page), str(sound(page)["src"])
    town.mask(town.calls["to-mask-by-link"], 60.0, 70.0)
    assert page.request.get(old, headers=PIECE).status == 410
    expect(page.locator("rect.masked")).to_have_count(1, timeout=20_000)
    assert wait_until_it_plays(page, before) > before
    assert sound(page)["src"] != old


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"label": ""}, "label"),
        ({"label": None}, "label"),
        ({"label": 7}, "label"),
        ({"uses": 0}, "uses"),
        ({"uses": 11}, "uses"),
        ({"uses": True}, "uses"),
        ({"uses": "3"}, "uses"),
        ({"download": "yes"}, "download"),
        ({"more": 1}, "more"),
    ],
)
def test_an_order_that_cannot_be_is_refused(
    town: Town, body: dict[str, object], named: str
) -> None:
    """A problem document that names the member."""
    answer = ask(town, **body)
    assert answer.status_code == 400
    assert named in answer.json()["detail"]


def test_a_link_is_asked_for_with_rights(town: Town) -> None:
    """By a login, or by the cookie of the pages with their token; not by an auditor."""
    path = f"/api/v1/recordings/{town.recording_of(town.calls['long'])}/tickets"
    body = {"label": "a colleague"}
    assert httpx2.post(town.url + path, json=body, timeout=20).status_code == 401
    auditor = httpx2.post(town.url + path, json=body, auth=("otto", PASSWORD), timeout=20)
    assert auditor.status_code == 404
    with entered(town, "marcus") as browser:
        assert browser.post(path, json=body).status_code == 403
        headers = {"X-Csrf-Token": token_of(browser)}
        answer = browser.post(path, json=body, headers=headers)
        assert answer.status_code == 200
        assert set(answer.json()) == {"url", "expires_at"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(window: OpenWindow, town: Town, scheme: str) -> None:
    """The player, and what a link says that is over: axe-core without a violation."""
    page = window(None, color_scheme=scheme, bypass_csp=True)
    url = link(town, download=True)
    for name in ("lease", "lease-over"):
        page.goto(url)
        page.locator("h1").wait_for()
        page.evaluate(AXE)
        keep_picture(page, f"{name}-{scheme}")
        assert violations(page) == []


@pytest.mark.parametrize("width", [320, 720])
def test_a_narrow_window_scrolls_one_way(window: OpenWindow, town: Town, width: int) -> None:
    """A telephone, or a narrow frame."""
    page = window(None)
    page.set_viewport_size({"width": width, "height": 440})
    page.goto(link(town, label="W" * 200, download=True))
    page.locator("[data-player]").wait_for()
    keep_picture(page, f"lease-{width}")
    wide = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0


def test_a_label_is_a_text_and_nothing_else(
    window: OpenWindow, town: Town, watched: Watched
) -> None:
    """Whatever an integrator was made to send: shown as it is, or refused; none of it alive."""
    page = window(None)
    page.on("dialog", lambda dialog: watched.faults.append(f"alive: {dialog.message}"))
    shown = 0
    for text in map(str.strip, HOSTILE):
        answer = ask(town, label=text)
        if not text.isprintable():
            assert answer.status_code == 400
            continue
        page.goto(answer.json()["url"])
        expect(page.locator(".title p")).to_contain_text(f"For {text}")
        shown += 1
    assert shown >= 25
