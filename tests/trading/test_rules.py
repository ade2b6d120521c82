"""The rules of risk, each at its border."""

from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest

from btc import BTC as LISTED
from trading.accounts import StrategyAccount, Terms
from trading.admission import price_is_within_slippage
from trading.fills import Fill
from trading.limits import DEFAULT_LIMITS, Limits
from trading.market import Touch
from trading.reasons import Reason
from trading.risk import Approved, Rejection
from trading.rules import CLOSING, opening
from trading.signals import Action, Cause, OrderType, Side, Signal
from trading.standings import ACTIVE, Stand, Standing

NOW = 1_000
BTC = replace(LISTED, min_quantity=Decimal("0.2"), min_notional=Decimal(50))
INSTRUMENTS = {"BTCUSDT": BTC, "ETHUSDT": replace(BTC, symbol="ETHUSDT")}
TOUCH = Touch(Decimal(99), Decimal(101))
OLD = replace(TOUCH, age_ns=6 * 10**9)
CAPITAL = Decimal(20_000)
EVERY = Limits(
    max_gross_exposure=Decimal(1),
    max_net_exposure=Decimal(1),
    max_concentration=Decimal(1),
    max_open_orders=Decimal(1),
    max_price_deviation=Decimal(1),
    max_value_at_risk=Decimal(1),
    max_correlation=Decimal("0.5"),
)
BUY_1 = Signal(
    id="s1",
    symbol="BTCUSDT",
    cause=Cause("BTCUSDT", "tick", 1, NOW),
    at_ns=NOW,
    quantity=Decimal(1),
)
SELL_1 = replace(BUY_1, side=Side.SELL)
LIMIT, STOP, STOP_LIMIT = OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT


def D(number: str) -> Decimal:  # noqa: N802  # reads as the number it makes
    return Decimal(number)


def account_of(
    limits: Limits = DEFAULT_LIMITS, position: str = "0", lost: str = "0"
) -> StrategyAccount:
    """With a position in BTCUSDT bought or sold at 100, and money lost in fees."""
    account = StrategyAccount(
        "momentum", Terms(CAPITAL, frozenset(INSTRUMENTS), limits), INSTRUMENTS
    )
    held = Decimal(position)
    side = Side.BUY if held > 0 else Side.SELL
    paid = Fill("f", "o-0", "momentum", "BTCUSDT", side, D("100"), abs(held), Decimal(lost), NOW)
    account.on_fill(paid)
    return account


def judged(
    account: StrategyAccount,
    signal: Signal,
    touch: Touch | None = TOUCH,
    stand: Stand = ACTIVE,
) -> Approved | Rejection:
    return account.review(signal, lambda _: touch, NOW, stand=stand)


def outcome(
    account: StrategyAccount,
    signal: Signal,
    touch: Touch | None = TOUCH,
    stand: Stand = ACTIVE,
) -> str:
    """The reason and its numbers, or "approved"."""
    answer = judged(account, signal, touch, stand)
    return f"{answer.reason}: {answer.message}" if isinstance(answer, Rejection) else "approved"


