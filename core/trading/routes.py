"""Routes: which venue takes an order of an account in a symbol.

Total and pure: one venue, or none and why. Two routes that could both take an order are refused
when they are made, so nobody has to know which would come first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

DEFAULT_VENUE = "main"  # of a desk that names none, and of orders from before there were names


class AmbiguousRoutes(ValueError):
    """Two routes take the same orders; the message names both, and one such order."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a venue takes; None: every one."""

    venue: str = DEFAULT_VENUE
    accounts: frozenset[str] | None = None
    symbols: frozenset[str] | None = None
    real: bool = False  # its orders cost money

    def takes(self, account: str, symbol: str) -> bool:
        mine = self.accounts is None or account in self.accounts
        return mine and (self.symbols is None or symbol in self.symbols)


@dataclass(frozen=True, slots=True)
class Destination:
    venue: str = DEFAULT_VENUE  # empty: nowhere
    objection: str = ""  # why nothing that opens may go there


class Routes:
    def __init__(self, routes: Iterable[Route] = (Route(),)) -> None:
        """Raises AmbiguousRoutes."""
        self.all = tuple(routes)
        for one, other in combinations(self.all, 2):
            _check_apart(one, other)
        self.venues = frozenset(route.venue for route in self.all)
        self._straight = {venue: Destination(venue) for venue in self.venues}

    def route(self, account: str, symbol: str) -> Route | None:
        for route in self.all:
            if route.takes(account, symbol):
                return route
        return None

    def destination(self, account: str, symbol: str, held_at: str = "") -> Destination:
        """`held_at`: the venue where the strategy has a position or orders in that symbol already.
        It is closed there, and nothing opens elsewhere before: it would be flat in the books, and
        at two venues in truth."""
        route = self.route(account, symbol)
        routed = route.venue if route else ""
        if not (held_at or routed):
            return Destination("", f"no venue takes {symbol} of account {account}")
        if held_at and held_at not in self.venues:
            return Destination("", f"{symbol} is at venue {held_at}, which the desk no longer has")
        if held_at in ("", routed):
            return self._straight[routed]
        goes = f"to venue {routed}" if routed else "nowhere"
        why = f"{symbol} is at venue {held_at} and its route goes {goes}: only what closes"
        return Destination(held_at, why)


def _check_apart(one: Route, other: Route) -> None:
    """Raises AmbiguousRoutes."""
    names = f"venues {one.venue} and {other.venue}"
    if one.venue == other.venue:
        raise AmbiguousRoutes(f"{names}: expected each name once")
    accounts = _shared(one.accounts, other.accounts)
    symbols = _shared(one.symbols, other.symbols)
    if accounts and symbols:
        both = f"{symbols[0]} of {accounts[0]}"
        raise AmbiguousRoutes(f"{names}: both take {both}, expected one venue for each")


def _shared(some: frozenset[str] | None, others: frozenset[str] | None) -> list[str]:
    if some is None and others is None:
        return ["any"]
    if some is None or others is None:
        return sorted(some or others or ())
    return sorted(some & others)
