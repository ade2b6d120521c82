"""Specs of a Strategy for property tests, as JSON has them: right ones, and ones gone wrong."""

import copy
from typing import Any

from hypothesis import strategies as st

from platform_spec.decimals import number

Json = Any
Spec = dict[str, Any]

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")) | st.sampled_from("\n\t"),
    max_size=12,
)
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
SYMBOLS = st.sampled_from(["BTCUSDT", "ETHUSDT", "A", "ON", "1INCH", "BRK.B", "X" * 32])
PYTHON_NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)

# Each meant a different number to somebody once.
ODD = [1e-7, 1.0, "0.10", "1e-7", 5e3, "5E+3", 0.1, 1e21, 1e22, 2**53 + 1, 2**62, "1.50", 100.0]
ABOVE_ZERO = (
    st.sampled_from(ODD)
    | st.integers(1, 2**62)
    | st.floats(1e-12, 1e15)
    | st.decimals("0.000001", 10**9, places=6).map(str)
)
SHARES = st.sampled_from([1, 1.0, "1", "0.10", 1e-7, "1e-7", 0.3]) | st.floats(1e-9, 1)
RATES = st.integers(1, 10**6) | st.sampled_from([5.0, "5", "1e3", "10.0", 1000000.0])
_BOUNDED = st.one_of(
    st.integers(1 - 2**63, 2**63 - 1),
    st.floats(-1e30, 1e30, allow_subnormal=False),
    st.sampled_from([*ODD, 0, -0.0, -1.5, 1e-30]),
)
NUMBERS = _BOUNDED.filter(lambda value: number(value) is not None or isinstance(value, str))
PLAIN: st.SearchStrategy[Json] = st.recursive(
    st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=4,
)


def _lists(items: st.SearchStrategy[Json], least: int = 0) -> st.SearchStrategy[Json]:
    return st.lists(items, min_size=least, max_size=4, unique=True)


def _some(**fields: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=fields)


