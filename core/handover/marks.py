"""Comparing places: what was decided before."""

from dataclasses import replace

from handover.messages import Mark
from trading.signals import Cause


def decided(floor: Mark, cause: Cause) -> bool:
    """Whether the message `cause`, of the floor's session, lies at or below the floor."""
    return cause.sequence <= floor.sequences.get(cause.stream, -1)


def raised(floor: Mark, mark: Mark) -> Mark:
    """What was decided when both were.

    Another session begins again. A feed without sessions has no floor: where its sequences begin
    anew cannot be seen.
    """
    if not mark.session:
        return floor
    if mark.session != floor.session:
        return Mark(sequences=mark.sequences, session=mark.session)
    streams = floor.sequences.keys() | mark.sequences.keys()
    highest = {
        stream: max(floor.sequences.get(stream, -1), mark.sequences.get(stream, -1))
        for stream in streams
    }
    return replace(floor, sequences=highest)
