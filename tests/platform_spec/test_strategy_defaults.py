"""Defaults are filled in at use, never in what was written."""

from decimal import Decimal
from typing import Any

import pytest

from platform_spec.shapes import bytes_of
from platform_spec.strategy import Mode, Spec, Strategy
from trading.limits import Limits, parse_limits

WRITTEN = {"strategy": {"builtin": "momentum"}, "symbols": ["BTCUSDT", "ETHUSDT"]}


def spec(**fields: Any) -> Spec:
    return Spec.model_validate({**WRITTEN, **fields})


def test_limits_in_force_are_those_of_the_gateway() -> None:
    in_force = parse_limits(spec(symbols=["BTCUSDT"]).limits_in_force())
    assert in_force == Limits()


def test_a_written_limit_is_in_force() -> None:
    limits = spec(risk={"limits": {"max_drawdown": 1, "max_orders_per_second": "500"}})
    assert limits.limits_in_force()["max_drawdown"] == Decimal(1)
    assert limits.limits_in_force()["max_orders_per_second"] == Decimal(500)


def test_capital_is_100000_usdt_unless_written() -> None:
    assert spec().capital_in_force().amount == Decimal(100_000)
    in_force = spec(capital={"currency": "EUR"}).capital_in_force()
    assert (in_force.amount, in_force.currency) == (Decimal(100_000), "EUR")


def test_the_mode_is_simulation_unless_written() -> None:
    assert spec().mode_in_force() is Mode.SIMULATION
    assert spec(mode="observation").mode_in_force() is Mode.OBSERVATION


def test_each_symbol_has_its_channel() -> None:
    assert spec().channels_in_force() == ("market:btcusdt", "market:ethusdt")
    feed = {"redis": {"url": "redis://feed:1", "channels": ["a:{symbol}", "all"]}}
    assert spec(feed=feed).channels_in_force() == ("a:btcusdt", "a:ethusdt", "all")


@pytest.mark.parametrize(
    ("memory", "size"),
    [("128Mi", 134_217_728), ("1k", 1000), ("5", 5), ("2Gi", 2**31), ("3T", 3 * 10**12)],
)
def test_memory_is_read_as_kubernetes_reads_it(memory: str, size: int) -> None:
    assert bytes_of(memory) == size
    assert spec(resources={"limits": {"memory": memory}}).memory_limit_bytes() == size


def test_memory_is_unlimited_unless_written() -> None:
    assert spec(resources={"limits": {"cpu": 1}}).memory_limit_bytes() is None


def test_every_field_says_what_it_is_for() -> None:
    schema = Strategy.model_json_schema()
    parts = [schema, *schema["$defs"].values()]
    fields = [(name, f) for part in parts for name, f in part.get("properties", {}).items()]
    assert [name for name, field in fields if "description" not in field] == []
