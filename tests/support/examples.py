"""How many examples of a law that takes long to try."""

from typing import Any

from hypothesis import settings

_OF_OTHERS = 50  # in the gate, by its profile


def examples(in_the_gate: int, **more: Any) -> settings:
    """At length (`--hypothesis-profile long`) as many times more as of other laws."""
    times = settings().max_examples // _OF_OTHERS
    return settings(max_examples=in_the_gate * times, **more)
