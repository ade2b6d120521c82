"""The kill switch of a running desk."""

import subprocess
from collections.abc import Awaitable, Callable

import pytest

from up_driver import Up

pytestmark = pytest.mark.servers

StartUp = Callable[..., Up]
Operate = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]


async def test_halted_every_order_is_refused_until_resumed(
    start_up: StartUp, stratops: Operate
) -> None:
    up = start_up("--speed", "10")
    await up.until(lambda desk: desk.orders > 0)
    done = await stratops("halt", "--reason", "news", "--state", str(up.state))
    assert done.returncode == 0, done.stderr
    halted = await up.until(lambda desk: desk.halted == "news")
    refused = await up.until(lambda desk: desk.rejected["halted"] > 0)
    assert refused.orders == halted.orders
    await stratops("resume", "--state", str(up.state))
    await up.until(lambda desk: desk.orders > refused.orders and not desk.halted)


async def test_a_halt_survives_the_gateway(start_up: StartUp, stratops: Operate) -> None:
    up = start_up("--speed", "10")
    await up.until(lambda desk: desk.orders > 0)
    await stratops("halt", "--reason", "news", "--state", str(up.state))
    before = await up.until(lambda desk: desk.halted == "news")
    up.child("risk_gateway").kill()
    await up.until_true(lambda: "died gateway" in up.err)
    after = await up.until(lambda desk: desk.rejected["halted"] > before.rejected["halted"])
    assert after.halted == "news"
    assert after.orders == before.orders


async def test_status_shows_the_desk(start_up: StartUp, stratops: Operate) -> None:
    up = start_up("--speed", "10")
    await up.until(lambda desk: desk.fills > 0)
    done = await stratops("status", "--state", str(up.state))
    assert done.returncode == 0, done.stderr
    assert "sma-crossover" in done.stdout
    assert "armed" in done.stdout


async def test_without_a_desk_halt_says_so(stratops: Operate, tmp_path: object) -> None:
    done = await stratops("halt", "--reason", "news", "--state", str(tmp_path))
    assert done.returncode == 1
    assert "no desk runs here" in done.stderr


async def test_cancel_wants_a_strategy_or_all_of_them(start_up: StartUp, stratops: Operate) -> None:
    up = start_up("--speed", "10")
    await up.until(lambda desk: len(desk.strategies) > 0)
    state = ("--state", str(up.state))
    assert (await stratops("cancel", *state)).returncode == 2
    done = await stratops("cancel", "--all", *state)
    assert done.returncode == 0, done.stderr
    assert "orders of every strategy" in done.stdout
    unknown = await stratops("cancel", "--strategy", "nobody", *state)
    assert "nobody: not deployed" in unknown.stderr