def case(says: str, name: str, /, **signal: Any) -> Any:
    return pytest.param(signal, says, id=name)


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        case("approved", "an order"),
        case("invalid_signal: action cancel", "a cancel", action=Action.CANCEL),
        case("invalid_signal: priority 0, expected 1 to 10", "priority 0", priority=0),
        case("invalid_signal: priority 11", "priority 11", priority=11),
        case("invalid_signal: confidence 1.1", "confidence above 1", confidence=D("1.1")),
        case("invalid_signal: confidence NaN", "confidence NaN", confidence=D("NaN")),
        case("invalid_signal: max_slippage -1", "slippage below 0", max_slippage=D("-1")),
        case("unknown_instrument: DOGEUSDT is not in", "not in the catalogue", symbol="DOGEUSDT"),
        case("expired: expired 0.000 ms ago", "expires now", expires_ns=NOW),
        case("approved", "expires later", expires_ns=NOW + 1),
        case("invalid_quantity: quantity 0.19 is 0.1 in lots", "too small", quantity=D("0.19")),
        case("invalid_quantity: quantity 0.05 is 0", "no lot", quantity=D("0.05")),
        case("invalid_quantity: quantity 0 is 0", "nothing", quantity=D("0")),
        case("invalid_quantity: quantity -1 is 0", "negative", quantity=D("-1")),
        case("invalid_quantity: quantity NaN is 0", "NaN", quantity=D("NaN")),
        case("invalid_quantity: quantity Infinity is 0", "infinite", quantity=D("Infinity")),
        case("invalid_quantity: quantity 1E+16 is 0", "beyond sense", quantity=D("1E+16")),
        case("invalid_quantity: quantity 0.4 is worth 40.4", "worth little", quantity=D("0.4")),
        case("approved", "just worth it", quantity=D("0.5")),
        case("invalid_price: price None of a limit", "limit, no price", order_type=LIMIT),
        case("invalid_price: price 0 of", "limit at 0", order_type=LIMIT, price=D("0")),
        case("invalid_price: price NaN of", "limit at NaN", order_type=LIMIT, price=D("NaN")),
        case("invalid_price: price NaN of a market", "market at NaN", price=D("NaN")),
        case(
            "invalid_price: price 1E+16", "price beyond sense", order_type=LIMIT, price=D("1E+16")
        ),
        case("price_off_increment: price 99.7", "off", order_type=LIMIT, price=D("99.7")),
        case("approved", "on the increment", order_type=LIMIT, price=D("99.5")),
        case("approved", "a market order's price", price=D("99.7")),
        case("invalid_price: stop price None", "stop, no stop price", order_type=STOP),
        case(
            "invalid_price: price 99, a stop order has none",
            "stop with a price",
            order_type=STOP,
            price=D("99"),
            stop_price=D("105"),
        ),
        case(
            "invalid_price: stop price 105, a market order has none",
            "market with a stop price",
            stop_price=D("105"),
        ),
        case(
            "invalid_price: stop price -5 of a limit",
            "a negative stop price",
            order_type=LIMIT,
            price=D("99"),
            stop_price=D("-5"),
        ),
        case(
            "price_off_increment: price 105.1",
            "stop price off",
            order_type=STOP,
            stop_price=D("105.1"),
        ),
        case("approved", "a stop", order_type=STOP, stop_price=D("105")),
        case(
            "approved",
            "a stop limit",
            order_type=STOP_LIMIT,
            price=D("106"),
            stop_price=D("105"),
        ),
    ],
)
def test_a_signal_must_be_an_order_that_can_be(signal: Mapping[str, Any], says: str) -> None:
    assert outcome(account_of(), replace(BUY_1, **signal)).startswith(says)


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        case(
            "slippage: slippage 0.010000, allowed is 0.009", "a wide book", max_slippage=D("0.009")
        ),
        case("approved", "a book within it", max_slippage=D("0.01")),
        case("approved", "seen at the ask", max_slippage=D("0"), price=D("101")),
        case("slippage: slippage 0.01", "seen lower", max_slippage=D("0.005"), price=D("100")),
        case("approved", "better than seen", max_slippage=D("0"), price=D("102")),
        case("approved", "a limit", max_slippage=D("0"), order_type=LIMIT, price=D("101")),
        case(
            "slippage: slippage 0.00495",
            "a limit through the book",
            max_slippage=D("0.004"),
            order_type=LIMIT,
            price=D("101.5"),
        ),
        case(
            "slippage: cannot be known",
            "a stop",
            max_slippage=D("1"),
            order_type=STOP,
            stop_price=D("105"),
        ),
        case(
            "slippage: slippage 0.05",
            "a stop limit",
            max_slippage=D("0.04"),
            order_type=STOP_LIMIT,
            stop_price=D("100"),
            price=D("105"),
        ),
    ],
)
def test_slippage_is_what_the_strategy_allowed(signal: Mapping[str, Any], says: str) -> None:
    assert outcome(account_of(), replace(BUY_1, **signal)).startswith(says)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        case("allowed_symbols: BTCUSDT, allowed are ETHUSDT", "a", allowed_symbols={"ETHUSDT"}),
        case("approved", "an allowed symbol", allowed_symbols={"BTCUSDT"}),
        case("blocked_symbols: BTCUSDT is blocked", "a blocked one", blocked_symbols={"BTCUSDT"}),
        case("max_order_value: order worth 101", "order value", max_order_value=D("100.9")),
        case("approved", "just its value", max_order_value=D("101")),
        case("max_position_size: position 0 could become 1.0", "size", max_position_size=D("0.9")),
        case("approved", "just its size", max_position_size=D("1")),
        case("min_account_balance: balance 20000", "balance", min_account_balance=D("20001")),
        case("approved", "just the balance", min_account_balance=D("20000")),
        case("max_orders_per_second: allowed are 0", "rate", max_orders_per_second=0),
        case("max_orders_per_minute: allowed are 0", "rate a minute", max_orders_per_minute=0),
    ],
)
def test_a_limit_is_the_largest_allowed_value(limits: Mapping[str, Any], says: str) -> None:
    assert outcome(account_of(Limits(**limits)), BUY_1).startswith(says)


