"""The venue's ear: market data into the venue, as messages and quotes."""

from time import monotonic_ns

from market_data import Intake
from paper_venue.venue import PaperVenue
from strategy_sdk.market import Book, Candle, Event, Tick, Trade
from trading.market import Quote

_TYPES: dict[type, str] = {Tick: "tick", Trade: "trade", Book: "book", Candle: "candle"}


class Feed:
    """Passes on what the intake accepts; `on_payload` is the hot path."""

    def __init__(self, intake: Intake, venue: PaperVenue) -> None:
        self._accept = intake.accept
        self._venue = venue
        self._streams: dict[tuple[type, str], str] = {}

    def on_payload(self, payload: bytes) -> None:
        event = self._accept(payload)
        if event is not None:
            self._venue.meet(self._stream(event), event.sequence, quote_of(event))

    def _stream(self, event: Event) -> str:
        key = (event.__class__, event.symbol)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = f"{event.symbol}/{_TYPES[event.__class__]}"
        return stream


def quote_of(event: Event) -> Quote | None:
    """Best bid and ask; trades and candles have none. The event has passed the intake."""
    if isinstance(event, Tick):
        return Quote(
            event.symbol,
            event.sequence,
            event.timestamp,  # type: ignore[arg-type]  # the intake made it an integer
            event.bid_price,
            event.bid_size,
            event.ask_price,
            event.ask_size,
            monotonic_ns(),
        )
    if isinstance(event, Book):
        return _quote_of_book(event)
    return None


def _quote_of_book(book: Book) -> Quote:
    (bid, bid_size), (ask, ask_size) = book.bids[0], book.asks[0]
    return Quote(
        book.symbol, book.sequence, book.at_ns, bid, bid_size, ask, ask_size, monotonic_ns()
    )
