"""Manifests become models, or problems that a person can act on."""

import pytest

from platform_spec.manifest import parse
from platform_spec.problems import InvalidManifest

SMALLEST = """\
apiVersion: stratops.dev/v1alpha1
kind: Strategy
metadata: {name: probe}
spec:
  strategy: {builtin: sma_crossover}
  version: 1.0.0
  parameters: {short_period: 5, long_period: 20, quantity: "0.1"}
  symbols: [BTCUSDT]
  mode: simulation                 # capital defaults to 100000
"""
LARGEST = """\
apiVersion: stratops.dev/v1alpha1
kind: Strategy
metadata: {name: btc-momentum, namespace: desk-a}
spec:
  strategy:                        # exactly one of
    builtin: momentum
  version: 1.4.0
  parameters: {lookback_period: 200, threshold: 0.0001, max_position: "0.5"}
  symbols: [BTCUSDT, ETHUSDT]
  feed: {redis: {url: redis://feed:6379, channels: ["market:{symbol}"]}}
  mode: live                       # observation | simulation | live
  capital: {amount: "100000", currency: USDT}
  risk:
    policy: desk-default
    limits: {max_order_value: "50000", max_position_size: "1", max_drawdown: 0.1}
  rollout: {type: Rolling}         # workingOrders: Cancel | Keep
  suspend: false
  resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 128Mi}}
"""
CONFIG_MAP = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: code}\ndata: {strategy.py: 'x = 1'}\n"
)


def with_line(line: str) -> str:
    """The smallest manifest with one more line in its spec: line 10."""
    return f"{SMALLEST}  {line}\n"


def problems(text: str | bytes) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(InvalidManifest) as caught:
        parse(data, "desk.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_both_manifests_of_the_contract_are_valid() -> None:
    manifest = parse(f"{SMALLEST}---\n{LARGEST}".encode(), "desk.yaml")
    assert [written.strategy.ref for written in manifest.strategies] == [
        "probe",
        "desk-a/btc-momentum",
    ]


def test_a_mistyped_limit_is_answered_with_the_nearest_name() -> None:
    text = with_line("risk: {limits: {max_order_valu: 1}}")
    assert problems(text) == [
        "desk.yaml:10: spec.risk.limits.max_order_valu: unknown field; "
        "did you mean max_order_value?"
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("suspend: yes", "spec.suspend: 'yes', expected true or false"),
        (
            "account: Main",
            "spec.account: 'Main', expected lower-case letters, digits and '-' within",
        ),
        ("capital: {amount: -1}", "spec.capital.amount: -1, expected a number above 0"),
        ("capital: {amount: .inf}", "spec.capital.amount: '.inf', expected a number above 0"),
        ("capital: {amount: 1_000}", "spec.capital.amount: '1_000', expected a number above 0"),
        (
            "risk: {limits: {max_drawdown: 2}}",
            "max_drawdown: 2, expected a number above 0, at most 1",
        ),
        ("risk: {limits: {max_orders_per_second: 1.5}}", "1.5, expected a whole number from 1"),
        ("rollout: {type: rolling}", "'rolling', expected 'Direct', 'Rolling', "),
        ("rollout: {workingOrder: Keep}", "unknown field; did you mean workingOrders?"),
        ("feed: {}", "exactly one of redis, nats; none is written"),
        ("feed: {redis: {url: 'redis://me:secret@feed'}}", "expected redis://host:port, no user"),
        ("feed: {redis: {url: redis://feed, channels: ['a b']}}", "channels[0]: 'a b', expected a"),
        ("resources: {limits: {memory: lots}}", "'lots', expected bytes, as in 128Mi"),
        ("symbol: [BTCUSDT]", "spec.symbol: unknown field; did you mean symbols?"),
        ("version: 1.0.1", "spec.version: written twice, expected each key once; first on line 6"),
        ("risk: [1]", "spec.risk: a list, expected a mapping"),
        ("account: !!python/object:x 1", "expected plain values without tags"),
    ],
)
def test_a_wrong_field_is_named_with_value_and_expectation(line: str, problem: str) -> None:
    (found,) = problems(with_line(line))
    assert found.startswith("desk.yaml:10: ")
    assert problem in found


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("name: probe", f"name: {'a' * 41}", "metadata.name: 'aaaaaaaa"),
        ("name: probe", "nam: probe", "metadata.nam: unknown field; did you mean name?"),
        ("name: probe", "nam: probe", "metadata.name: missing, expected name of the strategy"),
        ("{builtin: sma_crossover}", "{}", "exactly one of builtin, class, source, image; none"),
        (
            "{builtin: sma_crossover}",
            "{builtin: momentum, image: x}",
            "image; builtin and image is written",
        ),
        ("{builtin: sma_crossover}", "{class: nothing}", "expected module:Class"),
        ("1.0.0", "1.4", "spec.version: 1.4, expected a version as text, as in 1.4.0 or '1.4'"),
        ("quantity:", "1st:", "spec.parameters.1st: '1st', expected a Python name"),
        ('"0.1"', "null", "spec.parameters.quantity: null, expected a value; leave"),
        ('"0.1"', "1e300", "spec.parameters.quantity: 1e+300, expected text, true, false"),
        ('"0.1"', "99999999999999999999", "expected a number within 64 bits"),
        ("[BTCUSDT]", "[]", "spec.symbols: a list, expected at least 1"),
        ("[BTCUSDT]", "[btcusdt]", "spec.symbols[0]: 'btcusdt', expected a symbol in upper case"),
        ("[BTCUSDT]", "[A, A]", "expected each only once; A is written twice"),
        ("simulation", "simulate", "did you mean simulation?"),
        (
            "kind: Strategy",
            "kind: Strateg",
            "kind: 'Strateg', expected Strategy, RiskPolicy or ConfigMap; did",
        ),
        ("v1alpha1", "v1", "apiVersion: 'stratops.dev/v1', expected 'stratops.dev/v1alpha1'"),
    ],
)
def test_a_changed_value_is_named(before: str, after: str, problem: str) -> None:
    assert problem in "\n".join(problems(SMALLEST.replace(before, after, 1)))


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("policy: desk-default\n", "\n", "spec.risk.policy: missing, expected the name of a Risk"),
        ('amount: "100000", ', "", "spec.capital.amount: missing, expected an amount"),
        ("builtin: momentum", "image: a/b:1", "spec.strategy.image: 'a/b:1', expected an image"),
    ],
)
def test_live_needs_what_bounds_it(before: str, after: str, problem: str) -> None:
    assert problem in "\n".join(problems(LARGEST.replace(before, after)))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "1: nothing, expected a resource of kind Strategy"),
        (b"# only this\n---\n", "nothing, expected a resource"),
        (b"- a", "1: a list, expected a mapping with apiVersion"),
        (b"a: [", "expected YAML"),
        (b"a: \x00", "expected YAML"),
        (b"a: 1\nb: \xff", "2: byte 0xff, expected UTF-8 text"),
        (b"a: &a [*a]", "a[0]: *a, expected an anchor that ended before"),
        (b"? [a]\n: b", "a key that is no text, expected text as key"),
        (b"a: " + b"[" * 100_000, "deeper nesting, expected at most 32 levels"),
        (b"a: " + b"- " * 100_000, "expected YAML"),
        (b"a: b\n" * 200_001, "expected at most 1000000"),
        (b"a: &a [1,2,3,4,5,6,7,8,9]\n" + b"".join(
            b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % (c, c, *[c - 1] * 9)
            for c in range(ord("b"), ord("k"))
        ), "more values, expected at most 50000, aliases expanded"),
        (b"---\n1\n" * 1_001, "more documents"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else "",
)  # fmt: skip
def test_what_is_no_manifest_is_refused_with_its_place(data: bytes, problem: str) -> None:
    assert problem in problems(data)[0]


