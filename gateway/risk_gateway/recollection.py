"""A desk as its journal tells it, for whoever only reads: no gateway, no servers, no settings.

What a gateway takes from its environment, the journal says of the last one (`started`); of a
journal in which nothing says so, it is the shipped catalogue and the market's clock.
"""

from typing import Any, cast

from handover.timing import Timing
from market_data import Intake, catalogue
from risk_gateway.archive import Archive
from risk_gateway.journal import Journal
from risk_gateway.market_view import MarketView
from risk_gateway.policies import Policies
from risk_gateway.records import Started
from risk_gateway.restore import Restoration, last_started, started_by
from risk_gateway.settings import Clock
from risk_gateway.state import State
from trading.currencies import Currencies


class _Unwritten:
    """In place of a journal: nothing is decided on a desk that is only read."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"journal.{name} of a desk that is only read")


def recollected(archive: Archive, through: int | None = None) -> Restoration:
    """Nothing is read yet. `through`: by what was noted up to that record."""
    noted = last_started(archive) if through is None else started_by(archive, through)
    started = noted or Started(Clock.MARKET, False, False, catalogue.load())
    policies = Policies(
        asked_for=started.asks_for_policies,
        may_be_missing=started.policies_may_be_missing,
        routes=started.table,
    )
    market = MarketView(Intake(()), started.clock)
    journal = cast(Journal, _Unwritten())
    currencies = Currencies.of(started.currency, started.instruments)
    state = State(
        journal, archive, market, started.instruments, policies=policies, currencies=currencies
    )
    return Restoration(state, Timing())
