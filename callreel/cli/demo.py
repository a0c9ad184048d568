"""``callreel demo``: build the demo data set once, serve it, and say how to look at it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from callreel.bootstrap import open_base, system_clock
from callreel.cli.options import data_option, plain_errors
from callreel.cli.serve import serve
from callreel.cli.setup import make_folder
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.db.search import search_calls
from callreel.demo import build, state
from callreel.demo.logins import DemoLogin, ensure_logins
from callreel.demo.ongoing import tell_of_calls
from callreel.model import Call, Role, Scope
from callreel.settings import Settings, load_settings
from callreel.web.shapes import call_item
from callreel.wire import VOICE_PATH

_PAGE_CALLS = 500


@click.command("demo")
@data_option
@click.option("--port", type=int, default=8080, help="Port of the web application; Echo's is next.")
@plain_errors
def demo_command(data_dir: Path, port: int) -> None:
    """Build a demo data set (once), serve it, and print logins and a line to try."""
    make_folder(data_dir)
    # Its calls in progress are told of once; a demo that runs for days still has them.
    own = {"server": {"port": port, "ongoing_hours": 168}}
    settings = load_settings(data_dir, os.environ, own)
    with state.only_one(data_dir):
        state.put_listing_aside(data_dir)
        if not state.is_complete(data_dir):
            click.echo("Building the demo data set (once).")
        with _progress() as progress:
            build.build_demo(settings, progress)
        logins, calls = _look_up(settings)

        def tell(base_url: str, echo_url: str) -> None:
            listing = {
                "base_url": base_url,
                "echo_url": echo_url,
                "web_users": [
                    {"username": one.username, "password": one.password, "role": one.role.value}
                    for one in logins
                ],
                "calls": [call_item(call) for call in calls],
            }
            state.write_listing(data_dir, listing)
            click.echo(welcome(base_url, echo_url, logins, calls, data_dir))

        serve(settings, tell)


@contextmanager
def _progress() -> Iterator[build.Progress]:
    """A bar on a terminal; elsewhere nothing."""
    bar = Progress(
        TextColumn("calls"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("", total=None)
        yield lambda count, total: bar.update(task, completed=count, total=total)


def _look_up(settings: Settings) -> tuple[tuple[DemoLogin, ...], tuple[Call, ...]]:
    base = open_base(settings)
    try:
        known = state.known_passwords(settings.data_dir)
        tell_of_calls(base.db, system_clock)
        return ensure_logins(base.db, known, system_clock()), tuple(_every_call(base.db))
    finally:
        base.close()


def _every_call(db: Database) -> Iterator[Call]:
    everything, cursor = Scope(everything=True), None
    while True:
        with db.read() as conn:
            page = search_calls(conn, everything, CallFilter(), _PAGE_CALLS, cursor)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def welcome(
    base_url: str,
    echo_url: str,
    logins: Sequence[DemoLogin],
    calls: Sequence[Call],
    data_dir: Path,
) -> str:
    """What a newcomer reads: addresses, logins, and a line that fetches a masked recording."""
    lines = [f"Callreel demo: {len(calls)} calls, {base_url} (Echo: {echo_url})", "", "Logins:"]
    for login in logins:
        where = "everything" if login.reach.everything else "Manchester"
        lines.append(
            f"  {login.username:22} {login.password:26} {login.role.value}, reaches {where}"
        )
    lines += [
        "",
        "Fetch a masked recording in two steps, as a program written for TIM Enterprise does:",
        f"  {curl_line(base_url, logins, calls)}",
        "",
        f"All of it is in {data_dir / state.LISTING_FILE}. Stop with Ctrl-C.",
    ]
    return "\n".join(lines)


def curl_line(base_url: str, logins: Sequence[DemoLogin], calls: Sequence[Call]) -> str:
    """One line for a shell: asks for a token with a password, then fetches its URL without one."""
    integrator = next(login for login in logins if login.role is Role.INTEGRATOR)
    call = max(
        (call for call in calls if call.recording_id is not None),
        key=lambda call: (len(call.masked_spans), call.started_at),
    )
    query = urlencode(
        {
            "cmd": "getvmsg",
            "datasource": call.datasource,
            "recordingid": call.voicefilename,
            "voicelocation": call.voicelocation,
        }
    )
    login = shlex.quote(f"{integrator.username}:{integrator.password}")
    ask = shlex.quote(f"{base_url}{VOICE_PATH}.mp3?{query}")
    return f'curl -fsS -o masked-call.mp3 "$(curl -fsS -u {login} {ask})"'
