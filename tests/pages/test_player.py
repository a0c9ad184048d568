"""The player: sound at once, where it was, and not a moment longer than it may."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from callreel.bootstrap import system_clock
from callreel.db import audit
from callreel.db.people_schema import playbacks
from callreel.flows.entry import SoundFile
from callreel.model import CallId, UnixMillis
from tests.pages.conftest import OpenWindow, Watched, keep_picture
from tests.pages.test_login import entered, token_of
from tests.pages.town import LONG_S, MASK_S, RATE_HZ, SECRET_HZ, Town, answering, listen, open_town

HEAD = 44
SITTING = "?sitting=p0123456789abcdef0123"


def sound(page: Page) -> dict[str, object]:
    """What the element says."""
    told: dict[str, object] = page.evaluate(
        "() => { const s = document.getElementById('sound');"
        " return {at: s.currentTime, src: s.getAttribute('src'), paused: s.paused}; }"
    )
    return told


def wait_until_it_plays(page: Page, after: float = -1.0) -> float:
    """Until the head has moved past ``after``; gives where it is."""
    page.wait_for_function(
        "after => { const s = document.getElementById('sound');"
        " return !s.paused && s.readyState > 2 && s.currentTime > after + 0.2; }",
        arg=after,
        timeout=12_000,
    )
    return float(str(sound(page)["at"]))


def play(page: Page, call: CallId) -> None:
    """Click its button, and wait for sound and picture."""
    page.locator(f"tr[data-call='{call}'] [data-play]").click()
    wait_until_it_plays(page)
    page.locator("[data-player]").wait_for()


def audio_of(page: Page, call: CallId) -> str:
    """The address of the sound of a call, as its page has it."""
    page.goto(f"/calls/{call}")
    address = page.locator("[data-player]").get_attribute("data-audio")
    assert address is not None
    return address


def test_one_click_is_sound_and_picture(window: OpenWindow, town: Town) -> None:
    """The waveform is in the page, drawn by the server, with what is masked and why."""
    page = window("marcus")
    play(page, town.calls["long"])
    keep_picture(page, "calls-playing")
    assert page.locator("#dock .strokes path").count() == 4
    assert page.locator("#dock rect.masked").count() == 1
    expect(page.locator("#dock .chip.masked")).to_contain_text("10 s hidden")
    assert "Brightwater Ltd" in page.locator("#dock").inner_text()
    assert page.locator("tr.playing").get_attribute("data-call") == town.calls["long"]


def test_sound_goes_on_while_the_list_is_filtered(window: OpenWindow, town: Town) -> None:
    """The player is outside of everything that is swapped."""
    page = window("marcus")
    play(page, town.calls["long"])
    before = wait_until_it_plays(page)
    with page.expect_response(lambda answer: "/calls?" in answer.url):
        page.locator("#q").fill("northern")
    assert wait_until_it_plays(page, before) > before


def test_a_seek_a_minute_and_a_half_in(window: OpenWindow, town: Town) -> None:
    """And far behind what was fetched; by the slider, as people do."""
    page = window("marcus")
    play(page, town.calls["long"])
    slider = page.get_by_role("slider", name="Position in the recording")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 150 / LONG_S, box["y"] + box["height"] / 2)
    assert 148 < wait_until_it_plays(page, 148) < 156
    assert slider.get_attribute("aria-valuetext", timeout=1000) in {"2:30", "2:31", "2:32", "2:33"}


def test_keys_alone_from_the_login_to_a_note_at_a_moment(window: OpenWindow, town: Town) -> None:
    """Search, choose, play, jump, faster, one side, note: no mouse."""
    page = window(None)
    page.goto("/login")
    page.keyboard.type("marcus")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery staple")
    page.keyboard.press("Enter")
    page.wait_for_url("**/calls")
    page.keyboard.press("/")
    with page.expect_response(lambda answer: "/calls?q=" in answer.url):
        page.keyboard.type("*0192")
    expect(page.locator("tr[data-call]")).to_have_count(1)
    page.keyboard.press("Enter")
    page.keyboard.press("p")
    wait_until_it_plays(page)
    page.locator("[data-player]").wait_for()
    page.keyboard.press("Shift+ArrowRight")
    assert wait_until_it_plays(page, 30) >= 30
    page.keyboard.press(">")
    assert page.locator("[data-speed]").input_value() == "1.25"
    assert page.evaluate("document.getElementById('sound').playbackRate") == 1.25
    page.keyboard.press("2")
    assert page.locator("[data-sides]").input_value() == "1"
    page.keyboard.press("m")
    assert sound(page)["paused"]
    at = page.locator("[data-note-at]").input_value()
    page.keyboard.type("Repeats the order number back.")
    page.keyboard.press("Enter")
    expect(page.locator(".quick-note")).to_be_hidden()
    page.goto(f"/calls/{town.calls['long']}")
    note = page.locator(".note", has_text="Repeats the order number back.")
    assert abs(float(note.locator("a").get_attribute("data-seek") or -1) - float(at)) < 0.01
    assert float(at) >= 30
    page.keyboard.press("Space")


def test_a_link_to_a_moment_opens_there(window: OpenWindow, town: Town) -> None:
    """With the pin of a note, the events of the call, and sound from that moment."""
    page = window("marcus")
    page.goto(f"/calls/{town.calls['long']}?t=62.4")
    expect(page.locator("[data-time]")).to_have_text("1:02")
    page.get_by_role("button", name="Play", exact=True).click()
    assert 62.4 <= wait_until_it_plays(page, 62.4) < 66
    told = page.locator(".story").inner_text()
    assert told.index("Rang") < told.index("Answered") < told.index("Masked") < told.index("Ended")
    keep_picture(page, "call")
    page.locator(".story a[data-seek]").first.click()
    assert MASK_S[0] <= wait_until_it_plays(page, MASK_S[0])


def goertzel(samples: np.ndarray, hz: float) -> float:
    """The level of one tone, of full scale."""
    turned = np.exp(-2j * np.pi * hz * np.arange(len(samples)) / RATE_HZ)
    return float(2 * abs(np.dot(samples / 32768, turned)) / len(samples))


def test_what_is_masked_is_in_no_piece(window: OpenWindow, town: Town) -> None:
    """Every range of the player's sound, cut anywhere: no sample of the secret (bar 17)."""
    page = window("marcus")
    address = audio_of(page, town.calls["long"]) + SITTING
    size = HEAD + round(LONG_S * RATE_HZ) * 4
    draw = np.random.default_rng(3)
    cuts = sorted({HEAD, *draw.integers(HEAD, size, 40).tolist(), size})
    parts = []
    for start, stop in itertools.pairwise(cuts):
        at = start
        while at < stop:
            answer = page.request.get(address, headers={"Range": f"bytes={at}-{stop - 1}"})
            assert answer.status == 206
            piece = answer.body()
            assert 0 < len(piece) <= 512 * 1024
            parts.append(piece)
            at += len(piece)
    samples = np.frombuffer(b"".join(parts), "<i2").reshape(-1, 2)
    assert len(samples) == round(LONG_S * RATE_HZ)
    begin, end = (round(each * RATE_HZ) for each in MASK_S)
    hidden = samples[begin:end, 0].astype(float)
    assert goertzel(hidden, SECRET_HZ) < 1e-4
    assert goertzel(hidden, 1000.0) > 0.05


