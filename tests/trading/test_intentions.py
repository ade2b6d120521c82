"""From what a strategy intends to the order that gets there."""

from decimal import Decimal
from typing import Any

import pytest

from btc import BTC
from trading.accounts import StrategyAccount, Terms
from trading.fills import Fill
from trading.intentions import Intended, intended, unsampled
from trading.limits import Limits
from trading.market import Touch
from trading.reasons import Reason
from trading.risk import Approved
from trading.signals import Action, Cause, Direction, OrderType, Side, Signal
from trading.sizing import Sizing, SizingMethod

D = Decimal
NOW = 1_000
TOUCH = Touch(D(99), D(101))
TENTH = Sizing(SizingMethod.FIXED_FRACTION, cap=D("0.1"), policy="p", fraction=D("0.1"))
LONG, SHORT, CLOSE = Direction.LONG, Direction.SHORT, Direction.CLOSE


def account_of(*sizings: Sizing, held: str = "0") -> StrategyAccount:
    """With 10000 to begin with; what it holds was bought, or sold, at the mid."""
    terms = Terms(D(10_000), frozenset({"BTCUSDT"}), Limits(), sizings=sizings or (TENTH,))
    account = StrategyAccount("s", terms, {"BTCUSDT": BTC})
    if D(held):
        side = Side.BUY if D(held) > 0 else Side.SELL
        account.on_fill(Fill("f", "o", "s", "BTCUSDT", side, D(100), abs(D(held)), D(0), NOW))
    return account


def want(direction: Direction, **fields: Any) -> Signal:
    cause = Cause("BTCUSDT", "tick", 1, NOW)
    return Signal("x", "BTCUSDT", cause, NOW, direction=direction, **fields)


def ask(account: StrategyAccount, direction: Direction, **fields: Any) -> Intended:
    return intended(account, want(direction, **fields), lambda _: TOUCH, unsampled)


def order(account: StrategyAccount, direction: Direction, **fields: Any) -> tuple[Side, Decimal]:
    found = ask(account, direction, **fields)
    assert found.refusal is None
    return found.signal.side, found.signal.quantity


def refused(account: StrategyAccount, direction: Direction, **fields: Any) -> Any:
    found = ask(account, direction, **fields)
    assert not found.signal.quantity
    assert found.refusal is not None
    return found.refusal.reason, found.refusal.message


def work(account: StrategyAccount, direction: Direction) -> None:
    """Its order is under way."""
    meant = ask(account, direction).signal
    reviewed = account.review(meant, lambda _: TOUCH, NOW, epoch=1)
    assert isinstance(reviewed, Approved)
    account.reserve(reviewed.order)


@pytest.mark.parametrize(
    ("held", "direction", "side", "quantity"),
    [
        ("0", LONG, Side.BUY, "9.9"),  # 1000 / 101
        ("0", SHORT, Side.SELL, "9.9"),
        ("4", LONG, Side.BUY, "5.9"),
        ("-4", LONG, Side.BUY, "13.9"),
        ("4", SHORT, Side.SELL, "13.9"),
        ("4", CLOSE, Side.SELL, "4"),
        ("-4", CLOSE, Side.BUY, "4"),
    ],
    ids=["long", "short", "more", "turned", "turned short", "close", "close a short"],
)
def test_the_order_is_what_is_missing(
    held: str, direction: Direction, side: Side, quantity: str
) -> None:
    assert order(account_of(held=held), direction) == (side, D(quantity))


def test_what_is_under_way_is_not_asked_for_twice() -> None:
    account = account_of()
    work(account, LONG)
    assert refused(account, LONG) == (
        Reason.NOT_SIZED,
        "LONG of BTCUSDT: sizing allows 9.9, reached are 9.9",
    )


def test_what_is_being_closed_is_not_closed_twice() -> None:
    account = account_of(held="4")
    work(account, CLOSE)
    assert refused(account, CLOSE)[0] is Reason.REDUCING_ONLY


def test_what_is_being_bought_is_closed_as_well() -> None:
    account = account_of()
    work(account, LONG)
    assert order(account, CLOSE) == (Side.SELL, D("9.9"))


