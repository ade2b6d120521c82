"""Who asks which desk: the one who started it, or somebody with a token of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stratops.folder import running_in
from stratops_wire.gateway_client import GatewayClient


class InvalidAsker(Exception):
    """Names the option, its value and what was expected."""


@dataclass(frozen=True, slots=True)
class Asker:
    state: Path
    gateway: str = ""  # empty: the desk that runs in `state`
    token_file: Path | None = None  # None: as who started it
    ca_file: Path | None = None  # None: plain

    def address(self) -> str:
        """Raises NoDesk."""
        return self.gateway or running_in(self.state).gateway

    def client(self) -> GatewayClient:
        """Raises NoDesk, InvalidAsker."""
        if self.gateway and self.token_file is None:
            raise InvalidAsker(f"--gateway: {self.gateway!r}, expected --token-file beside it")
        ca = _read("--ca-file", self.ca_file) if self.ca_file else None
        return GatewayClient(self.address(), self._token(), ca)

    def _token(self) -> str | Callable[[], str]:
        if self.token_file is None:
            return running_in(self.state).operator_token
        try:
            token = _read("--token-file", self.token_file).decode().strip()
        except UnicodeDecodeError:
            token = ""
        if not token:
            raise InvalidAsker(f"--token-file: {str(self.token_file)!r}, expected a token in it")
        return token


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidAsker(
            f"{option}: {str(path)!r}, expected a file ({error.strerror})"
        ) from error
