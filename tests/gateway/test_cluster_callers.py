"""Tokens of a cluster: what each kind of wrong one is refused as, and what a right one proves."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
import structlog.testing
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from identity_driver import (
    AUDIENCE,
    ISSUER,
    NAMESPACE,
    OPERATOR,
    RUNNER,
    Signer,
    claims_of,
    document,
)
from risk_gateway.api_server import ApiUnavailable
from risk_gateway.callers import (
    Caller,
    NotPermitted,
    Pod,
    Refusal,
    RefusalLog,
    Runners,
    UnknownCaller,
    check_may,
    runners_by_pods,
)
from risk_gateway.cluster_callers import LEEWAY_S, ClusterTokens, Expected, judge
from risk_gateway.keys import Keys, KeySet
from risk_gateway.roles import Role
from stratops_wire import InvalidMessage
from stratops_wire.audience import SHARED, audience_of

SIGNER, OTHER = Signer(), Signer()
CURVED, LONGER = Signer("curved", "ES256"), Signer("longer", "ES384")
SIGNERS = (SIGNER, CURVED, LONGER)
UNKNOWN = Signer("never heard of")
ANA = "system:serviceaccount:people:ana"
MEMBERS = {
    Role.OPERATOR: {OPERATOR},
    Role.RISK_OFFICER: {ANA},
    Role.READER: {"system:serviceaccounts:people", "system:serviceaccounts:desk-a"},
}
EXPECTED = Expected(AUDIENCE, MEMBERS, {RUNNER}, NAMESPACE)


async def away() -> Any:
    raise ApiUnavailable("the API server is away")


def known(kept: Path, expected: Expected = EXPECTED) -> ClusterTokens:
    keys = Keys(away, kept)
    keys.current = KeySet.read(document(*SIGNERS))
    return ClusterTokens(keys, expected)


@pytest.fixture
def tokens(tmp_path: Path) -> ClusterTokens:
    return known(tmp_path / "keys.json")


async def test_a_pods_token_proves_its_pod(tokens: ClusterTokens) -> None:
    found = await tokens.identify(SIGNER.token(RUNNER, "s-1", "u-1"))
    assert found == Caller(subject=RUNNER, is_runner=True, pod=Pod("s-1", "u-1"))


@pytest.mark.parametrize("told", [AUDIENCE, SHARED], ids=["of its own", "a chart of before"])
@pytest.mark.parametrize("shown", [audience_of(NAMESPACE), SHARED])
async def test_a_runner_is_known_on_both_sides_of_an_upgrade(
    tmp_path: Path, told: str, shown: str
) -> None:
    tokens = known(tmp_path / "keys.json", replace(EXPECTED, audience=told))
    assert (await tokens.identify(SIGNER.token(RUNNER, "s-1", aud=[shown]))).is_runner
    other = SIGNER.token(RUNNER, "s-1", aud=[audience_of("desk-b")])
    with pytest.raises(UnknownCaller, match="not for"):
        await tokens.identify(other)


async def test_an_operator_is_known_by_its_subject(tokens: ClusterTokens) -> None:
    assert Role.OPERATOR in (await tokens.identify(SIGNER.token(OPERATOR))).roles


@pytest.mark.parametrize(
    ("subject", "roles"),
    [
        pytest.param(ANA, {Role.RISK_OFFICER, Role.READER}, id="by subject and by group"),
        pytest.param("system:serviceaccount:people:bo", {Role.READER}, id="by group"),
        pytest.param("system:serviceaccount:peopl:ana", set(), id="another namespace"),
        pytest.param(RUNNER, set(), id="a runner has none, though its group has"),
    ],
)
async def test_roles_are_given_to_subjects_and_groups(
    tokens: ClusterTokens, subject: str, roles: set[Role]
) -> None:
    assert (await tokens.identify(SIGNER.token(subject))).roles == roles


def changed(**claims: Any) -> str:
    return SIGNER.token(RUNNER, "s-1", **claims)


def without(name: str) -> str:
    return SIGNER.sign({k: v for k, v in claims_of(RUNNER, "s-1").items() if k != name})


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned() -> str:
    return f"{part({'alg': 'none', 'kid': SIGNER.kid})}.{part(claims_of())}."


def confused() -> str:
    """Signed with the public key as if it were a shared secret."""
    pem = SIGNER.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    said = f"{part({'alg': 'HS256', 'kid': SIGNER.kid})}.{part(claims_of())}"
    mac = hmac.new(pem, said.encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def keyless() -> str:
    return jwt.encode(claims_of(), SIGNER.key, "RS256")


def in_anothers_name() -> str:
    """The right key's id, another key's signature."""
    return OTHER.token(RUNNER, "s-1")


def cut() -> str:
    return changed()[:-22]  # what is left is base64 still


def in_the_kind_of_another() -> str:
    """ES256 by its own key, under the id of the RSA key."""
    return CURVED.sign(claims_of(), kid=SIGNER.kid)


def on_another_curve() -> str:
    """A P-384 signature for a P-256 key's id."""
    return LONGER.sign(claims_of(), kid=CURVED.kid)


