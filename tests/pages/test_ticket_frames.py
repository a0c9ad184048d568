"""The player of a link in a frame: on origins that the setting names, and on no other."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Frame, Page

from callreel.access.identity import principal_of
from callreel.db import users
from callreel.flows.ticket import TicketOrder
from tests.pages.conftest import OpenWindow, Watched, keep_picture
from tests.pages.test_ticket import link
from tests.pages.town import Town, open_town
from tests.web.stage import make_certificate


class _Embedder(BaseHTTPRequestHandler):
    """A page of another site, with a frame."""

    framed = ""

    def do_GET(self) -> None:
        """The page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f'<iframe src="{self.framed}" width="1000"></iframe>'.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def embedder() -> Iterator[tuple[int, type[_Embedder]]]:
    """Another site on this machine: its port, and what it frames."""
    handler: type[_Embedder] = type("Embedding", (_Embedder,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, handler
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def frame_of(page: Page, town: Town) -> Frame:
    """The frame of the player."""
    (found,) = [each for each in page.frames if each.url.startswith(town.url)]
    return found


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_frame_on_another_origin_that_is_named(
    window: OpenWindow,
    watched: Watched,
    tmp_path_factory: pytest.TempPathFactory,
    host: str,
) -> None:
    """On another site the browser keeps no cookie, and the secret is in the path of the frame;
    on the same site the cookie is kept. Other origins frame nothing, other pages stay unframed.
    """
    with (
        embedder() as (named, framing),
        embedder() as (stranger, strange),
        open_town(
            tmp_path_factory.mktemp("embedded"), calls=20, embed_origins=f"http://{host}:{named}"
        ) as town,
    ):
        watched.hosts |= {f"{host}:{named}", f"{host}:{stranger}", f"127.0.0.1:{town.port}"}
        # Which the test is about; and a frame that is refused has no picture for its tab.
        watched.expected += ["frame-ancestors", "favicon"]
        page = window(None)
        framing.framed = link(town, uses=3)
        page.goto(f"http://{host}:{named}/")
        page.frame_locator("iframe").locator("[data-player]").wait_for()
        where = frame_of(page, town)
        name = urlsplit(where.url).path.split("/")[2]
        assert len(name) == (22 if host == "localhost" else 16)
        assert "?" not in where.url
        page.frame_locator("iframe").get_by_role("button", name="Play", exact=True).click()
        where.wait_for_function("() => document.getElementById('sound').currentTime > 0.5")
        with page.expect_response(lambda answer: answer.url.endswith("/heard")) as told:
            page.frame_locator("iframe").get_by_role("button", name="Pause", exact=True).click()
        assert told.value.status == 204
        keep_picture(page, f"lease-framed-{host}")
        if host == "localhost":
            answer = page.goto(where.url)
            assert answer is not None
            assert answer.status == 403
        strange.framed = link(town)
        page.goto(f"http://{host}:{stranger}/")
        page.wait_for_timeout(1000)
        assert page.frame_locator("iframe").locator("[data-player]").count() == 0
        for path in ("/login", "/calls"):
            headers = httpx2.get(town.url + path, timeout=20).headers
            assert headers["x-frame-options"] == "DENY"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
        page.context.close()


def test_a_frame_on_another_site_keeps_its_cookie_over_https(
    window: OpenWindow, watched: Watched, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is partitioned: kept by this frame in that page, and no secret is in an address."""
    folder = tmp_path_factory.mktemp("secure")
    with (
        embedder() as (port, framing),
        open_town(
            folder,
            calls=20,
            embed_origins=f"http://localhost:{port}",
            certificate=make_certificate(folder),
        ) as town,
    ):
        watched.hosts |= {f"localhost:{port}", f"127.0.0.1:{town.port}"}
        watched.expected.append("favicon")
        with town.serving.base.db.read() as conn:
            user = users.by_name(conn, "marcus")
        assert user is not None
        issued = town.serving.web.tickets.issue(
            principal_of(user, "basic"),
            town.recording_of(town.calls["long"]),
            TicketOrder("a frame"),
            None,
        )
        page = window(None, ignore_https_errors=True)
        framing.framed = issued.url
        page.goto(f"http://localhost:{port}/")
        page.frame_locator("iframe").locator("[data-player]").wait_for()
        where = urlsplit(frame_of(page, town).url).path
        assert len(where.split("/")[2]) == 16
        (cookie,) = page.context.cookies()
        assert cookie["name"] == "__Secure-callreel-lease"
        assert (cookie["path"], cookie["sameSite"]) == (where, "None")
        assert cookie["secure"]
        assert cookie["httpOnly"]
        assert cookie.get("partitionKey")
        page.frame_locator("iframe").get_by_role("button", name="Play", exact=True).click()
        frame_of(page, town).wait_for_function(
            "() => document.getElementById('sound').currentTime > 0.5"
        )
        page.context.close()


def test_a_frame_uses_no_link_where_frames_are_not_allowed(town: Town) -> None:
    """It could not be shown, so it is not opened."""
    url = link(town)
    framed = {"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "cross-site"}
    answer = httpx2.get(url, headers=framed, timeout=20)
    assert (answer.status_code, "server.embed_origins" in answer.text) == (403, True)
    assert httpx2.get(url, timeout=20).status_code == 303
