"""The decision about one signal, from what the desk knows: no effects but the reservation."""

from dataclasses import field, replace

from risk_gateway.judged import Judged, judged_by
from risk_gateway.market_view import View
from risk_gateway.records import Decided
from risk_gateway.strategy import Strategy, Submission
from trading.at_work import order_to_cancel
from trading.intentions import Intended, intended
from trading.market import Touch
from trading.reasons import Reason
from trading.risk import Approved, Rejection, Request
from trading.routes import Destination
from trading.signals import Action, Direction, Signal
from trading.standings import Stand, Standing, Standings
from trading.values import value
from trading.votes import Poll


@value(frozen=True, slots=True)
class Situation:
    """What holds at one moment, for a signal of one strategy in one symbol."""

    standings: Standings = field(default_factory=Standings)
    venue_available: bool = True
    no_room: str = ""  # why the journal takes no orders that open
    to: Destination = field(default_factory=Destination)


def judge(
    strategy: Strategy, submission: Submission, signal: Signal, view: View, situation: Situation
) -> Decided:
    """Reserves what it accepts, so that the next signal counts it."""
    account = strategy.account
    account.judged = account.poll = None
    meant = None
    if signal.direction is not None:
        meant = intended(account, signal, view.market, view.sampled)
        signal = meant.signal
    outcome = _decide(strategy, submission, signal, view, situation)
    if meant is not None:
        outcome = _meant(meant, outcome)
    judged = judged_by(account.judged, strategy.terms_digest) if account.judged else None
    rejection = outcome if isinstance(outcome, Rejection) else None
    approved = outcome if isinstance(outcome, Approved) else None
    touch = account.judged.touch if account.judged else None
    made = decided(submission, signal, view, rejection, approved, judged, account.poll, touch)
    if meant is not None:
        made = replace(made, sized=meant.sized)
    if signal.action is Action.MODIFY:
        if approved is not None:
            account.ask(approved.order, view.now_ns)
        return _modifying(made, account.judged)
    if approved is not None:
        strategy.reserve(approved.order)
    return made


def _modifying(made: Decided, judged: Request | None) -> Decided:
    """The order is one that was there before."""
    modification = made.order.asked if made.order else None
    as_order = judged.signal if judged else None
    return replace(made, order=None, modification=modification, as_order=as_order)


def _sent_to(approved: Approved, venue: str) -> Approved:
    if approved.order.venue == venue:
        return approved
    return replace(approved, order=replace(approved.order, venue=venue))


def _meant(meant: Intended, outcome: Approved | Rejection | None) -> Approved | Rejection | None:
    """An intention without a quantity is refused for what kept it from one; or wants none."""
    without = isinstance(outcome, Rejection) and outcome.reason is Reason.INVALID_QUANTITY
    if without and meant.refusal is not None:
        return meant.refusal
    return None if without and meant.signal.direction is Direction.NONE else outcome


def decided(
    submission: Submission,
    signal: Signal,
    view: View,
    rejection: Rejection | None,
    approved: Approved | None = None,
    judged: Judged | None = None,
    poll: Poll | None = None,
    touch: Touch | None = None,
) -> Decided:
    touch = touch or view.market(signal.symbol)  # what is no price of a market is noted, too
    return Decided(
        signal=signal,
        epoch=submission.batch.epoch,
        batch=submission.batch.number,
        revision=submission.revision,
        now_ns=view.now_ns,
        reason=rejection.reason if rejection else None,
        message=rejection.message if rejection else "",
        scope=rejection.scope if rejection else "",
        bid=touch.bid if touch else None,
        ask=touch.ask if touch else None,
        order=approved.order if approved else None,
        bypassed=tuple(each.reason for each in approved.bypassed) if approved else (),
        judged=judged,
        poll=poll,
    )


def _decide(
    strategy: Strategy, submission: Submission, signal: Signal, view: View, situation: Situation
) -> Approved | Rejection | None:
    """None: accepted, and nothing leaves but a cancel."""
    if signal.id in submission.known:
        return Rejection(Reason.DUPLICATE, "this signal was decided before")
    if signal.action is Action.CANCEL:
        order = order_to_cancel(signal, strategy.account.orders)
        return order if isinstance(order, Rejection) else None
    observes = strategy.observes and not submission.is_own
    stand = _stand(strategy, submission, signal, situation)
    halted = stand.standing is Standing.HALTED
    if not (situation.venue_available or halted or observes):
        message = f"venue {situation.to.venue} does not answer"
        return Rejection(Reason.VENUE_UNAVAILABLE, message)
    if signal.action is Action.MODIFY:
        modified = strategy.account.review_modification(
            signal, view.market, view.now_ns, epoch=submission.batch.epoch, stand=stand
        )
        if isinstance(modified, Rejection) or modified.order.asks_for_less:
            return modified
        closes = modified.order.closing
        return _no_room(situation, closes) or _no_venue(situation, closes) or modified
    reviewed = _review(strategy, submission, signal, view, stand)
    if isinstance(reviewed, Rejection):
        return reviewed
    closes = reviewed.order.closing
    refused = _no_room(situation, closes)
    if refused or observes:
        return refused
    return _no_venue(situation, closes) or _sent_to(reviewed, situation.to.venue)


def _no_room(situation: Situation, closes: bool) -> Rejection | None:
    if situation.no_room and not closes:
        return Rejection(Reason.JOURNAL_UNAVAILABLE, situation.no_room)
    return None


def _no_venue(situation: Situation, closes: bool) -> Rejection | None:
    to = situation.to
    if not to.venue or (to.objection and not closes):
        return Rejection(Reason.NO_VENUE, to.objection)
    return None


def _review(
    strategy: Strategy, submission: Submission, signal: Signal, view: View, stand: Stand
) -> Approved | Rejection:
    if strategy.observes and signal.closing and not submission.is_own:
        # Nothing is ever held here, so a closing order would have nothing to reduce.
        signal = replace(signal, closing=False)
    return strategy.account.review(
        signal,
        view.market,
        view.now_ns,
        revision=submission.revision,
        epoch=submission.batch.epoch,
        stand=stand,
    )


def _stand(
    strategy: Strategy, submission: Submission, signal: Signal, situation: Situation
) -> Stand:
    account = strategy.account.account
    found = situation.standings.covering(strategy.name, signal.symbol, account)
    grows = strategy.observes and signal.action is Action.MODIFY  # an order from when it traded
    why = strategy.closing_only or ("it only observes" if grows else "")
    if (why or submission.is_own) and found.standing is not Standing.HALTED:
        return Stand(Standing.REDUCING, why or found.why)
    return found
