"""People whom the cluster knows by OIDC: the API server says whose their token is."""

import asyncio
import gc
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from types import FrameType as Frame
from typing import Any

import grpc
import grpc.aio
import pytest

from gateway_driver import Stack
from identity_driver import NAMESPACE, OPERATOR, KeyServer, Signer, claims_of
from pages_reader import metric
from risk_gateway.api_server import ApiUnavailable
from risk_gateway.callers import Caller, NotNow, Refusal, UnknownCaller
from risk_gateway.people import InvalidPeople, People, read
from risk_gateway.reviews import _AT_ONCE, _MOST_ASKED, _MOST_KEPT, KEPT_S, Reviews, judge
from risk_gateway.roles import Role
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.gateway_client import GatewayClient, GatewayRefused, GatewayUnavailable

SIGNER, ELSEWHERE = Signer(), Signer("oidc", "ES256")
ENTRIES = [{"group": "desk-risk", "role": "risk-officer"}, {"user": "bo", "role": "reader"}]
PEOPLE = read(json.dumps(ENTRIES))


def of(name: str, *groups: str) -> dict[str, Any]:
    return {"username": name, "groups": ["system:authenticated", *groups]}


def authenticated(name: str, *groups: str) -> dict[str, Any]:
    return {"status": {"authenticated": True, "user": of(name, *groups)}}


# ---- whose it is


@pytest.mark.parametrize(
    ("user", "groups", "roles"),
    [
        pytest.param("ana", ["desk-risk"], {Role.RISK_OFFICER}, id="by group"),
        pytest.param("bo", [], {Role.READER}, id="by name"),
        pytest.param("bo", ["desk-risk"], {Role.READER, Role.RISK_OFFICER}, id="by both"),
        pytest.param("desk-risk", ["bo"], set(), id="a name is no group, and a group no name"),
        pytest.param("eve", ["sales,desk-risk"], set(), id="a group with a comma is one group"),
        pytest.param("eve", ["desk-risk ", "Desk-Risk", "/desk-risk"], set(), id="as it is spelt"),
    ],
)
def test_roles_are_given_to_names_and_groups(
    user: str, groups: list[str], roles: set[Role]
) -> None:
    assert judge(authenticated(user, *groups), PEOPLE).roles == roles


@pytest.mark.parametrize(
    "answer",
    [
        {}, [], {"status": None}, {"status": {"authenticated": False, "user": of("bo")}},
        {"status": {"user": of("bo")}}, {"status": {"authenticated": "true", "user": of("bo")}},
        {"status": {"authenticated": True, "user": {"username": ""}}},
        {"status": {"authenticated": True}}, {"status": {"authenticated": True, "user": "bo"}},
    ],
    ids=repr,
)  # fmt: skip
def test_whatever_else_is_answered_is_nobody(answer: Any) -> None:
    with pytest.raises(UnknownCaller) as refused:
        judge(answer, PEOPLE)
    assert refused.value.refusal is Refusal.NOT_AUTHENTICATED


@pytest.mark.parametrize(
    "listed", [None, "desk-risk", 7, {"desk-risk": 1}, [["desk-risk"]]], ids=repr
)
def test_groups_that_cannot_be_read_are_none(listed: Any) -> None:
    answer = {"status": {"authenticated": True, "user": {"username": "eve", "groups": listed}}}
    assert judge(answer, PEOPLE).roles == set()


@pytest.mark.parametrize("name", [OPERATOR, "system:node:one", "system:anonymous"])
def test_the_clusters_own_are_judged_by_their_audience(name: str) -> None:
    with pytest.raises(UnknownCaller) as refused:
        judge(authenticated(name, "desk-risk"), PEOPLE)
    assert refused.value.refusal is Refusal.AUDIENCE


@pytest.mark.parametrize(
    "entry",
    [
        {"role": "reader"}, {"user": "a"}, {"user": "a", "group": "b", "role": "reader"},
        {"user": "", "role": "reader"}, {"group": "system:authenticated", "role": "reader"},
        {"user": "a", "role": "king"}, {"user": "a", "role": "reader", "x": 1}, "a", None,
    ],
    ids=repr,
)  # fmt: skip
def test_an_entry_that_cannot_be_meant_is_named(entry: Any) -> None:
    with pytest.raises(InvalidPeople, match="expected"):
        read(json.dumps([entry]))


