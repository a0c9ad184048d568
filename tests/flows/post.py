"""A mail server that takes, refuses and asks for passwords, over TLS, as real ones do."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from callreel.flows.mail import MailServer

PASSWORD = "correct horse battery staple"


@dataclass
class Post:
    """What came, and what the server shall answer."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    """By address; what is said instead of yes."""
    refuses_data: str = ""

    async def handle_RCPT(  # noqa: N802  # as the library calls it
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        """Take or refuse a recipient."""
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # as above
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take or refuse a letter."""
        if self.refuses_data:
            return self.refuses_data
        content = envelope.content
        assert isinstance(content, bytes)
        letter = message_from_bytes(content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        self.envelopes.append((str(envelope.mail_from), list(envelope.rcpt_tos)))
        self.secure.append(session.ssl is not None)
        return "250 OK"

    def plain(self) -> MailServer:
        """How to reach it without TLS."""
        return MailServer("127.0.0.1", self.port, "none", "callreel@example.org")


def _may_enter(
    _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: object
) -> AuthResult:
    good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=good, handled=False)


@contextmanager
def post(port: int = 0, tls: ssl.SSLContext | None = None, **options: object) -> Iterator[Post]:
    """A mail server on a port of this machine."""
    handler = Post()
    if tls is not None:
        options |= {
            "tls_context": tls,
            "require_starttls": True,
            "authenticator": _may_enter,
            "auth_required": True,
        }
    controller = Controller(handler, hostname="127.0.0.1", port=port or free_port(), **options)
    handler.port = controller.port
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


def free_port() -> int:
    """A port that nobody listens on."""
    import socket  # noqa: PLC0415  # only here

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS for 127.0.0.1, and the file of who signed it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    signed, secret = folder / "mail.pem", folder / "mail.key"
    signed.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, secret)
    return context, signed
