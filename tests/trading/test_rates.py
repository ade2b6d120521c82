"""Token buckets."""

from hypothesis import given
from hypothesis import strategies as st

from trading.rates import TokenBucket

SECOND = 1_000_000_000


def bucket_after(taken: int, limit: int = 10, at_ns: int = 0) -> TokenBucket:
    bucket = TokenBucket(limit, SECOND)
    for _ in range(taken):
        bucket.take(at_ns)
    return bucket


def test_a_new_bucket_is_full() -> None:
    assert bucket_after(0).available(5 * SECOND) == 10


def test_tokens_come_back_evenly() -> None:
    bucket = bucket_after(10)
    assert bucket.available(0) == 0
    assert bucket.available(SECOND // 10 - 1) == 0
    assert bucket.available(SECOND // 10) == 1
    assert bucket.available(SECOND) == 10


def test_what_came_back_is_there_after_a_token_was_taken() -> None:
    bucket = bucket_after(10)
    bucket.take(SECOND)
    assert bucket.available(SECOND) == 9


def test_a_bucket_never_overflows() -> None:
    assert bucket_after(1).available(100 * SECOND) == 10


def test_time_that_goes_back_changes_nothing() -> None:
    bucket = bucket_after(9, at_ns=SECOND)
    assert bucket.available(0) == 1
    bucket.take(0)
    assert bucket.available(SECOND) == 0
    assert bucket.available(2 * SECOND) == 10


def test_a_bucket_that_begins_anew_is_full_at_any_time() -> None:
    bucket = bucket_after(10, at_ns=100 * SECOND)
    bucket.begin_anew()
    assert bucket.available(0) == 10
    bucket.take(0)
    assert bucket.available(SECOND) == 10


def test_what_was_taken_too_much_is_paid_back_first() -> None:
    bucket = bucket_after(12)
    assert bucket.available(0) == 0
    assert bucket.available(SECOND // 5) == 0
    assert bucket.available(3 * SECOND // 10) == 1


def test_a_limit_of_zero_gives_nothing() -> None:
    assert bucket_after(0, limit=0).available(SECOND) == 0


def test_a_resized_bucket_remembers_what_was_taken() -> None:
    bucket = bucket_after(8)
    bucket.resize(20)
    assert bucket.available(0) == 12
    bucket.resize(5)
    assert bucket.available(0) == 0


@given(st.integers(1, 20), st.lists(st.integers(-SECOND, 2 * SECOND), max_size=200))
def test_no_span_of_time_yields_more_than_burst_and_rate(limit: int, steps: list[int]) -> None:
    bucket, now = TokenBucket(limit, SECOND), 0
    times: list[int] = []
    for step in steps:
        now = max(0, now + step)
        if bucket.available(now):
            bucket.take(now)
            times.append(max([now, *times[-1:]]))
    for first, began in enumerate(times):
        for last in range(first, len(times)):
            span = times[last] - began
            assert last - first + 1 <= limit + limit * span / SECOND