def test_a_close_of_nothing_is_refused() -> None:
    assert refused(account_of(), CLOSE) == (
        Reason.REDUCING_ONLY,
        "position 0, nothing is held that is not being closed",
    )


def test_the_least_of_two_policies_counts() -> None:
    twentieth = Sizing(SizingMethod.FIXED_FRACTION, cap=D("0.05"), fraction=D("0.05"))
    assert order(account_of(TENTH, twentieth), LONG) == (Side.BUY, D("4.9"))


def test_who_is_sized_by_nobody_is_refused() -> None:
    terms = Terms(D(10_000), frozenset({"BTCUSDT"}))
    account = StrategyAccount("s", terms, {"BTCUSDT": BTC})
    assert refused(account, LONG) == (Reason.NOT_SIZED, "no risk policy says how s is sized")


def test_what_nobody_has_sampled_is_refused() -> None:
    target = Sizing(SizingMethod.VOLATILITY_TARGET, cap=D(1), volatility=D("0.5"))
    assert refused(account_of(target), LONG) == (
        Reason.NOT_SIZED,
        "volatility of BTCUSDT: unknown, expected 60 returns of 60 s each",
    )


def test_too_little_for_a_lot_is_refused_with_the_numbers() -> None:
    assert refused(account_of(), LONG, confidence=D("0.001"))[0] is Reason.NOT_SIZED


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"quantity": D(1)}, "quantity 1 of an intention, expected none"),
        ({"order_type": OrderType.LIMIT}, "order type limit of an intention, expected market"),
        ({"size": D(2)}, "size 2, expected 0 to 1"),
        ({"confidence": D("NaN")}, "confidence NaN, expected 0 to 1"),
    ],
    ids=["quantity", "type", "size", "confidence"],
)
def test_an_intention_that_says_too_much_is_refused(fields: Any, message: str) -> None:
    assert refused(account_of(), LONG, **fields) == (Reason.INVALID_SIGNAL, message)


def test_nothing_is_wanted_of_nothing() -> None:
    found = ask(account_of(), Direction.NONE)
    assert found.signal.quantity == 0
    assert found.refusal is None


def test_what_is_no_intention_stays_as_it_is() -> None:
    plain = Signal("x", "BTCUSDT", Cause("BTCUSDT", "tick", 1, NOW), NOW, quantity=D(3))
    cancel = want(LONG, action=Action.CANCEL)
    for signal in (plain, cancel):
        assert intended(account_of(), signal, lambda _: TOUCH, unsampled) == Intended(signal)


def test_a_size_without_a_direction_is_not_passed_over() -> None:
    cause = Cause("BTCUSDT", "tick", 1, NOW)
    signal = Signal("x", "BTCUSDT", cause, NOW, quantity=D(1), size=D("0.5"))
    answer = account_of().review(signal, lambda _: TOUCH, NOW)
    assert not isinstance(answer, Approved)
    assert answer.message == "size 0.5 without a direction, expected a quantity or an intention"


def test_volatility_is_made_of_sampled_prices() -> None:
    """stdev(0.00995, -0.00995, 0.00995) = 0.01149, times sqrt(525600) = 8.33: a share of 6 %."""
    asked: list[tuple[str, int, int]] = []

    def sampled(*wanted: Any) -> list[Decimal]:
        asked.append(wanted)
        return [D(100), D(101), D(100), D(101)]

    target = Sizing(
        SizingMethod.VOLATILITY_TARGET, cap=D(1), volatility=D("0.5"), step_s=60, returns=3
    )
    account = account_of(target)
    found = intended(account, want(LONG), lambda _: TOUCH, sampled)
    assert asked == [("BTCUSDT", 60, 4)]
    (by,) = found.sized
    assert by.volatility is not None
    assert 8.3 < by.volatility < 8.4
    assert found.signal.quantity == D("5.9")  # 10000 * 0.06 / 101


def test_what_is_sized_and_never_checked_values_nobody() -> None:
    """A signal that is repeated, or whose venue is away, comes to no check."""
    account = account_of(held="10")
    before = account.watermarks
    assert intended(account, want(LONG), lambda _: Touch(D(199), D(201)), unsampled).sized
    assert account.watermarks == before
