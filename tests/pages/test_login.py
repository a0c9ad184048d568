"""Signing in and out: passwords, sessions, forged forms. Source: threats.md T33, T35."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from callreel.access.identity import hash_password
from callreel.bootstrap import system_clock
from callreel.db import sessions, users
from callreel.model import Role
from callreel.web.pages.page import PAGE_HEADERS
from tests.pages.conftest import OpenWindow, Watched, keep_picture, sign_in
from tests.pages.town import PASSWORD, Town


def client(town: Town) -> httpx2.Client:
    """A browser without a window."""
    return httpx2.Client(base_url=town.url, follow_redirects=False, timeout=10)


@contextmanager
def entered(town: Town, username: str = "admin") -> Iterator[httpx2.Client]:
    """The same, signed in."""
    with client(town) as browser:
        answer = browser.post("/login", data={"username": username, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield browser


def token_of(browser: httpx2.Client) -> str:
    """What forms of this session carry."""
    return browser.get("/calls").text.split('<meta name="csrf" content="')[1].split('"')[0]


def test_whoever_signs_in_comes_to_where_they_wanted(window: OpenWindow) -> None:
    """A link from a colleague leads to the call, by way of the password."""
    page = window(None)
    page.goto("/calls?q=0163*&dir=in")
    page.wait_for_url("**/login?next=*")
    keep_picture(page, "login")
    page.get_by_label("User name").fill("marcus")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    page.wait_for_url("**/calls?q=0163*&dir=in")


def test_a_wrong_password_says_so_and_nothing_else(window: OpenWindow) -> None:
    """The same words for a name that nobody has; the name stays, the password does not."""
    page = window(None)
    told = set()
    for username in ("admin", "nobody"):
        page.goto("/login")
        page.get_by_label("User name").fill(username)
        page.get_by_label("Password").fill("wrong password entirely")
        page.get_by_role("button", name="Sign in").click()
        told.add(page.get_by_role("alert").inner_text())
        assert page.get_by_label("User name").input_value() == username
        assert page.get_by_label("Password").input_value() == ""
    assert told == {"The user name or the password is wrong."}


def test_the_cookie_is_of_this_host_alone(town: Town) -> None:
    """Out of reach of scripts and of other sites; a session cookie."""
    with client(town) as browser:
        answer = browser.post("/login", data={"username": "admin", "password": PASSWORD})
        cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert "Max-Age" not in cookie


def test_a_session_is_another_after_every_login(town: Town) -> None:
    """The one that a browser had before is dead: nobody can plant it (T35)."""
    with entered(town) as browser:
        before = dict(browser.cookies)
        browser.post("/login", data={"username": "admin", "password": PASSWORD})
        assert dict(browser.cookies) != before
        with client(town) as thief:
            thief.cookies.update(before)
            assert thief.get("/calls").headers["location"].startswith("/login")


def test_only_a_hash_of_the_secret_is_stored(town: Town) -> None:
    """Whoever reads the database cannot become anybody."""
    with entered(town) as browser:
        secret = next(iter(dict(browser.cookies).values()))
        raw = b"".join(path.read_bytes() for path in town.settings.data_dir.glob("callreel.db*"))
    assert secret.encode() not in raw


@pytest.mark.parametrize("change", ["password", "disabled", "role"])
def test_what_changes_a_user_ends_their_sessions(town: Town, change: str) -> None:
    """A password, a role, or the door shut: at the next request."""
    name = f"changing-{change}"
    db = town.serving.base.db
    with db.write() as conn:
        admin = users.by_name(conn, "admin")
        assert admin is not None
        users.add_user(
            conn, name, Role.SUPERVISOR, hash_password(PASSWORD), admin.reach, system_clock()
        )
    with entered(town, name) as browser:
        assert browser.get("/calls").status_code == 200
        with db.write() as conn:
            if change == "password":
                users.set_password(conn, name, hash_password(PASSWORD + "!"))
            elif change == "disabled":
                users.disable(conn, name, system_clock())
            else:
                found = users.by_name(conn, name)
                assert found is not None
                users.set_role(conn, found.id, Role.AUDITOR)
        assert browser.get("/calls").headers["location"].startswith("/login")
        with db.write() as conn:
            found = users.by_name(conn, name)
            assert found is not None
            users.set_role(conn, found.id, Role.SUPERVISOR)
            users.enable(conn, name)
        assert browser.get("/calls").headers["location"].startswith("/login"), "it lives again"


@pytest.mark.parametrize(
    ("column", "age_ms"),
    [("seen_at", sessions.IDLE_MS + 1000), ("created_at", sessions.ABSOLUTE_MS + 1000)],
)
def test_a_session_ends_by_itself(town: Town, column: str, age_ms: int) -> None:
    """After two idle hours, and after twelve in any case."""
    with entered(town) as browser:
        token = next(iter(dict(browser.cookies).values()))
        with town.serving.base.db.write() as conn:
            changed = conn.exec_driver_sql(
                f"UPDATE web_sessions SET {column} = {system_clock() - age_ms}"  # noqa: S608  # ours
                " WHERE id = (SELECT id FROM web_sessions ORDER BY created_at DESC LIMIT 1)"
            )
            assert changed.rowcount == 1
        assert token
        assert browser.get("/calls").headers["location"].startswith("/login")


def test_sign_out_ends_every_window_of_the_session(town: Town) -> None:
    """The cookie is taken back, and its secret opens nothing."""
    with entered(town) as browser, client(town) as other:
        other.cookies.update(dict(browser.cookies))
        assert other.get("/calls").status_code == 200
        answer = browser.post("/logout", data={"csrf": token_of(browser)})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert other.get("/calls").headers["location"].startswith("/login")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ],
)
def test_forms_of_other_sites_do_nothing(town: Town, headers: dict[str, str]) -> None:
    """Whatever else they carry; signing in included."""
    with entered(town) as browser:
        data = {"csrf": token_of(browser), "text": "forged"}
        call = town.calls["first"]
        for path in ("/logout", f"/calls/{call}/notes", "/login"):
            answer = browser.post(path, data=data, headers=headers)
            assert answer.status_code == 403, path
        assert browser.get("/calls").status_code == 200
        assert "forged" not in browser.get(f"/calls/{call}").text


@pytest.mark.parametrize("token", ["", "0" * 32, "ü"])
def test_forms_without_the_token_do_nothing(town: Town, token: str) -> None:
    """Also from this very site: another window's session, an old page."""
    with entered(town) as browser:
        call = town.calls["first"]
        answer = browser.post(f"/calls/{call}/notes", data={"csrf": token, "text": "forged"})
        assert answer.status_code == 403
        assert "forged" not in browser.get(f"/calls/{call}").text


