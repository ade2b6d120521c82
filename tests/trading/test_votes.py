"""Votes on a desk: whose count, for how long, and what an order that opens needs of them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btc import BTC, ETH
from trading.accounts import StrategyAccount, Terms
from trading.aggregation import SURE, Aggregation, Method, Vote
from trading.fills import Fill
from trading.limits import Limits
from trading.market import Touch
from trading.pools import Pools
from trading.reasons import Reason
from trading.risk import Approved, Rejection
from trading.signals import Action, Cause, Direction, OrderType, Side, Signal
from trading.votes import KEPT, memory_of_votes, put_back_votes

S = 1_000_000_000
INSTRUMENTS = {"BTCUSDT": BTC, "ETHUSDT": ETH}
TOUCH = Touch(Decimal(99), Decimal(101))
UNANIMOUS = Aggregation(Method.UNANIMOUS, group="risk policy p, simulation")
WIDE = Limits(max_orders_per_second=10**6, max_orders_per_minute=10**6)
LONG, SHORT, CLOSE = Direction.LONG, Direction.SHORT, Direction.CLOSE


class Desk:
    """Strategies by name; each signal is judged at a time in seconds."""

    def __init__(self) -> None:
        self.pools = Pools(INSTRUMENTS)
        self.accounts: dict[str, StrategyAccount] = {}
        self.asked = 0

    def join(self, *names: str, rules: tuple[Aggregation, ...] = (UNANIMOUS,)) -> None:
        for name in names:
            terms = Terms(Decimal(10**6), frozenset(INSTRUMENTS), WIDE, aggregations=rules)
            self.accounts[name] = StrategyAccount(name, terms, INSTRUMENTS, self.pools)

    def ask(self, name: str, side: Side, at: float, **fields: Any) -> Approved | Rejection:
        self.asked += 1
        now = int(at * S)
        signal = Signal(
            **{
                "id": f"n{self.asked}", "symbol": "BTCUSDT", "at_ns": now, "side": side,
                "quantity": Decimal(1), "cause": Cause("BTCUSDT", "tick", 1, now), **fields,
            }
        )  # fmt: skip
        return self.accounts[name].review(signal, lambda _: TOUCH, now, epoch=1)

    def buy(self, name: str, at: float, **fields: Any) -> Approved | Rejection:
        return self.ask(name, Side.BUY, at, **fields)

    def sell(self, name: str, at: float, **fields: Any) -> Approved | Rejection:
        return self.ask(name, Side.SELL, at, **fields)

    def hold(self, name: str, quantity: str) -> None:
        self.accounts[name].on_fill(
            Fill(f"f{self.asked}", "o", name, "BTCUSDT", Side.BUY, Decimal(100), Decimal(quantity),
                 Decimal(0), 0)
        )  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.join("a", "b")
    return desk


def is_refused(answer: Approved | Rejection) -> bool:
    assert isinstance(answer, Approved) or answer.reason is Reason.NO_CONSENSUS
    return isinstance(answer, Rejection)


def test_who_is_alone_has_its_own_consensus(desk: Desk) -> None:
    assert not is_refused(desk.buy("a", at=10))


def test_who_disagrees_is_refused_with_the_votes(desk: Desk) -> None:
    desk.sell("b", at=10, confidence=Decimal("0.9"))
    answer = desk.buy("a", at=11)
    assert isinstance(answer, Rejection)
    assert answer.message == (
        "LONG is wanted, risk policy p, simulation has NONE by unanimous within 5 s: a LONG 1, "
        "b SHORT 0.900000000"
    )


@pytest.mark.parametrize(
    ("at", "refused"), [(15, True), (15.000000001, False)], ids=["at the edge", "past it"]
)
def test_a_vote_counts_until_the_window_is_over(desk: Desk, at: float, refused: bool) -> None:
    desk.sell("b", at=10)
    assert is_refused(desk.buy("a", at=at)) is refused


def test_a_later_intention_takes_the_place_of_the_one_before(desk: Desk) -> None:
    desk.sell("b", at=10)
    desk.buy("b", at=11)
    assert not is_refused(desk.buy("a", at=12))


def test_who_is_behind_is_judged_by_what_was_wanted_then(desk: Desk) -> None:
    desk.sell("b", at=10)
    desk.buy("b", at=20)
    assert is_refused(desk.buy("a", at=11))
    assert not is_refused(desk.buy("a", at=9))


def test_another_symbol_is_another_vote(desk: Desk) -> None:
    desk.sell("b", at=10, symbol="ETHUSDT")
    assert not is_refused(desk.buy("a", at=10))


def test_who_is_of_another_group_has_no_vote(desk: Desk) -> None:
    desk.join("c", rules=(Aggregation(Method.UNANIMOUS, group="risk policy p, live"),))
    desk.join("d", rules=())
    desk.sell("c", at=10)
    desk.sell("d", at=10)
    assert not is_refused(desk.buy("a", at=10))


def test_what_closes_passes_and_votes_for_closing(desk: Desk) -> None:
    desk.hold("b", "1")
    desk.buy("a", at=10)
    assert isinstance(desk.sell("b", at=11), Approved)
    answer = desk.buy("a", at=12)
    assert isinstance(answer, Rejection)
    assert "b CLOSE 1" in answer.message


def test_an_intention_votes_whatever_its_limits_make_of_it(desk: Desk) -> None:
    assert isinstance(desk.sell("b", at=10, quantity=Decimal(5000)), Rejection)
    assert is_refused(desk.buy("a", at=10))


@pytest.mark.parametrize(
    "fields",
    [{"confidence": Decimal("NaN")}, {"confidence": Decimal(2)}, {"expires_ns": 1}],
    ids=["no number", "too sure", "expired"],
)
def test_what_is_no_intention_has_no_vote(desk: Desk, fields: dict[str, Any]) -> None:
    assert isinstance(desk.sell("b", at=10, **fields), Rejection)
    assert not is_refused(desk.buy("a", at=10))


def test_what_wants_nothing_takes_its_vote_back(desk: Desk) -> None:
    desk.sell("b", at=10)
    desk.ask("b", Side.BUY, at=11, direction=Direction.NONE)
    assert not is_refused(desk.buy("a", at=12))


def test_the_first_keeps_its_place_while_it_goes_on() -> None:
    desk = Desk()
    desk.join("a", "b", rules=(Aggregation(Method.FIRST_SIGNAL),))
    desk.buy("a", at=1)
    assert is_refused(desk.sell("b", at=2))
    assert not is_refused(desk.buy("a", at=6))
    assert is_refused(desk.sell("b", at=7))  # a wants it since 1
    assert not is_refused(desk.buy("a", at=7.5))
    assert not is_refused(desk.sell("b", at=12.6))  # a has been silent for longer than 5 s
    assert is_refused(desk.buy("a", at=12.7))


def test_another_run_of_a_replay_has_votes_of_its_own(desk: Desk) -> None:
    for name in ("a", "b"):
        desk.pools.votes.decides_in(name, "run-1")
    desk.sell("b", at=10)
    desk.pools.votes.decides_in("a", "run-2")
    assert not is_refused(desk.buy("a", at=10))
    desk.pools.votes.decides_in("b", "run-2.1")
    assert not is_refused(desk.buy("a", at=10.5))
    desk.sell("b", at=11)
    assert is_refused(desk.buy("a", at=11))


def test_two_policies_must_both_agree(desk: Desk) -> None:
    other = Aggregation(Method.MAJORITY, group="risk policy q, simulation")
    desk.join("a", rules=(UNANIMOUS, other))
    desk.join("c", rules=(other,))
    desk.sell("c", at=10, confidence=Decimal(1))
    answer = desk.buy("a", at=10)
    assert isinstance(answer, Rejection)
    assert "risk policy q, simulation has NONE by majority" in answer.message


def test_a_larger_order_needs_the_consensus_and_a_smaller_one_does_not(desk: Desk) -> None:
    rests = desk.buy("a", at=10, order_type=OrderType.LIMIT, price=Decimal(90))
    assert isinstance(rests, Approved)
    desk.accounts["a"].reserve(rests.order)
    desk.sell("b", at=10)
    change: dict[str, Any] = {"action": Action.MODIFY, "modifies": rests.order.signal_id}
    for quantity, refused in (("2", True), ("0.5", False)):
        asked = Signal("m", "BTCUSDT", Cause("BTCUSDT", "tick", 1, 11 * S), 11 * S,
                       quantity=Decimal(quantity), **change)  # fmt: skip
        found = desk.accounts["a"].review_modification(asked, lambda _: TOUCH, 11 * S, epoch=1)
        assert isinstance(found, Rejection) is refused


def test_the_gateways_own_orders_have_no_vote(desk: Desk) -> None:
    now = 10 * S
    signal = Signal("own", "BTCUSDT", Cause("", "", 0, now), now, quantity=Decimal(1))
    desk.accounts["b"].review(signal, lambda _: TOUCH, now, epoch=0)
    assert not desk.pools.votes.boxes


def test_what_is_kept_is_bounded(desk: Desk) -> None:
    for at in range(KEPT + 5):
        desk.sell("b", at=at)
    assert len(desk.pools.votes.boxes["BTCUSDT"]["b"].votes) == KEPT


def test_a_clock_that_is_set_back_takes_no_vote_away(desk: Desk) -> None:
    for at in range(10_000, 10_000 + KEPT):
        desk.buy("b", at=at)
    desk.sell("b", at=6_400)
    assert is_refused(desk.buy("a", at=6_401))
    desk.sell("b", at=6_410)
    assert is_refused(desk.buy("a", at=6_411))


def test_a_close_of_what_is_being_bought_passes(desk: Desk) -> None:
    bought = desk.buy("b", at=10)
    assert isinstance(bought, Approved)
    desk.accounts["b"].reserve(bought.order)
    desk.buy("a", at=10)
    assert isinstance(desk.sell("b", at=11, closing=True), Approved)


def test_votes_put_back_count_as_before(desk: Desk) -> None:
    desk.pools.votes.decides_in("a", "run-1")
    desk.pools.votes.decides_in("b", "run-1")
    desk.sell("b", at=10)
    after = Desk()
    after.join("a", "b")
    for name in ("a", "b"):
        after.pools.votes.decides_in(name, "run-1")
    put_back_votes(after.pools.votes, memory_of_votes(desk.pools.votes))
    assert is_refused(after.buy("a", at=11))


CONFIDENCES = st.decimals(0, 1, places=1)
events = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(Side), st.integers(-2, 6), CONFIDENCES),
    max_size=25,
)


@settings(deadline=None)
@given(events, st.sampled_from(Method), st.integers(1, 8))
def test_it_is_what_all_signals_read_again_say(
    happened: list[tuple[str, Side, int, Decimal]], method: Method, window_s: int
) -> None:
    """Against all that was ever said, looked through anew for each order."""
    rule = Aggregation(method, window_s * S, group="g")
    desk, said, now = Desk(), [], 100
    desk.join("a", "b", "c", rules=(rule,))
    for name, side, later, confidence in happened:
        now = max(now + later, 0)
        said.append((now * S, name, Direction.of(side), confidence))
        desk.ask(name, side, now, confidence=confidence)
        poll = desk.accounts[name].poll
        assert poll is not None
        counted = desk.pools.votes.counted(poll, "BTCUSDT").consensus[0]
        assert {v.strategy: (v.at_ns, v.direction, v.confidence) for v in counted.votes} == (
            _slowly(said, name, now * S, window_s * S)
        )


def _slowly(
    said: list[tuple[int, str, Direction, Decimal]], own: str, now: int, window: int
) -> dict[str, tuple[int, Direction, Decimal]]:
    found: dict[str, tuple[int, Direction, Decimal]] = {}
    for place, (at, name, direction, confidence) in enumerate(said):
        is_own = name == own and place == len(said) - 1
        known = now - window <= at <= now
        if is_own or (known and name != own and (name not in found or at >= found[name][0])):
            found[name] = (at, direction, confidence)
    return found


def test_a_signal_that_says_nothing_of_it_is_sure(desk: Desk) -> None:
    desk.buy("a", at=1)
    assert desk.pools.votes.boxes["BTCUSDT"]["a"].votes == [Vote("a", LONG, SURE, S, S)]
