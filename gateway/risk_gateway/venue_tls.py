"""How the gateway and a venue prove who they are: files of a folder, read anew when they change.

`ca.crt` says whom to believe; `tls.crt` and `tls.key`, where they are, say who we are (mTLS). What
is half-way through a rotation is left until it is whole.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog

from risk_gateway.tls import CERTIFICATE, KEY, InvalidCertificate

CA = "ca.crt"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pems:
    """A certificate of no bytes: none is shown."""

    ca: bytes
    certificate: bytes = b""
    key: bytes = b""

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca, self.key or None, self.certificate or None)


class VenueTls:
    def __init__(self, folder: Path) -> None:
        """Raises InvalidCertificate."""
        self._folder = folder
        self.pems = read(folder)
        self._trouble = ""

    def renewed(self) -> bool:
        """Whether there is a newer set now, which then is `pems`."""
        try:
            found = read(self._folder)
        except InvalidCertificate as error:
            if str(error) != self._trouble:
                log.warning("venue_certificate", error=str(error))
            self._trouble = str(error)
            return False
        self._trouble = ""
        if found == self.pems:
            return False
        self.pems = found
        return True


def read(folder: Path) -> Pems:
    """Raises InvalidCertificate."""
    pems = _pems(folder)
    try:
        context = ssl.create_default_context(cafile=folder / CA)
        if pems.certificate or pems.key:
            context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    except (OSError, ssl.SSLError) as error:
        raise InvalidCertificate(
            f"{folder}: {error}, expected {CA}, {CERTIFICATE}, {KEY}"
        ) from error
    if _pems(folder) != pems:
        raise InvalidCertificate(f"{folder}: changes while it is read")
    return pems


def _pems(folder: Path) -> Pems:
    try:
        ca = (folder / CA).read_bytes()
    except OSError as error:
        raise InvalidCertificate(f"TLS of a venue: {error}") from error
    return Pems(ca, *(_bytes(folder / name) for name in (CERTIFICATE, KEY)))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InvalidCertificate(f"TLS of a venue: {error}") from error