# ---- how often it is asked


class Asked:
    def __init__(self, people: People = PEOPLE) -> None:
        self.now, self.count = 0.0, 0
        self.answer: Any = authenticated("bo")
        self.awake = asyncio.Event()
        self.awake.set()
        self.reviews = Reviews(self.review, people, lambda: self.now)

    async def review(self, token: str) -> Any:
        self.count += 1
        await self.awake.wait()
        return self.answer

    def callers(self, *tokens: str) -> list[asyncio.Task[Caller]]:
        return [asyncio.create_task(self.reviews.identify(token)) for token in tokens]


async def settled() -> None:
    """All that can go on has gone as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_was_answered_holds_for_some_seconds_and_not_longer() -> None:
    asked = Asked()
    first = await asked.reviews.identify("t")
    assert await asked.reviews.identify("t") == first
    asked.now, asked.answer = KEPT_S, {}
    with pytest.raises(UnknownCaller):
        await asked.reviews.identify("t")
    with pytest.raises(UnknownCaller):
        await asked.reviews.identify("t")
    assert asked.count == 2


async def test_a_token_is_told_from_one_that_begins_as_it_does() -> None:
    """All of one issuer begin alike."""
    asked, alike = Asked(), "a" * 1_000
    await asked.reviews.identify(f"{alike}.bo")
    asked.answer = {}
    with pytest.raises(UnknownCaller):
        await asked.reviews.identify(f"{alike}.eve")


async def test_of_many_answers_the_latest_are_kept() -> None:
    asked = Asked()
    for number in range(2 * _MOST_KEPT):
        await asked.reviews.identify(str(number))
    assert len(asked.reviews._kept) == _MOST_KEPT
    await asked.reviews.identify(str(2 * _MOST_KEPT - 1))
    assert asked.count == 2 * _MOST_KEPT
    await asked.reviews.identify("0")
    assert asked.count == 2 * _MOST_KEPT + 1


async def test_a_flood_is_told_to_wait_before_the_cluster_hears_of_it() -> None:
    asked = Asked()
    asked.awake.clear()
    flood = asked.callers(*map(str, range(_MOST_ASKED)))
    await settled()
    with pytest.raises(NotNow) as refused:
        await asked.reviews.identify("t")
    assert (refused.value.refusal, asked.count) == (Refusal.REVIEW_UNAVAILABLE, _AT_ONCE)
    asked.awake.set()
    assert {caller.name for caller in await asyncio.gather(*flood)} == {"bo"}
    assert (await asked.reviews.identify("t")).name == "bo"


async def test_many_who_show_one_token_at_once_cost_one_question() -> None:
    asked = Asked()
    asked.awake.clear()
    callers = asked.callers(*["t"] * (_MOST_ASKED + 1))
    await settled()
    asked.awake.set()
    found = await asyncio.gather(*callers)
    assert ({caller.name for caller in found}, asked.count) == ({"bo"}, 1)


async def test_who_asked_first_may_hang_up() -> None:
    asked = Asked()
    asked.awake.clear()
    first, second = asked.callers("t", "t")
    await settled()
    first.cancel()
    asked.awake.set()
    assert ((await second).name, asked.count) == ("bo", 1)


async def test_where_none_is_given_no_answer_is_kept() -> None:
    async def away(_: str) -> Any:
        raise ApiUnavailable("away")

    reviews = Reviews(away, PEOPLE)
    for _ in range(2):
        with pytest.raises(NotNow, match="not reviewed: away"):
            await reviews.identify("t")


async def test_of_a_refused_token_only_the_digest_is_kept() -> None:
    asked, shown = Asked(), "".join(["made", "-up"])
    asked.answer = {}
    with pytest.raises(UnknownCaller):
        await asked.reviews.identify(shown)
    gc.collect()
    holders = {each.f_code.co_name for each in gc.get_referrers(shown) if isinstance(each, Frame)}
    assert holders <= {"test_of_a_refused_token_only_the_digest_is_kept"}


# ---- at a gateway


@pytest.fixture
async def server(tmp_path: Path, port: Callable[[], int]) -> AsyncIterator[KeyServer]:
    started = KeyServer(tmp_path / "api", port(), SIGNER)
    await started.start()
    yield started
    await started.stop()


class Desk(Stack):
    def operator(self) -> str:
        return SIGNER.token(OPERATOR)

    def client(self, token: str) -> GatewayClient:
        return GatewayClient(self.gateway.address, token, self.gateway.ca)

    def refusals(self) -> Counter[str]:
        found = metric(self.gateway, "strategy_engine_unknown_callers_total")
        return Counter({labels["reason"]: int(value) for labels, value in found if value})


@pytest.fixture
async def desk(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any, server: KeyServer
) -> AsyncIterator[Desk]:
    access = server.access
    # Beside the loop, which answers for the API server.
    started = await asyncio.to_thread(lambda: Desk(
        tmp_path, port, redis_server, nats_server, server.bundle.ca,
        IDENTITY="cluster", OPERATORS=OPERATOR, NAMESPACE=NAMESPACE, PEOPLE=json.dumps(ENTRIES),
        API_SERVER=access.server, API_CA=str(access.ca), API_TOKEN_FILE=str(access.token_file),
        TLS_DIR=str(server.folder), METRICS_PORT=str(port()), METRICS_HOST="127.0.0.1",
    ))  # fmt: skip
    yield started
    await started.hang_up()
    started.close()


def token(name: str) -> str:
    return ELSEWHERE.sign(claims_of(OPERATOR) | {"iss": "https://login.example", "sub": name})


@pytest.mark.servers
async def test_a_person_of_the_cluster_has_the_role_of_a_group(
    desk: Desk, server: KeyServer
) -> None:
    ana, eve, nobody = token("ana"), token("eve"), token("nobody")
    server.people = {ana: of("ana", "desk-risk"), eve: of("eve", "sales")}
    async with desk.client(ana) as officer, desk.client(eve) as outsider:
        await officer.halt("drill")
        await officer.resume("over")
        with pytest.raises(GatewayRefused, match=r"eve has no role, in the groups .*sales") as no:
            await outsider.get_desk()
        assert no.value.code is grpc.StatusCode.PERMISSION_DENIED
    assert server.reviewed == 2
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await desk.stub().GetDesk(pb.GetDeskRequest(token=nobody))
    assert unknown.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert desk.refusals() == {"missing_role": 1, "not_authenticated": 1}


@pytest.mark.servers
async def test_the_clusters_own_tokens_are_reviewed_by_nobody(
    desk: Desk, server: KeyServer
) -> None:
    """One for the API server is whoever's it was stolen from."""
    stolen = SIGNER.token(OPERATOR, aud=["https://kubernetes.default.svc"])
    server.people = {stolen: of("bo")}
    async with desk.client(stolen) as thief:
        with pytest.raises(GatewayRefused, match="not for stratops-gateway"):
            await thief.get_desk()
    assert server.reviewed == 0


@pytest.mark.servers
async def test_who_is_told_to_wait_is_told_so_after_a_while(desk: Desk, server: KeyServer) -> None:
    """At once, it would be back at once."""
    async with desk.client(desk.operator()) as operator:
        await operator.get_desk()  # the keys are known
    await server.stop()
    asked_at = monotonic()
    for number in range(5):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await desk.stub().GetDesk(pb.GetDeskRequest(token=token(f"made-up-{number}")))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert monotonic() - asked_at > 5 * 0.1


@pytest.mark.servers
async def test_without_the_api_server_people_are_asked_to_wait_and_others_are_not(
    desk: Desk, server: KeyServer
) -> None:
    async with desk.client(desk.operator()) as operator, desk.client(token("ana")) as officer:
        await operator.get_desk()
        await server.stop()
        with pytest.raises(GatewayUnavailable, match="not reviewed"):
            await officer.get_desk(timeout_s=60)
        await operator.get_desk()


def test_a_person_is_told_from_another_by_name() -> None:
    assert judge(authenticated("bo"), PEOPLE).key == "bo"
    assert isinstance(judge(authenticated("bo"), PEOPLE), Caller)