def with_its_own_key() -> str:
    """Which a header may bring along, and nobody may look at."""
    return OTHER.sign(claims_of(), jwk=OTHER.public)


LATE = time.time() - LEEWAY_S - 60
EARLY = time.time() + LEEWAY_S + 3_600


@pytest.mark.parametrize(
    ("make", "refusal"),
    [
        pytest.param(make, refusal, id=name)
        for name, make, refusal in [
            ("empty", lambda: "", Refusal.MALFORMED),
            ("garbage", lambda: "not.a.token", Refusal.MALFORMED),
            ("two parts", lambda: "e30.e30", Refusal.MALFORMED),
            ("too long", lambda: "x" * 100_000, Refusal.MALFORMED),
            ("no letters of a token", lambda: "\u20ac.\u20ac.\u20ac", Refusal.MALFORMED),
            ("cut", cut, Refusal.SIGNATURE),
            ("unsigned", unsigned, Refusal.ALGORITHM),
            ("symmetric", confused, Refusal.ALGORITHM),
            ("RS384", lambda: SIGNER.sign(claims_of(), "RS384"), Refusal.ALGORITHM),
            ("PS256", lambda: SIGNER.sign(claims_of(), "PS256"), Refusal.ALGORITHM),
            ("another kind of key", in_the_kind_of_another, Refusal.ALGORITHM),
            ("another curve", on_another_curve, Refusal.ALGORITHM),
            ("a key in its header", with_its_own_key, Refusal.SIGNATURE),
            ("a megabyte", lambda: changed(x="x" * 2**20), Refusal.MALFORMED),
            ("no key id", keyless, Refusal.MALFORMED),
            ("unknown key", UNKNOWN.token, Refusal.UNKNOWN_KEY),
            ("another key", in_anothers_name, Refusal.SIGNATURE),
            ("another issuer", lambda: changed(iss="https://elsewhere"), Refusal.ISSUER),
            ("no issuer", lambda: without("iss"), Refusal.ISSUER),
            ("another audience", lambda: changed(aud=["api"]), Refusal.AUDIENCE),
            ("part of the audience", lambda: changed(aud=AUDIENCE[:-1]), Refusal.AUDIENCE),
            ("no audience", lambda: without("aud"), Refusal.AUDIENCE),
            ("expired", lambda: changed(exp=LATE), Refusal.EXPIRED),
            ("without an end", lambda: without("exp"), Refusal.MALFORMED),
            ("an end for ever", lambda: changed(exp=1e300), Refusal.MALFORMED),
            ("an end that is true", lambda: changed(exp=True), Refusal.MALFORMED),
            ("not yet valid", lambda: changed(nbf=EARLY), Refusal.NOT_YET_VALID),
            ("without a beginning", lambda: without("nbf"), Refusal.MALFORMED),
            ("without a subject", lambda: without("sub"), Refusal.MALFORMED),
        ]
    ],
)  # fmt: skip
async def test_a_wrong_token_is_refused_by_name(
    tokens: ClusterTokens, make: Callable[[], str], refusal: Refusal
) -> None:
    with pytest.raises(UnknownCaller) as refused:
        await tokens.identify(make())
    assert refused.value.refusal is refusal


CLAIM = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(claims_of(RUNNER, "s-1"))), CLAIM)
def test_whatever_a_claim_says_the_answer_is_a_caller_or_a_refusal(name: str, value: Any) -> None:
    claims = claims_of(RUNNER, "s-1", "u-1") | {name: value}
    try:
        found = judge(claims, EXPECTED, ISSUER, time.time())
    except UnknownCaller:
        return
    assert not found.roles or name == "sub"
    assert found.pod in (None, Pod("s-1", "u-1")) or name == "kubernetes.io"


TOKENS = [signer.token(OPERATOR) for signer in SIGNERS]
WHOLE = [*TOKENS, *(signer.token(RUNNER, "s-1") for signer in SIGNERS)]


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda signer: signer.alg)
async def test_each_kind_of_key_is_taken(tokens: ClusterTokens, signer: Signer) -> None:
    assert Role.OPERATOR in (await tokens.identify(signer.token(OPERATOR))).roles


@given(st.sampled_from(TOKENS), st.integers(0, 2_000), st.integers(1, 127))
def test_a_token_that_was_changed_anywhere_is_refused(whole: str, at: int, by: int) -> None:
    place = at % len(whole)
    letter = chr((ord(whole[place]) + by) % 128)
    token = whole[:place] + letter + whole[place + 1 :]
    if not _same(token, whole):
        with pytest.raises(UnknownCaller):
            asyncio.run(known(Path("/nowhere")).identify(token))


