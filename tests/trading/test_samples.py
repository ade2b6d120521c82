"""Samples: what is made of quotes, what is kept, and which returns there are."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.limits import InvalidLimits
from trading.market import Quote
from trading.rates import SECOND_NS
from trading.samples import KEPT, Sample, Sampler, Samples
from trading.sampling import Sampling, parse_sampling

S = SECOND_NS


def quote(at_s: float, bid: float, symbol: str = "A", spread: float = 2.0) -> Quote:
    return Quote(symbol, 1, int(at_s * S), bid, 1, bid + spread, 1)


def sampled(*quotes: Quote | None, interval_s: int = 10, ends_s: float = 0) -> list[Sample]:
    """Of quotes at their own time, and at the end a message without one."""
    made: list[Sample] = []
    sampler = Sampler(made.append)
    sampler.obey(interval_s)
    for each in quotes:
        if each is not None:
            sampler.see(each.at_ns, each)
    if ends_s:
        sampler.see(int(ends_s * S), None)
    return made


def test_a_sample_is_the_last_mid_of_an_interval_made_by_the_next_message() -> None:
    found = sampled(quote(1, 99), quote(9, 101), ends_s=10)
    assert found == [Sample(10 * S, 10, {"A": 102.0})]
    assert sampled(quote(1, 99), ends_s=9.9) == []


def test_an_interval_without_a_quote_makes_none() -> None:
    found = sampled(quote(1, 99), quote(35, 101), ends_s=40)
    assert [(each.at_ns // S, each.mids) for each in found] == [(10, {"A": 100}), (40, {"A": 102})]


def test_a_symbol_without_a_quote_in_an_interval_has_none() -> None:
    found = sampled(quote(1, 99), quote(2, 9, "B"), quote(11, 101), ends_s=20)
    assert [set(each.mids) for each in found] == [{"A", "B"}, {"A"}]


def test_sides_that_cross_are_no_mid() -> None:
    assert sampled(quote(1, 99), quote(2, 99, spread=-1), ends_s=10) == []


def test_a_message_of_the_interval_before_changes_nothing_that_was_made() -> None:
    found = sampled(quote(1, 99), quote(11, 101), quote(9.9, 98), ends_s=20)
    assert [each.mids["A"] for each in found] == [100, 99]


def test_time_that_is_set_back_begins_anew() -> None:
    found = sampled(quote(41, 99), quote(51, 101), quote(1, 7), ends_s=10)
    assert [each.at_ns // S for each in found] == [50, 10]
    samples = Samples()
    for each in found:
        samples.take(each)
    assert [each.at_ns // S for each in samples.kept] == [10]


def test_another_interval_begins_anew() -> None:
    samples = Samples()
    samples.take(Sample(10 * S, 10, {"A": 1.0}))
    samples.take(Sample(60 * S, 60, {"A": 1.0}))
    assert [each.interval_s for each in samples.kept] == [60]


# ---- returns

TIMES = st.lists(st.integers(1, 40), min_size=1, max_size=60)


def of(*mids: dict[str, float] | None, interval_s: int = 1) -> Samples:
    """One each second; None: none was made."""
    samples = Samples()
    for at, each in enumerate(mids, 1):
        if each is not None:
            samples.take(Sample(at * interval_s * S, interval_s, each))
    return samples


def test_a_change_is_what_one_unit_would_have_won_at_the_newest_mid() -> None:
    samples = of({"A": 100.0}, {"A": 110.0}, {"A": 99.0})
    returns = samples.returns(("A",), 3 * S, 2)
    assert returns.found == 2
    assert returns.changes["A"] == pytest.approx([99 * 0.1, 99 * -0.1])


def test_later_samples_do_not_count() -> None:
    samples = of({"A": 100.0}, {"A": 110.0}, {"A": 99.0})
    assert samples.returns(("A",), 3 * S - 1, 1).changes["A"] == pytest.approx([110 * 0.1])
    assert samples.returns(("A",), 3 * S - 1, 2).found == 1


def test_a_return_needs_two_samples_one_interval_apart() -> None:
    samples = of({"A": 1.0}, {"A": 2.0}, None, {"A": 3.0}, {"A": 4.0, "B": 1.0}, {"A": 5.0})
    assert samples.returns(("A",), 6 * S, 9).found == 3
    assert samples.returns(("A",), 6 * S, 3).changes["A"] == pytest.approx([5 * 1.0, 5 / 3, 5 / 4])


def test_returns_are_those_that_all_symbols_have() -> None:
    both = {"A": 1.0, "B": 1.0}
    samples = of(both, both, {"A": 2.0}, both, both)
    assert samples.returns(("A",), 5 * S, 9).found == 4
    assert samples.returns(("A", "B"), 5 * S, 9).found == 2


@pytest.mark.parametrize(("at_s", "found"), [(3, 2), (4.9, 2), (5, 0)])
def test_what_went_silent_is_no_longer_known(at_s: float, found: int) -> None:
    samples = of({"A": 1.0}, {"A": 2.0}, {"A": 3.0})
    assert samples.returns(("A",), int(at_s * S), 9).found == found


def test_a_symbol_that_the_newest_sample_lacks_is_not_known() -> None:
    samples = of({"A": 1.0, "B": 1.0}, {"A": 1.0, "B": 1.0}, {"A": 1.0})
    assert samples.returns(("B",), 3 * S, 9).found == 0


@given(TIMES)
def test_times_rise_whatever_comes(times: list[int]) -> None:
    samples = Samples()
    for each in times:
        samples.take(Sample(each, 1, {}))
        assert samples.kept[-1].at_ns == each
    kept = [each.at_ns for each in samples.kept]
    assert all(one < other for one, other in pairwise(kept))
    assert samples._times == kept


def test_no_more_are_kept_than_twice_what_is_asked_for() -> None:
    samples = Samples()
    for at in range(1, 5 * KEPT):
        samples.take(Sample(at * S, 1, {"A": float(at)}))
        assert min(at, KEPT) <= len(samples.kept) <= 2 * KEPT
    assert samples.returns(("A",), at * S, 2_000).found == 2_000


# ---- how a policy writes it


def test_what_is_not_written_is_the_default() -> None:
    assert parse_sampling({"samples": None}) == Sampling(60, 250)
    written = parse_sampling({"intervalSeconds": 5, "samples": "100", "confidence": "0.975"})
    assert (written.interval_s, written.samples, str(written.confidence)) == (5, 100, "0.975")


def test_the_name_of_before_is_read() -> None:
    assert parse_sampling({"interval_seconds": 5}) == parse_sampling({"intervalSeconds": 5})


def test_of_two_the_stricter_holds_in_each_part() -> None:
    one, other = parse_sampling({"samples": 300}), parse_sampling({"intervalSeconds": 90})
    assert one.stricter(other) == Sampling(90, 300) == other.stricter(one)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"samples": 19}, "sampling samples: 19, expected a whole number from 20 to 2000"),
        ({"samples": 20.5}, "sampling samples: 20.5, expected"),
        ({"samples": True}, "sampling samples: True, expected"),
        ({"intervalSeconds": "1e9"}, "sampling intervalSeconds: '1e9', expected"),
        ({"intervalSeconds": float("nan")}, "sampling intervalSeconds: nan, expected"),
        ({"interval_seconds": 0}, "sampling intervalSeconds: 0, expected"),
        (
            {"interval_seconds": 5, "intervalSeconds": 6},
            "sampling interval_seconds: 5, expected only intervalSeconds",
        ),
        ({"confidence": "1"}, "sampling confidence: '1', expected a number from 0.5 to 0.9999"),
        ({"confidence": []}, "sampling confidence: .., expected"),
        ({"level": 1}, "sampling level: unknown, expected one of intervalSeconds, samples, conf"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_named(document: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidLimits, match=says.replace("[]", r"\[\]")):
        parse_sampling(document)
