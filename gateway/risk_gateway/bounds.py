"""What bounds every strategy of the desk: halts by the operator or a file, and risk policies.

Both hold from the moment they are known; who is to be told of them waits for the journal.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from risk_gateway.policies import NO_REASON, PolicyChange
from risk_gateway.records import Kind, Latch, record
from risk_gateway.state import State
from trading.scopes import DESK, Scope
from trading.standings import ACTIVE, OPERATOR, Standing

log = structlog.get_logger()


class Bounds:
    """Call nothing concurrently. Implements policy_watch.PolicyBook."""

    def __init__(self, state: State) -> None:
        self._state = state

    def halt(
        self,
        reason: str,
        scope: Scope = DESK,
        standing: Standing = Standing.HALTED,
        source: str = OPERATOR,
        by: str = "",
    ) -> None:
        """Refuses from now on, or lets only close; survives restarts once it is durable. `by`: who
        called.
        """
        latch = Latch(reason or NO_REASON, source, by, scope.level, scope.name, standing)
        self._state.latch(scope, source, latch.stand)
        self._note(Kind.HALTED, latch)
        log.warning("halted", scope=str(scope), standing=standing, reason=latch.reason, by=by)

    def resume(
        self, reason: str, scope: Scope = DESK, source: str = OPERATOR, by: str = ""
    ) -> None:
        """Takes back what that source set of that scope; every other goes on."""
        self._state.latch(scope, source, ACTIVE)
        latch = Latch(reason, source, by, scope.level, scope.name, Standing.ACTIVE)
        self._note(Kind.RESUMED, latch)
        halted = self._state.halted
        log.warning("resumed", scope=str(scope), reason=reason, halted=halted, by=by)

    def list_policies(self, listed: Mapping[str, Mapping[str, Any]]) -> None:
        """These are all there are."""
        for change in self._state.policies.differences(listed):
            self._take(change)

    def policy_changed(self, name: str, spec: dict[str, Any] | None) -> None:
        """None: it is gone."""
        if self._state.policies.specs.get(name) != spec:
            self._take(PolicyChange(name, spec))

    def _take(self, change: PolicyChange) -> None:
        self._state.take_policy(change)
        self._note(Kind.POLICY, change)
        log.warning("policy", name=change.name, spec=change.spec, halted=self._state.halted)

    def _note(self, kind: Kind, body: object) -> None:
        self._state.journal.append([record(kind, body, self._state.wall_ns())])
