"""The ledger of one strategy: money, positions, and every fill counted once."""

from decimal import Decimal

from trading.fills import Fill, Liquidity
from trading.ledger import Ledger
from trading.signals import Side

CAPITAL = Decimal(1000)


def fill_of(fill_id: str, symbol: str, side: Side, quantity: str, price: str) -> Fill:
    return Fill(
        fill_id=fill_id,
        client_order_id=f"{fill_id}-order",
        strategy="momentum",
        symbol=symbol,
        side=side,
        price=Decimal(price),
        quantity=Decimal(quantity),
        fee=Decimal(1),
        at_ns=1,
        liquidity=Liquidity.MAKER,
    )


BOUGHT = fill_of("1", "BTCUSDT", Side.BUY, "2", "100")
SOLD = fill_of("2", "BTCUSDT", Side.SELL, "1", "110")
OTHER = fill_of("3", "ETHUSDT", Side.SELL, "4", "10")


def ledger_of(*fills: Fill) -> Ledger:
    ledger = Ledger(CAPITAL)
    for fill in fills:
        ledger.apply(fill)
    return ledger


def test_a_booking_tells_what_the_fill_did() -> None:
    booking = ledger_of(BOUGHT).apply(SOLD)
    assert booking is not None
    assert booking.fill == SOLD
    assert booking.realized_pnl == 10
    assert booking.position.quantity == 1


def test_a_repeated_fill_is_ignored() -> None:
    ledger = ledger_of(BOUGHT)
    assert ledger.apply(BOUGHT) is None
    assert ledger.has_counted("1")
    assert ledger.cash == 1000 - 2 * 100 - 1
    assert ledger.fees == 1


def test_it_remembers_so_many_fills_and_the_oldest_no_more() -> None:
    ledger = Ledger(CAPITAL, remembered=2)
    for fill in (BOUGHT, SOLD, OTHER):
        ledger.apply(fill)
    assert [ledger.has_counted(fill.fill_id) for fill in (BOUGHT, SOLD, OTHER)] == [
        False,
        True,
        True,
    ]


def test_a_ledger_goes_on_from_what_another_kept() -> None:
    kept = ledger_of(BOUGHT, SOLD)
    ledger = Ledger(CAPITAL)
    ledger.go_on_from(kept.cash, kept.realized_pnl, kept.fees, kept.positions.values())
    assert ledger.balance == kept.balance == 1000 + 10 - 2
    assert ledger.positions == kept.positions


def test_equity_is_capital_and_realised_less_fees_and_unrealised() -> None:
    ledger = ledger_of(BOUGHT, SOLD, OTHER)
    marks = {"BTCUSDT": Decimal(120), "ETHUSDT": Decimal(11)}
    pnl = ledger.pnl(marks.get)
    assert pnl.realized == 10
    assert pnl.fees == 3
    assert pnl.unrealized == 20 - 4
    assert pnl.equity == ledger.equity(marks.get) == 1000 + 10 - 3 + 16
    assert ledger.balance == 1000 + 10 - 3


def test_equity_is_unknown_when_a_held_symbol_has_no_price() -> None:
    ledger = ledger_of(BOUGHT, OTHER)
    assert ledger.equity({"BTCUSDT": Decimal(120)}.get) is None
    assert ledger.pnl({"BTCUSDT": Decimal(120)}.get).equity is None


def test_a_symbol_that_is_flat_needs_no_price() -> None:
    ledger = ledger_of(BOUGHT, SOLD, fill_of("4", "BTCUSDT", Side.SELL, "1", "110"))
    assert ledger.equity(lambda _: None) == 1000 + 20 - 3


def test_a_symbol_never_traded_is_flat() -> None:
    assert ledger_of().position("BTCUSDT").quantity == 0


def test_capital_paid_in_is_no_gain() -> None:
    ledger = ledger_of(BOUGHT, SOLD)
    ledger.change_capital(Decimal(1500))
    assert ledger.cash == 1500 - 200 + 110 - 2
    assert ledger.realized_pnl == 10
