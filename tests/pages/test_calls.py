"""Call View: found by filter, link, key and as they come in; with a script and without one."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from callreel.bootstrap import system_clock
from callreel.db import estimate
from callreel.flows import browse
from callreel.flows.entry import SoundFile
from callreel.model import UnixMillis
from callreel.web.pages import calls as call_list
from tests.pages.conftest import OpenWindow, Watched, keep_picture
from tests.pages.town import Town


def rows(page: Page) -> list[str]:
    """The ids of the calls that are shown."""
    found: list[str] = page.locator("tr[data-call]").evaluate_all(
        "rows => rows.map(row => row.dataset.call)"
    )
    return found


def choose(page: Page, name: str, value: str) -> None:
    """Choose in a filter, and wait for the rows."""
    with page.expect_response(
        lambda answer: "/calls?" in answer.url or answer.url.endswith("/calls")
    ):
        page.locator(f"select[name={name}]").select_option(value)
    page.wait_for_function("() => !document.querySelector('.htmx-request')")


def test_the_newest_call_is_on_top_and_a_page_follows(window: OpenWindow) -> None:
    """A hundred to a page; none twice, none missing, however often one turns."""
    page = window()
    expect(page.locator(".counts strong")).to_have_text("202")
    keep_picture(page, "calls")
    seen = rows(page)
    assert len(seen) == 100
    while page.get_by_role("link", name="Older calls").count():
        page.get_by_role("link", name="Older calls").click()
        page.wait_for_url("**before=*")
        seen += [each for each in rows(page) if each not in seen]
        if len(seen) > 300:
            break
    times = page.locator("tr[data-call] time").evaluate_all("all => all.map(one => one.dateTime)")
    assert times == sorted(times, reverse=True)
    assert len(seen) == len(set(seen)) == 202


def test_a_number_that_would_take_too_long_is_about_right(
    window: OpenWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, the rows are there at once, and who needs the exact number asks for it."""
    monkeypatch.setattr(browse, "COUNT_WITHIN_S", 0.0)
    monkeypatch.setattr(call_list, "BARS_WITHIN_S", 0.0)
    monkeypatch.setattr(estimate, "SAMPLE_CALLS", 60)
    page = window()
    page.goto("/calls?q=-agent%3Anobody")
    counts = page.locator(".counts")
    expect(counts).to_contain_text("Roughly")
    expect(page.locator(".bars")).to_be_visible()
    assert len(rows(page)) == 100
    keep_picture(page, "calls-about")
    page.get_by_role("button", name="Count them all").click()
    expect(counts.locator("strong")).to_have_text("202")
    expect(counts).not_to_contain_text("Roughly")


@pytest.mark.parametrize("width", [1920, 1440, 1280, 1024, 768, 320])
def test_more_filters_open_within_the_window_and_cover_no_row_unasked(
    window: OpenWindow, width: int
) -> None:
    """Wherever the button wraps to; that one of them is set is seen from the button."""
    page = window()
    page.set_viewport_size({"width": width, "height": 880})
    page.goto("/calls?mask=yes")
    sheet, button = page.locator(".more > .sheet"), page.locator(".more > summary")
    expect(sheet).to_be_hidden()
    is_marked = "element => getComputedStyle(element, '::after').content.includes('\u2022')"
    assert button.evaluate(is_marked)
    page.locator("[data-play]").first.click(trial=True)
    button.click()
    box = sheet.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.goto("/calls")
    assert not button.evaluate(is_marked)


def test_typing_filters_and_the_address_follows(window: OpenWindow) -> None:
    """The field keeps its focus; Back leaves the page rather than undo letter by letter."""
    page = window()
    page.keyboard.press("/")
    page.keyboard.type("0161 496 01", delay=20)
    page.wait_for_url("**/calls?q=0161+496+01")
    assert page.evaluate("document.activeElement.id") == "q"
    expect(page.locator("tr[data-call]")).to_have_count(page.locator("tr[data-call]").count())
    assert "01614960192" in page.locator("#results").inner_text()


