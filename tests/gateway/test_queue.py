"""The bounded priority queue."""

from hypothesis import given
from hypothesis import strategies as st

from examples import examples
from risk_gateway.queue import BATCH, LIMIT, PriorityQueue, has_room

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


NEWER = 900  # that are taken before a signal of priority 1, at the most


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(0, 12)), min_size=200, max_size=1_500))
@examples(30)  # each is a story of some hundred moves
def test_none_is_overtaken_by_more_than_its_age_allows(moves: Items) -> None:
    """Each move puts one signal and then takes some."""
    queue: PriorityQueue[tuple[int, int]] = PriorityQueue()
    overtaken = [0] * len(moves)
    waiting: set[int] = set()
    for arrived, (priority, taken) in enumerate(moves):
        if queue.put((priority, arrived), priority):
            waiting.add(arrived)
        for _, place in queue.take(taken // 6):
            waiting.remove(place)
            for other in waiting:
                overtaken[other] += other < place
    for arrived, (priority, _) in enumerate(moves):
        assert overtaken[arrived] <= (10 - priority) * 100


def test_a_flood_of_the_highest_lets_the_lowest_through() -> None:
    queue = queue_of([(1, -1)])
    taken: list[int] = []
    for n in range(2 * NEWER):
        queue.put((10, n), 10)
        taken += [place for _, place in queue.take(1)]
    assert taken.index(-1) == NEWER - 1  # the newest of a turn goes behind an older one


def test_what_was_queued_is_counted_by_priority() -> None:
    assert queue_of([(1, 0), (10, 1), (10, 2)]).queued == {1: 1, 10: 2}


# ---- room for streams

STREAMS = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 100)), max_size=400)


@given(st.integers(1, 30), STREAMS)
def test_streams_that_wait_for_room_never_meet_a_full_queue(streams: int, asks: Items) -> None:
    """Nothing is taken meanwhile, which is the worst."""
    waiting = [0] * streams
    for stream, batch in asks:
        who = stream % streams
        if has_room(waiting[who], sum(waiting), batch, streams):
            waiting[who] += batch
        assert sum(waiting) <= LIMIT


@given(st.integers(1, 10), st.lists(st.integers(0, 9), min_size=20, max_size=60))
def test_a_stream_s_share_is_there_whatever_the_others_do(streams: int, asks: list[int]) -> None:
    """Batches of a hundred, up to ten streams: whoever has nothing waiting gets in."""
    waiting = [0] * streams
    for stream in asks:
        who = stream % streams
        room = has_room(waiting[who], sum(waiting), BATCH, streams)
        assert room or waiting[who], (who, waiting)
        waiting[who] += BATCH if room else 0


def test_what_no_queue_could_hold_does_not_wait_for_ever() -> None:
    assert has_room(0, LIMIT, LIMIT + 1, 1)
    assert not has_room(1, 1, LIMIT, 1)
    assert BATCH * 10 == LIMIT
