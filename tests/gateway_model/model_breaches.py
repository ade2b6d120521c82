"""What a slow reading of decision 0013 says of breaches: what is held, against the limits that a
policy acts upon. What `reduce` and `stop` then close is in `model_lowering`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import model_currencies
import model_excess
import model_pools
from model_days import date_of
from model_verdict import FRESH_NS, Price, PriceOf
from trading.scopes import Level, Scope

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact

STERNNESS = ("alert", "pause", "reduce", "stop")
# By limit: what is done, whether until the next day, and the share that is closed.
Actions = Mapping[str, tuple[str, bool, Decimal]]


def sternest(said: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, bool, Decimal]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for actions in said:
        for limit, each in actions.items():
            found.setdefault(limit, []).append(each)
    return {limit: _sternest(several) for limit, several in found.items()}


def _sternest(several: Sequence[Mapping[str, Any]]) -> tuple[str, bool, Decimal]:
    action = max((each["action"] for each in several), key=STERNNESS.index)
    until = all(each.get("untilNextDay", False) for each in several)
    shares = [Decimal(str(e.get("share", 1))) for e in several if e["action"] == action]
    return action, until, max(shares)


def in_force(model: "DeskModel") -> dict[tuple[Scope, str], "Fact"]:
    """By scope and limit, with what it makes of its scope."""
    found: dict[tuple[Scope, str], Fact] = {}
    for fact in model.by_kind["of breaches"]:
        if fact["is"] == "breached":
            standing = "active" if fact["action"] == "alert" else "reducing"
            key = fact["scope"], fact["limit"]
            found.pop(key, None)
            found[key] = {**fact, "standing": standing, "fact": fact}
        elif fact["is"] == "stood":
            found[fact["scope"], fact["limit"]]["standing"] = fact["standing"]
        else:
            for limit in fact["limits"]:
                found.pop((fact["scope"], limit), None)
    return found


def covers(model: "DeskModel", scope: Scope, strategy: str) -> bool:
    return strategy in covered(model, scope)


def covered(model: "DeskModel", scope: Scope) -> list[str]:
    return model_pools.members(model, scope)


def standings(model: "DeskModel", strategy: str) -> set[str]:
    """What breaches make of it, and of what it is a part of."""
    several = in_force(model).values()
    return {each["standing"] for each in several if covers(model, each["scope"], strategy)}


def look(model: "DeskModel") -> list["Fact"]:
    """At whatever holds anything; a day that has begun takes back what was until then. Answers
    what was found."""
    now = model.moment_now()
    if now is None:
        return []
    now_ns, price_of = now
    subjects = list(_subjects(model))
    _value(model, [scope for scope, _ in subjects], now_ns, price_of)
    _begin_the_day(model, now_ns)
    found = []
    for scope, actions in subjects:
        for limit, (action, until, share) in actions.items():
            beyond = _beyond(model, scope, limit, price_of)
            if (scope, limit) not in in_force(model) and beyond:
                holders = [each for each in covered(model, scope) if _held(model, each)]
                closes = holders if action == "reduce" else []
                kept = {each: _kept(model, each, beyond, share) for each in closes}
                model.note(
                    "breached", scope=scope, limit=limit, action=action, until=until,
                    at_ns=now_ns, kept=kept,
                )  # fmt: skip
                found.append(model.facts[-1])
                for name in covered(model, scope):
                    model.lowering[name].begin_anew()
    return found


def _value(model: "DeskModel", scopes: Sequence[Scope], now_ns: int, price_of: PriceOf) -> None:
    for name in sorted({each for scope in scopes for each in covered(model, scope)}):
        equity = model.equity(name, lambda symbol: fresh_mid(price_of, symbol))
        if equity is not None:
            model.note("valued", strategy=name, at_ns=now_ns, equity=equity, by="look")
    for scope in scopes:
        if scope.level is not Level.STRATEGY:
            model_excess.look(model, scope, now_ns, lambda symbol: fresh_mid(price_of, symbol))


def _kept(
    model: "DeskModel", name: str, symbols: Iterable[str], share: Decimal
) -> dict[str, Decimal]:
    """Of what made the breach, what is left when that share is closed, in whole lots."""
    found = {}
    for symbol in symbols:
        held, instrument = model.position(name, symbol), model.instruments.get(symbol)
        if instrument is not None and held:
            closed = abs(held) * share // instrument.lot_size * instrument.lot_size
            found[symbol] = held - closed if held > 0 else held + closed
    return found


def _subjects(model: "DeskModel") -> Iterator[tuple[Scope, Actions]]:
    """Who holds anything, and what is done about a breach of whose limits."""
    found = [(Scope(Level.STRATEGY, n), model.terms(n)["actions"]) for n in model.strategies()]
    for scope, said in model_pools.entries(model).items():
        found.append((scope, sternest([each.get("actions", {}) for each in said])))
    for scope, actions in found:
        if actions and any(_held(model, name) for name in covered(model, scope)):
            yield scope, actions


def _beyond(model: "DeskModel", scope: Scope, limit: str, price_of: PriceOf) -> set[str]:
    if scope.level is Level.STRATEGY:
        return _LIMITS[limit](model, scope.name, price_of)
    return model_excess.beyond(model, scope, limit, lambda symbol: fresh_mid(price_of, symbol))


def _held(model: "DeskModel", name: str) -> set[str]:
    return {each for each in model.symbols(name) if model.position(name, each)}


def _begin_the_day(model: "DeskModel", now_ns: int) -> None:
    """What is being closed is closed first."""
    for (scope, limit), breach in in_force(model).items():
        if not breach["until"]:
            continue
        calendar = model_pools.calendar(model, model.policies())
        if scope.level is Level.STRATEGY:
            calendar = model.terms(scope.name)["calendar"]
        began = date_of(now_ns, calendar) > date_of(breach["at_ns"], calendar)
        finished = breach["action"] != "stop" or breach["standing"] == "halted"
        if began and finished:
            model.note("lifted", scope=scope, limits=[limit], because="a day")


def fresh_mid(price_of: PriceOf, symbol: str) -> Decimal | None:
    price: Price | None = price_of(symbol)
    return price.mid if price and price.age_ns <= FRESH_NS else None


# ---- the limits, by what is held


def _worths(model: "DeskModel", name: str, price_of: PriceOf) -> dict[str, Decimal] | None:
    """By symbol, signed; None: a price is not known."""
    found = {}
    for symbol in model.symbols(name):
        held, mid = model.position(name, symbol), fresh_mid(price_of, symbol)
        if held and mid is None:
            return None
        if held and mid is not None:
            worth = held * mid * model.multiplier(symbol)
            each = model_currencies.worth(
                model,
                worth,
                model_currencies.quote(model, symbol),
                lambda other: fresh_mid(price_of, other),
            )
            if each is None:
                return None
            found[symbol] = each
    return found


def _equity(model: "DeskModel", name: str, price_of: PriceOf) -> Decimal | None:
    return model.equity(name, lambda symbol: fresh_mid(price_of, symbol))


def _limit(model: "DeskModel", name: str, limit: str) -> Decimal:
    found: Decimal = model.terms(name)["limits"][limit]
    return found


def _daily_loss(model: "DeskModel", name: str, price_of: PriceOf) -> set[str]:
    equity = _equity(model, name, price_of)
    most = _limit(model, name, "max_daily_loss")
    beyond = equity is not None and model.day(name).start - equity > most
    return _held(model, name) if beyond else set()


def _drawdown(model: "DeskModel", name: str, price_of: PriceOf) -> set[str]:
    equity, peak = _equity(model, name, price_of), model.day(name).peak
    most = _limit(model, name, "max_drawdown")
    beyond = equity is not None and (peak <= 0 or peak - equity > peak * most)
    return _held(model, name) if beyond else set()


def _balance(model: "DeskModel", name: str, price_of: PriceOf) -> set[str]:
    equity, least = _equity(model, name, price_of), _limit(model, name, "min_account_balance")
    balance = model.balance(name, lambda symbol: fresh_mid(price_of, symbol))
    beyond = equity is not None and balance is not None and min(equity, balance) < least
    return _held(model, name) if beyond else set()


def _position(model: "DeskModel", name: str, _: PriceOf) -> set[str]:
    most = _limit(model, name, "max_position_size")
    return {symbol for symbol in _held(model, name) if abs(model.position(name, symbol)) > most}


def _gross(model: "DeskModel", name: str, price_of: PriceOf) -> set[str]:
    worths = _worths(model, name, price_of)
    most = _limit(model, name, "max_gross_exposure")
    beyond = worths is not None and sum(map(abs, worths.values()), Decimal(0)) > most
    return _held(model, name) if beyond else set()


def _net(model: "DeskModel", name: str, price_of: PriceOf) -> set[str]:
    worths = _worths(model, name, price_of)
    most = _limit(model, name, "max_net_exposure")
    beyond = worths is not None and abs(sum(worths.values(), Decimal(0))) > most
    return _held(model, name) if beyond else set()


def _concentration(model: "DeskModel", name: str, price_of: PriceOf) -> set[str]:
    share = _limit(model, name, "max_concentration")
    equity, worths = _equity(model, name, price_of), _worths(model, name, price_of)
    if equity is None or worths is None or not share.is_finite():
        return set()
    return {s for s, worth in worths.items() if equity <= 0 or abs(worth) > equity * share}


# Whose positions make it; nobody's: it is not exceeded.
_LIMITS: Mapping[str, Callable[["DeskModel", str, PriceOf], set[str]]] = {
    "max_daily_loss": _daily_loss,
    "max_drawdown": _drawdown,
    "min_account_balance": _balance,
    "max_position_size": _position,
    "max_gross_exposure": _gross,
    "max_net_exposure": _net,
    "max_concentration": _concentration,
}
