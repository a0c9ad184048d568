"""Calls, tokens, changes: what is asked, and what becomes of answers that are none."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from callreel import client as front
from callreel.audio.formats import FORMATS
from callreel.client import EXTENSIONS, Client, ClientError
from callreel.client.answers import broken
from tests.client.scripted import (
    CALL,
    Scripted,
    Step,
    hang_up,
    redirect,
    refuse,
    refuse_plain,
    reply,
)


def _depths(of: type[BaseException], depth: int = 0) -> dict[str, int]:
    """How deep each public error below is."""
    found: dict[str, int] = {}
    for kind in of.__subclasses__():
        public = not kind.__name__.startswith("_")
        found |= {kind.__name__: depth + 1} if public else {}
        found |= _depths(kind, depth + 1 if public else depth)
    return found


def test_search_goes_over_all_pages(server: Scripted, client: Client) -> None:
    """The list is asked for page by page, with every filter each time, until it ends."""
    found = list(client.search(party="01632 96*", rec=True, mask=False))
    assert [call["id"] for call in found] == ["c1", "c2", "c3"]
    asked = [seen.path.partition("?")[2] for seen in server.web_seen]
    filters = "party=01632%2096%2A&rec=yes&mask=no&limit=500"
    assert asked == [filters, f"{filters}&cursor=1", f"{filters}&cursor=2"]


def test_search_asks_for_a_page_only_when_it_is_needed(server: Scripted, client: Client) -> None:
    """Whoever wants one call does not wait for all."""
    assert next(client.search())["id"] == "c1"
    assert len(server.web_seen) == 1


def test_a_time_keeps_its_offset(server: Scripted, client: Client) -> None:
    """A plus is sent as %2B, since the server reads a plus as one."""
    list(client.search(since=datetime(2026, 9, 21, tzinfo=UTC)))
    assert "since=2026-09-21T00%3A00%3A00%2B00%3A00" in server.web_seen[0].path


def test_a_time_without_offset_is_refused(client: Client) -> None:
    """Nobody can tell which hour it means."""
    with pytest.raises(ValueError, match="offset"):
        next(client.search(since=datetime(2026, 9, 21)))  # noqa: DTZ001  # that is the point


def test_a_list_that_goes_round_is_noticed(server: Scripted, client: Client) -> None:
    """A cursor that leads to itself would never end."""
    server.web_steps.extend([reply({"items": [], "next": "1"})] * 2)
    with pytest.raises(front.BadAnswer, match="circle"):
        list(client.search())


def test_one_call_is_given_as_the_contract_shapes_it(client: Client) -> None:
    """Names are those of contract.md 6.2."""
    assert client.call("c1") == CALL


@pytest.mark.parametrize("call_id", ["", ".", "..", "a/b"])
def test_an_id_never_leaves_its_place_in_the_path(
    server: Scripted, client: Client, call_id: str
) -> None:
    """An id is one piece of a path; what is none is not asked for."""
    with pytest.raises(front.NotFound):
        client.call(call_id)
    assert server.web_seen == []


def test_an_id_is_escaped(server: Scripted, client: Client) -> None:
    """What has a meaning in an address has none in an id."""
    with pytest.raises(front.NotFound):
        client.call("c1?x=1#y")
    assert server.web_seen[0].path == "/api/v1/calls/c1%3Fx%3D1%23y"


def test_a_token_tells_what_it_will_fetch(server: Scripted, client: Client) -> None:
    """Everything of contract.md 6.3 arrives, and the request names format, channel and use."""
    token = client.token("r1", "mp3", "left", single_use=True)
    assert token.url == f"{server.echo_url}/v/t1"
    assert (token.size_bytes, token.mask_revision) == (len(server.sound), 1)
    assert token.expires_at == datetime(2026, 9, 21, 14, 14, 20, 500000, UTC)
    assert server.web_seen[0].body == b'{"format":"mp3","channel":"left","single_use":true}'


def test_a_token_does_not_show_its_address_in_logs(client: Client) -> None:
    """Who has the address can listen, so it must not get into a log by way of ``repr``."""
    assert "/v/t1" not in repr(client.token("r1"))


def test_a_token_by_names_goes_the_old_way(server: Scripted, client: Client) -> None:
    """Step one of contract.md 2: the three names of the calls table, and a plain address back."""
    token = client.token_by_names("\\3\\", "4", "NCS0", "wav-ulaw", "mix")
    assert token.url == f"{server.echo_url}/v/t1"
    assert server.web_seen[0].path == (
        "/voice.wav?cmd=getvmsg&datasource=%5C3%5C&recordingid=NCS0&voicelocation=4"
        "&format=wav-ulaw&channel=mix"
    )


def test_an_unknown_format_by_names_lists_the_known(client: Client) -> None:
    """The extension of the address hangs on it."""
    with pytest.raises(front.BadRequest, match="wav-alaw, mp3"):
        client.token_by_names("3", "4", "NCS0", "aiff")


def test_changes_give_where_to_go_on(server: Scripted, client: Client) -> None:
    """One page, and the cursor for the next."""
    page = client.changes("8")
    assert (page.items[0]["call_id"], page.next) == ("c1", "9")
    assert server.web_seen[0].path == "/api/v1/changes?since=8"


def test_the_password_is_sent_as_utf_8(server: Scripted, client: Client) -> None:
    """Basic, at once and without a challenge. Source: contract.md 2.1."""
    client.call("c1")
    scheme, _, value = server.web_seen[0].headers["authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(value) == "integrator:pa:ss wörd".encode()


def test_an_api_key_is_sent_as_bearer(server: Scripted) -> None:
    """Source: contract.md 6.1."""
    with Client(server.base_url, api_key="key-1") as client:
        client.call("c1")
    assert server.web_seen[0].headers["authorization"] == "Bearer key-1"


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "bad_request", front.BadRequest),
        (401, "unauthenticated", front.AuthenticationRefused),
        (403, "forbidden", front.AccessRefused),
        (404, "not_found", front.NotFound),
        (409, "not_ready", front.NotReady),
        (410, "recording_deleted", front.Gone),
        (422, "unplayable", front.Unplayable),
        (500, "internal_error", front.ServerFault),
    ],
)
@pytest.mark.parametrize("form", [refuse, refuse_plain])
def test_each_refusal_is_an_error_of_its_own(
    server: Scripted,
    client: Client,
    form: Callable[[int, str, str], Step],
    status: int,
    code: str,
    expected: type[ClientError],
) -> None:
    """Status, code and sentence arrive, from a problem document and from a plain line."""
    server.web_steps.append(form(status, code, "format: say it otherwise."))
    with pytest.raises(expected) as caught:
        client.token("r1")
    assert type(caught.value) is expected
    assert (caught.value.code, caught.value.message) == (code, "format: say it otherwise.")
    assert len(server.web_seen) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_when_it_says(
    server: Scripted, client: Client, status: int
) -> None:
    """Retry-After is followed inside the patience of the client."""
    server.web_steps.append(refuse(status, "unavailable", Retry_After="1"))
    assert client.call("c1")["id"] == "c1"
    assert len(server.web_seen) == 2


def test_a_wait_beyond_patience_is_not_begun(server: Scripted, client: Client) -> None:
    """Who cannot wait so long hears it at once, with how long it would be."""
    server.web_steps.append(refuse(503, "unavailable", Retry_After="60"))
    with pytest.raises(front.ServerUnavailable) as caught:
        client.call("c1")
    assert caught.value.retry_after_s == 60


def test_a_broken_connection_is_tried_again(server: Scripted, client: Client) -> None:
    """A server that was restarted leaves connections that are dead."""
    server.web_steps.extend([hang_up, hang_up])
    assert client.call("c1")["id"] == "c1"


def test_a_server_that_always_hangs_up_is_given_up(server: Scripted, client: Client) -> None:
    """There is an end to it before patience is."""
    server.web_steps.extend([hang_up] * 9)
    with pytest.raises(front.ServerUnavailable, match="broke off"):
        client.call("c1")
    assert len(server.web_seen) == 4


def test_an_address_where_nobody_listens_is_told_at_once(server: Scripted) -> None:
    """The usual cause is a wrong address, and waiting would not help."""
    with (
        Client("http://127.0.0.1:9", "integrator", "secret") as client,
        pytest.raises(front.Unreachable, match=r"Cannot reach http://127\.0\.0\.1:9"),
    ):
        client.call("c1")


def test_a_redirect_is_never_followed(server: Scripted, client: Client) -> None:
    """It would carry the login to another address."""
    server.web_steps.append(redirect(f"{server.echo_url}/elsewhere"))
    with pytest.raises(front.BadAnswer, match="final address"):
        client.call("c1")
    assert server.echo_seen == []


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"<html>a proxy</html>", 404, "text/html"),
        reply(b"<html>a portal</html>", 200, "text/html"),
        reply(b"[]"),
        reply({}),
        reply(CALL | {"duration_s": "19.2"}),
        reply(CALL | {"recording_id": 7}),
        reply(CALL | {"masked_spans": [{"start_s": 0, "end_s": None, "channel": None}]}),
        reply(b"[" * 100_000),
    ],
)
def test_what_is_no_answer_of_ours_is_not_believed(
    server: Scripted, client: Client, answer: Step
) -> None:
    """Something between may answer in the server's place, with anything."""
    server.web_steps.append(answer)
    with pytest.raises(front.BadAnswer):
        client.call("c1")


