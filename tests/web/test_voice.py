"""Step one: ask for a token the old way. Source: contract.md section 2."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from callreel.errors import BadRequest, NotFound
from callreel.model import AudioSpec, OutputChannels
from tests.fakes import URL
from tests.web.stage import PASSWORD, USERNAME, Backstage

NCS = "NCS00000000EA39883596CC41E799B4630006CF2D56"
QUERY = f"cmd=getvmsg&datasource=3&recordingid={NCS}&voicelocation=4&salt=638"


@pytest.mark.parametrize(
    "query",
    [
        QUERY,
        f"cmd=getvmsg&datasource=3recordingid={NCS}voicelocation=4salt=638",
        f"CMD=getvmsg;DataSource=3;VoiceFileName={NCS};VoiceLocation=4",
        f"cmd=getvmsg&datasource=%5C3%5C&recordingid={NCS}&voicelocation=4&salt=",
        f"cmd=getvmsg&datasource=\\3\\&recordingid={NCS}&voicelocation=4&salt=%zz%ff%00",
        QUERY + "&somethingelse=1&somethingelse=%zz",
    ],
)
def test_both_query_forms_and_both_datasources_ask_for_the_same(
    known: TestClient, backstage: Backstage, query: str
) -> None:
    r"""Run together or not, ``3`` or ``\3\``, either name; the salt is anything (2.2 to 2.4)."""
    answer = known.get(f"/voice.wav?{query}")
    assert answer.status_code == 200
    assert backstage.issue.asked == [
        {
            "username": USERNAME,
            "datasource": "3",
            "voicefilename": NCS,
            "voicelocation": "4",
            "spec": AudioSpec("wav"),
            "address": "testclient",
        }
    ]


def test_the_answer_is_the_url_and_nothing_else(known: TestClient) -> None:
    """No newline, no mark, no wrapper; not to be stored (2.6)."""
    answer = known.get(f"/voice.wav?{QUERY}")
    assert answer.content == URL.encode()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-length"] == str(len(URL))
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "more", "spec"),
    [
        ("/voice.wav", "", AudioSpec("wav")),
        ("/voice.WAV", "", AudioSpec("wav")),
        ("/voice.mp3", "", AudioSpec("mp3")),
        ("/voice.opus", "", AudioSpec("opus")),
        ("/voice.ogg", "", AudioSpec("opus")),
        ("/voice.flac", "", AudioSpec("flac")),
        ("/voice.m4a", "", AudioSpec("m4a")),
        ("/voice.webm", "", AudioSpec("webm")),
        ("/voice.wav", "&format=wav", AudioSpec("wav")),
        ("/voice.wav", "&format=wav-ulaw", AudioSpec("wav-ulaw")),
        ("/voice.wav", "&format=WAV-ALAW", AudioSpec("wav-alaw")),
        ("/voice.wav", "format=wav-ulawchannel=mix", AudioSpec("wav-ulaw", OutputChannels.MIX)),
        ("/voice.mp3", "&channel=left", AudioSpec("mp3", OutputChannels.LEFT)),
        ("/voice.mp3", "&channel=right", AudioSpec("mp3", OutputChannels.RIGHT)),
        ("/voice.mp3", "&channel=both", AudioSpec("mp3")),
    ],
)
def test_extension_format_and_channel_choose_the_output(
    known: TestClient, backstage: Backstage, path: str, more: str, spec: AudioSpec
) -> None:
    """The extension chooses the family, ``format`` refines, ``channel`` selects (2.5)."""
    assert known.get(f"{path}?{QUERY}{more}").status_code == 200
    assert backstage.issue.asked[0]["spec"] == spec


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("/voice.wav", "", "bad_request: cmd: is missing."),
        ("/voice.wav", QUERY.replace("getvmsg", "other"), "bad_request: cmd: must be getvmsg."),
        (
            "/voice.wav",
            QUERY.replace("&datasource=3", ""),
            "bad_request: datasource: is missing.",
        ),
        (
            "/voice.wav",
            QUERY.replace(f"&recordingid={NCS}", ""),
            "bad_request: recordingid: is missing.",
        ),
        (
            "/voice.wav",
            QUERY.replace("voicelocation=4", "voicelocation="),
            "bad_request: voicelocation: is missing.",
        ),
        (
            "/voice.wav",
            QUERY + f"&voicefilename={NCS}",
            "bad_request: recordingid: given more than once.",
        ),
        ("/voice.wav", QUERY + "&salt=1", "bad_request: salt: given more than once."),
        (
            "/voice.wav",
            QUERY.replace("=3", "=%4"),
            "bad_request: datasource: a % is not followed by two hex digits.",
        ),
        ("/voice.wav", QUERY.replace("=3", "=%ff"), "bad_request: datasource: not UTF-8."),
        (
            "/voice.wav",
            QUERY.replace("=3", "=3%00"),
            "bad_request: datasource: holds a control character.",
        ),
        (
            "/voice.wav",
            QUERY + "&channel=middle",
            "bad_request: channel: must be one of both, left, right, mix.",
        ),
        (
            "/voice.wav",
            QUERY + "x" * 9000,
            "bad_request: The query is too long: at most 8192 bytes are read.",
        ),
    ],
)
def test_what_is_wrong_with_which_parameter_is_said_in_one_line(
    known: TestClient, backstage: Backstage, path: str, query: str, said: str
) -> None:
    """400, ``code: sentence``, nothing issued (2.7)."""
    answer = known.get(f"{path}?{query}")
    assert (answer.status_code, answer.text) == (400, said)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert backstage.issue.asked == []


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/voice.aiff", ""),
        ("/voice.exe", ""),
        ("/voice.wav", "&format=mp3"),
        ("/voice.mp3", "&format=wav"),
        ("/voice.wav", "&format="),
    ],
)
def test_an_unknown_format_lists_the_known_ones(known: TestClient, path: str, more: str) -> None:
    """Also one that is outside the family of the extension (2.5)."""
    answer = known.get(f"{path}?{QUERY}{more}")
    assert answer.status_code == 400
    assert answer.text.startswith("unknown_format: ")
    assert all(name in answer.text for name in ("wav", "mp3", "opus", "flac", "m4a", "webm"))
    assert "\n" not in answer.text


def test_not_there_and_not_yours_are_one_answer(known: TestClient, backstage: Backstage) -> None:
    """The flow cannot tell them apart, nor can anybody (2.7, threats.md T28)."""
    backstage.issue.error = NotFound("There is no such recording.", secret="of-others")
    answer = known.get(f"/voice.wav?{QUERY}")
    assert (answer.status_code, answer.text) == (404, "not_found: There is no such recording.")


def test_an_error_is_one_line_whatever_its_message(known: TestClient, backstage: Backstage) -> None:
    """A line break in a message would begin a second line."""
    backstage.issue.error = BadRequest("one\r\ntwo\nthree")
    assert known.get(f"/voice.wav?{QUERY}").text == "bad_request: one two three"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", [f"/voice.wav?{QUERY}", "/signal.js?cat=4"])
def test_other_methods_do_nothing(
    known: TestClient, backstage: Backstage, method: str, path: str
) -> None:
    """HEAD included: a GET here mints a token or masks, which nobody means who looks for heads."""
    answer = known.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert backstage.issue.asked == []
    assert backstage.signals.sent == []


def test_nothing_of_a_request_comes_back(known: TestClient) -> None:
    """Not in a header and not in the URL, whatever the salt holds (threats.md T10)."""
    mark = "q7zq7z"
    answer = known.get(
        f"/voice.wav?{QUERY}{mark}%0d%0aSet-Cookie:{mark}",
        headers={"Host": f"{mark}.example", "X-Forwarded-Host": mark, "User-Agent": mark},
    )
    assert answer.status_code == 200
    assert mark not in answer.text
    assert mark not in str(answer.headers)


@pytest.mark.parametrize(
    "location",
    ["127.0.0.1:22", "//evil.example", "4@evil.example", "4/../5", "[::ffff:169.254.169.254]"],
)
def test_a_voicelocation_is_looked_up_and_no_address(
    known: TestClient, backstage: Backstage, location: str
) -> None:
    """It reaches the flow as it came, which finds none of that name (threats.md T11)."""
    known.get(f"/voice.wav?{QUERY.replace('voicelocation=4', 'voicelocation=' + location)}")
    assert backstage.issue.asked[0]["voicelocation"] == location


@pytest.mark.parametrize(
    "path", ["/voice", "/voice.", "/voice.wav/", "//voice.wav", "/a/voice.wav"]
)
def test_other_addresses_are_not_there(known: TestClient, backstage: Backstage, path: str) -> None:
    """404 in the same form; never a redirect, which would take the credentials along."""
    answer = known.get(f"http://testserver{path}?{QUERY}")
    assert answer.status_code == 404
    assert answer.text == "not_found: There is nothing at this address."
    assert backstage.issue.asked == []


def test_a_password_is_asked_for_first(web: TestClient, backstage: Backstage) -> None:
    """Who gives none learns nothing about parameters."""
    assert web.get("/voice.exe?nonsense").status_code == 401
    assert web.get(f"/voice.wav?{QUERY}", auth=(USERNAME, PASSWORD)).status_code == 200
