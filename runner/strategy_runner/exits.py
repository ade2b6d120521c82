"""How a runner's process ends, as its exit code says it."""

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0  # released by the gateway, or asked to end
    SETTINGS = 2  # environment, spec file or instrument catalogue cannot be used
    REFUSED = 3  # the gateway does not know this runner
    STRATEGY = 4  # the strategy cannot be loaded, or was stopped for its errors
    HUNG = 5  # asked to end while the strategy held the process
