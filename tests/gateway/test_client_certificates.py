"""Callers that are known by a certificate, on a port of their own beside that of tokens."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from client_certificates import ClientAuthority
from desk_driver import OPERATOR
from gateway_driver import Stack
from held_ports import free_port
from identity_driver import write_bundle
from risk_gateway.authority import make
from stratops_wire.gateway_client import GatewayClient, GatewayRefused, GatewayUnavailable

pytestmark = pytest.mark.servers

ANA, EVE = "spiffe://desk/ana", "spiffe://desk/eve"
AUTHORITY = ClientAuthority()


class Desk(Stack):
    def __init__(self, folder: Path) -> None:
        self.client_ca = folder / "callers.crt"
        self.certified = f"127.0.0.1:{free_port()}"
        self.client_ca.write_bytes(AUTHORITY.ca)
        (folder / "roster.toml").write_text(f'[ana]\nroles = ["reader"]\ncertificate = "{ANA}"\n')
        tls, roster = str(folder / "tls"), str(folder / "roster.toml")
        bundle = make(["127.0.0.1"], datetime.now(UTC))
        write_bundle(folder / "tls", bundle)
        away = SimpleNamespace(url="redis://127.0.0.1:1", port=1)
        bus = SimpleNamespace(url="nats://127.0.0.1:1")
        super().__init__(
            folder, free_port, away, bus, bundle.ca,
            OPERATOR_TOKEN=OPERATOR, ROSTER=roster, TLS_DIR=tls,
            TLS_CLIENT_CA=str(self.client_ca), TLS_CLIENT_LISTEN=self.certified,
        )  # fmt: skip

    def caller(self, certificate: Any, token: str = "", address: str = "") -> GatewayClient:
        return GatewayClient(
            address or self.certified, token, self.gateway.ca, certificate=certificate
        )


@pytest.fixture(scope="module")
def long_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    started = Desk(tmp_path_factory.mktemp("certified"))
    yield started
    started.close()


@pytest.fixture
async def desk(long_running: Desk) -> AsyncIterator[Desk]:
    yield long_running
    await long_running.hang_up()
    long_running.client_ca.write_bytes(AUTHORITY.ca)


async def test_a_caller_is_known_by_the_name_in_its_certificate(desk: Desk) -> None:
    async with desk.caller(AUTHORITY.issue(ANA)) as ana:
        assert not (await ana.get_desk()).halted
        with pytest.raises(GatewayRefused, match=r"Resume needs role .*; ana has reader$"):
            await ana.resume("")


async def test_a_name_that_nobody_knows_is_refused(desk: Desk) -> None:
    async with desk.caller(AUTHORITY.issue(EVE)) as eve:
        with pytest.raises(GatewayRefused, match="certificate: of nobody known"):
            await eve.get_desk()


async def test_a_token_counts_before_a_certificate(desk: Desk) -> None:
    async with desk.caller(AUTHORITY.issue(ANA), token="guessed") as ana:
        with pytest.raises(GatewayRefused, match="unknown token"):
            await ana.get_desk()


@pytest.mark.parametrize(
    "certificate",
    [
        pytest.param(None, id="none"),
        pytest.param(ClientAuthority().issue(ANA), id="of another CA"),
        pytest.param(AUTHORITY.issue(ANA, hours=-1), id="expired"),
    ],
)
async def test_without_a_right_certificate_nobody_gets_through(
    desk: Desk, certificate: Any
) -> None:
    async with desk.caller(certificate, token=OPERATOR) as caller:
        with pytest.raises(GatewayUnavailable):
            await caller.get_desk()


async def test_where_tokens_are_shown_no_certificate_counts(desk: Desk) -> None:
    async with desk.caller(AUTHORITY.issue(ANA), address=desk.gateway.address) as ana:
        with pytest.raises(GatewayRefused, match="unknown token"):
            await ana.get_desk()
    async with desk.caller(None, token=OPERATOR, address=desk.gateway.address) as operator:
        assert not (await operator.get_desk()).halted


async def test_another_ca_needs_no_restart(desk: Desk) -> None:
    fresh = ClientAuthority()
    desk.client_ca.write_bytes(fresh.ca)
    async with desk.caller(fresh.issue(ANA)) as ana:
        assert not (await ana.get_desk()).halted
    async with desk.caller(AUTHORITY.issue(ANA)) as former:
        with pytest.raises(GatewayUnavailable):
            await former.get_desk()
