"""TLS to a venue: who it is, who we are, and certificates that are rotated under load."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from dev_cluster import certificates
from dev_cluster.certificates import Pair
from risk_gateway.tls import InvalidCertificate
from risk_gateway.venue import Patience, Venue, VenueUnavailable
from risk_gateway.venue_tls import VenueTls
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1.order_execution_pb2_grpc import (
    OrderExecutionServicer,
    add_OrderExecutionServicer_to_server,
)

NOW = datetime.now(UTC)
PATIENCE = Patience(deadline_s=20, retries=3, backoff_s=0.05)


class Side:
    """A CA, and what it vouches for."""

    def __init__(self, name: str) -> None:
        self.ca = certificates.authority(f"{name} CA", NOW)
        self.server = certificates.server(self.ca, f"{name} venue", ["127.0.0.1"], NOW)
        self.client = certificates.client(self.ca, f"{name} gateway", "", NOW)


OLD, NEW = Side("old"), Side("new")


class Vault(OrderExecutionServicer):
    """Cancels for whoever is vouched for, and remembers who that was."""

    def __init__(self) -> None:
        self.callers: Counter[str] = Counter()
        self.shows, self.believes = OLD.server, OLD.ca.certificate_pem
        self._told: tuple[Pair, bytes] = (self.shows, self.believes)

    async def CancelOrder(self, request: pb.CancelRequest, context: Any) -> pb.OrderResponse:  # noqa: N802
        (name,) = context.auth_context()["x509_common_name"]
        self.callers[name.decode()] += 1
        return pb.OrderResponse(client_order_id=request.client_order_id)

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = (self.shows.key_pem, self.shows.certificate_pem)
        return grpc.ssl_server_certificate_configuration([pair], self.believes)

    def newer(self) -> grpc.ServerCertificateConfiguration | None:
        stands = (self.shows, self.believes)
        changed, self._told = stands != self._told, stands
        return self.configuration() if changed else None


@pytest.fixture
async def vault() -> AsyncIterator[tuple[Vault, str]]:
    made = Vault()  # type: ignore[abstract]  # the rest is UNIMPLEMENTED
    credentials = grpc.dynamic_ssl_server_credentials(
        made.configuration(),
        made.newer,  # type: ignore[arg-type]  # it may answer None, says gRPC
        require_client_authentication=True,
    )
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add_OrderExecutionServicer_to_server(made, server)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield made, f"127.0.0.1:{port}"
    await server.stop(0)


def put(folder: Path, ca: bytes, pair: Pair | None = None) -> Path:
    """As a Secret's folder."""
    folder.mkdir(exist_ok=True)
    (folder / "ca.crt").write_bytes(ca)
    if pair is not None:
        (folder / "tls.crt").write_bytes(pair.certificate_pem)
        (folder / "tls.key").write_bytes(pair.key_pem)
    return folder


async def calls(venue: Venue, name: str = "x") -> pb.OrderResponse:
    return await venue.cancel(name, "s")


async def test_both_prove_who_they_are(vault: tuple[Vault, str], tmp_path: Path) -> None:
    served, address = vault
    tls = VenueTls(put(tmp_path / "tls", OLD.ca.certificate_pem, OLD.client))
    venue = Venue(address, PATIENCE, tls=tls)
    assert (await calls(venue)).client_order_id == "x"
    assert served.callers == {"old gateway": 1}
    await venue.close()


@pytest.mark.parametrize(
    ("ca", "pair"),
    [(NEW.ca.certificate_pem, OLD.client), (OLD.ca.certificate_pem, NEW.client)],
    ids=["the venue is another", "we are another"],
)
async def test_who_cannot_prove_it_is_not_spoken_to(
    vault: tuple[Vault, str], tmp_path: Path, ca: bytes, pair: Pair
) -> None:
    served, address = vault
    venue = Venue(address, PATIENCE, tls=VenueTls(put(tmp_path / "tls", ca, pair)))
    with pytest.raises(VenueUnavailable):
        await calls(venue)
    assert not served.callers
    await venue.close()


async def test_without_a_certificate_of_ours_mtls_lets_nobody_in(
    vault: tuple[Vault, str], tmp_path: Path
) -> None:
    served, address = vault
    venue = Venue(address, PATIENCE, tls=VenueTls(put(tmp_path / "tls", OLD.ca.certificate_pem)))
    with pytest.raises(VenueUnavailable):
        await calls(venue)
    assert not served.callers
    await venue.close()


async def test_everything_is_rotated_under_load_and_no_call_is_lost(
    vault: tuple[Vault, str], tmp_path: Path
) -> None:
    """As it is done: both believe both, then both show the new one, then the old one is gone."""
    served, address = vault
    folder = put(tmp_path / "tls", OLD.ca.certificate_pem, OLD.client)
    venue = Venue(address, PATIENCE, tls=VenueTls(folder))
    following = asyncio.create_task(venue.follow_certificates())
    answers: list[pb.OrderResponse] = []
    loading = asyncio.create_task(_load(venue, answers))
    both = OLD.ca.certificate_pem + NEW.ca.certificate_pem
    served.believes = both
    put(folder, both)
    await _until(lambda: venue.renewals == 1)
    served.shows = NEW.server
    put(folder, both, NEW.client)
    await _until(lambda: served.callers["new gateway"] > 20)
    served.believes = NEW.ca.certificate_pem
    put(folder, NEW.ca.certificate_pem)
    await _until(lambda: venue.renewals >= 3)
    seen = served.callers["new gateway"]
    await _until(lambda: served.callers["new gateway"] > seen + 20)
    loading.cancel()
    following.cancel()
    (outcome,) = await asyncio.gather(loading, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError)  # and no VenueUnavailable
    assert served.callers["old gateway"] > 0
    assert len(answers) <= served.callers.total() <= len(answers) + 1
    await venue.close()


async def _load(venue: Venue, answers: list[pb.OrderResponse]) -> None:
    while True:
        answers.append(await calls(venue, f"x{len(answers)}"))
        await asyncio.sleep(0.002)


async def _until(holds: Any) -> None:
    async with asyncio.timeout(120):
        while not holds():
            await asyncio.sleep(0.02)


def test_a_half_rotated_pair_is_left_until_it_is_whole(tmp_path: Path) -> None:
    folder = put(tmp_path / "tls", OLD.ca.certificate_pem, OLD.client)
    tls = VenueTls(folder)
    (folder / "tls.crt").write_bytes(NEW.client.certificate_pem)
    assert not tls.renewed()
    assert tls.pems.certificate == OLD.client.certificate_pem
    (folder / "tls.key").write_bytes(NEW.client.key_pem)
    assert tls.renewed()
    assert not tls.renewed()


@pytest.mark.parametrize("name", ["ca.crt", "tls.crt", "tls.key"])
def test_what_cannot_be_used_is_refused_at_the_start(tmp_path: Path, name: str) -> None:
    folder = put(tmp_path / "tls", OLD.ca.certificate_pem, OLD.client)
    (folder / name).write_bytes(b"junk")
    with pytest.raises(InvalidCertificate, match=r"expected ca\.crt"):
        VenueTls(folder)
    (folder / "ca.crt").unlink()
    with pytest.raises(InvalidCertificate, match="TLS of a venue: "):
        VenueTls(folder)
