"""How a runner's process ends: its exit code for whoever starts it, its reason for a person."""

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    DONE = 0  # released by the gateway: nobody need start it again
    FAULT = 1  # a mistake in this program
    SETTINGS = 2  # environment, spec file or instrument catalogue cannot be used
    STRATEGY = 4  # the strategy cannot be loaded, or was stopped for its errors
    HUNG = 5  # asked to end while the strategy held the process
    ASKED = 143  # by SIGTERM or SIGINT. Not 0: kubelet asks it, too, whose probe has failed


@dataclass(frozen=True, slots=True)
class Ending:
    code: Exit
    reason: str
