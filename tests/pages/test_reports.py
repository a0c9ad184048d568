"""Reports on screen: the same numbers as in their files, each leading to its calls."""

from __future__ import annotations

import csv
import io
import re
import zlib
from datetime import UTC, datetime

import httpx2
import openpyxl
import pytest
from playwright.sync_api import expect

from callreel.flows.reports import KINDS
from tests.pages.conftest import OpenWindow, keep_picture
from tests.pages.test_login import entered
from tests.pages.town import Town

SLUGS = [kind.slug for kind in KINDS]


def cells_of(page: str) -> list[list[str]]:
    """The rows of the table of a page, as text, its total included."""
    table = page.split("<tbody>")[1].split("</table>", maxsplit=1)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", row)]
        for row in rows
    ]


def count_of(browser: httpx2.Client, address: str) -> int:
    """How many calls an address of Call View finds."""
    page = browser.get(address.replace("&amp;", "&"), follow_redirects=True)
    assert page.status_code == 200, page.text
    found = re.search(r'class="counts"><strong>([\d,]+)</strong>', page.text)
    if found is None:
        query = page.url.query.decode()
        page = browser.get(f"/calls/overview?{query}")
        found = re.search(r'class="counts"><strong>([\d,]+)</strong>', page.text)
    assert found is not None
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize("slug", SLUGS)
def test_every_report_has_a_page(window: OpenWindow, slug: str) -> None:
    """With its period and scope in words, its main number, and a way to a file and a schedule."""
    page = window()
    page.goto("/reports")
    page.locator(f"a[href='/reports/{slug}']").click()
    expect(page.locator("h1")).to_be_visible()
    assert "Period:" in page.locator(".title p").inner_text()
    assert page.locator(".headline").inner_text()
    keep_picture(page, f"report-{slug}")
    page.get_by_role("link", name="Schedule", exact=True).click()
    assert page.locator("select[name=kind]").input_value() == slug


def test_year_on_year_tells_the_years_that_it_counts(town: Town) -> None:
    """And not the week that was asked for, on the page as in its files."""
    year = datetime.now(UTC).year
    years = f"1 January {year - 1} to 31 December {year}"
    with entered(town) as browser:
        page = browser.get("/reports/year-on-year?period=7d").text
        assert f"Period: {years}" in re.sub(r"<[^>]+>|\s+", " ", page).replace("  ", " ")
        assert "the last 7 days" not in page
        lines = browser.get("/reports/year-on-year?period=7d&format=csv").text.splitlines()
        assert lines[0] == f"month,calls_{year - 1},calls_{year},change"
        german = browser.get("/reports/year-on-year", headers={"Accept-Language": "de"}).text
        assert f"1. Jan. {year - 1}" in german
        assert f"31. Dez. {year}" in german


@pytest.mark.parametrize("slug", ["call-analysis", "agents", "groups", "top-numbers", "abandoned"])
def test_every_number_leads_to_its_calls(town: Town, slug: str) -> None:
    """As many as it says: each link of the table is followed (whole numbers of calls)."""
    followed = 0
    with entered(town) as browser:
        page = browser.get(f"/reports/{slug}?period=7d").text
        for address, text in re.findall(r'<a href="(/calls\?[^"]+)">([\d,]+)</a>', page)[:60]:
            assert count_of(browser, address) == int(text.replace(",", "")), address
            followed += 1
    assert followed >= 5


def words_of(pdf: bytes) -> str:
    """Every glyph run of a PDF's text, by the table that maps glyphs to letters."""
    letters: dict[int, str] = {}
    drawn: list[str] = []
    streams = [
        zlib.decompress(found)
        for found in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
        if found[:1] == b"\x78"
    ]
    for stream in streams:
        if b"beginbfchar" in stream:
            for glyph, code in re.findall(rb"<([0-9a-fA-F]{4})> <([0-9a-fA-F]+)>", stream):
                letters[int(glyph, 16)] = bytes.fromhex(code.decode()).decode("utf-16-be")
    for stream in streams:
        for run in re.findall(rb"\[(.*?)\]\s*TJ|<([0-9a-fA-F]+)>\s*Tj", stream, re.DOTALL):
            glyphs = b"".join(re.findall(rb"<([0-9a-fA-F]+)>", run[0])) or run[1]
            text = glyphs.decode()
            drawn.append(
                "".join(
                    letters.get(int(text[at : at + 4], 16), "?") for at in range(0, len(text), 4)
                )
            )
    return " ".join(drawn)


def test_page_csv_xlsx_and_pdf_say_the_same(town: Town) -> None:
    """Every count of one report, in all four forms (issue 4)."""
    with entered(town) as browser:
        address = "/reports/call-analysis?period=7d"
        shown = cells_of(browser.get(address).text)
        text = browser.get(address + "&format=csv").text
        workbook = openpyxl.load_workbook(
            io.BytesIO(browser.get(address + "&format=xlsx").content), data_only=True
        )
        paper = browser.get(address + "&format=pdf")
    assert paper.headers["content-type"] == "application/pdf"
    lines = list(csv.reader(io.StringIO(text)))
    assert [row[:6] for row in lines[1:]] == [row[:6] for row in shown[: len(lines) - 1]]
    sheet = workbook[workbook.sheetnames[1]]
    rows = [[cell.value for cell in row[:6]] for row in sheet.iter_rows(min_row=2)]
    numbers = [[row[0], *(str(each) for each in row[1:])] for row in rows]
    assert numbers[: len(shown)] == [row[:6] for row in shown]
    printed = words_of(paper.content)
    for row in shown:
        assert re.sub(r"\s", "", "".join(row[:6])) in re.sub(r"[\s?]", "", printed)


