"""A certificate authority for one certificate: made, used once, and its key thrown away.

Pure: nobody can sign with it later, and whether a certificate will do is judged from its bytes.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=3650)  # it is made anew only when the chart is installed or upgraded
RENEW_BEFORE = timedelta(days=30)
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Bundle:
    """PEM all three: the server's certificate and key, and what it is checked by."""

    certificate: bytes
    key: bytes
    ca: bytes


def make(names: Sequence[str], now: datetime) -> Bundle:
    """A certificate of these names by a CA of its own."""
    ca_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stratops-gateway-ca")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False)
        .sign(ca_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stratops-gateway")])
    server = (
        _builder(subject, ca_name, server_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(x509.SubjectAlternativeName(list(map(_name, names))), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False
        )
        .sign(ca_key, hashes.SHA256())
    )
    return Bundle(_pem(server), _key_pem(server_key), _pem(ca))


def why_not(bundle: Bundle, names: Sequence[str], now: datetime) -> str:
    """What is wrong with it; empty: it will do."""
    try:
        certificate = x509.load_pem_x509_certificate(bundle.certificate)
        key = serialization.load_pem_private_key(bundle.key, None)
        authorities = x509.load_pem_x509_certificates(bundle.ca)
    except (ValueError, TypeError) as error:
        return f"cannot be read: {error}"
    if _public(key.public_key()) != _public(certificate.public_key()):
        return "its key is another one"
    issuer = next((each for each in authorities if _issued(each, certificate)), None)
    if issuer is None:
        return "its CA is another one"
    for each in (certificate, issuer):
        if each.not_valid_after_utc - now < RENEW_BEFORE:
            return f"ends on {each.not_valid_after_utc:%Y-%m-%d}"
    missing = sorted(set(names) - _names_of(certificate))
    return f"not for {', '.join(missing)}" if missing else ""


def trusted(fresh: bytes, before: bytes, now: datetime) -> bytes:
    """The CAs to check by: the new one, and the one before it, until everybody shows the new."""
    try:
        old = x509.load_pem_x509_certificates(before)[:1] if before.strip() else []
    except ValueError:
        old = []
    kept = [_pem(each) for each in old if each.not_valid_after_utc > now and _pem(each) != fresh]
    return b"".join([fresh, *kept])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + LIFE)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _names_of(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(each) for each in found.get_values_for_type(x509.IPAddress)}
    return addresses | set(found.get_values_for_type(x509.DNSName))


def _issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public(key: Any) -> bytes:
    found: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return found
