"""A runner's process: reads, wires, runs; its exit code and its last line say how it ended."""

import asyncio
import gc
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import FrameType
from typing import NoReturn

from market_data.catalogue import load as load_catalogue
from strategy_runner import spec as specs
from strategy_runner.desk import Desk
from strategy_runner.exits import Ending, Exit
from strategy_runner.guard import Guard
from strategy_runner.host import StrategyHost
from strategy_runner.logs import Log
from strategy_runner.mistakes import described, of_the_manifest, place_in
from strategy_runner.runner import Runner
from strategy_runner.settings import Settings
from strategy_sdk.seat import Seat
from stratops_process import ending
from stratops_process.environment import InvalidSettings
from trading.instruments import Instrument, InvalidCatalogue

NAME = "strategy_runner"


class _CannotListen(Exception):
    """The pages' address is not to be had."""


def main() -> NoReturn:
    ended = _life(os.environ)
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: threads and exit handlers of the author's code must not hold us up.
    ending.leave(NAME, ended.reason, ended.code)


def _life(environ: Mapping[str, str]) -> Ending:
    try:
        settings = Settings.from_environment(environ)
        spec = specs.read(settings.spec)
        desk = settings.desk(spec.redis_url)
        instruments = load_catalogue(settings.catalogue)
    except (InvalidSettings, specs.InvalidSpec, InvalidCatalogue) as error:
        return Ending(Exit.SETTINGS, str(error))
    log = Log(settings.log_level, strategy=spec.strategy, revision=spec.revision)
    ending.at_once(_while_loading)
    try:
        host = _seated(spec, instruments, log)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # an author's module may raise anything
        return Ending(Exit.STRATEGY, of_the_manifest(error, spec.source))
    try:
        return _run(settings, spec, desk, host, log)
    except _CannotListen as error:
        return Ending(Exit.SETTINGS, str(error))
    except Exception as error:  # noqa: BLE001  # said in full, and in the last line
        traceback.print_exc()
        return Ending(Exit.FAULT, f"a fault of the runner: {described(error)}")


def _seated(
    spec: specs.RunnerSpec, instruments: Mapping[str, Instrument], log: Log
) -> StrategyHost:
    """Raises whatever an author's code raises."""

    def make_seat() -> Seat:
        strategy = spec.make_strategy()
        return Seat(strategy, name=spec.strategy, symbols=spec.symbols, instruments=instruments)

    return StrategyHost(make_seat, spec.symbols, Guard(), _error_log(log))


def _run(
    settings: Settings, spec: specs.RunnerSpec, desk: Desk, host: StrategyHost, log: Log
) -> Ending:
    # What was loaded until here stays: the collector need not look at it with every generation.
    gc.collect()
    gc.freeze()
    # Not closed at the end: that would wait for a name that is still being looked up.
    loop = asyncio.Runner(loop_factory=_loop_factory(settings))
    return loop.run(_work(settings, spec, desk, host, log))


async def _work(
    settings: Settings, spec: specs.RunnerSpec, desk: Desk, host: StrategyHost, log: Log
) -> Ending:
    runner = Runner(settings, spec, desk, host, log)
    ending.orderly(asyncio.get_running_loop(), runner.leave, lambda frame: _late(runner, frame))
    runner.end.add_done_callback(lambda _: ending.hurry())
    log.info("started", instance=settings.instance, pid=os.getpid(), source=_named(spec))
    if settings.metrics_port is None:
        return await runner.run()
    async with AsyncExitStack() as stack:
        await _serve_pages(stack, runner, settings, spec)
        return await runner.run()


async def _serve_pages(
    stack: AsyncExitStack, runner: Runner, settings: Settings, spec: specs.RunnerSpec
) -> None:
    # Here: who has no port need not hold its memory.
    from strategy_runner.health import pages
    from stratops_process.pages import serving

    host, port = settings.metrics_host, settings.metrics_port
    try:
        await stack.enter_async_context(serving(host, port, pages(runner, settings, spec)))
    except OSError as error:
        raise _CannotListen(
            f"STRATOPS_METRICS_PORT: {port}, expected a free one on {host}: {error}"
        ) from error


def _while_loading(frame: FrameType | None) -> NoReturn:
    place = place_in(frame)
    where = f", at {place}" if place else ""
    ending.leave(NAME, f"asked to end while the strategy was loading{where}", Exit.ASKED)


def _late(runner: Runner, frame: FrameType | None) -> NoReturn:
    """The loop did not end in time: the author's code holds it, or something of ours does."""
    if runner.end.done() and runner.end.result().code is not Exit.ASKED:
        ended = runner.end.result()
    elif place := place_in(frame):
        why = f"strategy: still at {place} {ending.GRACE_S} s after it was asked to end"
        ended = Ending(Exit.HUNG, f"{why}, expected it to return")
    else:
        ended = Ending(Exit.ASKED, "asked to end")
    ending.leave(NAME, ended.reason, ended.code)


def _error_log(log: Log) -> Callable[[str, BaseException], None]:
    """Says the whole of the first error of each hook; the counts come once a second."""
    said: set[str] = set()

    def on_error(hook: str, error: BaseException) -> None:
        if hook not in said:
            said.add(hook)
            text = "".join(traceback.format_exception(error, limit=-3))
            log.error("strategy_raised", hook=hook, traceback=text)

    return on_error


def _loop_factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not settings.uvloop:
        return None
    import uvloop  # optional: only with the [fast] extra

    return uvloop.new_event_loop


def _named(spec: specs.RunnerSpec) -> str:
    kind, text = next(iter(spec.source.items()))
    return f"{kind}:{spec.source.get('name', '') if kind == 'inline' else text}"
