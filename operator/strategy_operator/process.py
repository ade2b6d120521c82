"""The operator's process: reads, runs, and ends within a second when it is asked."""

import asyncio
import gc
import os
import sys
from types import FrameType
from typing import NoReturn

import structlog

from strategy_operator import logs
from strategy_operator.access import Access, InvalidAccess, found
from strategy_operator.cluster import Cluster
from strategy_operator.operation import Operator
from strategy_operator.settings import Settings
from strategy_operator.throttle import Throttle
from stratops_process import ending
from stratops_process.environment import InvalidSettings
from stratops_process.pages import serving

NAME = "strategy_operator"

log = structlog.get_logger()


def main() -> NoReturn:
    reason, code = _life()
    sys.stdout.flush()
    sys.stderr.flush()
    ending.leave(NAME, reason, code)  # at once: kopf's thread must not hold us up


def _life() -> tuple[str, int]:
    try:
        settings = Settings.from_environment(os.environ)
        access = found(settings.kubeconfig, os.environ)
    except (InvalidSettings, InvalidAccess) as error:
        return str(error), 1
    logs.configure(settings.log_level)
    gc.collect()
    gc.freeze()  # what was imported stays for good
    try:
        asyncio.run(_work(settings, access))
    except OSError as error:
        return str(error), 1
    except Exception as error:
        log.exception("ended")
        return f"a fault of the operator: {error!r}", 1
    return "asked to end", 0


async def _work(settings: Settings, access: Access) -> None:
    stop = asyncio.Event()
    ending.orderly(asyncio.get_running_loop(), stop.set, _late)
    lease_throttle = Throttle(1_000, 1_000)  # it must not wait behind what it guards
    async with Cluster(access) as cluster, Cluster(access, lease_throttle) as apart:
        operator = Operator(settings, cluster, apart)
        pages = operator.pages()
        async with serving(settings.metrics_host, settings.metrics_port, pages):
            log.info("started", identity=settings.identity, pid=os.getpid())
            await operator.run(stop)


def _late(_: FrameType | None) -> NoReturn:
    ending.leave(NAME, "asked to end, and still busy", 0)