def test_a_choice_is_undone_by_back(window: OpenWindow) -> None:
    """Each choice is an entry of the history; what it showed comes back."""
    page = window()
    choose(page, "state", "abandoned")
    page.wait_for_url("**/calls?state=abandoned")
    abandoned = rows(page)
    choose(page, "min", "30s")
    page.go_back()
    page.wait_for_url("**/calls?state=abandoned")
    expect(page.locator("tr[data-call]")).to_have_count(len(abandoned))
    assert rows(page) == abandoned


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("colour=red", "'colour'"),
        ("dir=up", "dir: must be one of in, out, internal"),
        ("q=boss:me", "'boss'"),
        ("q=agent:", "agent"),
        ("min=long", "min: not a length"),
        ("since=soon", "soon"),
        ("cols=started,shoe", "'shoe'"),
        ("min=5m&min=1h", "min: given more than once"),
        ("to=2026-11-01", "to: give from as well"),
        ("sort=random", "sort: must be one of"),
    ],
)
def test_what_is_not_known_is_named(window: OpenWindow, query: str, names: str) -> None:
    """Never ignored: a list of everything would be taken for the answer."""
    page = window()
    answer = page.goto(f"/calls?{query}")
    assert answer is not None
    assert answer.status == 400
    assert names in page.locator("main").inner_text()
    assert page.locator("tr[data-call]").count() == 0


def test_a_wrong_search_keeps_the_rows_and_says_why(window: OpenWindow) -> None:
    """While somebody types, an unknown word is told above what was there."""
    page = window()
    before = rows(page)
    page.locator("#q").fill("boss:me")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("'boss' cannot be searched in")
    assert rows(page) == before
    page.locator("#q").fill("agent:priya")
    expect(alert).to_have_count(0)
    assert "Priya Nair" in page.locator("#results").inner_text()
    assert "Aoife Byrne" not in page.locator("#results").inner_text()


@pytest.mark.parametrize(
    ("search", "holds", "lacks"),
    [
        ("agent:priya", "Priya Nair", "Aoife Byrne"),
        ("-agent:priya", "Aoife Byrne", "Priya Nair"),
        ("grp:support", "Kwame Mensah", "Priya Nair"),
        ("-grp:support", "Priya Nair", "Kwame Mensah"),
        ("*0192", "01614960192", "Kwame"),
        ("0161496019*", "01614960192", "Kwame"),
        ("ext:2115", "Kwame Mensah", "Priya Nair"),
        ('"northern pipes"', "Northern Pipes", "Fenwick"),
        ("site:bristol", "Bristol", "Manchester"),
    ],
)
def test_the_search_language(window: OpenWindow, search: str, holds: str, lacks: str) -> None:
    """Words, beginnings, ends, fields, and what to leave out."""
    page = window()
    columns = "started,party,agent,group,site"
    page.goto(f"/calls?cols={columns}")
    with page.expect_response(lambda answer: "/calls?q=" in answer.url):
        page.locator("#q").fill(search)
    table = page.locator("#rows")
    expect(table).to_contain_text(holds)
    # The answer is there before its rows are.
    expect(table).not_to_contain_text(lacks)


def test_no_match_says_what_was_searched_and_how_to_go_back(window: OpenWindow) -> None:
    """One chip for each filter; each takes only its own away."""
    page = window()
    page.goto("/calls?q=zebra&since=7d&state=busy")
    empty = page.locator(".empty")
    expect(empty).to_contain_text("No call matches")
    expect(empty).to_contain_text("last 7 days")
    keep_picture(page, "calls-no-match")
    page.get_by_role("link", name="Search: zebra").click()
    assert page.url.endswith("/calls?since=7d&state=busy")


def test_a_filter_that_is_given_twice_finds_either(window: OpenWindow) -> None:
    """Told beside the others, kept while more is chosen, and taken away by its box."""
    page = window()
    page.goto("/calls?agent=kwame&agent=aoife&cols=started,agent")
    also = page.get_by_role("checkbox", name="or Agent: aoife")
    expect(also).to_be_checked()
    agents = page.locator("#rows td:last-child")
    told = {text.strip().split("\n")[0][:5] for text in agents.all_inner_texts()}
    assert told == {"Kwame", "Aoife"}
    page.locator("#since").select_option("30d")
    page.wait_for_url("**/calls?since=30d&agent=kwame&agent=aoife&cols=started%2Cagent")
    also.uncheck()
    page.wait_for_url("**/calls?since=30d&agent=kwame&cols=started%2Cagent")
    assert "Aoife" not in page.locator("#rows").inner_text()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("since=30d&time=00:00-12:00", "Time of day: 00:00-12:00"),
        ("since=30d&weekday=0", "Weekday: Monday"),
        ("party=0163*", "Number: 0163*"),
        ("dir=unknown", "Direction: unknown"),
        ("state=unknown", "Outcome: Unknown"),
        ("proposed=yes", ": yes"),
    ],
)
def test_a_filter_without_a_field_stays_and_is_told(
    window: OpenWindow, query: str, told: str
) -> None:
    """Links of reports have them; the next choice must not widen the list without a word."""
    page = window()
    page.goto(f"/calls?{query}")
    assert told in page.locator("#filters").inner_text()
    page.locator("select[name=min]").select_option("30s")
    page.wait_for_url("**min=30s**")
    name = query.rpartition("&")[2].partition("=")[0]
    assert f"{name}=" in page.url
    page.locator(f"#filters input[type=checkbox][name={name}]").uncheck()
    page.wait_for_url(lambda url: f"{name}=" not in url)


