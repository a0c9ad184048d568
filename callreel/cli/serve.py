"""``callreel serve``: the web application and Echo, one process, two ports, two origins."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.loops.auto import auto_loop_factory

from callreel.bootstrap import Serving, open_serving
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.db.jobs import JobState
from callreel.errors import ConfigurationError, Unavailable
from callreel.flows.burn import Burner
from callreel.flows.job_worker import JobWorker
from callreel.flows.key_presses import KeyFinder
from callreel.flows.retention import Retention
from callreel.flows.schedule_runner import ScheduleRunner
from callreel.flows.tidy import Tidy
from callreel.settings import ServerSettings, Settings
from callreel.web.app import build_echo, build_web
from callreel.web.connection import GuardedConnection

GRACE_S = 10
"""How long streams may end by themselves after a stop was asked for."""
SERVER_FILE = "server.json"
TIDY_EVERY_S = 30
"""A render of an older mask is erased within a minute."""
BURN_EVERY_S = 60
WORK_EVERY_S = 1
SCHEDULE_EVERY_S = 5
WORKERS = 2
"""Jobs that are done at once; the next of somebody who has one running waits for it."""
SEARCH_EVERY_S = 5
"""Where a site masks keys at once, a new recording waits for this."""
RETAIN_EVERY_S = 60

log = structlog.get_logger("callreel")

Ready = Callable[[str, str], None]
"""Called with the addresses of the web application and of Echo once both answer."""


@click.command("serve")
@data_option
@click.option("--host", help="Address to listen on (127.0.0.1).")
@click.option("--port", type=int, help="Port of the web application (8080).")
@click.option("--echo-port", type=int, help="Port of Echo (the web application's plus one).")
@click.option("--base-url", help="Public address of the web application.")
@click.option("--echo-url", help="Public address of Echo.")
@click.option("--tls-cert", help="PEM file of the certificate chain.")
@click.option("--tls-key", help="PEM file of the private key.")
@plain_errors
def serve_command(data_dir: Path, **options: str | int | None) -> None:
    """Start the web application and Echo."""
    settings = settings_of(data_dir, {"server": options})

    def tell(base_url: str, echo_url: str) -> None:
        click.echo(f"Callreel answers at {base_url}, Echo at {echo_url}. Stop with Ctrl-C.")

    serve(settings, tell)


def serve(settings: Settings, ready: Ready) -> None:
    """Serve until a signal asks to stop.

    Args:
        settings: All settings; the keys and the database must be there.
        ready: Called once both applications answer.

    Raises:
        ConfigurationError: No keys, an unusable database, certificate or port.
        Unavailable: The database is away.
    """
    configure_log()
    warn_about_plain_http(settings.server)
    with contextlib.ExitStack() as stack:
        web_socket = stack.enter_context(_listen(settings.server.host, settings.server.port))
        echo_port = settings.server.effective_echo_port
        echo_socket = stack.enter_context(_listen(settings.server.host, echo_port))
        serving = open_serving(settings)
        stack.callback(serving.close)
        # uvloop where there is one, as uvicorn does by itself for a server that is alone.
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(_run(settings, serving, web_socket, echo_socket, ready))


def warn_about_plain_http(server: ServerSettings) -> None:
    """Say loudly where passwords would travel unprotected."""
    loopback = server.host == "localhost"
    with contextlib.suppress(ValueError):
        loopback = loopback or ipaddress.ip_address(server.host).is_loopback
    if not loopback and not server.tls:
        click.echo(
            f"callreel: WARNING: passwords travel unprotected over plain http on {server.host}. "
            "Give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy with https.",
            err=True,
        )


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
        listening.setblocking(False)
        yield listening
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host} port {port}: {error.strerror}. "
            "Choose another with --port, or stop what uses it."
        ) from error
    finally:
        listening.close()


async def _run(
    settings: Settings,
    serving: Serving,
    web_socket: socket.socket,
    echo_socket: socket.socket,
    ready: Ready,
) -> None:
    web = _server(build_web(serving.web), settings.server)
    echo = _server(build_echo(serving.echo), settings.server)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        web.should_exit = echo.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    tasks = [
        asyncio.create_task(web.serve(sockets=[web_socket])),
        asyncio.create_task(echo.serve(sockets=[echo_socket])),
    ]
    while not (web.started and echo.started) and not any(t.done() for t in tasks):  # noqa: ASYNC110  # uvicorn has a flag, no event
        await asyncio.sleep(0.01)
    if web.started and echo.started:
        addresses = settings.server.public_base_url, settings.server.public_echo_url
        _write_server_file(settings.data_dir, *addresses)
        ready(*addresses)
    rounds = [
        asyncio.create_task(_keep_tidy(serving.tidy)),
        asyncio.create_task(_keep_searching(serving.key_finder)),
        asyncio.create_task(_keep_burning(serving.burner)),
        *(asyncio.create_task(_keep_working(serving.office.worker)) for _ in range(WORKERS)),
        asyncio.create_task(_keep_scheduling(serving.office.runner)),
        asyncio.create_task(_keep_deleting(serving.retention)),
    ]
    # Where one of the two ends, the other must not go on alone.
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    stop()
    # An export may take minutes; it is begun again by whoever serves next.
    serving.office.stop()
    for task in rounds:
        task.cancel()
    await asyncio.gather(*tasks)


async def _keep_tidy(tidy: Tidy) -> None:
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        try:
            await asyncio.to_thread(tidy.once)
        except Unavailable as error:
            log.warning("tidy.postponed", why=str(error.fields.get("why", "")))


async def _keep_searching(finder: KeyFinder) -> None:
    while True:
        await asyncio.sleep(SEARCH_EVERY_S)
        try:
            for searched in await asyncio.to_thread(finder.once):
                if searched.spans or not searched.done:
                    tell = log.info if searched.done else log.warning
                    tell("keys.find", recording_id=searched.recording_id, told=searched.told)
        except Unavailable as error:
            log.warning("keys.postponed", why=str(error.fields.get("why", "")))


async def _keep_burning(burner: Burner) -> None:
    while True:
        await asyncio.sleep(BURN_EVERY_S)
        try:
            for burned in await asyncio.to_thread(burner.once):
                tell = log.info if burned.done else log.warning
                tell("burn_in", recording_id=burned.recording_id, told=burned.told)
        except Unavailable as error:
            log.warning("burn_in.postponed", why=str(error.fields.get("why", "")))


async def _keep_working(worker: JobWorker) -> None:
    while True:
        await asyncio.sleep(WORK_EVERY_S)
        try:
            for worked in await asyncio.to_thread(worker.once):
                tell = log.warning if worked.state is JobState.FAILED else log.info
                tell(
                    "job", job_id=worked.job_id, kind=worked.kind, told=worked.told, why=worked.why
                )
        except Unavailable as error:
            log.warning("jobs.postponed", why=str(error.fields.get("why", "")))


async def _keep_scheduling(runner: ScheduleRunner) -> None:
    while True:
        try:
            for ran in await asyncio.to_thread(runner.once):
                tell = log.info if ran.state in {"sent", "empty"} else log.warning
                tell("schedule", schedule_id=ran.schedule_id, told=ran.told, why=ran.why)
        except Unavailable as error:
            log.warning("schedules.postponed", why=str(error.fields.get("why", "")))
        await asyncio.sleep(SCHEDULE_EVERY_S)


async def _keep_deleting(retention: Retention) -> None:
    while True:
        await asyncio.sleep(RETAIN_EVERY_S)
        try:
            done = await asyncio.to_thread(retention.once)
            if done.deleted or done.erased:
                log.info("retention", deleted=done.deleted, erased=done.erased)
            for store_id, why in done.away.items():
                log.warning("retention.store_away", store_id=store_id, why=why)
        except Unavailable as error:
            log.warning("retention.postponed", why=str(error.fields.get("why", "")))


class _Server(uvicorn.Server):
    """A server that leaves signals to us, since two of them share a process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def _server(application: ASGIApp, server: ServerSettings) -> _Server:
    try:
        config = uvicorn.Config(
            application,
            http=GuardedConnection,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Nobody is believed who is not named; uvicorn would else ask its environment.
            proxy_headers=bool(server.own_proxies),
            forwarded_allow_ips=list(server.own_proxies),
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=server.tls_cert or None,
            ssl_keyfile=server.tls_key or None,
        )
        config.load()
    except OSError as error:
        raise ConfigurationError(
            f"server.tls_cert, server.tls_key: cannot be used: {error}"
        ) from error
    return _Server(config)


def _write_server_file(data_dir: Path, base_url: str, echo_url: str) -> None:
    """Tell commands that are given the data folder where the server is."""
    path = data_dir / SERVER_FILE
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"base_url": base_url, "echo_url": echo_url}) + "\n")
    fresh.replace(path)


def configure_log() -> None:
    """JSON, one line an event, to standard error; what values hold cannot break a line."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