DOUBTFUL = ["y", "No", "ON", "off", "010", "0o7", "0x1F", "0b1", "1_000", ".inf", ".NaN", "-.5_0"]


@pytest.mark.parametrize("text", DOUBTFUL)
def test_text_that_kubectl_reads_as_something_else_is_quoted(text: str) -> None:
    written = SMALLEST.replace('"0.1"', text)
    expected = f'spec.parameters.quantity: {text}, expected "{text}" in quotes: kubectl reads it'
    assert expected in problems(written)[0]
    parse(SMALLEST.replace('"0.1"', f"'{text}'").encode(), "desk.yaml")


@pytest.mark.parametrize("text", ["yEs", "1:30", "2024-08-08", "0o8", "1.4.0", "_1", "1e", "1.5"])
def test_text_that_is_text_to_everybody_needs_no_quotes(text: str) -> None:
    assert parse(SMALLEST.replace('"0.1"', text).encode(), "desk.yaml").strategies


def test_a_name_that_kubectl_reads_as_a_truth_is_quoted() -> None:
    (problem,) = problems(SMALLEST.replace("quantity", "n"))
    assert problem == (
        'desk.yaml:7: spec.parameters.n: n, expected "n" in quotes: kubectl reads it as no text'
    )


def test_all_problems_of_a_file_are_told_in_their_order() -> None:
    text = SMALLEST.replace("BTCUSDT", "btc").replace("simulation", "x").replace("probe", "P")
    assert [problem.split(": ")[:2] for problem in problems(f"{text}---\n{text}")] == [
        ["desk.yaml:3", "metadata.name"],
        ["desk.yaml:8", "spec.symbols[0]"],
        ["desk.yaml:9", "spec.mode"],
        ["desk.yaml:13", "metadata.name"],
        ["desk.yaml:18", "spec.symbols[0]"],
        ["desk.yaml:19", "spec.mode"],
    ]


def test_a_strategy_is_written_once() -> None:
    found = problems(f"{SMALLEST}---\n{SMALLEST}")
    assert found == [
        "desk.yaml:13: metadata.name: 'probe' again, expected each strategy once; first on line 3"
    ]


def test_what_kubectl_prints_is_read_as_it_was_written() -> None:
    added = "metadata: {uid: u, generation: 3, resourceVersion: '7', name: probe}"
    text = SMALLEST.replace("metadata: {name: probe}", added) + "status: {phase: Running}\n"
    (written,) = parse(text.encode(), "desk.yaml").strategies
    assert written.strategy == parse(SMALLEST.encode(), "desk.yaml").strategies[0].strategy


def test_config_maps_beside_the_strategies_are_read() -> None:
    manifest = parse(f"{SMALLEST}---\n{CONFIG_MAP}".encode(), "desk.yaml")
    assert manifest.config_maps == {"code": {"strategy.py": "x = 1"}}


def test_anchors_stand_for_what_they_name() -> None:
    text = SMALLEST.replace("[BTCUSDT]", "&all [BTCUSDT]") + (
        "  risk: {limits: {allowed_symbols: *all}}\n"
    )
    (written,) = parse(text.encode(), "desk.yaml").strategies
    assert written.strategy.spec.limits.allowed_symbols == ("BTCUSDT",)
