"""The gateway's own certificate, and whose certificates it takes from callers.

Both are read anew when their files change: a renewed certificate or CA needs no restart.
"""

from pathlib import Path

import grpc

from risk_gateway.sessions import Context

CERTIFICATE, KEY = "tls.crt", "tls.key"
_NAMES = "x509_subject_alternative_name"


class InvalidCertificate(Exception):
    """Files that no server can show; names the setting and the reason."""


class _Files:
    """What the server shows and, with a CA, what it asks of clients."""

    def __init__(self, folder: Path, client_ca: Path | None) -> None:
        """Raises InvalidCertificate."""
        self._folder = folder
        self._client_ca = client_ca
        self._shown = self._read()
        self.first = _configuration(*self._shown)

    def _read(self) -> tuple[bytes, bytes, bytes | None]:
        key, certificate = (_bytes("TLS_DIR", self._folder / name) for name in (KEY, CERTIFICATE))
        ca = _bytes("TLS_CLIENT_CA", self._client_ca) if self._client_ca else None
        return key, certificate, ca

    def newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked at each handshake, by a thread of gRPC's. None: what was before."""
        try:
            found = self._read()
        except InvalidCertificate:
            return None
        if found == self._shown:
            return None
        self._shown = found
        return _configuration(*found)


def server_credentials(folder: Path, client_ca: Path | None = None) -> grpc.ServerCredentials:
    """With a CA nobody gets through who shows no certificate of it. Raises InvalidCertificate."""
    files = _Files(folder, client_ca)
    return grpc.dynamic_ssl_server_credentials(
        files.first,
        files.newer,  # type: ignore[arg-type]  # it may answer None, says gRPC
        require_client_authentication=client_ca is not None,
    )


def certified_names(context: Context) -> tuple[str, ...]:
    """The alternative names in the certificate that a caller showed, and that was verified."""
    found = context.auth_context().get(_NAMES, ())
    return tuple(name.decode(errors="replace") for name in found)


def _configuration(
    key: bytes, certificate: bytes, ca: bytes | None
) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(key, certificate)], ca)


def _bytes(setting: str, path: Path) -> bytes:
    try:
        found = path.read_bytes()
    except OSError as error:
        raise InvalidCertificate(f"STRATOPS_{setting}: {error}") from error
    if not found:
        raise InvalidCertificate(f"STRATOPS_{setting}: {str(path)!r} is empty, expected PEM")
    return found