@pytest.mark.parametrize(
    ("limits", "lost", "says"),
    [
        pytest.param({}, "5000.01", "max_daily_loss: equity 14999.99, 20000", id="day"),
        pytest.param({"max_drawdown": D("1")}, "5000", "approved", id="just the day's loss"),
        pytest.param({}, "2000.01", "max_drawdown: equity 17999.99 from a peak", id="drawdown"),
        pytest.param({}, "2000", "approved", id="just the drawdown"),
    ],
)
def test_losses_stop_opening(limits: Mapping[str, Any], lost: str, says: str) -> None:
    account = account_of(Limits(**limits), position="0.2", lost=lost)
    assert outcome(account, BUY_1).startswith(says)


def test_without_capital_there_is_nothing_to_risk() -> None:
    limits = Limits(min_account_balance=D("0"))
    account = StrategyAccount("s", Terms(D("0"), frozenset(INSTRUMENTS), limits), INSTRUMENTS)
    assert outcome(account, BUY_1).startswith("max_drawdown: equity 0 from a peak of 0")


def test_a_gain_that_is_not_realised_is_no_balance() -> None:
    limits = Limits(min_account_balance=D("20000"))
    account = account_of(limits, position="10", lost="1")
    rich = Touch(D("200"), D("200"))
    assert outcome(account, BUY_1, rich).startswith(
        "min_account_balance: balance 19999, equity 20999"
    )


@pytest.mark.parametrize(
    ("confidence", "says"),
    [("0.59", "min_confidence: confidence 0.59, at least 0.6"), ("0.6", "approved")],
)
def test_confidence_counts_where_there_is_one(confidence: str, says: str) -> None:
    assert outcome(account_of(), replace(BUY_1, confidence=D(confidence))) == says


def test_a_symbol_that_is_not_the_strategys_is_refused() -> None:
    account = StrategyAccount("s", Terms(CAPITAL, frozenset()), INSTRUMENTS)
    assert outcome(account, BUY_1) == "symbol_not_allowed: BTCUSDT, the strategy has none"


