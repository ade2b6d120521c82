"""What losses are measured from: of a strategy, and of several together. A slow reading of
docs/gateway.md, of decisions 0006 and 0013.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import model_days
import model_pools
from trading.scopes import Level, Scope

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact

ZERO = Decimal(0)
OF_EQUITY = {"max_daily_loss", "max_drawdown", "min_account_balance", "max_concentration"}


class Marks(NamedTuple):
    began_ns: int
    start: Decimal
    peak: Decimal
    last: Decimal

    def paid(self, amount: Decimal) -> "Marks":
        """Neither gain nor loss."""
        return Marks(self.began_ns, self.start + amount, self.peak + amount, self.last + amount)

    def after(self, equity: Decimal, at_ns: int, calendar: model_days.Calendar) -> "Marks":
        """A day begins with the equity that was known last."""
        date_of, peak = model_days.date_of, max(self.peak, equity)
        if date_of(at_ns, calendar) > date_of(self.began_ns, calendar):
            return Marks(at_ns, self.last, peak, equity)
        return Marks(self.began_ns, self.start, peak, equity)


def of_strategy(facts: Sequence["Fact"], strategy: str) -> Marks:
    capital, marks = ZERO, Marks(0, ZERO, ZERO, ZERO)
    calendar = model_days.UTC_DAYS
    for fact in facts:
        if fact["is"] == "terms" and fact["strategy"] == strategy:
            before, capital = capital, fact["terms"]["capital"]
            marks, calendar = marks.paid(capital - before), fact["terms"]["calendar"]
        elif fact["is"] == "valued" and fact["strategy"] == strategy:
            marks = marks.after(fact["equity"], fact["at_ns"], calendar)
    return marks


def funds(terms: Mapping[str, Any]) -> Decimal:
    """Capital of who only observes is no money."""
    capital: Decimal = terms["capital"]
    return ZERO if terms["mode"] == "observation" else capital


def of_scope(model: "DeskModel", scope: Scope) -> Marks | None:
    """None: nothing that is written asks for it, or its equity was never known."""
    measuring = _Measuring(model, scope)
    for place, (fact, changed, _) in enumerate(model_pools.history(model)):
        for reading in changed:
            measuring.obey(reading, model.facts[:place])
        if fact["is"] == "terms" and model_pools.is_in(model, fact["strategy"], scope):
            measuring.fund(fact["strategy"], fact["terms"])
        elif fact["is"] == "valued together" and fact["scope"] == scope:
            measuring.value(fact["equity"], fact["at_ns"])
    return measuring.marks


class _Measuring:
    """One reading of all that has been."""

    def __init__(self, model: "DeskModel", scope: Scope) -> None:
        self.model, self.scope = model, scope
        self.marks: Marks | None = None
        self.measures, self.calendar = False, model_days.UTC_DAYS
        self.terms: dict[str, Mapping[str, Any]] = {}  # of its members

    def obey(self, reading: model_pools.Reading, before: Sequence["Fact"]) -> None:
        """What nothing asks for any more is forgotten; not what cannot be read."""
        measured = self.measures
        self.calendar = reading.calendar
        asks = OF_EQUITY & reading.bounds.get(self.scope, {}).keys()
        self.measures = bool(asks) or self.scope in reading.unreadable
        if not self.measures:
            self.marks = None
        elif not measured:
            self.marks = self._begun(before)

    def fund(self, strategy: str, terms: Mapping[str, Any]) -> None:
        before = self.terms.get(strategy)
        self.terms[strategy] = terms
        if self.marks and self.scope.level is not Level.SYMBOL:
            self.marks = self.marks.paid(funds(terms) - (funds(before) if before else ZERO))

    def value(self, equity: Decimal, at_ns: int) -> None:
        marks = self.marks or Marks(at_ns, equity, equity, equity)
        self.marks = marks.after(equity, at_ns, self.calendar)

    def _begun(self, facts: Sequence["Fact"]) -> Marks | None:
        """By what its strategies know of the day; what is won in one symbol none of them does."""
        if self.scope.level is Level.SYMBOL or not self.terms:
            return None
        known = [
            of_strategy(facts, name).paid(funds(each) - each["capital"])
            for name, each in self.terms.items()
        ]
        began_ns = max(each.began_ns for each in known)
        today = model_days.date_of(began_ns, self.calendar)
        start = last = ZERO
        for each in known:
            saw_today = model_days.date_of(each.began_ns, self.calendar) == today
            start += each.start if saw_today else each.last
            last += each.last
        return Marks(began_ns, start, max(start, last), last)
