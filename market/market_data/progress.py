"""What a replay and its consumers tell each other beside the data, as JSON over Redis.

The replay says each second where it is (`market-heartbeat:<session>`); each consumer says what it
has processed (`market-progress:<session>`), and the replay waits for the slowest.
"""

import msgspec

HEARTBEATS = "market-heartbeat:*"


class Heartbeat(msgspec.Struct, frozen=True):
    """Where a feed is. `streams` has the last sequence published of each "SYMBOL/type"."""

    session: str
    published: int = 0
    streams: dict[str, int] = {}
    ended: bool = False
    position: int = 0  # messages of the replay's files behind it


class Progress(msgspec.Struct, frozen=True):
    """What one consumer has processed of each stream, and which messages reach it at all.

    `symbols` empty means every symbol on its channels. `life` tells one process from its successor;
    `subscription` counts the times it subscribed, so the replay knows that a link was lost between.
    `session` is the one it has heard of last. With `leaving` it needs no more messages.
    """

    consumer: str
    streams: dict[str, int] = {}
    channels: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    life: str = ""
    subscription: int = 1
    session: str = ""
    leaving: bool = False


encode = msgspec.json.Encoder().encode
decode_heartbeat = msgspec.json.Decoder(Heartbeat).decode
decode_progress = msgspec.json.Decoder(Progress).decode


def heartbeat_channel(session: str) -> str:
    return f"market-heartbeat:{session}"


def progress_channel(session: str) -> str:
    return f"market-progress:{session}"


def origin(session: str) -> str:
    """The run that a session belongs to: "run-1" of "run-1.2"."""
    return session.partition(".")[0]
