"""The bounded priority queue."""

from hypothesis import given
from hypothesis import strategies as st

from risk_gateway.queue import LIMIT, PriorityQueue

ITEMS = st.lists(st.tuples(st.integers(1, 10), st.integers()), max_size=50)


def queue_of(items, limit=LIMIT):
    queue = PriorityQueue(limit)
    for item in items:
        queue.put(item, item[0])
    return queue


def test_ten_goes_before_one():
    assert queue_of([(1, "late"), (10, "first"), (5, "then")]).take() == [
        (10, "first"),
        (5, "then"),
        (1, "late"),
    ]


def test_a_batch_has_at_most_a_hundred():
    queue = queue_of([(5, n) for n in range(250)])
    assert [len(queue.take()) for _ in range(4)] == [100, 100, 50, 0]


def test_a_full_queue_refuses_and_keeps_what_it_has():
    queue = queue_of([(5, n) for n in range(LIMIT)])
    assert not queue.put((10, "one more"), 10)
    assert queue.size == LIMIT


@given(ITEMS)
def test_all_come_out_by_priority_and_in_their_order(items):
    numbered = [(priority, n) for n, (priority, _) in enumerate(items)]
    assert queue_of(numbered).take() == sorted(numbered, key=lambda item: (-item[0], item[1]))
