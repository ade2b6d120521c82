"""Fills as they come over NATS JetStream: parsed, handed to the desk, acknowledged when durable.

A message is delivered until it is acknowledged, so the same fill comes more than once; the desk
counts it once. What cannot be read is counted and acknowledged: it would never be readable.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from risk_gateway.bus import FILLS_STREAM, FILLS_SUBJECT, Bus, ensure_stream
from strategy_sdk.market import nanoseconds
from trading.fills import Fill, Liquidity
from trading.market import exact
from trading.signals import Side

CONSUMER = "risk-gateway"
_ACK_WAIT_S = 2.0  # then an unacknowledged fill comes again: to a restarted gateway, too
_MOST_UNACKNOWLEDGED = 10_000
_PULL = 500
_EXPIRES_S = 5.0
_MOST_BYTES = 64 * 1024
_LONGEST_TEXT = 200
_MOST_DIGITS = 40
_NEXT = f"$JS.API.CONSUMER.MSG.NEXT.{FILLS_STREAM}.{CONSUMER}"
_REQUEST = msgspec.json.encode({"batch": _PULL, "expires": int(_EXPIRES_S * 1e9)})
_LIQUIDITY = frozenset(Liquidity)
_ORDINARY = ("404", "408", "100")  # nothing there, time is up, still here

log = structlog.get_logger()

# Takes a fill; calls back once it is durable (or was before).
TakeFill = Callable[[Fill, Callable[[], None]], None]


class MalformedFill(ValueError):
    """Names the field, its value and what was expected."""


class FillReader:
    """`run()` it as a task. `on_fault` hears of what `take` raised: the books may be half-moved."""

    def __init__(
        self, bus: Bus, take: TakeFill, on_fault: Callable[[BaseException], object]
    ) -> None:
        self._bus = bus
        self._take = take
        self._on_fault = on_fault
        self._client: Client | None = None
        self._acks: asyncio.Queue[str] = asyncio.Queue()
        self._spent = asyncio.Event()  # the last request will bring no more
        self._open = 0  # messages it may still bring
        self._unusual = ""
        self.malformed: Counter[str] = Counter()
        self.received = 0
        bus.on_reconnected(self._spent.set)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._bus.serve("fills", self._read))
            tasks.create_task(self._acknowledge())

    async def _read(self, client: Client) -> None:
        await ensure_stream(client, FILLS_STREAM, FILLS_SUBJECT)
        await client.jetstream().add_consumer(FILLS_STREAM, _CONSUMER_CONFIG)
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=self._on_message)
        self._client = client
        try:
            while client.is_connected or client.is_reconnecting:
                await self._pull(client, inbox)
        finally:
            if client.is_connected:
                await subscription.unsubscribe()

    async def _pull(self, client: Client, inbox: str) -> None:
        self._spent.clear()
        self._open = _PULL
        await client.publish(_NEXT, _REQUEST, reply=inbox)
        try:
            async with asyncio.timeout(_EXPIRES_S + 1):
                await self._spent.wait()
        except TimeoutError:
            self._unusual = "no answer"
        if self._unusual:  # the consumer may be gone: asking for it says so
            log.warning("fills_pull", status=self._unusual)
            self._unusual = ""
            await client.jetstream().consumer_info(FILLS_STREAM, CONSUMER, timeout=2)
            await asyncio.sleep(0.1)

    async def _on_message(self, message: Msg) -> None:
        status = (message.headers or {}).get("Status")
        if status is not None:
            if status not in _ORDINARY:
                self._unusual = status
            if status != "100":
                self._spent.set()
            return
        self._open -= 1
        if self._open <= 0:
            self._spent.set()
        try:
            self._on_fill(message.data, message.reply)
        except Exception as error:  # noqa: BLE001  # the NATS client would note it, and go on
            self._on_fault(error)

    def _on_fill(self, payload: bytes, reply: str) -> None:
        self.received += 1
        try:
            fill = parse_fill(payload)
        except MalformedFill as error:
            self.malformed[str(error).partition(":")[0]] += 1
            log.warning("fill_malformed", error=str(error))
            self._acks.put_nowait(reply)
        else:
            self._take(fill, lambda: self._acks.put_nowait(reply))

    async def _acknowledge(self) -> None:
        while True:
            reply = await self._acks.get()
            if self._client is not None and self._client.is_connected:  # else it comes again
                await self._client.publish(reply, b"+ACK")


_CONSUMER_CONFIG = ConsumerConfig(
    durable_name=CONSUMER,
    ack_policy=AckPolicy.EXPLICIT,
    ack_wait=_ACK_WAIT_S,
    max_ack_pending=_MOST_UNACKNOWLEDGED,
)


class _Wire(msgspec.Struct):
    """contracts: trading.fills. Numbers as decimal strings from us, as numbers from others."""

    fill_id: str
    symbol: str
    side: Side
    price: str | int | float
    quantity: str | int | float
    timestamp: int | str
    fee: str | int | float = "0"
    order_id: str = ""
    strategy: str = ""
    client_order_id: str = ""
    liquidity: str = ""
    venue: str = ""
    busts: str = ""
    fee_currency: str = ""


_decode = msgspec.json.Decoder(_Wire).decode


def parse_fill(payload: bytes) -> Fill:
    """Raises MalformedFill."""
    if len(payload) > _MOST_BYTES:
        raise MalformedFill(f"size: {len(payload)} bytes, expected at most {_MOST_BYTES}")
    try:
        wire = _decode(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedFill(f"message: {error}") from error
    return Fill(
        fill_id=_text("fill_id", wire.fill_id, 1),
        symbol=_text("symbol", wire.symbol, 1),
        side=wire.side,
        price=_positive("price", wire.price),
        quantity=_positive("quantity", wire.quantity),
        fee=_decimal("fee", wire.fee),
        at_ns=_time(wire.timestamp),
        order_id=_text("order_id", wire.order_id, 0),
        strategy=_text("strategy", wire.strategy, 0),
        client_order_id=_text("client_order_id", wire.client_order_id, 0),
        liquidity=Liquidity(wire.liquidity) if wire.liquidity in _LIQUIDITY else Liquidity.TAKER,
        venue=_text("venue", wire.venue, 0),
        busts=_text("busts", wire.busts, 0),
        fee_currency=_text("fee_currency", wire.fee_currency, 0),
    )


def _text(field: str, value: str, least: int) -> str:
    if not least <= len(value) <= _LONGEST_TEXT:
        raise MalformedFill(f"{field}: {value[:40]!r}, expected {least} to {_LONGEST_TEXT} letters")
    return value


def _decimal(field: str, value: str | float) -> Decimal:
    text = value if isinstance(value, str) else str(exact(value))
    try:
        number = Decimal(text) if len(text) <= _MOST_DIGITS else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        raise MalformedFill(f"{field}: {text[:40]!r}, expected a decimal")
    return number


def _positive(field: str, value: str | float) -> Decimal:
    number = _decimal(field, value)
    if number <= 0:
        raise MalformedFill(f"{field}: {value!r}, expected more than 0")
    return number


def _time(stamp: int | str) -> int:
    try:
        at_ns = stamp if isinstance(stamp, int) else nanoseconds(stamp)
    except (ValueError, OverflowError) as error:
        raise MalformedFill(f"timestamp: {str(stamp)[:40]!r}, expected RFC 3339 or ns") from error
    if not 0 <= at_ns < 2**63:
        raise MalformedFill(f"timestamp: {at_ns}, expected nanoseconds since 1970")
    return at_ns