@pytest.mark.parametrize(
    ("touch", "says"),
    [
        pytest.param(None, "no_price: no bid and ask of BTCUSDT", id="none"),
        pytest.param(Touch(D("0"), D("101")), "no_price", id="one side only"),
        pytest.param(Touch(D("102"), D("101")), "no_price", id="crossed"),
        pytest.param(Touch(D("99"), D("101"), 5 * 10**9 + 1), "stale_price: age 5.000 s", id="old"),
        pytest.param(Touch(D("99"), D("101"), 5 * 10**9), "approved", id="just not old"),
    ],
)
@pytest.mark.parametrize("kind", [OrderType.MARKET, LIMIT])
def test_opening_needs_a_price(touch: Touch | None, says: str, kind: OrderType) -> None:
    signal = replace(BUY_1, order_type=kind, price=D("99") if kind is LIMIT else None)
    assert outcome(account_of(), signal, touch).startswith(says)


def test_opening_needs_the_price_of_everything_that_is_held() -> None:
    known = {"ETHUSDT": TOUCH}
    answer = account_of(position="1").review(replace(BUY_1, symbol="ETHUSDT"), known.get, NOW)
    assert isinstance(answer, Rejection)
    assert answer.reason is Reason.NO_PRICE


@pytest.mark.parametrize(
    ("signal", "worth"),
    [
        pytest.param(BUY_1, "101", id="buys at the ask"),
        pytest.param(SELL_1, "99", id="sells at the bid"),
        pytest.param(replace(BUY_1, order_type=LIMIT, price=D("90")), "90", id="bids"),
        pytest.param(replace(SELL_1, order_type=LIMIT, price=D("110")), "110", id="offers"),
        pytest.param(replace(SELL_1, order_type=LIMIT, price=D("90")), "99", id="offers low"),
        pytest.param(replace(BUY_1, order_type=STOP, stop_price=D("110")), "110", id="buy stop"),
        pytest.param(replace(SELL_1, order_type=STOP, stop_price=D("90")), "99", id="sell stop"),
        pytest.param(replace(SELL_1, price=D("110")), "99", id="sells, having seen 110"),
    ],
)
def test_an_order_is_worth_the_most_it_may_turn_out_to_be(signal: Signal, worth: str) -> None:
    account = account_of(Limits(max_order_value=D("1")))
    says = f"order worth {(D(worth) * D('1.0'))}, allowed is 1"
    assert outcome(account, signal) == f"max_order_value: {says}"


@pytest.mark.parametrize(
    ("standing", "opening", "closing"),
    [
        (Standing.ACTIVE, "approved", "approved"),
        (Standing.REDUCING, "reducing_only: buy 1.0 at position 2", "approved"),
        (Standing.HALTED, "halted: why", "halted: why"),
    ],
)
def test_standing_decides_what_is_allowed_at_all(
    standing: Standing, opening: str, closing: str
) -> None:
    account, stand = account_of(position="2"), Stand(standing, "why")
    assert outcome(account, BUY_1, stand=stand).startswith(opening)
    assert outcome(account, SELL_1, stand=stand).startswith(closing)


@pytest.mark.parametrize(
    ("position", "signal", "says"),
    [
        pytest.param("1", SELL_1, "approved", id="a long sold"),
        pytest.param("-1", BUY_1, "approved", id="a short bought"),
        pytest.param("0", SELL_1, "reducing_only: sell 1.0 would not only", id="flat"),
        pytest.param("1", BUY_1, "reducing_only: buy 1.0 would not only", id="adds"),
        pytest.param("0.9", SELL_1, "reducing_only: sell 1.0 would not only", id="flips"),
    ],
)
def test_a_closing_signal_must_reduce(position: str, signal: Signal, says: str) -> None:
    account = account_of(position=position)
    assert outcome(account, replace(signal, closing=True)).startswith(says)


def test_two_closes_of_one_position_cannot_both_be() -> None:
    account = account_of(position="1")
    answer = judged(account, replace(SELL_1, closing=True))
    assert isinstance(answer, Approved)
    account.reserve(answer.order)
    again = replace(SELL_1, id="s2", closing=True)
    assert outcome(account, again).startswith(
        "reducing_only: sell 1.0 would not only reduce: posit"
    )


