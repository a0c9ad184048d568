"""What is refused, on German pages: nobody is told in English what they did wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.pages.test_language import Visible, english_sentences
from tests.pages.test_login import client, token_of
from tests.pages.test_settings import people_form
from tests.pages.town import PASSWORD, Town

PATTERNS = english_sentences("de")
ENGLISH = re.compile(
    r"(?<![\w-])(the|is|not|must|be|of|there|such|with|this|that|are|has|have|which|who|your|you|more"
    r"|than|on|or|and|known|given|longer|characters|take|choose|may|try|again|already|only)(?![\w-])",
    re.IGNORECASE,
)
"""No English sentence does without these; German ones have them in no value but ``this-week``."""
TYPED = re.compile(r"'[^']*'|\"[^\"]*\"")
"""What somebody sent comes back in quotes."""

Fields = dict[str, str]


@contextmanager
def german(town: Town, username: str) -> Iterator[httpx2.Client]:
    """Somebody with a German browser, signed in."""
    with client(town) as browser:
        browser.headers["accept-language"] = "de-DE,de;q=0.9,en;q=0.1"
        answer = browser.post("/login", data={"username": username, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield browser


def said_on(page: str) -> list[str]:
    """The texts of the main part of a page, or of a strip."""
    reader = Visible()
    main = page.split("<main", 1)[-1].split("</main>", 1)[0]
    reader.feed(f"<main{main}" if "<main" in page else main)
    return [text for text in (re.sub(r"\s+", " ", each).strip() for each in reader.found) if text]


def english(page: str) -> list[str]:
    """Texts of a page that are English: known sentences, and whatever reads like one."""
    found = []
    for text in said_on(page):
        bare = TYPED.sub("", text)
        if ENGLISH.search(bare) or any(each.fullmatch(text) for each in PATTERNS):
            found.append(text)
    return found


def check(answer: httpx2.Response, status: int, told: str) -> None:
    """A refusal of this status, in German, that says what is wrong."""
    assert answer.status_code == status, (answer.status_code, said_on(answer.text))
    assert 'lang="de"' in answer.text or "<html" not in answer.text
    assert told in " ".join(said_on(answer.text)), said_on(answer.text)
    assert english(answer.text) == []


ADDRESSES = {
    # Filters and the search language.
    "/calls?foo=1": (400, "kein Filter"),
    "/calls?since=x": (400, "kein Zeitraum"),
    "/calls?since=4000d": (400, "liegt nicht zwischen"),
    "/calls?since=7d&from=2026-11-01": (400, "entweder since"),
    "/calls?to=2026-11-01": (400, "auch from"),
    "/calls?from=2026-11-02&to=2026-11-01": (400, "endet, bevor es beginnt"),
    "/calls?dir=up": (400, "muss eines von"),
    "/calls?state=lost": (400, "muss eines von"),
    "/calls?sort=random": (400, "muss eines von"),
    "/calls?rec=maybe": (400, "muss eines von"),
    "/calls?cols=colour": (400, "keine Spalte"),
    "/calls?min=long": (400, "keine Dauer"),
    "/calls?min=1&min=2": (400, "mehr als einmal"),
    "/calls?q=%22open": (400, "Anführungszeichen"),
    "/calls?q=colour:red": (400, "kann nicht gesucht werden"),
    "/calls?q=agent:": (400, "es fehlt"),
    "/calls?q=%01": (400, "Steuerzeichen"),
    "/calls?q=%ff": (400, "nicht lesbar"),
    "/calls?time=09:00-10:00": (400, "auch einen Zeitraum"),
    "/calls?since=7d&time=10:00-09:00": (400, "nach dem Beginn"),
    "/calls?since=7d&time=now": (400, "keine Uhrzeiten"),
    "/calls?since=7d&weekday=8": (400, "keine Uhrzeiten"),
    "/calls?from=1980-01-01&to=2026-01-01&weekday=1": (400, "zehn Jahre"),
    "/calls?during=noon": (400, "kein Zeitpunkt"),
    "/calls?zone=localtime": (400, "keine Zeitzone"),
    "/calls?before=x": (400, "nicht ausgegeben"),
    f"/calls?q={'x' * 9000}": (400, "zu lang"),
    "/calls/nothing": (404, "keinen solchen Anruf"),
    "/views/nothing": (404, "Ansicht"),
    # Reports.
    "/reports/nothing": (404, "Einen Bericht"),
    "/reports/agents?foo=1": (400, "keine Angabe"),
    "/reports/agents?period=often": (400, "kein Zeitraum"),
    "/reports/agents?period=400d": (400, "366 Tage"),
    "/reports/agents?to=2026-11-01": (400, "geht nur mit from"),
    "/reports/agents?zone=Factory": (400, "keine Zeitzone"),
    "/reports/agents?site=Nowhere": (400, "gibt es hier nicht"),
    "/reports/agents?group=Nowhere": (400, "gibt es hier nicht"),
    "/reports/agents?agent=Nobody": (400, "gibt es hier nicht"),
    "/reports/agents?dir=up": (400, "muss eines von"),
    "/reports/agents?format=doc": (400, "muss eines von"),
    "/reports/agents?dir=inbound&dir=outbound": (400, "mehr als einmal"),
    "/reports/top-calls?limit=many": (400, "eine Zahl von 1"),
    "/reports/abandoned?target=0": (400, "eine Zahl von 1"),
    # Files, directory, settings, people.
    "/jobs/nothing": (404, "solchen Auftrag"),
    "/jobs/nothing/file": (404, "solchen Auftrag"),
    "/directory/colours": (400, "Eine Liste"),
    "/directory?after=x": (400, "nicht ausgegeben"),
    "/settings/sites/nowhere": (404, "Standort"),
    "/settings/people?after=x": (400, "nicht ausgegeben"),
    # The player and its files.
    "/calls/nothing/download?format=wav": (404, "kein"),
    "/calls/LONG/download?format=doc": (400, "Dieses Format"),
    "/calls/LONG/wave?from=5&to=3": (400, "nach from"),
    "/calls/nothing/wave": (404, "kein"),
    "/p/nothing": (404, "Link"),
    "/lease/nothing/": (403, "Abspieler"),
}


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address[:60])
def test_a_wrong_address_is_refused_in_german(town: Town, address: str) -> None:
    """Each page, by whatever is wrong in its address; and as the strip above what is there."""
    status, told = ADDRESSES[address]
    path = address.replace("LONG", town.calls["long"])
    with german(town, "admin") as browser:
        check(browser.get(path), status, told)
        check(browser.get(path, headers={"HX-Request-Type": "partial"}), status, told)


def site_form(browser: httpx2.Client, **more: str) -> Fields:
    """What the form of a site sends."""
    page = browser.get("/settings/sites/2").text
    seen = page.split('name="seen" value="')[1].split('"')[0]
    fields = {"pad_s": "0.5", "settle_s": "0", "name": "Bristol", "timezone": "UTC"}
    filled = {"fill_kind": "tone", "fill_hz": "1000", "fill_dbfs": "-20", "key_presses": "off"}
    return {"seen": seen, **fields, **filled, **more}


SCHEDULE = {
    "name": "x", "kind": "agents", "time": "07:30", "every": "daily", "recipients": "a@example.org",
}  # fmt: skip
FORMS: list[tuple[str, str, Fields, int, str]] = [
    ("admin", "/calls/export", {"query": "", "format": "doc"}, 400, "keines von"),
    ("admin", "/calls/export", {"query": "foo=1", "format": "csv"}, 400, "kein Filter"),
    ("admin", "/views", {"query": "", "name": ""}, 400, "1 bis"),
    ("admin", "/views", {"query": "", "name": "x", "audience": "all"}, 400, "muss eines von"),
    ("marcus", "/views", {"query": "", "name": "x", "audience": "everyone"}, 403, "für alle"),
    ("admin", "/preferences", {"theme": "pink"}, 400, "muss eines von"),
    ("admin", "/preferences", {"timezone": "localtime"}, 400, "keine Zeitzone"),
    ("otto", "/preferences/password", {"old": "wrong", "new": "x"}, 403, "ist falsch"),
    ("otto", "/preferences/password", {"old": PASSWORD, "new": PASSWORD}, 400, "das alte"),
    ("otto", "/preferences/password", {"old": PASSWORD, "new": "short"}, 400, "15 bis"),
    ("admin", "/schedules/add", {**SCHEDULE, "time": "late"}, 400, "keine Uhrzeit"),
    ("admin", "/schedules/add", {**SCHEDULE, "every": "weekly"}, 400, "wählen Sie"),
    ("admin", "/schedules/add", {**SCHEDULE, "every": "monthly", "monthday": "77"}, 400, "Tag von"),
    ("admin", "/schedules/add", {**SCHEDULE, "every": "hourly", "weekday": "1"}, 400, "day"),
    ("admin", "/schedules/add", {**SCHEDULE, "name": ""}, 400, "in einer Zeile"),
    ("admin", "/schedules/add", {**SCHEDULE, "kind": "x"}, 400, "gibt es nicht"),
    ("admin", "/schedules/add", {**SCHEDULE, "format": "doc"}, 400, "keines von"),
    ("admin", "/schedules/add", {**SCHEDULE, "recipients": "nobody"}, 400, "keine Adresse"),
    ("admin", "/schedules/add", SCHEDULE, 400, "Mailserver"),
    ("admin", "/schedules/add", {**SCHEDULE, "recipients": ""}, 400, "oder einen Ordner"),
    ("admin", "/schedules/add", {**SCHEDULE, "folder": "../x"}, 400, "kein"),
    ("admin", "/schedules/add", {**SCHEDULE, "query": "foo=1"}, 400, "danach fragt"),
    ("admin", "/schedules/nothing", {"do": "run"}, 404, "Zeitplan"),
    ("admin", "/schedules/nothing", {"do": "dance"}, 400, "muss run"),
    ("admin", "/directory/groups", {"do": "add", "site": "1", "name": ""}, 400, "1 bis"),
    ("admin", "/directory/groups", {"do": "add", "site": "1", "name": "a/b"}, 400, "Schrägstrich"),
    ("admin", "/directory/groups", {"do": "add", "site": "1", "name": "Sales"}, 409, "gibt es in"),
    ("admin", "/directory/groups", {"do": "add", "site": "no", "name": "x"}, 404, "Standort"),
    ("admin", "/directory/groups", {"do": "remove", "id": "x"}, 404, "Eintrag"),
    ("admin", "/directory/groups", {"do": "dance"}, 400, "muss add"),
    ("otto", "/directory/groups", {"do": "add", "site": "1", "name": "x"}, 403, "Prüfer"),
    ("admin", "/directory/channels", {"do": "add", "site": "1", "name": " x"}, 400, "Leerzeichen"),
    ("admin", "/settings/sites", {"id": ""}, 400, "1 bis"),
    ("admin", "/settings/sites", {"id": "1"}, 409, "gibt es schon"),
    ("admin", "/settings/sites", {"id": "9", "name": "Bristol"}, 409, "anderer Standort"),
    ("admin", "/settings/sites/2", {"seen": "x"}, 409, "inzwischen geändert"),
    ("admin", "/settings/sites/2", {"pad_s": ""}, 400, "muss angegeben"),
    ("admin", "/settings/sites/2", {"pad_s": "wide"}, 400, "keine Zahl"),
    ("admin", "/settings/sites/2", {"pad_s": "-1"}, 400, "keine Zahl von Sekunden"),
    ("admin", "/settings/sites/2", {"retention_days": "0"}, 400, "Zahl von Tagen"),
    ("admin", "/settings/sites/2", {"retention_days": "1.5"}, 400, "ganze Zahl"),
    ("admin", "/settings/sites/2", {"timezone": "Factory"}, 400, "keine Zeitzone"),
    ("admin", "/settings/sites/2", {"fill_hz": "1"}, 400, "ein Ton hat"),
    ("admin", "/settings/sites/2", {"fill_dbfs": "9"}, 400, "ein Pegel"),
    ("admin", "/settings/sites/2", {"fill_kind": "file"}, 400, "eine Datei"),
    ("admin", "/settings/sites/2", {"fill_kind": "x"}, 400, "muss tone"),
    ("admin", "/settings/sites/2", {"key_presses": "x"}, 400, "eines von"),
    ("admin", "/settings/sites/2", {"name": "everything"}, 400, "ohne Komma"),
    ("admin", "/settings/people", {"do": "dance"}, 400, "oder revoke"),
    ("admin", "/settings/people", {"do": "add", "user": "x", "role": "king"}, 400, "muss eines"),
    ("admin", "/settings/people", {"do": "add", "user": "a:b", "role": "auditor"}, 400, "Doppelp"),
    ("admin", "/settings/people", {"do": "add", "user": "otto", "role": "auditor"}, 409, "schon"),
    ("admin", "/settings/people", {"do": "add", "user": "command", "role": "auditor"}, 400, "Pers"),
    (
        "admin",
        "/settings/people",
        {"do": "add", "user": "x", "role": "auditor", "reach": "Nowhere"},
        400,
        "Standort",
    ),
    (
        "admin",
        "/settings/people",
        {"do": "add", "user": "x", "role": "auditor", "reach": "Bristol/None"},
        404,
        "gibt es in",
    ),
    ("admin", "/settings/people", {"do": "password", "user": "no"}, 404, "Benutzer"),
    ("admin", "/settings/people", {"do": "revoke", "key": "no"}, 404, "API-Schlüssel"),
    ("otto", "/settings/people", {"do": "revoke", "key": "no"}, 403, "Prüfer"),
    ("marcus", "/settings/people", {"do": "revoke", "key": "no"}, 403, "Supervisor"),
    ("admin", "/settings/places", {"do": "dance"}, 400, "muss store"),
    ("admin", "/settings/places", {"do": "store", "id": "A B", "path": "x"}, 400, "kleine"),
    ("admin", "/settings/places", {"do": "store", "id": "s9", "path": "x"}, 400, "ganzen Pfad"),
    ("admin", "/settings/places", {"do": "store", "id": "s9", "path": "/no/x"}, 400, "kein Ordner"),
    ("admin", "/settings/places", {"do": "store", "id": "s9", "path": "DATA"}, 400, "getrennt"),
    (
        "admin",
        "/settings/places",
        {"do": "voicelocation", "id": "v9", "echo_url": "x", "store_id": "1"},
        400,
        "keine Adresse",
    ),
    ("admin", "/calls/LONG/notes", {"text": ""}, 400, "etwas sagen"),
    ("admin", "/calls/LONG/notes", {"text": "x" * 9000}, 400, "höchstens"),
    ("admin", "/calls/LONG/notes", {"text": "x", "at": "9999"}, 400, "nach dem Ende"),
    ("otto", "/calls/LONG/notes", {"text": "x"}, 403, "keine Notizen"),
    ("admin", "/calls/nothing/notes", {"text": "x"}, 404, "keinen solchen Anruf"),
    ("admin", "/calls/LONG/notes/no/remove", {}, 404, "Notiz"),
    ("admin", "/jobs/nothing/cancel", {}, 404, "solchen Auftrag"),
    ("admin", "/views/nothing/remove", {}, 404, "Ansicht"),
    ("admin", "/settings/people", {"csrf": "forged"}, 403, "älteren Seite"),
    ("admin", "/settings/people", {"do": "x" * 70_000}, 400, "länger als"),
]


@pytest.mark.parametrize(
    ("username", "path", "fields", "status", "told"),
    FORMS,
    ids=[f"{number}-{form[1]}" for number, form in enumerate(FORMS)],
)
def test_a_wrong_form_is_refused_in_german(  # who, where, what, and what comes of it
    town: Town, username: str, path: str, fields: Fields, status: int, told: str
) -> None:
    """Each form, by whatever is wrong in it."""
    with german(town, username) as browser:
        sent = {"csrf": token_of(browser), **fields}
        if path == "/settings/sites/2":
            sent = {**site_form(browser), **sent}
        if sent.get("path") == "DATA":
            folder = town.settings.data_dir / "empty"
            folder.mkdir(exist_ok=True)
            sent["path"] = str(folder)
        check(browser.post(path.replace("LONG", town.calls["long"]), data=sent), status, told)


def test_a_form_that_another_was_faster_with_is_refused_in_german(town: Town) -> None:
    """With what differs."""
    with german(town, "admin") as browser:
        change = people_form(browser, "otto", do="change", role="auditor", seen="x", reach="")
        check(browser.post("/settings/people", data=change), 409, "inzwischen geändert")
        last = people_form(browser, "admin", do="disable")
        check(browser.post("/settings/people", data=last), 409, "der letzte Administrator")
        own = people_form(browser, "admin", do="password")
        check(browser.post("/settings/people", data=own), 409, "unter Einstellungen")
        group = {"csrf": token_of(browser), "do": "save", "id": "x", "name": "y"}
        check(browser.post("/directory/groups", data=group), 404, "gibt es")


def test_a_login_is_refused_in_german(town: Town) -> None:
    """A wrong password, and another site that sends the form."""
    with client(town) as browser:
        browser.headers["accept-language"] = "de"
        wrong = {"username": "nobody", "password": "wrong password entirely"}
        check(browser.post("/login", data=wrong), 401, "das Kennwort ist falsch")
        forged = browser.post("/login", data=wrong, headers={"Sec-Fetch-Site": "cross-site"})
        check(forged, 403, "Eine andere Website")


def test_whoever_prefers_german_gets_it_for_a_file_too(town: Town) -> None:
    """A download that is refused is a page, in the language that was chosen."""
    with client(town) as browser:
        browser.headers["accept-language"] = "en"
        browser.post("/login", data={"username": "carla", "password": PASSWORD})
        fields = {"csrf": token_of(browser), "language": "de", "theme": "auto", "timezone": ""}
        assert browser.post("/preferences", data=fields).status_code == 303
        try:
            address = f"/calls/{town.calls['long']}/download?format=doc"
            check(browser.get(address), 400, "Dieses Format gibt es nicht")
        finally:
            browser.post("/preferences", data={**fields, "language": ""})


def test_the_api_and_english_pages_stay_english(town: Town) -> None:
    """Whatever the browser asks for: programs read what contract.md says."""
    with german(town, "admin") as browser:
        answer = browser.get("/api/v1/calls?limit=many")
        assert answer.json()["detail"] == "limit: must be a number from 1 to 1000."
        english_page = browser.get("/calls?min=1&min=2", headers={"Accept-Language": "en"})
        assert "min: given more than once." in english_page.text


def test_english_is_found() -> None:
    """The check itself: known sentences and unknown ones; what was typed does not count."""
    assert english("<main><p>min: given more than once.</p></main>") != []
    assert english("<main><p>period: the moon is no period</p></main>") != []
    assert english("<main><p>'the moon is not' ist kein Zeitraum.</p></main>") == []
    assert english("<main><p>Eine Notiz muss etwas sagen.</p></main>") == []