def test_the_later_of_two_periods_holds(window: OpenWindow) -> None:
    """One that is named, or its ends: the other goes, and nothing is refused."""
    page = window()
    page.goto("/calls?from=2026-11-01&to=2026-11-02")
    page.locator("#since").select_option("30d")
    page.wait_for_url("**/calls?since=30d")
    page.locator(".more > summary").click()
    page.get_by_label("From", exact=True).fill("2026-11-01")
    page.get_by_label("From", exact=True).press("Tab")
    page.wait_for_url("**/calls?from=2026-11-01&zone=UTC")
    assert page.locator("#since").input_value() == ""
    page.goto("/reports/agents?from=2026-11-01&to=2026-11-15")
    page.get_by_label("Period").select_option("7d")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**period=7d**")
    assert "from=2026" not in page.url
    assert "the last 7 days" in page.locator("main").inner_text()


@pytest.mark.grows
def test_talk_means_the_same_in_rows_and_above_them(window: OpenWindow, town: Town) -> None:
    """Of the call, not of a recording that two legs share; by length is told by length."""
    began = system_clock() - 40 * 86_400_000
    for number in range(2):
        town.import_call(
            f"leg-{number}",
            started_at=UnixMillis(began + number * 15_000),
            answered_at=UnixMillis(began + number * 15_000 + 2_000),
            duration_s=15.0,
            voicefilename="shared",
            audio=SoundFile(town.folder, "short-3.wav"),
            linked_id="shared",
        )
    page = window()
    page.goto("/calls?q=id:shared")
    assert page.locator("tr[data-call] td.r", has_text="0:13").count() == 2
    expect(page.locator(".counts")).to_contain_text("2 calls · 0:26")
    page.goto("/calls?sort=longest")
    sorted_by = page.locator("th[aria-sort]")
    expect(sorted_by).to_have_text("Length")
    assert sorted_by.get_attribute("aria-sort") == "descending"


def test_the_list_works_without_a_script(window: OpenWindow, town: Town) -> None:
    """Filters, paging, the call, and plain sound."""
    page = window(java_script_enabled=False)
    page.locator("select[name=state]").select_option("answered")
    page.get_by_role("button", name="Search").click()
    assert page.url.endswith("/calls?state=answered")
    assert page.locator("tr[data-call]").count() == 100
    page.get_by_role("link", name="Older calls").click()
    assert "before=" in page.url
    assert page.locator("tr[data-call]").count() > 10
    page.goto(f"/calls/{town.calls['long']}")
    source = page.locator("noscript audio, audio[controls]").get_attribute("src")
    assert source is not None
    answer = page.request.get(source, headers={"Range": "bytes=0-99"})
    assert (answer.status, answer.body()[:4]) == (206, b"RIFF")


def test_columns_are_chosen_in_the_address(window: OpenWindow) -> None:
    """So that a link shows a colleague the same table."""
    page = window()
    page.get_by_text("Columns").click()
    menu = page.locator("#columns")
    menu.get_by_label("Site").check()
    menu.get_by_label("Shape of call").uncheck()
    menu.get_by_role("button", name="Show").click()
    page.wait_for_url("**cols=*")
    heads = page.locator("th").all_inner_texts()
    assert "Site" in heads
    assert "Shape of call" not in heads


def test_long_calls_first(window: OpenWindow) -> None:
    """By a click on the head of the column; the state of it is told to screen readers."""
    page = window()
    page.get_by_role("link", name="Talk").click()
    page.wait_for_url("**sort=longest")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Length")
    first = page.locator("tr[data-call]").first
    assert "01614960192" in first.inner_text()
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**before=*")
    assert page.locator("tr[data-call]").count() > 50


