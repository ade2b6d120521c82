"""The live screen of `stratops up`, and the plain lines in its place. Draws, decides nothing.

The data of a strategy comes first in its box: who is armed, who stands by, what it holds, what it
last wanted and what became of that.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from io import StringIO
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stratops.notices import Notice
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1 import types_pb2

NOTICES_SHOWN = 8
SIGNALS_SHOWN = 4
WITHDRAWN = "withdrawn"  # the gateway's reason why nobody is armed


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the desk."""

    session: str
    up_s: float | None  # None: asked from outside, once
    desk: pb.Desk | None
    rate: float = 0.0
    feed: Mapping[str, object] = field(default_factory=dict)
    restarts: Mapping[str, int] = field(default_factory=dict)
    notices: Sequence[Notice] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    starting: Mapping[str, Sequence[str]] = field(default_factory=dict)  # revisions by strategy
    ending: bool = False


def draw(view: View) -> RenderableType:
    desk = view.desk
    parts: list[RenderableType] = [_headline(view), *_problems(view.problems)]
    if desk is not None:
        parts += [*_standings(desk), *_breaches(desk)]
        parts += [
            _strategy(one, view.starting.get(one.strategy, ()))
            for one in desk.strategies
            if not _is_gone(one)
        ]
        parts += [_gone(one) for one in desk.strategies if _is_gone(one)]
        parts.append(_gateway(desk))
    parts.append(_notices(view.notices))
    return Group(*parts)


def line(view: View) -> str:
    """The desk in one line, for a log or a terminal without colours."""
    if view.desk is None:
        return f"{view.up_s or 0:.0f} s  the gateway does not answer yet"
    strategies = "; ".join(_short(one) for one in view.desk.strategies if not _is_gone(one))
    return f"{view.up_s or 0:.0f} s  feed {view.rate:.0f}/s  {strategies}"


def plain(view: View) -> str:
    """The screen as text."""
    console = Console(width=120, color_system=None, file=StringIO(), highlight=False)
    with console.capture() as captured:
        console.print(draw(view))
    return captured.get().rstrip()


def said(notice: Notice) -> str:
    return f"{_clock(notice.at)} {notice.kind} {notice.subject}: {notice.message}"


def summary(report: Mapping[str, Any]) -> RenderableType:
    """The report in a table, for the end of a run without `-o json`."""
    counted, summed = ("ticks", "signals", "orders", "fills"), ("realised", "unrealised", "fees")
    table = Table("strategy", *counted, "position", *summed)
    for name, one in report["strategies"].items():
        counts = (str(one[column]) for column in counted)
        sums = (money(one[column] or "") for column in ("realized_pnl", "unrealized_pnl", "fees"))
        table.add_row(name, *counts, held(one["position"]), *sums)
    agreed = "ledger and venue agree" if report["ledger_equals_venue"] else "NOT RECONCILED: "
    agreed += "; ".join(report["differences"])
    agreed += f"; {report['handovers']} hand-overs, {report['restarts']} restarts"
    return Group(table, *map(Text, (*_refused(report), *_left_out(report), agreed)))


def _refused(report: Mapping[str, Any]) -> Iterable[str]:
    for name, one in report["strategies"].items():
        if one["rejected"]:
            reasons = (f"{reason} {count}" for reason, count in sorted(one["rejected"].items()))
            yield f"{name}: rejected {', '.join(reasons)}"


def _left_out(report: Mapping[str, Any]) -> Iterable[str]:
    for file, count in report["feed"].get("bad_rows", {}).items():
        yield f"{file}: rows left out {count}, for reasons in logs/feed.log"


def held(positions: Mapping[str, str]) -> str:
    """`0.5 ETHUSDT, -1 BTCUSDT`, or flat."""
    amounts = ((symbol, Decimal(value)) for symbol, value in sorted(positions.items()))
    return (
        ", ".join(f"{value.normalize():f} {symbol}" for symbol, value in amounts if value) or "flat"
    )


