"""What a start leaves in the journal: under which terms the desk's signals are judged from now on.

Written only where it differs from what the last start left. An older gateway must be able to read
it, so what is as it always was is left out.
"""

from collections.abc import Sequence

from risk_gateway.records import Kind, Started, record, started_key
from risk_gateway.settings import Settings
from risk_gateway.state import State
from risk_gateway.venue_file import VenueKind, VenueTerms
from trading.routes import Route, Routes


def note_start(state: State, settings: Settings) -> None:
    now = _started(state, settings)
    if now != state.started:
        state.started = now
        at_ns = state.wall_ns()
        written = record(Kind.STARTED, now, at_ns, key=started_key(at_ns))
        state.journal.append([written])


def _started(state: State, settings: Settings) -> Started:
    policies = state.policies
    return Started(
        settings.clock,
        policies.asked_for,
        _is_real(settings.venues),
        dict(state.instruments),
        policies.may_be_missing,
        _routes_to_note(policies.routes),
        settings.currency,
    )


def _routes_to_note(routes: Routes) -> tuple[Route, ...]:
    """None of a desk with one venue for everything: that is what an older gateway would write."""
    one_for_all = routes.all == (Route(real=routes.all[0].real),)
    return () if one_for_all else routes.all


def _is_real(venues: Sequence[VenueTerms]) -> bool:
    """What an older gateway, which knows of one venue, has to keep simulations from."""
    return any(venue.kind is VenueKind.REAL for venue in venues)