def test_the_api_takes_the_cookie_and_asks_for_the_token(town: Town) -> None:
    """Reading is open to the pages' session; changing needs what only our pages know."""
    recording = town.recording_of(town.calls["long"])
    path = f"/api/v1/recordings/{recording}/tokens"
    with entered(town) as browser:
        assert browser.get("/api/v1/calls").status_code == 200
        assert browser.post(path, json={}).status_code == 403
        headers = {"X-Csrf-Token": token_of(browser)}
        assert browser.post(path, json={}, headers=headers).status_code == 200
    with client(town) as nobody:
        assert nobody.get("/api/v1/calls").status_code == 401


@pytest.mark.parametrize(
    "where",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/login",
        "//[",
        "http://[",
        "/logout",
        "/login?next=x",
    ],
)
def test_nobody_is_sent_to_another_site(town: Town, where: str) -> None:
    """An address behind the login is a path of ours, or it is the list."""
    with client(town) as browser:
        answer = browser.post(
            "/login", data={"username": "admin", "password": PASSWORD, "next": where}
        )
        assert answer.headers["location"] == "/calls"


def test_every_page_has_the_headers(town: Town) -> None:
    """Errors and the login included."""
    with entered(town) as browser:
        for path in ("/calls", "/login", f"/calls/{town.calls['long']}", "/calls/nothing"):
            headers = browser.get(path).headers
            for name, value in PAGE_HEADERS.items():
                assert headers.get_list(name) == [value], (path, name)


def test_a_dialog_asks_again_where_the_session_ended(
    window: OpenWindow, town: Town, watched: Watched
) -> None:
    """The page stays as it is; after the password the filter works again."""
    page = window("marcus")
    page.goto("/calls?q=Northern")
    rows = page.locator("tr[data-call]")
    before = rows.count()
    assert before > 0
    with town.serving.base.db.write() as conn:
        conn.exec_driver_sql("DELETE FROM web_sessions")
    page.locator("select[name=state]").select_option("answered")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert rows.count() == before
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Sign in").click()
    dialog.wait_for(state="hidden")
    with page.expect_response(lambda answer: "/calls?" in answer.url) as answered:
        page.locator("select[name=min]").select_option("30s")
    assert answered.value.status == 200


def test_somebody_else_who_signs_in_gets_a_page_of_their_own(
    window: OpenWindow, town: Town
) -> None:
    """What the first one saw is not theirs to see."""
    page = window("admin")
    page.goto("/calls?site=2")
    assert page.locator("tr[data-call]").count() > 0
    with town.serving.base.db.write() as conn:
        conn.exec_driver_sql("DELETE FROM web_sessions")
    page.locator("select[name=state]").select_option("answered")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("User name").fill("marcus")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/calls")
    page.get_by_text("marcus", exact=True).wait_for()
    assert "Bristol" not in page.content()


def test_passwords_are_refused_over_plain_http_from_elsewhere(town: Town) -> None:
    """As a browser on another machine would send them; the page says what to do."""
    with client(town) as browser:
        answer = browser.post(
            "/login",
            data={"username": "admin", "password": PASSWORD},
            headers={"Host": "calls.example"},
        )
        assert answer.status_code == 403
        assert "https" in answer.text
        assert "set-cookie" not in answer.headers


def test_the_second_of_a_slow_login_is_not_the_first(window: OpenWindow) -> None:
    """Two windows, two sessions: signing out of one leaves the other."""
    first, second = window("marcus"), window("marcus")
    first.get_by_role("button", name="Sign out").click()
    first.wait_for_url("**/login")
    second.reload()
    assert second.url.endswith("/calls")
    sign_in(first, "marcus")
