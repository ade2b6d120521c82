"""What past returns say of positions as they could become, against a slow reading of it."""

import random
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from itertools import pairwise, product
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc import BTC, ETH
from examples import examples
from trading.limits import UNLIMITED, Limits
from trading.prospect_rules import correlation_stays_within_limit, value_at_risk_stays_within_limit
from trading.prospects import Change, Prospects
from trading.rates import SECOND_NS
from trading.rules import BYPASSABLE, bounding, opening
from trading.samples import Sample
from trading.sampling import Sampling

SYMBOLS = ("BTCUSDT", "ETHUSDT", "XRPUSDT")
INSTRUMENTS = {"BTCUSDT": BTC, "ETHUSDT": ETH}
COUNT = 20
QUICK = Sampling(1, COUNT, Decimal("0.9"))
NOW = (COUNT + 1) * SECOND_NS


@dataclass(frozen=True)
class Ends:
    longest: Decimal
    shortest: Decimal


@cache
def prices(seed: int) -> list[dict[str, float]]:
    chance = random.Random(seed)
    return [{each: chance.uniform(90, 110) for each in SYMBOLS} for _ in range(COUNT + 1)]


def prospects(seed: int = 1, mids: list[dict[str, float]] | None = None) -> Prospects:
    made = Prospects(INSTRUMENTS)
    made.obey(QUICK)
    for at, each in enumerate(mids or prices(seed), 1):
        made.samples.take(Sample(at * SECOND_NS, 1, each))
    return made


@cache
def changes(seed: int, symbol: str) -> list[float]:
    mids = [each[symbol] for each in prices(seed)]
    return [mids[-1] * (now / before - 1) for before, now in pairwise(mids)]


def ends(longest: str, shortest: str = "") -> Ends:
    return Ends(Decimal(longest), Decimal(shortest or longest))


UNITS = st.integers(-50, 50).map(Decimal)
LINES = st.dictionaries(
    st.sampled_from(SYMBOLS),
    st.tuples(UNITS, UNITS).map(lambda pair: Ends(max(pair), min(pair))),
    max_size=3,
)
CHANGES = st.builds(Change, st.sampled_from(SYMBOLS), UNITS.filter(bool))
SEEDS = st.integers(0, 2**32)


def after(lines: Mapping[str, Ends], change: Change) -> dict[str, Ends]:
    before = lines.get(change.symbol, ends("0"))
    filled = Ends(before.longest + change.quantity, before.shortest + change.quantity)
    return {**lines, change.symbol: filled}


# ---- value at risk


@given(SEEDS, LINES, CHANGES)
def test_value_at_risk_is_a_sorted_list_and_a_place_in_it(
    seed: int, lines: dict[str, Ends], change: Change
) -> None:
    held = after(lines, change)
    won = [
        sum(
            min(float(each.longest) * r[place], float(each.shortest) * r[place])
            for each, r in ((each, changes(seed, name)) for name, each in held.items())
        )
        for place in range(COUNT)
    ]
    slow = max(0.0, sorted(-each for each in won)[ceil(0.9 * COUNT) - 1])
    found = prospects(seed).value_at_risk("s", lines, change, NOW)
    assert float(found.amount or 0) == pytest.approx(slow, rel=1e-10, abs=1e-9)


@examples(50)
@given(SEEDS, st.lists(st.tuples(st.sampled_from("ab"), LINES, CHANGES), max_size=12))
def test_what_is_kept_from_one_question_never_answers_another(
    seed: int, asked: list[tuple[str, dict[str, Ends], Change]]
) -> None:
    used = prospects(seed)
    for at, (who, lines, change) in enumerate(asked):
        if at == 6:  # other returns
            used.samples.take(Sample(NOW + SECOND_NS, 1, prices(seed + 1)[0]))
        fresh = prospects()
        fresh.samples = used.samples
        now_ns = NOW + SECOND_NS * (at >= 6)
        others = {"o": {"BTCUSDT": ends("1")}, "p": dict(reversed(lines.items()))}
        assert used.value_at_risk(who, lines, change, now_ns) == fresh.value_at_risk(
            who, lines, change, now_ns
        )
        assert used.correlation(lines, change, others, now_ns) == fresh.correlation(
            lines, change, others, now_ns
        )


def test_a_new_sample_is_another_answer() -> None:
    used, lines, change = prospects(), {"ETHUSDT": ends("3")}, Change("BTCUSDT", Decimal(1))
    before = used.value_at_risk("s", lines, change, NOW)
    used.samples.take(Sample(NOW + SECOND_NS, 1, dict.fromkeys(SYMBOLS, 50.0)))
    now = used.value_at_risk("s", lines, change, NOW + SECOND_NS)
    fresh = prospects()
    fresh.samples = used.samples
    assert now == fresh.value_at_risk("s", lines, change, NOW + SECOND_NS) != before


