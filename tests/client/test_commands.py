"""``callreel fetch`` and ``callreel calls``: files, output, exit codes, and what a person reads."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callreel.cli.main import main
from callreel.web.shapes import as_csv
from tests.client.scripted import CALL, SOUND, Scripted, Step, hang_up, refuse, reply

SHA256 = hashlib.sha256(SOUND).hexdigest()

Run = Callable[..., Result]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run ``callreel`` in an empty folder with nothing of ours in the environment."""
    for name in ("URL", "DATA", "USER", "PASSWORD", "API_KEY", "CA_FILE"):
        monkeypatch.delenv(f"CALLREEL_{name}", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(main, arguments, env=environment)

    return run


@pytest.fixture
def run(bare: Run, server: Scripted) -> Run:
    """As ``bare``, with an address and an API key in the environment."""
    return lambda *arguments: bare(
        *arguments, CALLREEL_URL=server.base_url, CALLREEL_API_KEY="key-1"
    )


def test_fetch_saves_each_call_under_its_id(run: Run) -> None:
    """The list that is printed can be given to sha256sum -c."""
    result = run("fetch", "c1", "r1", "-f", "mp3", "-o", "new/folder")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == (
        f"{SHA256}  new/folder/call-c1.mp3\n{SHA256}  new/folder/call-r1.mp3\n"
    )
    assert Path("new/folder/call-c1.mp3").read_bytes() == SOUND
    assert result.stderr == ""


def test_fetch_asks_for_what_was_ordered(run: Run, server: Scripted) -> None:
    """Format and channel reach the server."""
    assert run("fetch", "c1", "--format", "wav-ulaw", "--channel", "left").exit_code == 0
    asked = json.loads(server.web_seen[-1].body)
    assert (asked["format"], asked["channel"]) == ("wav-ulaw", "left")
    assert Path("call-c1.wav").exists()


def test_a_call_that_is_named_twice_is_fetched_once(run: Run, server: Scripted) -> None:
    """Lists made by other programs repeat themselves."""
    assert run("fetch", "c1", "c1").exit_code == 0
    assert server.tokens == 1


def test_a_name_of_a_file_stays_in_its_folder(run: Run, tmp_path: Path) -> None:
    """An id is not believed to be harmless."""
    assert run("fetch", "../../c1", "..").exit_code == 5
    assert list(tmp_path.iterdir()) == [tmp_path / "here"]
    assert list(Path().iterdir()) == []


def test_a_dash_writes_the_sound_to_standard_output(run: Run) -> None:
    """And nothing else, so that it can be piped into a player."""
    result = run("fetch", "c1", "-o", "-")
    assert (result.exit_code, result.stdout_bytes) == (0, SOUND)
    assert list(Path().iterdir()) == []


def test_nothing_is_written_to_standard_output_before_all_of_it_is_there(
    run: Run, server: Scripted
) -> None:
    """What was written out could not be taken back for another revision."""
    server.echo_steps.extend([server.cut(100_000), refuse(410, "recording_deleted")])
    result = run("fetch", "c1", "-o", "-")
    assert (result.exit_code, result.stdout_bytes) == (7, b"")


def test_a_dash_is_for_one_call(run: Run) -> None:
    """Two recordings in one stream could not be told apart."""
    assert run("fetch", "c1", "r1", "-o", "-").exit_code == 2


def test_a_whole_file_that_is_there_is_kept(run: Run, server: Scripted) -> None:
    """A list can be run again, and brings what is missing; the sound is not sent again."""
    run("fetch", "c1")
    result = run("fetch", "c1")
    assert (result.exit_code, result.stdout) == (0, f"{SHA256}  call-c1.wav\n")
    assert "is kept; --force replaces it" in result.stderr
    assert len(server.echo_seen) == 1


def test_a_file_whose_mask_changed_since_is_fetched_again(run: Run, server: Scripted) -> None:
    """It has the same size, and holds speech that is masked now."""
    run("fetch", "c1")
    server.revision = 2
    result = run("fetch", "c1")
    assert result.exit_code == 0
    assert "its mask changed since" in result.stderr
    assert len(server.echo_seen) == 2
    assert "is kept" in run("fetch", "c1").stderr
    Path(".callreel-fetched.json").write_text("torn {")
    assert "is kept" in run("fetch", "c1").stderr


def test_force_fetches_anew(run: Run) -> None:
    """As after a mask was added."""
    Path("call-c1.wav").write_bytes(b"old")
    assert run("fetch", "c1", "--force").exit_code == 0
    assert Path("call-c1.wav").read_bytes() == SOUND


def test_a_file_that_is_something_else_is_neither_kept_nor_replaced(run: Run) -> None:
    """Another channel, another tool's torn download: the person decides."""
    Path("call-c1.wav").write_bytes(b"mine")
    result = run("fetch", "c1")
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert Path("call-c1.wav").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "format_not_installed", 2),
        (401, "unauthenticated", 4),
        (403, "forbidden", 4),
        (404, "not_found", 5),
        (409, "not_ready", 6),
        (410, "recording_deleted", 7),
        (422, "unplayable", 7),
        (500, "internal_error", 3),
        (503, "unavailable", 3),
    ],
)
def test_exit_codes_tell_what_is_wrong(
    run: Run, server: Scripted, status: int, code: str, expected: int
) -> None:
    """One line on standard error, with the call, what the server said, and no traceback."""
    said = "The reason, in words."
    server.web_steps.extend([reply(CALL), refuse(status, code, said, Retry_After="3600")])
    result = run("fetch", "c1")
    assert result.exit_code == expected
    assert result.stderr.startswith(f"callreel: c1: {said}")
    assert result.stderr.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_an_answer_that_is_no_servers_is_code_one(run: Run, server: Scripted) -> None:
    """What is in no row of the table."""
    server.web_steps.append(reply(b"<html>a portal</html>", 200, "text/html"))
    assert run("fetch", "c1").exit_code == 1


