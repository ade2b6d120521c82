"""Whether a mode suits the venues that its orders go to: a simulation costs no money, and what is
live does not trade on paper."""

from collections.abc import Mapping

from risk_gateway.content import Content, Mode
from trading.routes import Route, Routes

_IS_REAL: Mapping[Mode, bool] = {Mode.SIMULATION: False, Mode.LIVE: True}


def mode_objection(routes: Routes, content: Content) -> str:
    """Of the first symbol whose venue is of the other kind; empty: there is none."""
    wanted = _IS_REAL.get(content.mode)
    if wanted is None:
        return ""
    for symbol in sorted(content.terms.symbols):
        route = routes.route(content.account, symbol)
        if route is not None and route.real != wanted:
            return f"mode {content.mode}, venue {route.venue} of {symbol} is {kind_of(route)}"
    return ""


def kind_of(route: Route) -> str:
    return "real" if route.real else "paper"
