"""A slow model of the desk, written from docs/gateway.md and docs/contracts.md.

It keeps one list of facts in the order in which the desk met them, and works everything out from
that list each time it is asked: no balances are kept, nothing is reserved, nothing worked out is
remembered. The checks themselves are in `model_verdict`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import model_adoption
import model_breaches
import model_busts
import model_bypass
import model_currencies
import model_flattening
import model_lowering
import model_marks
import model_modifications
import model_pools
import model_rates
import model_standings
import model_venues
import model_votes
from model_currencies import Amounts, Mids
from model_days import calendar_of
from model_sizing import meant
from model_verdict import FRESH_NS, Asked, Price, PriceOf, is_cancel, malformed, stays, verdict
from trading.instruments import Instrument
from trading.scopes import DESK
from trading.signals import Cause, Direction, Side, Signal

Fact = dict[str, Any]
ZERO = Decimal(0)
ENDLESS = Decimal("Infinity")
SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS
QUEUE = 1_000
CAUSE_WAIT_S = 1.0
ENDS = ("rejected", "cancelled", "expired")

DEFAULTS: Mapping[str, Decimal] = {
    "max_order_value": Decimal(50_000),
    "max_position_size": Decimal(1_000),
    "max_daily_loss": Decimal(5_000),
    "max_drawdown": Decimal("0.1"),
    "min_account_balance": Decimal(10_000),
    "max_orders_per_second": Decimal(10),
    "max_orders_per_minute": Decimal(100),
    "min_confidence": Decimal("0.6"),
    "max_gross_exposure": ENDLESS,
    "max_net_exposure": ENDLESS,
    "max_concentration": ENDLESS,
    "max_open_orders": ENDLESS,
    "max_price_deviation": ENDLESS,
    "max_value_at_risk": ENDLESS,
    "max_correlation": ENDLESS,
}
MODES = ("observation", "simulation", "live")  # from the least that it may do
SYMBOL_LIMITS = ("allowed_symbols", "blocked_symbols")


class Day(NamedTuple):
    """What daily loss and drawdown are measured from."""

    start: Decimal
    peak: Decimal


class Told(NamedTuple):
    """An outcome as a strategy learns of it; its number is its place, from 1."""

    signal: str
    what: str  # "fill", "sized", or how the order ended
    detail: str  # the fill's id, the quantity, or the reason


@dataclass
class Submission:
    """A batch on its way: judged signal by signal, told whole."""

    strategy: str
    key: str
    signals: Sequence[Signal]
    own: bool
    known: set[str]
    reasons: dict[int, str | None] = field(default_factory=dict)  # by place, once judged


@dataclass
class Waiting:
    submission: Submission
    place: int
    deadline: float = 0.0

    @property
    def signal(self) -> Signal:
        return self.submission.signals[self.place]


class DeskModel:
    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        *,
        market_clock: bool = True,
        asks_for_policies: bool = False,
        currency: str = "",
        feed: Sequence[str] = (),
    ) -> None:
        """`feed`: the symbols that it hears."""
        self.instruments = instruments
        self.currency, self.feed = currency, feed
        self.market_clock, self.asks_for_policies = market_clock, asks_for_policies
        self.facts: list[Fact] = []
        self.by_kind: dict[str, list[Fact]] = defaultdict(list)  # the same, to find them sooner
        self.history: list[model_pools.Told] = []  # what model_pools has read of them so far
        self.now_s = 0.0  # awake
        self.wall_ns = self.monotonic_ns = 0
        self.routes = model_venues.EVERYTHING
        self.away: set[str] = set()  # venues
        self.submissions: list[Submission] = []  # taken, not yet told
        self.queue: list[Waiting] = []
        self.waiting: list[Waiting] = []  # for a cause
        self.aside = ""  # an order that counts nowhere, of a copy that judges what comes instead
        self.lowering: dict[str, model_lowering.Lowering] = defaultdict(model_lowering.Lowering)
        self.flattening: dict[tuple[str, int], model_lowering.Lowering] = {}

    # ---- facts

    def note(self, kind: str, **fields: Any) -> None:
        self._keep({"is": kind, **fields})

    def _keep(self, fact: Fact) -> None:
        self.facts.append(fact)
        self.by_kind[fact["is"]].append(fact)
        if fact["is"] in _STEPS:
            self.by_kind["of orders"].append(fact)
        if fact["is"] in ("breached", "stood", "lifted"):
            self.by_kind["of breaches"].append(fact)
        if fact["is"] in ("deployed", "withdrawn"):
            self.by_kind["of deployments"].append(fact)

    def of(self, kind: str, strategy: str) -> list[Fact]:
        return [each for each in self.by_kind[kind] if each["strategy"] == strategy]

    def _last(self, kind: str, strategy: str, what: str) -> Any:
        found = self.of(kind, strategy)
        return found[-1][what] if found else ""

    # ---- what is in force

    @property
    def halted(self) -> bool:
        return bool(self.halts())

    def halts(self) -> set[str]:
        sources: set[str] = set()
        for fact in self.facts:
            if fact["is"] == "halted":
                sources.add(fact["source"])
            elif fact["is"] == "resumed":
                sources.discard(fact["source"])
        if self.asks_for_policies:
            specs = self.policies().items()
            sources |= {f"policy/{name}" for name, spec in specs if spec.get("halted")}
            sources |= {f"policy/{name}" for name in model_standings.halting(self)}
        for (scope, limit), breach in model_breaches.in_force(self).items():
            if scope == DESK and breach["standing"] == "halted":
                sources.add(f"breach/{limit}")
        return sources

    def policies(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for fact in self.facts:
            if fact["is"] == "policies_listed":
                found = dict(fact["specs"])
            elif fact["is"] == "policy":
                found.pop(fact["name"], None)
                if fact["spec"] is not None:
                    found[fact["name"]] = fact["spec"]
        return found

    def is_paused(self, strategy: str, symbol: str) -> bool:
        return "reducing" in model_standings.of(self, strategy, symbol)

    def halted_for(self, strategy: str, symbol: str) -> bool:
        return self.halted or "halted" in model_standings.of(self, strategy, symbol)

    def readable_policies(self) -> list[dict[str, Any]]:
        return list(self.in_force(self.policies()).values())

    def account(self, strategy: str) -> str:
        content = self.of("deployed", strategy)[0]["content"]
        return str(content.get("account", "default"))

    def in_force(self, policies: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Of these, what can be read."""
        if not self.asks_for_policies:
            return {}
        return {name: spec for name, spec in policies.items() if _readable(spec)}

    def acted_upon(self, policies: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Of these, whose limits and actions can be read, whatever else cannot."""
        if not self.asks_for_policies:
            return {}
        return {name: spec for name, spec in policies.items() if _has_limits(spec)}

    @property
    def reducing(self) -> bool:
        """What bounds everybody and cannot be read: nobody knows how far."""
        unreadable = [each for each in self.policies().values() if not _readable(each)]
        bounding = any(
            any(model_pools.of_several(each)) and not each.get("halted") for each in unreadable
        )
        return self.asks_for_policies and (bounding or model_pools.days_differ(self))

    def strategies(self) -> list[str]:
        return list(dict.fromkeys(fact["strategy"] for fact in self.by_kind["deployed"]))

    def renew_terms(self, strategy: str) -> None:
        """Notes what is in force now, if that is anything new."""
        found = self._terms_now(strategy)
        if found is not None and found != self._last("terms", strategy, "terms"):
            self.note("terms", strategy=strategy, terms=found)

    def terms(self, strategy: str) -> dict[str, Any]:
        found: dict[str, Any] = self._last("terms", strategy, "terms")
        return found

    def contents(self, strategy: str) -> list[dict[str, Any]]:
        """The armed revision's, then the wanted one's where it is another."""
        deployed = {f["revision"]: f["content"] for f in self.of("deployed", strategy)}
        armed = self._last("armed", strategy, "revision")
        wanted = self._last("wanted", strategy, "revision")
        return [deployed[each] for each in dict.fromkeys((armed, wanted)) if each]

    def _terms_now(self, strategy: str) -> dict[str, Any] | None:
        contents = self.contents(strategy)
        if not contents:
            return None  # what was in force last stands
        policies = self.policies() if self.asks_for_policies else {}
        bounds = [policies.get(each.get("policy", ""), {}) for each in contents]
        # What cannot be read bounds by the defaults; nothing can be opened by it anyhow.
        bounds = [each if _has_limits(each) else {"limits": DEFAULTS} for each in bounds]
        written = [each["limits"] for each in contents]
        written += [each["limits"] for each in bounds if each.get("limits")]
        first = contents[0]
        mode = min((each["mode"] for each in contents), key=MODES.index)
        named = {each.get("policy", ""): None for each in contents}
        readable = {name: policies[name] for name in named if _readable(policies.get(name))}
        return {
            "capital": Decimal(first["capital"]["amount"]),
            "actions": model_breaches.sternest(
                [
                    policies[each].get("actions", {})
                    for each in named
                    if _has_limits(policies.get(each))
                ]
            ),
            "calendar": calendar_of(policies.get(first.get("policy", ""), {})),
            "bypass": model_bypass.named((e, readable.get(e.get("policy", ""))) for e in contents),
            "sizings": [each["sizing"] for each in readable.values() if "sizing" in each],
            "aggregations": {
                (name, mode): {"windowSeconds": 5, "threshold": "0.3", **each["aggregation"]}
                for name, each in readable.items()
                if "aggregation" in each
            },
            "symbols": set(first["symbols"]),
            "allowed": [
                set(each["allowed_symbols"]) for each in written if each.get("allowed_symbols")
            ],
            "blocked": {symbol for each in written for symbol in each.get("blocked_symbols", ())},
            "mode": mode,
            "limits": {name: _tightest(name, contents, bounds) for name in DEFAULTS},
            "closing_only": any(self._may_only_close(each) for each in contents),
        }

    def _may_only_close(self, content: dict[str, Any]) -> bool:
        if not self.asks_for_policies:
            return False
        if not self.by_kind["policies_listed"]:
            return True
        name = content.get("policy", "")
        found = self.policies().get(name)
        if content["mode"] == "live":
            return not model_bypass.may_be_live(found if _readable(found) else None)
        return bool(name) and (found is None or not _readable(found))

    # ---- the books

    def fills(self, strategy: str) -> list[Fact]:
        return self.of("fill", strategy)

    def position(self, strategy: str, symbol: str) -> Decimal:
        return sum((_signed(f) for f in self.fills(strategy) if f["symbol"] == symbol), ZERO)

    def multiplier(self, symbol: str) -> Decimal:
        found = self.instruments.get(symbol)
        return found.contract_multiplier if found else Decimal(1)

    def bought(self, strategy: str, symbol: str) -> tuple[Decimal, Decimal]:
        """Cost of what is held, and what was realised before fees, at average cost."""
        held = cost = realised = ZERO
        with localcontext(prec=60):
            for fill in self.fills(strategy):
                if fill["symbol"] != symbol:
                    continue
                traded, price = _signed(fill), fill["price"] * self.multiplier(symbol)
                closed = ZERO if held * traded >= 0 else min(abs(traded), abs(held)) * _sign(traded)
                released = cost * closed / held if held else ZERO
                realised += released - closed * price
                cost += released + (traded - closed) * price
                held += traded
        return cost, realised

    def symbols(self, strategy: str) -> set[str]:
        return {fill["symbol"] for fill in self.fills(strategy)}

    def fees(self, strategy: str) -> Amounts:
        """By currency, as everything that was made."""
        found: Amounts = {}
        for fill in self.fills(strategy):
            model_currencies.add(found, model_currencies.of_fee(self, fill), fill["fee"])
        return found

    def balances(self, strategy: str) -> Amounts:
        found: Amounts = {self.currency: self.terms(strategy)["capital"]}
        for symbol in self.symbols(strategy):
            realised = self.bought(strategy, symbol)[1]
            model_currencies.add(found, model_currencies.quote(self, symbol), realised)
        for currency, fee in self.fees(strategy).items():
            model_currencies.add(found, currency, -fee)
        return found

    def balance(self, strategy: str, mid: Mids) -> Decimal | None:
        return model_currencies.total(self, self.balances(strategy), mid)

    def paid(self, strategy: str, symbols: Iterable[str]) -> Amounts:
        """All that was paid and received in these."""
        found: Amounts = {}
        for fill in self.fills(strategy):
            symbol = fill["symbol"]
            if symbol in symbols:
                spent = _signed(fill) * fill["price"] * self.multiplier(symbol)
                model_currencies.add(found, model_currencies.quote(self, symbol), -spent)
                model_currencies.add(found, model_currencies.of_fee(self, fill), -fill["fee"])
        return found

    def equity(self, strategy: str, mid: Mids) -> Decimal | None:
        """Capital, all that was paid and received, and what is held at mid."""
        found = self.paid(strategy, self.symbols(strategy))
        model_currencies.add(found, self.currency, self.terms(strategy)["capital"])
        for symbol in self.symbols(strategy):
            if quantity := self.position(strategy, symbol):
                price = mid(symbol)
                if price is None:
                    return None
                held = quantity * price * self.multiplier(symbol)
                model_currencies.add(found, model_currencies.quote(self, symbol), held)
        return model_currencies.total(self, found, mid)

    def day(self, strategy: str) -> Day:
        """A day begins with the equity that was known last; capital is neither gain nor loss."""
        marks = model_marks.of_strategy(self.facts, strategy)
        return Day(marks.start, marks.peak)

    def orders_left(self, strategy: str, limit: str, now_ns: int) -> Decimal:
        """Of what may be made in the period that ends now; closing orders take nothing."""
        return model_rates.of_strategy(self, strategy, limit, now_ns)

    # ---- orders

    def orders(self, strategy: str = "", facts: Sequence[Fact] | None = None) -> dict[str, Fact]:
        """Each order that was ever made, as it stands."""
        found: dict[str, Fact] = {}
        for fact in self.by_kind["of orders"] if facts is None else facts:
            step = _STEPS.get(fact["is"])
            if step is not None:
                step(found, fact)
        mine = {k: each for k, each in found.items() if strategy in ("", each["strategy"])}
        return {k: each for k, each in mine.items() if k != self.aside}

    @staticmethod
    def is_open(order: Fact) -> bool:
        return is_open(order)

    @staticmethod
    def is_at_work(order: Fact) -> bool:
        return at_work(order)

    def orders_at_work(self, strategy: str) -> dict[str, Fact]:
        return {k: each for k, each in self.orders(strategy).items() if at_work(each)}

    def cancels_unanswered(self) -> set[str]:
        """Orders whose accepted cancel is to be sent again: nobody knows that it arrived."""
        found: set[str] = set()
        asked: set[str] = set()
        for number, fact in enumerate(self.facts):
            if fact["is"] == "leaves" and fact["cancel"]:
                asked.add(fact["id"])
            elif fact["is"] in ("cancel_lost", "cancel_wanted"):
                found.add(fact["id"])
            elif fact["is"] in ("cancel_answered", "ended"):
                found.discard(fact["id"])
            elif fact["is"] == "restarted":
                orders = self.orders(facts=self.facts[: number + 1])
                found = {each for each in asked if each in orders and at_work(orders[each])}
        return found

    def reserved(
        self, strategy: str, symbol: str, side: Side, *, at_market: bool = False
    ) -> Decimal:
        """What orders at work, and fills that were announced, can still trade on that side."""
        total = ZERO
        for order in self.orders(strategy).values():
            counts = order["type"] == "market" or not at_market
            if counts and (order["symbol"], order["side"]) == (symbol, side):
                total += outstanding(order)
        return total

    def symbols_at_stake(self, strategy: str) -> set[str]:
        held = {each for each in self.symbols(strategy) if self.position(strategy, each)}
        return held | {each["symbol"] for each in self.orders_at_work(strategy).values()}

    def told(self, strategy: str) -> list[Told]:
        return [fact["told"] for fact in self.of("told", strategy)]

    def tell(self, strategy: str, signal: str, what: str, detail: str | None) -> None:
        self.note("told", strategy=strategy, told=Told(signal, what, detail or ""))

    def votes_of(self, strategy: str) -> dict[str, Any]:
        """By symbol, what it wanted: directions, confidences, when, and since when."""
        names = {each["symbol"]: None for each in self.of("vote", strategy)}
        return {
            symbol: [
                (each["direction"], each["confidence"], each["at_ns"], each["since_ns"])
                for each in model_votes.votes(self, strategy, symbol)
            ]
            for symbol in names
        }

    # ---- the market

    def message(self, symbol: str, kind: str, sequence: int, at_ns: int, price: Any) -> None:
        """`price` is bid and ask, or None of a message that has none."""
        self.note(
            "message",
            stream=f"{symbol}/{kind}",
            symbol=symbol,
            sequence=sequence,
            at_ns=at_ns,
            price=price,
            arrived_ns=self.monotonic_ns,
            wall_ns=self.wall_ns,
        )
        self._unpark()

    def heard(self) -> list[Fact]:
        """As far as this life of the gateway heard them."""
        heard: list[Fact] = []
        for fact in self.facts:
            if fact["is"] == "message":
                heard.append(fact)
            elif fact["is"] == "restarted":
                heard = []
        return heard

    def _latest(self, symbol: str, heard: Iterable[Fact], age: int | None) -> Price | None:
        quotes = [each for each in heard if each["symbol"] == symbol and each["price"]]
        if not quotes:
            return None
        gone = self.monotonic_ns - quotes[-1]["arrived_ns"] if age is None else age
        bid, ask = quotes[-1]["price"]
        return Price(bid, ask, gone)

    def latest(self, symbol: str) -> Price | None:
        """Of whatever age."""
        return self._latest(symbol, self.heard(), 0)

    def has_arrived(self, cause: Cause) -> bool:
        if not cause.type:
            return True
        last = [f["sequence"] for f in self.heard() if f["stream"] == cause.stream]
        return not self.market_clock or (bool(last) and last[-1] >= cause.sequence)

    def moment_now(self) -> tuple[int, PriceOf] | None:
        """What a look is made at; None: the market's time is not known yet."""
        heard = self.heard()
        if not self.market_clock:
            return self.wall_ns, lambda symbol: self._latest(symbol, heard, None)
        if not heard:
            return None
        return heard[-1]["at_ns"], lambda symbol: self._latest(symbol, heard, 0)

    def moment(self, cause: Cause) -> tuple[int, PriceOf, list[Fact]]:
        """Time and prices that a signal of that cause is judged by, and what was heard by then."""
        heard = self.heard()
        if not self.market_clock:
            return self.wall_ns, lambda symbol: self._latest(symbol, heard, None), heard
        if not cause.type:  # the gateway's own
            return cause.at_ns, lambda symbol: self._latest(symbol, heard, 0), heard
        if not self.has_arrived(cause):
            return cause.at_ns, lambda _: None, []
        place = [n for n, f in enumerate(heard) if _is_of(f, cause)]
        if not place:  # it was lost on the way: nobody knows what stood there
            return cause.at_ns, lambda symbol: self._latest(symbol, heard, FRESH_NS + 1), []
        stood = heard[: place[0] + 1]
        return stood[-1]["at_ns"], lambda symbol: self._latest(symbol, stood, 0), stood

    # ---- signals

    def decides_in(self, strategy: str, session: str, key: str) -> None:
        """Rates begin anew with another run of a replay."""
        if self.market_clock and session != self._last("begins_anew", strategy, "session"):
            self.note("begins_anew", strategy=strategy, session=session, by=key)

    def take(
        self, strategy: str, key: str, signals: Sequence[Signal], *, own: bool = False
    ) -> None:
        """A batch that the fence let through; `drain` once all that came together is taken."""
        ids = {fact["signal"] for fact in self.by_kind["decided"]}
        ids |= {signal.id for each in self.submissions for signal in each.signals}
        ids |= model_adoption.ids_taken(self)
        submission = Submission(strategy, key, signals, own, ids)
        self.submissions.append(submission)
        for place, signal in enumerate(signals):
            waiting = Waiting(submission, place)
            if len(self.queue) + len(self.waiting) >= QUEUE:
                again = signal.id in ids or signal.id in _judged(submission)
                self._decide(waiting, "duplicate" if again else "queue_full")
            else:
                self.queue.append(waiting)

    def drain(self) -> None:
        """The highest priority first; what waits for its cause holds up its own strategy only."""
        queue, self.queue = self.queue, []
        for waiting in sorted(queue, key=lambda each: -each.signal.priority):
            strategy = waiting.submission.strategy
            behind = any(each.submission.strategy == strategy for each in self.waiting)
            ripe = is_cancel(waiting.signal) or self.has_arrived(waiting.signal.cause)
            if behind or not ripe:
                waiting.deadline = self.now_s + CAUSE_WAIT_S
                self.waiting.append(waiting)
            else:
                self._judge(waiting)
        self._finish()

    def pass_time(self, ticks: Iterable[float]) -> None:
        """It looks at the first of them. What is found is on disk after the last."""
        unwritten = model_breaches.look(self)
        for now in ticks:
            model_flattening.tick(self, now)
            model_lowering.tick(self, now, unwritten)
            self.now_s = now
            self._unpark()
        self.drain()

    def _unpark(self) -> None:
        stuck: set[str] = set()
        for waiting in tuple(self.waiting):
            strategy, signal = waiting.submission.strategy, waiting.signal
            ripe = is_cancel(signal) or self.has_arrived(signal.cause)
            if strategy not in stuck and (ripe or self.now_s >= waiting.deadline):
                self.waiting.remove(waiting)
                self._judge(waiting)
            else:
                stuck.add(strategy)
        self._finish()

    def _judge(self, waiting: Waiting) -> None:
        signal, submission = waiting.signal, waiting.submission
        if signal.id in submission.known or signal.id in _judged(submission):
            self._decide(waiting, "duplicate")
        elif is_cancel(signal):
            order = self.orders(submission.strategy).get(f"{signal.cancels}-0")
            self._decide(waiting, None if order and is_open(order) else "unknown_order")
        elif model_modifications.is_modify(signal):
            self._decide(waiting, model_modifications.judge(self, submission, signal))
        else:
            self._judge_order(waiting)

    def _judge_order(self, waiting: Waiting) -> None:
        signal, submission = waiting.signal, waiting.submission
        now_ns, price_of, stood = self.moment(signal.cause)
        strategy, own = submission.strategy, submission.own
        refusal = ""
        if signal.direction is not None:
            signal, refusal = meant(self, strategy, signal, price_of, stood)
        asked = Asked(self, strategy, signal, now_ns, price_of, own=own, by=submission.key)
        halted = self.halted_for(strategy, signal.symbol)
        answers = model_venues.answers(self, strategy, signal.symbol)
        if not (answers or halted or asked.observed):
            self._decide(waiting, "venue_unavailable")
            return
        if asked.equity is not None:
            self.note(
                "valued", strategy=strategy, at_ns=now_ns, equity=asked.equity, by=submission.key
            )
        if not malformed(asked):
            model_votes.vote(asked, submission.key)
        reason = verdict(asked) or model_venues.refusal(asked)
        model_bypass.note(asked, reason)
        if reason == "invalid_quantity" and signal.direction is not None and not signal.quantity:
            reason = refusal or (None if signal.direction is Direction.NONE else reason)
        elif reason is None and not asked.observed:
            self._order(submission, asked)
        self._decide(waiting, reason)

    def _order(self, submission: Submission, asked: Asked) -> None:
        signal = asked.signal
        self.note(
            "ordered",
            id=f"{signal.id}-0",
            by=submission.key,
            strategy=submission.strategy,
            own=submission.own,
            symbol=signal.symbol,
            venue=model_venues.goes_to(self, submission.strategy, signal.symbol)[0],
            side=signal.side,
            type=signal.order_type.value,
            order_type=signal.order_type,
            time_in_force=signal.time_in_force,
            quantity=asked.quantity,
            closing=asked.closing,
            price=signal.price,
            stop_price=signal.stop_price,
            stays=stays(signal),
            post_only=signal.post_only,
            at_ns=asked.now_ns,
        )

    def _decide(self, waiting: Waiting, reason: str | None) -> None:
        waiting.submission.reasons[waiting.place] = reason

    def _finish(self) -> None:
        """What is decided whole is told, each strategy's in the order in which it came."""
        stuck: set[str] = set()
        for each in tuple(self.submissions):
            if each.strategy in stuck or len(each.reasons) < len(each.signals):
                stuck.add(each.strategy)
            else:
                self.submissions.remove(each)
                self._conclude(each)

    def _conclude(self, submission: Submission) -> None:
        strategy = submission.strategy
        at_work = self.orders_at_work(strategy)
        made = self.orders(strategy)
        for place, signal in enumerate(submission.signals):
            reason = submission.reasons[place]
            self.note(
                "decided", strategy=strategy, signal=signal.id, reason=reason, key=submission.key
            )
            if reason == "duplicate" and f"{signal.id}-0" in at_work:
                continue  # that order's own outcomes are still to come
            if reason is not None:
                self.tell(strategy, signal.id, "rejected", reason)
            elif is_cancel(signal):
                self.note("leaves", strategy=strategy, id=f"{signal.cancels}-0", cancel=True)
            elif model_modifications.is_modify(signal):
                model_modifications.leaves(self, strategy, signal.id)
            elif f"{signal.id}-0" in made:
                if signal.direction is not None:
                    quantity = made[f"{signal.id}-0"]["quantity"]
                    self.tell(strategy, signal.id, "sized", str(quantity))
                key = f"{signal.id}-0"
                only = {
                    "reduces": model_venues.only_reduces(self, made[key]),
                    "rests": made[key]["post_only"],
                }
                self.note("leaves", strategy=strategy, id=key, cancel=False, **only)
            else:
                self.tell(strategy, signal.id, "cancelled", None)  # only observed

    # ---- the venue

    def sends(self, strategy: str, order_id: str) -> bool:
        """Whether an order that was accepted may still leave. Filled before, it does not: whoever
        says so, sending it would trade it again.
        """
        order = self.orders(strategy)[order_id]
        if not is_open(order):
            return False
        if self.halted_for(strategy, order["symbol"]):
            self.ends(strategy, order_id, "expired", "halted")
            return False
        if order["state"] not in ("pending", "submitted"):
            return False
        self.note("sent", id=order_id)
        return True

    def cancels(self, strategy: str, order_id: str) -> bool:
        """Whether there is still something to cancel."""
        return is_open(self.orders(strategy)[order_id])

    def says(self, strategy: str, order_id: str, state: str, filled: Decimal, reason: str) -> None:
        """The venue, of an order. Without a reason a rejection is `venue_rejected`."""
        order = self.orders(strategy).get(order_id)
        if order is None or not at_work(order):
            return
        was_open = is_open(order)
        usual = "venue_rejected" if state == "rejected" else ""
        self.note("said", id=order_id, state=state, filled=filled, reason=reason or usual)
        if was_open:
            self._end_if_over(strategy, order_id)

    def ends(self, strategy: str, order_id: str, state: str, reason: str) -> None:
        """By our own word."""
        order = self.orders(strategy).get(order_id)
        if order is not None and is_open(order):
            self.note("said", id=order_id, state=state, filled=ZERO, reason=reason)
            self._end_if_over(strategy, order_id)

    def fill(self, fill: Fact) -> str:
        """What becomes of it: counted, repeated, or a stray."""
        known = [*self.by_kind["fill"], *self.by_kind["stray"]]
        if any(fact["fill"] == fill["fill"] for fact in known):
            return "repeated"
        if fill["busts"]:
            return model_busts.take(self, fill)
        order = self.orders().get(fill["id"])
        strategy = order["strategy"] if order else fill["strategy"]
        wrong = order and (order["symbol"], order["side"]) != (fill["symbol"], fill["side"])
        if strategy not in self.strategies() or wrong or self.is_gone(fill["id"]):
            self.note("stray", fill=fill["fill"], waits=None)
            return "stray"
        self.book({**fill, "strategy": strategy})
        return "counted"

    def book(self, fill: Fact) -> None:
        """Whose it is is known."""
        order, strategy = self.orders().get(fill["id"]), fill["strategy"]
        waited = order is not None and not is_open(order) and at_work(order)
        self.note("fill", **fill)
        signal = fill["id"].rpartition("-")[0] or f"foreign-{fill['fill']}"
        takes_back = f" takes back {fill['busts']}" if fill["busts"] else ""
        self.tell(strategy, signal, "fill", fill["fill"] + takes_back)
        model_modifications.ended(self, fill["id"])
        if waited:
            self._end_if_over(strategy, fill["id"])

    def _end_if_over(self, strategy: str, order_id: str) -> None:
        """An order ends when the fills that were announced are here; a filled one by its fills."""
        order = self.orders(strategy)[order_id]
        if order["state"] in ENDS and not at_work(order):
            model_modifications.ended(self, order_id)
            self.note("ended", id=order_id)
            self.tell(strategy, order_id.rpartition("-")[0], order["state"], order["reason"])

    # ---- another life

    def restart(self) -> None:
        """What was not told is forgotten; orders whose end is not known are asked for."""
        unwritten = {each.key for each in self.submissions}
        facts, self.facts = self.facts, []
        self.by_kind.clear()
        self.history.clear()
        for each in facts:
            if each.get("by") not in unwritten:
                self._keep(each)
        self.submissions, self.queue, self.waiting = [], [], []
        self.lowering.clear()
        self.flattening.clear()
        self.note("restarted")
        for fill in tuple(self.by_kind["fill"]):
            model_busts.take_early(self, fill["fill"])

    def prune(self, applied: Mapping[str, int]) -> None:
        """Just after a seal and a restart: what has ended, and was heard of, is gone."""
        for order in self.orders().values():
            signal = order["id"].rpartition("-")[0]
            untold = self.told(order["strategy"])[applied[order["strategy"]] :]
            its = {signal, *model_modifications.signals(self, order["id"])}
            if not at_work(order) and not any(each.signal in its for each in untold):
                self.note("gone", id=order["id"])

    def is_gone(self, order_id: str) -> bool:
        return any(each["id"] == order_id for each in self.by_kind["gone"])


def outstanding(order: Fact) -> Decimal:
    """What may still change the position."""
    # While it is open the venue may fill again what it took back.
    left: Decimal = (
        model_modifications.larger(order) - order["filled"]
        if is_open(order)
        else order["announced"] - traded(order)
    )
    return max(ZERO, left)


def traded(order: Fact) -> Decimal:
    """Also what was taken back."""
    found: Decimal = order["filled"] + order["busted"]
    return found


def is_open(order: Fact) -> bool:
    return order["state"] not in (*ENDS, "filled")


def at_work(order: Fact) -> bool:
    return is_open(order) or outstanding(order) > 0


def _judged(submission: Submission) -> set[str]:
    return {submission.signals[place].id for place in submission.reasons}


def _is_of(fact: Fact, cause: Cause) -> bool:
    return bool((fact["stream"], fact["sequence"]) == (cause.stream, cause.sequence))


def _sign(number: Decimal) -> int:
    return 1 if number > 0 else -1


def _signed(fill: Fact) -> Decimal:
    quantity: Decimal = fill["quantity"]
    return quantity if fill["side"] is Side.BUY else -quantity


def _readable(policy: Mapping[str, Any] | None) -> bool:
    return _has_limits(policy) and model_bypass.is_known((policy or {}).get("bypass", ()))


def _has_limits(policy: Mapping[str, Any] | None) -> bool:
    return policy is not None and set(policy.get("limits") or {}) <= {*DEFAULTS, *SYMBOL_LIMITS}


def _tightest(
    name: str, contents: Sequence[dict[str, Any]], bounds: Sequence[dict[str, Any]]
) -> Decimal:
    """Of what the revisions write, or else the default, and what the policies write."""
    values = [Decimal(str(each["limits"].get(name, DEFAULTS[name]))) for each in contents]
    stated = [(each.get("limits") or {}).get(name) for each in bounds]
    values += [Decimal(str(each)) for each in stated if each is not None]
    return max(values) if name.startswith("min_") else min(values)


# ---- how an order's facts move it


def _ordered(orders: dict[str, Fact], fact: Fact) -> None:
    usual = {"state": "pending", "filled": ZERO, "announced": ZERO, "reason": "", "over": False}
    money = {"busted": ZERO, "notional": ZERO, "fee": ZERO, "asked": None, "modification": 0}
    orders[fact["id"]] = {**fact, **usual, **money}


def _sent(orders: dict[str, Fact], fact: Fact) -> None:
    order = orders[fact["id"]]
    if order["state"] == "pending":
        order["state"] = "submitted"


def _lost(orders: dict[str, Fact], fact: Fact) -> None:
    order = orders[fact["id"]]
    if is_open(order):
        order["state"] = "unknown"


def _said(orders: dict[str, Fact], fact: Fact) -> None:
    """The first end that is stated stands; a rejection of what was filled in part is no answer."""
    order, state = orders[fact["id"]], fact["state"]
    if state == "rejected" and order["state"] == "partially_filled":
        order["state"] = "unknown"
        return
    order["announced"] = max(order["announced"], fact["filled"])
    if not is_open(order):
        return
    if state in ENDS:
        order["state"], order["reason"] = state, fact["reason"]
    elif state == "unknown":
        order["state"] = "unknown"
    else:
        was_filled = order["filled"] or order["state"] == "partially_filled"
        order["state"] = "partially_filled" if was_filled else "accepted"


def _filled(orders: dict[str, Fact], fact: Fact) -> None:
    order = orders.get(fact["id"])
    if order is None:
        return
    quantity = -fact["quantity"] if fact["busts"] else fact["quantity"]
    order["filled"] += quantity
    order["notional"] += quantity * fact["price"]
    order["fee"] += fact["fee"]
    if fact["busts"]:  # its state is as it was
        order["busted"] += fact["quantity"]
    elif traded(order) >= model_modifications.larger(order):
        order["state"] = "filled"
    elif is_open(order) and order["state"] != "unknown":
        order["state"] = "partially_filled"


def _ended(orders: dict[str, Fact], fact: Fact) -> None:
    orders[fact["id"]]["over"] = True


def _restarted(orders: dict[str, Fact], _: Fact) -> None:
    """An end that was stated and not yet told is not in the journal."""
    for order in orders.values():
        if not order["over"]:
            order["announced"] = ZERO
            if order["state"] != "filled":
                order["state"], order["reason"] = "unknown", ""


_STEPS = {
    "ordered": _ordered,
    "sent": _sent,
    "lost": _lost,
    "said": _said,
    "fill": _filled,
    "ended": _ended,
    "restarted": _restarted,
    **model_modifications.STEPS,
    **model_adoption.STEPS,
}
