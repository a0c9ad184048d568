"""Mail through a real server: taken, refused, over TLS, with a password, and not at all."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callreel.errors import BadRequest, ConfigurationError
from callreel.flows import mail
from callreel.flows.mail import Letter, Mailer, checked_address, one_line
from callreel.model import UnixMillis
from tests.flows.post import PASSWORD, certificate, free_port, post

ANN, BOB = "ann@example.org", "bob@example.net"


@pytest.fixture
def letter(tmp_path: Path) -> Letter:
    """A small table to two people."""
    path = tmp_path / "calls-2026-11-23.csv"
    path.write_bytes(b"id\r\nc1\r\n")
    at = UnixMillis(1_790_000_000_000)
    return Letter((ANN, BOB), "Calls: yesterday", "Rows: 1.\n", path, "s1.7", at)


def test_a_letter_arrives_with_its_file_and_nothing_else(letter: Letter) -> None:
    """One attachment, a subject, and an id that stays when it is sent again."""
    with post() as server:
        sent = Mailer(server.plain()).send(letter)
    assert sent.accepted == (ANN, BOB)
    (got,) = server.letters
    assert server.envelopes == [("callreel@example.org", [ANN, BOB])]
    assert got["Subject"] == "Calls: yesterday"
    assert got["To"] == f"{ANN}, {BOB}"
    assert got["From"] == "Callreel <callreel@example.org>"
    assert got["Message-ID"] == "<s1.7@example.org>"
    assert got["Auto-Submitted"] == "auto-generated"
    (attached,) = list(got.iter_attachments())
    assert attached.get_filename() == "calls-2026-11-23.csv"
    assert attached.get_payload(decode=True) == b"id\r\nc1\r\n"


def test_over_starttls_with_a_password(letter: Letter, tmp_path: Path) -> None:
    """The certificate is checked against who the site trusts."""
    tls, signed = certificate(tmp_path)
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    with post(tls=tls) as server:
        reach = replace(
            server.plain(),
            security="starttls",
            username="callreel",
            password_file=str(secret),
            ca_file=str(signed),
        )
        assert Mailer(reach).send(letter).accepted == (ANN, BOB)
        assert server.secure == [True]

        untrusted = Mailer(replace(reach, ca_file="")).send(letter)
        assert (untrusted.accepted, untrusted.later) == ((), (ANN, BOB))
        assert "No safe connection" in untrusted.told

        secret.write_text("wrong")
        refused = Mailer(reach).send(letter)
        assert set(refused.refused) == {ANN, BOB}
        assert "mail.password_file" in refused.told
        assert PASSWORD not in refused.told

        unsafe = Mailer(replace(reach, security="none", username="", password_file=""))
        assert unsafe.send(letter).accepted == ()
        assert len(server.letters) == 1


def test_a_password_is_not_sent_where_the_server_has_no_tls(letter: Letter, tmp_path: Path) -> None:
    """Somebody between could take STARTTLS out of the answer."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    with post() as server:
        reach = replace(
            server.plain(), security="starttls", username="x", password_file=str(secret)
        )
        sent = Mailer(reach).send(letter)
    assert "mail.security" in sent.told
    assert server.letters == []


