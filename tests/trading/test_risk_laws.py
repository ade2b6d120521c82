"""Laws of risk: no order of events exceeds a limit, and none keeps a strategy from closing."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from btc import BTC
from trading.accounts import StrategyAccount, Terms
from trading.fills import Fill
from trading.limits import Limits
from trading.market import Touch
from trading.orders import Order, OrderEvent, OrderState
from trading.risk import Approved
from trading.signals import Cause, OrderType, Side, Signal
from trading.standings import Stand, Standing

MOST = Decimal(10)
MOST_VALUE = Decimal(700)
TOUCH = Touch(Decimal(99), Decimal(101))
LIMITS = Limits(
    max_position_size=MOST,
    max_order_value=MOST_VALUE,
    max_orders_per_second=20,
    max_orders_per_minute=30,
)
TERMS = Terms(Decimal(100_000), frozenset({"BTCUSDT"}), LIMITS)
quantities = st.decimals("0.1", "12", places=1)


class Desk(RuleBasedStateMachine):
    """A strategy, its account, and a venue whose fills and answers come late and in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.account = StrategyAccount("momentum", TERMS, {"BTCUSDT": BTC})
        self.orders: dict[str, Order] = {}  # as approved
        self.executed: dict[str, Decimal] = {}  # at the venue
        self.ended: set[str] = set()  # at the venue
        self.under_way: list[Fill] = []
        self.opened = 0

    @rule(
        side=st.sampled_from(Side),
        quantity=quantities,
        closing=st.booleans(),
        price=st.sampled_from([None, Decimal("50"), Decimal("99.5"), Decimal("200")]),
    )
    def ask(self, side: Side, quantity: Decimal, closing: bool, price: Decimal | None) -> None:
        signal = Signal(
            id=f"s{len(self.orders)}",
            symbol="BTCUSDT",
            cause=Cause("BTCUSDT", "tick", 1, 1),
            at_ns=1,
            side=side,
            order_type=OrderType.LIMIT if price else OrderType.MARKET,
            quantity=quantity,
            price=price,
            closing=closing,
        )
        before = self.position * side.sign
        answer = self.account.review(signal, lambda _: TOUCH, 1)
        if isinstance(answer, Approved):
            order = answer.order
            assert not order.closing or order.quantity <= -before
            assert order.closing or order.quantity * (price or TOUCH.bid) <= MOST_VALUE
            self.opened += not order.closing
            self.account.reserve(order)
            self.orders[order.client_order_id] = order
            self.executed[order.client_order_id] = Decimal(0)

    @precondition(lambda self: set(self.orders) - self.ended)
    @rule(data=st.data(), part=st.sampled_from([Decimal("0.1"), Decimal(1), Decimal(100)]))
    def execute(self, data: st.DataObject, part: Decimal) -> None:
        """The venue trades some of an order; nobody has been told yet."""
        name = data.draw(st.sampled_from(sorted(set(self.orders) - self.ended)))
        order = self.orders[name]
        quantity = min(part, order.quantity - self.executed[name])
        self.executed[name] += quantity
        nth = f"{name}-{self.executed[name]}"
        if quantity:
            self.under_way.append(
                Fill(
                    nth, name, "momentum", "BTCUSDT", order.side, Decimal(100), quantity,
                    Decimal("0.1"), 1,
                )
            )  # fmt: skip

    @precondition(lambda self: set(self.orders) - self.ended)
    @rule(
        data=st.data(),
        state=st.sampled_from([OrderState.CANCELLED, OrderState.EXPIRED, OrderState.ACCEPTED]),
    )
    def answer(self, data: st.DataObject, state: OrderState) -> None:
        """The venue states how an order stands, its fills perhaps still under way."""
        name = data.draw(st.sampled_from(sorted(set(self.orders) - self.ended)))
        if state.has_ended:
            self.ended.add(name)
        if name in self.account.orders:  # else its last fill was faster
            self.account.on_answer(name, state, self.executed[name])

    @precondition(lambda self: self.account.orders)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.account.orders)))
        self.account.on_event(name, OrderEvent.LOSE)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), twice=st.booleans())
    def deliver(self, data: st.DataObject, twice: bool) -> None:
        fill = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(fill)
        self.account.on_fill(fill)
        if twice:
            assert self.account.on_fill(fill) is None

    @property
    def position(self) -> Decimal:
        return self.account.ledger.position("BTCUSDT").quantity

    @invariant()
    def the_position_stays_within_its_limit_however_things_go_on(self) -> None:
        working = self.account.working("BTCUSDT")
        assert -MOST <= self.position <= MOST
        assert self.position + working.buys <= MOST
        assert self.position - working.sells >= -MOST

    @invariant()
    def the_venues_position_does_too(self) -> None:
        executed = sum(
            (self.executed[name] * order.side.sign for name, order in self.orders.items()),
            Decimal(0),
        )
        assert -MOST <= executed <= MOST

    @invariant()
    def no_more_is_opened_than_the_rates_allow(self) -> None:
        assert self.opened <= 20

    @invariant()
    def every_reservation_is_owed_to_an_order(self) -> None:
        working = self.account.working("BTCUSDT")
        owed = {side: Decimal(0) for side in Side}
        for order in self.account.orders.values():
            owed[order.side] += order.outstanding
        assert working.buys == owed[Side.BUY]
        assert working.sells == owed[Side.SELL]


Desk.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNoOrderOfEventsExceedsALimit = Desk.TestCase


NOTHING_ALLOWED = Limits(
    allowed_symbols=frozenset({"ETHUSDT"}),
    blocked_symbols=frozenset({"BTCUSDT"}),
    max_order_value=Decimal(0),
    max_position_size=Decimal(0),
    max_daily_loss=Decimal(0),
    max_drawdown=Decimal(0),
    min_account_balance=Decimal(10) ** 9,
    max_orders_per_second=0,
    max_orders_per_minute=0,
    min_confidence=Decimal(1),
)


@given(
    held=quantities,
    part=st.integers(1, 120),
    side=st.sampled_from(Side),
    flagged=st.booleans(),
    price=st.sampled_from([None, Decimal(1), Decimal(10_000)]),
    touch=st.sampled_from(
        [None, TOUCH, Touch(Decimal(0), Decimal(1)), Touch(TOUCH.bid, TOUCH.ask, 2**62)]
    ),
    standing=st.sampled_from([Standing.ACTIVE, Standing.REDUCING]),
    lost=st.decimals("0", "1000000", places=2),
)
def test_closing_is_never_blocked_by_a_limit_that_exists_to_reduce_risk(
    held: Decimal,
    part: int,
    side: Side,
    flagged: bool,
    price: Decimal | None,
    touch: Touch | None,
    standing: Standing,
    lost: Decimal,
) -> None:
    account = StrategyAccount(
        "momentum", replace(TERMS, symbols=frozenset(), limits=NOTHING_ALLOWED), {"BTCUSDT": BTC}
    )
    opposite = Side.SELL if side is Side.BUY else Side.BUY
    account.on_fill(Fill("f", "o-0", "momentum", "BTCUSDT", opposite, Decimal(100), held, lost, 1))
    signal = Signal(
        id="s1",
        symbol="BTCUSDT",
        cause=Cause("BTCUSDT", "tick", 1, 1),
        at_ns=1,
        side=side,
        order_type=OrderType.LIMIT if price else OrderType.MARKET,
        quantity=min(held, Decimal(part) / 10),
        price=price,
        confidence=Decimal(0),
        closing=flagged,
    )
    answer = account.review(signal, lambda _: touch, 1, stand=Stand(standing))
    assert isinstance(answer, Approved), answer
    assert answer.order.closing
