"""Deterministic ids: whoever decides the same tick again makes the same id.

A restarted or successor runner therefore repeats ids, which journal and venue recognise. Ids of one
stream sort as its messages do: neighbours in time are neighbours in an index of them, so a commit
writes few of its pages. Of hashes alone, each row would be on a page of its own.
"""

import uuid

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "stratops.dev")
_HASHED = 76  # bits of the hash that are kept; its variant is among them
_SEQUENCE = (1 << 48) - 1
_VERSION = 8  # of UUIDs made by a rule of one's own, RFC 9562


def signal_id(strategy: str, session: str, stream: str, sequence: int, nth: int) -> str:
    """The id of the nth signal (from 0) that `strategy` makes on one message of a feed session.

    A restarted feed appends `.<n>` to its session; ids are made of what stands before it. All of
    it is hashed, also the sequence, whose last 48 bits stand in front.
    """
    origin = session.partition(".")[0]
    hashed = uuid.uuid5(_NAMESPACE, f"{strategy}|{origin}|{stream}|{sequence}|{nth}").int
    place = (sequence & _SEQUENCE) << 4 | _VERSION
    return str(uuid.UUID(int=place << _HASHED | hashed & (1 << _HASHED) - 1))


def client_order_id(signal_id: str, leg: int = 0) -> str:
    return f"{signal_id}-{leg}"


def signal_of(client_order_id: str) -> str:
    """Of an order that somebody else made, a name for what might have been its signal."""
    return client_order_id.rpartition("-")[0] or client_order_id
