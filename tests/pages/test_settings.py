"""Directory and settings: what an administrator changes, and what nobody else may."""

from __future__ import annotations

import io
import re
import time

import httpx2
import pytest
import structlog
from playwright.sync_api import expect

from callreel.access.identity import hash_password
from callreel.bootstrap import system_clock
from callreel.db import audit, directory, users
from callreel.model import Role, Scope
from callreel.web import edge, problems
from callreel.web.pages import shown_once
from tests.pages.conftest import OpenWindow, keep_picture
from tests.pages.test_login import client, entered, token_of
from tests.pages.town import PASSWORD, Town


def test_an_extension_is_named_and_put_into_a_group(window: OpenWindow, town: Town) -> None:
    """In place; Call View shows the name at once."""
    page = window()
    with town.serving.base.db.write() as conn:
        directory.ensure_user(conn, "1", "2990")
    page.goto("/directory?q=2990")
    keep_picture(page, "directory")
    page.locator("tbody").get_by_label("Name", exact=True).fill("Nadia Petrova")
    page.get_by_label("Group", exact=True).select_option(label="Support")
    page.get_by_role("button", name="Save 2990").click()
    page.wait_for_url("**/directory/extensions")
    page.goto("/directory?q=nadia")
    expect(page.locator("tbody")).to_contain_text("2990")
    assert (
        page.get_by_label("Group", exact=True).locator("option:checked").inner_text() == "Support"
    )


def test_who_changed_it_meanwhile_is_not_overwritten(town: Town) -> None:
    """The second of two forms is told what differs."""
    with town.serving.base.db.write() as conn:
        user_id = directory.set_user(conn, "1", "2991", name="First", group_id=None)
    assert user_id
    with entered(town) as browser:
        fields = {
            "csrf": token_of(browser), "do": "save", "id": user_id, "site": "1",
            "extension": "2991", "seen_name": "First", "seen_group": "", "group": "",
        }  # fmt: skip
        one = browser.post("/directory/extensions", data={**fields, "name": "Second"})
        assert one.status_code == 303
        two = browser.post("/directory/extensions", data={**fields, "name": "Third"})
        assert two.status_code == 409
        assert "Second" in browser.get("/directory?q=2991").text


@pytest.mark.parametrize("username", ["marcus", "carla", "otto"])
def test_others_see_the_directory_and_change_nothing(town: Town, username: str) -> None:
    """No button is shown, and no form of their own making does anything."""
    with entered(town, username) as browser:
        page = browser.get("/directory/groups").text
        assert "Sales" in page
        assert 'value="remove"' not in page
        token = token_of(browser)
        for path, fields in (
            ("/directory/groups", {"do": "add", "site": "1", "name": f"By {username}"}),
            ("/settings/people", {"do": "add", "user": "x", "role": "auditor", "reach": ""}),
            ("/settings/sites", {"id": "9"}),
            ("/settings/places", {"do": "store", "id": "z", "path": "/tmp"}),  # noqa: S108  # refused
        ):
            answer = browser.post(path, data={"csrf": token, **fields})
            assert answer.status_code in {403, 404}, path
        assert f"By {username}" not in browser.get("/directory/groups").text


def test_a_site_is_set(window: OpenWindow, town: Town) -> None:
    """How it masks and how long it keeps; what cannot be is refused with its name."""
    page = window()
    page.goto("/settings")
    keep_picture(page, "settings")
    page.get_by_role("link", name="Bristol").click()
    page.get_by_label("Recordings are deleted").fill("400")
    page.get_by_label("Masked with").select_option("silence")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/settings")
    expect(page.locator("tr", has_text="Bristol")).to_contain_text("400 days")
    with town.serving.base.db.read() as conn:
        site = directory.find_site(conn, "2")
        entries = audit.entries(conn, object_id="2")
    assert (site.retention_days, site.fill.kind) == (400, "silence")
    assert entries[-1].actor == "admin"
    page.get_by_role("link", name="Bristol").click()
    keep_picture(page, "site")
    page.get_by_label("Time zone").fill("Moon/Base")
    page.get_by_role("button", name="Save").click()
    assert "Moon/Base" in page.locator("main").inner_text()
    page.goto("/settings/sites/2")
    page.get_by_label("Recordings are deleted").fill("")
    page.get_by_label("Masked with").select_option("tone")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/settings")


def test_a_web_user_is_added_and_shut_out(window: OpenWindow, town: Town) -> None:
    """The password is shown once and opens the door, until it is shut."""
    page = window()
    page.goto("/settings/people")
    keep_picture(page, "people")
    form = page.locator("form.fields").last
    form.get_by_label("User name").fill("nina")
    form.get_by_label("Role").select_option("supervisor")
    form.get_by_label("Reaches").fill("Manchester/Sales, Bristol")
    form.get_by_role("button", name="Add").click()
    password = page.locator("code.secret").inner_text()
    assert len(password) >= 15
    with client(town) as nina:
        answer = nina.post("/login", data={"username": "nina", "password": password})
        assert answer.status_code == 303
        assert nina.get("/calls").status_code == 200
        assert page.get_by_label("Reach of nina").input_value() == "Bristol, Manchester/Sales"
        page.get_by_role("button", name="Shut out nina").click()
        expect(page.locator("tr", has_text="nina")).to_contain_text("shut out")
        assert nina.get("/calls").headers["location"].startswith("/login")
    page.goto("/settings/people")
    assert page.locator("code.secret").count() == 0


