"""Files by e-mail, through the site's own mail server.

Addresses are of a narrow form and headers are of one line, so that nothing that somebody typed can
add a header or a recipient. A password travels over TLS or not at all.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from callreel.errors import BadRequest, ConfigurationError
from callreel.model import UnixMillis
from callreel.wording import joined, to_translate, worded

TIMEOUT_S = 20.0
"""For each step of the talk with a mail server."""
MAX_BYTES = 20 << 20
"""Of an attachment; most servers refuse more. Larger ones go to a folder."""
MAX_SUBJECT_CHARS = 150
SECURITIES = ("starttls", "tls", "none")
_TYPES = {
    ".csv": ("text", "csv"),
    ".xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ".pdf": ("application", "pdf"),
}
"""What may be attached; never sound."""
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Who takes our mail."""

    host: str
    port: int
    security: str
    """``starttls``, ``tls`` from the first byte, or ``none``."""
    sender: str
    username: str = ""
    """Empty where the server asks for none."""
    password_file: str = ""
    ca_file: str = ""
    """PEM of who signed the server's certificate; empty: those that this machine trusts."""
    domains: frozenset[str] = frozenset()
    """Where mail may go; empty: anywhere."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message with a file."""

    recipients: tuple[str, ...]
    subject: str
    text: str
    attachment: Path
    message_id: str
    """What stays the same when it is sent again; without brackets and domain."""
    at: UnixMillis


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a letter."""

    accepted: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    """Who could not get it now, and may get it later."""
    refused: dict[str, str] = field(default_factory=dict)
    """Who will never get it, and why."""
    told: str = ""
    """Why nothing was taken, in words."""


def checked_address(text: str, domains: frozenset[str] = frozenset()) -> str:
    """An address that is safe in a header.

    Raises:
        BadRequest: It is not one, or is outside the domains that mail may go to.
    """
    local_part, _, domain = text.rpartition("@")
    if len(text) > 254 or len(local_part) > 64 or not _ADDRESS.fullmatch(text):
        raise BadRequest(
            worded(
                "recipients: %(text)s is not an address such as ann@example.org.",
                text=repr(text[:80]),
            )
        )
    if domains and domain.lower() not in domains:
        raise BadRequest(
            worded(
                "recipients: mail may go to %(known)s only, not to %(domain)s.",
                known=", ".join(sorted(domains)),
                domain=domain[:80],
            )
        )
    return text


def one_line(text: str, most: int) -> str:
    """A text that breaks no line and moves no cursor, cut to so many characters."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split())[:most]


