"""The runner as a process, on a real Redis and a real gRPC stream."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from handover.messages import (
    Alive,
    Batch,
    Hello,
    OrderFill,
    Outcome,
    Outcomes,
    Release,
    Subscribed,
    Trouble,
)
from kube_probe import page
from market_data import NO_LINK
from own_time import Watch
from stratops_wire.leader import NOT_WANTED
from trading.signals import Side

pytestmark = pytest.mark.servers

CHANNEL = "market:btcusdt"
FLAT, UP, DOWN = (100, 100), (110, 110), (90, 90)
CROSS = {"parameters": {"short_period": 1, "long_period": 4, "quantity": "2"}}


def tick(sequence: int, bid: float = 100, ask: float = 100, **fields: Any) -> bytes:
    message = {
        "symbol": "BTCUSDT", "type": "tick", "timestamp": 10**18 + sequence, "sequence": sequence,
        "bid_price": bid, "ask_price": ask, "session": "run-1",
    }  # fmt: skip
    return json.dumps(message | fields).encode()


def inline(*lines: str) -> dict[str, Any]:
    """A strategy whose on_market_data has these lines."""
    head = "import os, sys, time\nfrom strategy_sdk import Strategy\n\n\nclass Mine(Strategy):\n"
    body = "    def on_market_data(self, event):\n" + "".join(f"        {line}\n" for line in lines)
    return {"source": {"inline": head + body, "name": "mine.py"}}


class Desk:
    """A gateway, a Redis and a runner; `armed` waits for the runner to decide."""

    def __init__(self, gateway: Any, server: Any, process: Any) -> None:
        self.gateway = gateway
        self.process = process
        self._server = server
        self._redis = redis.Redis(port=server.port)
        self._sequence = 0

    def start(self, spec: dict[str, Any], **environment: str) -> None:
        told = {"STRATOPS_GATEWAY": self.gateway.address} | environment
        self.process.start({"redis_url": self._server.url} | spec, **told)

    async def armed(self, spec: dict[str, Any], **environment: str) -> None:
        self.start(spec, **environment)
        await self.gateway.until(lambda: self.gateway.of(Batch))

    def publish(self, *quotes: tuple[float, float]) -> None:
        for bid, ask in quotes:
            self._sequence += 1
            self._redis.publish(CHANNEL, tick(self._sequence, bid, ask))

    async def quiet(self) -> None:
        """What was on its way has come, and for a second nothing more."""
        heard = -1
        async with asyncio.timeout(40):
            while heard != len(self.gateway.heard):
                heard = len(self.gateway.heard)
                await asyncio.sleep(1)

    def publish_raw(self, payload: bytes) -> None:
        self._redis.publish(CHANNEL, payload)

    async def counted(self, field: str, count: int) -> None:
        await self.gateway.until(lambda: getattr(self.last_counters(), field, 0) >= count)

    def last_counters(self) -> Any:
        alive = self.gateway.of(Alive)
        return alive[-1].counters if alive else None

    @property
    def signals(self) -> list[Any]:
        return [signal for batch in self.gateway.of(Batch) for signal in batch.signals]


@pytest.fixture
async def desk(gateway: Any, redis_server: Any, process: Any) -> AsyncIterator[Desk]:
    made = Desk(gateway, redis_server, process)
    yield made
    made._redis.close()


async def test_ticks_become_orders_at_the_gateway(desk: Desk) -> None:
    await desk.armed(CROSS)
    desk.publish(*[FLAT] * 4, UP, DOWN)
    await desk.gateway.until(lambda: len(desk.signals) == 2)
    assert [(signal.side, signal.cause.sequence) for signal in desk.signals] == [
        (Side.BUY, 5),
        (Side.SELL, 6),
    ]


async def test_the_first_word_of_a_session_says_who_it_is(desk: Desk) -> None:
    await desk.armed(CROSS, STRATOPS_INSTANCE="life-1")
    (hello,) = desk.gateway.of(Hello)
    assert (hello.strategy, hello.revision) == ("probe", "0123456789")
    assert (hello.instance, hello.token, hello.state_key) == ("life-1", "secret", "k")


async def test_it_tells_of_a_feed_that_is_silent_and_of_one_that_is_lost(
    desk: Desk, redis_server: Any
) -> None:
    await desk.armed(CROSS)
    await desk.counted("feed_age_ns", 3 * 10**9)
    redis_server.kill()
    await desk.gateway.until(lambda: desk.last_counters().feed_age_ns == NO_LINK)


async def test_a_fill_is_an_input_of_the_next_batch(desk: Desk) -> None:
    await desk.armed(CROSS)
    desk.publish(*[FLAT] * 4, UP)
    await desk.gateway.until(lambda: desk.signals)
    (buy,) = desk.signals
    part = OrderFill("f-1", "BTCUSDT", Side.BUY, buy.quantity, buy.quantity, buy.quantity, 1)
    desk.gateway.say(Outcomes((Outcome(1, buy.id, part),)))
    await desk.gateway.until(lambda: [b.inputs for b in desk.gateway.of(Batch) if b.inputs])


async def test_what_is_malformed_is_counted_and_the_rest_arrives(desk: Desk) -> None:
    await desk.armed(CROSS)
    for payload in (b"{", tick(1, bid=-1), tick(2, symbol="DOGE"), b"[" * 5000, tick(3)):
        desk.publish_raw(payload)
    await desk.counted("ticks", 1)
    assert desk.last_counters().dropped == {"malformed": 3, "unknown_symbol": 1}


async def test_a_strategy_that_raises_now_and_then_goes_on(desk: Desk) -> None:
    await desk.armed(inline("if event.sequence % 2: raise KeyError('odd')"))
    desk.publish(*[FLAT] * 300)
    await desk.counted("ticks", 300)
    assert desk.last_counters().errors == 150
    await desk.gateway.until(lambda: "strategy_raised" in desk.process.log.read_text())
    (said,) = [event for event in desk.process.events() if event["event"] == "strategy_raised"]
    assert "KeyError: 'odd'" in said["traceback"]


async def test_a_strategy_that_only_raises_is_stopped_by_name(desk: Desk) -> None:
    await desk.armed(inline("raise ValueError('always')"))
    desk.publish(*[FLAT] * 100)
    assert await desk.process.ended() == 4
    assert desk.process.last_words == (
        "strategy_runner: strategy: STRATEGY_ERRORS: 100 messages in a row raised, expected one of"
        " them not to; the last: mine.py:7: ValueError: always"
    )
    assert [trouble.reason for trouble in desk.gateway.of(Trouble)] == ["STRATEGY_ERRORS"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [("sys.exit('enough')", "STRATEGY_EXIT"), ("raise MemoryError", "OUT_OF_MEMORY")],
)
async def test_a_strategy_that_must_not_go_on_is_stopped_at_once(
    desk: Desk, line: str, reason: str
) -> None:
    await desk.armed(inline(line))
    desk.publish(FLAT)
    assert await desk.process.ended() == 4
    assert f"strategy: {reason}: " in desk.process.last_words
    assert "the last: mine.py:7: " in desk.process.last_words
    assert [trouble.reason for trouble in desk.gateway.of(Trouble)] == [reason]


async def test_a_strategy_that_hangs_says_nothing_any_more(desk: Desk, tmp_path: Path) -> None:
    await hanging(desk, tmp_path, "time.sleep(120)")
    await desk.quiet()


async def hanging(desk: Desk, folder: Path, line: str) -> None:
    """Armed, and at that line, which is the eighth of its file."""
    here = folder / "here"
    await desk.armed(inline(f"open({str(here)!r}, 'w').close()", line))
    desk.publish(FLAT)
    await desk.gateway.until(here.exists)


async def test_sigterm_ends_it_within_a_second_with_everything_acknowledged(desk: Desk) -> None:
    await desk.armed(CROSS)
    desk.publish(*[FLAT] * 50)
    await desk.counted("ticks", 50)
    assert await desk.process.seconds_to_end() < 1
    assert await desk.process.ended() == 143
    last = desk.gateway.of(Batch)[-1]
    assert (bool(last.stopped), last.mark.sequences) == (True, {"BTCUSDT/tick": 50})


@pytest.mark.parametrize("line", ["time.sleep(120)", "while True: pass"])
async def test_sigterm_ends_a_hanging_strategy_too(desk: Desk, tmp_path: Path, line: str) -> None:
    await hanging(desk, tmp_path, line)
    assert await desk.process.seconds_to_end() < 1
    assert await desk.process.ended() == 5
    assert desk.process.last_words == (
        "strategy_runner: strategy: still at mine.py:8 0.8 s after it was asked to end, expected it"
        " to return"
    )


async def test_a_release_ends_it(desk: Desk) -> None:
    await desk.armed(CROSS)
    desk.gateway.say(Release("replaced"))
    assert await desk.process.ended() == 0
    assert desk.process.last_words == "strategy_runner: released: replaced"


HANGS_AT_THE_END = """
import threading, time
from strategy_sdk import Strategy