@given(st.tuples(*[st.sampled_from(WHOLE)] * 3))
def test_a_token_that_was_spliced_of_right_ones_is_refused(whole: tuple[str, str, str]) -> None:
    token = ".".join(each.split(".")[n] for n, each in enumerate(whole))
    if token not in WHOLE:
        with pytest.raises(UnknownCaller):
            asyncio.run(known(Path("/nowhere")).identify(token))


def small_key() -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    found: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**found, "kid": "small"}


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(CURVED.public | {"alg": "RS256"}, id="for another kind's algorithm"),
        pytest.param(SIGNER.public | {"alg": "PS256"}, id="for an algorithm that is not taken"),
        pytest.param(SIGNER.public | {"use": "enc"}, id="for another use"),
        pytest.param(CURVED.public | {"crv": "P-521"}, id="another curve"),
        pytest.param(CURVED.public | {"crv": ["P-256"]}, id="a curve that is a list"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, id="a shared secret"),
        pytest.param(small_key(), id="1,024 bits"),
    ],
)
def test_a_key_for_anything_else_is_not_kept(key: dict[str, Any]) -> None:
    signed = KeySet.read({"issuer": ISSUER, "keys": [key | {"kid": "x"}, SIGNER.public]})
    assert set(signed.keys) == {SIGNER.kid}


def _same(one: str, other: str) -> bool:
    """Base64 has several spellings of some last letters."""

    def parts(token: str) -> list[bytes]:
        return [base64.urlsafe_b64decode(part + "==") for part in token.split(".")]

    try:
        return parts(one) == parts(other)
    except ValueError:
        return False


# ---- who may run a revision

PODS = runners_by_pods(["u-2", "u-1", "u-1"])


def runner(pod: Pod | None = Pod("s-1", "u-1"), *, is_runner: bool = True) -> Caller:  # noqa: B008  # frozen
    return Caller(subject=RUNNER, is_runner=is_runner, pod=pod)


def test_a_named_pod_may_run_it() -> None:
    PODS.check(runner(), "s-1.0123abcd")


@pytest.mark.parametrize(
    ("caller", "instance", "refusal"),
    [
        pytest.param(runner(Pod("s-1", "u-9")), "s-1.x", Refusal.WRONG_POD, id="another pod"),
        pytest.param(runner(None), "s-1.x", Refusal.NO_POD, id="no pod"),
        pytest.param(runner(is_runner=False), "s-1.x", Refusal.NOT_RUNNER, id="another account"),
        pytest.param(runner(), "s-10.x", Refusal.WRONG_INSTANCE, id="another pod's instance"),
        pytest.param(runner(), "s-1", Refusal.WRONG_INSTANCE, id="no instance of its own"),
    ],
)
def test_any_other_caller_may_not(caller: Caller, instance: str, refusal: Refusal) -> None:
    with pytest.raises(NotPermitted) as refused:
        PODS.check(caller, instance)
    assert refused.value.refusal is refusal


def test_without_named_pods_nobody_may_run_it() -> None:
    with pytest.raises(NotPermitted):
        Runners().check(runner(), "s-1.x")


def test_a_shared_token_says_nothing_where_pods_are_named() -> None:
    with pytest.raises(UnknownCaller):
        PODS.check(Caller(token_sha256="0" * 64))


def test_a_runner_is_no_operator() -> None:
    with pytest.raises(NotPermitted, match=f"Deploy needs role operator; {RUNNER} has no role$"):
        check_may(runner(), "Deploy")


@pytest.mark.parametrize("uids", [[""], ["a b"], ["x" * 65], [str(n) for n in range(101)]])
def test_pods_are_named_by_uids(uids: list[str]) -> None:
    with pytest.raises(InvalidMessage, match=r"^runner_pods"):
        runners_by_pods(uids)


async def test_this_desk_goes_by_pods_not_by_tokens(tokens: ClusterTokens) -> None:
    with pytest.raises(InvalidMessage, match=r"^runner_token_sha256"):
        tokens.runners("0" * 64, [])
    assert tokens.runners("", []).pods == ()


# ---- what is said about it


def test_each_refusal_is_counted_and_one_of_a_kind_a_minute_is_logged() -> None:
    counts: Counter[str] = Counter()
    clock = iter(range(0, 10_000, 20))
    refusals = RefusalLog(counts, Counter(), lambda: next(clock))
    with structlog.testing.capture_logs() as logged:
        for _ in range(10):
            refusals.note(UnknownCaller(Refusal.EXPIRED, "token: expired"))
    assert counts == {"expired": 10}
    assert len(logged) == 4  # after 0, 60, 120 and 180 s
