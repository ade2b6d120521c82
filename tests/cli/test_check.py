"""`stratops check` and what `up` reads: manifests together with the code they name."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import strategy_runner.spec
from stratops import inspection
from stratops.check import check, check_command
from stratops.manifests import CheckedStrategy, read

SOURCE = {"strategy": {"source": {"file": "strategy.py"}}}
CODE = """\
from strategy_sdk import Strategy

class Quiet(Strategy):
    period: int = 5

    def on_market_data(self, event):
        return None
"""
Write = Callable[..., Path]

app = typer.Typer()
app.command("check")(check_command)


@app.callback()
def _app() -> None:
    """With one command alone, typer would take no name."""


def manifest(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "stratops.dev/v1alpha1",
        "kind": "Strategy",
        "metadata": {"name": "probe", "namespace": "desk"},
        "spec": {"strategy": {"builtin": "sma_crossover"}, "symbols": ["BTCUSDT"], **spec},
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a manifest, indented, so that each field has its line, and its code."""

    def write(code: str | None = None, name: str = "desk.yaml", **spec: Any) -> Path:
        if code is not None:
            (tmp_path / "strategy.py").write_text(code)
            spec = SOURCE | spec
        path = tmp_path / name
        path.write_text(json.dumps(manifest(**spec), indent=1))
        return path

    return write


def messages(path: Path) -> list[str]:
    return [str(problem).removeprefix(f"{path.parent}/") for problem in check([path])]


def checked(path: Path) -> CheckedStrategy:
    (strategy,) = read([path]).strategies
    return strategy


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_the_example_desk_is_right() -> None:
    desk = Path(str(files("stratops").joinpath("examples", "desk.yaml")))
    assert [strategy.ref for strategy in read([desk]).strategies] == ["momentum", "sma-crossover"]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"strategy": {"builtin": "sma_crosover"}},
            "desk.yaml:10: spec.strategy.builtin: 'sma_crosover', expected one of "
            "momentum, sma_crossover; did you mean sma_crossover?",
        ),
        (
            {"parameters": {"short_perod": 5}},
            "spec.parameters.short_perod: unknown parameter; did you mean short_period?",
        ),
        (
            {"parameters": {"short_period": 1.5}},
            "spec.parameters.short_period: 1.5, expected a whole number, at least 1",
        ),
        (
            {"parameters": {"short_period": 30}},
            "spec.parameters: short_period: 30, expected less than long_period, which is 20",
        ),
        (
            {"feed": {"nats": {"url": "nats://feed:4222"}}},
            "spec.feed.nats.url: 'nats://feed:4222', expected spec.feed.redis, or nothing",
        ),
        (
            {"strategy": {"class": "no_such_module:Momentum"}},
            "spec.strategy.class: module 'no_such_module': not installed here",
        ),
        (
            {"strategy": {"class": "strategy_library.momentum:Momentm"}},
            "did you mean Momentum?",
        ),
        (
            {"strategy": {"source": {"file": "none.py"}}},
            "spec.strategy.source.file: 'none.py', expected a Python file beside the manifest",
        ),
        (
            {"strategy": {"source": {"inline": "x = 1\nx = ("}}},
            "spec.strategy.source.inline: line 2 of the code: syntax: '(' was never closed",
        ),
    ],
)
def test_what_does_not_fit_the_code_is_a_problem(
    write: Write, spec: dict[str, Any], problem: str
) -> None:
    (found,) = messages(write(**spec))
    assert problem in found


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def f(:\n", "strategy.py:1: syntax: invalid syntax, expected code of one strategy"),
        ("\n\nraise KeyError('no key')\n", "strategy.py:3: KeyError: 'no key', expected code"),
        ("import sys\nsys.exit(3)\n", "strategy.py:2: SystemExit: 3"),
        ("import os\nos._exit(3)\n", "its process ended with 3 while it loaded"),
        ("x = bytearray(3 << 30)\n", "strategy.py:1: MemoryError"),
        ("x = 1\n", "strategies: none, expected exactly one class of Strategy"),
        (CODE + CODE.replace("Quiet", "Other"), "strategies: Quiet, Other, expected exactly one"),
    ],
    ids=["syntax", "raises", "exits", "dies", "memory", "none", "two"],
)
def test_code_that_does_not_load_is_a_problem(write: Write, code: str, problem: str) -> None:
    (found,) = messages(write(code))
    assert problem in found