@pytest.mark.grows
def test_a_call_that_comes_in_moves_nothing_that_is_read(window: OpenWindow, town: Town) -> None:
    """It is on top within seconds; the row under the eyes stays, and so does the focus."""
    page = window("marcus")
    page.wait_for_timeout(500)
    row = page.locator("tr[data-call]").nth(30)
    row.scroll_into_view_if_needed()
    page.locator(".scroll").evaluate("box => { box.scrollTop = 500; }")
    row.locator("td.started a").focus()
    before = row.bounding_box()
    held = row.get_attribute("id")
    call = town.import_call("comes-in", started_at=UnixMillis(system_clock() - 5000))
    page.locator(f"#c-{call}").wait_for(state="attached", timeout=10_000)
    after = page.locator(f"#{held}").bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) <= 1
    assert page.evaluate("document.activeElement.closest('tr').id") == held
    assert rows(page)[0] == call


@pytest.mark.grows
def test_a_call_comes_in_only_where_it_belongs(window: OpenWindow, town: Town) -> None:
    """Not into another filter, and not into the sight of somebody of another site."""
    answered, supervisor = window(), window("marcus")
    answered.goto("/calls?state=abandoned")
    answered.wait_for_timeout(500)
    mine = town.import_call("bristol", datasource="2", started_at=UnixMillis(system_clock() - 4000))
    shown = town.import_call("manchester", started_at=UnixMillis(system_clock() - 3000))
    supervisor.locator(f"#c-{shown}").wait_for(state="attached", timeout=10_000)
    answered.wait_for_timeout(1500)
    assert supervisor.locator(f"#c-{mine}").count() == 0
    assert answered.locator(f"#c-{shown}").count() == 0


@pytest.mark.grows
def test_live_can_be_stopped(window: OpenWindow, town: Town) -> None:
    """By a box that says so (WCAG 2.2.2)."""
    page = window("marcus")
    page.wait_for_timeout(500)
    page.get_by_label("Live").uncheck()
    call = town.import_call("stopped", started_at=UnixMillis(system_clock() - 2000))
    page.wait_for_timeout(2500)
    assert page.locator(f"#c-{call}").count() == 0


def test_a_supervisor_sees_their_own_site_and_nothing_else(
    window: OpenWindow, town: Town, watched: Watched
) -> None:
    """In the list, in a filter by the other site, and at every address of its calls (T26)."""
    everything, own = window(), window("marcus")
    everything.goto("/calls?site=2")
    others = rows(everything)
    assert others
    own.goto("/calls?site=2")
    assert own.locator("tr[data-call]").count() == 0
    own.goto("/calls")
    assert not set(others) & set(rows(own))
    assert "Bristol" not in own.content()
    for call in others[:3]:
        for path in ("", "/dock", "/wave", "/audio/1?sitting=p0123456789abcdef", "/download"):
            assert own.request.get(f"/calls/{call}{path}").status == 404, path


@pytest.mark.grows
def test_three_words_for_three_reasons(window: OpenWindow, town: Town) -> None:
    """Not recorded, deleted, and not yours are different things."""
    supervisor, auditor = window("marcus"), window("otto")
    first = town.calls["first"]
    assert "Not recorded" in supervisor.locator(f"#c-{first} td.p").inner_text()
    assert "Not yours to play" in auditor.locator(f"#c-{town.calls['long']} td.p").inner_text()
    auditor.goto(f"/calls/{town.calls['long']}")
    assert "not yours to play" in auditor.locator("section.card").inner_text()
    assert auditor.locator("audio").count() == 0
    gone = town.import_call(
        "gone",
        started_at=UnixMillis(system_clock() - 2_400_000),
        voicefilename="gone",
        audio=SoundFile(town.folder, "short-1.wav"),
    )
    with town.serving.base.db.write() as conn:
        conn.exec_driver_sql("UPDATE recordings SET state = 'deleted' WHERE voicefilename = 'gone'")
    supervisor.goto("/calls")
    assert "Deleted by retention" in supervisor.locator(f"#c-{gone} td.p").inner_text()


def test_the_bars_lead_to_their_hours(window: OpenWindow) -> None:
    """A bar is a link to the calls of its time."""
    page = window()
    bar = page.locator(".bars a").nth(3)
    told = bar.get_attribute("aria-label")
    assert told is not None
    address = bar.get_attribute("href")
    assert address is not None
    page.goto(address)
    assert page.locator("tr[data-call]").count() == int(told.rpartition(": ")[2])


def test_a_copied_address_shows_a_colleague_the_same(window: OpenWindow) -> None:
    """The same rows for somebody of the same sight; fewer, never others, for somebody of less."""
    one, other, less = window(), window("carla"), window("marcus")
    address = "/calls?q=fenwick&dir=in&state=answered"
    found = []
    for page in (one, other, less):
        page.goto(address)
        found.append(rows(page))
    assert found[0] == found[1] != []
    assert set(found[2]) < set(found[0])