def test_what_nets_to_nothing_risks_nothing() -> None:
    found = prospects().value_at_risk(
        "s", {"BTCUSDT": ends("-5")}, Change("BTCUSDT", Decimal(5)), NOW
    )
    assert (found.amount, found.basis.symbols) == (Decimal(0), "")


def test_a_hedge_that_is_only_at_work_makes_no_room() -> None:
    """5 at work to be sold, then 5 more to be bought: the 5 are at risk all the same."""
    buy_5 = Change("BTCUSDT", Decimal(5))
    without, with_it = (
        prospects().value_at_risk("s", {"BTCUSDT": each}, buy_5, NOW).amount
        for each in (ends("0"), ends("0", "-5"))
    )
    assert with_it == without


def test_a_contract_multiplier_counts() -> None:
    one, ten = prospects(), prospects()
    ten._instruments = {"BTCUSDT": replace(BTC, contract_multiplier=Decimal(10))}
    change = Change("BTCUSDT", Decimal(1))
    single, tenfold = (each.value_at_risk("s", {}, change, NOW).amount for each in (one, ten))
    assert single is not None
    assert tenfold == pytest.approx(10 * single)


# ---- correlation


@given(SEEDS, LINES, CHANGES, st.lists(LINES, max_size=3))
def test_correlation_is_the_largest_of_any_two_series(
    seed: int, lines: dict[str, Ends], change: Change, others: list[dict[str, Ends]]
) -> None:
    named = {f"o{place}": each for place, each in enumerate(others)}
    mine = _series(seed, after(lines, change))
    slow = [
        statistics.correlation(one, other)
        for each in others
        for one, other in product(mine, _series(seed, each))
    ]
    found = prospects(seed).correlation(lines, change, named, NOW)
    assert found.most is not None
    assert float(found.most) == pytest.approx(max(slow) if slow else 0, abs=1e-9)
    assert (found.other in named) is bool(slow)


def _series(seed: int, lines: Mapping[str, Ends]) -> list[list[float]]:
    """At either end of it, where that is not nothing."""
    found = []
    for end in ("longest", "shortest"):
        stakes = {name: float(getattr(each, end)) for name, each in lines.items()}
        if any(stakes.values()):
            columns = [[units * r for r in changes(seed, name)] for name, units in stakes.items()]
            found.append([sum(row) for row in zip(*columns, strict=True)])
    return found


BUY_BTC = Change("BTCUSDT", Decimal(1))


def test_nobody_else_holds_anything_is_no_correlation_and_needs_no_samples() -> None:
    empty = Prospects(INSTRUMENTS)
    found = empty.correlation({}, BUY_BTC, {"o": {"BTCUSDT": ends("0")}}, NOW)
    assert (found.most, found.other) == (Decimal(0), "")
    assert found.basis.found >= found.basis.needed


def test_a_market_that_does_not_move_makes_it_unknown() -> None:
    still = prospects(mids=[dict.fromkeys(SYMBOLS, 100.0)] * (COUNT + 1))
    found = still.correlation({}, BUY_BTC, {"o": {"BTCUSDT": ends("1")}}, NOW)
    assert (found.most, found.other, found.basis.found) == (None, "o", COUNT)


def test_a_symbol_of_another_that_is_not_sampled_makes_it_unknown() -> None:
    found = prospects().correlation({}, BUY_BTC, {"o": {"DOGEUSDT": ends("1")}}, NOW)
    assert (found.most, found.basis.found) == (None, 0)
    assert found.basis.symbols == "BTCUSDT, DOGEUSDT"


# ---- whether anybody asks


def test_samples_are_made_while_anybody_asks() -> None:
    told: list[int] = []
    asked = Prospects({})
    asked.sample_each = told.append
    asked.ask("s", asks=True)
    asked.ask("t", asks=True)
    asked.ask("s", asks=False)
    asked.obey(QUICK)
    asked.ask("t", asks=False)
    asked.obey(None)
    assert told == [60, 60, 60, 1, 1, 0]


def test_no_rule_is_there_while_no_limit_is_written() -> None:
    rules = {value_at_risk_stays_within_limit, correlation_stays_within_limit}
    assert rules.isdisjoint(opening(Limits()))
    assert rules.isdisjoint(bounding(Limits()))
    both = Limits(max_value_at_risk=Decimal(1), max_correlation=Decimal(1))
    assert rules <= set(opening(both))
    assert rules <= set(bounding(both))
    names = frozenset(("max_value_at_risk", "max_correlation"))
    assert names <= BYPASSABLE
    assert rules.isdisjoint(opening(both, names))
    assert Limits().max_value_at_risk == Limits().max_correlation == UNLIMITED


def test_samples_of_another_interval_say_nothing_of_this_one() -> None:
    """What a second could lose is no measure of a minute."""
    made = prospects()
    made.obey(replace(QUICK, interval_s=60))
    found = made.value_at_risk("s", {"BTCUSDT": ends("1")}, Change("BTCUSDT", Decimal(1)), NOW)
    assert (found.amount, found.basis.found) == (None, 0)
