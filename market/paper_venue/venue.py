"""The paper venue's decisions: orders, quotes and cancels in, changed orders and fills out.

Synchronous and without I/O. One task owns it; what it decides goes to `record` in order, and is
known to nobody before that has made it durable.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from itertools import chain

from paper_venue.admission import refusal
from paper_venue.book import Book
from paper_venue.fence import Fence
from paper_venue.holdings import Holdings
from paper_venue.matching import Terms, match, nothing_left
from paper_venue.orders import Fill, Order, Refusal, Request
from trading.instruments import Instrument
from trading.market import Quote, Tape
from trading.reasons import Reason
from trading.signals import Cause, OrderType

Record = Callable[[Order, tuple[Fill, ...]], None]


class FillModel(StrEnum):
    NEXT_TICK = "next-tick"
    TOUCH = "touch"


class Clock(StrEnum):
    MARKET = "market"  # an order meets the market of its cause
    WALL = "wall"  # an order meets the market of its arrival


@dataclass(frozen=True, slots=True)
class Rules:
    fill_model: FillModel = FillModel.NEXT_TICK
    sizes: bool = True
    clock: Clock = Clock.MARKET
    patience_s: float = 5.0  # how long an order waits for its cause
    most_open: int = 10_000  # orders; more are refused


class PaperVenue:
    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        rules: Rules,
        record: Record,
        book: Book,
        tape: Tape,
        holdings: Holdings,
        fence: Fence | None = None,
    ) -> None:
        self._terms = {name: Terms(each, rules.sizes) for name, each in instruments.items()}
        self._instruments = instruments
        self._rules = rules
        self._record = record
        self._book = book
        self._tape = tape
        self._holdings = holdings
        self._fence = fence or Fence()
        self._give_up_at: dict[str, float] = {}  # waiting orders, by client order id
        self._behind: set[str] = set()  # orders of an earlier life that have met no news yet

    def resume(self, orders: Iterable[Order], now_s: float) -> None:
        """Takes back the open orders of an earlier life; those that had not begun wait anew.

        A replay goes back for us: what an order has met before is not shown to it again.
        """
        for order in orders:
            if order.request.symbol not in self._terms:
                self._keep(order.rejected(_unknown(order.request.symbol)))
            elif order.began:
                self._book.put(order)
                self._behind.add(order.request.client_order_id)
            else:
                self._wait(order, now_s)

    def meet(self, stream: str, sequence: int, quote: Quote | None) -> None:
        """The next message of the feed; `quote` is the touch it tells, if it does."""
        self._tape.append(stream, sequence, quote)
        if quote is not None and self._book.works_on(quote.symbol):
            self._match(quote)
        if self._book.waits:
            for order in self._book.due(stream, sequence):
                self._begin(order, self._tape.place(order.request.cause))  # type: ignore[arg-type]  # due orders have one

    def submit(self, request: Request, invalid: Refusal | None, now_s: float) -> None:
        """Takes an order, once per client order id; `invalid` is what its reader found wrong."""
        if self._book.knows(request.client_order_id):
            return
        order = Order(self._book.next_number(), request)
        fenced = self._fence.refusal(request)
        found = fenced or self._buried(request) or invalid or self._refusal(request)
        if found is not None:
            self._keep(order.rejected(found))
            return
        place = self._place(request.cause)
        if place is None:
            self._wait(order, now_s)
        else:
            self._begin(order, place)

    def open_order(self, client_order_id: str) -> Order | None:
        return self._book.open_order(client_order_id)

    def cancel(self, client_order_id: str) -> bool:
        """Cancels what is open. False for an id never seen: an order of it is refused later."""
        order = self._book.open_order(client_order_id)
        if order is not None:
            self._keep(order.cancelled("cancelled on request"))
        elif not self._book.knows(client_order_id):
            self._book.bury(client_order_id)
            return False
        return True

    def modify(self, client_order_id: str, number: int, quantity: Decimal, price: Decimal) -> None:
        """Decides once a number, for what is open."""
        order = self._book.open_order(client_order_id)
        if order is not None and number > order.modification:
            found = self._modification_refused(order, quantity, price)
            self._keep(
                order.unmodified(number, found)
                if found
                else order.modified(number, quantity, price)
            )

    def _modification_refused(
        self, order: Order, quantity: Decimal, price: Decimal
    ) -> Refusal | None:
        if order.request.order_type is not OrderType.LIMIT:
            message = f"order_type: '{order.request.order_type}', expected limit"
            return Refusal(Reason.VENUE_REJECTED, message)
        if quantity <= order.filled:
            message = f"quantity: '{quantity}', expected more than the {order.filled} filled"
            return Refusal(Reason.INVALID_QUANTITY, message)
        return refusal(replace(order.request, quantity=quantity, price=price), self._instruments)

    def give_up(self, now_s: float) -> None:
        """Rejects the orders whose cause has not arrived in time."""
        for order in self._book.waiting():
            if self._give_up_at[order.request.client_order_id] <= now_s:
                self._keep(order.rejected(_never_came(order.request.cause, self._rules.patience_s)))

    def _match(self, quote: Quote) -> None:
        for order in self._book.working(quote.symbol):
            if self._behind and self._is_old_to(order, quote):
                continue
            after, fills = self._shown(order, (quote,))
            if after is not order:
                self._keep(after, fills)

    def _is_old_to(self, order: Order, quote: Quote) -> bool:
        key = order.request.client_order_id
        if key in self._behind and (quote.at_ns, quote.sequence) <= order.met:
            return True
        self._behind.discard(key)
        return False

    def _buried(self, request: Request) -> Refusal | None:
        if self._book.is_buried(request.client_order_id):
            return Refusal(Reason.VENUE_REJECTED, "cancelled before it came")
        return None

    def _refusal(self, request: Request) -> Refusal | None:
        most = self._rules.most_open
        if self._book.open_count >= most:
            return Refusal(
                Reason.QUEUE_FULL, f"open orders: {self._book.open_count}, at most {most}"
            )
        return refusal(request, self._instruments)

    def _place(self, cause: Cause | None) -> int | None:
        if cause is None or self._rules.clock is Clock.WALL:
            return self._tape.arrived
        return self._tape.place(cause)

    def _wait(self, order: Order, now_s: float) -> None:
        self._give_up_at[order.request.client_order_id] = now_s + self._rules.patience_s
        self._keep(order)

    def _begin(self, order: Order, place: int) -> None:
        """Shows the order every quote since its place, so that coming late changes nothing."""
        symbol = order.request.symbol
        standing = self._tape.quote(symbol, place)
        if standing is None:
            self._keep(order.rejected(self._priceless(symbol, place)))
            return
        quotes = self._tape.after(symbol, place)
        if self._rules.fill_model is FillModel.TOUCH:
            quotes = chain((standing,), quotes)
        order = replace(order, began=True, met=(standing.at_ns, standing.sequence))
        self._keep(*self._shown(order, quotes))

    def _priceless(self, symbol: str, place: int) -> Refusal:
        if (place == 0 and self._tape.arrived) or self._tape.forgot(symbol):
            return Refusal(Reason.STALE_PRICE, "cause: expected one the tape still holds")
        return Refusal(Reason.NO_PRICE, f"symbol: {symbol!r}, expected a quote before its cause")

    def _shown(self, order: Order, quotes: Iterable[Quote]) -> tuple[Order, tuple[Fill, ...]]:
        """The order after it met the quotes, up to its end, and its fills."""
        terms, fills = self._terms[order.request.symbol], list[Fill]()
        for quote in quotes:
            most = self._most(order, fills)
            after, fill = match(order, quote, terms, most) if most else (nothing_left(order), None)
            if after is not order:
                order = replace(after, met=(quote.at_ns, quote.sequence))
            if fill is not None:
                fills.append(fill)
            if not order.is_open:
                break
        return order, tuple(fills)

    def _most(self, order: Order, fills: Iterable[Fill]) -> Decimal:
        """Of its rest, what may be filled now."""
        if not order.request.reduce_only:
            return order.remaining
        return min(order.remaining, self._holdings.reducible(order.request, fills))

    def _keep(self, order: Order, fills: tuple[Fill, ...] = ()) -> None:
        self._holdings.take(order.request, fills)
        self._book.put(order)
        if order.began or not order.is_open:
            self._give_up_at.pop(order.request.client_order_id, None)
        if not order.is_open:
            self._behind.discard(order.request.client_order_id)
        self._record(order, fills)


def _unknown(symbol: str) -> Refusal:
    message = f"symbol: {symbol!r}, expected one of the catalogue, which has changed"
    return Refusal(Reason.UNKNOWN_INSTRUMENT, message)


def _never_came(cause: Cause | None, patience_s: float) -> Refusal:
    what = f"{cause.stream} {cause.sequence}" if cause else "none"
    return Refusal(Reason.NO_PRICE, f"cause: '{what}', expected on the feed within {patience_s} s")
