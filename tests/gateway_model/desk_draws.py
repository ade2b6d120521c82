"""What the details of a story are drawn from: limits, quotes, signals, all from one chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Any

import desk_bounds
import desk_modifications
from desk_world import DeskWorld, Seat
from trading.signals import Action, Cause, Direction, OrderType, Side, Signal, TimeInForce

SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS
BTC, ETH = "BTCUSDT", "ETHUSDT"
D = Decimal


@dataclass
class Scene:
    """A world, and what the story needs to go on with it."""

    world: DeskWorld
    bids: dict[str, float] = field(default_factory=lambda: {BTC: 100.0, ETH: 50.0})
    features: frozenset[str] = frozenset()  # what most stories leave out

    def count(self, what: str) -> None:
        self.world.happened[what] += 1

    @property
    def acts(self) -> bool:
        """Whether a policy says what a breach does."""
        return self.closes or "actions" in self.features

    @property
    def closes(self) -> bool:
        return bool(self.features & {"lowering", "pools", "totals"})

    def seats(self) -> list[Seat]:
        return [each for each in self.world.seats.values() if each.runner is not None]


def content(r: Random, scene: Scene, policy: str = "") -> dict[str, Any]:
    """Limits are mostly wide: what is refused for everything shows nothing."""
    own = scene.world.currency or "USDT"
    made: dict[str, Any] = {
        "symbols": r.choice([[BTC], [BTC, ETH], [BTC, ETH], [BTC, ETH, "SOLUSDT"]]),
        "mode": r.choice(["simulation"] * 9 + ["observation"]),
        "capital": {"amount": r.choice(["10000", "20000", "100000"]), "currency": own},
        "limits": limits(r),
        "policy": policy or ("main" if scene.features else ""),
    }
    if scene.features & {"actions", "lowering", "pools"}:
        made["limits"] |= {n: r.choice(_TIGHT[n]) for n in _BREACHED if r.random() < 0.3}
    if "bypass" in scene.features:
        made["limits"] |= limits(r, 0.3)
        made["mode"] = "live" if r.random() < 0.15 else made["mode"]
    if "samples" in scene.features:
        made["limits"] |= {n: r.choice(v) for n, v in _BY_SAMPLES.items() if r.random() < 0.4}
    return made


_WIDE: Mapping[str, Any] = {
    "max_order_value": "1000000",
    "max_daily_loss": "1000000",
    "max_drawdown": "1",
    "min_account_balance": "0",
    "max_orders_per_second": 1_000,
    "max_orders_per_minute": 1_000,
}
_TIGHT: Mapping[str, Sequence[Any]] = {
    "max_order_value": ["150", "400"],
    "max_position_size": ["2", "5"],
    "max_daily_loss": ["5", "50"],
    "max_drawdown": ["0.001", "0.01"],
    "min_account_balance": ["9990", "19990"],
    "max_orders_per_second": [0, 1, 3],
    "max_orders_per_minute": [2, 10],
    "min_confidence": ["0.3", 0.9],
    "max_gross_exposure": ["300", "900"],
    "max_net_exposure": ["200", "700"],
    "max_concentration": ["0.01", "0.1"],
    "max_open_orders": [1, 3],
    "max_price_deviation": ["0.02", "0.1"],
    "allowed_symbols": [[BTC], [ETH], [BTC, ETH]],
    "blocked_symbols": [[BTC], [ETH]],
}


_BY_SAMPLES: Mapping[str, Sequence[Any]] = {
    "max_value_at_risk": ["0", "1.5", "10"],
    "max_correlation": ["0.3", "0.95"],
}


def limits(r: Random, share: float = 0.08) -> dict[str, Any]:
    tight = {name: r.choice(values) for name, values in _TIGHT.items() if r.random() < share}
    return {**_WIDE, **tight}


def policy(r: Random) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if r.random() < 0.5:
        spec["limits"] = {n: r.choice(v) for n, v in _TIGHT.items() if r.random() < 0.1}
    if r.random() < 0.05:
        spec["limits"] = {"max_fun": 1}  # nobody can read that
    if r.random() < 0.06:
        spec |= {"halted": True, "reason": "news"}
    return spec


def said_of(r: Random, scene: Scene) -> dict[str, Any]:
    """What a policy says beside limits, in a story that has any of it."""
    said: dict[str, Any] = {}
    for feature, name, make in _BESIDES:
        if feature in scene.features and r.random() < 0.85:
            made = make(r)
            together = name in ("desk", "accounts", "symbols") and name in said
            said[name] = desk_bounds.joined(said[name], made) if together else made
    return said


def sampled(r: Random) -> dict[str, Any]:
    return {
        "sampling": {
            "intervalSeconds": r.choice([1, 1, 1, 2]),
            "samples": r.choice([20, 20, 25]),
            "confidence": r.choice(["0.5", "0.9", "0.99"]),
        }
    }


def sizing(r: Random) -> dict[str, Any]:
    fraction = {"fraction": r.choice(["0.01", "0.05", 0.3])}
    kelly = {**fraction, "winRate": r.choice(["0.4", "0.6"]), "payoff": "1.7", "cap": "0.07"}
    moves: dict[str, Any] = {"stepSeconds": r.choice([1, 5]), "returns": r.choice([2, 4])}
    target = {"volatility": r.choice(["0.2", "5"]), "cap": r.choice(["0.05", "0.5"]), **moves}
    return r.choice([{"fixedFraction": fraction}, {"kelly": kelly}, {"volatilityTarget": target}])


def aggregation(r: Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        "method": r.choice(["majority", "weighted_average", "unanimous", "first_signal"])
    }
    if r.random() < 0.7:
        found["windowSeconds"] = r.choice([1, 2, 60])
    if r.random() < 0.5:
        found["threshold"] = r.choice(["0", "0.5", 0.2])
    return found


def actions(r: Random) -> dict[str, Any]:
    """Not beside a limit only: without one nothing is exceeded."""
    found: dict[str, Any] = {}
    for limit in _BREACHED:
        if r.random() < 0.4:
            found[limit] = {"action": r.choice(["alert", "pause"])}
    if r.random() < 0.7:
        found["max_daily_loss"] = {"action": "pause", "untilNextDay": True}
    return found


def lowering(r: Random) -> dict[str, Any]:
    """Closed as well."""
    found: dict[str, Any] = {}
    for limit in _BREACHED:
        if r.random() < 0.3:
            found[limit] = r.choice(
                [{"action": "stop"}, {"action": "reduce", "share": r.choice(["0.3", "0.5", 1])}]
            )
    if r.random() < 0.3:
        found["max_daily_loss"] = {"action": "stop", "untilNextDay": True}
    return found


def together(r: Random) -> dict[str, Any]:
    """Of an account or the desk: each limit with what is done about it, or without."""
    limits: dict[str, Any] = {}
    actions: dict[str, Any] = {}
    for limit, values in _TOGETHER.items():
        if r.random() < 0.5:
            limits[limit] = r.choice(values)
            action = r.choice(["", "alert", "pause", "reduce", "reduce", "stop", "stop"])
            share = {"share": r.choice(["0.3", "0.5", 1])} if action == "reduce" else {}
            actions |= {limit: {"action": action, **share}} if action else {}
    return {"limits": limits, **({"actions": actions} if actions else {})}


_TOGETHER: Mapping[str, Sequence[Any]] = {
    "max_position_size": ["2", "4", "8"],
    "max_gross_exposure": ["300", "900"],
    "max_net_exposure": ["200", "700"],
}


def accounts(r: Random) -> dict[str, Any]:
    return {name: together(r) for name in ("default", "other") if r.random() < 0.5}


_BREACHED = (
    "max_daily_loss",
    "max_drawdown",
    "min_account_balance",
    "max_position_size",
    "max_gross_exposure",
    "max_net_exposure",
    "max_concentration",
)


def exceeded(r: Random) -> dict[str, Any]:
    """Tightened while something is held."""
    return {name: r.choice(_TIGHT[name]) for name in _BREACHED if r.random() < 0.3}


def day(r: Random) -> dict[str, Any]:
    zone = r.choice(["UTC", "Asia/Kolkata", "America/New_York", "Europe/London"])
    return r.choice([{"timeZone": zone, "hour": r.choice([0, 17])}, {"hour": 6}, {}])


# The feature, where a policy says it, and what.
_BESIDES: Sequence[tuple[str, str, Callable[[Random], Any]]] = (
    ("sizing", "sizing", sizing),
    ("votes", "aggregation", aggregation),
    ("samples", "desk", sampled),
    ("actions", "actions", actions),
    ("actions", "day", day),
    ("actions", "limits", exceeded),
    ("lowering", "actions", lowering),
    ("lowering", "day", day),
    ("lowering", "limits", exceeded),
    ("pools", "desk", together),
    ("pools", "accounts", accounts),
    ("totals", "desk", desk_bounds.totals),
    ("totals", "accounts", desk_bounds.accounts),
    ("totals", "day", desk_bounds.day),
    ("symbols", "symbols", desk_bounds.symbols),
    ("samples", "desk", desk_bounds.at_risk),
    ("samples", "accounts", desk_bounds.accounts_at_risk),
    ("bypass", "bypass", desk_bounds.bypass),
    ("bypass", "allowLive", desk_bounds.allow_live),
    ("standings", "desk", desk_bounds.desk_stands),
    ("standings", "accounts", desk_bounds.accounts_stand),
    ("standings", "symbols", desk_bounds.symbols_stand),
)
FEATURES = (
    *dict.fromkeys(feature for feature, _, _ in _BESIDES),
    *("prune", "modifications", "withdrawals", "venues", "adoption"),
)
# Each by a chance of its own: a story told before stays what it was.
LATER = ("post_only", "busts", "currencies")


def policies(r: Random, scene: Scene, specs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Read one after the other: what bounds the desk is in all of them, or comes and goes."""
    of_desk = {name: each for name, each in said_of(r, scene).items() if name == "desk"}
    said = {name: said_of(r, scene) for name in specs}
    return {
        name: {**spec, **{k: v for k, v in said[name].items() if k != "desk"}, **of_desk}
        for name, spec in specs.items()
    }


