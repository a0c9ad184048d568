"""A .NET WebClient with a NetworkCredential gets its sound, and Echo never its password.

Source: contract.md 2.1, 2.2 and 3.1.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.e2e.live import (
    DATASOURCE,
    MASK_S,
    NAMES,
    PASSWORD,
    RATE_HZ,
    ROOT,
    USERNAME,
    VOICELOCATION,
    LiveServer,
)


def _compiled(source: Path, folder: Path) -> Path:
    program = folder / f"{source.stem}.exe"
    subprocess.run(["mcs", "-warnaserror", f"-out:{program}", str(source)], check=True, timeout=60)
    return program


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of the documents, compiled."""
    return _compiled(ROOT / "docs" / "clients" / "fetch.cs", tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def old_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that uses one client, with its login, for both steps."""
    source = Path(__file__).with_name("old_program.cs")
    return _compiled(source, tmp_path_factory.mktemp("old"))


def _run(program: Path, *arguments: str, server: LiveServer) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["mono", str(program), *arguments],
        env=server.environment, capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip


def _require_masked(path: Path, server: LiveServer) -> None:
    """The source outside the span, bit for bit, and none of it inside."""
    heard, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    source = server.sounds["masked"]
    start, stop = (int(second * RATE_HZ) for second in MASK_S)
    assert (rate_hz, heard.shape) == (RATE_HZ, source.shape)
    assert np.array_equal(heard[:start], source[:start])
    assert np.array_equal(heard[stop:], source[stop:])
    assert np.mean(heard[start:stop] == source[start:stop]) < 0.01


def _require_challenged_and_echo_bare(server: LiveServer) -> None:
    """The first request carries no login and gets 401; Echo sees none at all."""
    first, second = server.web.requests()
    assert "authorization" not in first.headers
    assert second.headers["authorization"].startswith("Basic ")
    assert server.web.statuses() == [401, 200]
    fetched = server.echo.requests()
    assert [request.path.startswith("/v/") for request in fetched] == [True]
    for request in fetched:
        assert "authorization" not in request.headers


@pytest.mark.parametrize("form", [[], ["together"]], ids=["separated", "run together"])
@pytest.mark.parametrize("datasource", [DATASOURCE, f"\\{DATASOURCE}\\"])
def test_the_example_gets_its_wav(
    live_server: LiveServer, example: Path, tmp_path: Path, form: list[str], datasource: str
) -> None:
    """Both forms of the query, and both of the datasource, give the masked sound."""
    path = tmp_path / "call.wav"
    arguments = [datasource, NAMES["masked"], VOICELOCATION, str(path), *form]
    done = _run(example, *arguments, server=live_server)
    assert done.returncode == 0, done.stderr
    _require_masked(path, live_server)
    _require_challenged_and_echo_bare(live_server)
    separated = "&recordingid=" in live_server.web.requests()[1].path
    assert separated is (not form)


@pytest.mark.parametrize("between", ["&", ""], ids=["separated", "run together"])
def test_a_client_that_would_give_echo_its_login_is_never_asked_for_it(
    live_server: LiveServer, old_program: Path, tmp_path: Path, between: str
) -> None:
    """A 401 from Echo would make this program send the password there."""
    path = tmp_path / "call.wav"
    parts = [f"datasource={DATASOURCE}", f"recordingid={NAMES['masked']}",
             f"voicelocation={VOICELOCATION}", "salt=638000000000000000"]  # fmt: skip
    question = f"{live_server.web.url}/voice.wav?cmd=getvmsg&{between.join(parts)}"
    done = _run(old_program, question, USERNAME, PASSWORD, str(path), server=live_server)
    assert done.returncode == 0, done.stderr
    _require_masked(path, live_server)
    _require_challenged_and_echo_bare(live_server)


def test_the_example_tells_what_the_server_says(
    live_server: LiveServer, example: Path, tmp_path: Path
) -> None:
    """Not only that it was a 404."""
    path = tmp_path / "call.wav"
    done = _run(example, DATASOURCE, "NCS0", VOICELOCATION, str(path), server=live_server)
    assert (done.returncode, done.stderr) == (1, "not_found: There is no such recording.\n")
    assert not path.exists()