def test_a_password_that_others_can_read_is_refused(letter: Letter, tmp_path: Path) -> None:
    """Before anybody is talked to."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    reach = mail.MailServer("127.0.0.1", free_port(), "tls", "a@b.c", "x", str(secret))
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Mailer(reach).send(letter)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Mailer(replace(reach, password_file=str(tmp_path / "none"))).send(letter)
    secret.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"mail\.ca_file"):
        Mailer(replace(reach, ca_file=str(tmp_path / "none"))).send(letter)


def test_who_is_refused_is_told_and_others_get_it(letter: Letter) -> None:
    """For good, and for now."""
    with post() as server:
        server.refusals = {BOB: "550 no such \x1b[31mperson"}
        sent = Mailer(server.plain()).send(letter)
        assert (sent.accepted, sent.later) == ((ANN,), ())
        assert "550 no such" in sent.refused[BOB]
        assert sent.told.isprintable()
        server.refusals = {ANN: "451 try later", BOB: "450 full"}
        assert Mailer(server.plain()).send(letter).later == (ANN, BOB)
        server.refusals = {}
        server.refuses_data = "452 no room"
        assert Mailer(server.plain()).send(letter).later == (ANN, BOB)
        server.refuses_data = "554 spam"
        assert set(Mailer(server.plain()).send(letter).refused) == {ANN, BOB}


def test_a_server_that_is_down_or_says_nothing_may_take_it_later(
    letter: Letter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever."""
    down = mail.MailServer("127.0.0.1", free_port(), "none", "callreel@example.org")
    sent = Mailer(down).send(letter)
    assert sent.later == (ANN, BOB)
    assert "cannot be reached" in sent.told
    monkeypatch.setattr(mail, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reach = replace(down, port=silent.getsockname()[1])
        assert Mailer(reach).send(letter).later == (ANN, BOB)


def test_what_was_taken_counts_though_the_server_never_says_goodbye(letter: Letter) -> None:
    """Else everybody would get it twice."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            """Take a letter, then hang up at QUIT."""
            connection, _ = listening.accept()
            with connection, connection.makefile("rwb") as lines:
                lines.write(b"220 x\r\n")
                lines.flush()
                in_letter = False
                for line in lines:
                    if in_letter and line != b".\r\n":
                        continue
                    if line.upper().startswith(b"QUIT"):
                        lines.write(b"500 never\r\n")
                        lines.flush()
                        return
                    in_letter = line.upper().startswith(b"DATA")
                    lines.write(b"354 go\r\n" if in_letter else b"250 ok\r\n")
                    lines.flush()

        thread = threading.Thread(target=talk)
        thread.start()
        port = listening.getsockname()[1]
        reach = mail.MailServer("127.0.0.1", port, "none", "callreel@example.org")
        sent = Mailer(reach).send(letter)
        thread.join()
    assert (sent.told, sent.accepted) == ("", (ANN, BOB))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "ann@",
        "@example.org",
        "ann@example..org",
        "ann@-example.org",
        ".ann@example.org",
        "a..b@example.org",
        "ann@example.org\r\nBcc: eve@evil.example",
        "ann@example.org\n",
        "ann@example.org,eve@evil.example",
        "ann@example.org eve@evil.example",
        "<ann@example.org>",
        "Ann <ann@example.org>",
        '"ann"@example.org',
        "ann@[127.0.0.1]",
        "zo\u00eb@example.org",
        "ann@ex\u00e4mple.org",
        "ann\0@example.org",
        "a" * 65 + "@example.org",
        "a@" + ".".join(["b" * 60] * 5),
    ],
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    """No header, no second recipient, no name."""
    with pytest.raises(BadRequest, match="recipients"):
        checked_address(text)


def test_mail_goes_only_where_it_may() -> None:
    """A site may name its own domains."""
    own = frozenset({"example.org"})
    assert checked_address("Ann.O'Neill+x@Example.org", own)
    with pytest.raises(BadRequest, match=r"example\.org only"):
        checked_address("eve@evil.example", own)


@given(subject=st.text(max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_subject_adds_a_header(letter: Letter, subject: str) -> None:
    """Whatever the name of a schedule or a site holds."""
    clean = "".join(c for c in subject if not "\ud800" <= c <= "\udfff")
    reach = mail.MailServer("127.0.0.1", 1, "none", "callreel@example.org")
    message = Mailer(reach)._message(replace(letter, subject=clean))
    head = message.as_bytes().partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n")]
    assert sorted(names) == sorted(
        [
            *(b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted"),
            *(b"MIME-Version", b"Content-Type"),
        ]
    )
    assert one_line(subject, 50).isprintable()


@pytest.mark.parametrize("name", ["call.wav", "call.mp3", "x.html", "x"])
def test_a_recording_is_never_attached(letter: Letter, tmp_path: Path, name: str) -> None:
    """Only tables and reports are."""
    (tmp_path / name).write_bytes(b"x")
    reach = mail.MailServer("127.0.0.1", 1, "none", "callreel@example.org")
    with pytest.raises(BadRequest, match="never sent"):
        Mailer(reach).send(replace(letter, attachment=tmp_path / name))


def test_a_file_that_no_server_would_take_is_not_sent(
    letter: Letter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what else can be done is told."""
    monkeypatch.setattr(mail, "MAX_BYTES", 4)
    reach = mail.MailServer("127.0.0.1", 1, "none", "callreel@example.org")
    with pytest.raises(BadRequest, match="into a folder"):
        Mailer(reach).send(letter)
