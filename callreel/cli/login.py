"""Where the server is and who asks, for commands that speak to one: options, environment, prompt.

What a person types wins over the environment, and the environment over what a data folder tells.
"""

from __future__ import annotations

import ipaddress
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from urllib.parse import urlsplit

import click

from callreel.client import Client
from callreel.demo.state import LISTING_FILE
from callreel.model import Role

SERVER_FILE = "server.json"


@dataclass(frozen=True, slots=True)
class _Folder:
    """What a data folder tells about its server."""

    base_url: str | None = None
    passwords: dict[str, str] = field(default_factory=dict, repr=False)
    """Of the demo; empty in a real installation."""
    integrator: str | None = None
    """The name of the demo's integrator."""


@dataclass(frozen=True, slots=True)
class Login:
    """What was typed about the server and the login."""

    url: str | None
    data_dir: Path | None
    username: str | None
    ca_file: Path | None

    def open(self) -> Client:
        """A client for them.

        Asks for a password where one is missing and somebody is there to type it.

        Raises:
            click.UsageError: No address, no login, or one that cannot be used; says what to give.
        """
        base_url, folder = _address(self.url, self.data_dir)
        api_key = None if self.username else os.environ.get("CALLREEL_API_KEY")
        try:
            if api_key:
                client = Client(base_url, api_key=api_key, ca_file=self.ca_file)
            else:
                named = self.username or os.environ.get("CALLREEL_USER") or folder.integrator
                username, password = _password(named, folder)
                client = Client(base_url, username, password, ca_file=self.ca_file)
        except (ValueError, OSError) as error:
            raise click.UsageError(f"{error}.") from error
        _warn_about_plain_http(client.base_url)
        return client


def login_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--url``, ``--data``, ``--user`` and ``--ca-file``; the command gets a ``login``."""

    @wraps(command)
    def run(
        *args: object,
        url: str | None,
        data_dir: Path | None,
        username: str | None,
        ca_file: Path | None,
        **kwargs: object,
    ) -> None:
        command(*args, login=Login(url, data_dir, username, ca_file), **kwargs)

    for option in (
        click.option(
            "--ca-file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            envvar="CALLREEL_CA_FILE",
            help="PEM file of certificates to trust instead of the system's.",
        ),
        click.option("--user", "username", help="Name of the web user (or CALLREEL_USER)."),
        click.option(
            "--data",
            "data_dir",
            type=click.Path(file_okay=False, path_type=Path),
            help="The server's data folder, which tells the address (or CALLREEL_DATA).",
        ),
        click.option("--url", help="Address of the web application (or CALLREEL_URL)."),
    ):
        run = option(run)
    return run


def _address(url: str | None, data_dir: Path | None) -> tuple[str, _Folder]:
    """The address, and the folder that told it: its passwords are for no other server."""
    if url is None and data_dir is None:
        url = os.environ.get("CALLREEL_URL") or None
        named = os.environ.get("CALLREEL_DATA")
        data_dir = Path(named) if named else None
    if url is not None:
        return url, _Folder()
    if data_dir is None:
        raise click.UsageError(
            "Where is the server? Give --url (or CALLREEL_URL), or the server's data folder with "
            "--data (or CALLREEL_DATA)."
        )
    folder = _read_folder(data_dir)
    if folder.base_url is None:
        raise click.UsageError(
            f"{data_dir} does not tell where its server is: start it with "
            f"'callreel serve --data {data_dir}', or give --url."
        )
    return folder.base_url, folder


def _read_folder(data_dir: Path) -> _Folder:
    # Both kinds of server write the one file, so it is the newest; the other is the demo's alone.
    server = _read_object(data_dir / SERVER_FILE)
    demo = _read_object(data_dir / LISTING_FILE)
    base_url = server.get("base_url", demo.get("base_url"))
    users = demo.get("web_users", [])
    passwords, integrator = {}, None
    for user in users if isinstance(users, list) else []:
        if isinstance(user, dict) and {"username", "password", "role"} <= user.keys():
            passwords[str(user["username"])] = str(user["password"])
            if user["role"] == Role.INTEGRATOR:
                integrator = str(user["username"])
    return _Folder(base_url if isinstance(base_url, str) else None, passwords, integrator)


def _read_object(path: Path) -> dict[str, object]:
    """What a JSON file holds; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path} cannot be read ({error}); give --url.") from error
    return found if isinstance(found, dict) else {}


def _password(username: str | None, folder: _Folder) -> tuple[str, str]:
    if username is None:
        raise click.UsageError(
            "Who asks? Give --user and CALLREEL_PASSWORD, or an API key in CALLREEL_API_KEY."
        )
    password = os.environ.get("CALLREEL_PASSWORD")
    if username in folder.passwords:
        # The demo's own: a password in the environment is most likely for another server.
        password = folder.passwords[username]
    if password is None:
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"No password for {username}: set CALLREEL_PASSWORD, or CALLREEL_API_KEY instead."
            )
        password = click.prompt(f"Password of {username}", hide_input=True, err=True, type=str)
    return username, password


def _warn_about_plain_http(base_url: str) -> None:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    local = host == "localhost"
    with suppress(ValueError):
        local = local or ipaddress.ip_address(host).is_loopback
    if parts.scheme == "http" and not local:
        click.echo(
            f"callreel: WARNING: the login travels unprotected over plain http to {host}.", err=True
        )
