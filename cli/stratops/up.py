"""`stratops up`: from its options to a running desk, a screen and a report.

What goes where: stdout carries the screen, or with `-o json` exactly one JSON document; everything
else (notices, problems) goes to stderr. Exit code 0 after an orderly end, Ctrl-C included; 1 when
the desk could not be started.
"""

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from market_data import catalogue
from market_data.redis_link import Address
from platform_spec.strategy import DEFAULT_CHANNEL
from stratops import manifests, servers
from stratops.crew import StartFailed
from stratops.desk import Desk, Limits
from stratops.folder import DeskFolder, DeskIsRunning, FolderUnusable, taken
from stratops.manifests import Checked
from stratops.notices import Notice, Notices
from stratops.options import Options
from stratops.plan import DeskPlan, Ports
from stratops.ports import free_ports
from stratops.screen import draw, line, said, summary
from stratops.watch import ManifestWatch
from stratops_wire.gateway_client import GatewayClient
from trading.instruments import InvalidCatalogue

Read = Callable[[Sequence[Path]], Checked]

FRAME_S = 0.25
LINE_S = 5.0
PLAIN_WIDTH = 120  # of what is not a terminal
PORT_ATTEMPTS = 3
REACH_S = 2.0
_PORT_TAKEN = re.compile(r"in use|\bbind\b|listening on port")


class CannotStart(Exception):
    """Why there is no desk, for a person: what to change."""


def up(options: Options) -> int:
    """Runs a desk; answers with the exit code."""
    environ = dict(os.environ)
    try:
        with taken(options.state) as folder:
            report = _run(options, folder, environ)
    except (
        CannotStart,
        DeskIsRunning,
        FolderUnusable,
        servers.ServerMissing,
        StartFailed,
    ) as error:
        sys.stderr.write(f"stratops up: {error}\n")
        return 1
    if options.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _console(options).print(summary(report))
    return 0


def _run(options: Options, folder: DeskFolder, environ: Mapping[str, str]) -> dict[str, Any]:
    known = _instruments(environ)
    read = partial(manifests.read, instruments=known)
    checked = _valid(read(_paths(options)))
    for warning in checked.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    if options.feed:
        _reach(Address.parse(options.feed))
    plan = _plan(options, folder, checked, environ, known)
    for _ in range(PORT_ATTEMPTS - 1):
        try:
            return asyncio.run(_desk(options, plan, folder, environ, checked, read))
        except StartFailed as failure:
            # Somebody may have taken one of our ports between the choice and the bind.
            if not _PORT_TAKEN.search(str(failure)):
                raise
            plan = replace(plan, ports=Ports(*free_ports(4)))
    return asyncio.run(_desk(options, plan, folder, environ, checked, read))


async def _desk(
    options: Options,
    plan: DeskPlan,
    folder: DeskFolder,
    environ: Mapping[str, str],
    checked: Checked,
    read: Read,
) -> dict[str, Any]:
    watch = ManifestWatch(_paths(options), checked, read)
    limits = Limits(options.seconds, options.json or options.until_end)
    outcome: dict[str, Any] | StartFailed
    async with (
        GatewayClient(plan.gateway, plan.operator_token) as gateway,
        asyncio.TaskGroup() as tasks,
    ):
        desk = Desk(plan, folder, Notices(_Lines(options)), environ, gateway, tasks)
        screen = tasks.create_task(_show(options, desk))
        try:
            outcome = await desk.run(checked, watch, limits, _stop_of(desk))
        except StartFailed as failure:
            outcome = failure  # raised below: the task group would wrap it
        finally:
            screen.cancel()
    if isinstance(outcome, StartFailed):
        raise outcome
    return outcome


