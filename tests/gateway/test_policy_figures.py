"""What a manifest may say of votes and sizes, the gateway reads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from platform_spec.policy import PolicySpec
from risk_gateway.policies import parse_policy

Strategy = st.SearchStrategy[Any]


def mostly(*right: Any, wrong: tuple[Any, ...] = (0, 2, -1, "x", True, [])) -> Strategy:
    """Nine times out of ten or so something right."""
    return st.sampled_from([*(right * 8), *wrong])


SHARES = mostly(1, 1.0, "1", "0.10", 1e-7, "1e-7", 0.3)
NUMBERS = mostly(1, "10", 0.5, wrong=(0, "1e4", True))
WHOLES = mostly(2, 60, 60.0, wrong=(0, 1.5, "60", 10**9, True))
METHODS = mostly("majority", "weighted_average", "unanimous", "first_signal", wrong=("", 1))


def written(needed: dict[str, Strategy], **more: Strategy) -> Strategy:
    """All that is needed, and maybe more; now and then something else."""
    right = st.fixed_dictionaries(needed, optional=more)
    odd = st.fixed_dictionaries({}, optional={**needed, "other": st.just(1)})
    return st.integers(0, 7).flatmap(lambda chance: right if chance else odd)


AGGREGATIONS = written({"method": METHODS}, windowSeconds=WHOLES, threshold=SHARES)
FRACTIONS = written({"fraction": SHARES})
TARGETS = written({"volatility": NUMBERS, "cap": SHARES}, stepSeconds=WHOLES, returns=WHOLES)
KELLYS = written({"fraction": SHARES, "winRate": SHARES, "payoff": NUMBERS, "cap": SHARES})
SIZINGS = st.one_of(
    written({"fixedFraction": FRACTIONS}),
    written({"volatilityTarget": TARGETS}),
    written({"kelly": KELLYS}),
    written({"kelly": KELLYS, "fixedFraction": FRACTIONS}),
)
POLICIES = st.one_of(
    st.fixed_dictionaries({"aggregation": AGGREGATIONS}), st.fixed_dictionaries({"sizing": SIZINGS})
)


def accepted(document: dict[str, Any]) -> PolicySpec | None:
    try:
        return PolicySpec.model_validate(document)
    except ValidationError:
        return None


@given(POLICIES)
def test_what_the_command_takes_the_gateway_reads_and_the_other_way_round(
    document: dict[str, Any],
) -> None:
    spec = accepted(document)
    if spec is not None:
        read = parse_policy(spec.as_written())
        assert read.unreadable == ""
        assert read == parse_policy(document)
        assert (read.sizing is None) is (spec.sizing is None)
    else:
        assert parse_policy(document).unreadable


@pytest.mark.parametrize(
    "document",
    [
        {"aggregation": {"method": "majority", "windowSeconds": 5, "threshold": "0.3"}},
        {"sizing": {"fixedFraction": {"fraction": 0.1}}},
        {"sizing": {"volatilityTarget": {"volatility": 0.2, "cap": 1}}},
        {"sizing": {"kelly": {"fraction": 0.5, "winRate": 0.6, "payoff": 1, "cap": 0.25}}},
    ],
    ids=["votes", "fraction", "volatility", "kelly"],
)
def test_these_are_among_them(document: dict[str, Any]) -> None:
    assert accepted(document) is not None
