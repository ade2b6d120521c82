"""The desk as the journal has made it up to one record: what a seal holds.

Exactly what reading the log builds, before anything is asked or ended. What lies in the journal
under a number or an id (outcomes, batches, orders that ended, fills that were counted) is not
repeated here: it is read when it is asked for.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Any, get_origin

import msgspec

from handover.grants import Grants
from handover.messages import Batch
from handover.record import Record
from handover.timing import Timing
from risk_gateway.callers import Runners
from risk_gateway.content import Mode, parse_content
from risk_gateway.policies import PolicyChange
from risk_gateway.records import Breached, Decided, Deployed, Latch, Started
from risk_gateway.state import State
from risk_gateway.strategy import Deployment, Flattening, LastTrade, Strategy, Tally
from risk_gateway.told import Told
from trading.account_memory import AccountMemory, memory_of, remembered
from trading.breaches import Answer
from trading.days import UTC_DAYS, Days
from trading.fills import Fill
from trading.pool_memory import PoolMemory, memory_of_pools, put_back_pools
from trading.samples import Sample
from trading.votes import BoxMemory, memory_of_votes, put_back_votes

LAYOUT = 5  # another one is not read: what is added here is missing in an older snapshot
_BUCKETS = 4  # which had token buckets for rates, and is read: a journal may be cut at it


@dataclass(frozen=True, slots=True)
class FlatteningSnapshot:
    number: int
    attempts: dict[str, int]


@dataclass(frozen=True, slots=True)
class StrategySnapshot:
    name: str
    deployments: tuple[Deployed, ...]
    wanted_revision: str
    armed_revision: str
    mode: Mode
    closing_only: str
    flattening: FlatteningSnapshot | None
    flattenings: int
    account: AccountMemory
    tally: Tally
    recent: tuple[Decided, ...]
    cancelling: tuple[str, ...]
    traded: dict[str, LastTrade]
    placed: dict[str, str]
    elsewhere: tuple[str, ...]
    last_outcome: int
    session: str
    last_batch: Batch | None
    grants: Record
    lowered: dict[str, int] = field(default_factory=dict)  # closing orders for breaches, by symbol
    # Of who is withdrawn, no content says these any more.
    actions: dict[str, Answer] = field(default_factory=dict)
    days: Days = UTC_DAYS


@dataclass(frozen=True, slots=True)
class Snapshot:
    layout: int
    term: int
    latches: tuple[Latch, ...]
    pools: PoolMemory
    policies_known: bool
    policies: dict[str, dict[str, Any]]
    started: Started | None
    busted: dict[str, str]
    early_busts: dict[str, Fill]
    samples: tuple[Sample, ...]
    strategies: tuple[StrategySnapshot, ...]
    votes: tuple[BoxMemory, ...] = ()  # no gateway whose snapshots lack them had any
    breaches: tuple[Breached, ...] = ()


@dataclass(frozen=True, slots=True)
class _Layout:
    layout: int


def taken(state: State, grants: Mapping[str, Record]) -> Snapshot:
    return Snapshot(
        layout=LAYOUT,
        term=state.term,
        latches=tuple(
            Latch(stand.why, source, "", scope.level, scope.name, stand.standing)
            for (scope, source), stand in state.latches.items()
        ),
        pools=memory_of_pools(state.pools),
        policies_known=state.policies.known,
        policies=dict(state.policies.specs),
        started=state.started,
        busted=dict(state.busted),
        early_busts=dict(state.early_busts),
        samples=tuple(state.pools.prospects.samples.kept),
        strategies=tuple(
            _taken(strategy, grants.get(strategy.name, Record()))
            for strategy in state.strategies.values()
        ),
        votes=memory_of_votes(state.pools.votes),
        breaches=tuple(state.breaches.values()),
    )


def put_back(snapshot: Snapshot, state: State, timing: Timing) -> dict[str, Record]:
    """Into an empty state; answers what is known of the grants of each strategy."""
    state.term = snapshot.term
    state.started = snapshot.started
    state.busted.update(snapshot.busted)
    state.early_busts.update(snapshot.early_busts)
    for name, spec in snapshot.policies.items():
        state.take_policy(PolicyChange(name, spec))
    if snapshot.policies_known:
        state.take_policy(PolicyChange())
    for breach in snapshot.breaches:
        state.take_breach(breach)
    for latch in snapshot.latches:
        state.latch(latch.scope, latch.source, latch.stand)
    for each in snapshot.strategies:
        state.strategies[each.name] = _put_back(each, state, timing)
    put_back_pools(state.pools, snapshot.pools)
    for sample in snapshot.samples:
        state.pools.prospects.samples.take(sample)
    put_back_votes(state.pools.votes, snapshot.votes)
    return {each.name: each.grants for each in snapshot.strategies}


def to_json(snapshot: Snapshot) -> str:
    return _encode(snapshot).decode()


def from_json(text: str) -> Snapshot | None:
    """None: of another layout. Raises msgspec.MsgspecError."""
    if msgspec.json.decode(text, type=_Layout).layout not in (_BUCKETS, LAYOUT):
        return None
    return _decode(text)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _taken(strategy: Strategy, grants: Record) -> StrategySnapshot:
    flattening = strategy.flattening
    return StrategySnapshot(
        name=strategy.name,
        deployments=tuple(map(_deployed, strategy.deployments.values())),
        wanted_revision=strategy.wanted_revision,
        armed_revision=strategy.armed_revision,
        mode=strategy.mode,
        closing_only=strategy.closing_only,
        flattening=FlatteningSnapshot(flattening.number, dict(flattening.attempts))
        if flattening
        else None,
        flattenings=strategy.flattenings,
        account=memory_of(strategy.account),
        tally=strategy.tally,
        recent=tuple(strategy.recent),
        cancelling=tuple(sorted(strategy.cancelling)),
        traded=dict(strategy.traded),
        placed=dict(strategy.placed),
        elsewhere=tuple(sorted(strategy.elsewhere)),
        last_outcome=strategy.last_outcome,
        session=strategy.session,
        last_batch=strategy.told.newest_batch,
        grants=grants,
        lowered=dict(strategy.lowering.attempts),
        actions=dict(strategy.actions),
        days=strategy.account.days,
    )


def _deployed(deployment: Deployment) -> Deployed:
    runners = deployment.runners
    return Deployed(deployment.revision, deployment.text, runners.token_sha256, runners.pods)


def _put_back(each: StrategySnapshot, state: State, timing: Timing) -> Strategy:
    deployments = list(map(deployment_of, each.deployments))
    told = Told(each.name, state.archive)
    grants = Grants(each.name, told, timing)
    strategy = Strategy(
        each.name, deployments[0], told, grants, state.instruments, state.policies, state.pools
    )
    strategy.deployments = {deployment.revision: deployment for deployment in deployments}
    strategy.wanted_revision = each.wanted_revision
    strategy.armed_revision = each.armed_revision
    strategy.mode = each.mode
    strategy.closing_only = each.closing_only
    if each.flattening:
        attempts = Counter(each.flattening.attempts)
        strategy.flattening = Flattening(each.flattening.number, attempts=attempts)
    strategy.flattenings = each.flattenings
    strategy.lowering.attempts.update(each.lowered)
    strategy.account = remembered(each.name, each.account, state.instruments, state.pools)
    strategy.account.days = each.days
    strategy.actions = each.actions
    strategy.tally = each.tally
    strategy.recent.extend(each.recent)
    strategy.cancelling = set(each.cancelling)
    strategy.traded = dict(each.traded)
    strategy.placed = dict(each.placed)
    strategy.elsewhere = set(each.elsewhere)
    strategy.last_outcome = each.last_outcome
    strategy.session = each.session
    if each.session and state.market.may_begin_again:
        state.pools.votes.decides_in(each.name, each.session)
    _tell(told, each, strategy)
    strategy.note_terms()
    strategy.adopt_terms()  # policies may be asked for now, or the venue be another
    return strategy


def _tell(told: Told, each: StrategySnapshot, strategy: Strategy) -> None:
    for order in strategy.account.orders.values():
        told.order(order)
    for position in strategy.account.positions.values():
        told.position(position)
    if each.last_batch is not None:
        told.batch(each.last_batch)
    told.begin_at(each.last_outcome)


def deployment_of(body: Deployed) -> Deployment:
    runners = Runners(body.runner_token_sha256, body.runner_pods)
    return Deployment(body.revision, body.content, parse_content(body.content), runners)


def _plain(value: Any) -> Any:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError(f"{type(value)} in a snapshot")


def _made(kind: type, value: Any) -> Any:
    if get_origin(kind) is Counter:
        return Counter(value)
    raise NotImplementedError(f"{kind} in a snapshot")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
_decode = msgspec.json.Decoder(Snapshot, dec_hook=_made).decode
