"""The gateway's own certificate, read anew when its files change: a new one needs no restart."""

from pathlib import Path

import grpc

CERTIFICATE, KEY = "tls.crt", "tls.key"


class InvalidCertificate(Exception):
    """Files that no server can show; names the folder and the reason."""


class _Certificate:
    def __init__(self, folder: Path) -> None:
        """Raises InvalidCertificate."""
        self._folder = folder
        self._shown = self._read()
        self.first = grpc.ssl_server_certificate_configuration([self._shown])

    def _read(self) -> tuple[bytes, bytes]:
        try:
            return (self._folder / KEY).read_bytes(), (self._folder / CERTIFICATE).read_bytes()
        except OSError as error:
            raise InvalidCertificate(f"STRATOPS_TLS_DIR: {error}") from error

    def newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked at each handshake, by a thread of gRPC's. None: the one before."""
        try:
            found = self._read()
        except InvalidCertificate:
            return None
        if found == self._shown:
            return None
        self._shown = found
        return grpc.ssl_server_certificate_configuration([found])


def server_credentials(folder: Path) -> grpc.ServerCredentials:
    """Raises InvalidCertificate."""
    certificate = _Certificate(folder)
    return grpc.dynamic_ssl_server_credentials(
        certificate.first,
        certificate.newer,  # type: ignore[arg-type]  # it may answer None, says gRPC
    )
