"""Positions at average cost: opening, reducing, flipping, and what is conserved."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.fills import Fill
from trading.ledger import Ledger
from trading.positions import Direction, Position
from trading.signals import Side

CAPITAL = Decimal(100_000)


def fill_of(
    signed: str | Decimal, price: str | Decimal, nth: int = 0, fee: str | Decimal = "0"
) -> Fill:
    quantity = Decimal(signed)
    return Fill(
        fill_id=f"fill-{nth}",
        client_order_id=f"order-{nth}",
        strategy="momentum",
        symbol="BTCUSDT",
        side=Side.BUY if quantity > 0 else Side.SELL,
        price=Decimal(price),
        quantity=abs(quantity),
        fee=Decimal(fee),
        at_ns=nth,
    )


def position_after(*fills: tuple[str, str], multiplier: str = "1") -> Position:
    position = Position("BTCUSDT", multiplier=Decimal(multiplier))
    for signed, price in fills:
        position = position.after(fill_of(signed, price))
    return position


@pytest.mark.parametrize(
    ("fills", "quantity", "average", "realized"),
    [
        pytest.param([("2", "100")], 2, 100, 0, id="opens long"),
        pytest.param([("-2", "100")], -2, 100, 0, id="opens short"),
        pytest.param([("1", "100"), ("3", "200")], 4, 175, 0, id="adds at average cost"),
        pytest.param([("2", "100"), ("-1", "110")], 1, 100, 10, id="reduces a long"),
        pytest.param([("-2", "100"), ("1", "110")], -1, 100, -10, id="reduces a short"),
        pytest.param([("2", "100"), ("-2", "90")], 0, None, -20, id="closes"),
        pytest.param([("2", "100"), ("-5", "110")], -3, 110, 20, id="flips to short"),
        pytest.param([("-2", "100"), ("5", "90")], 3, 90, 20, id="flips to long"),
    ],
)
def test_a_position_follows_its_fills(
    fills: list[tuple[str, str]], quantity: int, average: int | None, realized: int
) -> None:
    position = position_after(*fills)
    assert position.quantity == quantity
    assert position.average_entry == average
    assert position.realized_pnl == realized


def test_a_contract_multiplier_scales_money_and_not_the_average() -> None:
    position = position_after(("2", "100"), ("-1", "110"), multiplier="10")
    assert position.average_entry == 100
    assert position.realized_pnl == 100
    assert position.value(Decimal(120)) == 1200
    assert position.unrealized_pnl(Decimal(120)) == 200


@pytest.mark.parametrize(
    ("fills", "direction"),
    [([], Direction.FLAT), ([("1", "5")], Direction.LONG), ([("-1", "5")], Direction.SHORT)],
)
def test_a_position_names_its_direction(fills: list[tuple[str, str]], direction: Direction) -> None:
    assert position_after(*fills).direction is direction


def test_an_average_that_does_not_come_out_even_loses_nothing() -> None:
    position = position_after(("3", "100"), ("-1", "100"), ("-1", "100"), ("-1", "100"))
    assert position.cost == 0
    assert position.realized_pnl == 0
    thirds = position_after(("1", "1"), ("2", "0.5"), ("-1", "1"))  # 2/3 of cost leaves
    assert thirds.realized_pnl - thirds.cost == 1 - 2


signed = st.decimals("-50", "50", places=5).filter(bool)
prices = st.decimals("0.01", "99999", places=2)
fees = st.decimals("-1", "5", places=8)
fill_lists = st.lists(st.tuples(signed, prices, fees), max_size=30)
multipliers = st.sampled_from([Decimal(1), Decimal("0.001"), Decimal(50)])


def ledger_after(fills: list[tuple[Decimal, Decimal, Decimal]], multiplier: Decimal) -> Ledger:
    ledger = Ledger(CAPITAL)
    for nth, (quantity, price, fee) in enumerate(fills):
        ledger.apply(fill_of(quantity, price, nth, fee), multiplier)
    return ledger


@given(fill_lists, multipliers, prices)
def test_cash_and_position_value_are_conserved_by_any_fills(
    fills: list[tuple[Decimal, Decimal, Decimal]], multiplier: Decimal, mark: Decimal
) -> None:
    ledger = ledger_after(fills, multiplier)
    spent = sum(Fraction(q) * Fraction(p) * Fraction(multiplier) for q, p, _ in fills)
    fees = sum(Fraction(fee) for _, _, fee in fills)
    assert Fraction(ledger.cash) == Fraction(CAPITAL) - spent - fees
    value = ledger.position("BTCUSDT").value(mark)
    equity = ledger.equity(lambda _: mark)
    assert equity is not None
    assert Fraction(equity) == Fraction(ledger.cash) + Fraction(value)


@given(fill_lists, multipliers)
def test_cash_and_cost_make_the_balance_and_a_flat_position_has_no_cost(
    fills: list[tuple[Decimal, Decimal, Decimal]], multiplier: Decimal
) -> None:
    ledger = ledger_after(fills, multiplier)
    position = ledger.position("BTCUSDT")
    assert Fraction(ledger.balance) == Fraction(ledger.cash) + Fraction(position.cost)
    assert position.quantity == sum(quantity for quantity, _, _ in fills)
    assert position.quantity or not position.cost
    assert position.cost * position.quantity >= 0


@given(fill_lists)
def test_the_average_is_within_a_hair_of_the_exact_one(
    fills: list[tuple[Decimal, Decimal, Decimal]],
) -> None:
    position = ledger_after(fills, Decimal(1)).position("BTCUSDT")
    quantity, cost = Fraction(0), Fraction(0)
    for traded, price in ((Fraction(q), Fraction(p)) for q, p, _ in fills):
        if quantity * traded >= 0:
            cost += traded * price
        elif abs(traded) <= abs(quantity):
            cost += cost * traded / quantity
        else:
            cost = (quantity + traded) * price
        quantity += traded
    assert abs(Fraction(position.cost) - cost) < Fraction(1, 10**12)
