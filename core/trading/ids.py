"""Deterministic ids: whoever decides the same tick again makes the same id.

A restarted or successor runner therefore repeats ids, which journal and venue recognise.
"""

import uuid

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "stratops.dev")


def signal_id(strategy: str, session: str, stream: str, sequence: int, nth: int) -> str:
    """The id of the nth signal (from 0) that `strategy` makes on one message of a feed session.

    A restarted feed appends `.<n>` to its session; ids are made of what stands before it.
    """
    origin = session.partition(".")[0]
    return str(uuid.uuid5(_NAMESPACE, f"{strategy}|{origin}|{stream}|{sequence}|{nth}"))


def client_order_id(signal_id: str, leg: int = 0) -> str:
    return f"{signal_id}-{leg}"


def signal_of(client_order_id: str) -> str:
    """Of an order that somebody else made, a name for what might have been its signal."""
    return client_order_id.rpartition("-")[0] or client_order_id
