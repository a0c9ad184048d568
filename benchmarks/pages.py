"""The bars of the pages in a real browser: with few calls, and with a million.

``make bench-pages`` runs it. Every figure is the median of its rounds in Debian's Chromium, without
a graphics card, against ``callreel serve`` in a process of its own on SQLite. The peer of the same
run is an empty page of the same server, since times of a busy machine say little alone.
Source: ui.md section 11.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from callreel.access.identity import hash_password
from callreel.access.keys import create_key_file
from callreel.bootstrap import open_base, open_intake, prepare_database, system_clock
from callreel.db import directory, users
from callreel.flows.entry import CallEntry, SoundFile
from callreel.model import Direction, Disposition, Role, Scope, Span, UnixMillis
from callreel.settings import Settings
from callreel.web.pages.assets import FOLDER

PASSWORD = "a password of a benchmark"  # noqa: S105  # nobody else's
ROUNDS = 7
RATE_HZ = 8000
LONG_S = 7200
DAYS = 365
_CHUNK = 50_000


def main() -> None:
    """Build, serve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="how many calls (200)")
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory(prefix="callreel-bench-") as folder:
        settings = Settings(Path(folder) / "data")
        long = _build(settings, Path(folder), calls)
        with _serving(settings) as url, sync_playwright() as playwright:
            found = shutil.which("chromium")
            if found is None:
                raise SystemExit("the benchmark needs the Debian package chromium")
            browser = playwright.chromium.launch(
                executable_path=found,
                args=[
                    "--no-sandbox",
                    "--disable-gpu",
                    "--autoplay-policy=no-user-gesture-required",
                    "--enable-precise-memory-info",
                ],
            )
            _tell(f"{calls:,} calls, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
            for name, value in _measured(browser, url, long):
                _tell(f"{name:62} {value}")
            browser.close()
    for name in ("js", "css"):
        size = sum(len(gzip.compress(path.read_bytes(), 9)) for path in FOLDER.rglob(f"*.{name}"))
        _tell(f"{name + ', gzip -9':62} {size / 1000:.1f} kB")


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _build(settings: Settings, folder: Path, count: int) -> str:
    """A data folder with so many calls of a year; gives the id of a call of two hours."""
    settings.data_dir.mkdir()
    create_key_file(settings.key_file)
    prepare_database(settings)
    base = open_base(settings)
    with base.db.write() as conn:
        directory.ensure_site(conn, "1", "Manchester")
        directory.ensure_datasource(conn, "1", "1")
        for number in range(200):
            group = directory.ensure_group(conn, "1", f"Group {number % 12}")
            directory.set_user(
                conn, "1", f"{2000 + number}", name=f"Agent {number}", group_id=group
            )
        users.add_user(
            conn,
            "bench",
            Role.ADMINISTRATOR,
            hash_password(PASSWORD),
            Scope(everything=True),
            system_clock(),
        )
        agents = list(
            conn.exec_driver_sql("SELECT id, extension FROM directory_users ORDER BY id").all()
        )
    draw = random.Random(1)  # noqa: S311  # calls of a benchmark
    now = system_clock() - 60_000
    for start in range(0, count, _CHUNK):
        rows = []
        for number in range(start, min(start + _CHUNK, count)):
            agent = draw.choice(agents)
            abandoned = draw.random() < 0.08
            at = now - round(number / count * DAYS * 86_400_000)
            rows.append(
                (
                    f"b{number:09}",
                    at,
                    draw.uniform(5, 600),
                    None if abandoned else at + draw.randrange(2000, 30_000),
                    draw.choice(("inbound", "outbound", "internal")),
                    f"01632960{draw.randrange(1000):03}",
                    f"07700900{draw.randrange(1000):03}",
                    agent.extension,
                    agent.id,
                    "abandoned" if abandoned else "answered",
                )
            )
        with base.db.write() as conn:
            conn.exec_driver_sql(
                "INSERT INTO call_records (id, site_id, datasource, started_at, duration_s,"
                " answered_at, direction, from_number, to_number, extension, directory_user_id,"
                " disposition, created_at) VALUES (?, '1', '1', ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                rows,
            )
    base.close()
    return _recordings(settings, folder)


def _recordings(settings: Settings, folder: Path) -> str:
    noise = np.random.default_rng(1).integers(-9000, 9000, (RATE_HZ * 30, 2)).astype("<i2")
    entries = []
    for number, seconds in enumerate([*[180] * 8, LONG_S]):
        path = folder / f"{number}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            for _ in range(seconds // 30):
                file.writeframes(noise.tobytes())
        started_at = UnixMillis(system_clock() - (seconds + 100) * 1000 - number)
        entries.append(
            CallEntry(
                datasource="1",
                source_key=f"recorded-{number}",
                origin="bench",
                started_at=started_at,
                duration_s=float(seconds),
                direction=Direction.INBOUND,
                from_number=f"0163296000{number}",
                to_number="01614960100",
                extension="2000",
                disposition=Disposition.ANSWERED,
                voicefilename=f"recorded-{number}",
                spans=(Span(60, 70),),
                audio=SoundFile(folder, path.name),
            )
        )
    importing = open_intake(settings)
    taken = list(importing.intake.take(entries, actor="bench"))
    importing.close()
    return str(taken[-1].call_id)


@contextmanager
def _serving(settings: Settings) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable, "-c", "from callreel.cli.main import main; main()", "serve", "--data",
        str(settings.data_dir), "--port", str(port), "--echo-port", str(port + 1),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # ours
    try:
        while not (settings.data_dir / "server.json").exists():
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _measured(browser: Browser, url: str, long: str) -> Iterator[tuple[str, str]]:
    page = browser.new_page(base_url=url, viewport={"width": 1440, "height": 880})
    page.goto("/login")
    yield "first contentful paint of the login, an empty page (peer)", _paint(page, "/login")
    page.fill("input[name=username]", "bench")
    page.fill("input[name=password]", PASSWORD)
    page.click("button.main")
    page.wait_for_url("**/calls")
    yield "6 first contentful paint of Call View (< 500 ms)", _paint(page, "/calls")
    yield from _sound(page)
    yield "3 choice of a filter to painted rows (< 200 ms)", _rounds(lambda: _choice(page))
    yield "4 keystroke to painted rows, pause included (< 250 ms)", _rounds(lambda: _key(page))
    yield "5 bars and count over everything (< 500 ms)", _rounds(lambda: _bars(page))
    yield "7 requests to another host", str(_others(page, url))
    yield from _long_call(page, long)


def _rounds(once: Callable[[], float]) -> str:
    times = [once() for _ in range(ROUNDS)]
    return f"{statistics.median(times):6.0f} ms  ({min(times):.0f} to {max(times):.0f})"


def _paint(page: Page, path: str) -> str:
    def once() -> float:
        page.goto("about:blank")
        page.goto(path)
        page.wait_for_function(
            "() => performance.getEntriesByName('first-contentful-paint').length > 0"
        )
        found = page.evaluate(
            "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        return float(found)

    return _rounds(once)


def _sound(page: Page) -> Iterator[tuple[str, str]]:
    playing, drawn = [], []
    for number in range(ROUNDS):
        page.goto("/calls?rec=yes")
        # Another call each time: what was heard once may be in memory.
        times = page.evaluate(
            """async number => {
                const button = document.querySelectorAll('[data-play]')[number % 8];
                const sound = document.getElementById('sound');
                const began = performance.now();
                const heard = new Promise(done => sound.addEventListener('playing',
                    () => done(performance.now() - began), {once: true}));
                const seen = new Promise(done => {
                    new MutationObserver((_, watch) => {
                        if (document.querySelector('#dock .wave')) {
                            watch.disconnect(); done(performance.now() - began);
                        }
                    }).observe(document.getElementById('dock'), {childList: true, subtree: true});
                });
                button.click();
                return [await heard, await seen];
            }""",
            number,
        )
        playing.append(times[0])
        drawn.append(times[1])
    yield "1 click to playing (< 300 ms)", f"{statistics.median(playing):6.0f} ms"
    yield "2 click to waveform in the page (< 150 ms)", f"{statistics.median(drawn):6.0f} ms"


_PAINTED = """
    const old = document.getElementById('rows');
    const done = new Promise(told => {
        const look = () => {
            const fresh = document.getElementById('rows');
            if (fresh && fresh !== old)
                requestAnimationFrame(() => setTimeout(() => told(performance.now() - began)));
            else requestAnimationFrame(look);
        };
        look();
    });
"""
SETTLED_MS = 500
"""After a page came; nobody types sooner."""


def _choice(page: Page) -> float:
    page.goto("/calls")
    page.wait_for_timeout(SETTLED_MS)
    value = random.choice(["answered", "abandoned"])  # noqa: S311  # either will do
    return float(
        page.evaluate(
            f"""async value => {{
                const began = performance.now();
                {_PAINTED}
                const field = document.querySelector('select[name=state]');
                field.value = value;
                field.dispatchEvent(new Event('change', {{bubbles: true}}));
                return await done;
            }}""",
            value,
        )
    )


def _key(page: Page) -> float:
    page.goto("/calls")
    page.wait_for_timeout(SETTLED_MS)
    return float(
        page.evaluate(
            f"""async () => {{
                const began = performance.now();
                {_PAINTED}
                const field = document.getElementById('q');
                field.value = '0163';
                field.dispatchEvent(new Event('input', {{bubbles: true}}));
                return await done;
            }}"""
        )
    )


def _bars(page: Page) -> float:
    began = time.perf_counter()
    page.request.get("/calls/overview")
    return (time.perf_counter() - began) * 1000


def _others(page: Page, url: str) -> int:
    others: list[str] = []
    page.on("request", lambda asked: others.append(asked.url))
    page.goto("/calls")
    page.wait_for_timeout(500)
    return sum(not each.startswith(url) for each in others)


def _long_call(page: Page, call: str) -> Iterator[tuple[str, str]]:
    page.goto(f"/calls/{call}")
    fetched: list[int] = []
    page.on(
        "response",
        lambda answer: (
            fetched.append(int(answer.headers.get("content-length", 0)))
            if "/audio/" in answer.url
            else None
        ),
    )
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("() => document.getElementById('sound').currentTime > 1")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def busy() -> float:
        values = session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in values if each["name"] == "TaskDuration"))

    before, began = busy(), time.perf_counter()
    page.wait_for_timeout(8000)
    share = (busy() - before) / (time.perf_counter() - began)
    heap = page.evaluate("() => performance.memory.usedJSHeapSize") / 1e6
    yield "13 main thread busy while it plays (< 10 %)", f"{share * 100:6.1f} %"
    yield "14 two-hour call: heap (< 30 MB)", f"{heap:6.1f} MB"
    largest = max(fetched) / 1024
    yield "14 two-hour call: largest piece (512 KiB, never all)", f"{largest:6.0f} KiB"


if __name__ == "__main__":
    main()
