"""A real server in a process of its own, over a small data folder made through the commands."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from tests.e2e.tap import Tap, tapping

ROOT = Path(__file__).parents[2]
CALLREEL = [sys.executable, "-c", "from callreel.cli.main import main; main()"]
USERNAME = "integrator"
PASSWORD = 'pässwörd: "with" \\ everything'
RATE_HZ = 8000
NAMES = {
    "masked": "NCS00000000EA39883596CC41E799B4630006CF2D56",
    "plain": "8FBAEEE0-1502-4EA8-85CA-49B3EB01269F",
    "broken": "q-2104-7700900192#1+1",
}
"""The voicefilename of each call, by the name of its file."""
DATASOURCE, VOICELOCATION = "3", "4"
MASK_S = (1.0, 2.0)
"""What is masked in "masked"."""
START_S = 30.0
"""How long the server may take to start, on a busy machine."""


@dataclass(frozen=True, slots=True)
class LiveServer:
    """Where it is, what is in it, and the wire taps before both of its ports."""

    data_dir: Path
    web: Tap
    echo: Tap
    api_key: str
    sounds: Mapping[str, np.ndarray]
    """What was imported, int16, shape (frames, 2), by the name of the file."""

    @property
    def environment(self) -> dict[str, str]:
        """For a client program: where the server is, and the login."""
        return clean_environment(
            CALLREEL_URL=self.web.url, CALLREEL_USER=USERNAME, CALLREEL_PASSWORD=PASSWORD
        )

    def callreel(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours."""
        return run_callreel(*arguments, **environment)


def clean_environment(**more: str) -> dict[str, str]:
    """This environment without proxies and settings of ours, which a machine may have."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CALLREEL_") and not name.lower().endswith("_proxy")
    }
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def run_callreel(
    *arguments: str, text_in: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end."""
    return subprocess.run(
        [*CALLREEL, *arguments],
        input=text_in,
        env=clean_environment(**environment),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def make_sound(seconds: float, seed: int) -> np.ndarray:
    """Two channels of noise that never touch the mask's tone."""
    noise = np.random.default_rng(seed).integers(-9000, 9000, (int(seconds * RATE_HZ), 2))
    return noise.astype(np.int16)


@contextmanager
def serving(folder: Path) -> Iterator[LiveServer]:
    """A server over three calls, until the block ends.

    Args:
        folder: An empty one, for everything.
    """
    data_dir, incoming, log = folder / "data", folder / "incoming", folder / "server.log"
    sounds = _incoming(incoming)
    data = ("--data", str(data_dir))
    must(run_callreel("init", *data))
    must(
        run_callreel(
            "user", "add", USERNAME, "--role", "integrator", "--password-stdin", *data,
            text_in=PASSWORD + "\n",
        )
    )  # fmt: skip
    shown = must(run_callreel("key", "add", USERNAME, *data))
    must(
        run_callreel(
            "import", "folder", str(incoming), "--datasource", DATASOURCE,
            "--voicelocation", VOICELOCATION, "--stable-for", "0", "--quiet-for", "0", *data,
        )
    )  # fmt: skip
    web_port, echo_port = free_ports(2)
    with ExitStack() as stack:
        web = stack.enter_context(tapping(web_port))
        echo = stack.enter_context(tapping(echo_port))
        out = stack.enter_context(log.open("w"))
        process = subprocess.Popen(
            [
                *CALLREEL, "serve", *data, "--port", str(web_port), "--echo-port", str(echo_port),
                "--base-url", web.url, "--echo-url", echo.url,
            ],
            env=clean_environment(), stdout=out, stderr=out,
        )  # fmt: skip
        try:
            _wait_until_it_answers(process, data_dir / "server.json", log)
            yield LiveServer(data_dir, web, echo, shown.split()[-1], sounds)
        finally:
            process.terminate()
            process.wait(30)


def _incoming(folder: Path) -> dict[str, np.ndarray]:
    folder.mkdir()
    sounds = {"masked": make_sound(3, seed=1), "plain": make_sound(4, seed=2)}
    for number, (name, voicefilename) in enumerate(NAMES.items()):
        sidecar = {
            "voicefilename": voicefilename,
            "started_at": f"2026-09-2{number}T09:30:00+01:00",
            "direction": "inbound",
            "from": "01632 960001",
            "to": "0161 496 0192",
            "extension": "2104",
        }
        if name == "masked":
            sidecar["spans"] = [{"start_s": MASK_S[0], "end_s": MASK_S[1], "channel": None}]
        (folder / f"{name}.json").write_text(json.dumps(sidecar))
        if name in sounds:
            soundfile.write(folder / f"{name}.wav", sounds[name], RATE_HZ, subtype="PCM_16")
    (folder / "broken.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt ")
    return sounds


def must(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said that must have gone well."""
    if done.returncode:
        raise AssertionError(f"{done.args[3:]}: {done.stdout}{done.stderr}")
    return done.stdout


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


def _wait_until_it_answers(process: subprocess.Popen[bytes], told: Path, log: Path) -> None:
    end = time.monotonic() + START_S
    while not told.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"the server did not start: {log.read_text()}")
        time.sleep(0.05)


def sha256s(output: str) -> dict[str, str]:
    """From path to hash, of what ``callreel fetch`` printed."""
    lines = re.findall(r"^([0-9a-f]{64})  (.+)$", output, re.MULTILINE)
    return {path: digest for digest, path in lines}
