"""Callers of a cluster: ServiceAccount tokens, judged offline by the cluster's public keys.

A token proves its subject and, where the kubelet made it, its pod. That a pod still lives it does
not prove: the grant's epoch fences, not the token.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import jwt

from risk_gateway.callers import (
    MOST_TOKEN,
    Caller,
    NotNow,
    Pod,
    Refusal,
    Runners,
    UnknownCaller,
    runners_by_pods,
)
from risk_gateway.keys import ALGORITHMS, Keys
from risk_gateway.reviews import Reviews
from risk_gateway.roles import Role, roles_of
from stratops_wire import InvalidMessage
from stratops_wire.audience import SHARED, audience_of

_NO_KEY = ""
LEEWAY_S = 10.0  # between the clocks of two machines

# Claims are judged below, against a clock that is handed in and with a reason for each.
_OPTIONS: Any = {
    "verify_signature": True,
    **{f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")},
}


@dataclass(frozen=True, slots=True)
class Expected:
    """Of every token."""

    audience: str
    members: Mapping[Role, Collection[str]]  # subjects, groups, names in certificates
    runners: Collection[str]  # subjects; these have no role, whatever their groups have
    namespace: str  # the desk's

    def audiences(self, *, is_runner: bool) -> Set[str]:
        """Pods live longer than an upgrade, and keep the audience that they were made with; a chart
        of before names the shared one to a newer gateway. What a runner may is its namespace's and
        its pod's alone, so that neither opens another desk.
        """
        if is_runner:
            return {self.audience, audience_of(self.namespace), SHARED}
        return {self.audience}


class ClusterTokens:
    """Callers: people and tools by their subjects or groups, runners by their pods."""

    def __init__(
        self,
        keys: Keys,
        expected: Expected,
        now: Callable[[], float] = time.time,
        reviews: Reviews | None = None,
    ) -> None:
        """`reviews`: of tokens that another issuer signed."""
        self._keys = keys
        self._expected = expected
        self._now = now
        self._reviews = reviews

    async def identify(self, token: str) -> Caller:
        """Raises UnknownCaller, NotNow."""
        if self._reviews is not None and await self._is_another_issuers(token):
            return await self._reviews.identify(token)
        key = await self._key_of(_key_id(token))
        claims = _verified(token, key)
        assert self._keys.current is not None  # it gave the key
        issuer = self._keys.current.issuer
        return judge(claims, self._expected, issuer, self._now())

    def certified(self, names: Sequence[str]) -> Caller:
        roles = roles_of(names, self._expected.members)
        if not roles:
            raise UnknownCaller(Refusal.CERTIFICATE, f"certificate: of nobody known: {names[:3]}")
        named = next(name for name in names if roles_of([name], self._expected.members))
        return Caller(named, roles)

    def runners(self, token_sha256: str, pods: Sequence[str]) -> Runners:
        if token_sha256:
            raise InvalidMessage("runner_token_sha256", token_sha256, "none: this desk has pods")
        return runners_by_pods(pods)

    async def _is_another_issuers(self, token: str) -> bool:
        """While our own is not known, nobody's is another one."""
        if self._keys.current is None:
            await self._keys.find(_NO_KEY)
        issuer = _claimed_issuer(token)
        return bool(issuer and self._keys.current and issuer != self._keys.current.issuer)

    async def _key_of(self, kid: str) -> jwt.PyJWK:
        """Raises UnknownCaller, NotNow."""
        key = await self._keys.find(kid)
        if key is not None:
            return key
        if self._keys.current is None:
            raise NotNow(Refusal.KEYS_UNAVAILABLE, "the cluster's keys could not be fetched yet")
        raise UnknownCaller(Refusal.UNKNOWN_KEY, "token: signed by a key that is not known")


def judge(claims: Mapping[str, Any], expected: Expected, issuer: str, now: float) -> Caller:
    """Raises UnknownCaller. The signature was verified before."""
    if claims.get("iss") != issuer:
        raise UnknownCaller(Refusal.ISSUER, "token: of another issuer")
    subject = claims.get("sub")
    is_runner = isinstance(subject, str) and subject in expected.runners
    if not expected.audiences(is_runner=is_runner) & _audiences(claims):
        raise UnknownCaller(Refusal.AUDIENCE, f"token: not for {expected.audience}")
    if now >= _seconds(claims, "exp") + LEEWAY_S:
        raise UnknownCaller(Refusal.EXPIRED, "token: expired")
    if now < _seconds(claims, "nbf") - LEEWAY_S:
        raise UnknownCaller(Refusal.NOT_YET_VALID, "token: not valid yet")
    if not isinstance(subject, str) or not subject:
        raise UnknownCaller(Refusal.MALFORMED, "token: no subject")
    roles = frozenset() if is_runner else roles_of(_names(subject), expected.members)
    return Caller(roles=roles, subject=subject, is_runner=is_runner, pod=_pod(claims))


def _audiences(claims: Mapping[str, Any]) -> Set[str]:
    found = claims.get("aud")
    listed = found if isinstance(found, list) else [found]
    return {each for each in listed if isinstance(each, str)}


def _names(subject: str) -> tuple[str, ...]:
    """A subject, and the group of its namespace's ServiceAccounts."""
    match subject.split(":"):
        case ["system", "serviceaccount", namespace, _]:
            return subject, f"system:serviceaccounts:{namespace}"
    return (subject,)


def _claimed_issuer(token: str) -> str:
    """Nothing is proven by it. Empty: none is to be read."""
    if len(token) > MOST_TOKEN:
        return ""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return ""
    issuer = claims.get("iss")
    return issuer if isinstance(issuer, str) else ""


def _key_id(token: str) -> str:
    """Raises UnknownCaller, also for an algorithm that no key is for."""
    if len(token) > MOST_TOKEN:
        raise UnknownCaller(Refusal.MALFORMED, f"token: {len(token)} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise UnknownCaller(Refusal.MALFORMED, "token: not one of a ServiceAccount") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS.values():
        expected = " or ".join(ALGORITHMS.values())
        raise UnknownCaller(Refusal.ALGORITHM, f"token: expected algorithm {expected}")
    if not isinstance(kid, str):
        raise UnknownCaller(Refusal.MALFORMED, "token: names no key")
    return kid


def _verified(token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
    """The claims. Raises UnknownCaller."""
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token, key, algorithms=[key.algorithm_name], options=_OPTIONS
        )
    except jwt.InvalidSignatureError as error:
        raise UnknownCaller(Refusal.SIGNATURE, "token: wrong signature") from error
    except jwt.InvalidAlgorithmError as error:
        raise UnknownCaller(Refusal.ALGORITHM, "token: wrong algorithm") from error
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise UnknownCaller(Refusal.MALFORMED, "token: cannot be read") from error
    return claims


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    """Raises UnknownCaller."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise UnknownCaller(Refusal.MALFORMED, f"token: no time as {name}")
    return float(value)


def _pod(claims: Mapping[str, Any]) -> Pod | None:
    """Of a token that the kubelet made for one."""
    private = claims.get("kubernetes.io")
    pod = private.get("pod") if isinstance(private, dict) else None
    if not isinstance(pod, dict):
        return None
    name, uid = pod.get("name"), pod.get("uid")
    if not isinstance(name, str) or not isinstance(uid, str):
        return None
    return Pod(name, uid) if name and uid else None
