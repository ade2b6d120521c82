"""The book: open orders by what they wait for, and every id that was ever seen.

Orders that ended are the store's; here only their ids stay, to recognise a repeat.
"""

from collections.abc import Iterable

from paper_venue.orders import Order

Orders = dict[str, Order]  # by client order id, oldest first


class Book:
    def __init__(
        self, last_number: int = 0, known: Iterable[str] = (), buried: Iterable[str] = ()
    ) -> None:
        self._last_number = last_number
        self._known = set(known)
        self._buried = set(buried)
        self._open: Orders = {}
        self._working: dict[str, Orders] = {}  # by symbol
        self._waiting: dict[str, Orders] = {}  # by stream of the cause

    @property
    def open_count(self) -> int:
        return len(self._open)

    def next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def knows(self, client_order_id: str) -> bool:
        return client_order_id in self._known

    def open_order(self, client_order_id: str) -> Order | None:
        return self._open.get(client_order_id)

    def bury(self, client_order_id: str) -> None:
        """An order of this id was cancelled before it came."""
        self._buried.add(client_order_id)

    def is_buried(self, client_order_id: str) -> bool:
        return client_order_id in self._buried

    def put(self, order: Order) -> None:
        """Takes the order's newest version and files it by what it waits for now."""
        key = order.request.client_order_id
        self._known.add(key)
        if order.is_open:
            self._open[key] = order
        else:
            self._open.pop(key, None)
        _file(self._working, order.request.symbol, order, order.is_open and order.began)
        if order.request.cause is not None:
            stream = order.request.cause.stream
            _file(self._waiting, stream, order, order.is_open and not order.began)

    def works_on(self, symbol: str) -> bool:
        return symbol in self._working

    def working(self, symbol: str) -> tuple[Order, ...]:
        """Orders that the symbol's quotes are matched against."""
        return tuple(self._working.get(symbol, {}).values())

    @property
    def waits(self) -> bool:
        return bool(self._waiting)

    def waiting(self) -> tuple[Order, ...]:
        """Orders whose cause has not arrived."""
        return tuple(order for orders in self._waiting.values() for order in orders.values())

    def due(self, stream: str, sequence: int) -> tuple[Order, ...]:
        """Waiting orders that a message of this stream and sequence sets going."""
        orders = self._waiting.get(stream, {})
        return tuple(order for order in orders.values() if _cause_sequence(order) <= sequence)


def _file(shelf: dict[str, Orders], name: str, order: Order, belongs: bool) -> None:
    """Keeps the order under `name`, or takes it away; an empty name leaves the shelf."""
    key = order.request.client_order_id
    if belongs:
        shelf.setdefault(name, {})[key] = order
    elif name in shelf:
        shelf[name].pop(key, None)
        if not shelf[name]:
            del shelf[name]


def _cause_sequence(order: Order) -> int:
    return order.request.cause.sequence if order.request.cause else 0
