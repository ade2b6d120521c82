"""`python -m strategy_runner`: reads, wires, runs, and says with its exit code how it ended."""

import asyncio
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable

from market_data.catalogue import load as load_catalogue
from strategy_runner import spec as specs
from strategy_runner.exits import Exit
from strategy_runner.guard import Guard
from strategy_runner.host import StrategyHost
from strategy_runner.logs import Log
from strategy_runner.runner import Runner
from strategy_runner.settings import InvalidSettings, Settings
from strategy_sdk.seat import Seat
from trading.instruments import InvalidCatalogue

_GRACE_S = 0.9  # after SIGTERM; then a strategy that holds the process ends with it


def main() -> int:
    try:
        settings = Settings.from_environment(os.environ)
        spec = specs.read(settings.spec)
        instruments = load_catalogue(settings.catalogue)
    except (InvalidSettings, specs.InvalidSpec, InvalidCatalogue) as error:
        sys.stderr.write(f"strategy_runner: {error}\n")
        return Exit.SETTINGS
    log = Log(settings.log_level, strategy=spec.strategy, revision=spec.revision)

    def make_seat() -> Seat:
        strategy = spec.make_strategy()
        return Seat(strategy, name=spec.strategy, symbols=spec.symbols, instruments=instruments)

    try:
        host = StrategyHost(make_seat, spec.symbols, Guard(), _error_log(log))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # an author's module may raise anything
        sys.stderr.write(f"strategy_runner: {type(error).__name__}: {error}\n")
        return Exit.STRATEGY
    return _run(settings, spec, host, log)


def _run(settings: Settings, spec: specs.RunnerSpec, host: StrategyHost, log: Log) -> int:
    # What was loaded until here stays: the collector need not look at it with every generation.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=_loop_factory(settings)) as loop:
        return loop.run(_work(settings, spec, host, log))


async def _work(settings: Settings, spec: specs.RunnerSpec, host: StrategyHost, log: Log) -> int:
    runner = Runner(settings, spec, host, log)
    _leave_on_signals(runner.leave)
    log.info("started", instance=settings.instance, pid=os.getpid(), source=_named(spec))
    if settings.metrics_port is None:
        return await runner.run()
    from strategy_runner.health import serving  # here: who has no port need not hold its memory

    async with serving(runner, settings, spec):
        return await runner.run()


def _leave_on_signals(leave: Callable[[], None]) -> None:
    """SIGTERM and SIGINT end the loop's work, or the process when the loop does not get to it."""
    loop = asyncio.get_running_loop()

    def asked(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, _GRACE_S)
        loop.call_soon_threadsafe(leave)

    signal.signal(signal.SIGALRM, lambda *_: os._exit(Exit.HUNG))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked)


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


if __name__ == "__main__":
    sys.exit(main())