def test_a_piece_is_bounded_and_a_whole_is_exact(window: OpenWindow, town: Town) -> None:
    """An open range gets half a mebibyte; without a range all of it leaves, of exact length."""
    page = window("marcus")
    address = audio_of(page, town.calls["long"]) + SITTING
    size = HEAD + round(LONG_S * RATE_HZ) * 4
    answer = page.request.get(address, headers={"Range": "bytes=0-"})
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes 0-524287/{size}"
    assert len(answer.body()) == 524_288
    head = page.request.head(address)
    assert head.headers["content-length"] == str(size)
    assert head.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("audio/99" + SITTING, 410),
        ("audio/0x1" + SITTING, 400),
        ("audio/2?sitting=", 400),
        ("audio/2", 400),
    ],
)
def test_addresses_of_sound_that_are_wrong(
    window: OpenWindow, town: Town, path: str, status: int
) -> None:
    """An older mask is gone for good; a sitting has a name."""
    page = window("marcus")
    page.goto(f"/calls/{town.calls['long']}")
    revision = page.locator("[data-player]").get_attribute("data-revision")
    answer = page.request.get(
        f"/calls/{town.calls['long']}/{path.replace('audio/2', f'audio/{revision}')}"
    )
    assert answer.status == status
    assert b"RIFF" not in answer.body()


