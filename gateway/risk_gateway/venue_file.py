"""The desk's venues: which there are, and what each takes, in a file that a person writes.

    [binance]
    address = "binance-adapter:9000"
    kind = "real"                    # paper or real: whether its orders cost money
    accounts = ["default"]           # left out: every one
    symbols = ["BTCUSDT"]            # left out: every one; []: none any more
    tls_dir = "/etc/venues/binance"  # left out: plain

It is read at the start. A name stays with its orders for good.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from trading.routes import DEFAULT_VENUE, AmbiguousRoutes, Route, Routes

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9._-]+:[0-9]{1,5}|\[[0-9a-f:]+\]:[0-9]{1,5}")
_FIELDS = ("address", "kind", "accounts", "symbols", "tls_dir")


class InvalidVenues(ValueError):
    """Venues to start nothing with; names the venue, its field and what is expected."""


class VenueKind(StrEnum):
    """What an order at the venue costs."""

    PAPER = "paper"  # nothing
    REAL = "real"


@dataclass(frozen=True, slots=True)
class VenueTerms:
    address: str
    name: str = DEFAULT_VENUE
    kind: VenueKind = VenueKind.PAPER
    accounts: frozenset[str] | None = None  # None: every one
    symbols: frozenset[str] | None = None
    tls_dir: Path | None = None  # ca.crt, and for mTLS tls.crt and tls.key; None: plain

    @property
    def route(self) -> Route:
        return Route(self.name, self.accounts, self.symbols, self.kind is VenueKind.REAL)


def routes_of(venues: Sequence[VenueTerms]) -> Routes:
    """Raises AmbiguousRoutes."""
    return Routes(venue.route for venue in venues)


def read(document: bytes) -> tuple[VenueTerms, ...]:
    """Raises InvalidVenues."""
    try:
        entries = tomllib.loads(document.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidVenues(f"not TOML: {error}") from error
    if not entries:
        raise InvalidVenues("empty, expected a table for each venue")
    venues = tuple(_venue(name, entry) for name, entry in entries.items())
    _check_addresses(venues)
    try:
        routes_of(venues)
    except AmbiguousRoutes as error:
        raise InvalidVenues(str(error)) from error
    return venues


def _venue(name: str, entry: Any) -> VenueTerms:
    if not _NAME.fullmatch(name):
        raise InvalidVenues(f"{name!r}: expected a name of a-z, 0-9 and -, at most 40 characters")
    if not isinstance(entry, Mapping):
        raise InvalidVenues(f"{name}: {entry!r}, expected a table [{name}]")
    for field in sorted(entry.keys() - set(_FIELDS)):
        raise InvalidVenues(f"{name}.{field}: expected one of {', '.join(_FIELDS)}")
    tls_dir = _text(name, entry, "tls_dir", "")
    return VenueTerms(
        address=_address(name, _text(name, entry, "address")),
        name=name,
        kind=_kind(name, _text(name, entry, "kind")),
        accounts=_names(name, entry, "accounts"),
        symbols=_names(name, entry, "symbols"),
        tls_dir=Path(tls_dir) if tls_dir else None,
    )


def _text(name: str, entry: Mapping[str, Any], field: str, default: str | None = None) -> str:
    value = entry.get(field, default)
    if not isinstance(value, str):
        found = "missing" if value is None else repr(value)
        raise InvalidVenues(f"{name}.{field}: {found}, expected a string")
    return value


def _address(name: str, value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise InvalidVenues(f"{name}.address: {value!r}, expected host:port")
    return value


def _kind(name: str, value: str) -> VenueKind:
    if value not in set(VenueKind):
        raise InvalidVenues(f"{name}.kind: {value!r}, expected paper or real")
    return VenueKind(value)


def _names(name: str, entry: Mapping[str, Any], field: str) -> frozenset[str] | None:
    value = entry.get(field)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise InvalidVenues(f"{name}.{field}: {value!r}, expected a list of names")
    return frozenset(value)


def _check_addresses(venues: Sequence[VenueTerms]) -> None:
    """Two names of one venue would each take the other's orders for somebody else's."""
    named: dict[str, str] = {}
    for venue in venues:
        other = named.setdefault(venue.address, venue.name)
        if other != venue.name:
            both = f"{other} and {venue.name}"
            raise InvalidVenues(f"{both}: both at {venue.address}, expected one name for it")
