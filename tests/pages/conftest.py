"""One town and one browser for all tests of a worker; a fresh window for each test.

In every window: no message of the Content-Security-Policy, no error of a script, no request to
another host, no answer of 500. Pictures are kept in ``build/pages``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    sync_playwright,
)

from tests.pages.town import PASSWORD, Town, open_town

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
PICTURES = Path(__file__).parents[2] / "build" / "pages"


@pytest.fixture(scope="session")
def quiet_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Where no call comes in, so that a test may count."""
    with open_town(tmp_path_factory.mktemp("town")) as town:
        town.is_quiet = True
        yield town


@pytest.fixture(scope="session")
def growing_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Where calls come in: those of other tests, too."""
    with open_town(tmp_path_factory.mktemp("growing")) as town:
        yield town


@pytest.fixture
def town(request: pytest.FixtureRequest) -> Town:
    """The quiet one, or that of a test that is marked ``grows``."""
    grows = request.node.get_closest_marker("grows") is not None
    found: Town = request.getfixturevalue("growing_town" if grows else "quiet_town")
    return found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    found = shutil.which("chromium")
    assert found is not None, "the tests need the Debian package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


class Watched:
    """What went wrong in the windows of a test."""

    def __init__(self, town: Town) -> None:
        self.faults: list[str] = []
        self.expected: list[str] = []
        """Parts of messages that a test is about."""
        self.hosts = {urlsplit(town.url).netloc}

    def look_after(self, context: BrowserContext) -> None:
        """Listen to every page of a window."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        # A refused request is told by its answer, below.
        expected = ["Failed to load resource", *self.expected]
        if message.type == "error" and not any(each in message.text for each in expected):
            self.faults.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws"} and parts.netloc not in self.hosts:
            self.faults.append(f"request to another host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status} for {response.url}")


@pytest.fixture
def watched(town: Town) -> Iterator[Watched]:
    """Nothing may have gone wrong when the test is over."""
    watched = Watched(town)
    yield watched
    assert watched.faults == []


OpenWindow = Callable[..., Page]


@pytest.fixture
def window(chromium: Browser, town: Town, watched: Watched) -> Iterator[OpenWindow]:
    """Opens windows, signed in or not."""
    contexts: list[BrowserContext] = []

    def opened(username: str | None = "admin", **options: object) -> Page:
        context = chromium.new_context(
            base_url=town.url, viewport={"width": 1440, "height": 880}, **options
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        watched.look_after(context)
        page = context.new_page()
        if username is not None:
            sign_in(page, username)
        return page

    yield opened
    for context in contexts:
        context.close()


def sign_in(page: Page, username: str) -> None:
    """By the form, as people do."""
    page.goto("/login")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/calls")


def keep_picture(page: Page, name: str) -> None:
    """A picture for people to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")
