"""A paced publisher of ticks, as a process of its own: the live market of a benchmark.

python benchmarks/flood.py REDIS_URL TICKS_PER_SECOND SECONDS publishes to market:btcusdt and prints
one JSON line at the end: how many, and how many seconds it was behind its pace at the most.
"""

import json
import socket
import sys
import time
from urllib.parse import urlsplit

import hiredis

_BODY = (
    b'{"symbol":"BTCUSDT","type":"tick","timestamp":%d,"sequence":%d,"bid_price":%d.63,'
    b'"bid_size":3.78826,"ask_price":%d.64,"ask_size":1.54698,"last_price":%d.63,"volume":12345.5,'
    b'"volume_quote":763418291.25,"venue":"benchmark","note":"padded to three hundred bytes, as a '
    b'feed with a few more fields of its own would send it"}'
)
_MOST_AT_ONCE = 500


def publish(url: str, rate: int, seconds: float) -> dict[str, float]:
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname or "", address.port or 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    replies = hiredis.Reader()
    total, sent, behind = int(rate * seconds), 0, 0.0
    began = time.monotonic()
    while sent < total:
        due = min(total, int((time.monotonic() - began) * rate) + 1)
        behind = max(behind, (due - sent) / rate)
        upto = min(due, sent + _MOST_AT_ONCE)
        connection.sendall(b"".join(map(_command, range(sent + 1, upto + 1))))
        _await(connection, replies, upto - sent)
        sent = upto
        if sent == due:
            time.sleep(0.0005)
    return {"ticks": sent, "behind_s": behind}


def _command(number: int) -> bytes:
    price = 61_000 + number % 997
    body = _BODY % (time.time_ns(), number, price, price, price)
    packed: bytes = hiredis.pack_command((b"PUBLISH", b"market:btcusdt", body))  # type: ignore[arg-type]  # its stub has a tuple of one
    return packed


def _await(connection: socket.socket, replies: hiredis.Reader, count: int) -> None:
    while count:
        if replies.gets() is False:
            replies.feed(connection.recv(65_536))
        else:
            count -= 1


if __name__ == "__main__":
    print(json.dumps(publish(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))), flush=True)