def test_a_call_without_recording_is_not_found(run: Run, server: Scripted) -> None:
    """An abandoned call exists, its recording does not."""
    server.web_steps.append(reply(CALL | {"recording_id": None}))
    result = run("fetch", "c1")
    assert result.exit_code == 5
    assert "Nothing was recorded" in result.stderr


def test_some_that_failed_are_code_one(run: Run) -> None:
    """The others are saved, and it says how many."""
    result = run("fetch", "c1", "c404")
    assert (result.exit_code, result.stdout) == (1, f"{SHA256}  call-c1.wav\n")
    assert result.stderr.splitlines()[0].startswith("callreel: c404: There is no such")
    assert result.stderr.splitlines()[1] == "callreel: 1 of 2 are there."


def test_all_that_failed_alike_keep_their_code(run: Run) -> None:
    """Nothing was found: 5; a script need not read the text."""
    assert run("fetch", "c404", "c405").exit_code == 5


def test_failures_of_two_kinds_are_code_one(run: Run, server: Scripted) -> None:
    """No one code would be true."""
    server.web_steps.extend([reply(CALL), refuse(422, "unplayable")])
    assert run("fetch", "c1", "c404").exit_code == 1


def test_a_refused_login_ends_at_once(run: Run, server: Scripted) -> None:
    """To try it for every call would lock the login."""
    server.web_steps.extend([refuse(401, "unauthenticated")] * 5)
    result = run("fetch", "c1", "r1", "c2")
    assert result.exit_code == 4
    assert len(server.web_seen) == 1
    assert "CALLREEL_PASSWORD" in result.stderr


def test_a_server_that_is_away_is_code_three(bare: Run) -> None:
    """And the address that was tried is told."""
    result = bare("fetch", "c1", "--url", "http://127.0.0.1:9", CALLREEL_API_KEY="key-1")
    assert result.exit_code == 3
    assert "http://127.0.0.1:9" in result.stderr
    assert "Check --url" in result.stderr


