"""Votes: what each strategy wanted of a symbol lately, and the consensus that an order must have.

Times are the desk's clock, so a strategy that is behind another is judged by what that one wanted
then. Votes of another run of a replay do not count: its time begins again.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal

from trading.admission import instrument_is_known, signal_asks_for_an_order, signal_has_not_expired
from trading.aggregation import SURE, Aggregation, Vote, aggregate, is_fresh
from trading.reasons import Reason
from trading.risk import Check, Rejection, Request, objection
from trading.signals import Direction

KEPT = 256  # of one strategy and symbol: who is behind finds what stood at its time
_SHOWN = 10  # votes in a message
_FINEST = Decimal("0.000000001")  # of a confidence: a sum of votes stays exact
_WELL_FORMED: tuple[Check, ...] = (
    instrument_is_known,
    signal_asks_for_an_order,
    signal_has_not_expired,
)


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the votes came to, by one policy."""

    rule: Aggregation
    direction: Direction
    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True)
class Poll:
    """A signal's own vote, and what the votes came to where it needed to know."""

    vote: Vote
    consensus: tuple[Consensus, ...] = ()

    @property
    def opens(self) -> bool:
        """Or it closes: maybe what is being filled, so that it is judged as any other order."""
        return self.vote.direction is not Direction.CLOSE


@dataclass(slots=True)
class Box:
    """Votes of one strategy on one symbol in one session, by time."""

    session: str
    votes: list[Vote] = field(default_factory=list)

    def put(self, vote: Vote) -> None:
        insort(self.votes, vote, key=_moment)  # a record has a batch's votes in another order
        if len(self.votes) > KEPT:
            # After a clock that was set back the new one is the oldest, and the one to keep.
            del self.votes[1 if self.votes[0] is vote else 0]

    def until(self, at_ns: int) -> Vote | None:
        """The last one by then."""
        return next((vote for vote in reversed(self.votes) if vote.at_ns <= at_ns), None)


class Votes:
    """Mutable; one for a desk. Strategies without an aggregation neither vote nor are counted."""

    def __init__(self) -> None:
        self.boxes: dict[str, dict[str, Box]] = {}  # by symbol, by strategy
        self.sessions: dict[str, str] = {}  # of a replay, by strategy
        self._rules: dict[str, tuple[Aggregation, ...]] = {}  # by strategy

    def obey(self, strategy: str, rules: tuple[Aggregation, ...]) -> None:
        """By these it votes from now on."""
        if rules:
            self._rules[strategy] = rules
        else:
            self._rules.pop(strategy, None)

    def decides_in(self, strategy: str, session: str) -> None:
        """A session that goes on with an earlier one's replay has its name, up to the dot."""
        self.sessions[strategy] = session.partition(".")[0]

    def take(self, request: Request) -> Poll | None:
        """The vote that a signal is; None where it is no intention, or nobody counts it."""
        rules = self._rules.get(request.strategy)
        if not rules or not request.epoch or objection(request, _WELL_FORMED) is not None:
            return None
        wanted, symbol = _direction(request), request.signal.symbol
        vote = Vote(request.strategy, wanted, _confidence(request), request.now_ns, request.now_ns)
        before = self._box(symbol, request.strategy).until(request.now_ns)
        longest = max(rule.window_ns for rule in rules)
        if before is not None and _goes_on(before, vote, longest):
            vote = replace(vote, since_ns=before.since_ns)
        if before is not None and before.at_ns == vote.at_ns:
            vote = replace(vote, turn=before.turn + 1)
        self.put(symbol, vote)
        return Poll(vote)

    def put(self, symbol: str, vote: Vote) -> None:
        self._box(symbol, vote.strategy).put(vote)

    def counted(self, poll: Poll, symbol: str) -> Poll:
        """With what the votes come to, its own included, by each policy of its strategy."""
        rules = self._rules.get(poll.vote.strategy, ())
        return replace(poll, consensus=tuple(self._consensus(rule, poll, symbol) for rule in rules))

    def _consensus(self, rule: Aggregation, poll: Poll, symbol: str) -> Consensus:
        votes = tuple(self._fresh(rule, poll.vote, symbol))
        return Consensus(rule, aggregate(votes, rule), votes)

    def _fresh(self, rule: Aggregation, own: Vote, symbol: str) -> Sequence[Vote]:
        """By name of the strategy."""
        session, found = self.sessions.get(own.strategy, ""), [own]
        for strategy, box in self.boxes.get(symbol, {}).items():
            if strategy == own.strategy or box.session != session:
                continue
            if rule not in self._rules.get(strategy, ()):
                continue
            vote = box.until(own.at_ns)
            if vote is not None and _counts(vote, own.at_ns, rule.window_ns):
                found.append(vote)
        return sorted(found, key=lambda vote: vote.strategy)

    def _box(self, symbol: str, strategy: str) -> Box:
        """Emptied where it is of another session."""
        boxes, session = self.boxes.setdefault(symbol, {}), self.sessions.get(strategy, "")
        box = boxes.get(strategy)
        if box is None or box.session != session:
            box = boxes[strategy] = Box(session)
        return box


def dissent(poll: Poll) -> Rejection | None:
    """Of the first policy by which the votes do not come to what the signal wants."""
    for each in poll.consensus:
        if each.direction is not poll.vote.direction:
            return Rejection(
                Reason.NO_CONSENSUS,
                f"{poll.vote.direction} is wanted, {each.rule.group} has {each.direction} by "
                f"{each.rule.method} within {each.rule.window_ns / 1e9:g} s: {_told(each.votes)}",
            )
    return None


def _direction(request: Request) -> Direction:
    signal = request.signal
    if signal.direction is not None:
        return signal.direction
    only_closes = request.closing or signal.closing
    return Direction.CLOSE if only_closes else Direction.of(signal.side)


def _confidence(request: Request) -> Decimal:
    stated = request.signal.confidence
    return SURE if stated is None else stated.quantize(_FINEST, ROUND_DOWN)


def _goes_on(before: Vote, vote: Vote, window_ns: int) -> bool:
    return before.direction is vote.direction and is_fresh(before.at_ns, vote.at_ns, window_ns)


def _counts(vote: Vote, now_ns: int, window_ns: int) -> bool:
    return vote.direction is not Direction.NONE and is_fresh(vote.at_ns, now_ns, window_ns)


def _told(votes: Sequence[Vote]) -> str:
    told = [f"{each.strategy} {each.direction} {each.confidence}" for each in votes[:_SHOWN]]
    more = len(votes) - _SHOWN
    return ", ".join([*told, f"and {more} more"] if more > 0 else told)


def _moment(vote: Vote) -> tuple[int, int]:
    return vote.at_ns, vote.turn


@dataclass(frozen=True, slots=True)
class BoxMemory:
    """A box as a value. Who votes together is not in it: policies say that."""

    symbol: str
    session: str
    votes: tuple[Vote, ...]


def memory_of_votes(votes: Votes) -> tuple[BoxMemory, ...]:
    return tuple(
        BoxMemory(symbol, box.session, tuple(box.votes))
        for symbol, boxes in votes.boxes.items()
        for box in boxes.values()
        if box.votes
    )


def put_back_votes(votes: Votes, memory: Iterable[BoxMemory]) -> None:
    for each in memory:
        boxes = votes.boxes.setdefault(each.symbol, {})
        boxes[each.votes[0].strategy] = Box(each.session, list(each.votes))