def _stop_of(desk: Desk) -> asyncio.Event:
    """Set by the first signal; the second one ends everything at once."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, _asked_to_stop, stop, desk)
    return stop


def _asked_to_stop(stop: asyncio.Event, desk: Desk) -> None:
    """Once: in order. Twice: now."""
    if stop.is_set():
        desk.kill()
    stop.set()


async def _show(options: Options, desk: Desk) -> None:
    if not _on_screen(options):
        await _tell(desk)
        return
    console = _console(options)
    with Live(console=console, auto_refresh=False, screen=False) as live:
        while True:
            live.update(draw(desk.view()), refresh=True)
            await asyncio.sleep(FRAME_S)


async def _tell(desk: Desk) -> None:
    while True:
        await asyncio.sleep(LINE_S)
        sys.stderr.write(line(desk.view()) + "\n")


class _Lines:
    """Notices as lines on stderr, where no screen shows them."""

    def __init__(self, options: Options) -> None:
        self._silent = _on_screen(options)

    def __call__(self, notice: Notice) -> None:
        if not self._silent:
            sys.stderr.write(said(notice) + "\n")


def _on_screen(options: Options) -> bool:
    return not options.json and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _console(options: Options) -> Console:
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(no_color=None if options.color else True, highlight=False, width=width)


def _valid(checked: Checked) -> Checked:
    if checked.problems:
        raise CannotStart("\n  ".join(["the manifests:", *map(str, checked.problems)]))
    if not checked.strategies:
        raise CannotStart("the manifests: no Strategy in them")
    return checked


def _plan(
    options: Options,
    folder: DeskFolder,
    checked: Checked,
    environ: Mapping[str, str],
    known: Collection[str],
) -> DeskPlan:
    data = options.data or (() if options.feed else _samples())
    missing = [str(path) for path in data if not path.is_file()]
    if missing:
        raise CannotStart(f"--data: no such file: {', '.join(missing)}")
    return DeskPlan(
        folder=folder.path,
        ports=Ports(*free_ports(4)),
        redis_program="" if options.feed else servers.find_redis(environ).program,
        nats_program=servers.find_nats(environ).program,
        operator_token=secrets.token_urlsafe(24),
        session=options.session or folder.next_session(),
        symbols=_symbols(options, checked, known),
        channels=_channels(options, checked),
        data=tuple(path.absolute() for path in data),
        speed=options.speed,
        fill=options.fill,
        fill_sizes=options.fill_sizes,
        feed_url=options.feed,
    )


def _reach(feed: Address) -> None:
    """A feed that is lost later is waited for; one that was never there is a mistake."""
    try:
        socket.create_connection((feed.host, feed.port), REACH_S).close()
    except OSError as error:
        raise CannotStart(f"--feed: no Redis at {feed.host}:{feed.port}: {error}") from error


def _instruments(environ: Mapping[str, str]) -> Collection[str]:
    """The symbols of the catalogue."""
    try:
        return catalogue.load(environ.get("STRATOPS_CATALOGUE") or None)
    except InvalidCatalogue as error:
        raise CannotStart(str(error)) from error


def _symbols(options: Options, checked: Checked, known: Collection[str]) -> tuple[str, ...]:
    """Of a replay all that the catalogue has: one that a manifest adds later has marks already."""
    wanted = [symbol for one in checked.strategies for symbol in one.model.spec.symbols]
    return tuple(dict.fromkeys((*(() if options.feed else known), *wanted)))


def _channels(options: Options, checked: Checked) -> tuple[str, ...]:
    if not options.feed:
        return (DEFAULT_CHANNEL,)
    channels = (name for one in checked.strategies for name in one.model.spec.channels_in_force())
    return tuple(dict.fromkeys(channels))


def _paths(options: Options) -> tuple[Path, ...]:
    return options.manifests or (_shipped("stratops", "examples/desk.yaml"),)


def _samples() -> tuple[Path, ...]:
    """The real quotes that ship with the feed."""
    folder = _shipped("market_feed", "sample")
    return tuple(sorted(file for file in folder.iterdir() if file.name.endswith(".gz")))


def _shipped(package: str, name: str) -> Path:
    return Path(str(files(package))) / name
