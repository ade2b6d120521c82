"""The cluster's keys: fetched over TLS, kept on disk, asked for anew, and not too often."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from identity_driver import AUDIENCE, NAMESPACE, OPERATOR, RUNNER, KeyServer, Signer, document
from risk_gateway.api_server import ApiServer
from risk_gateway.callers import CallerRefused, Refusal
from risk_gateway.cluster_callers import ClusterTokens, Expected
from risk_gateway.keys import REFETCH_S, InvalidKeys, Keys, KeySet, fetch_keys
from risk_gateway.roles import Role

FIRST, SECOND = Signer("first"), Signer("second")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A gateway's side of it, on a folder."""

    def __init__(self, folder: Path, server: KeyServer) -> None:
        self.clock = Clock()
        self.api = ApiServer(server.access)
        self.keys = Keys(lambda: fetch_keys(self.api), folder / "keys.json", self.clock)
        self.tokens = ClusterTokens(
            self.keys, Expected(AUDIENCE, {Role.OPERATOR: {OPERATOR}}, {RUNNER}, NAMESPACE)
        )

    async def refusal(self, signer: Signer) -> Refusal | None:
        try:
            await self.tokens.identify(signer.token(OPERATOR))
        except CallerRefused as refused:
            return refused.refusal
        return None


@pytest.fixture
async def server(tmp_path: Path, port: Callable[[], int]) -> AsyncIterator[KeyServer]:
    started = KeyServer(tmp_path / "api", port(), FIRST)
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
async def desk(tmp_path: Path, server: KeyServer) -> AsyncIterator[Desk]:
    made = Desk(tmp_path, server)
    async with made.api:
        yield made


async def test_a_key_that_is_missed_is_fetched(desk: Desk) -> None:
    assert await desk.refusal(FIRST) is None


async def test_a_thousand_tokens_of_a_known_key_ask_once(desk: Desk, server: KeyServer) -> None:
    assert {await desk.refusal(FIRST) for _ in range(1_000)} == {None}
    assert server.asked == 1


async def test_tokens_of_unknown_keys_ask_once_in_a_while(desk: Desk, server: KeyServer) -> None:
    found = await asyncio.gather(*(desk.refusal(SECOND) for _ in range(50)))
    assert set(found) == {Refusal.UNKNOWN_KEY}
    assert server.asked == 1


async def test_a_new_key_is_known_after_a_moment(desk: Desk, server: KeyServer) -> None:
    await desk.refusal(FIRST)
    server.signers.append(SECOND)
    assert await desk.refusal(SECOND) is Refusal.UNKNOWN_KEY
    desk.clock.now += REFETCH_S
    assert await desk.refusal(SECOND) is None


async def test_a_key_that_was_withdrawn_is_trusted_no_more(desk: Desk, server: KeyServer) -> None:
    await desk.refusal(FIRST)
    server.signers = [SECOND]
    desk.clock.now += REFETCH_S
    await desk.refusal(SECOND)
    assert await desk.refusal(FIRST) is Refusal.UNKNOWN_KEY


async def test_kept_keys_serve_while_the_api_server_is_away(
    desk: Desk, server: KeyServer, tmp_path: Path
) -> None:
    await desk.refusal(FIRST)
    await server.stop()
    assert await Desk(tmp_path, server).refusal(FIRST) is None


async def test_without_any_keys_it_is_nobodys_fault(desk: Desk, server: KeyServer) -> None:
    await server.stop()
    assert await desk.refusal(FIRST) is Refusal.KEYS_UNAVAILABLE


async def test_an_api_server_that_cannot_prove_itself_is_not_believed(
    desk: Desk, server: KeyServer, tmp_path: Path, port: Callable[[], int]
) -> None:
    another = KeyServer(tmp_path / "another", port(), FIRST)
    (server.folder / "ca.crt").write_bytes(another.bundle.ca)
    assert await desk.refusal(FIRST) is Refusal.KEYS_UNAVAILABLE


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": 7}', '{"issuer": "x", "keys": []}'])
async def test_a_broken_file_is_as_none(server: KeyServer, tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    desk = Desk(tmp_path, server)
    async with desk.api:
        assert await desk.refusal(FIRST) is None
    assert json.loads((tmp_path / "keys.json").read_text()) == document(FIRST)


@pytest.mark.parametrize(
    "changes",
    [{"alg": "RS512"}, {"kty": "EC"}, {"kid": 7}, {"n": "?"}, {"n": None}],
    ids=lambda changes: str(next(iter(changes.items()))),
)
def test_what_is_no_key_to_verify_with_is_passed_over(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidKeys, match="none for RS256"):
        KeySet.read({"issuer": "x", "keys": [FIRST.public | changes, None, 7]})