def test_a_close_may_come_before_the_fill_of_what_it_closes() -> None:
    account = account_of(position="0")
    opened = judged(account, BUY_1)
    assert isinstance(opened, Approved)
    account.reserve(opened.order)
    close = judged(account, replace(SELL_1, closing=True))
    assert isinstance(close, Approved)
    assert not close.order.closing  # nothing is settled yet: it obeys every limit


def test_the_close_of_what_was_refused_is_refused_too() -> None:
    account = account_of(position="0")
    assert outcome(account, replace(BUY_1, quantity=D("99999"))).startswith("max_order_value")
    assert outcome(account, replace(SELL_1, closing=True)).startswith("reducing_only")


def test_a_resting_order_is_nothing_to_close() -> None:
    account = account_of(position="0")
    resting = judged(account, replace(BUY_1, order_type=OrderType.LIMIT, price=D("50")))
    assert isinstance(resting, Approved)
    account.reserve(resting.order)
    assert outcome(account, replace(SELL_1, closing=True)).startswith("reducing_only")


def test_a_signal_that_can_only_reduce_counts_as_closing() -> None:
    account = account_of(position="1")
    reduces, flips = judged(account, SELL_1), judged(account, replace(SELL_1, quantity=D("1.5")))
    assert isinstance(reduces, Approved)
    assert isinstance(flips, Approved)
    assert reduces.order.closing
    assert not flips.order.closing


@pytest.mark.parametrize(
    ("signal", "touch", "says"),
    [
        pytest.param({"quantity": D("0.05")}, TOUCH, "invalid_quantity", id="instrument"),
        pytest.param({"expires_ns": NOW}, TOUCH, "expired", id="expiry"),
        pytest.param({"quantity": D("0.4")}, TOUCH, "invalid_quantity", id="minimum notional"),
        pytest.param({"quantity": D("0.4")}, None, "approved", id="notional unknown"),
        pytest.param({"max_slippage": D("0")}, TOUCH, "slippage", id="its own slippage"),
        pytest.param({"max_slippage": D("0")}, None, "approved", id="slippage unknown"),
        pytest.param({"max_slippage": D("0")}, OLD, "approved", id="slippage at an old price"),
        pytest.param({"order_type": LIMIT}, TOUCH, "invalid_price", id="no price"),
    ],
)
def test_what_closing_obeys(signal: Mapping[str, Any], touch: Touch | None, says: str) -> None:
    account = account_of(position="1")
    assert outcome(account, replace(SELL_1, **signal), touch).startswith(says)


NEEDING_A_PRICE = {
    "price_is_known",
    "price_is_fresh",
    "order_is_small_enough",
    "equity_is_known",
    "daily_loss_stays_within_limit",
    "drawdown_stays_within_limit",
    "balance_reaches_the_minimum",
    "exposure_is_known",
    "gross_exposure_stays_within_limit",
    "net_exposure_stays_within_limit",
    "concentration_stays_within_limit",
}


@pytest.mark.parametrize("name", sorted(NEEDING_A_PRICE))
def test_a_check_that_does_not_know_refuses(name: str) -> None:
    check = next(check for check in opening(EVERY) if check.__name__ == name)
    unknown = account_of(EVERY, position="1").request(BUY_1, lambda _: None, NOW)
    assert check(unknown) is not None


def test_slippage_that_cannot_be_known_is_refused_whatever_is_missing() -> None:
    signal = replace(BUY_1, order_type=LIMIT, max_slippage=D("1"))  # a limit order without price
    assert price_is_within_slippage(account_of().request(signal, lambda _: TOUCH, NOW)) is not None


def test_every_limit_has_a_rule_that_keeps_it() -> None:
    text = " ".join(name for check in opening(EVERY) for name in check.__code__.co_names)
    assert all(field.name in text for field in fields(Limits))


def test_closing_obeys_no_limit() -> None:
    named = {name for check in CLOSING for name in check.__code__.co_names}
    assert named.isdisjoint({field.name for field in fields(Limits)})
