"""What a slow reading of decision 0013 says of breaches: what is held, against the limits that a
policy acts upon. Of strategies, by alert and pause.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from model_verdict import FRESH_NS, Price, PriceOf

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact

SECOND_NS = 10**9
STERNNESS = ("alert", "pause")
Calendar = tuple[str, int]  # time zone, and the hour at which a day begins
UTC_DAYS: Calendar = ("UTC", 0)
Actions = Mapping[str, tuple[str, bool]]  # by limit: what is done, and whether until the next day


def date_of(at_ns: int, calendar: Calendar) -> Any:
    """The trading day of a moment."""
    zone, hour = calendar
    local = datetime.fromtimestamp(at_ns // SECOND_NS, UTC).astimezone(ZoneInfo(zone))
    return (local.replace(tzinfo=None) - timedelta(hours=hour)).date()


def calendar_of(policy: Mapping[str, Any]) -> Calendar:
    said = policy.get("day", {})
    return said.get("timeZone", "UTC"), said.get("hour", 0)


def sternest(policies: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, bool]]:
    found: dict[str, tuple[str, bool]] = {}
    for policy in policies:
        for limit, each in policy.get("actions", {}).items():
            action, until = each["action"], each.get("untilNextDay", False)
            if limit in found:
                action = max(action, found[limit][0], key=STERNNESS.index)
                until = until and found[limit][1]
            found[limit] = action, until
    return found


def in_force(model: "DeskModel", strategy: str) -> dict[str, "Fact"]:
    found: dict[str, Fact] = {}
    for fact in model.by_kind["of breaches"]:
        if fact["strategy"] == strategy and fact["is"] == "breached":
            found[fact["limit"]] = fact
        elif fact["strategy"] == strategy:
            for limit in fact["limits"]:
                found.pop(limit, None)
    return found


def is_paused(model: "DeskModel", strategy: str) -> bool:
    return any(each["action"] == "pause" for each in in_force(model, strategy).values())


def look(model: "DeskModel") -> None:
    """At whatever holds anything; a day that has begun takes back what was until then."""
    now = model.moment_now()
    if now is None:
        return
    now_ns, price_of = now
    holding = [name for name in model.strategies() if _acts(model, name)]
    for name in holding:
        equity = model.equity(name, lambda symbol: fresh_mid(price_of, symbol))
        if equity is not None:
            model.note("valued", strategy=name, at_ns=now_ns, equity=equity, by="look")
    for name in model.strategies():
        _begin_the_day(model, name, now_ns)
    for name in holding:
        for limit, (action, until) in model.terms(name)["actions"].items():
            if limit not in in_force(model, name) and _LIMITS[limit](model, name, price_of):
                model.note(
                    "breached", strategy=name, limit=limit, action=action, until=until, at_ns=now_ns
                )


def _acts(model: "DeskModel", name: str) -> bool:
    holds = any(model.position(name, symbol) for symbol in model.symbols(name))
    return bool(model.terms(name)["actions"]) and holds


def _begin_the_day(model: "DeskModel", name: str, now_ns: int) -> None:
    calendar = model.terms(name)["calendar"]
    for limit, breach in in_force(model, name).items():
        began = date_of(now_ns, calendar) > date_of(breach["at_ns"], calendar)
        if breach["until"] and began:
            model.note("lifted", strategy=name, limits=[limit])


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
            found[symbol] = held * mid * model.multiplier(symbol)
    return found


def _equity(model: "DeskModel", name: str, price_of: PriceOf) -> Decimal | None:
    return model.equity(name, lambda symbol: fresh_mid(price_of, symbol))


def _limit(model: "DeskModel", name: str, limit: str) -> Decimal:
    found: Decimal = model.terms(name)["limits"][limit]
    return found


def _daily_loss(model: "DeskModel", name: str, price_of: PriceOf) -> bool:
    equity = _equity(model, name, price_of)
    most = _limit(model, name, "max_daily_loss")
    return equity is not None and model.day(name).start - equity > most


def _drawdown(model: "DeskModel", name: str, price_of: PriceOf) -> bool:
    equity, peak = _equity(model, name, price_of), model.day(name).peak
    most = _limit(model, name, "max_drawdown")
    return equity is not None and (peak <= 0 or peak - equity > peak * most)


def _balance(model: "DeskModel", name: str, price_of: PriceOf) -> bool:
    equity, least = _equity(model, name, price_of), _limit(model, name, "min_account_balance")
    return equity is not None and min(equity, model.balance(name)) < least


def _position(model: "DeskModel", name: str, _: PriceOf) -> bool:
    most = _limit(model, name, "max_position_size")
    return any(abs(model.position(name, symbol)) > most for symbol in model.symbols(name))


def _gross(model: "DeskModel", name: str, price_of: PriceOf) -> bool:
    worths = _worths(model, name, price_of)
    most = _limit(model, name, "max_gross_exposure")
    return worths is not None and sum(map(abs, worths.values()), Decimal(0)) > most


def _net(model: "DeskModel", name: str, price_of: PriceOf) -> bool:
    worths = _worths(model, name, price_of)
    most = _limit(model, name, "max_net_exposure")
    return worths is not None and abs(sum(worths.values(), Decimal(0))) > most


def _concentration(model: "DeskModel", name: str, price_of: PriceOf) -> bool:
    share = _limit(model, name, "max_concentration")
    equity, worths = _equity(model, name, price_of), _worths(model, name, price_of)
    if equity is None or worths is None or not share.is_finite():
        return False
    return any(equity <= 0 or abs(each) > equity * share for each in worths.values())


_LIMITS: Mapping[str, Callable[["DeskModel", str, PriceOf], bool]] = {
    "max_daily_loss": _daily_loss,
    "max_drawdown": _drawdown,
    "min_account_balance": _balance,
    "max_position_size": _position,
    "max_gross_exposure": _gross,
    "max_net_exposure": _net,
    "max_concentration": _concentration,
}
