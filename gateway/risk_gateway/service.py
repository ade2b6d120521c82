"""The RiskGateway service: proto at the edge, the desk behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import structlog

from handover.messages import Hello
from risk_gateway.answers import EXPECTED, Answers
from risk_gateway.callers import Callers, RefusalLog, check_operator
from risk_gateway.desk import Desk, NotDeployed, deployment_of, name_from, scope_from
from risk_gateway.reconcile import differences, in_thread
from risk_gateway.records import Decided
from risk_gateway.report import Surroundings, desk_to_proto, order_to_proto
from risk_gateway.sessions import Context, StreamSession
from risk_gateway.strategy import Strategy
from risk_gateway.venue import Venue
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_api.v1.risk_gateway_pb2_grpc import RiskGatewayServicer
from stratops_wire import InvalidMessage
from stratops_wire.session import runner_message_from_proto
from stratops_wire.signals import signal_from_proto, verdict_to_proto
from trading.scopes import Scope
from trading.signals import Signal, Verdict
from trading.standings import Standing

log = structlog.get_logger()

HELLO_S = 5.0
LAST_WRITE_S = 1.0
MOST_WRITING = 512  # entries on their way to disk
MOST_ORDERS_A_PAGE = 1_000


class Service(RiskGatewayServicer):
    def __init__(
        self,
        desk: Desk,
        venue: Venue,
        callers: Callers,
        surroundings: Surroundings,
        on_fault: Callable[[BaseException], None],
    ) -> None:
        self._desk = desk
        self._venue = venue
        self._callers = callers
        self._answers = Answers(RefusalLog(desk.state.counts.unknown_callers), on_fault)
        self._surroundings = surroundings
        self._reconciling = asyncio.Lock()

    # ---- runners

    async def Trade(  # type: ignore[override]  # noqa: N802  # written to, not iterated; the contract's name
        self, request_iterator: AsyncIterator[pb.RunnerMessage], context: Context
    ) -> None:
        await self._answers.give(context, self._trade(request_iterator, context))

    async def _trade(self, requests: AsyncIterator[pb.RunnerMessage], context: Context) -> None:
        hello = await _hello(requests)
        caller = await self._callers.identify(hello.token)
        session = StreamSession()
        strategy = self._desk.connect(session, hello, caller)
        log.info("runner_connected", strategy=strategy.name, instance=hello.instance)
        try:
            await self._converse(requests, context, session, strategy, hello.instance)
        finally:
            self._desk.disconnect(strategy, hello.instance, session)
            log.info("runner_gone", strategy=strategy.name, instance=hello.instance)
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
            message = runner_message_from_proto(request)
            if session.closed:
                return
            if isinstance(message, Hello):
                raise InvalidMessage("message", "hello", "one hello a session, the first message")
            self._desk.message(strategy, instance, message)
            while self._desk.state.journal.waiting > MOST_WRITING:
                await self._desk.state.journal.durable()  # gRPC holds the runner back meanwhile

    # ---- tools

    async def SubmitSignal(  # noqa: N802
        self, request: pb.SubmitSignalRequest, context: Context
    ) -> pb.SubmitSignalResponse:
        return await self._answers.give(context, self._submit_signal(request))

    async def _submit_signal(self, request: pb.SubmitSignalRequest) -> pb.SubmitSignalResponse:
        strategy = await self._strategy_of(request)
        if not request.signal.HasField("cause"):
            self._give_cause(request.signal)
        signal = signal_from_proto(request.signal)
        verdict = await self._verdict(strategy, request.epoch, signal)
        return pb.SubmitSignalResponse(verdict=verdict_to_proto(verdict))

    async def _verdict(self, strategy: Strategy, epoch: int, signal: Signal) -> Verdict:
        decided: asyncio.Future[Decided] = asyncio.get_running_loop().create_future()

        def done(decision: Decided) -> None:
            if not decided.done():  # whoever asked may be gone
                decided.set_result(decision)

        refused = self._desk.submit(strategy, epoch, signal, done)
        return refused if refused is not None else (await decided).verdict

    async def _strategy_of(self, request: pb.SubmitSignalRequest) -> Strategy:
        caller = await self._callers.identify(request.token)
        strategy = self._desk.state.strategies.get(request.strategy)
        if not caller.is_operator:
            revision = strategy.grants.revision if strategy is not None else ""
            return self._desk.permitted(caller, request.strategy, revision)
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
        async def begin() -> pb.BeginTermResponse:
            await self._check_operator(request.token)
            term = self._desk.begin_term(request.holder)
            await self._desk.state.journal.durable()
            return pb.BeginTermResponse(term=term)

        return await self._answers.give(context, begin())

    async def Deploy(  # noqa: N802
        self, request: pb.DeployRequest, context: Context
    ) -> pb.DeployResponse:
        async def deploy() -> pb.DeployResponse:
            await self._check_operator(request.token)
            try:
                self._deploy(request)
            except EXPECTED:
                self._desk.state.counts.deployment_errors += 1
                raise
            await self._desk.state.journal.durable()
            return pb.DeployResponse()

        return await self._answers.give(context, deploy())

    def _deploy(self, request: pb.DeployRequest) -> None:
        runners = self._callers.runners(request.runner_token_sha256, request.runner_pods)
        deployment = deployment_of(request.revision, request.content, runners)
        self._desk.deploy(request.term, name_from(request.strategy), deployment)

    async def Withdraw(  # noqa: N802
        self, request: pb.WithdrawRequest, context: Context
    ) -> pb.WithdrawResponse:
        async def withdraw() -> pb.WithdrawResponse:
            await self._check_operator(request.token)
            reason = request.reason[:200]
            self._desk.withdraw(request.term, request.strategy, reason, flatten=request.flatten)
            await self._desk.state.journal.durable()
            return pb.WithdrawResponse()

        return await self._answers.give(context, withdraw())

    async def Halt(self, request: pb.HaltRequest, context: Context) -> pb.HaltResponse:  # noqa: N802
        async def halt() -> pb.HaltResponse:
            await self._check_operator(request.token)
            standing = Standing.REDUCING if request.reducing else Standing.HALTED
            self._desk.bounds.halt(request.reason[:200], self._scope(request), standing)
            await self._desk.state.journal.durable()
            return pb.HaltResponse(at_ns=self._desk.state.wall_ns())

        return await self._answers.give(context, halt())

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.ResumeResponse:  # noqa: N802
        async def resume() -> pb.ResumeResponse:
            await self._check_operator(request.token)
            self._desk.bounds.resume(request.reason[:200], self._scope(request))
            await self._desk.state.journal.durable()
            return pb.ResumeResponse(at_ns=self._desk.state.wall_ns())

        return await self._answers.give(context, resume())

    def _scope(self, request: pb.HaltRequest | pb.ResumeRequest) -> Scope:
        """Raises InvalidMessage: a name that is not known would halt nothing, and look as if."""
        scope = scope_from(request.strategy, request.symbol, request.account)
        self._desk.check_known(scope)
        return scope

    # ---- reading

    async def GetDesk(self, request: pb.GetDeskRequest, context: Context) -> pb.Desk:  # noqa: N802
        return await self._answers.give(context, self._get_desk(request))

    async def _get_desk(self, request: pb.GetDeskRequest) -> pb.Desk:
        await self._check_operator(request.token)
        found: list[str] = []
        if request.reconcile:
            async with self._reconciling:
                found = list(await differences(self._desk.state, self._venue))
        answer = desk_to_proto(self._desk, self._surroundings)
        await self._desk.state.journal.durable()  # what it says may still be on its way to disk
        if request.reconcile:
            answer.reconciliation.equal = not found
            answer.reconciliation.differences.extend(found)
        return answer

    async def ListDeskOrders(  # noqa: N802
        self, request: pb.ListDeskOrdersRequest, context: Context
    ) -> pb.ListDeskOrdersResponse:
        return await self._answers.give(context, self._list_orders(request))

    async def _list_orders(self, request: pb.ListDeskOrdersRequest) -> pb.ListDeskOrdersResponse:
        await self._check_operator(request.token)
        most = min(request.limit or MOST_ORDERS_A_PAGE, MOST_ORDERS_A_PAGE)
        page = await in_thread(
            self._desk.state.journal.path,
            lambda archive: [
                order_to_proto(placed)
                for placed in archive.orders(request.after_client_order_id, request.strategy, most)
            ],
        )
        after = page[-1].client_order_id if len(page) == most else ""
        return pb.ListDeskOrdersResponse(orders=page, next_after_client_order_id=after)

    # ---- who may, and what goes wrong

    async def _check_operator(self, token: str) -> None:
        check_operator(await self._callers.identify(token))


async def _hello(requests: AsyncIterator[pb.RunnerMessage]) -> Hello:
    try:
        async with asyncio.timeout(HELLO_S):
            first = await anext(aiter(requests), None)
    except TimeoutError:
        first = None
    message = runner_message_from_proto(first) if first is not None else None
    if not isinstance(message, Hello):
        raise InvalidMessage("message", type(message).__name__, f"hello within {HELLO_S:.0f} s")
    return message
