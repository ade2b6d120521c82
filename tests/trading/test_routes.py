"""Routes: one venue for each order, or none and why; never two."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.routes import DEFAULT_VENUE, AmbiguousRoutes, Destination, Route, Routes

ACCOUNTS = ("default", "own", "client")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
ORDERS = tuple(product(ACCOUNTS, SYMBOLS))


def some_of(names: tuple[str, ...]) -> st.SearchStrategy[frozenset[str] | None]:
    return st.none() | st.frozensets(st.sampled_from(names))


def tables() -> st.SearchStrategy[list[Route]]:
    made = st.builds(Route, st.just(""), some_of(ACCOUNTS), some_of(SYMBOLS))
    return st.lists(made, max_size=4).map(
        lambda found: [Route(f"v{n}", each.accounts, each.symbols) for n, each in enumerate(found)]
    )


@given(tables())
def test_routes_are_made_exactly_where_no_order_has_two_venues(table: list[Route]) -> None:
    # somebody else's account and symbol stand for all that is not listed
    orders = (*ORDERS, *product((*ACCOUNTS, "other"), (*SYMBOLS, "OTHER")))
    taken = [[each.venue for each in table if each.takes(*order)] for order in orders]
    if any(len(venues) > 1 for venues in taken):
        with pytest.raises(AmbiguousRoutes):
            Routes(table)
        return
    routes = Routes(table)
    for order, venues in zip(orders, taken, strict=True):
        assert routes.destination(*order).venue == "".join(venues)
        assert bool(routes.destination(*order).objection) == (not venues)


@given(tables(), st.sampled_from(ORDERS), st.sampled_from(("v0", "v1", "v9")))
def test_what_is_held_is_closed_where_it_is_and_opened_nowhere_else(
    table: list[Route], order: tuple[str, str], held_at: str
) -> None:
    try:
        routes = Routes(table)
    except AmbiguousRoutes:
        return
    found = routes.destination(*order, held_at)
    assert found.venue == (held_at if held_at in routes.venues else "")
    routed = routes.route(*order)
    assert (found.objection == "") == (routed is not None and routed.venue == held_at)


def test_a_desk_that_names_no_venue_has_one_for_everything() -> None:
    assert Routes().destination("any", "thing") == Destination(DEFAULT_VENUE)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (Route("a"), Route("b"), "venues a and b: both take any of any"),
        (
            Route("a", symbols=frozenset({"X", "Y"})),
            Route("b", frozenset({"own"})),
            "venues a and b: both take X of own",
        ),
        (Route("a", symbols=frozenset()), Route("a"), "venues a and a: expected each name once"),
    ],
)
def test_an_ambiguity_names_both_and_an_order(one: Route, other: Route, said: str) -> None:
    with pytest.raises(AmbiguousRoutes, match=said):
        Routes((one, other))


def test_a_route_that_is_being_left_takes_nothing() -> None:
    left = Routes((Route("old", symbols=frozenset()), Route("new")))
    assert left.destination("default", "BTCUSDT").venue == "new"
    still = left.destination("default", "BTCUSDT", "old")
    assert still.venue == "old"
    assert still.objection == (
        "BTCUSDT is at venue old and its route goes to venue new: only what closes"
    )
    gone = Routes((Route("new"),)).destination("default", "BTCUSDT", "old")
    assert gone == Destination("", "BTCUSDT is at venue old, which the desk no longer has")
