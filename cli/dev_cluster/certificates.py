"""The cluster's certificate authority, what it signs, and a kubeconfig for each client.

Kubernetes reads a certificate's organisation as the group and its common name as the user.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR = timedelta(days=365)
_EARLY = timedelta(hours=1)  # clocks differ

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Host = str | IPv4Address


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return private_pem(self.key)


def authority(name: str, now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name, "")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(subject, subject, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Pair(builder.sign(key, hashes.SHA256()), key)


def client(ca: Pair, user: str, group: str, now: datetime) -> Pair:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return _signed(ca, _name(user, group), [usage], now)


def server(ca: Pair, name: str, hosts: Sequence[Host], now: datetime) -> Pair:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
    return _signed(ca, _name(name, ""), [usage, names], now)


def token_key() -> rsa.RSAPrivateKey:
    """Signs the tokens of ServiceAccounts: RS256, as clusters do."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key: Key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def kubeconfig(server_url: str, ca: Pair, user: str, pair: Pair) -> str:
    """JSON, which is YAML."""
    cluster = {
        "server": server_url,
        "certificate-authority-data": _base64(ca.certificate_pem),
    }
    credentials = {
        "client-certificate-data": _base64(pair.certificate_pem),
        "client-key-data": _base64(pair.key_pem),
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "stratops", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "stratops", "context": {"cluster": "stratops", "user": user}}],
            "current-context": "stratops",
        },
        indent=2,
    )


def _signed(
    ca: Pair, subject: x509.Name, extensions: Sequence[x509.ExtensionType], now: datetime
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # Python 3.13 trusts no certificate that does not name its issuer's key.
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    builder = _builder(subject, ca.certificate.subject, key, now)
    for extension in (*extensions, issuer):
        builder = builder.add_extension(extension, critical=False)
    return Pair(builder.sign(ca.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _EARLY)
        .not_valid_after(now.astimezone(UTC) + VALID_FOR)
    )


def _name(common: str, organisation: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _alternative(host: Host) -> x509.GeneralName:
    return x509.DNSName(host) if isinstance(host, str) else x509.IPAddress(host)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