class Mailer:
    """Sends letters."""

    def __init__(self, server: MailServer) -> None:
        self.server = server

    def send(self, letter: Letter) -> Sent:
        """Hand a letter to the mail server; what that says is told, nothing is raised for it.

        Raises:
            ConfigurationError: The password file or the CA file cannot be used.
            BadRequest: The file is too large, or of a kind that is never sent.
            OSError: The file cannot be read.
        """
        message = self._message(letter)
        server = self.server
        password = _password(server) if server.username else ""
        try:
            context = ssl.create_default_context(cafile=server.ca_file or None)
        except OSError as error:
            raise ConfigurationError(
                worded("mail.ca_file: cannot be used: %(error)s", error=str(error))
            ) from error
        try:
            refused = self._hand_over(message, letter.recipients, password, context)
        except smtplib.SMTPRecipientsRefused as error:
            refused = error.recipients
        except (OSError, smtplib.SMTPException) as error:
            return self._not_taken(letter.recipients, error)
        return _sorted_out(letter.recipients, refused)

    def _hand_over(
        self,
        message: EmailMessage,
        recipients: Sequence[str],
        password: str,
        context: ssl.SSLContext,
    ) -> dict[str, tuple[int, bytes]]:
        """Who was refused; that the letter was taken is known before the server says goodbye."""
        talk = self._connect(context)
        try:
            if self.server.username:
                talk.login(self.server.username, password)
            refused = talk.send_message(message, self.server.sender, list(recipients))
            with contextlib.suppress(OSError, smtplib.SMTPException):
                talk.quit()
            return refused
        finally:
            talk.close()

    def _not_taken(self, everybody: tuple[str, ...], error: Exception) -> Sent:
        passes = True
        if isinstance(error, smtplib.SMTPNotSupportedError):
            told = to_translate("The mail server cannot do what mail.security asks for.")
            passes = False
        elif isinstance(error, smtplib.SMTPResponseException):
            said = _said(error.smtp_code, error.smtp_error)
            told = worded("The mail server answered %(what)s.", what=said)
            passes = 400 <= error.smtp_code < 500
            if isinstance(error, smtplib.SMTPAuthenticationError):
                check = to_translate("Check mail.username and mail.password_file.")
                told = joined([told, check], " ")
        elif isinstance(error, ssl.SSLError):
            why = one_line(str(error), 150)
            told = worded(
                "No safe connection to the mail server (%(why)s); check mail.ca_file.", why=why
            )
        else:
            why = one_line(str(error), 150)
            told = worded(
                "The mail server %(host)s cannot be reached (%(why)s).",
                host=self.server.host,
                why=why,
            )
        if passes:
            return Sent(later=everybody, told=told)
        return Sent(refused=dict.fromkeys(everybody, told), told=told)

    def _connect(self, context: ssl.SSLContext) -> smtplib.SMTP:
        server = self.server
        own_name = server.sender.rpartition("@")[2]
        if server.security == "tls":
            return smtplib.SMTP_SSL(
                server.host, server.port, own_name, timeout=TIMEOUT_S, context=context
            )
        talk = smtplib.SMTP(server.host, server.port, own_name, timeout=TIMEOUT_S)
        if server.security == "starttls":
            try:
                talk.starttls(context=context)
            except BaseException:
                talk.close()
                raise
        return talk

    def _message(self, letter: Letter) -> EmailMessage:
        kind = _TYPES.get(letter.attachment.suffix.lower())
        if kind is None:
            raise BadRequest(to_translate("A file of this kind is never sent by mail."))
        size = letter.attachment.stat().st_size
        if size > MAX_BYTES:
            raise BadRequest(
                worded(
                    "The file has %(size)s MiB, and mail takes %(most)s. Ask for "
                    "less, or have it put into a folder.",
                    size=size >> 20,
                    most=MAX_BYTES >> 20,
                )
            )
        domain = self.server.sender.rpartition("@")[2]
        message = EmailMessage(policy=SMTP)
        message["From"] = Address("Callreel", addr_spec=checked_address(self.server.sender))
        message["To"] = [Address(addr_spec=checked_address(each)) for each in letter.recipients]
        message["Subject"] = one_line(letter.subject, MAX_SUBJECT_CHARS)
        message["Date"] = format_datetime(datetime.fromtimestamp(letter.at // 1000, UTC))
        message["Message-ID"] = f"<{letter.message_id}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        message.add_attachment(
            letter.attachment.read_bytes(),
            maintype=kind[0],
            subtype=kind[1],
            filename=one_line(letter.attachment.name, 100),
        )
        return message


def _password(server: MailServer) -> str:
    path = Path(server.password_file)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigurationError(
                worded(
                    "mail.password_file: others can read %(path)s; run 'chmod 600 %(path)s'.",
                    path=str(path),
                )
            )
        return path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            worded("mail.password_file: cannot be read: %(error)s", error=str(error))
        ) from error


def _said(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return one_line(f"{code} {text}", 150)


def _sorted_out(everybody: Sequence[str], answers: dict[str, tuple[int, bytes]]) -> Sent:
    """Who got it, who may get it later, and who never will."""
    return Sent(
        accepted=tuple(each for each in everybody if each not in answers),
        later=tuple(each for each, (code, _) in answers.items() if code < 500),
        refused={each: _said(*said) for each, said in answers.items() if said[0] >= 500},
        told="; ".join(f"{each}: {_said(*said)}" for each, said in answers.items()),
    )