def quote(r: Random, scene: Scene, symbol: str) -> tuple[float, float]:
    """A walk, with a leap now and then."""
    step = r.choice([-1.5, -0.5, 0.0, 0.5, 1.0]) if r.random() < 0.9 else r.choice([-20.0, 20.0])
    scene.bids[symbol] = min(300.0, max(10.0, scene.bids[symbol] + step))
    return scene.bids[symbol], scene.bids[symbol] + r.choice([0.0, 0.5, 1.0])


def pass_moment(r: Random, scene: Scene) -> None:
    """Mostly a part of a second; also a long wait, into the next day, or back."""
    world, chance = scene.world, r.random()
    if chance < 0.9:
        world.go_on(r.randrange(1, SECOND_NS // 2))
    elif chance < 0.96:
        world.go_on(r.randrange(6, 90) * SECOND_NS)
        scene.count("clock: a long wait")
    elif chance < 0.98:
        world.go_on(DAY_NS - world.now_ns % DAY_NS + r.choice([-1, 0, 1]))
        scene.count("clock: midnight")
    else:
        world.step_clock(r.choice([-1, 1, -24]) * 3_600 * SECOND_NS)
        scene.count("clock: stepped")


def message(r: Random, scene: Scene, symbol: str = "") -> Cause:
    """One more of the feed, on its way."""
    symbol = symbol or r.choice([BTC, BTC, ETH])
    kind = "tick" if r.random() < 0.9 else "trade"
    pass_moment(r, scene)
    price = quote(r, scene, symbol) if kind == "tick" else None
    sequence = scene.world.publish(symbol, kind, price)
    return Cause(symbol, kind, sequence, scene.world.now_ns)


def some_price(r: Random, scene: Scene, symbol: str) -> Decimal:
    near = D(str(scene.bids.get(symbol, 100.0)))
    return near + r.choice([D(-10), D(-1), D("-0.5"), D(0), D("0.5"), D(1), D(10)])


def order(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    symbol = cause.symbol if r.random() < 0.85 else r.choice([BTC, ETH])
    kind = r.choice([OrderType.MARKET] * 4 + list(OrderType))
    price = some_price(r, scene, symbol)
    stops = kind in (OrderType.STOP, OrderType.STOP_LIMIT)
    priced = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) or (
        kind is OrderType.MARKET and r.random() < 0.1
    )
    return Signal(
        id=scene.world.next_id(seat),
        symbol=symbol,
        cause=cause,
        at_ns=cause.at_ns,
        side=r.choice(list(Side)),
        order_type=kind,
        quantity=D(r.choice(["0.5", "1", "1", "2", "3.00001"])),
        price=price if priced else None,
        stop_price=some_price(r, scene, symbol) if stops else None,
        time_in_force=r.choice(list(TimeInForce)),
        priority=r.choice([5, 5, 5, 1, 10]),
        max_slippage=D(r.choice(["0", "0.001", "0.01"])) if r.random() < 0.1 else None,
        confidence=D(r.choice(["0.2", "0.5", "0.7", "1"])) if r.random() < 0.2 else None,
        expires_ns=cause.at_ns + r.choice([-1, 0, 1, 10**10]) if r.random() < 0.1 else None,
    )


def closing(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    """Of what is held, all or a part; also of nothing, or more than there is."""
    signal = order(r, scene, seat, cause)
    held = scene.world.model.position(seat.name, signal.symbol)
    side = Side.SELL if held > 0 else Side.BUY
    part = r.choice([D(1), D(1), D("0.5"), D(2)])
    quantity = abs(held) * part or D(1)
    return replace(signal, side=side, quantity=quantity, closing=r.random() < 0.7)


def cancelling(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    model = scene.world.model
    mine = list(model.orders(seat.name))[-8:]
    others = list(model.orders())[-3:]
    key = r.choice(mine or others or ["nothing-0"])
    key = r.choice(others) if others and r.random() < 0.1 else key
    signal = order(r, scene, seat, cause)
    return replace(signal, action=Action.CANCEL, cancels=key.rpartition("-")[0])


def wrong(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    """With one field that cannot be."""
    limit = {"order_type": OrderType.LIMIT, "stop_price": None}
    change: dict[str, Any] = r.choice(
        [
            {"symbol": "DOGEUSDT"},
            {"symbol": "SOLUSDT"},
            {"quantity": D(0)},
            {"quantity": D("NaN")},
            {"quantity": D("-1")},
            {"quantity": D("1e16")},
            {"quantity": D("0.00001")},
            {"confidence": D(2)},
            {"max_slippage": D("-0.1")},
            {**limit, "price": None},
            {**limit, "price": D(-5)},
            {**limit, "price": D("99.999")},
            {"order_type": OrderType.MARKET, "stop_price": D(100)},
            {"order_type": OrderType.STOP, "price": D(100), "stop_price": D(100)},
        ]
    )
    if "prune" in scene.features and "NaN" in map(str, change.values()):
        change = {"quantity": D(-2)}  # no proof has to bear what the wire lets nobody say
    return replace(order(r, scene, seat, cause), **change)


def again(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    """An id that was decided before, by whomever."""
    decided = [each["signal"] for each in scene.world.model.facts if each["is"] == "decided"]
    signal = order(r, scene, seat, cause)
    return replace(signal, id=r.choice(decided[-12:])) if decided else signal


def intention(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    """A direction, and now and then what an intention must not say."""
    direction = r.choice([*[Direction.LONG, Direction.SHORT, Direction.CLOSE] * 3, Direction.NONE])
    signal = replace(
        order(r, scene, seat, cause),
        order_type=OrderType.MARKET,
        direction=direction,
        quantity=D(0),
        price=None,
        stop_price=None,
        confidence=D(r.choice(["0", "0.3333333333", "0.7", "1"])) if r.random() < 0.4 else None,
        size=D(r.choice(["0", "0.25", "0.5", "1"])) if r.random() < 0.3 else None,
    )
    if r.random() < 0.05:
        wrong: dict[str, Any] = r.choice(
            [
                {"quantity": D(1)},
                {"order_type": OrderType.LIMIT, "price": D(100)},
                {"size": D(2)},
                {"direction": None, "size": D("0.5"), "quantity": D(1)},
            ]
        )
        signal = replace(signal, **wrong)
    return signal


_SIGNALS: Sequence[tuple[str, Callable[[Random, Scene, Seat, Cause], Signal], int]] = (
    ("order", order, 50),
    ("closing", closing, 20),
    ("cancel", cancelling, 12),
    ("wrong", wrong, 12),
    ("again", again, 4),
)


def resting(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    return desk_modifications.resting(r, scene, seat, cause, order(r, scene, seat, cause))


def posting(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    return replace(resting(r, scene, seat, cause), post_only=True)


def modifying(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    return desk_modifications.modifying(r, scene, seat, cause, order(r, scene, seat, cause))


def some_signal(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    kinds = _SIGNALS
    if scene.features & {"sizing", "votes"}:
        kinds = (*kinds, ("intention", intention, 60))
    if "modifications" in scene.features:
        kinds = (*kinds, ("resting", resting, 30), ("modify", modifying, 50))
    if "post_only" in scene.features:
        kinds = (*kinds, ("post only", posting, 60), ("modify", modifying, 15))
    (name, make, _) = r.choices(kinds, [each[2] for each in kinds])[0]
    scene.count(f"signal: {name}")
    made = make(r, scene, seat, cause)
    if "post_only" in scene.features and r.random() < 0.1:  # also of what cannot rest
        return replace(made, post_only=True)
    return made


def some_signals(r: Random, scene: Scene, seat: Seat, cause: Cause) -> list[Signal]:
    many = r.choice([1, 1, 1, 2, 3])
    made = [some_signal(r, scene, seat, cause) for _ in range(many)]
    if many > 1 and r.random() < 0.1:
        made[-1] = replace(made[-1], id=made[0].id)
        scene.count("signal: twice in a batch")
    return made
