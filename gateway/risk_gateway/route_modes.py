"""Whether a mode suits the venues that its orders go to: a simulation costs no money. What is live
may rehearse on paper, as long as the desk's venue is one.
"""

from risk_gateway.content import Content, Mode
from trading.routes import Routes


def mode_objection(routes: Routes, content: Content) -> str:
    """Of the first symbol whose venue costs money; empty: there is none."""
    if content.mode is not Mode.SIMULATION:
        return ""
    for symbol in sorted(content.terms.symbols):
        route = routes.route(content.account, symbol)
        if route is not None and route.real:
            return f"mode simulation, venue {route.venue} of {symbol} is real"
    return ""