def test_a_period_that_cannot_be_read_is_named(window: OpenWindow) -> None:
    """With what can be typed; nothing is guessed."""
    page = window()
    answer = page.goto("/reports/agents?period=someday")
    assert answer is not None
    assert answer.status == 400
    assert "someday" in page.locator("main").inner_text()
    answer = page.goto("/reports/agents?colour=red")
    assert answer is not None
    assert answer.status == 400
    assert "colour" in page.locator("main").inner_text()


def test_an_empty_report_says_so(window: OpenWindow) -> None:
    """And what to do."""
    page = window()
    page.goto("/reports/agents?from=2020-01-01&to=2020-01-02")
    assert "Nothing in this period" in page.locator("main").inner_text()


def test_who_listened_is_for_those_who_watch(window: OpenWindow, town: Town) -> None:
    """A supervisor is not shown it, and cannot have it; an auditor is."""
    supervisor, auditor = window("marcus"), window("otto")
    assert supervisor.get_by_role("link", name="Playback audit").count() == 0
    answer = supervisor.goto("/reports/playback-audit")
    assert answer is not None
    assert answer.status == 404
    with entered(town, "marcus") as browser:
        page = browser.get(f"/calls/{town.calls['long']}").text
        address = page.split('data-audio="')[1].split('"')[0]
        piece = {"Range": "bytes=0-999"}
        answer = browser.get(f"{address}?sitting=paudit0123456789ab", headers=piece)
        assert answer.status_code == 206
        # Nor on the page of the call, where an auditor reads it.
        assert "Listened" not in browser.get(f"/calls/{town.calls['long']}").text
    with entered(town, "otto") as browser:
        told = browser.get(f"/calls/{town.calls['long']}").text.partition("Listened")[2]
        assert "marcus" in told.partition("</dd>")[0]
    auditor.get_by_role("link", name="Playback audit").click()
    expect(auditor.locator("table")).to_contain_text("marcus")


def test_a_report_is_of_ones_own_sight(town: Town) -> None:
    """The numbers of a supervisor are those of the site."""
    totals = {}
    for username in ("admin", "marcus"):
        with entered(town, username) as browser:
            rows = cells_of(browser.get("/reports/call-analysis?period=7d").text)
            totals[username] = sum(int(cell.replace(",", "")) for cell in rows[-1][1:5])
    assert 0 < totals["marcus"] < totals["admin"]


def test_a_schedule_is_made_run_and_removed(window: OpenWindow) -> None:
    """What cannot be sent is said at once: no mail server is set up here."""
    page = window("marcus")
    page.goto("/reports/agents?period=7d")
    page.get_by_role("link", name="Schedule", exact=True).click()
    page.get_by_label("Name", exact=True).fill("Agents, weekly")
    page.get_by_label("E-mail addresses").fill("boss@example.com")
    page.get_by_role("button", name="Add").click()
    assert "no mail server is set" in page.locator("main").inner_text()


def test_a_list_becomes_a_file(window: OpenWindow, town: Town) -> None:
    """Asked for, watched, fetched: the rows of the view and no others."""
    page = window("marcus")
    page.goto("/calls?state=abandoned")
    expected = page.locator("tr[data-call]").count()
    page.get_by_text("Export", exact=True).click()
    page.get_by_role("button", name="CSV for programs").click()
    page.wait_for_url("**/jobs/*")
    while town.serving.office.worker.once():
        pass
    link = page.get_by_role("link", name="Download")
    link.wait_for(timeout=15_000)
    keep_picture(page, "job")
    with page.expect_download() as loaded:
        link.click()
    rows = list(csv.DictReader(io.StringIO(loaded.value.path().read_text())))
    assert len(rows) == expected > 5
    other = window("carla")
    answer = other.request.get(page.url)
    assert answer.status == 404


def test_views_are_saved_shared_and_removed(window: OpenWindow) -> None:
    """Mine is mine; the team's is seen by who shares a site; only the owner removes."""
    page, other = window("carla"), window("marcus")
    page.goto("/calls?state=abandoned&min=5s")
    page.get_by_text("Save view").click()
    page.locator("form[action='/views']").get_by_label("Name").fill("Given up")
    page.locator("form[action='/views']").get_by_label("For").select_option("everyone")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/calls?state=abandoned&min=5s")
    assert page.locator(".saved a[aria-current]").inner_text() == "Given up"
    other.reload()
    other.get_by_role("link", name="Given up").click()
    other.wait_for_url("**/calls?state=abandoned&min=5s")
    other.goto("/preferences")
    assert other.get_by_role("button", name="Remove Given up").count() == 0
    page.goto("/preferences")
    keep_picture(page, "preferences")
    page.get_by_role("button", name="Remove Given up").click()
    page.wait_for_url("**/calls")
    assert page.get_by_role("link", name="Given up").count() == 0


def test_preferences_change_pages(window: OpenWindow) -> None:
    """Colours and single keys, kept for the next login."""
    page = window("carla")
    page.goto("/preferences")
    page.get_by_label("Colours").select_option("dark")
    page.get_by_label("Keys without Ctrl").uncheck()
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/preferences")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 24)"
    page.goto("/calls")
    page.keyboard.press("j")
    assert page.locator("tr.selected").count() == 0
    page.goto("/preferences")
    page.get_by_label("Colours").select_option("auto")
    page.get_by_label("Keys without Ctrl").check()
    page.get_by_label("Time zone").fill("Nowhere/Else")
    page.get_by_role("button", name="Save").click()
    assert "timezone: 'Nowhere/Else' is not" in page.locator("main").inner_text()
    page.go_back()
    page.get_by_label("Time zone").fill("")
    page.get_by_label("Colours").select_option("auto")
    page.get_by_label("Keys without Ctrl").check()
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/preferences")