def people_form(browser: httpx2.Client, username: str, **more: str) -> dict[str, str]:
    """What the form of a user sends."""
    page = browser.get("/settings/people").text
    user = page.split(f"<strong>{username}</strong>")[-1].split('name="user" value="')[1]
    return {"csrf": token_of(browser), "user": user.split('"')[0], **more}


SECRET = re.compile(r'<code class="secret">([^<]+)</code>')


@pytest.mark.parametrize("verb", ["password", "key", "add"])
def test_a_secret_is_shown_on_one_page_of_one_session_and_kept_nowhere(
    town: Town, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """By a redirect; whoever else asks, and whoever asks only after it, sees nothing."""
    logged = io.StringIO()
    logger = structlog.wrap_logger(structlog.WriteLogger(logged))
    for module in (edge, problems):
        monkeypatch.setattr(module, "log", logger)
    whose = f"once-{verb}"
    with town.serving.base.db.write() as conn:
        users.add_user(conn, whose, Role.AUDITOR, "no hash", Scope(), system_clock())
    with entered(town) as browser, entered(town) as other:
        fields = people_form(browser, whose, do=verb, role="auditor", reach="Bristol")
        if verb == "add":
            fields["user"] = "once-more"
        answer = browser.post("/settings/people", data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings/people")
        assert SECRET.findall(answer.text) == []
        assert SECRET.findall(other.get("/settings/people").text) == []
        assert browser.head("/settings/people").status_code == 200
        page = browser.get(answer.headers["location"])
        (secret,) = SECRET.findall(page.text)
        assert page.headers["cache-control"] == "no-store"
        assert SECRET.findall(browser.get("/settings/people").text) == []
    stored = [path for path in town.settings.data_dir.rglob("*") if path.is_file()]
    assert any(path.name.startswith("callreel.db") for path in stored)
    assert [path for path in stored if secret.encode() in path.read_bytes()] == []
    assert "/settings/people" in logged.getvalue()
    assert secret not in logged.getvalue()


def test_a_page_that_is_loaded_again_does_nothing_again(window: OpenWindow, town: Town) -> None:
    """One key, however often the page with its secret is loaded."""
    page = window()
    page.goto("/settings/people")
    page.get_by_role("button", name="New key carla").click()
    page.locator("code.secret").wait_for()
    with town.serving.base.db.read() as conn:
        before = users.list_keys(conn, Scope(everything=True))
    page.reload()
    assert page.locator("code.secret").count() == 0
    page.go_back()
    page.go_forward()
    with town.serving.base.db.read() as conn:
        assert users.list_keys(conn, Scope(everything=True)) == before


def test_a_secret_that_nobody_asks_for_is_forgotten(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In time, also where the page is asked for later."""
    monkeypatch.setattr(shown_once, "KEPT_S", 0.05)
    with entered(town) as browser:
        fields = people_form(browser, "carla", do="key")
        assert browser.post("/settings/people", data=fields).status_code == 303
        time.sleep(0.4)
        assert SECRET.findall(browser.get("/settings/people").text) == []


def test_ones_own_password_is_not_changed_among_the_others(town: Town) -> None:
    """Every session ends with it: nobody could be shown the new one."""
    with entered(town) as browser:
        page = browser.get("/settings/people").text
        own = page.split("<strong>admin</strong>")[-1].split("</tr>")[0]
        assert 'value="key"' in own
        assert 'value="password"' not in own
        answer = browser.post("/settings/people", data=people_form(browser, "admin", do="password"))
        assert answer.status_code == 409
        assert "under Preferences" in answer.text
        assert browser.get("/calls").status_code == 200


def test_an_api_key_is_shown_once_and_revoked(window: OpenWindow, town: Town) -> None:
    """It opens the API until it does not."""
    page = window()
    page.goto("/settings/people")
    page.get_by_role("button", name="New key marcus").click()
    secret = page.locator("code.secret").inner_text()
    headers = {"Authorization": f"Bearer {secret}"}
    with client(town) as program:
        assert program.get("/api/v1/calls", headers=headers).status_code == 200
        page.get_by_role("button", name="Revoke").last.click()
        expect(page.locator("td", has_text="revoked")).to_have_count(1)
        assert program.get("/api/v1/calls", headers=headers).status_code == 401


def test_the_last_administrator_stays(town: Town) -> None:
    """Nobody locks everybody out."""
    with entered(town) as browser:
        page = browser.get("/settings/people").text
        own = page.split("<strong>admin</strong>")[-1].split('name="user" value="')[1].split('"')[0]
        answer = browser.post(
            "/settings/people", data={"csrf": token_of(browser), "do": "disable", "user": own}
        )
        assert answer.status_code == 409
        assert browser.get("/calls").status_code == 200


def test_ones_own_password_is_changed_with_the_old_one(town: Town) -> None:
    """And every session of before ends."""
    with town.serving.base.db.write() as conn:
        users.add_user(
            conn, "paula", Role.SUPERVISOR, hash_password(PASSWORD), Scope(everything=True),
            system_clock(),
        )  # fmt: skip
    with entered(town, "paula") as browser:
        token = token_of(browser)
        fields = {"csrf": token, "old": "not the old one at all", "new": PASSWORD + "!"}
        wrong = browser.post("/preferences/password", data=fields)
        assert wrong.status_code == 403
        assert "password is wrong" in wrong.text
        assert browser.get("/calls").status_code == 200
        fields["old"] = PASSWORD
        assert browser.post("/preferences/password", data=fields).status_code == 303
        assert browser.get("/calls").headers["location"].startswith("/login")
        answer = browser.post("/login", data={"username": "paula", "password": PASSWORD + "!"})
        assert answer.headers["location"] == "/calls"