class Mine(Strategy):
    def start(self):
        threading.Thread(target=time.sleep, args=(60,)).start()

    def on_market_data(self, event):
        pass

    def shutdown(self):
        time.sleep(60)
"""


async def test_an_author_who_does_not_let_go_does_not_hold_up_a_release(desk: Desk) -> None:
    await desk.armed({"source": {"inline": HANGS_AT_THE_END, "name": "mine.py"}})
    desk.gateway.say(Release("replaced"))
    with Watch() as watch:
        assert await desk.process.ended() == 0
        assert watch.seconds < 2
    assert desk.process.last_words == "strategy_runner: released: replaced"


async def test_who_is_unknown_stays_says_why_and_is_served_when_it_is_known(
    desk: Desk, port: Any
) -> None:
    """For longer than it is taken for early: an exit would be a crash loop's beginning."""
    number = port()
    desk.gateway.refuses = True
    desk.start(CROSS, STRATOPS_METRICS_PORT=str(number))
    await desk.gateway.until(lambda: desk.gateway.refused > 1)  # of the first it has heard then
    with pytest.raises(subprocess.TimeoutExpired):
        await desk.process.ended(15)
    status, text = await page(number, "/ready")
    why = f"gateway {desk.gateway.address}: UNAUTHENTICATED: unknown_caller"
    assert (status, why in text) == (503, True)
    assert (await page(number, "/health"))[0] == 200
    desk.gateway.refuses = False
    await desk.gateway.until(lambda: desk.gateway.sessions == 1)