@pytest.mark.parametrize(
    "url",
    ["", "/v/t1", "ftp://127.0.0.1/v/t1", "http://user:pass@127.0.0.1/v/t1", "http:///v/t1",
     "http://127.0.0.1/v/t 1", "http://127.0.0.1:0x1/v/t1", "http://127.0.0.1/v/\u00e9"],
)  # fmt: skip
def test_a_token_that_is_no_address_is_not_used(server: Scripted, client: Client, url: str) -> None:
    """A name in it, above all, would become an Authorization header at Echo."""
    server.web_steps.append(reply(server.token() | {"url": url}))
    with pytest.raises(front.BadAnswer, match="web address"):
        client.token("r1")


def test_what_a_server_says_is_one_printable_line(server: Scripted, client: Client) -> None:
    """It ends on a terminal, where control characters are commands."""
    server.web_steps.append(refuse(404, "not_found", "gone\n\x1b[2Jaway"))
    with pytest.raises(front.NotFound) as caught:
        client.call("c1")
    assert caught.value.message == "gone \ufffd[2Jaway"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8080",
        "ftp://h",
        "http://",
        "http://u:p@h",
        "http://h/api",
        "http://h?x",
        "https:",
    ],
)
def test_an_address_that_is_no_origin_is_refused(address: str) -> None:
    """It is said before anything is sent anywhere."""
    with pytest.raises(ValueError, match=r"https://calls\.example"):
        Client(address, "integrator", "secret")