LIMITS = _some(
    allowed_symbols=_lists(SYMBOLS),
    blocked_symbols=_lists(SYMBOLS),
    max_order_value=ABOVE_ZERO,
    max_position_size=ABOVE_ZERO,
    max_daily_loss=ABOVE_ZERO,
    max_drawdown=SHARES,
    min_account_balance=ABOVE_ZERO | st.sampled_from([0, 0.0, "0", "0.00", "-0"]),
    max_orders_per_second=RATES,
    max_orders_per_minute=RATES,
    min_confidence=SHARES | st.sampled_from([0, "0"]),
    max_gross_exposure=ABOVE_ZERO,
    max_net_exposure=ABOVE_ZERO,
    max_concentration=ABOVE_ZERO,
    max_open_orders=RATES,
    max_price_deviation=SHARES,
    max_value_at_risk=ABOVE_ZERO,
    max_correlation=SHARES,
)
RUNNABLES = st.one_of(
    st.sampled_from(["sma_crossover", "momentum"]).map(lambda name: {"builtin": name}),
    st.just({"class": "my_package.momentum:Momentum"}),
    WORDS.filter(bool).map(lambda text: {"source": {"inline": text}}),
    st.just({"source": {"configMap": {"name": "code", "key": "strategy.py"}}}),
    st.just({"image": "example/momentum-go@sha256:" + "0" * 64}),
)
FEEDS = st.one_of(
    st.sampled_from([None, ["market:{symbol}"], ["a*", "b:{symbol}"]]).map(
        lambda channels: {"redis": {"url": "redis://feed:6379/0", "channels": channels}}
    ),
    st.just({"nats": {"url": "nats://[::1]:4222", "subjects": ["market.{symbol}.>"]}}),
)
QUANTITIES = _some(
    cpu=st.sampled_from(["50m", 1, 0.5, "0.5", "2", 2.0]),
    memory=st.sampled_from(["128Mi", "1G", 1e9, 134217728, "134217728"]),
)
LABELS = st.dictionaries(
    st.sampled_from(["app", "example.com/team", "A.b_c"]), st.sampled_from(["", "a", "v1.0-b_C"])
)
POD_TEMPLATES = _some(
    labels=LABELS,
    annotations=st.dictionaries(st.sampled_from(["a", "example.com/b"]), WORDS),
    nodeSelector=LABELS,
    tolerations=st.lists(
        _some(
            key=st.just("dedicated"),
            operator=st.sampled_from(["Exists", "Equal"]),
            effect=st.sampled_from(["NoSchedule", "NoExecute"]),
            tolerationSeconds=st.integers(0, 86_400),
        ),
        max_size=2,
    ),
    priorityClassName=st.just("high"),
    imagePullSecrets=st.just([{"name": "registry"}]),
)
_OPTIONAL = {
    "image": st.just("a/b@sha256:" + "f" * 64),
    "version": st.sampled_from(["1.0.0", "1.4", "2024-08-08", "v1+b"]),
    "parameters": st.dictionaries(PYTHON_NAMES, PLAIN, max_size=4),
    "feed": FEEDS,
    "mode": st.sampled_from(["observation", "simulation"]),
    "capital": _some(amount=ABOVE_ZERO, currency=st.sampled_from(["USDT", "EUR"])),
    "account": NAMES,
    "risk": _some(policy=st.just("nobody"), limits=LIMITS),
    "rollout": _some(
        type=st.sampled_from(["Rolling", "Direct", "Canary"]),
        workingOrders=st.sampled_from(["Keep", "Cancel"]),
        supersede=st.sampled_from(["Finish", "Replace"]),
    ),
    "suspend": st.booleans(),
    "resources": st.one_of(_some(requests=QUANTITIES), _some(limits=QUANTITIES)),
    "deletion": _some(
        positionPolicy=st.sampled_from(["Keep", "Flatten"]),
        deadlineSeconds=st.integers(1, 3_600) | st.just(30.0),
    ),
    "revisionHistoryLimit": st.integers(0, 100),
    "progressDeadlineSeconds": st.integers(1, 3_600),
    "podTemplate": POD_TEMPLATES,
}
_REQUIRED = {"strategy": RUNNABLES, "symbols": _lists(SYMBOLS, 1)}
_LIVE = {
    "mode": st.just("live"),
    "capital": st.fixed_dictionaries({"amount": ABOVE_ZERO}),
    "risk": st.fixed_dictionaries({"policy": st.just("nobody")}, optional={"limits": LIMITS}),
}
_OPTIONAL_LIVE = {name: each for name, each in _OPTIONAL.items() if name not in _LIVE}
RIGHT: st.SearchStrategy[Spec] = st.one_of(
    st.fixed_dictionaries(_REQUIRED, optional=_OPTIONAL),
    st.fixed_dictionaries(_REQUIRED | _LIVE, optional=_OPTIONAL_LIVE),
)

JUNK: st.SearchStrategy[Json] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    WORDS,
    st.sampled_from(
        ["", "0", "-1", "1e999", "1e41", "0x1F", "BTCUSDT", "live", "Live", "a@b", "a/b:1", "Ki",
         "redis://me:secret@feed", "x" * 70, "é", [], {}, [None], [[]], {"a": None}, ["A", "A"],
         [1], {"builtin": "momentum"}, {"amount": 0}, {"limits": {"max_drawdown": "1.1"}}]
    ),
)  # fmt: skip
_NAMES_OF_FIELDS = st.sampled_from(
    ["mode", "symbols", "strategy", "capital", "amount", "risk", "limits", "max_drawdown", "Mode",
     "max_orders_per_second", "parameters", "a-b", "class", "file", "url", "cpu", "account", ""]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> Spec:
    """A right spec with one or two places changed, taken away or added; it may still be right."""
    spec = copy.deepcopy(draw(RIGHT))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(_containers(spec)))
        _damage(draw, place)
    return spec


def _containers(value: Json) -> list[Json]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [value] if isinstance(value, dict | list) else []
    return found + [each for part in inner for each in _containers(part)]


def _damage(draw: st.DrawFn, place: Json) -> None:
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    what = draw(st.sampled_from(["change", "remove", "add"] if keys else ["add"]))
    if what == "add" and isinstance(place, list):
        place.append(draw(JUNK))
        return
    key = draw(_NAMES_OF_FIELDS if what == "add" else st.sampled_from(keys))
    if what == "remove":
        del place[key]
    else:
        place[key] = copy.deepcopy(draw(JUNK))