@contextmanager
def small_town(folder: object) -> Iterator[Town]:
    """A town of its own, for a test that breaks it."""
    with open_town(folder, calls=20) as town:  # type: ignore[arg-type]
        yield town


def test_sign_out_in_another_window_silences_this_one(
    window: OpenWindow, town: Town, watched: Watched
) -> None:
    """No further piece within a second, and no sound within 25 s; a dialog says why."""
    watched.expected.append("reconnect failed with status 401")
    page = window("marcus")
    play(page, town.calls["long"])
    other = page.context.new_page()
    other.goto("/calls")
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/login")
    address = str(sound(page)["src"])
    assert page.request.get(address, headers={"Range": "bytes=0-99"}).status == 401
    page.get_by_role("dialog").wait_for(timeout=25_000)
    assert sound(page)["src"] is None


@pytest.mark.grows
def test_a_mask_that_comes_while_it_plays_is_heard_as_one(
    window: OpenWindow, town: Town, watched: Watched
) -> None:
    """The old sound ends, and the player goes on where it was, with the new mask drawn."""
    started_at = UnixMillis(system_clock() - 3_000_000)
    call = town.import_call(
        "to-mask",
        started_at=started_at,
        duration_s=LONG_S,
        voicefilename="to-mask",
        audio=SoundFile(town.folder, "long.wav"),
    )
    page = window("marcus")
    page.goto("/calls?sort=longest")
    play(page, call)
    old = str(sound(page)["src"])
    before = wait_until_it_plays(page)
    town.mask(call, 60.0, 70.0)
    assert page.request.get(old, headers={"Range": "bytes=0-99"}).status == 410
    expect(page.locator("#dock rect.masked")).to_have_count(1, timeout=20_000)
    assert wait_until_it_plays(page, before) > before
    assert sound(page)["src"] != old


