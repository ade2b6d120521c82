"""The file of a desk's venues: read whole, or refused with the place that is wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_gateway.venue_file import InvalidVenues, VenueKind, VenueTerms, read
from risk_gateway.venues import check_symbols
from stratops_process.environment import InvalidSettings

TWO = """
[spot]
address = "spot-adapter:9000"
kind = "real"
accounts = ["default"]
symbols = ["BTCUSDT"]
tls_dir = "/etc/venues/spot"

[paper]
address = "127.0.0.1:9091"
kind = "paper"
symbols = ["ETHUSDT"]
"""


def test_two_venues_are_read() -> None:
    spot, paper = read(TWO.encode())
    assert spot == VenueTerms(
        "spot-adapter:9000", "spot", VenueKind.REAL, frozenset({"default"}),
        frozenset({"BTCUSDT"}), Path("/etc/venues/spot"),
    )  # fmt: skip
    assert paper == VenueTerms("127.0.0.1:9091", "paper", symbols=frozenset({"ETHUSDT"}))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (TWO, "", "empty, expected a table for each venue"),
        (TWO, "[spot", "not TOML"),
        (TWO, "spot = 1", "spot: 1, expected a table"),
        ("[spot]", "[Spot]", "'Spot': expected a name"),
        ('address = "spot-adapter:9000"', "", "spot.address: missing, expected a string"),
        ("spot-adapter:9000", "spot-adapter", "spot.address: 'spot-adapter', expected host:port"),
        ('kind = "real"', "", "spot.kind: missing"),
        ('"real"', '"live"', "spot.kind: 'live', expected paper or real"),
        ('["default"]', '"default"', "spot.accounts: 'default', expected a list of names"),
        ("tls_dir", "tls", "spot.tls: expected one of address, kind, accounts, symbols, tls_dir"),
        (
            '"ETHUSDT"',
            '"ETHUSDT", "BTCUSDT"',
            "venues spot and paper: both take BTCUSDT of default",
        ),
        ("127.0.0.1:9091", "spot-adapter:9000", "spot and paper: both at spot-adapter:9000"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, said: str) -> None:
    with pytest.raises(InvalidVenues) as refused:
        read(TWO.replace(old, new).encode())
    assert said in str(refused.value)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_is_refused_by_name(document: bytes) -> None:
    try:
        assert read(document)
    except InvalidVenues as error:
        assert "expected" in str(error) or "not TOML" in str(error)  # noqa: PT017  # or it is read


def test_a_symbol_that_the_catalogue_lacks_is_a_slip() -> None:
    with pytest.raises(InvalidSettings, match="'BTCUSDT', expected one of the catalogue"):
        check_symbols(read(TWO.encode()), ["ETHUSDT"])
    check_symbols(read(TWO.encode()), ["ETHUSDT", "BTCUSDT"])