def money(amount: str) -> str:
    """To the cent; exact figures are in the report."""
    return f"{Decimal(amount):z,.2f}" if amount else "unknown"


def _headline(view: View) -> RenderableType:
    up = "" if view.up_s is None else f"up {view.up_s:.0f} s  "
    text = Text.assemble(("StratOps ", "bold"), f"{view.session}  {up}")
    if view.desk is None:
        return text.append("starting", "yellow")
    rate = "" if view.up_s is None else f", {view.rate:,.0f}/s"
    text.append(f"feed {_age(view.desk.feed.age_ns)} old{rate}  ")
    if view.ending:
        text.append("ending  ", "yellow")
    if view.feed.get("ended"):
        text.append("replay ended  ", "cyan")
    if view.desk.halted:
        text.append(f" HALTED: {view.desk.halted} ", "bold white on red")
    return text


def _standings(desk: pb.Desk) -> Iterable[Text]:
    """Of parts of the desk, and of the whole where it may only close: a halt is in the headline."""
    for each in desk.standings:
        if each.scope != "desk" or each.standing != "halted":
            yield Text(f" {each.scope} {each.standing.upper()}: {each.why} ", "bold white on red")


def _breaches(desk: pb.Desk) -> Iterable[Text]:
    """What is done about each, and what that has still to do."""
    for each in desk.breaches:
        left = f"; left: {each.left}" if each.left else ""
        until = "the next day" if each.until_next_day else "resumed from source breach"
        done = f"{each.action} until {until}{left}"
        yield Text(f" {each.scope} BREACH of {each.limit}: {each.why}: {done} ", "bold red")


def _strategy(status: pb.StrategyStatus, starting: Sequence[str]) -> Panel:
    title = f"[bold]{escape(status.strategy)}[/] {escape(status.mode)}"
    lines = (*_bypassed(status), *_signals(status))
    body = Group(_runners(status, starting), Text(_holdings(status)), *lines)
    return Panel(body, title=title, title_align="left", border_style=_border(status))


def _bypassed(status: pb.StrategyStatus) -> Iterable[Text]:
    if status.bypassed:
        yield Text(f" NOT CHECKED: {', '.join(status.bypassed)} ", "bold white on red")


def _is_gone(status: pb.StrategyStatus) -> bool:
    """Withdrawn, with nothing left of it but its figures."""
    is_flat = not any(Decimal(value) for value in status.positions.values())
    return status.none_reason == WITHDRAWN and is_flat and not status.runners


def _gone(status: pb.StrategyStatus) -> Text:
    figures = f"realised {money(status.realized_pnl)}   fees {money(status.fees)}"
    return Text(f"{status.strategy} is withdrawn: flat   {figures}", "dim")


def _border(status: pb.StrategyStatus) -> str:
    return "green" if status.role == "armed" else "red"


def _runners(status: pb.StrategyStatus, starting: Sequence[str]) -> RenderableType:
    if not status.runners and not starting:
        return Text(f"no runner: {status.none_reason or 'starting'}", "yellow")
    table = Table.grid(padding=(0, 2))
    for runner in status.runners:
        role = _role(runner)
        table.add_row(
            Text(role, "green" if runner.role == "armed" else "yellow"),
            f"revision {runner.revision}",
            f"epoch {runner.epoch}" if runner.epoch else "",
            f"{runner.counters.ticks:,} ticks",
            f"{runner.counters.rss_bytes >> 20} MiB",
            f"{runner.counters.errors} errors" if runner.counters.errors else "",
            "" if runner.connected else Text("not connected", "red"),
        )
    for revision in starting:
        table.add_row(Text("starting", "yellow"), f"revision {revision}")
    return table


def _role(runner: pb.RunnerStatus) -> str:
    phase = pb.Phase.Name(runner.phase).removeprefix("PHASE_").lower()
    ready = ", ready" if runner.ready and runner.role != "armed" else ""
    return runner.role if phase == runner.role else f"{runner.role} ({phase}{ready})"


