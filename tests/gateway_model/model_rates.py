"""Rates as docs/gateway.md has them: a bucket of as many orders as the limit says, refilled evenly.
What was ordered is gone through once more each time it is asked.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

import model_pools
from trading.scopes import Level, Scope

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact

SECOND_NS = 10**9
ENDLESS = Decimal(2**62)


class Bucket:
    def __init__(self, limit: str, most: Decimal) -> None:
        self.period = SECOND_NS if limit.endswith("second") else 60 * SECOND_NS
        self.most = most
        self.begin_anew()

    def begin_anew(self) -> None:
        self.level, self.at_ns = self.most * self.period, None

    def obey(self, most: Decimal) -> None:
        """What was taken stays taken."""
        self.level, self.most = self.level + (most - self.most) * self.period, most

    def take(self, at_ns: int) -> None:
        self.level = self._filled(at_ns) - self.period
        self.at_ns = at_ns if self.at_ns is None else max(self.at_ns, at_ns)

    def left(self, now_ns: int) -> Decimal:
        return max(Decimal(0), self._filled(now_ns)) // self.period

    def _filled(self, now_ns: int) -> Decimal:
        gone = max(0, now_ns - self.at_ns) if self.at_ns is not None else 0
        return min(self.most * self.period, self.level + gone * self.most)

    level: Decimal
    at_ns: int | None


def of_strategy(model: "DeskModel", strategy: str, limit: str, now_ns: int) -> Decimal:
    """Closing orders take nothing."""
    bucket = Bucket(limit, Decimal(0))
    for fact in model.facts:
        if fact.get("strategy") != strategy:
            continue
        if fact["is"] == "terms":
            bucket.obey(fact["terms"]["limits"][limit])
        elif fact["is"] == "begins_anew":
            bucket.begin_anew()
        elif fact["is"] in ("ordered", "asked") and not fact["closing"]:
            bucket.take(fact["at_ns"])
    return bucket.left(now_ns)


def of_scope(model: "DeskModel", scope: Scope, limit: str, now_ns: int) -> Decimal:
    """Since it is bound at all; another run of a replay begins with whoever names it first."""
    bucket: Bucket | None = None
    runs: set[str] = set()
    for fact, changed in model_pools.history(model):
        for policies in changed:
            written = model_pools.bounds(model, policies).get(scope)
            if written is None:
                bucket = None
            else:
                most = written.get(limit, ENDLESS)
                bucket = bucket or Bucket(limit, most)
                bucket.obey(most)
        if fact["is"] == "begins_anew" and fact["session"] not in runs:
            runs.add(fact["session"])
            if bucket:
                bucket.begin_anew()
        if bucket and _takes(model, scope, fact):
            bucket.take(fact["at_ns"])
    return bucket.left(now_ns) if bucket else ENDLESS


def _takes(model: "DeskModel", scope: Scope, fact: "Fact") -> bool:
    opens = fact["is"] in ("ordered", "asked") and not fact["closing"]
    if not opens or (scope.level is Level.SYMBOL and fact["symbol"] != scope.name):
        return False
    return model_pools.is_in(model, fact["strategy"], scope)
