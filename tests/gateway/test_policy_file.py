"""Risk policies from a file: followed while it changes, and as it was where it cannot be read."""

import json
import os
from pathlib import Path
from typing import Any

from desk_driver import DeskDriver, content
from platform_spec.manifest import parse
from risk_gateway.content import parse_content
from risk_gateway.policies import Policies
from risk_gateway.policy_file import PolicyFile
from trading.scopes import DESK

BOUND = {"desk": {"limits": {"max_open_orders": "3"}}}


def write(path: Path, text: str) -> None:
    """As `stratops up` does: all at once."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


async def test_it_is_followed(bound_desk: DeskDriver, tmp_path: Path) -> None:
    path, state = tmp_path / "policies.json", bound_desk.state
    file = PolicyFile(path, bound_desk.desk.bounds)
    file.look()
    assert (state.policies.known, state.policies.specs) == (True, {})
    write(path, json.dumps({"main": BOUND}))
    file.look()
    assert state.policies.bounds[DESK].max_open_orders == 3
    assert state.pools.are_bound
    path.unlink()
    file.look()
    assert not state.pools.are_bound


async def test_what_cannot_be_read_changes_nothing(bound_desk: DeskDriver, tmp_path: Path) -> None:
    path, state = tmp_path / "policies.json", bound_desk.state
    file = PolicyFile(path, bound_desk.desk.bounds)
    for text in (json.dumps({"main": BOUND}), "{", '{"main": 3}', "[" * 5_000):
        write(path, text)
        file.look()
    assert state.policies.specs == {"main": BOUND}


def test_who_names_one_that_is_not_in_the_file_is_bound_by_none() -> None:
    named = parse_content(json.dumps({**json.loads(content()), "policy": "main"}))
    policies = Policies(asked_for=True, may_be_missing=True)
    for change in policies.differences({}):
        policies.take(change)
    assert policies.objection(named) == ""


def test_a_manifest_comes_through_as_it_was_written() -> None:
    text = """
apiVersion: stratops.dev/v1alpha1
kind: RiskPolicy
metadata: {name: main}
spec:
  limits: {max_order_value: 10}
  desk: {standing: reducing, reason: news, limits: {max_drawdown: 0.1, max_open_orders: 3}}
  accounts: {hedge: {limits: {max_net_exposure: "1e6"}}}
  symbols: {BTCUSDT: {limits: {max_position_size: "1.5"}}}
"""
    (written,) = parse(text.encode(), "f").policies
    spec: Any = written.policy.spec.as_written()
    policies = Policies(asked_for=True)
    for change in policies.differences({"main": spec}):
        policies.take(change)
    assert {str(scope) for scope in policies.bounds} == {"desk", "account hedge", "symbol BTCUSDT"}
    assert [stand.why for stand in policies.stands.values()] == ["news"]