def test_a_server_that_restarts_is_survived(
    window: OpenWindow, watched: Watched, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Sounding again at the same place within seconds, with no hand on it."""
    folder = tmp_path_factory.mktemp("restart")
    with ExitStack() as stack:
        town = stack.enter_context(small_town(folder))
        watched.hosts.add(f"127.0.0.1:{town.port}")
        watched.expected.append("htmx:sse:error")
        page = window(None)
        page.goto(f"{town.url}/login")
        page.get_by_label("User name").fill("marcus")
        page.get_by_label("Password").fill("correct horse battery staple")
        page.get_by_role("button", name="Sign in").click()
        play(page, town.calls["long"])
        stack.pop_all().close()
        # Behind what the browser has already: it must ask while nobody answers.
        page.evaluate(
            "() => { const r = document.querySelector('.seek'); r.value = 150;"
            " r.dispatchEvent(new Event('input', {bubbles: true})); }"
        )
        page.wait_for_timeout(1500)
        from callreel.bootstrap import open_serving  # noqa: PLC0415  # as ``callreel serve`` anew

        again = open_serving(town.settings)
        try:
            reborn = Town(town.settings, again, town.folder, town.port, town.calls)
            with listen(town.port) as listening, answering(reborn, listening):
                assert 150 <= wait_until_it_plays(page, 149.9) < 158
        finally:
            page.context.close()
            again.close()


@pytest.mark.parametrize("seen", [True, False], ids=["in-front", "hidden"])
def test_what_was_heard_is_written_down(window: OpenWindow, town: Town, seen: bool) -> None:
    """Who, what, which stretches; opening a player, or what a browser fetched ahead, is none.

    A window that is hidden draws no frames, and is heard all the same.
    """
    page = window("carla")
    if not seen:
        page.add_init_script("window.requestAnimationFrame = () => 0;")
    call = town.calls["long"]
    page.goto(f"/calls/{call}")
    page.wait_for_timeout(300)
    with town.serving.base.db.read() as conn:
        wanted = (
            playbacks.select().where(playbacks.c.call_id == call).order_by(playbacks.c.started_at)
        )
        known = len(conn.execute(wanted).all())
    page.get_by_role("button", name="Play", exact=True).click()
    if seen:
        wait_until_it_plays(page, 1.0)
    else:
        page.wait_for_timeout(3000)
    page.keyboard.press("Space")
    page.locator("h1").click()
    if not sound(page)["paused"]:
        page.keyboard.press("Space")
    deadline = time.monotonic() + 15
    heard: list[list[float]] = []
    while time.monotonic() < deadline and not heard:
        page.wait_for_timeout(200)
        with town.serving.base.db.read() as conn:
            found = conn.execute(wanted).all()
        assert len(found) <= known + 1
        heard = json.loads(found[-1].heard) if len(found) > known else []
    ((start, end),) = heard
    assert start < 0.3
    assert 1.0 <= end < 10.0
    with town.serving.base.db.read() as conn:
        entries = audit.entries(conn, object_id=town.recording_of(call))
    assert [e.detail["door"] for e in entries if e.action == "sound.start"][-1] == "player"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sitting": "p0123456789abcdef", "revision": 2, "heard": [[5, 1]]},
        {"sitting": "p0123456789abcdef", "revision": 2, "heard": [[0, 1e300]]},
        {"sitting": "p0123456789abcdef", "revision": 2, "heard": "all"},
        {"sitting": "p0123456789abcdef", "revision": 2, "heard": [[0, 10**400]]},
        {"sitting": "p0123456789abcdef", "revision": 2, "heard": [[True, 1]]},
        {"sitting": "p0123456789abcdef", "revision": 2, "heard": [], "speed": 10**400},
        {"sitting": "p0123456789abcdef", "revision": 2, "heard": [[0, 1]], "speed": 0},
        {"sitting": "unknown", "revision": 2, "heard": [[0, 1]]},
        {"sitting": "p0123456789abcdef", "revision": 2, "more": 1},
    ],
)
def test_what_cannot_have_been_heard_is_refused(town: Town, body: dict[str, object]) -> None:
    """A player of somebody's own making does not fill the audit with nonsense."""
    with entered(town, "marcus") as browser:
        headers = {"X-Csrf-Token": token_of(browser)}
        answer = browser.post(f"/calls/{town.calls['long']}/heard", json=body, headers=headers)
        assert answer.status_code == 400, answer.text


def test_a_sitting_belongs_to_one_person_and_recording(town: Town) -> None:
    """Nobody writes what another heard."""
    with entered(town, "marcus") as one, entered(town, "carla") as other:
        page = one.get(f"/calls/{town.calls['long']}").text
        address = page.split('data-audio="')[1].split('"')[0]
        sitting = "?sitting=pabcdefabcdefabcdef"
        piece = {"Range": "bytes=0-999"}
        assert one.get(address + sitting, headers=piece).status_code == 206
        # A name is the page's own; what is told under it goes to one's own sitting.
        told = {"sitting": "pabcdefabcdefabcdef", "revision": 1, "heard": [[0, 1]]}
        headers = {"X-Csrf-Token": token_of(other)}
        answer = other.post(f"/calls/{town.calls['long']}/heard", json=told, headers=headers)
        assert answer.status_code == 400


def test_a_file_to_keep_is_masked_too(town: Town) -> None:
    """By name, in the chosen format; the audit says that it was a download."""
    with entered(town, "marcus") as browser:
        answer = browser.get(f"/calls/{town.calls['long']}/download?format=wav")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith('attachment; filename="call-')
        samples = np.frombuffer(answer.content[HEAD:], "<i2").reshape(-1, 2)
        begin, end = (round(each * RATE_HZ) for each in MASK_S)
        assert goertzel(samples[begin:end, 0].astype(float), SECRET_HZ) < 1e-4
        assert browser.get(f"/calls/{town.calls['long']}/download?format=exe").status_code == 400
    with httpx2.Client(base_url=town.url) as nobody:
        answer = nobody.get(f"/calls/{town.calls['long']}/download")
        assert answer.headers["location"].startswith("/login")
    with town.serving.base.db.read() as conn:
        entries = audit.entries(conn, object_id=town.recording_of(town.calls["long"]))
    doors = [(e.action, e.detail["door"]) for e in entries if e.action.startswith("sound.")]
    assert ("sound.start", "download") in doors
    assert ("sound.end", "download") in doors
