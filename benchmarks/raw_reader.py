"""The floor under ingest: hiredis and msgspec with nothing between, as a process of its own.

python benchmarks/raw_reader.py REDIS_PORT CHANNEL... prints READY, counts until SIGTERM, then one
JSON line with its ticks and its CPU time in seconds between the first and the last of them.
"""

import asyncio
import json
import signal
import sys
import time

import hiredis
import msgspec


class Tick(msgspec.Struct, gc=False):
    symbol: str
    timestamp: int
    sequence: int
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float


class Reader(asyncio.Protocol):
    def __init__(self, channels: list[str]) -> None:
        self.channels = channels
        self.replies = hiredis.Reader()
        self.ticks = -len(channels)  # the confirmations come first
        self.began = self.ended = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        subscribe = ("SUBSCRIBE", *self.channels)
        transport.write(hiredis.pack_command(subscribe))  # type: ignore[arg-type]  # its stub has a tuple of one

    def data_received(self, data: bytes) -> None:
        self.replies.feed(data)
        gets, ticks, decode = self.replies.gets, self.ticks, _decode
        while (reply := gets()) is not False:
            if ticks >= 0:
                decode(reply[2])
            ticks += 1
        if self.ticks < 0 <= ticks:
            print("READY", flush=True)
        if self.ticks <= 0 < ticks:
            self.began = time.process_time()
        self.ticks = ticks
        self.ended = time.process_time()


_decode = msgspec.json.Decoder(Tick).decode


async def main() -> None:
    port, *channels = sys.argv[1:]
    reader = Reader(channels)
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    await loop.create_connection(lambda: reader, "127.0.0.1", int(port))
    await done.wait()
    print(json.dumps({"ticks": reader.ticks, "cpu_s": reader.ended - reader.began}), flush=True)


asyncio.run(main())
