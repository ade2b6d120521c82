"""The kill switch of a running desk."""

import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from up_driver import Up, manifest

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


async def test_a_part_of_the_desk_is_halted_and_shown(start_up: StartUp, stratops: Operate) -> None:
    up = start_up("--speed", "10")
    await up.until(lambda desk: desk.orders > 0)
    part = ("--strategy", "sma-crossover", "--state", str(up.state))
    done = await stratops("halt", "--reason", "news", *part)
    assert done.returncode == 0, done.stderr
    await up.until(lambda desk: desk.rejected["halted"] > 0)
    shown = await stratops("status", "--state", str(up.state))
    assert "strategy sma-crossover HALTED: news" in shown.stdout
    assert (await stratops("resume", *part)).returncode == 0
    await up.until(lambda desk: not desk.standings)


async def test_it_obeys_the_policies_of_its_manifests_as_they_are_saved(
    start_up: StartUp, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_of("{limits: {max_order_value: 1}}"))
    strategy = tmp_path / "strategy.yaml"
    strategy.write_text(manifest("probe"))
    up = start_up("-f", str(strategy), "-f", str(policy), "--speed", "10")
    refused = await up.until(lambda desk: desk.rejected["max_order_value"] > 0)
    assert refused.orders == 0
    policy.write_text(policy_of("{standing: active}"))
    await up.until(lambda desk: desk.orders > 0)


def policy_of(desk: str) -> str:
    return (
        "apiVersion: stratops.dev/v1alpha1\nkind: RiskPolicy\n"
        f"metadata: {{name: of-the-desk}}\nspec:\n  desk: {desk}\n"
    )


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