async def test_sigterm_ends_within_a_second_who_is_refused(desk: Desk, port: Any) -> None:
    number = port()
    desk.gateway.refuses = True
    desk.start(CROSS, STRATOPS_METRICS_PORT=str(number))
    await desk.gateway.until(lambda: desk.gateway.refused)
    assert await desk.process.seconds_to_end() < 1
    assert await desk.process.ended() == 143


async def test_what_is_wanted_no_more_ends_as_released(desk: Desk) -> None:
    desk.gateway.refuses, desk.gateway.refusal = True, NOT_WANTED
    desk.start(CROSS)
    assert await desk.process.ended(60) == 0
    assert desk.process.last_words == "strategy_runner: released: unknown_caller"


async def test_probes_are_answered_while_the_strategy_is_slow(desk: Desk, port: Any) -> None:
    """Ten seconds of work in one burst; kubelet waits a second for each answer."""
    number = port()
    await desk.armed(inline("time.sleep(0.01)"), STRATOPS_METRICS_PORT=str(number))
    desk.publish(*[FLAT] * 1_000)
    for path in ("/health", "/ready", "/metrics") * 5:
        with Watch() as watch:
            assert (await page(number, path))[0] == 200
            assert watch.seconds < 1
    await desk.counted("ticks", 1)
    assert desk.last_counters().ticks < 1_000
    assert desk.gateway.sessions == 1