def test_a_folder_that_cannot_be_made_is_code_two(run: Run, server: Scripted) -> None:
    """Before anything is asked."""
    Path("file").touch()
    result = run("fetch", "c1", "-o", "file/folder")
    assert (result.exit_code, server.web_seen) == (2, [])


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["fetch"], {}, "Missing argument"),
        (["fetch", "c1"], {}, "--url"),
        (["fetch", "c1", "-f", "aiff"], {}, "aiff"),
        (["calls", "--url", "http://h"], {}, "CALLREEL_API_KEY"),
        (["calls", "--url", "http://h", "--user", "u"], {}, "CALLREEL_PASSWORD"),
        (["calls", "--url", "calls.example"], {"CALLREEL_API_KEY": "k"}, "https://calls.example"),
        (["calls", "--data", "nowhere"], {}, "callreel serve --data nowhere"),
        (["calls", "--url", "http://h", "--limit", "0"], {}, "--limit"),
        (["calls", "--url", "http://h", "--ca-file", "none.pem"], {}, "none.pem"),
    ],
)
def test_wrong_usage_is_code_two_and_says_what_to_give(
    bare: Run, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    """Nobody is asked anything, since nobody is there."""
    result = bare(*arguments, **environment)
    assert result.exit_code == 2
    assert said in result.stderr


def _login_of(server: Scripted) -> str:
    scheme, _, value = server.web_seen[0].headers["authorization"].partition(" ")
    return value if scheme == "Bearer" else base64.b64decode(value).decode()


def test_a_name_and_the_password_of_the_environment_are_a_login(
    bare: Run, server: Scripted
) -> None:
    """A password never stands in the command, where other users of the machine can read it."""
    environment = {"CALLREEL_PASSWORD": "secret", "CALLREEL_API_KEY": "key-1"}
    bare("calls", "--url", server.base_url, "--user", "anna", **environment)
    assert _login_of(server) == "anna:secret"


def _demo(folder: Path, scripted: Scripted, **files: object) -> str:
    users = [
        {"username": "admin", "password": "one", "role": "administrator"},
        {"username": "robot", "password": "two", "role": "integrator"},
    ]
    folder.mkdir()
    demo = {"base_url": scripted.base_url, "web_users": users, "calls": []}
    for name, content in {"demo": demo, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return str(folder)


def test_a_demo_folder_tells_address_and_login(bare: Run, server: Scripted, tmp_path: Path) -> None:
    """A newcomer types nothing but the call; the login is the integrator's."""
    folder = _demo(tmp_path / "demo", server)
    assert bare("calls", CALLREEL_DATA=folder).exit_code == 0
    assert _login_of(server) == "robot:two"


def test_another_user_of_the_demo_can_be_named(bare: Run, server: Scripted, tmp_path: Path) -> None:
    """With the demo's own password, whatever the environment says of other servers."""
    folder = _demo(tmp_path / "demo", server)
    bare("calls", "--data", folder, "--user", "admin", CALLREEL_PASSWORD="for another")
    assert _login_of(server) == "admin:one"


def test_the_newest_address_of_a_folder_is_taken(
    bare: Run, server: Scripted, tmp_path: Path
) -> None:
    """The demo's listing may be of an earlier run, on another port."""
    newest = {"base_url": server.base_url, "echo_url": server.echo_url}
    folder = _demo(tmp_path / "demo", server, server=newest)
    listing = tmp_path / "demo" / "demo.json"
    listing.write_text(listing.read_text().replace(server.base_url, "http://127.0.0.1:9"))
    assert bare("calls", "--data", folder).exit_code == 0


def test_a_password_of_a_demo_goes_to_no_other_server(
    bare: Run, server: Scripted, tmp_path: Path
) -> None:
    """An address that was typed has nothing to do with the folder."""
    folder = _demo(tmp_path / "demo", server)
    result = bare("calls", "--url", server.base_url, "--data", folder)
    assert (result.exit_code, server.web_seen) == (2, [])


def test_a_torn_file_of_the_server_is_told(bare: Run, tmp_path: Path) -> None:
    """With its name, and the way round it."""
    (tmp_path / "server.json").write_text("{")
    result = bare("calls", "--data", str(tmp_path))
    assert result.exit_code == 2
    assert "server.json" in result.stderr
    assert "--url" in result.stderr


def test_plain_http_to_another_machine_is_warned_of(bare: Run) -> None:
    """The login could be read on the way."""
    address = "http://192.0.2.1.invalid"
    result = bare("calls", "--url", address, CALLREEL_API_KEY="key-1")
    assert "unprotected" in result.stderr
    assert result.exit_code == 3


def test_calls_as_a_table(run: Run) -> None:
    """One line each, and nothing cut off where it goes into a pipe."""
    result = run("calls")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert lines[1].split("  ")[0] == "c1"
    for told in ("2026-09-21 14:13:20", "19.2", "inbound", "01632 960001", "2104", "yes, 1 masked"):
        assert told in lines[1]


def test_a_table_is_short_and_says_so(run: Run) -> None:
    """Whoever reads it wants the newest, and must know that there are more."""
    result = run("calls", "--limit", "2")
    assert len(result.stdout.splitlines()) == 3
    assert result.stderr == "callreel: these are the newest 2; --limit shows more.\n"


def test_a_number_cannot_move_the_cursor(run: Run, server: Scripted) -> None:
    """Who calls chooses what is shown as the number; markup has no meaning either."""
    hostile = CALL | {"from": "\x1b[2J[bold]x[/bold]"}
    server.web_steps.append(reply({"items": [hostile], "next": None}))
    assert "\ufffd[2J[bold]x[/bold]" in run("calls").stdout


def test_calls_as_csv_are_the_apis(run: Run) -> None:
    """All pages, one head."""
    result = run("calls", "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["id"] for row in rows] == ["c1", "c2", "c3"]
    assert result.stdout_bytes.startswith(as_csv([]).encode())
    assert rows[0]["masked_spans"] == "1.0-2.5"


def test_calls_as_json_are_the_apis(run: Run) -> None:
    """One array of items as in contract.md 6.2."""
    assert json.loads(run("calls", "--json").stdout) == [
        CALL | {"id": name} for name in ("c1", "c2", "c3")
    ]


def test_no_calls_are_an_empty_array(run: Run, server: Scripted) -> None:
    """Still JSON."""
    server.web_steps.append(reply({"items": [], "next": None}))
    assert json.loads(run("calls", "--json").stdout) == []


def test_filters_are_the_apis(run: Run, server: Scripted) -> None:
    """Each reaches the server under its name."""
    run(
        "calls", "--from", "2026-09-01", "--to", "2026-10-01", "--party", "*0192", "--ext", "2104",
        "--dir", "inbound", "--datasource", "3", "--rec", "--no-mask",
    )  # fmt: skip
    assert set(server.web_seen[0].path.partition("?")[2].split("&")) == {
        "since=2026-09-01", "to=2026-10-01", "party=%2A0192", "ext=2104", "dir=inbound",
        "datasource=3", "rec=yes", "mask=no", "limit=500",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("step", "expected"), [(refuse(400, "bad_request", "dir: must be one of…"), 2), (hang_up, 3)]
)
def test_a_list_that_cannot_be_had_is_told(
    run: Run, server: Scripted, step: Step, expected: int
) -> None:
    """With the code that stands for it."""
    server.web_steps.extend([step] * 4)
    result = run("calls", "--dir", "sideways")
    assert result.exit_code == expected
    assert result.stderr.startswith("callreel: calls: ")
