"""The runner's half alone: the traps, one by one."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice

import pytest

from handover import messages as m
from handover.effects import Why
from handover.outbox import CROWDED
from handover.replica import Identity, Replica
from handover.timing import TIMING
from handover_market import Mini, ticks
from trading.orders import OrderState
from trading.reasons import Reason

TICKS = list(islice(ticks(), 2_000))
EPOCH = 3


@dataclass
class Bench:
    """A replica, what it said, and the PINGs it sent."""

    held_limit: int = 1_000
    every: int = 3
    said: list[m.RunnerMessage] = field(default_factory=list)
    pings: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host = Mini(self.every)
        who = Identity("s", "r", "i", "", "key")
        self.replica = Replica(
            self.host, self.said.append, self.pings.append, who, held_limit=self.held_limit
        )
        self.replica.on_subscribed()
        self.hear(m.Welcome(0, 0))
        self.pings.pop()()

    def hear(self, *messages: m.GatewayMessage) -> None:
        for message in messages:
            self.replica.on_message(message)

    def read(self, first: int, last: int) -> None:
        for payload in TICKS[first:last]:
            self.replica.on_payload(payload)
        self.replica.on_drained(last / 1_000)

    def batches(self) -> list[m.Batch]:
        return [each for each in self.said if isinstance(each, m.Batch)]

    def ids(self) -> list[str]:
        return [signal.id for batch in self.batches() for signal in batch.signals]

    def last(self) -> m.RunnerMessage:
        return self.said[-1]


def armed(held_limit: int = 1_000, every: int = 3) -> Bench:
    bench = Bench(held_limit, every)
    bench.hear(m.Arm(EPOCH, m.Mark(), (), m.Holdings(), fresh=True), m.Ack(1))
    return bench


def outcome(number: int, signal_id: str = "x") -> m.Outcome:
    return m.Outcome(number, signal_id, m.OrderEnd(OrderState.EXPIRED))


def acknowledge_all(bench: Bench) -> None:
    for batch in bench.batches():
        bench.hear(m.Ack(batch.number))


# ---- armed


def test_what_came_before_the_grant_is_decided_first() -> None:
    bench = Bench()
    bench.read(0, 40)
    assert bench.replica.held == 40
    bench.hear(m.Arm(EPOCH, m.Mark(), (), m.Holdings(), fresh=True))
    assert bench.batches()[0].mark.count == 40
    assert bench.ids() != []


def test_batches_are_numbered_and_two_wait_for_their_acknowledgement() -> None:
    bench = armed(every=1)
    for start in range(0, 240, 60):
        bench.read(start, start + 60)
    assert [batch.number for batch in bench.batches()] == [1, 2, 3]
    bench.hear(m.Ack(2))
    assert [batch.number for batch in bench.batches()] == [1, 2, 3, 4]
    assert bench.batches()[-1].mark.count == 240


def test_without_signals_a_batch_waits_for_many_messages_or_half_a_second() -> None:
    bench = armed(every=10**9)
    bench.read(0, 90)
    assert len(bench.batches()) == 1
    bench.replica.tick(TIMING.alone - 0.01)
    assert len(bench.batches()) == 1
    bench.replica.tick(TIMING.alone)
    assert bench.batches()[-1].mark.count == 90


def test_with_too_many_signals_waiting_it_holds_its_ticks() -> None:
    bench = armed(every=1)
    bench.read(0, 900)
    waiting = 900 - len(bench.ids()) - bench.replica.held
    assert waiting == CROWDED
    for _ in range(6):
        acknowledge_all(bench)
    assert bench.replica.held == 0
    assert len(bench.ids()) == 900
    assert max(len(batch.signals) for batch in bench.batches()) <= 500


def test_progress_is_what_was_acknowledged() -> None:
    bench = armed(every=1)
    assert bench.replica.progress == {}
    bench.read(0, 7)
    assert bench.replica.progress == {}
    acknowledge_all(bench)
    assert bench.replica.progress == {"A/tick": 5, "B/tick": 1, "A/book": 1}


def test_who_has_applied_nothing_has_no_progress_to_tell() -> None:
    bench = Bench()
    bench.read(0, 7)
    assert bench.replica.progress is None


def test_an_outcome_is_applied_where_it_comes_and_its_place_is_told() -> None:
    bench = armed(every=10**9)
    bench.read(0, 5)
    bench.hear(m.Outcomes((outcome(1), outcome(2))))
    bench.read(5, 9)
    assert bench.batches()[-1].inputs == (m.Input(5, 1), m.Input(5, 2))
    assert bench.batches()[-1].mark.outcome == 2


def test_an_outcome_that_comes_twice_is_applied_once() -> None:
    bench = armed()
    bench.hear(m.Outcomes((outcome(1),)), m.Outcomes((outcome(1), outcome(2))))
    bench.read(0, 1)
    assert [place.outcome for batch in bench.batches() for place in batch.inputs] == [1, 2]


def test_a_missing_outcome_is_never_skipped() -> None:
    bench = armed()
    bench.hear(m.Outcomes((outcome(2),)))
    assert m.Trouble(Why.OUTCOME_GAP) in bench.said
    assert bench.replica.phase is m.Phase.SYNC


def test_what_others_decided_before_is_applied_and_not_decided_again() -> None:
    floor = m.Mark(sequences={"A/tick": 30, "A/book": 6, "B/tick": 6}, session="run")
    bench = Bench(every=1)
    bench.hear(m.Arm(EPOCH, floor, (), m.Holdings(), fresh=True), m.Ack(1))
    bench.read(0, 49)
    assert bench.ids()[0] == "run/A/tick/31"
    assert bench.replica.progress is not None
    assert bench.host.last["A/tick"] == 35


def test_another_session_has_no_floor() -> None:
    bench = Bench(every=1)
    floor = m.Mark(sequences={"A/tick": 30}, session="yesterday")
    bench.hear(m.Arm(EPOCH, floor, (), m.Holdings(), fresh=True), m.Ack(1))
    bench.read(0, 7)
    assert len(bench.ids()) == 7


# ---- stop and go


def test_the_stop_is_in_the_last_batch() -> None:
    bench = armed(every=1)
    bench.read(0, 5)
    bench.hear(m.Stop())
    bench.read(5, 9)
    last = bench.batches()[-1]
    assert (last.stopped, last.mark.count) == ("asked", 5)
    assert last.mark.digest == bench.host.digest()
    assert bench.replica.held == 4


def test_who_may_go_on_decides_what_it_held() -> None:
    bench = armed(every=1)
    bench.hear(m.Stop())
    bench.read(0, 9)
    bench.hear(m.Outcomes((outcome(1),)), m.Go())
    assert len(bench.ids()) == 9
    assert bench.batches()[-1].inputs == (m.Input(0, 1),)
    assert bench.replica.gaps == 0


def test_a_lost_feed_stops_at_once() -> None:
    bench = armed()
    bench.read(0, 5)
    bench.replica.on_feed_lost()
    assert bench.batches()[-1].stopped == "feed_lost"
    assert bench.replica.hello().stopped == "feed_lost"
    bench.hear(m.Go())
    assert bench.replica.gaps == 1


def test_who_stopped_and_then_lost_its_feed_follows_nobody() -> None:
    bench = armed()
    bench.hear(m.Stop())
    bench.replica.on_feed_lost()
    bench.hear(m.Follow(0, EPOCH + 1, alike=True))
    assert bench.replica.phase is m.Phase.SYNC
    assert bench.last() == m.Ready(ok=False)


# ---- links


def test_a_new_link_gets_all_that_is_not_durable_in_its_order() -> None:
    bench = armed(every=1)
    bench.read(0, 60)
    bench.read(60, 120)
    bench.said.clear()
    assert bench.replica.hello().batch == 3
    bench.hear(m.Welcome(EPOCH, 1))
    assert [batch.number for batch in bench.batches()] == [2, 3]


def test_no_new_batch_overtakes_those_that_are_to_be_sent_again() -> None:
    bench = armed(every=1)
    bench.read(0, 5)  # batch 2, lost with the link
    bench.said.clear()
    bench.replica.hello()
    bench.read(5, 65)
    assert bench.batches() == []
    bench.hear(m.Welcome(EPOCH, 1))
    assert [batch.number for batch in bench.batches()] == [2, 3]


def test_a_grant_that_has_ended_is_forgotten() -> None:
    bench = armed()
    bench.read(0, 20)
    bench.hear(m.Welcome(0, 0))
    assert bench.replica.phase is m.Phase.SYNC
    bench.pings.pop()()
    assert bench.last() == m.Subscribed(3)
    assert bench.replica.gaps == 1


@pytest.mark.parametrize(("epoch", "phase"), [(EPOCH, m.Phase.SYNC), (2, m.Phase.ARMED)])
def test_a_refusal_ends_the_grant_it_names(epoch: int, phase: m.Phase) -> None:
    bench = armed()
    bench.hear(m.Refused(1, 2, Reason.FENCED, epoch))
    assert bench.replica.phase is phase
    assert bench.replica.refused == 2


def test_the_same_arm_again_changes_nothing() -> None:
    bench = armed()
    bench.read(0, 20)
    before = bench.host.digest()
    bench.hear(m.Arm(EPOCH, m.Mark(), (), m.Holdings(), fresh=True))
    assert (bench.host.digest(), bench.replica.phase) == (before, m.Phase.ARMED)


def test_a_released_one_says_nothing_more() -> None:
    bench = armed()
    bench.hear(m.Release("replaced"))
    bench.said.clear()
    bench.read(0, 50)
    assert (bench.said, bench.replica.released) == ([], "replaced")


# ---- snapshots


def test_a_snapshot_waits_for_its_barrier() -> None:
    bench = armed()
    bench.hear(m.WantSnapshot("new", 1))
    bench.read(0, 5)
    assert not any(isinstance(each, m.Snapshot) for each in bench.said)
    bench.pings.pop()()
    snapshot = next(each for each in bench.said if isinstance(each, m.Snapshot))
    assert (snapshot.instance, snapshot.mark.count) == ("new", 5)
    assert bench.batches()[-1].mark == snapshot.mark  # a place to agree on, though nothing flows


def test_a_lost_feed_asks_for_the_barrier_again() -> None:
    bench = armed()
    bench.hear(m.WantSnapshot("new", 1))
    stale = bench.pings.pop()
    bench.replica.on_feed_lost()
    bench.replica.on_subscribed()
    bench.hear(m.Go())
    stale()
    assert not any(isinstance(each, m.Snapshot) for each in bench.said)
    bench.pings.pop()()
    assert any(isinstance(each, m.Snapshot) for each in bench.said)


def test_one_that_holds_ticks_gives_no_snapshot() -> None:
    bench = armed(every=1)
    bench.hear(m.WantSnapshot("new", 1))
    bench.hear(m.Stop())
    bench.read(0, 5)
    bench.pings.pop()()
    assert not any(isinstance(each, m.Snapshot) for each in bench.said)
    bench.hear(m.Go())
    snapshot = next(each for each in bench.said if isinstance(each, m.Snapshot))
    assert snapshot.mark.count == 5


def test_digests_are_taken_only_for_followers() -> None:
    bench = armed(every=1)
    bench.read(0, 1)
    assert bench.batches()[-1].mark.digest == 0
    bench.hear(m.WantSnapshot("new", 1))
    acknowledge_all(bench)
    bench.read(1, 2)
    assert bench.batches()[-1].mark.digest != 0
    bench.hear(m.WantSnapshot("", 0))
    acknowledge_all(bench)
    bench.read(2, 3)
    assert bench.batches()[-1].mark.digest == 0


# ---- following


def leader_at(count: int) -> tuple[Bench, m.Restore]:
    """One that has decided so many ticks, and its snapshot."""
    leader = armed()
    leader.read(0, count)
    leader.hear(m.WantSnapshot("i", 1))
    leader.pings.pop()()
    snapshot = next(each for each in leader.said if isinstance(each, m.Snapshot))
    restore = m.Restore(2, EPOCH, snapshot.batch, snapshot.mark, snapshot.state)
    leader.said.clear()
    return leader, restore


def progress_of(leader: Bench) -> m.Progress:
    leader.hear(m.Stop())
    last = leader.batches()[-1]
    return m.Progress(EPOCH, last.number, last.mark)


def test_a_snapshot_may_be_ahead_of_its_follower() -> None:
    leader, restore = leader_at(30)
    follower = Bench()
    follower.read(0, 10)
    follower.hear(restore)
    leader.read(30, 50)
    follower.hear(progress_of(leader))
    follower.read(10, 50)
    assert follower.last() == m.Ready(ok=True)
    assert follower.host.digest() == leader.host.digest()


def test_a_follower_applies_no_further_than_it_is_told() -> None:
    leader, restore = leader_at(30)
    follower = Bench()
    follower.read(20, 80)
    follower.hear(restore)
    leader.read(30, 50)
    follower.hear(progress_of(leader))
    assert follower.host.digest() == leader.host.digest()
    assert follower.replica.held == 30
    assert follower.batches() == []


def test_a_snapshot_for_an_earlier_subscription_is_not_taken() -> None:
    _, restore = leader_at(30)
    follower = Bench()
    follower.replica.on_feed_lost()
    follower.replica.on_subscribed()
    follower.hear(restore)
    assert follower.replica.phase is m.Phase.SYNC


def test_a_successor_decides_from_the_next_tick() -> None:
    leader, restore = leader_at(30)
    follower = Bench(every=1)
    follower.read(0, 80)
    follower.hear(restore)
    mark = progress_of(leader).mark
    follower.hear(m.Arm(EPOCH + 1, mark, (), m.Holdings()))
    batch = follower.batches()[0]
    assert (batch.epoch, batch.number, batch.mark.count) == (EPOCH + 1, 1, 80)
    assert len(batch.signals) == 50


def test_outcomes_since_the_mark_come_with_the_arm_and_have_a_place() -> None:
    leader, restore = leader_at(30)
    follower = Bench()
    follower.hear(restore)
    mark = progress_of(leader).mark
    follower.hear(m.Arm(EPOCH + 1, mark, (outcome(1), outcome(2)), m.Holdings()))
    assert follower.batches()[0].inputs == (m.Input(30, 1), m.Input(30, 2))


def test_what_comes_behind_an_arm_that_waits_is_done_behind_it() -> None:
    leader, restore = leader_at(30)
    follower = Bench()
    follower.hear(restore)
    leader.read(30, 50)
    follower.hear(m.Arm(EPOCH + 1, progress_of(leader).mark, (), m.Holdings()))
    follower.hear(m.Outcomes((outcome(1),)))
    assert follower.batches() == []
    follower.read(30, 60)
    follower.hear(m.Ack(1))
    places = [place for batch in follower.batches() for place in batch.inputs]
    assert places == [m.Input(50, 1)]


def test_an_arm_that_waits_is_taken_back_by_a_welcome() -> None:
    leader, restore = leader_at(30)
    follower = Bench()
    follower.hear(restore)
    leader.read(30, 50)
    follower.hear(m.Arm(EPOCH + 1, progress_of(leader).mark, (), m.Holdings()))
    follower.hear(m.Welcome(0, 0))
    follower.read(30, 60)
    assert follower.batches() == []
    assert follower.replica.phase is m.Phase.SYNC


def test_who_lost_its_place_says_so_when_it_is_armed() -> None:
    follower = Bench()
    follower.hear(m.Arm(EPOCH, m.Mark(count=30), (), m.Holdings()))
    assert follower.last() == m.Trouble(Why.UNSYNCED)


def test_a_lost_feed_while_an_arm_waits_is_a_trouble() -> None:
    leader, restore = leader_at(30)
    follower = Bench()
    follower.hear(restore)
    leader.read(30, 50)
    follower.hear(m.Arm(EPOCH + 1, progress_of(leader).mark, (), m.Holdings()))
    follower.replica.on_feed_lost()
    assert m.Trouble(Why.FEED_LOST) in follower.said


def test_a_follower_that_warms_up_takes_its_account_from_the_ledger() -> None:
    _, restore = leader_at(30)
    follower = Bench()
    follower.hear(m.Restore(2, EPOCH, restore.batch, restore.mark, b""))
    holdings = m.Holdings({"A": Decimal(5)})
    follower.hear(m.Progress(EPOCH, restore.batch + 1, restore.mark, holdings=holdings))
    assert (follower.host.position, follower.said[-1]) == (5, m.Subscribed(2))
    assert not follower.replica.hello().ready


def test_what_came_before_the_word_of_being_subscribed_is_not_applied_behind_a_snapshot() -> None:
    leader = armed()
    leader.read(40, 60)  # nothing of the first forty, which the follower holds
    leader.hear(m.WantSnapshot("i", 1))
    leader.pings.pop()()
    snapshot = next(each for each in leader.said if isinstance(each, m.Snapshot))
    follower = Bench()
    follower.read(0, 60)
    follower.hear(m.Welcome(0, 0))
    follower.pings.pop()()
    mark = replace(snapshot.mark, sequences={"A/tick": 43})
    follower.hear(m.Restore(3, EPOCH, snapshot.batch, mark, snapshot.state))
    assert follower.replica.held == 0


def test_too_much_held_is_a_trouble_and_a_new_beginning() -> None:
    bench = Bench(held_limit=100)
    bench.read(0, 101)
    bench.pings.pop()()
    assert bench.said[-2:] == [m.Trouble(Why.HELD_TOO_MANY), m.Subscribed(3)]
    assert bench.replica.held == 0