async def test_who_waits_for_a_feed_is_healthy_and_not_ready(desk: Desk, port: Any) -> None:
    number = port()
    await desk.armed(CROSS, STRATOPS_METRICS_PORT=str(number))
    desk._server.kill()
    missing = ""
    while "feed no connection: [Errno 111] Connect call failed" not in missing:
        status, missing = await page(number, "/ready")
    assert status == 503
    assert (await page(number, "/health"))[0] == 200


async def test_a_lost_gateway_is_found_again(desk: Desk) -> None:
    await desk.armed(CROSS)
    address = desk.gateway.address
    await desk.gateway.stop()
    await desk.gateway.start(address)
    await desk.gateway.until(lambda: len(desk.gateway.of(Hello)) == 2)
    assert desk.gateway.of(Hello)[-1].epoch == 7


async def test_batches_wait_for_their_acknowledgement(desk: Desk) -> None:
    desk.gateway.acknowledges = False
    await desk.armed(inline("self.buy('BTCUSDT', 1)"))
    for _ in range(5):
        desk.publish(*[FLAT] * 60)  # enough signals to leave although a batch is under way
        await asyncio.sleep(0.1)
    await desk.counted("ticks", 300)
    await desk.gateway.until(lambda: len(desk.gateway.of(Batch)) >= 2)
    await asyncio.sleep(0.5)
    assert len(desk.gateway.of(Batch)) == 2


async def test_memory_stays_small(desk: Desk) -> None:
    await desk.armed(CROSS)
    desk.publish(*[FLAT] * 500)
    await desk.counted("ticks", 500)
    assert psutil.Process(desk.process.pid).memory_info().rss < 45 * 2**20


async def test_uvloop_is_a_choice(desk: Desk) -> None:
    await desk.armed(CROSS, STRATOPS_UVLOOP="1")
    desk.publish(*[FLAT] * 4, UP)
    await desk.gateway.until(lambda: desk.signals)


async def test_the_pages_tell_health_readiness_and_figures(desk: Desk, port: Any) -> None:
    number = port()
    await desk.armed(CROSS, STRATOPS_METRICS_PORT=str(number), STRATEGY_ENGINE_API_KEY="key")
    desk.publish(*[FLAT] * 4, UP)
    await desk.gateway.until(lambda: desk.signals)
    assert await page(number, "/health") == (200, "ok\n")
    assert await page(number, "/ready") == (200, "ready\n")
    metrics = (await page(number, "/metrics"))[1]
    received = 'strategy="probe",symbol="BTCUSDT",type="tick"'
    assert f"strategy_engine_market_data_received_total{{{received}}} 5.0" in metrics
    assert 'strategy_engine_strategy_signals_total{side="buy",' in metrics
    assert (await page(number, "/status"))[0] == 401
    assert json.loads((await page(number, "/status", "key"))[1])["phase"] == "armed"


async def test_that_the_feed_is_there_is_told_as_soon_as_it_is(desk: Desk) -> None:
    desk._server.process.send_signal(signal.SIGSTOP)  # its session is open before
    desk.start(CROSS)
    await desk.gateway.until(lambda: desk.gateway.of(Hello))
    desk._server.process.send_signal(signal.SIGCONT)
    await desk.gateway.until(lambda: desk.gateway.of(Batch))
    said = list(desk.gateway.heard)
    told = said[next(n for n, each in enumerate(said) if isinstance(each, Subscribed)) + 1]
    assert isinstance(told, Alive)
    assert told.counters.feed_age_ns != NO_LINK


async def test_a_stopped_process_is_silent(desk: Desk) -> None:
    await desk.armed(CROSS)
    os.kill(desk.process.pid, signal.SIGSTOP)
    await desk.quiet()
