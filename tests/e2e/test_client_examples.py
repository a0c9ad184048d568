"""The examples of docs/clients.md run, each with the programs that people have."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.e2e.live import DATASOURCE, NAMES, ROOT, VOICELOCATION, LiveServer

EXAMPLES = ROOT / "docs" / "clients"
PAGE = ROOT / "docs" / "clients.md"
PROGRAMS = {
    "curl": ["sh", str(EXAMPLES / "fetch.sh")],
    "python": [sys.executable, "-I", str(EXAMPLES / "fetch.py")],
    "node": ["node", str(EXAMPLES / "fetch.mjs")],
}
"""The C# one is in test_dotnet.py; PowerShell is not run."""

each_program = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())


def _run(
    program: list[str], *arguments: str, server: LiveServer, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *arguments], env=server.environment | environment,
        capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip


@each_program
def test_an_example_gets_its_wav(
    live_server: LiveServer, program: list[str], tmp_path: Path
) -> None:
    """Unmasked sound is the source bit for bit, and nothing else is left behind."""
    path = tmp_path / "call.wav"
    done = _run(program, DATASOURCE, NAMES["plain"], VOICELOCATION, str(path), server=live_server)
    assert (done.returncode, done.stderr) == (0, "")
    heard, _ = soundfile.read(path, dtype="int16", always_2d=True)
    assert np.array_equal(heard, live_server.sounds["plain"])
    assert list(tmp_path.iterdir()) == [path]


@each_program
@pytest.mark.parametrize("extension", [".mp3", ".opus", ".flac"])
def test_an_example_gets_the_format_of_its_file(
    live_server: LiveServer, program: list[str], tmp_path: Path, extension: str
) -> None:
    """As the extension says; sizes that are known only once it is made are no matter."""
    path = tmp_path / f"call{extension}"
    done = _run(program, DATASOURCE, NAMES["masked"], VOICELOCATION, str(path), server=live_server)
    assert done.returncode == 0, done.stderr
    assert soundfile.info(path).duration == pytest.approx(3.0, abs=0.1)


@each_program
def test_an_example_gives_echo_no_login(
    live_server: LiveServer, program: list[str], tmp_path: Path
) -> None:
    """The second step needs none, so none is sent. Source: contract.md 3.1."""
    path = str(tmp_path / "call.wav")
    _run(program, DATASOURCE, NAMES["plain"], VOICELOCATION, path, server=live_server)
    assert any("authorization" in request.headers for request in live_server.web.requests())
    fetched = live_server.echo.requests()
    assert len(fetched) == 1
    assert "authorization" not in fetched[0].headers


@each_program
@pytest.mark.parametrize(
    ("voicefilename", "said"),
    [("NCS0 &x=1", "not_found: There is no such recording."), (NAMES["broken"], "unplayable: ")],
)
def test_an_example_tells_what_the_server_says(
    live_server: LiveServer, program: list[str], tmp_path: Path, voicefilename: str, said: str
) -> None:
    """In its words, on standard error, with nothing saved; names with signs in them are sent
    whole.
    """
    path = str(tmp_path / "call.wav")
    done = _run(program, DATASOURCE, voicefilename, VOICELOCATION, path, server=live_server)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert list(tmp_path.iterdir()) == []


@each_program
def test_an_example_tells_of_a_wrong_password(
    live_server: LiveServer, program: list[str], tmp_path: Path
) -> None:
    """A refusal, and no endless asking."""
    path = str(tmp_path / "call.wav")
    names = (DATASOURCE, NAMES["plain"], VOICELOCATION, path)
    done = _run(program, *names, server=live_server, CALLREEL_PASSWORD="wrong")
    assert done.returncode == 1
    assert done.stderr.startswith("unauthenticated: ")
    assert len(live_server.web.requests()) == 1


@pytest.mark.parametrize("example", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_the_page_holds_each_example_as_it_is(example: Path) -> None:
    """What people copy from the page is what was run."""
    text = example.read_text(encoding="utf-8")
    assert f"```{_LANGUAGES[example.suffix]}\n{text}```\n" in PAGE.read_text(encoding="utf-8")


_LANGUAGES = {
    ".cs": "csharp", ".ps1": "powershell", ".sh": "sh", ".py": "python", ".mjs": "javascript",
}  # fmt: skip


def test_the_page_says_which_example_was_not_run() -> None:
    """PowerShell alone, in the sentence before it."""
    page = PAGE.read_text(encoding="utf-8")
    before = page[: page.index("```powershell")]
    assert "not run" in before[before.rindex("## ") :]
    assert page.count("not run") == 1


def test_the_python_of_the_page_runs(live_server: LiveServer, tmp_path: Path) -> None:
    """The example of ``callreel.client`` too."""
    page = PAGE.read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(from callreel\.client .*?)```", page, re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], env=live_server.environment, cwd=tmp_path,
        capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    saved = [name for name in os.listdir(tmp_path) if name.endswith(".mp3")]
    assert len(saved) == 2
    assert "cannot be decoded" in done.stdout or "broken" in done.stdout or done.stdout
