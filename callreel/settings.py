"""One frozen Settings from a file and the environment. Nothing reads either after start.

``DATA/callreel.toml`` first, then ``CALLREEL__SECTION__KEY`` from the environment, then what the
command line says. Unknown keys are faults with a suggestion, and all faults are shown at once.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from callreel.errors import ConfigurationError
from callreel.wire import is_plain_origin

CONFIG_FILE = "callreel.toml"
ENVIRONMENT_PREFIX = "CALLREEL__"
_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
# It becomes part of a header: a scheme, a name and a port, and nothing that could add a rule.
_ORIGIN = re.compile(r"https?://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the two applications listen and how they are reached."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8080
    """Port of the web application."""
    echo_port: int = 0
    """Port of Echo; 0 means the web application's port plus one."""
    base_url: str = ""
    """Public address of the web application; empty means made from host and port."""
    echo_url: str = ""
    """Public address of Echo for voicelocations that name none; empty means host and port."""
    tls_cert: str = ""
    """PEM file of the certificate chain; with ``tls_key`` both applications speak https."""
    tls_key: str = ""
    """PEM file of the private key."""
    voicelocations: str = ""
    """Voicelocations whose recordings this Echo sends, joined by commas; empty: all of them.
    Tokens for another one are refused."""
    max_streams: int = 256
    """How many recordings are sent at once; more are answered 503."""
    embed_origins: str = ""
    """Other web sites whose pages may show the player of an integrator's link, joined by commas."""
    plain_login: bool = False
    """Whether passwords are taken from pages that came by plain http from another machine."""
    ongoing_hours: float = 4.0
    """How long a call in progress is shown without any news of it."""
    trusted_proxies: str = ""
    """Addresses and networks of proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are
    believed, joined by commas; empty: nobody's."""

    @property
    def ongoing_ms(self) -> int:
        """``ongoing_hours`` in milliseconds."""
        return round(self.ongoing_hours * 3_600_000)

    @property
    def own_voicelocations(self) -> frozenset[str]:
        """The voicelocations that this Echo sends; empty for all."""
        return frozenset(filter(None, map(str.strip, self.voicelocations.split(","))))

    @property
    def allowed_frames(self) -> tuple[str, ...]:
        """The origins of ``embed_origins``."""
        return tuple(filter(None, map(str.strip, self.embed_origins.split(","))))

    @property
    def own_proxies(self) -> tuple[str, ...]:
        """The entries of ``trusted_proxies``."""
        return tuple(filter(None, map(str.strip, self.trusted_proxies.split(","))))

    @property
    def effective_echo_port(self) -> int:
        """The port that Echo listens on."""
        return self.echo_port or self.port + 1

    @property
    def tls(self) -> bool:
        """Whether the applications speak https."""
        return bool(self.tls_cert)

    @property
    def public_base_url(self) -> str:
        """Address of the web application as clients see it, without a slash at the end."""
        return (self.base_url or self._url(self.port)).rstrip("/")

    @property
    def public_echo_url(self) -> str:
        """Address of Echo as clients see it, without a slash at the end."""
        return (self.echo_url or self._url(self.effective_echo_port)).rstrip("/")

    def _url(self, port: int) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where calls are kept."""

    url: str = ""
    """``postgresql://…``, or empty for the SQLite file ``callreel.db`` in the data folder."""


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The cache of masked sound: renders of FLAC, AAC and WebM, segments of MP3 and Opus."""

    limit_mib: int = 1024
    """What was used longest ago is removed above so many MiB."""
    wait_s: float = 30.0
    """How long a request waits for a render. Source: contract.md 3.3."""


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The mail server that takes what schedules send."""

    host: str = ""
    """Empty: nothing is mailed."""
    port: int = 587
    security: str = "starttls"
    """``starttls``, ``tls`` from the first byte, or ``none``."""
    sender: str = ""
    """The address that mail comes from."""
    username: str = ""
    """Empty where the server asks for no login."""
    password_file: str = ""
    """A file that only its owner may read, with the password; never in the settings themselves."""
    ca_file: str = ""
    """PEM of who signed the mail server's certificate; empty: those that this machine trusts."""
    domains: str = ""
    """Where mail may go, joined by commas; empty: anywhere."""

    @property
    def allowed_domains(self) -> frozenset[str]:
        """Where mail may go, in lower case; empty for anywhere."""
        return frozenset(filter(None, (each.strip().lower() for each in self.domains.split(","))))


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """What schedules may do beside mail."""

    folder: str = ""
    """Below which folder they may put files; empty: nowhere."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set."""

    data_dir: Path
    server: ServerSettings = field(default_factory=ServerSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    mail: MailSettings = field(default_factory=MailSettings)
    schedules: ScheduleSettings = field(default_factory=ScheduleSettings)

    @property
    def database_url(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database.url or f"sqlite:///{self.data_dir / 'callreel.db'}"

    @property
    def key_file(self) -> Path:
        """Where the keys are."""
        return self.data_dir / "keys.json"

    @property
    def store_dir(self) -> Path:
        """Where recordings are kept by default."""
        return self.data_dir / "store"

    @property
    def cache_dir(self) -> Path:
        """Where masked renders are kept."""
        return self.data_dir / "cache"

    @property
    def jobs_dir(self) -> Path:
        """Where files are that people asked for."""
        return self.data_dir / "jobs"


_Section = ServerSettings | DatabaseSettings | CacheSettings | MailSettings | ScheduleSettings
SECTIONS: dict[str, type[_Section]] = {
    "server": ServerSettings,
    "database": DatabaseSettings,
    "cache": CacheSettings,
    "mail": MailSettings,
    "schedules": ScheduleSettings,
}


def load_settings(
    data_dir: Path,
    environment: Mapping[str, str],
    overrides: Mapping[str, Mapping[str, object]] | None = None,
) -> Settings:
    """Gather the settings of one data folder.

    Args:
        data_dir: The data folder.
        environment: Usually ``os.environ``.
        overrides: Section to key to value, from the command line; None values are left out.

    Raises:
        ConfigurationError: All faults in one message, one line each.
    """
    faults: list[str] = []
    values: dict[str, dict[str, object]] = {name: {} for name in SECTIONS}
    for section, key, value, where in (
        *_from_file(data_dir / CONFIG_FILE, faults),
        *_from_environment(environment),
        *_from_overrides(overrides or {}),
    ):
        converted = _checked(section, key, value, where, faults)
        if converted is not None:
            values[section][key] = converted
    server = ServerSettings(**values["server"])  # type: ignore[arg-type]  # checked one by one above
    database = DatabaseSettings(**values["database"])  # type: ignore[arg-type]  # as above
    cache = CacheSettings(**values["cache"])  # type: ignore[arg-type]  # as above
    mail = MailSettings(**values["mail"])  # type: ignore[arg-type]  # as above
    schedules = ScheduleSettings(**values["schedules"])  # type: ignore[arg-type]  # as above
    faults += _contradictions(server)
    faults += _limit_faults(server, cache)
    faults += _mail_faults(mail)
    if schedules.folder and not Path(schedules.folder).is_absolute():
        faults.append("schedules.folder: give it from the root, such as /srv/reports")
    if faults:
        raise ConfigurationError("\n".join(faults))
    return Settings(data_dir.absolute(), server, database, cache, mail, schedules)


_Item = tuple[str, str, object, str]


def _from_file(path: Path, faults: list[str]) -> list[_Item]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(f"{path}: cannot be read: {error}")
        return []
    items: list[_Item] = []
    for section, table in document.items():
        if not isinstance(table, dict):
            faults.append(f"{path}: '{section}' stands outside a section such as [server]")
            continue
        where = f"{path}, [{section}]"
        items += [(section, key, value, f"{where} {key}") for key, value in table.items()]
    return items


def _from_environment(environment: Mapping[str, str]) -> list[_Item]:
    items: list[_Item] = []
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX):
            section, _, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
            items.append((section, key, environment[name], f"environment {name}"))
    return items


def _from_overrides(overrides: Mapping[str, Mapping[str, object]]) -> list[_Item]:
    return [
        (section, key, value, f"option for {section}.{key}")
        for section, table in overrides.items()
        for key, value in table.items()
        if value is not None
    ]


def _checked(section: str, key: str, value: object, where: str, faults: list[str]) -> object | None:
    record = SECTIONS.get(section)
    if record is None:
        faults.append(f"{where}: there is no section '{section}'{_did_you_mean(section, SECTIONS)}")
        return None
    known = record.__dataclass_fields__
    if key not in known:
        faults.append(f"{where}: there is no key '{key}'{_did_you_mean(key, known)}")
        return None
    kind = str(known[key].type)
    convert: Callable[[object], object] = _CONVERTERS[kind]
    try:
        return convert(value)
    except ValueError:
        faults.append(f"{where}: {value!r} is not {_KINDS[kind]}")
        return None


def _did_you_mean(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004  # told to a person as the same fault as a wrong number
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError  # noqa: TRY004  # as above
    return int(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError  # noqa: TRY004  # as above
    return float(value)


_CONVERTERS: dict[str, Callable[[object], object]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
}
_KINDS = {"str": "a text", "int": "a whole number", "float": "a number"}


def _contradictions(server: ServerSettings) -> list[str]:
    faults = []
    for name, port in (("port", server.port), ("echo_port", server.effective_echo_port)):
        if not 1 <= port <= 65_535:
            faults.append(f"server.{name}: {port} is not a port from 1 to 65535")
    if server.port == server.effective_echo_port:
        faults.append("server.echo_port: must differ from server.port; Echo is another origin")
    if bool(server.tls_cert) != bool(server.tls_key):
        faults.append("server.tls_cert and server.tls_key: give both or neither")
    for name in ("tls_cert", "tls_key"):
        path = getattr(server, name)
        if path and not os.access(path, os.R_OK):
            faults.append(f"server.{name}: cannot read {path}")
    for name in ("base_url", "echo_url"):
        url = getattr(server, name)
        if url and not is_plain_origin(url):
            faults.append(f"server.{name}: {url!r} is not an address such as https://calls.example")
    faults += [
        f"server.embed_origins: {origin!r} is not an origin such as https://crm.example"
        for origin in server.allowed_frames
        if not _ORIGIN.fullmatch(origin)
    ]
    faults += [
        f"server.trusted_proxies: {each!r} is not an address or a network such as 10.0.0.0/24"
        for each in server.own_proxies
        if not _is_some_network(each)
    ]
    return faults


def _is_some_network(text: str) -> bool:
    """Whether a text is an address or a network, and not that of everybody."""
    try:
        return ipaddress.ip_network(text).prefixlen > 0
    except ValueError:
        return False


_WEEK_H = 168


def _limit_faults(server: ServerSettings, cache: CacheSettings) -> list[str]:
    faults = []
    if server.max_streams < 1 or cache.limit_mib < 1 or cache.wait_s < 0:
        faults.append("server.max_streams and cache.limit_mib: 1 or more; cache.wait_s: 0 or more")
    if not 0 < server.ongoing_hours <= _WEEK_H:
        faults.append(f"server.ongoing_hours: more than 0, and at most {_WEEK_H}, which is a week")
    return faults


def _mail_faults(mail: MailSettings) -> list[str]:
    if not mail.host:
        return []
    faults = []
    if not 1 <= mail.port <= 65_535:
        faults.append(f"mail.port: {mail.port} is not a port from 1 to 65535")
    if mail.security not in {"starttls", "tls", "none"}:
        faults.append(f"mail.security: {mail.security!r} is not starttls, tls or none")
    if not _MAIL_ADDRESS.fullmatch(mail.sender):
        faults.append("mail.sender: needs an address such as callreel@example.org")
    if bool(mail.username) != bool(mail.password_file):
        faults.append("mail.username and mail.password_file: give both or neither")
    if mail.username and mail.security == "none":
        faults.append("mail.security: a password is sent over starttls or tls only")
    for name in ("password_file", "ca_file"):
        path = getattr(mail, name)
        if path and not os.access(path, os.R_OK):
            faults.append(f"mail.{name}: cannot read {path}")
    return faults
