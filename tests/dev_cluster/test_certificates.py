"""A client trusts the cluster's servers by its authority, and nobody else's."""

import base64
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from dev_cluster import pki
from dev_cluster.addresses import Addresses

NOW = datetime.now(UTC)
ADDRESSES = Addresses(4)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return pki.files(ADDRESSES, NOW)


@pytest.fixture
def folder(tmp_path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    "host",
    ["kubernetes.default.svc", str(ADDRESSES.node), str(ADDRESSES.kubernetes_service)],
    ids=["by name", "by address", "by the service's address"],
)
def test_the_api_server_is_trusted(folder: Path, host: str) -> None:
    assert _shakes_hands(folder, "ca.crt", host) == "admin"


def test_a_host_that_the_certificate_does_not_name_is_not_trusted(folder: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="elsewhere"):
        _shakes_hands(folder, "ca.crt", "elsewhere")


def test_another_cluster_s_authority_is_not_trusted(folder: Path) -> None:
    (folder / "other.crt").write_bytes(pki.files(Addresses(5), NOW)["ca.crt"])
    with pytest.raises(ssl.SSLCertVerificationError):
        _shakes_hands(folder, "other.crt", "localhost")


def test_the_kubelet_is_a_node_to_kubernetes(files: dict[str, bytes]) -> None:
    names = x509.load_pem_x509_certificate(files["kubelet.crt"]).subject.rfc4514_string()
    assert names == "CN=system:node:node1,O=system:nodes"


def test_a_kubeconfig_holds_all_that_a_client_needs(files: dict[str, bytes]) -> None:
    config = json.loads(files["admin.kubeconfig"])
    user = config["users"][0]["user"]
    assert config["clusters"][0]["cluster"]["server"] == "https://10.81.0.1:6443"
    assert base64.b64decode(user["client-certificate-data"]) == files["admin.crt"]
    assert base64.b64decode(user["client-key-data"]) == files["admin.key"]


def test_tokens_are_verified_by_the_key_that_goes_with_the_one_that_signs(
    files: dict[str, bytes],
) -> None:
    private = load_pem_private_key(files["sa.key"], None)
    assert isinstance(private, RSAPrivateKey)  # RS256 is what verifiers take
    public = load_pem_public_key(files["sa.pub"])
    assert private.public_key() == public


def _shakes_hands(folder: Path, trusted: str, host: str) -> str:
    """The name that the client gives; strict as Python 3.13 is."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.crt"))
    server.load_cert_chain(folder / "apiserver.crt", folder / "apiserver.key")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(folder / trusted))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_cert_chain(folder / "admin.crt", folder / "admin.key")
    return _handshake(client, server, host)


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> str:
    """Between two ends in memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    seen = ends[1].getpeercert()
    assert seen is not None
    subject = dict(part[0] for part in seen["subject"])  # type: ignore[misc]  # typeshed says str
    return str(subject["commonName"])