def test_code_that_hangs_is_a_problem(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "DEADLINE_S", 1.0)
    (found,) = messages(write("while True: pass"))
    assert "still loading after 1 s, expected code that loads and returns" in found


def test_code_may_print(write: Write) -> None:
    assert messages(write(f"print('hello')\n{CODE}")) == []


def test_a_rule_between_parameters_that_raises_is_a_problem(write: Write) -> None:
    code = f"{CODE}\n    @classmethod\n    def conflicts(cls, values):\n        1 / 0\n"
    (found,) = messages(write(code))
    assert "spec.parameters: ZeroDivisionError: division by zero" in found


def test_a_mistyped_file_is_answered_with_its_neighbour(write: Write) -> None:
    path = write(CODE, strategy={"source": {"file": "stratgy.py"}})
    assert messages(path)[0].endswith("did you mean strategy.py?")


def test_a_strategy_stands_in_one_file(write: Write) -> None:
    paths = [write(name="a.yaml"), write(name="b.yaml")]
    (problem,) = read(paths).problems
    assert str(problem).endswith(f"expected each strategy once; {paths[0]} has it")


def test_what_was_checked_is_what_runs(write: Write) -> None:
    strategy = checked(write(CODE))
    write("raise SystemExit")
    source = json.loads(strategy.runner_spec("redis://127.0.0.1:1"))["source"]
    assert source["inline"] == CODE
    assert [file.name for file in strategy.files] == ["desk.yaml", "strategy.py"]


def test_other_code_is_another_revision_that_keeps_no_state(write: Write) -> None:
    before = checked(write(CODE))
    after = checked(write(f"{CODE}\n# changed\n"))
    assert before.revision != after.revision
    assert before.state_key != after.state_key


def test_the_gateway_is_told_all_that_is_in_force(write: Write) -> None:
    strategy = checked(write(parameters={"quantity": 0.5}, rollout={"workingOrders": "Keep"}))
    content = json.loads(strategy.content)
    identity = {
        "strategy": "desk/probe",
        "revision": strategy.revision,
        "state_key": strategy.state_key,
        "code_digest": strategy.code_digest,
    }
    limits = {
        "allowed_symbols": [],
        "blocked_symbols": [],
        "max_order_value": "50000",
        "max_position_size": "1000",
        "max_daily_loss": "5000",
        "max_drawdown": "0.1",
        "min_account_balance": "10000",
        "max_orders_per_second": "10",
        "max_orders_per_minute": "100",
        "min_confidence": "0.6",
    }
    assert content == identity | {
        "version": "",
        "symbols": ["BTCUSDT"],
        "mode": "simulation",
        "account": "",
        "capital": {"amount": "100000", "currency": "USDT"},
        "limits": limits,
        "policy": "",
        "rollout": {"type": "Rolling", "workingOrders": "Keep"},
        "parameters": {"quantity": "0.5"},
    }


def test_a_runner_is_told_what_it_needs(write: Write) -> None:
    path = write(resources={"limits": {"memory": "1Mi"}}, parameters={"allow_short": True})
    strategy = checked(path)
    spec = json.loads(strategy.runner_spec("redis://127.0.0.1:1"))
    assert spec == {
        "strategy": "desk/probe",
        "revision": strategy.revision,
        "state_key": strategy.state_key,
        "code_digest": strategy.code_digest,
        "version": "",
        "source": {"builtin": "sma_crossover"},
        "parameters": {"allow_short": True},
        "symbols": ["BTCUSDT"],
        "channels": ["market:btcusdt"],
        "redis_url": "redis://127.0.0.1:1",
        "mode": "simulation",
        "rollout": {"workingOrders": None},
        "manifest_dir": str(path.parent),
    }


def test_a_config_map_beside_it_holds_its_code(write: Write, tmp_path: Path) -> None:
    data = {
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "desk"},
        "data": {"k": CODE},
    }
    source = {"source": {"configMap": {"name": "c", "key": "k"}}}
    path = write(strategy=source)
    path.write_text(f"{path.read_text()}\n---\n{json.dumps(data)}")
    assert checked(path).source["inline"] == CODE


