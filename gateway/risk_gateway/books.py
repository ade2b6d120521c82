"""The books as they are asked for: positions and P&L by strategy, by symbol, and of the desk.

By the fills that are on disk, and no others: so nobody has to wait for those that are not.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from risk_gateway.strategy import Strategy
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.scalars import text_of
from trading.market import Market
from trading.money import EXACT
from trading.positions import Position

_ZERO = Decimal(0)
_Line = tuple[str, Position, Decimal | None]  # strategy, position, unrealised


def books_of(strategies: Iterable[Strategy], market: Market, symbol: str = "") -> pb.Books:
    """Of one symbol, or of all."""
    lines = [
        (strategy.name, position, _unrealized(position, market))
        for strategy in strategies
        for position in strategy.told.positions.values()
        if symbol in ("", position.symbol)
    ]
    by_strategy: defaultdict[str, list[_Line]] = defaultdict(list)
    by_symbol: defaultdict[str, list[_Line]] = defaultdict(list)
    for line in lines:
        by_strategy[line[0]].append(line)
        by_symbol[line[1].symbol].append(line)
    return pb.Books(
        positions=[_line([line], line[0], line[1].symbol) for line in lines],
        strategies=[_line(own, name) for name, own in by_strategy.items()],
        symbols=[_line(own, "", name) for name, own in by_symbol.items()],
        desk=_line(lines),
    )


def _line(lines: Sequence[_Line], strategy: str = "", symbol: str = "") -> pb.BookLine:
    positions = [position for _, position, _ in lines]
    unrealized = [each for _, _, each in lines if each is not None]
    average = positions[0].average_entry if strategy and symbol else None
    return pb.BookLine(
        strategy=strategy,
        symbol=symbol,
        quantity=text_of(_sum(each.quantity for each in positions)) if symbol else "",
        average_entry=text_of(average),
        realized_pnl=text_of(_sum(each.realized_pnl for each in positions)),
        fees=text_of(_sum(each.fees for each in positions)),
        unrealized_pnl=text_of(_sum(unrealized)) if len(unrealized) == len(lines) else "",
    )


def _unrealized(position: Position, market: Market) -> Decimal | None:
    if not position.quantity:
        return _ZERO
    touch = market(position.symbol)
    return position.unrealized_pnl(touch.mid) if touch else None


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = _ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
