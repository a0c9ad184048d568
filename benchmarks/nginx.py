"""nginx beside us: Debian's, one worker, sendfile, on the very files that were imported."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Running, answers, free_ports, pinned, started, wait_for

_SECRET = "of a benchmark"  # noqa: S105  # it signs addresses of a server of this machine
_VALID_S = 3600
# tcp_nopush is off: with it 64 KiB on loopback wait 40 ms for their last bytes, and nginx must not
# be beaten by that. Nothing is logged.
_CONFIG = """
daemon off;
master_process on;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush off;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    types {{ audio/wav wav; }}
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        root {files};
        location /secure/ {{
            alias {files}/;
            secure_link $arg_md5,$arg_expires;
            secure_link_md5 "$secure_link_expires$uri {secret}";
            if ($secure_link = "") {{ return 403; }}
            if ($secure_link = "0") {{ return 410; }}
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """It runs."""

    running: Running
    port: int
    tls_port: int

    def secure(self, file: Path) -> str:
        """A signed path to a file."""
        expires = int(time.time()) + _VALID_S
        path = f"/secure/{file.name}"
        told = hashlib.md5(f"{expires}{path} {_SECRET}".encode(), usedforsecurity=False).digest()
        signed = base64.urlsafe_b64encode(told).decode().rstrip("=")
        return f"{path}?md5={signed}&expires={expires}"


@contextlib.contextmanager
def nginx(
    files: Path, folder: Path, core: Sequence[int], certificate: tuple[Path, Path]
) -> Iterator[Nginx]:
    """Run nginx until the block ends.

    Args:
        files: The folder that it serves.
        folder: For its own files.
        core: Where it may run.
        certificate: And key.
    """
    port, tls_port = free_ports(2)
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder,
            user="user root;" if os.geteuid() == 0 else "",
            port=port,
            tls_port=tls_port,
            certificate=certificate[0],
            key=certificate[1],
            files=files,
            secret=_SECRET,
        )
    )
    command = ["nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "start.log")]
    with started(pinned(command, core), folder / "nginx.log") as running:
        wait_for(running, lambda: answers(port))
        yield Nginx(running, port, tls_port)
