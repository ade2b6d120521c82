"""The operator, with deaths that can be ordered: mounted into its own pod, it runs there instead.

It is the real process in all else, and forked, so that the next life begins at once: the kubelet
would wait for minutes. A life logs what it does to the world, each write to the API server and each
call to the gateway, and sends itself SIGKILL right before or right after the one that the first
order names. The Lease and Events are left out: they come by the clock, or when there is time.
"""

import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from strategy_operator import __main__ as operator
from strategy_operator.cluster import Cluster
from stratops_wire.gateway_client import GatewayClient

ORDERS = Path("/tmp/orders")  # one a line; each is gone when it was carried out
LOG = Path("/tmp/effects")  # "POST pods", "SIGKILL before POST pods": one a line
_LEFT_OUT = ("leases", "events")

Call = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Effect:
    what: str  # as in `POST pods`, `PATCH strategies/status`, `deploy`
    subject: str = ""  # what it is about, by name; empty: every strategy


@dataclass(frozen=True, slots=True)
class Order:
    """In words: `edited before 2 deploy`."""

    strategy: str
    moment: str
    number: int  # in one life, of the effects that it is about
    what: str

    @classmethod
    def first(cls) -> Self | None:
        lines = ORDERS.read_text().splitlines() if ORDERS.exists() else []
        if not lines:
            return None
        strategy, moment, number, what = lines[0].split(maxsplit=3)
        return cls(strategy, moment, int(number), what)

    def is_about(self, effect: Effect) -> bool:
        its_own = effect.subject == self.strategy or effect.subject.startswith(f"{self.strategy}-")
        return effect.what == self.what and (its_own or not effect.subject)


class Fate:
    """Of one life."""

    def __init__(self) -> None:
        self._order: Order | None = None
        self._met = 0

    def number(self, effect: Effect) -> int:
        """Among those that the order is about; 0: it is about others, or there is none."""
        order = Order.first()
        if order != self._order:
            self._order, self._met = order, 0
        _note(effect.what)
        if order is None or not order.is_about(effect):
            return 0
        self._met += 1
        return self._met

    def strike(self, moment: str, number: int) -> None:
        order = self._order
        if order is not None and (order.moment, order.number) == (moment, number):
            _note(f"SIGKILL {moment} {order.what}")
            ORDERS.write_text("".join(ORDERS.read_text().splitlines(keepends=True)[1:]))
            os.kill(os.getpid(), signal.SIGKILL)


def _note(line: str) -> None:
    with LOG.open("a") as log:
        log.write(f"{line}\n")


def mortal(fate: Fate, call: Call, effect_of: Callable[..., Effect | None]) -> Call:
    """`call`, which its caller survives where fate allows."""

    @functools.wraps(call)
    async def called(self: object, *words: Any, **more: Any) -> Any:
        effect = effect_of(*words)
        if effect is None:
            return await call(self, *words, **more)
        number = fate.number(effect)
        fate.strike("before", number)
        try:
            return await call(self, *words, **more)
        finally:
            fate.strike("after", number)

    return called


def _write(
    method: str, path: str, body: Mapping[str, Any] | None = None, *_: object
) -> Effect | None:
    within = path.partition("/namespaces/")[2].split("/")  # namespace, kind, name, part
    kind, name, part = (*within[1:], "", "", "")[:3]
    if method == "GET" or kind in _LEFT_OUT:
        return None
    what = f"{method} {kind}/{part}".rstrip("/")
    return Effect(what, name or (body or {})["metadata"]["name"])


def _live() -> int:
    fate = Fate()
    _wrap(Cluster, "_asked", fate, _write)
    _wrap(GatewayClient, "begin_term", fate, lambda _: Effect("begin_term"))
    for name in ("deploy", "withdraw"):
        _wrap(GatewayClient, name, fate, functools.partial(_call, name))
    return operator.main()


def _wrap(owner: type, name: str, fate: Fate, effect_of: Callable[..., Effect | None]) -> None:
    setattr(owner, name, mortal(fate, getattr(owner, name), effect_of))


def _call(name: str, strategy: str, *_: object) -> Effect:
    return Effect(name, strategy.rpartition("/")[2])


def main() -> int:
    """One life after the other, until one ends otherwise than by its fate."""
    sys.modules["kubernetes"] = None  # type: ignore[assignment]  # as the operator's own main has it
    import strategy_operator.process  # noqa: F401  # so that each life has it from the start

    while True:
        life = os.fork()
        if not life:
            return _live()
        signal.signal(signal.SIGTERM, functools.partial(_pass_on, life))
        code = os.waitstatus_to_exitcode(os.waitpid(life, 0)[1])
        if code != -signal.SIGKILL:
            return code


def _pass_on(life: int, number: int, _: object) -> None:
    os.kill(life, number)


if __name__ == "__main__":
    sys.exit(main())
