"""The blotter: the orders that a strategy makes on one message of market data.

Here a wish becomes exact: quantities and prices are put on the instrument's increments, ids follow
from the message, so whoever decides the same message again makes the same orders.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from strategy_sdk.account import Account
from strategy_sdk.market import Event
from trading.ids import signal_id
from trading.instruments import Instrument
from trading.market import exact
from trading.signals import Action, Cause, Direction, OrderType, Side, Signal

Number = Decimal | int | float | str

_NONE = Decimal(0)
_SECOND_NS = 1_000_000_000
_TYPES = {
    (False, False): OrderType.MARKET,
    (True, False): OrderType.LIMIT,
    (False, True): OrderType.STOP,
    (True, True): OrderType.STOP_LIMIT,
}


class NotDeciding(RuntimeError):
    """An order made outside on_market_data: only a message of market data can cause one."""


class Blotter:
    """What was made so far on `event`, the last message; None before the first."""

    def __init__(
        self, strategy: str, instruments: Mapping[str, Instrument], account: Account
    ) -> None:
        self.strategy = strategy
        self.instruments = instruments
        self.account = account
        self.event: Event | None = None
        self.made: list[Signal] = []
        self._open = True

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Orders made inside raise NotDeciding."""
        self._open = False
        try:
            yield
        finally:
            self._open = True

    def position(self, symbol: str) -> Decimal:
        """The account's, and the market orders made on this very message."""
        position = self.account.position(symbol)
        for signal in self.made:
            if signal.symbol == symbol and _moves_at_once(signal):
                position += signal.quantity * signal.side.sign
        return position

    def order(
        self,
        side: Side,
        symbol: str,
        quantity: Number,
        price: Number | None,
        stop_price: Number | None,
        expires_in_s: float | None,
        closing: bool | None,
        **more: Any,
    ) -> Signal:
        amount = self._quantity(symbol, quantity)
        kind = _TYPES[price is not None, stop_price is not None]
        if closing is None:
            closing = kind is OrderType.MARKET and self._only_reduces(symbol, side, amount)
        return self._make(
            symbol,
            side=side,
            order_type=kind,
            quantity=amount,
            price=self._price(symbol, price, side),
            stop_price=self._price(symbol, stop_price, side),
            expires_in_s=expires_in_s,
            closing=closing,
            **more,
        )

    def intention(
        self, symbol: str, direction: Direction, expires_in_s: float | None, **more: Any
    ) -> Signal:
        return self._make(symbol, direction=direction, expires_in_s=expires_in_s, **more)

    def cancel(self, signal: Signal | str, symbol: str) -> Signal:
        id_ = signal if isinstance(signal, str) else signal.id
        return self._make(symbol, action=Action.CANCEL, cancels=id_)

    def modify(
        self, signal: Signal | str, symbol: str, quantity: Number | None, price: Number | None
    ) -> Signal:
        id_ = signal if isinstance(signal, str) else signal.id
        sides = {order.signal_id: order.side for order in self.account.working(symbol)}
        return self._make(
            symbol,
            action=Action.MODIFY,
            modifies=id_,
            quantity=_NONE if quantity is None else self._quantity(symbol, quantity),
            price=self._price(symbol, price, sides.get(id_, Side.BUY)),
        )

    def _make(self, symbol: str, *, expires_in_s: float | None = None, **fields: Any) -> Signal:
        event = self.event
        if event is None or not self._open:
            raise NotDeciding("orders are made in on_market_data")
        cause = _cause(event)
        id_ = signal_id(self.strategy, event.session, cause.stream, cause.sequence, len(self.made))
        if expires_in_s is not None:
            fields["expires_ns"] = cause.at_ns + int(expires_in_s * _SECOND_NS)
        signal = Signal(id=id_, symbol=symbol, cause=cause, at_ns=cause.at_ns, **fields)
        self.made.append(signal)
        return signal

    def _only_reduces(self, symbol: str, side: Side, quantity: Decimal) -> bool:
        """Whether it closes at most to zero: the position, less what rests to close it.

        Market orders under way count as filled. Should one of them be refused, the gateway refuses
        the close as well, instead of letting it open the other side.
        """
        resting = self.account.resting(symbol, side)
        return _NONE < quantity <= self.position(symbol) * -side.sign - resting

    def _quantity(self, symbol: str, wanted: Number) -> Decimal:
        quantity = _decimal(wanted)
        if not quantity.is_finite() or quantity < 0:
            raise ValueError(f"{symbol}: quantity {wanted!r}, expected zero or more")
        instrument = self.instruments.get(symbol)
        if instrument is None:
            return quantity
        # As many digits as the lot has: equal quantities look alike in every replica's memory.
        return instrument.quantity(quantity).quantize(instrument.lot_size)

    def _price(self, symbol: str, wanted: Number | None, side: Side) -> Decimal | None:
        if wanted is None:
            return None
        price = _decimal(wanted)
        if not price.is_finite() or price <= 0:
            raise ValueError(f"{symbol}: price {wanted!r}, expected more than zero")
        instrument = self.instruments.get(symbol)
        return price if instrument is None else instrument.price(price, side)


def _cause(event: Event) -> Cause:
    kind = str(event.__struct_config__.tag)
    return Cause(event.symbol, kind, event.sequence, event.at_ns)


def _moves_at_once(signal: Signal) -> bool:
    return signal.action is Action.ORDER and signal.order_type is OrderType.MARKET


def _decimal(number: Number) -> Decimal:
    return exact(number) if isinstance(number, float) else Decimal(number)
