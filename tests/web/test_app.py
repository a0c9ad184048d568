"""What is around the endpoints: headers, front page, health, the log, the OpenAPI document."""

from __future__ import annotations

import io
import json

import pytest
import structlog
from starlette.routing import Route
from starlette.testclient import TestClient
from structlog.typing import EventDict

from callreel.audio.formats import FORMATS
from callreel.web.edge import without_tokens
from callreel.web.openapi import document
from callreel.web.parameters import CALLS, CHANGES
from tests.web.stage import Backstage

PATHS = [
    "/livez",
    "/nothing",
    "/voice.wav",
    "/api/v1/calls",
    "/api/v1/openapi.json",
    "/signal.js",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_keeps_browsers_careful(web: TestClient, path: str) -> None:
    """Errors included; each header once."""
    headers = web.get(path).headers
    for name, value in {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "cross-origin-resource-policy": "same-origin",
    }.items():
        assert headers.get_list(name) == [value]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_the_front_page_leads_to_the_calls(web: TestClient) -> None:
    """And from there to where people sign in."""
    answer = web.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/calls")
    answer = web.get("/calls?q=0161", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/login?next=%2Fcalls%3Fq%3D0161",
    )


def test_health_is_told_without_details(web: TestClient, backstage: Backstage) -> None:
    """Alive whenever it answers; ready when it can do its work."""
    assert (web.get("/livez").status_code, web.get("/livez").text) == (200, "ok")
    assert (web.get("/readyz").status_code, web.get("/readyz").text) == (200, "ok")
    backstage.ready = False
    assert (web.get("/readyz").status_code, web.get("/readyz").text) == (503, "not ready")
    assert web.get("/livez").status_code == 200


def test_health_is_told_by_echo_too(backstage: Backstage) -> None:
    """Each process is asked by itself."""
    with TestClient(backstage.echo()) as echo:
        assert echo.get("/livez").status_code == 200
        backstage.ready = False
        assert echo.get("/readyz").status_code == 503


TOKEN = "AWtleTEAAAGiB2Vw-_" * 8


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        (f"/v/{TOKEN}", "/v/[token]"),
        ("/v/short", "/v/[token]"),
        ("/p/AbCdEfGhIjKlMnOpQrStUv", "/p/[token]"),
        ("/p/cut", "/p/[token]"),
        ("/lease/AbCdEfGhIjKlMnOpQrStUv/audio/3", "/lease/[token]/audio/3"),
        ("/lease/0123456789abcdef/heard", "/lease/0123456789abcdef/heard"),
        (f"/V/{TOKEN}", "/V/[token]"),
        (f"//v/{TOKEN}", "//v/[token]"),
        (f"/elsewhere/{TOKEN}/x", "/elsewhere/[token]/x"),
        ("/voice.wav", "/voice.wav"),
        ("/api/v1/recordings/0192f3a1-7a5b-7c3e-9d11-2f6b8c1d0e4a/tokens",) * 2,
    ],
)
def test_a_token_is_never_logged(path: str, logged: str) -> None:
    """Wherever in a path somebody put it (threats.md T5)."""
    assert without_tokens(path) == logged


def test_a_request_is_one_line_without_its_query(web: TestClient, logs: list[EventDict]) -> None:
    """Nothing that a client wrote can break the line or reach a terminal (threats.md T38)."""
    web.get("/a%0Ab%1b]0;x%E2%80%A8?salt=secret", headers={"User-Agent": "evil\x1b"})
    (entry,) = [each for each in logs if each["event"] == "request"]
    assert entry["path"] == "/a\nb\x1b]0;x\u2028"
    assert "secret" not in str(entry)
    assert (entry["app"], entry["method"], entry["status"]) == ("web", "GET", 404)
    assert (entry["complete"], entry["address"]) == (True, "testclient")
    out = io.StringIO()
    renderer = structlog.processors.JSONRenderer(ensure_ascii=True)
    out.write(str(renderer(None, "info", dict(entry))))
    assert out.getvalue().isprintable()
    assert json.loads(out.getvalue())["path"] == entry["path"]


def test_the_document_is_what_the_server_reads(web: TestClient, backstage: Backstage) -> None:
    """Built from the tables: every parameter and format is in it, every address answers."""
    shown = web.get("/api/v1/openapi.json").json()
    assert shown == json.loads(json.dumps(document()))
    assert shown["openapi"].startswith("3.1")
    paths = shown["paths"]
    given = paths["/api/v1/calls"]["get"]["parameters"]
    assert [each["name"] for each in given] == [each.name for each in CALLS]
    given = paths["/api/v1/changes"]["get"]["parameters"]
    assert [each["name"] for each in given] == [each.name for each in CHANGES]
    body = paths["/api/v1/recordings/{recording_id}/tokens"]["post"]["requestBody"]
    formats = body["content"]["application/json"]["schema"]["properties"]["format"]["enum"]
    assert formats == list(FORMATS)
    for path, operations in paths.items():
        for method in operations:
            answer = web.request(method, path.replace("{", "").replace("}", ""))
            assert answer.status_code == 401, path


def test_every_reference_of_the_document_leads_somewhere() -> None:
    """A program that reads it finds all shapes."""
    text = json.dumps(document())
    shapes = document()["components"]["schemas"]  # type: ignore[index]
    for reference in text.split('"$ref": "')[1:]:
        name = reference.partition('"')[0].removeprefix("#/components/schemas/")
        assert name in shapes


def test_routes_of_the_api_are_in_the_document(backstage: Backstage) -> None:
    """Nothing answers that is not written down; the extensions are told by the list's own entry."""
    app = backstage.web()
    while not hasattr(app, "routes"):
        app = app._app  # type: ignore[attr-defined]
    routes = {route.path for route in app.routes if isinstance(route, Route)}
    api = {path for path in routes if path.startswith("/api/")}
    known = set(document()["paths"])  # type: ignore[call-overload]
    assert api - known == {"/api/v1/calls.{extension}", "/api/v1/openapi.json"}
    assert known <= api
