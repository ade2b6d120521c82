"""What has reduce_only never makes a position larger, nor turns it round."""

from decimal import Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from market_data import catalogue
from paper_venue.book import Book
from paper_venue.holdings import Holdings
from paper_venue.orders import Fill, Order, Request
from paper_venue.store import Store, _put
from paper_venue.venue import FillModel, PaperVenue, Rules
from trading.market import Quote, Tape
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import OrderType, Side

BTC = "BTCUSDT"


class Venue:
    def __init__(self, size: float = 0) -> None:
        """Each quote offers so much; 0: any amount."""
        self.orders: dict[str, Order] = {}
        self.held = Decimal(0)
        self.size = size
        self.at = 0
        rules = Rules(FillModel.TOUCH)
        self.venue = PaperVenue(catalogue.load(), rules, self.record, Book(), Tape(), Holdings())
        self.quote()

    def record(self, order: Order, fills: tuple[Fill, ...]) -> None:
        self.orders[order.request.client_order_id] = order
        for fill in fills:
            before = self.held
            self.held += fill.quantity * order.request.side.sign
            if order.request.reduce_only:
                assert abs(self.held) < abs(before)
                assert self.held * before >= 0

    def quote(self, bid: float = 100) -> None:
        self.at += 1
        quote = Quote(BTC, self.at, self.at, bid, self.size, bid + 1, self.size)
        self.venue.meet(f"{BTC}/tick", self.at, quote)

    def submit(self, name: str, side: Side, quantity: str, **more: object) -> Order:
        kind = OrderType.LIMIT if "price" in more else OrderType.MARKET
        request = Request(name, "s", BTC, side, kind, Decimal(quantity), **more)  # type: ignore[arg-type]  # by name
        self.venue.submit(request, None, 0)
        return self.orders[name]


def test_of_two_closings_that_race_one_finds_nothing_left() -> None:
    venue = Venue()
    venue.submit("in", Side.BUY, "2")
    assert venue.submit("out", Side.SELL, "2", reduce_only=True).state is OrderState.FILLED
    late = venue.submit("late", Side.SELL, "2", reduce_only=True)
    assert (late.state, late.reason) == (OrderState.REJECTED, Reason.REDUCING_ONLY)
    assert venue.held == 0


def test_what_is_left_of_one_ends_when_nothing_is_held() -> None:
    venue = Venue()
    venue.submit("in", Side.BUY, "2")
    resting = venue.submit("rest", Side.SELL, "2", price=Decimal(110), reduce_only=True)
    assert resting.is_open
    venue.submit("other", Side.SELL, "1.5")
    venue.quote(bid=120)
    assert venue.orders["rest"].filled == Decimal("0.5")
    venue.quote(bid=120)
    assert venue.orders["rest"].state is OrderState.CANCELLED
    assert venue.held == 0


STEPS = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 30), st.booleans(), st.booleans()), max_size=30
)


@given(STEPS, st.sampled_from([0, 1, 7]))
def test_no_mix_of_orders_turns_a_position_round(
    steps: list[tuple[Side, int, bool, bool]], size: float
) -> None:
    """`record` has what is asserted of each fill."""
    venue = Venue(size)
    for nth, (side, tenths, reduces, rests) in enumerate(steps):
        more = {"price": Decimal(100 if side is Side.BUY else 101)} if rests else {}
        quantity = str(Decimal(tenths) / 10)
        venue.submit(f"o{nth}", side, quantity, reduce_only=reduces, **more)
        venue.quote(bid=100 + nth % 3)


def test_a_new_life_knows_what_is_held(tmp_path: Path) -> None:
    store = Store(tmp_path / "book.db")
    rows = store._connection
    venue = Venue()
    for name, side, quantity in (("a", Side.BUY, "2"), ("b", Side.SELL, "0.5")):
        order = venue.submit(name, side, quantity)
        _put(rows, order, ())
    venue.venue.submit(
        Request("c", "s", BTC, Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(5)), None, 0
    )
    _put(rows, venue.orders["c"], ())
    assert store.load().held == {("s", BTC): Decimal("1.5")}
