"""What a slow reading of docs/gateway.md says of several strategies together: of an account and the
desk, by the limits on what they hold. Nothing is added up before it is asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import model_breaches
from trading.scopes import DESK, Level, Scope
from trading.signals import Side

if TYPE_CHECKING:
    from desk_model import DeskModel
    from model_verdict import Asked

ZERO = Decimal(0)
Mids = Callable[[str], Decimal | None]
LIMITS = ("max_position_size", "max_gross_exposure", "max_net_exposure")


def members(model: "DeskModel", scope: Scope) -> list[str]:
    return [
        each
        for each in model.strategies()
        if scope in (DESK, Scope(Level.STRATEGY, each), Scope(Level.ACCOUNT, model.account(each)))
    ]


def entries(model: "DeskModel") -> dict[Scope, list[Mapping[str, Any]]]:
    """What readable policies say of an account or the desk."""
    found: dict[Scope, list[Mapping[str, Any]]] = {}
    for spec in model.readable_policies():
        if "desk" in spec:
            found.setdefault(DESK, []).append(spec["desk"])
        for name, entry in spec.get("accounts", {}).items():
            found.setdefault(Scope(Level.ACCOUNT, name), []).append(entry)
    return found


def limits(model: "DeskModel", scope: Scope) -> dict[str, Decimal]:
    """The tightest of what is written."""
    found: dict[str, Decimal] = {}
    for entry in entries(model).get(scope, []):
        for name, value in entry.get("limits", {}).items():
            found[name] = min(Decimal(str(value)), found.get(name, Decimal("Infinity")))
    return found


def days_differ(model: "DeskModel") -> bool:
    """Of policies that bound several strategies: then nobody opens anything."""
    said = set()
    for spec in model.readable_policies():
        several = [spec.get("desk", {}), *spec.get("accounts", {}).values()]
        if "day" in spec and any(each.get("limits") for each in several):
            said.add(model_breaches.calendar_of(spec))
    return len(said) > 1


def refusal(asked: "Asked") -> str | None:
    """Of the account before the desk."""
    account = Scope(Level.ACCOUNT, asked.model.account(asked.strategy))
    for scope in (account, DESK):
        bounds = limits(asked.model, scope)
        if reason := _position(asked, scope, bounds) or _exposure(asked, scope, bounds):
            return reason
    return None


def _position(asked: "Asked", scope: Scope, bounds: Mapping[str, Decimal]) -> str | None:
    """What one is long sets off nothing that another is short."""
    if "max_position_size" not in bounds:
        return None
    reached = ZERO
    for most, least in _stretches(asked, scope, asked.signal.symbol):
        reached += max(ZERO, most if asked.signal.side is Side.BUY else -least)
    return "max_position_size" if reached > bounds["max_position_size"] else None


def _stretches(asked: "Asked", scope: Scope, symbol: str) -> Iterator[tuple[Decimal, Decimal]]:
    """How long and how short each could become, with this order."""
    model = asked.model
    for name in members(model, scope):
        held = model.position(name, symbol)
        most = held + model.reserved(name, symbol, Side.BUY)
        least = held - model.reserved(name, symbol, Side.SELL)
        if name == asked.strategy and symbol == asked.signal.symbol:
            most += asked.quantity if asked.signal.side is Side.BUY else ZERO
            least -= asked.quantity if asked.signal.side is Side.SELL else ZERO
        yield most, least


def _exposure(asked: "Asked", scope: Scope, bounds: Mapping[str, Decimal]) -> str | None:
    if not bounds.keys() & {"max_gross_exposure", "max_net_exposure"}:
        return None
    model = asked.model
    names = members(model, scope)
    symbols = {asked.signal.symbol}.union(*(model.symbols_at_stake(each) for each in names))
    gross = longest = shortest = ZERO
    for symbol in symbols:
        mid = asked.fresh_mid(symbol)
        if mid is None:
            return "no_price"
        unit = mid * model.multiplier(symbol)
        for most, least in _stretches(asked, scope, symbol):
            gross += max(abs(most), abs(least)) * unit
            longest += most * unit
            shortest += least * unit
    if gross > bounds.get("max_gross_exposure", gross):
        return "max_gross_exposure"
    net = max(longest, -shortest, ZERO)
    return "max_net_exposure" if net > bounds.get("max_net_exposure", net) else None


# ---- what is held beyond a limit


def beyond(model: "DeskModel", scope: Scope, limit: str, mids: Mids) -> set[str]:
    """Symbols whose positions make the breach; none: there is none. `mids`: of fresh prices."""
    names, most = members(model, scope), limits(model, scope)[limit]
    symbols = set().union(*(model.symbols(each) for each in names))
    held = {symbol: [model.position(each, symbol) for each in names] for symbol in symbols}
    held = {symbol: each for symbol, each in held.items() if any(each)}
    if limit == "max_position_size":
        return {symbol for symbol, each in held.items() if _one_side(each) > most}
    total = ZERO
    for symbol, each in held.items():
        mid = mids(symbol)
        if mid is None:
            return set()
        sizes = each if limit == "max_net_exposure" else [abs(size) for size in each]
        total += sum(sizes, ZERO) * mid * model.multiplier(symbol)
    return set(held) if abs(total) > most else set()


def _one_side(sizes: list[Decimal]) -> Decimal:
    long = sum((each for each in sizes if each > 0), ZERO)
    return max(long, long - sum(sizes, ZERO))
