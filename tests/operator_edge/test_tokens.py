"""Tokens that the operator shows: one for each desk, of an API server that signs them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from identity_driver import NAMESPACE, OPERATOR, Signer
from small_api import SmallApi
from strategy_operator import tokens
from strategy_operator.cluster import Cluster, No, Refused
from strategy_operator.settings import GATEWAY_TOKEN, Settings
from strategy_operator.tokens import LIFE_S, AskedToken, NoToken, TokenFile, Tokens

SIGNER = Signer()
ITS_OWN = "/api/v1/namespaces/ops/serviceaccounts/stratops-operator/token"


class Signing(SmallApi):
    """Gives tokens of one account, or says no."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 201
        self.document: dict[str, Any] | None = None  # in place of a token
        self.given: list[dict[str, Any]] = []

    async def answered(self, request: web.Request) -> web.Response:
        assert request.path == ITS_OWN
        spec = json.loads(await request.read())["spec"]
        if self.status >= 400:
            return web.json_response({"message": "no"}, status=self.status)
        self.given.append(spec)
        if self.document is not None:
            return web.json_response(self.document)
        token = SIGNER.token(OPERATOR, aud=spec["audiences"])
        return web.json_response({"status": {"token": token}}, status=self.status)


@pytest.fixture
def api() -> Signing:
    return Signing()


@asynccontextmanager
async def asked(api: Signing, now: Callable[[], float] = lambda: 0.0) -> AsyncIterator[AskedToken]:
    async with api.serving() as access, Cluster(access) as cluster:
        yield AskedToken(cluster, "ops", NAMESPACE, now)


async def test_it_is_for_the_gateway_of_one_desk_and_lives_ten_minutes(api: Signing) -> None:
    async with asked(api) as token:
        await token.refresh()
        assert token.shown()
    assert api.given == [
        {"audiences": [f"stratops-gateway.{NAMESPACE}"], "expirationSeconds": LIFE_S}
    ]


async def test_before_there_is_one_none_is_shown(api: Signing) -> None:
    async with asked(api) as token:
        with pytest.raises(OSError, match=f"none for stratops-gateway.{NAMESPACE} yet"):
            token.shown()


async def test_one_that_has_ended_is_not_shown(api: Signing) -> None:
    clock = [0.0]
    async with asked(api, lambda: clock[0]) as token:
        await token.refresh()
        clock[0] = LIFE_S
        with pytest.raises(NoToken):
            token.shown()


async def test_a_no_leaves_the_one_before(api: Signing) -> None:
    async with asked(api) as token:
        await token.refresh()
        before, api.status = token.shown(), 403
        with pytest.raises(Refused) as refused:
            await token.refresh()
        assert refused.value.no is No.FORBIDDEN
        assert token.shown() == before


async def test_a_fresh_one_is_there_before_the_last_has_ended_and_a_no_is_asked_again(
    api: Signing, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, waits = [0.0], []

    async def sleep(wait_s: float) -> None:
        waits.append(wait_s)
        clock[0] += wait_s
        api.status = 403 if len(waits) == 1 else 201
        if len(waits) == 4:
            raise asyncio.CancelledError

    async with asked(api, lambda: clock[0]) as token:
        monkeypatch.setattr(tokens, "asyncio", SimpleNamespace(sleep=sleep))
        with pytest.raises(asyncio.CancelledError):
            await token.keep()
        assert token.shown()
    assert (waits[0] < LIFE_S, waits[1] < 10, waits[2] < LIFE_S) == (True, True, True)
    assert len(api.given) == 3


@pytest.mark.parametrize("document", [{}, {"status": None}, {"status": {"token": ""}}], ids=repr)
async def test_an_answer_without_a_token_is_a_no(api: Signing, document: dict[str, Any]) -> None:
    """A fault instead would end the operator, and be there again after its start."""
    async with asked(api) as token:
        await token.refresh()
        before, api.document = token.shown(), document
        with pytest.raises(Refused, match="without a token"):
            await token.refresh()
        assert token.shown() == before


async def test_with_a_file_the_kubelet_writes_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    async with SmallApi().serving() as access, Cluster(access) as cluster:
        token = Tokens(tmp_path / "token", cluster, "ops").of(NAMESPACE)
    assert token == TokenFile(tmp_path / "token")
    assert token.shown() == "one"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, Path(GATEWAY_TOKEN), id="of one namespace"),
        pytest.param({"STRATOPS_WATCH": "all"}, None, id="of all"),
        pytest.param(
            {"STRATOPS_WATCH": "all", "STRATOPS_GATEWAY_TOKEN_FILE": "t"}, Path("t"), id="named"
        ),
    ],
)
def test_an_operator_of_many_desks_asks(given: dict[str, str], expected: Path | None) -> None:
    must = {f"STRATOPS_{each}": "x" for each in ("NAMESPACE", "IDENTITY", "RUNNER_IMAGE")}
    assert Settings.from_environment(must | given).gateway_token == expected
