"""The bounded priority queue."""

from hypothesis import given
from hypothesis import strategies as st

from risk_gateway.queue import LIMIT, PriorityQueue

Items = list[tuple[int, int]]
ITEMS = st.lists(st.tuples(st.integers(1, 10), st.integers()), max_size=50)


def queue_of(items: Items, limit: int = LIMIT) -> PriorityQueue[tuple[int, int]]:
    queue: PriorityQueue[tuple[int, int]] = PriorityQueue(limit)
    for item in items:
        queue.put(item, item[0])
    return queue


def test_ten_goes_before_one() -> None:
    assert queue_of([(1, 3), (10, 1), (5, 2)]).take() == [
        (10, 1),
        (5, 2),
        (1, 3),
    ]


def test_a_batch_has_at_most_a_hundred() -> None:
    queue = queue_of([(5, n) for n in range(250)])
    assert [len(queue.take()) for _ in range(4)] == [100, 100, 50, 0]


def test_a_full_queue_refuses_and_keeps_what_it_has() -> None:
    queue = queue_of([(5, n) for n in range(LIMIT)])
    assert not queue.put((10, 0), 10)
    assert queue.size == LIMIT


@given(ITEMS)
def test_all_come_out_by_priority_and_in_their_order(items: Items) -> None:
    numbered = [(priority, n) for n, (priority, _) in enumerate(items)]
    assert queue_of(numbered).take() == sorted(numbered, key=lambda item: (-item[0], item[1]))