@pytest.mark.parametrize(
    "login",
    [
        {},
        {"username": "u"},
        {"username": "u", "password": "p", "api_key": "k"},
        {"username": "u:v", "password": "p"},
        {"api_key": "k\r\nX: y"},
    ],
)
def test_there_is_exactly_one_login(login: dict[str, str]) -> None:
    """A name with a password, or a key; and none that HTTP could not carry."""
    with pytest.raises(ValueError, match=r"API key|colon"):
        Client("http://127.0.0.1:9", **login)  # type: ignore[arg-type]  # none of them is a time


def test_a_missing_file_of_certificates_is_told(tmp_path: Path) -> None:
    """Falling back to the system's would trust what should not be."""
    with pytest.raises(OSError, match="No such file"):
        Client("https://127.0.0.1:9", "u", "p", ca_file=tmp_path / "none.pem")


def test_every_error_of_the_library_below_is_translated() -> None:
    """Nobody who uses the client has to know what it is built on."""
    kinds = [
        kind
        for kind in vars(httpx2).values()
        if isinstance(kind, type) and issubclass(kind, httpx2.RequestError)
    ]
    assert len(kinds) > 10
    for kind in kinds:
        assert isinstance(broken(kind("why"), "http://h"), ClientError), kind


def test_the_page_of_errors_draws_the_tree() -> None:
    """The docstring is where people look; it names each error at its place."""
    drawn = [line for line in (front.errors.__doc__ or "").splitlines() if "── " in line]
    told = {line.split("── ")[1].split()[0]: line.index("─") // 4 for line in drawn}
    assert told == _depths(ClientError)
    assert all(hasattr(front, name) for name in told)


def test_formats_are_those_that_the_server_makes() -> None:
    """The client's table of extensions agrees with the one that is served."""
    assert {name: known.extensions[0] for name, known in FORMATS.items()} == EXTENSIONS
