"""How long things may take. Seconds of the time the gateway was awake."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    lease: float = 1.0  # without a word, or without a link and a follower to replace it
    silent: float = 2.0  # armed without a word, and nobody ready to replace it
    resume: float = 2.0  # after a restart of the gateway, for the others to come back
    alive: float = 0.2  # of silence, until a runner says that it is there
    alone: float = 0.5  # the same, armed and without a follower that could replace it
    fresh: float = 0.6  # a successor must have been heard from so lately
    stop: float = 0.25  # between Stop and the last batch
    step: float = 0.05  # stopped without a feed: for a follower that has it all
    ready: float = 10.0  # from connecting until it follows and agrees
    warm: float = 3_600.0  # the same without a snapshot
    soak: float = 0.2  # the old one still follows, after the first batch of the new one
    probation: float = 1.0  # armed so long: not a crash loop
    nap: float = 0.05  # between two ticks at most this counts as awake
    failures: int = 3  # in a row, before a revision is given up


TIMING = Timing()
