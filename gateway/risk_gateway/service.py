"""The RiskGateway service: proto at the edge, the desk behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import grpc
import grpc.aio
import structlog

from handover.messages import Batch, Hello
from risk_gateway.allowances import Allowances, Bound, BoundMet, Most
from risk_gateway.answers import EXPECTED, Answers
from risk_gateway.books import books_of
from risk_gateway.callers import (
    Caller,
    Callers,
    NotPermitted,
    Refusal,
    RefusalLog,
    check_may,
)
from risk_gateway.desk import Desk, NotDeployed, deployment_of, name_from, scope_from
from risk_gateway.explaining import explained_json
from risk_gateway.lobby import Lobby
from risk_gateway.reconcile import differences, in_thread
from risk_gateway.records import Decided
from risk_gateway.report import Surroundings, desk_to_proto, order_to_proto
from risk_gateway.requests import Unreadable, readable
from risk_gateway.roles import RIGHTS, Role
from risk_gateway.sessions import Context, StreamSession
from risk_gateway.strategy import Strategy
from risk_gateway.tls import certified_names
from risk_gateway.venue import Venue
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayServicer
from stratops_wire import InvalidMessage
from stratops_wire.scalars import text_from
from stratops_wire.session import runner_message_from_proto
from stratops_wire.signals import signal_from_proto, verdict_to_proto
from trading.scopes import Scope
from trading.signals import Action, Signal, Verdict
from trading.standings import Standing

log = structlog.get_logger()

Request = TypeVar("Request")
Answer = TypeVar("Answer")

HEARD_S = 0.2
MOST_HELLO = 64 * 1024  # bytes: whoever says it is not known yet
LAST_WRITE_S = 1.0
MOST_WRITING = 512  # entries on their way to disk
MOST_ORDERS_A_PAGE = 1_000
MOST_REASON = 200  # characters


class Service(RiskGatewayServicer):
    def __init__(
        self,
        desk: Desk,
        venues: Iterable[Venue],
        callers: Callers,
        surroundings: Surroundings,
        on_fault: Callable[[BaseException], None],
        most: Most,
    ) -> None:
        self._desk = desk
        self._venues = tuple(venues)
        self._callers = callers
        self._allowances = Allowances(most)
        self._lobby = Lobby()
        counts = desk.state.counts
        refusals = RefusalLog(counts.unknown_callers, counts.over_bound)
        self._answers = Answers(refusals, on_fault)
        self._surroundings = surroundings
        self._reconciling = asyncio.Lock()
        self._explaining = asyncio.Lock()  # a process each

    # ---- runners

    async def Trade(  # type: ignore[override]  # noqa: N802  # written to, not iterated; the contract's name
        self, request_iterator: AsyncIterator[pb.RunnerMessage], context: Context
    ) -> None:
        await self._answers.give(context, self._trade(request_iterator, context))

    async def _trade(self, requests: AsyncIterator[pb.RunnerMessage], context: Context) -> None:
        hello = _hello(await self._lobby.first(_next(requests)))
        caller = await self._callers.identify(hello.token)
        with self._allowances.stream(caller.key):
            await self._session(requests, context, hello, caller)

    async def _session(
        self,
        requests: AsyncIterator[pb.RunnerMessage],
        context: Context,
        hello: Hello,
        caller: Caller,
    ) -> None:
        session = StreamSession()
        strategy = self._desk.connect(session, hello, caller)
        log.info("runner_connected", strategy=strategy.name, instance=hello.instance)
        try:
            await self._converse(requests, context, session, strategy, hello.instance)
        finally:
            self._desk.disconnect(strategy, hello.instance, session)
            log.info("runner_gone", strategy=strategy.name, instance=hello.instance)
        if session.unread:
            raise BoundMet(Bound.UNREAD, session.closed)
        if session.closed:
            await context.abort(grpc.StatusCode.ABORTED, session.closed)

    async def _converse(
        self,
        requests: AsyncIterator[pb.RunnerMessage],
        context: Context,
        session: StreamSession,
        strategy: Strategy,
        instance: str,
    ) -> None:
        """Until either side ends it."""
        reading = asyncio.ensure_future(self._read(requests, session, strategy, instance))
        writing = asyncio.ensure_future(session.write(context))
        try:
            await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            reading.cancel()
            session.end()
            # A write that is cancelled half-way would keep the call from ever getting its status.
            await asyncio.wait({writing}, timeout=LAST_WRITE_S)
            writing.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    async def _read(
        self,
        requests: AsyncIterator[pb.RunnerMessage],
        session: StreamSession,
        strategy: Strategy,
        instance: str,
    ) -> None:
        async for request in requests:
            message = runner_message_from_proto(readable(request))
            if session.closed:
                return
            if isinstance(message, Hello):
                raise InvalidMessage("message", "hello", "one hello a session, the first message")
            if isinstance(message, Batch):
                await self._room(strategy, instance, len(message.signals))
            self._desk.message(strategy, instance, message)
            while self._desk.state.journal.waiting > MOST_WRITING:
                await self._desk.state.journal.durable()  # gRPC holds the runner back meanwhile

    async def _room(self, strategy: Strategy, instance: str, signals: int) -> None:
        """In the queue, for a batch. gRPC holds the runner back meanwhile."""
        admission = self._desk.admission
        if admission.has_room(strategy, signals):
            return
        self._desk.state.counts.held_back[strategy.name,] += 1
        while not admission.has_room(strategy, signals):
            self._desk.heard(strategy, instance)  # it is not silent: it is not listened to
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARD_S):
                    await admission.freed()

    # ---- tools

    async def SubmitSignal(  # noqa: N802
        self, request: pb.SubmitSignalRequest, context: Context
    ) -> pb.SubmitSignalResponse:
        return await self._answered("SubmitSignal", request, context, self._submit_signal)

    async def _submit_signal(
        self, request: pb.SubmitSignalRequest, caller: Caller
    ) -> pb.SubmitSignalResponse:
        strategy = self._strategy_of(request, caller)
        if not request.signal.HasField("cause"):
            self._give_cause(request.signal)
        signal = signal_from_proto(request.signal)
        _check_may_send(caller, signal)
        verdict = await self._verdict(strategy, request.epoch, signal)
        return pb.SubmitSignalResponse(verdict=verdict_to_proto(verdict))

    async def _verdict(self, strategy: Strategy, epoch: int, signal: Signal) -> Verdict:
        decided: asyncio.Future[Decided] = asyncio.get_running_loop().create_future()

        def done(decision: Decided) -> None:
            if not decided.done():  # whoever asked may be gone
                decided.set_result(decision)

        refused = self._desk.submit(strategy, epoch, signal, done)
        return refused if refused is not None else (await decided).verdict

    def _strategy_of(self, request: pb.SubmitSignalRequest, caller: Caller) -> Strategy:
        """With a role any; without, the one whose armed revision the caller may run."""
        strategy = self._desk.state.strategies.get(request.strategy)
        if not caller.roles:
            revision = strategy.grants.revision if strategy is not None else ""
            return self._desk.permitted(caller, request.strategy, revision)
        check_may(caller, "SubmitSignal")
        if strategy is None:
            raise NotDeployed(f"{request.strategy}: not deployed")
        return strategy

    def _give_cause(self, signal: pb.Signal) -> None:
        """A person's signal is caused by what the market is now."""
        latest = self._desk.state.market.tape.latest(signal.symbol)
        signal.cause.symbol, signal.cause.type = signal.symbol, "tick"
        if latest is not None:
            signal.cause.sequence, signal.cause.at_ns = latest.sequence, latest.at_ns

    # ---- supervisors

    async def BeginTerm(  # noqa: N802
        self, request: pb.BeginTermRequest, context: Context
    ) -> pb.BeginTermResponse:
        return await self._answered("BeginTerm", request, context, self._begin_term)

    async def _begin_term(self, request: pb.BeginTermRequest, _: Caller) -> pb.BeginTermResponse:
        term = self._desk.begin_term(request.holder)
        await self._desk.state.journal.durable()
        return pb.BeginTermResponse(term=term)

    async def Deploy(  # noqa: N802
        self, request: pb.DeployRequest, context: Context
    ) -> pb.DeployResponse:
        return await self._answered("Deploy", request, context, self._deploy)

    async def _deploy(self, request: pb.DeployRequest, _: Caller) -> pb.DeployResponse:
        try:
            runners = self._callers.runners(request.runner_token_sha256, request.runner_pods)
            deployment = deployment_of(request.revision, request.content, runners)
            self._desk.deploy(request.term, name_from(request.strategy), deployment)
        except EXPECTED:
            self._desk.state.counts.deployment_errors += 1
            raise
        await self._desk.state.journal.durable()
        return pb.DeployResponse()

    async def Withdraw(  # noqa: N802
        self, request: pb.WithdrawRequest, context: Context
    ) -> pb.WithdrawResponse:
        return await self._answered("Withdraw", request, context, self._withdraw)

    async def _withdraw(self, request: pb.WithdrawRequest, _: Caller) -> pb.WithdrawResponse:
        reason = request.reason[:MOST_REASON]
        self._desk.withdraw(request.term, request.strategy, reason, flatten=request.flatten)
        await self._desk.state.journal.durable()
        return pb.WithdrawResponse()

    async def Halt(self, request: pb.HaltRequest, context: Context) -> pb.HaltResponse:  # noqa: N802
        return await self._answered("Halt", request, context, self._halt)

    async def _halt(self, request: pb.HaltRequest, caller: Caller) -> pb.HaltResponse:
        standing = Standing.REDUCING if request.reducing else Standing.HALTED
        reason, scope = request.reason[:MOST_REASON], self._scope(request)
        self._desk.bounds.halt(reason, scope, standing, by=caller.name)
        await self._desk.state.journal.durable()
        return pb.HaltResponse(at_ns=self._desk.state.wall_ns())

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.ResumeResponse:  # noqa: N802
        return await self._answered("Resume", request, context, self._resume)

    async def _resume(self, request: pb.ResumeRequest, caller: Caller) -> pb.ResumeResponse:
        reason, scope = request.reason[:MOST_REASON], self._scope(request)
        self._desk.resume(reason, scope, request.source, caller.name)
        await self._desk.state.journal.durable()
        return pb.ResumeResponse(at_ns=self._desk.state.wall_ns())

    async def CancelOrders(  # noqa: N802
        self, request: pb.CancelOrdersRequest, context: Context
    ) -> pb.CancelOrdersResponse:
        return await self._answered("CancelOrders", request, context, self._cancel_orders)

    async def _cancel_orders(
        self, request: pb.CancelOrdersRequest, _: Caller
    ) -> pb.CancelOrdersResponse:
        strategies, execution = self._named(request), self._desk.execution
        reason = request.reason[:MOST_REASON]
        orders = sum(execution.cancel_all(strategy, reason) for strategy in strategies)
        await self._desk.state.journal.durable()
        return pb.CancelOrdersResponse(orders=orders)

    def _named(self, request: pb.CancelOrdersRequest) -> list[Strategy]:
        """Nobody means the whole desk by a name that was left out."""
        strategies = self._desk.state.strategies
        if request.all and not request.strategy:
            return list(strategies.values())
        name = text_from("strategy", request.strategy)
        if request.all:
            raise InvalidMessage("strategy", name, "none with all")
        if name not in strategies:
            raise NotDeployed(f"{name}: not deployed")
        return [strategies[name]]

    def _scope(self, request: pb.HaltRequest | pb.ResumeRequest) -> Scope:
        """Raises InvalidMessage: a name that is not known would halt nothing, and look as if."""
        scope = scope_from(request.strategy, request.symbol, request.account)
        self._desk.check_known(scope)
        return scope

    # ---- reading

    async def GetDesk(self, request: pb.GetDeskRequest, context: Context) -> pb.Desk:  # noqa: N802
        return await self._answered("GetDesk", request, context, self._get_desk)

    async def _get_desk(self, request: pb.GetDeskRequest, _: Caller) -> pb.Desk:
        found: list[str] = []
        if request.reconcile:
            async with self._reconciling:
                found = list(map(str, await differences(self._desk.state, self._venues)))
        answer = desk_to_proto(self._desk, self._surroundings)
        await self._desk.state.journal.durable()  # what it says may still be on its way to disk
        if request.reconcile:
            answer.reconciliation.equal = not found
            answer.reconciliation.differences.extend(found)
        return answer

    async def ListDeskOrders(  # noqa: N802
        self, request: pb.ListDeskOrdersRequest, context: Context
    ) -> pb.ListDeskOrdersResponse:
        return await self._answered("ListDeskOrders", request, context, self._list_orders)

    async def _list_orders(
        self, request: pb.ListDeskOrdersRequest, _: Caller
    ) -> pb.ListDeskOrdersResponse:
        most = min(request.limit or MOST_ORDERS_A_PAGE, MOST_ORDERS_A_PAGE)
        page = await in_thread(
            self._desk.state.journal.home,
            lambda archive: [
                order_to_proto(archive, placed)
                for placed in archive.orders(request.after_client_order_id, request.strategy, most)
            ],
        )
        after = page[-1].client_order_id if len(page) == most else ""
        return pb.ListDeskOrdersResponse(orders=page, next_after_client_order_id=after)

    async def GetBooks(self, request: pb.GetBooksRequest, context: Context) -> pb.Books:  # noqa: N802
        return await self._answered("GetBooks", request, context, self._get_books)

    async def _get_books(self, request: pb.GetBooksRequest, _: Caller) -> pb.Books:
        state, name = self._desk.state, request.strategy
        if name and name not in state.strategies:
            raise NotDeployed(f"{name}: not deployed")
        strategies = [state.strategies[name]] if name else state.strategies.values()
        if not state.journal.is_held:
            await state.journal.durable()  # if another gateway leads, this one ends here
        return books_of(strategies, state.market.latest, request.symbol)

    async def ExplainOrder(  # noqa: N802
        self, request: pb.ExplainOrderRequest, context: Context
    ) -> pb.ExplainOrderResponse:
        return await self._answered("ExplainOrder", request, context, self._explain)

    async def _explain(self, request: pb.ExplainOrderRequest, _: Caller) -> pb.ExplainOrderResponse:
        order = text_from("order", request.order)
        journal = self._desk.state.journal
        await journal.durable()
        async with self._explaining:
            return pb.ExplainOrderResponse(json=await explained_json(journal.home, order))

    # ---- who may, how much, and what goes wrong

    async def _answered(
        self,
        rpc: str,
        request: Request | Unreadable,
        context: Context,
        work: Callable[[Request, Caller], Awaitable[Answer]],
    ) -> Answer:
        """Every call but a stream comes this way."""
        return await self._answers.give(context, self._permitted(rpc, request, context, work))

    async def _permitted(
        self,
        rpc: str,
        request: Request | Unreadable,
        context: Context,
        work: Callable[[Request, Caller], Awaitable[Answer]],
    ) -> Answer:
        asked = readable(request)
        token = asked.token  # type: ignore[attr-defined]  # each request has one
        caller = await self._identified(token, context)
        if not RIGHTS[rpc].runners:
            check_may(caller, rpc)
        with self._allowances.call(caller.key, rpc):
            return await work(asked, caller)

    async def _identified(self, token: str, context: Context) -> Caller:
        """By its token; whoever shows none, by a certificate. Raises CallerRefused."""
        names = () if token else certified_names(context)
        return self._callers.certified(names) if names else await self._callers.identify(token)


def _check_may_send(caller: Caller, signal: Signal) -> None:
    """Whose only role is to look after risk sends nothing that could add to it."""
    safer = signal.action is Action.CANCEL or signal.closing
    if caller.roles and Role.TRADER not in caller.roles and not safer:
        message = f"a signal that neither cancels nor closes needs role trader; {caller.name} has "
        message += ", ".join(sorted(caller.roles))
        raise NotPermitted(Refusal.MISSING_ROLE, message)


async def _next(requests: AsyncIterator[pb.RunnerMessage]) -> pb.RunnerMessage | None:
    """None: there is no more."""
    return await anext(aiter(requests), None)


def _hello(first: pb.RunnerMessage | Unreadable | None) -> Hello:
    """Raises InvalidMessage, BoundMet."""
    said = readable(first)
    if said is not None and said.ByteSize() > MOST_HELLO:
        why = f"hello: {said.ByteSize()} bytes, at most {MOST_HELLO}"
        raise BoundMet(Bound.REQUEST_SIZE, why)
    message = runner_message_from_proto(said) if said is not None else None
    if not isinstance(message, Hello):
        raise InvalidMessage("message", type(message).__name__, "hello, the first message")
    return message