@pytest.mark.parametrize(
    "strategy",
    [{"image": "example/momentum-go:1.4"}, {"source": {"configMap": {"name": "c", "key": "k"}}}],
    ids=["image", "config map"],
)
def test_what_only_a_cluster_has_is_right_there_and_wrong_here(
    write: Write, strategy: dict[str, Any]
) -> None:
    path = write(strategy=strategy)
    assert check([path]) == []
    assert len(read([path]).problems) == 1


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"rollout": {"type": "Canary"}}, "spec.rollout.type: 'Canary', expected Rolling"),
        (
            {"rollout": {"workingOrders": "Cancel"}},
            "spec.rollout.workingOrders: 'Cancel', expected Keep",
        ),
        ({"rollout": {"supersede": "Finish"}}, "supersede: 'Finish', expected Replace"),
        ({"deletion": {"positionPolicy": "Flatten"}}, "positionPolicy: 'Flatten', expected Keep"),
    ],
    ids=["type", "working orders", "supersede", "flatten"],
)
def test_what_this_machine_cannot_do_is_not_passed_over(
    write: Write, spec: dict[str, Any], says: str
) -> None:
    path = write(**spec)
    assert check([path]) == []
    (problem,) = read([path]).problems
    assert says in str(problem)


def test_an_image_that_is_not_used_is_named_in_a_warning(write: Write) -> None:
    checked = read([write(image="a/b:1")])
    assert not checked.problems
    (warning,) = checked.warnings
    assert "spec.image: for clusters; here what is installed runs" in str(warning)


def test_the_default_channel_is_named_in_a_warning(write: Write) -> None:
    path = write(feed={"redis": {"url": "redis://feed:6379"}})
    (warning,) = read([path]).warnings
    assert str(warning).endswith("channels: not written, market:{symbol} is used")


def test_the_command_prints_what_is_right(write: Write) -> None:
    path = write()
    result = run(path)
    assert result.exit_code == 0
    assert result.stdout == f"ok desk/probe revision {checked(path).revision}\n"


def test_the_command_fails_with_what_is_wrong(write: Write) -> None:
    result = run(write(mode="liv"), "none.yaml")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "spec.mode: 'liv', expected" in result.stderr
    assert "none.yaml: cannot be read (No such file or directory)" in result.stderr


def test_a_symbol_that_nobody_knows_is_answered_with_its_neighbour(write: Write) -> None:
    (problem,) = check([write(symbols=["ETHUSDT", "BTCUSDTT"])])
    assert "spec.symbols[1]: 'BTCUSDTT', expected an instrument of the catalogue: " in str(problem)
    assert problem.did_you_mean == "BTCUSDT"


def test_the_command_answers_in_json(write: Write) -> None:
    result = json.loads(run("-o", "json", write(mode="liv")).stdout)
    assert result["ok"] is False
    assert result["problems"][0]["path"] == "spec.mode"
    assert result["problems"][0]["did_you_mean"] == "live"


def test_the_command_wants_a_manifest() -> None:
    assert run().exit_code == 2


def test_a_runner_makes_the_strategy_of_its_spec(write: Write, tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_bytes(checked(write(CODE, parameters={"period": 7})).runner_spec("redis://h:1"))
    spec = strategy_runner.spec.read(file)
    assert repr(spec.make_strategy()) == "Quiet(period=7)"


POLICY: dict[str, Any] = {
    "apiVersion": "stratops.dev/v1alpha1",
    "kind": "RiskPolicy",
    "metadata": {"name": "calm", "namespace": "desk"},
    "spec": {"limits": {"max_drawdown": 0.1}},
}


def with_policy(path: Path, **spec: Any) -> Path:
    """The manifest, and a policy in the same file."""
    policy = POLICY | {"spec": {**POLICY["spec"], **spec}}
    path.write_text(f"{path.read_text()}\n---\n{json.dumps(policy)}")
    return path


def test_a_limit_beyond_the_policy_beside_it_is_a_problem(write: Write) -> None:
    risk = {"policy": "calm", "limits": {"max_drawdown": "0.2"}}
    (found,) = messages(with_policy(write(risk=risk)))
    assert "spec.risk.limits.max_drawdown: 0.2, expected at most 0.1, of RiskPolicy calm" in found


def test_a_policy_that_no_strategy_names_bounds_none(write: Write) -> None:
    path = with_policy(write(risk={"policy": "other", "limits": {"max_drawdown": "0.2"}}))
    assert messages(path) == []


def test_a_desk_with_a_halted_policy_does_not_start(write: Write) -> None:
    path = with_policy(write(), halted=True, reason="a storm")
    (problem,) = read([path]).problems
    assert "spec.halted: true (a storm), expected false: a halted desk does not" in str(problem)
    assert check([path]) == []
