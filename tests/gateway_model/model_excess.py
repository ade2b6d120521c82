"""What of several strategies together is beyond a limit by what they hold, order or no order."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import model_currencies
import model_marks
import model_pools
from trading.scopes import Scope

if TYPE_CHECKING:
    from desk_model import DeskModel

ZERO = Decimal(0)
Mids = Callable[[str], Decimal | None]
EXPOSURES = {"max_gross_exposure", "max_net_exposure"}


def look(model: "DeskModel", scope: Scope, now_ns: int, mids: Mids) -> None:
    """Notes what it is worth, where that is asked for."""
    worth = held_worth(model, scope, mids)
    if worth is not None and model_marks.OF_EQUITY & model_pools.limits(model, scope).keys():
        model.note("valued together", scope=scope, at_ns=now_ns, equity=worth, by="look")


def held_worth(model: "DeskModel", scope: Scope, mids: Mids) -> Decimal | None:
    """Equity by each one's own: all that anybody holds needs a price."""
    total = ZERO
    for name in model_pools.members(model, scope):
        equity, terms = model.equity(name, mids), model.terms(name)
        if equity is None:
            return None
        total += equity - terms["capital"] + model_marks.funds(terms)
    return total


def _unit(model: "DeskModel", symbol: str, mids: Mids) -> Decimal | None:
    """What one is worth, in the desk's currency."""
    mid, quote = mids(symbol), model_currencies.quote(model, symbol)
    if mid is None:
        return None
    return model_currencies.worth(model, mid * model.multiplier(symbol), quote, mids)


def beyond(model: "DeskModel", scope: Scope, limit: str, mids: Mids) -> set[str]:
    """Symbols whose positions make the breach; none: there is none. `mids`: of fresh prices."""
    most = model_pools.limits(model, scope).get(limit)
    if most is None:
        return set()
    held = _held(model, scope)
    if limit == "max_position_size":
        return {symbol for symbol, each in held.items() if _one_side(each) > most}
    if limit == "max_concentration":
        return _concentrated(model, scope, held, most, mids)
    exceeded = _exposed if limit in EXPOSURES else _lost
    return set(held) if exceeded(model, scope, limit, most, mids) else set()


def _held(model: "DeskModel", scope: Scope) -> dict[str, list[Decimal]]:
    names = model_pools.members(model, scope)
    symbols = set().union(*(model.symbols(each) for each in names))
    held = {symbol: [model.position(each, symbol) for each in names] for symbol in symbols}
    return {symbol: each for symbol, each in held.items() if any(each)}


def _one_side(sizes: list[Decimal]) -> Decimal:
    long = sum((each for each in sizes if each > 0), ZERO)
    return max(long, long - sum(sizes, ZERO))


def _exposed(model: "DeskModel", scope: Scope, limit: str, most: Decimal, mids: Mids) -> bool:
    total = ZERO
    for symbol, each in _held(model, scope).items():
        unit = _unit(model, symbol, mids)
        if unit is None:
            return False
        sizes = each if limit == "max_net_exposure" else [abs(size) for size in each]
        total += sum(sizes, ZERO) * unit
    return abs(total) > most


def _concentrated(
    model: "DeskModel", scope: Scope, held: Mapping[str, list[Decimal]], share: Decimal, mids: Mids
) -> set[str]:
    equity, found = held_worth(model, scope, mids), set()
    for symbol, each in held.items():
        unit = _unit(model, symbol, mids)
        if equity is not None and unit is not None:
            worth = sum(map(abs, each), ZERO) * unit
            found |= {symbol} if equity <= 0 or worth > equity * share else set()
    return found


def _lost(model: "DeskModel", scope: Scope, limit: str, most: Decimal, mids: Mids) -> bool:
    equity, marks = held_worth(model, scope, mids), model_marks.of_scope(model, scope)
    if equity is None or marks is None:
        return False
    if limit == "max_daily_loss":
        return marks.start - equity > most
    if limit == "max_drawdown":
        return marks.peak <= 0 or marks.peak - equity > marks.peak * most
    balance = ZERO
    for name in model_pools.members(model, scope):
        its, terms = model.balance(name, mids), model.terms(name)
        if its is None:
            return False
        balance += its - terms["capital"] + model_marks.funds(terms)
    return min(equity, balance) < most
