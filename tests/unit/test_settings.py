"""Settings: file, environment, command line, and every fault named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from callreel.errors import ConfigurationError
from callreel.settings import load_settings
from callreel.wire import is_plain_origin


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    """Two origins on loopback, SQLite in the data folder."""
    settings = load_settings(tmp_path, {})
    assert settings.server.public_base_url == "http://127.0.0.1:8080"
    assert settings.server.public_echo_url == "http://127.0.0.1:8081"
    assert settings.database_url == f"sqlite:///{tmp_path}/callreel.db"


def test_the_command_line_beats_the_environment_beats_the_file(tmp_path: Path) -> None:
    """The nearer source wins, key by key."""
    (tmp_path / "callreel.toml").write_text(
        "[server]\nport = 9000\necho_port = 9500\nbase_url = 'https://calls.example/'\n"
    )
    environment = {"CALLREEL__SERVER__PORT": "9100", "OTHER": "x"}
    settings = load_settings(tmp_path, environment, {"server": {"echo_port": 9600, "port": None}})
    assert (settings.server.port, settings.server.effective_echo_port) == (9100, 9600)
    assert settings.server.public_base_url == "https://calls.example"


def test_all_faults_are_shown_at_once_and_name_their_key(tmp_path: Path) -> None:
    """One run tells everything that is to be mended."""
    (tmp_path / "callreel.toml").write_text(
        "loose = 1\n[server]\nprot = 1\nport = 'many'\n[cash]\nx = 1\n"
    )
    environment = {"CALLREEL__CACHE__LIMIT_MIB": "lots", "CALLREEL__SERVER__ECHO_URL": "ftp://x"}
    with pytest.raises(ConfigurationError) as fault:
        load_settings(tmp_path, environment)
    message = fault.value.message
    for part in (
        "'loose' stands outside",
        "did you mean 'port'",
        "'many' is not a whole number",
        "no section 'cash'; did you mean 'cache'",
        "CALLREEL__CACHE__LIMIT_MIB: 'lots'",
        "'ftp://x' is not an address",
    ):
        assert part in message
    assert str(tmp_path / "callreel.toml") in message


@pytest.mark.parametrize(
    ("server", "complaint"),
    [
        ({"port": 0}, "not a port"),
        ({"port": 80, "echo_port": 80}, "must differ"),
        ({"tls_cert": "/dev/null"}, "both or neither"),
        ({"tls_cert": "/nowhere", "tls_key": "/dev/null"}, "cannot read /nowhere"),
        ({"max_streams": 0}, "1 or more"),
        *(
            ({"trusted_proxies": f"10.0.0.1,{proxy}"}, "server.trusted_proxies")
            for proxy in ("*", "proxy.example", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.1/8")
        ),
        ({"ongoing_hours": 0}, "server.ongoing_hours: more than 0"),
        ({"ongoing_hours": 168.5}, "at most 168"),
        ({"ongoing_hours": "nan"}, "server.ongoing_hours: more than 0"),
        *(
            ({"embed_origins": f"https://crm.example, {origin}"}, "server.embed_origins")
            for origin in (
                "*",
                "crm.example",
                "https://*.example",
                "https://crm.example/",
                "https://crm.example; script-src *",
                "https://u@crm.example",
                "'self'",
                "data:",
                "https://crm\n.example",
                "https://crm.example https://x.example",
            )
        ),
    ],
)
def test_contradictions_are_refused(
    tmp_path: Path, server: dict[str, object], complaint: str
) -> None:
    """Values that are fine alone and wrong together."""
    with pytest.raises(ConfigurationError, match=complaint):
        load_settings(tmp_path, {}, {"server": server})


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    """With the place of the fault."""
    (tmp_path / "callreel.toml").write_text("[server\n")
    with pytest.raises(ConfigurationError, match=r"callreel\.toml: cannot be read.*line 1"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize(
    "url", ["http://a\\@b@c", "http://u:p@h", "http://h/?q", "http://", "x", "http://h:99999999"]
)
def test_an_address_with_hidden_parts_is_no_origin(url: str) -> None:
    """User names, queries and nonsense do not belong into an address of ours."""
    assert not is_plain_origin(url)


@pytest.mark.parametrize(
    ("mail", "complaint"),
    [
        ({"port": 0}, "mail.port"),
        ({"security": "ssl"}, "mail.security"),
        ({"sender": "nobody"}, "mail.sender"),
        ({"sender": "a@b.c\nBcc: eve@evil.example"}, "mail.sender"),
        ({"username": "x"}, "both or neither"),
        ({"username": "x", "password_file": "/dev/null", "security": "none"}, "starttls or tls"),
        ({"username": "x", "password_file": "/nowhere"}, "cannot read /nowhere"),
        ({"ca_file": "/nowhere"}, "mail.ca_file"),
        ({"secret": "x"}, "no key"),
    ],
)
def test_a_mail_server_that_cannot_be_used_is_named(
    tmp_path: Path, mail: dict[str, object], complaint: str
) -> None:
    """At start, not on the first Monday morning."""
    good = {"host": "mail.example.org", "sender": "callreel@example.org"}
    assert load_settings(tmp_path, {}, {"mail": good}).mail.security == "starttls"
    with pytest.raises(ConfigurationError, match=complaint):
        load_settings(tmp_path, {}, {"mail": {**good, **mail}})


def test_a_folder_for_schedules_is_named_from_the_root(tmp_path: Path) -> None:
    """A server may be started anywhere."""
    with pytest.raises(ConfigurationError, match=r"schedules\.folder"):
        load_settings(tmp_path, {}, {"schedules": {"folder": "reports"}})
    own = load_settings(tmp_path, {}, {"mail": {"domains": " Example.org, ,b.example"}})
    assert own.mail.allowed_domains == {"example.org", "b.example"}


def test_origins_that_may_frame_are_a_list(tmp_path: Path) -> None:
    """Joined by commas, with blanks or without."""
    given = " https://crm.example,http://localhost:8090 ,"
    loaded = load_settings(tmp_path, {}, {"server": {"embed_origins": given}})
    assert loaded.server.allowed_frames == ("https://crm.example", "http://localhost:8090")
    assert load_settings(tmp_path, {}).server.allowed_frames == ()
