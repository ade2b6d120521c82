"""A runner's session with the gateway: the messages of `handover.messages`, both ways.

Each direction is a table from the name in the proto's oneof to the two converters.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from handover import messages as m
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.scalars import (
    ORDER_STATES,
    ORDER_TYPES,
    REASONS,
    SIDES,
    Codes,
    InvalidMessage,
    decimal_from,
    optional_decimal_from,
    reason_number,
    text_from,
    text_of,
)
from stratops_wire.signals import (
    signal_from_proto,
    signal_to_proto,
    verdict_from_proto,
    verdict_to_proto,
)

PHASES = Codes(m.Phase, "PHASE", dict(pb.Phase.items()))


def runner_message_to_proto(message: m.RunnerMessage) -> pb.RunnerMessage:
    name, convert = _RUNNER_TO_PROTO[type(message)]
    return pb.RunnerMessage(**{name: convert(message)})


def runner_message_from_proto(message: pb.RunnerMessage) -> m.RunnerMessage:
    name = message.WhichOneof("message")
    if name is None:
        raise InvalidMessage("message", "nothing", f"one of {', '.join(_RUNNER_FROM_PROTO)}")
    found: m.RunnerMessage = _RUNNER_FROM_PROTO[name](getattr(message, name))
    return found


def gateway_message_to_proto(message: m.GatewayMessage) -> pb.GatewayMessage:
    name, convert = _GATEWAY_TO_PROTO[type(message)]
    return pb.GatewayMessage(**{name: convert(message)})


def gateway_message_from_proto(message: pb.GatewayMessage) -> m.GatewayMessage:
    name = message.WhichOneof("message")
    if name is None:
        raise InvalidMessage("message", "nothing", f"one of {', '.join(_GATEWAY_FROM_PROTO)}")
    found: m.GatewayMessage = _GATEWAY_FROM_PROTO[name](getattr(message, name))
    return found


# ---- parts


def mark_to_proto(mark: m.Mark) -> pb.Mark:
    return pb.Mark(
        count=mark.count,
        crc=mark.crc,
        sequences=mark.sequences,
        outcome=mark.outcome,
        digest=mark.digest,
        session=mark.session,
    )


def mark_from_proto(message: pb.Mark) -> m.Mark:
    return m.Mark(
        message.count,
        message.crc,
        message.outcome,
        message.digest,
        dict(message.sequences),
        message.session,
    )


def outcome_to_proto(outcome: m.Outcome) -> pb.Outcome:
    what = outcome.what
    if isinstance(what, m.OrderFill):
        return pb.Outcome(
            number=outcome.number, signal_id=outcome.signal_id, fill=_fill_to_proto(what)
        )
    if isinstance(what, m.OrderModified):
        modified = pb.OrderModified(
            order=what.order, remaining=text_of(what.remaining), price=text_of(what.price)
        )
        return pb.Outcome(number=outcome.number, signal_id=outcome.signal_id, modified=modified)
    if isinstance(what, m.OrderSized):
        return pb.Outcome(
            number=outcome.number, signal_id=outcome.signal_id, sized=_sized_to_proto(what)
        )
    return pb.Outcome(number=outcome.number, signal_id=outcome.signal_id, end=_end_to_proto(what))


def outcome_from_proto(message: pb.Outcome) -> m.Outcome:
    kind = message.WhichOneof("what")
    if kind is None:
        raise InvalidMessage("outcome", "nothing", "fill, end, modified or sized")
    what = _WHAT_FROM_PROTO[kind](getattr(message, kind))
    return m.Outcome(message.number, text_from("signal_id", message.signal_id), what)


def holdings_to_proto(holdings: m.Holdings) -> pb.Holdings:
    return pb.Holdings(
        positions={symbol: text_of(quantity) for symbol, quantity in holdings.positions.items()},
        working=[_working_to_proto(order) for order in holdings.working],
    )


def holdings_from_proto(message: pb.Holdings) -> m.Holdings:
    return m.Holdings(
        _decimals("positions", message.positions),
        tuple(_working_from_proto(order) for order in message.working),
    )


def counters_to_proto(counters: m.Counters) -> pb.Counters:
    return pb.Counters(
        ticks=counters.ticks,
        errors=counters.errors,
        dropped=counters.dropped,
        rss_bytes=counters.rss_bytes,
        feed_age_ns=counters.feed_age_ns,
        held=counters.held,
    )


def counters_from_proto(message: pb.Counters) -> m.Counters:
    return m.Counters(
        message.ticks,
        message.errors,
        dict(message.dropped),
        message.rss_bytes,
        message.feed_age_ns,
        message.held,
    )


def _decimals(field: str, texts: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: decimal_from(f"{field}[{name}]", text) for name, text in texts.items()}


def _fill_to_proto(fill: m.OrderFill) -> pb.OrderFill:
    return pb.OrderFill(
        fill_id=fill.fill_id,
        symbol=fill.symbol,
        side=SIDES.number(fill.side),  # type: ignore[arg-type]  # the stubs' own enum type
        price=text_of(fill.price),
        quantity=text_of(fill.quantity),
        fee=text_of(fill.fee),
        at_ns=fill.at_ns,
        busts=fill.busts,
    )


def _fill_from_proto(message: pb.OrderFill) -> m.OrderFill:
    return m.OrderFill(
        text_from("fill_id", message.fill_id),
        text_from("symbol", message.symbol),
        SIDES.member("side", message.side),
        decimal_from("price", message.price),
        decimal_from("quantity", message.quantity),
        decimal_from("fee", message.fee),
        message.at_ns,
        message.busts,
    )


def _end_to_proto(end: m.OrderEnd) -> pb.OrderEnd:
    return pb.OrderEnd(state=ORDER_STATES.number(end.state), reason=reason_number(end.reason))  # type: ignore[arg-type]  # the stubs' own enum types


def _end_from_proto(message: pb.OrderEnd) -> m.OrderEnd:
    return m.OrderEnd(ORDER_STATES.member("state", message.state), REASONS.maybe(message.reason))


def _modified_from_proto(message: pb.OrderModified) -> m.OrderModified:
    return m.OrderModified(
        text_from("order", message.order),
        decimal_from("remaining", message.remaining),
        decimal_from("price", message.price),
    )


def _sized_to_proto(sized: m.OrderSized) -> pb.OrderSized:
    return pb.OrderSized(
        symbol=sized.symbol,
        side=SIDES.number(sized.side),  # type: ignore[arg-type]  # the stubs' own enum type
        quantity=text_of(sized.quantity),
    )


def _sized_from_proto(message: pb.OrderSized) -> m.OrderSized:
    return m.OrderSized(
        text_from("symbol", message.symbol),
        SIDES.member("side", message.side),
        decimal_from("quantity", message.quantity),
    )


_WHAT_FROM_PROTO: dict[str, Callable[[Any], m.What]] = {
    "fill": _fill_from_proto,
    "end": _end_from_proto,
    "modified": _modified_from_proto,
    "sized": _sized_from_proto,
}


def _working_to_proto(order: m.WorkingOrder) -> pb.WorkingOrder:
    return pb.WorkingOrder(
        signal_id=order.signal_id,
        symbol=order.symbol,
        side=SIDES.number(order.side),  # type: ignore[arg-type]  # the stubs' own enum type
        order_type=ORDER_TYPES.number(order.order_type),  # type: ignore[arg-type]  # as above
        quantity=text_of(order.quantity),
        price=text_of(order.price),
    )


def _working_from_proto(message: pb.WorkingOrder) -> m.WorkingOrder:
    return m.WorkingOrder(
        text_from("signal_id", message.signal_id),
        text_from("symbol", message.symbol),
        SIDES.member("side", message.side),
        ORDER_TYPES.member("order_type", message.order_type),
        decimal_from("quantity", message.quantity),
        optional_decimal_from("price", message.price),
    )


def _inputs_to_proto(inputs: Iterable[m.Input]) -> list[pb.Input]:
    return [pb.Input(after=each.after, outcome=each.outcome) for each in inputs]


def _inputs_from_proto(inputs: Iterable[pb.Input]) -> tuple[m.Input, ...]:
    return tuple(m.Input(each.after, each.outcome) for each in inputs)


# ---- runner -> gateway


def _hello_to_proto(hello: m.Hello) -> pb.Hello:
    return pb.Hello(
        token=hello.token,
        strategy=hello.strategy,
        revision=hello.revision,
        instance=hello.instance,
        phase=PHASES.number(hello.phase),  # type: ignore[arg-type]  # the stubs' own enum type
        epoch=hello.epoch,
        batch=hello.batch,
        following=hello.following,
        ready=hello.ready,
        stopped=hello.stopped,
        subscription=hello.subscription,
        state_key=hello.state_key,
    )


def _hello_from_proto(message: pb.Hello) -> m.Hello:
    return m.Hello(
        strategy=text_from("strategy", message.strategy),
        revision=text_from("revision", message.revision),
        instance=text_from("instance", message.instance),
        token=message.token,
        phase=PHASES.member("phase", message.phase),
        epoch=message.epoch,
        batch=message.batch,
        following=message.following,
        ready=message.ready,
        stopped=message.stopped,
        subscription=message.subscription,
        state_key=message.state_key,
    )


def _snapshot_to_proto(snapshot: m.Snapshot) -> pb.Snapshot:
    return pb.Snapshot(
        instance=snapshot.instance,
        subscription=snapshot.subscription,
        batch=snapshot.batch,
        mark=mark_to_proto(snapshot.mark),
        state=snapshot.state,
    )


def _snapshot_from_proto(message: pb.Snapshot) -> m.Snapshot:
    return m.Snapshot(
        text_from("instance", message.instance),
        message.subscription,
        message.batch,
        mark_from_proto(message.mark),
        message.state,
    )


def _batch_to_proto(batch: m.Batch) -> pb.Batch:
    return pb.Batch(
        epoch=batch.epoch,
        number=batch.number,
        mark=mark_to_proto(batch.mark),
        signals=[signal_to_proto(signal) for signal in batch.signals],
        inputs=_inputs_to_proto(batch.inputs),
        stopped=batch.stopped,
    )


def _batch_from_proto(message: pb.Batch) -> m.Batch:
    return m.Batch(
        message.epoch,
        message.number,
        mark_from_proto(message.mark),
        tuple(signal_from_proto(signal) for signal in message.signals),
        _inputs_from_proto(message.inputs),
        message.stopped,
    )


_RUNNER_TO_PROTO: dict[type, tuple[str, Callable[[Any], Any]]] = {
    m.Hello: ("hello", _hello_to_proto),
    m.Subscribed: ("subscribed", lambda x: pb.Subscribed(subscription=x.subscription)),
    m.Snapshot: ("snapshot", _snapshot_to_proto),
    m.Ready: ("ready", lambda x: pb.Ready(ok=x.ok)),
    m.Batch: ("batch", _batch_to_proto),
    m.Alive: ("alive", lambda x: pb.Alive(counters=counters_to_proto(x.counters))),
    m.Trouble: ("trouble", lambda x: pb.Trouble(reason=x.reason)),
}
_RUNNER_FROM_PROTO: dict[str, Callable[[Any], Any]] = {
    "hello": _hello_from_proto,
    "subscribed": lambda x: m.Subscribed(x.subscription),
    "snapshot": _snapshot_from_proto,
    "ready": lambda x: m.Ready(x.ok),
    "batch": _batch_from_proto,
    "alive": lambda x: m.Alive(counters_from_proto(x.counters)),
    "trouble": lambda x: m.Trouble(text_from("reason", x.reason)),
}


# ---- gateway -> runner


def _restore_to_proto(restore: m.Restore) -> pb.Restore:
    return pb.Restore(
        subscription=restore.subscription,
        following=restore.following,
        batch=restore.batch,
        mark=mark_to_proto(restore.mark),
        state=restore.state,
        holdings=holdings_to_proto(restore.holdings),
    )


def _restore_from_proto(message: pb.Restore) -> m.Restore:
    return m.Restore(
        message.subscription,
        message.following,
        message.batch,
        mark_from_proto(message.mark),
        message.state,
        holdings_from_proto(message.holdings),
    )


def _progress_to_proto(progress: m.Progress) -> pb.Progress:
    return pb.Progress(
        following=progress.following,
        batch=progress.batch,
        mark=mark_to_proto(progress.mark),
        inputs=_inputs_to_proto(progress.inputs),
        outcomes=[outcome_to_proto(outcome) for outcome in progress.outcomes],
        holdings=holdings_to_proto(progress.holdings),
    )


def _progress_from_proto(message: pb.Progress) -> m.Progress:
    return m.Progress(
        message.following,
        message.batch,
        mark_from_proto(message.mark),
        _inputs_from_proto(message.inputs),
        tuple(outcome_from_proto(outcome) for outcome in message.outcomes),
        holdings_from_proto(message.holdings),
    )


def _arm_to_proto(arm: m.Arm) -> pb.Arm:
    return pb.Arm(
        epoch=arm.epoch,
        mark=None if arm.mark is None else mark_to_proto(arm.mark),
        outcomes=[outcome_to_proto(outcome) for outcome in arm.outcomes],
        holdings=holdings_to_proto(arm.holdings),
        fresh=arm.fresh,
    )


def _arm_from_proto(message: pb.Arm) -> m.Arm:
    return m.Arm(
        message.epoch,
        mark_from_proto(message.mark) if message.HasField("mark") else None,
        tuple(outcome_from_proto(outcome) for outcome in message.outcomes),
        holdings_from_proto(message.holdings),
        message.fresh,
    )


def _refused_to_proto(refused: m.Refused) -> pb.Refused:
    return pb.Refused(
        batch=refused.batch,
        signals=refused.signals,
        reason=reason_number(refused.reason),  # type: ignore[arg-type]  # the stubs' own enum type
        epoch=refused.epoch,
    )


_GATEWAY_TO_PROTO: dict[type, tuple[str, Callable[[Any], Any]]] = {
    m.Welcome: ("welcome", lambda x: pb.Welcome(epoch=x.epoch, batch=x.batch)),
    m.WantSnapshot: (
        "want_snapshot",
        lambda x: pb.WantSnapshot(instance=x.instance, subscription=x.subscription),
    ),
    m.Restore: ("restore", _restore_to_proto),
    m.Progress: ("progress", _progress_to_proto),
    m.Stop: ("stop", lambda _: pb.Stop()),
    m.Go: ("go", lambda _: pb.Go()),
    m.Arm: ("arm", _arm_to_proto),
    m.Follow: (
        "follow",
        lambda x: pb.Follow(epoch=x.epoch, following=x.following, alike=x.alike),
    ),
    m.Ack: (
        "ack",
        lambda x: pb.Ack(batch=x.batch, verdicts=[verdict_to_proto(v) for v in x.verdicts]),
    ),
    m.Refused: ("refused", _refused_to_proto),
    m.Outcomes: (
        "outcomes",
        lambda x: pb.Outcomes(outcomes=[outcome_to_proto(each) for each in x.outcomes]),
    ),
    m.Release: ("release", lambda x: pb.Release(reason=x.reason)),
}
_GATEWAY_FROM_PROTO: dict[str, Callable[[Any], Any]] = {
    "welcome": lambda x: m.Welcome(x.epoch, x.batch),
    "want_snapshot": lambda x: m.WantSnapshot(x.instance, x.subscription),
    "restore": _restore_from_proto,
    "progress": _progress_from_proto,
    "stop": lambda _: m.Stop(),
    "go": lambda _: m.Go(),
    "arm": _arm_from_proto,
    "follow": lambda x: m.Follow(x.epoch, x.following, x.alike),
    "ack": lambda x: m.Ack(x.batch, tuple(verdict_from_proto(v) for v in x.verdicts)),
    "refused": lambda x: m.Refused(x.batch, x.signals, REASONS.member("reason", x.reason), x.epoch),
    "outcomes": lambda x: m.Outcomes(tuple(outcome_from_proto(each) for each in x.outcomes)),
    "release": lambda x: m.Release(x.reason),
}