def _holdings(status: pb.StrategyStatus) -> str:
    return (
        f"position {held(status.positions)}   realised {money(status.realized_pnl)}"
        f"   unrealised {money(status.unrealized_pnl)}   fees {money(status.fees)}\n"
        f"signals {status.signals}, accepted {status.accepted}, orders {status.orders},"
        f" fills {status.fills}{_currencies(status)}"
    )


def _currencies(status: pb.StrategyStatus) -> str:
    """What it made in each, to the last digit: a cent of one is not a cent of another."""
    return "".join(
        f"\nin {each.currency}: realised {plain_of(each.realized_pnl)}"
        f"   unrealised {plain_of(each.unrealized_pnl)}   fees {plain_of(each.fees)}"
        for each in status.by_currency
    )


def plain_of(amount: str) -> str:
    return f"{Decimal(amount).normalize():f}" if amount else "unknown"


def _signals(status: pb.StrategyStatus) -> Iterable[Text]:
    for recent in status.recent[:SIGNALS_SHOWN]:
        signal, verdict = recent.signal, recent.verdict
        text = Text(f"  {_market_time(signal.at_ns)} {_wish(signal)}  ")
        if verdict.accepted:
            yield text.append("accepted", "green")
        else:
            reason = types_pb2.Reason.Name(verdict.reason).removeprefix("REASON_").lower()
            yield text.append(f"{reason}: {verdict.message}", "red")


def _wish(signal: pb.Signal) -> str:
    if signal.action == pb.ACTION_CANCEL:
        return f"cancel {signal.cancels}"
    if signal.action == pb.ACTION_MODIFY:
        quantity = "" if signal.quantity in ("", "0") else f" to {signal.quantity}"
        return f"modify {signal.modifies}{quantity}" + (
            f" at {signal.price}" if signal.price else ""
        )
    side = types_pb2.Side.Name(signal.side).removeprefix("SIDE_").lower()
    kind = types_pb2.OrderType.Name(signal.order_type).removeprefix("ORDER_TYPE_").lower()
    at = f" at {signal.price}" if signal.price else ""
    return f"{side} {Decimal(signal.quantity).normalize():f} {signal.symbol} {kind}{at}"


def _gateway(desk: pb.Desk) -> Text:
    rejected = ", ".join(f"{reason} {count}" for reason, count in sorted(desk.rejected.items()))
    return Text(
        f"gateway: {desk.signals} signals, {desk.accepted} accepted, rejected {rejected or 'none'};"
        f" {desk.orders} orders ({desk.working} working), {desk.fills} fills;"
        f" queue {desk.queued} of {desk.queue_limit}; {desk.handovers} hand-overs"
    )


def _problems(problems: Mapping[str, str]) -> Iterable[RenderableType]:
    if problems:
        lines = [Text.assemble((subject, "bold"), f": {why}") for subject, why in problems.items()]
        yield Panel(Group(*lines), title="problems", title_align="left", border_style="red")


def _notices(notices: Sequence[Notice]) -> RenderableType:
    return Group(*(Text(said(notice), "dim") for notice in notices[-NOTICES_SHOWN:]))


def _short(status: pb.StrategyStatus) -> str:
    armed = f"{status.revision}/{status.epoch}" if status.role == "armed" else status.none_reason
    return (
        f"{status.strategy} {armed or 'none armed'} {status.fills} fills"
        f" {held(status.positions)} realised {money(status.realized_pnl)}"
        f" unrealised {money(status.unrealized_pnl)} fees {money(status.fees)}"
    )


def _age(age_ns: int) -> str:
    return f"{age_ns / 1e9:.1f} s" if age_ns >= 0 else "never"


def _market_time(at_ns: int) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(at_ns // 1_000_000_000)) if at_ns else "--:--:--"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
