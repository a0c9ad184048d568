"""`callreel demo` as a newcomer meets it: a process, two ports, a file, a line to paste."""

from __future__ import annotations

import json
import re
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import soundfile

COMMAND = [sys.executable, "-c", "from callreel.cli.main import main; main()", "demo"]
ITEM_FIELDS = {
    "id", "recording_id", "datasource", "voicelocation", "voicefilename", "started_at",
    "duration_s", "direction", "from", "to", "extension", "channel", "masked_spans",
}  # fmt: skip
ANSWERS_WITHIN_S = 60


def two_free_ports() -> int:
    """A port that is free together with the next one.

    Drawn, from below those that the kernel gives out, so that runs side by side do not meet.
    """
    for _ in range(100):
        port = 10_000 + 2 * secrets.randbelow(10_000)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no two ports are free")


@contextmanager
def running(data_dir: Path, port: int) -> Iterator[tuple[dict[str, Any], str]]:
    """A demo that answers: its listing, and what it printed. Stopped with an interrupt."""
    output = data_dir.parent / f"{data_dir.name}.out"
    with output.open("w") as out:
        process = subprocess.Popen(
            [*COMMAND, "--data", str(data_dir), "--port", str(port)], stdout=out, stderr=out
        )
        try:
            listing = data_dir / "demo.json"
            deadline = time.monotonic() + ANSWERS_WITHIN_S
            while not listing.exists() or "Ctrl-C" not in output.read_text():
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < deadline, output.read_text()
                time.sleep(0.05)
            yield json.loads(listing.read_text()), output.read_text()
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
        assert code == 0, output.read_text()


def run_demo(data_dir: Path, port: int) -> subprocess.CompletedProcess[str]:
    """A demo that is expected to refuse."""
    return subprocess.run(
        [*COMMAND, "--data", str(data_dir), "--port", str(port)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_the_listing_says_where_who_and_what(demo_copy: Path) -> None:
    """demo.json: both addresses, three logins that work, and every call as the API gives it."""
    port = two_free_ports()
    with running(demo_copy, port) as (listing, _):
        assert listing["base_url"] == f"http://127.0.0.1:{port}"
        assert listing["echo_url"] == f"http://127.0.0.1:{port + 1}"
        roles = [user["role"] for user in listing["web_users"]]
        assert roles == ["administrator", "supervisor", "integrator"]
        assert len(listing["calls"]) >= 200
        assert all(set(call) == ITEM_FIELDS for call in listing["calls"])
        seen = []
        for user in listing["web_users"]:
            assert len(user["password"]) >= 15
            answer = httpx2.get(
                f"{listing['base_url']}/api/v1/calls?limit=500",
                auth=(user["username"], user["password"]),
            )
            assert answer.status_code == 200, answer.text
            seen.append(answer.json()["items"])
        assert seen[0] == listing["calls"] == seen[2]
        assert {call["datasource"] for call in seen[1]} == {"1"}


def test_the_listing_can_be_read_by_its_owner_alone(demo_copy: Path) -> None:
    """Passwords in clear stand in one file, mode 600, and nowhere else in the folder."""
    with running(demo_copy, two_free_ports()) as (listing, _):
        path = demo_copy / "demo.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for user in listing["web_users"]:
            secret = user["password"].encode()
            holding = [
                file.name
                for file in demo_copy.rglob("*")
                if file.is_file() and secret in file.read_bytes()
            ]
            assert holding == ["demo.json"]


PARTIES = {"left": 0, "right": 1}


def test_the_printed_line_saves_a_masked_recording_that_can_be_played(
    demo_copy: Path, tmp_path: Path
) -> None:
    """Pasted into a shell, it saves an MP3 in which spans hold the tone and nothing else does."""
    with running(demo_copy, two_free_ports()) as (listing, printed):
        line = re.search(r"^ *(curl .*)$", printed, re.MULTILINE)
        assert line is not None
        subprocess.run(["sh", "-c", line.group(1)], cwd=tmp_path, check=True)
    name = re.search(r"recordingid=([^&]*)&", line.group(1))
    assert name is not None
    call = next(one for one in listing["calls"] if one["voicefilename"] == name.group(1))
    # Which call it is, and whether it is mono, depends on the day the demo was built.
    sound, rate_hz = soundfile.read(tmp_path / "masked-call.mp3", always_2d=True)
    columns = range(sound.shape[1])
    assert len(sound) / rate_hz == pytest.approx(call["duration_s"], abs=0.3)
    assert len(call["masked_spans"]) > 1
    for span in call["masked_spans"]:
        # The middle of a span, so that what an MP3 decoder may lag by does not matter.
        middle = slice(
            round((span["start_s"] + 0.3) * rate_hz), round((span["end_s"] - 0.3) * rate_hz)
        )
        named = span["channel"]
        for column in columns if named is None or len(columns) == 1 else [PARTIES[named]]:
            assert tone_share(sound[middle, column], rate_hz) > 0.95
    heard = np.ones(len(sound), dtype=bool)
    for span in call["masked_spans"]:
        heard[round((span["start_s"] - 0.3) * rate_hz) : round((span["end_s"] + 0.3) * rate_hz)] = 0
    for column in columns:
        assert tone_share(sound[heard, column], rate_hz) < 0.5


def tone_share(sound: np.ndarray[Any, np.dtype[np.float64]], rate_hz: int) -> float:
    """How much of the power lies within 60 Hz of 1 kHz."""
    power = np.square(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))))
    hertz = np.fft.rfftfreq(len(sound), 1 / rate_hz)
    return float(power[np.abs(hertz - 1000) < 60].sum() / power.sum())


def test_passwords_survive_a_restart(demo_copy: Path) -> None:
    """Whoever noted a password goes on using it; the listing is gone while nothing answers."""
    port = two_free_ports()
    with running(demo_copy, port) as (before, _):
        pass
    with running(demo_copy, port) as (after, _):
        pass
    assert after["web_users"] == before["web_users"]


def test_lost_passwords_are_made_anew(demo_copy: Path) -> None:
    """Without demo.json nobody knows them; the next start sets new ones that work."""
    port = two_free_ports()
    with running(demo_copy, port) as (before, _):
        pass
    (demo_copy / "demo.json").unlink()
    with running(demo_copy, port) as (after, _):
        for old, new in zip(before["web_users"], after["web_users"], strict=True):
            assert old["username"] == new["username"]
            assert old["password"] != new["password"]
            url = f"{after['base_url']}/api/v1/calls"
            assert httpx2.get(url, auth=(old["username"], old["password"])).status_code == 401
            assert httpx2.get(url, auth=(new["username"], new["password"])).status_code == 200


def test_a_second_demo_on_the_same_folder_is_refused(demo_copy: Path) -> None:
    """One line says why; the demo that runs keeps its listing."""
    with running(demo_copy, two_free_ports()):
        refused = run_demo(demo_copy, two_free_ports())
        assert refused.returncode == 2
        assert "running on" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert (demo_copy / "demo.json").exists()


def test_a_port_in_use_is_told_in_one_line_and_leaves_no_listing(demo_copy: Path) -> None:
    """A stale demo.json must not say that the server answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (demo_copy / "demo.json").write_text("{}")
        refused = run_demo(demo_copy, taken.getsockname()[1])
    assert refused.returncode == 2
    assert "Cannot listen" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not (demo_copy / "demo.json").exists()
