"""Who calls: what a token proves about whoever shows it, and whether that is enough.

Two ways to know callers, one seam: tokens that were shared with them (`stratops up`), or the
ServiceAccount tokens of a cluster (`cluster_callers`).
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Protocol

import structlog

from risk_gateway.allowances import BoundMet
from risk_gateway.roles import EVERY_ROLE, RIGHTS, Role, listed
from risk_gateway.roster import NO_ROSTER, Roster
from stratops_wire import InvalidMessage

log = structlog.get_logger()
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UID = re.compile(r"[0-9a-zA-Z-]{1,64}")
_MOST_PODS = 100
MOST_TOKEN = 16 * 1024  # bytes
LOCAL_OPERATOR = "operator"
_QUIET_S = 60.0


class Refusal(StrEnum):
    """Why a caller is refused: the label of a metric."""

    # Of a token itself.
    WRONG_TOKEN = "wrong_token"  # noqa: S105  # a reason
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    CERTIFICATE = "certificate"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    NOT_AUTHENTICATED = "not_authenticated"  # by the cluster, which was asked
    # Of who it names.
    MISSING_ROLE = "missing_role"
    NOT_RUNNER = "not_runner"  # another ServiceAccount than the runners'
    NO_POD = "no_pod"
    WRONG_POD = "wrong_pod"  # none that was named for this revision
    WRONG_INSTANCE = "wrong_instance"
    UNKNOWN_STRATEGY = "unknown_strategy"
    NOT_WANTED = "not_wanted"  # its revision was replaced, or withdrawn
    # Of nobody: it cannot be told now.
    KEYS_UNAVAILABLE = "keys_unavailable"
    REVIEW_UNAVAILABLE = "review_unavailable"


class CallerRefused(Exception):
    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


class UnknownCaller(CallerRefused):
    """Nobody knows who it is."""


class NotPermitted(CallerRefused):
    """It is known who it is, and that one may not do this."""


class NotWanted(CallerRefused):
    """It was permitted, and what it runs is over."""


class NotNow(CallerRefused):
    """It cannot be known now who it is; waiting helps."""


@dataclass(frozen=True, slots=True)
class Pod:
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Caller:
    """What a token proves."""

    named: str = ""  # in the roster, or in a certificate
    roles: frozenset[Role] = frozenset()
    token_sha256: str = ""  # of a shared one
    subject: str = ""  # of a cluster's
    is_runner: bool = False  # by its subject
    pod: Pod | None = None
    groups: tuple[str, ...] = ()  # of a person, as the cluster has them

    @property
    def name(self) -> str:
        """For people. Empty: nobody was told of it; it may run a revision, and nothing else."""
        return self.subject or self.named

    @property
    def key(self) -> str:
        """By which one caller is told from another."""
        return f"{self.name}/{self.pod.uid}" if self.pod else self.name or self.token_sha256


@dataclass(frozen=True, slots=True)
class Runners:
    """Who may run a revision: whoever shows a token, or the pods of some uids."""

    token_sha256: str = ""
    pods: tuple[str, ...] = ()  # sorted

    def check(self, caller: Caller, instance: str = "") -> None:
        """Raises UnknownCaller, NotPermitted. Without an instance, it is none that runs."""
        if caller.subject:
            self._check_pod(caller, instance)
        elif not compare_digest(caller.token_sha256, self.token_sha256 or "-" * 64):
            raise UnknownCaller(Refusal.WRONG_TOKEN, "unknown strategy, revision or token")

    def _check_pod(self, caller: Caller, instance: str) -> None:
        pod = caller.pod
        if not caller.is_runner:
            raise NotPermitted(Refusal.NOT_RUNNER, f"{caller.subject} runs no strategies")
        if pod is None:
            raise NotPermitted(Refusal.NO_POD, f"a token of {caller.subject} without a pod")
        if pod.uid not in self.pods:
            message = f"pod {pod.name} ({pod.uid}) is not named for this revision"
            raise NotPermitted(Refusal.WRONG_POD, message)
        if instance and not instance.startswith(f"{pod.name}."):
            message = f"instance {instance!r}, expected one of pod {pod.name}"
            raise NotPermitted(Refusal.WRONG_INSTANCE, message)


NOBODY = Runners()


class Callers(Protocol):
    """How this desk knows its callers."""

    async def identify(self, token: str) -> Caller:
        """Raises CallerRefused."""
        ...

    def certified(self, names: Sequence[str]) -> Caller:
        """By the names in a certificate that was verified. Raises UnknownCaller."""
        ...

    def runners(self, token_sha256: str, pods: Sequence[str]) -> Runners:
        """As they were named in a Deploy. Raises InvalidMessage."""
        ...


class SharedTokens:
    """Callers: the operator's token, the roster's, and one a revision; of two only the digest."""

    def __init__(self, operator_token: str, roster: Roster = NO_ROSTER) -> None:
        self._operator_token = operator_token.encode()
        self._roster = roster

    async def identify(self, token: str) -> Caller:
        shown = token.encode()
        if len(shown) > MOST_TOKEN:
            raise UnknownCaller(Refusal.MALFORMED, f"token: {len(shown)} bytes")
        digest = sha256(shown).hexdigest()
        if compare_digest(shown, self._operator_token):  # whoever started the desk
            return Caller(LOCAL_OPERATOR, EVERY_ROLE, digest)
        member = self._roster.by_token(digest)
        if member is not None:
            return Caller(member.name, member.roles, digest)
        return Caller(token_sha256=digest)

    def certified(self, names: Sequence[str]) -> Caller:
        member = self._roster.by_certificate(names)
        if member is None:
            raise UnknownCaller(Refusal.CERTIFICATE, f"certificate: of nobody known: {names[:3]}")
        return Caller(member.name, member.roles)

    def runners(self, token_sha256: str, pods: Sequence[str]) -> Runners:
        if pods:
            raise InvalidMessage("runner_pods", list(pods), "none: this desk goes by tokens")
        return runners_by_token(token_sha256)


def runners_by_token(token_sha256: str) -> Runners:
    """Raises InvalidMessage."""
    if not _SHA256.fullmatch(token_sha256):
        raise InvalidMessage("runner_token_sha256", token_sha256, "64 hex digits")
    return Runners(token_sha256)


def runners_by_pods(uids: Iterable[str]) -> Runners:
    """Raises InvalidMessage."""
    pods = tuple(sorted(set(uids)))
    if len(pods) > _MOST_PODS:
        raise InvalidMessage("runner_pods", f"{len(pods)} pods", f"at most {_MOST_PODS}")
    for uid in pods:
        if not _UID.fullmatch(uid):
            raise InvalidMessage("runner_pods", uid, "uids of pods")
    return Runners(pods=pods)


def check_may(caller: Caller, rpc: str) -> None:
    """By its roles. Raises UnknownCaller, NotPermitted."""
    right = RIGHTS[rpc]
    if not caller.roles.isdisjoint(right.roles):
        return
    if not caller.name:
        raise UnknownCaller(Refusal.WRONG_TOKEN, "unknown token")
    has = f"has {', '.join(sorted(caller.roles))}" if caller.roles else f"has no role{_in(caller)}"
    message = f"{rpc} needs role {listed(right.roles)}; {caller.name} {has}"
    raise NotPermitted(Refusal.MISSING_ROLE, message)


def _in(caller: Caller) -> str:
    groups = caller.groups
    return f", in the groups {', '.join(groups[:5])}" if groups else ""


class RefusalLog:
    """Counts each, and logs one of a kind a minute: whoever is refused may ask without end."""

    def __init__(
        self,
        callers: Counter[str],
        bounds: Counter[str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._callers = callers
        self._bounds = bounds
        self._now = now
        self._logged: dict[str, float] = {}

    def note(self, refused: Exception) -> None:
        """Whatever it was refused for; what is neither of the two is not ours to count."""
        if isinstance(refused, CallerRefused):
            self._callers[refused.refusal] += 1
            self._log("caller_refused", refused.refusal, refused)
        elif isinstance(refused, BoundMet):
            self._bounds[refused.bound] += 1
            self._log("bound_met", refused.bound, refused)

    def _log(self, event: str, kind: str, refused: Exception) -> None:
        now = self._now()
        if now - self._logged.get(kind, -_QUIET_S) >= _QUIET_S:
            self._logged[kind] = now
            log.warning(event, reason=kind, message=str(refused))
