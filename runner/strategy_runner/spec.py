"""The spec of a runner: a manifest that was checked elsewhere, as the JSON that a file holds.

Who checks (`stratops`, the operator) has the models; this process stays small and only reads.
"""

from pathlib import Path
from typing import Any

import msgspec

from market_data.redis_link import Address
from strategy_sdk.loading import CannotLoad, code_digest, load
from strategy_sdk.strategy import Strategy


class InvalidSpec(ValueError):
    """A spec file that this runner cannot run; the message names the file and the field."""


class RunnerSpec(msgspec.Struct, frozen=True):
    strategy: str  # "<name>" or "<namespace>/<name>"
    revision: str
    source: dict[str, str]
    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    redis_url: str = ""  # empty: the desk's feed
    parameters: dict[str, Any] = {}
    version: str = ""
    mode: str = "simulation"
    state_key: str = ""
    code_digest: str = ""  # empty: nothing to compare the code with
    manifest_dir: str = "."

    def make_strategy(self) -> Strategy:
        """Raises CannotLoad, InvalidParameters; whatever an author's own __init__ raises."""
        if self.code_digest and (found := code_digest(self.source, self.manifest_dir)) != (
            self.code_digest
        ):
            raise CannotLoad(
                f"code: sha256 {found[:10]}, expected {self.code_digest[:10]} of revision"
                f" {self.revision}: it was changed after the check"
            )
        return load(self.source, self.manifest_dir)(**self.parameters)


def read(path: Path) -> RunnerSpec:
    """Raises InvalidSpec."""
    try:
        spec = msgspec.json.decode(path.read_bytes(), type=RunnerSpec)
    except OSError as error:
        raise InvalidSpec(f"spec {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidSpec(f"spec {path}: {error}") from error
    if not spec.symbols or not spec.channels:
        raise InvalidSpec(f"spec {path}: symbols and channels, expected at least one of each")
    try:
        Address.parse(spec.redis_url or "redis://desk")
    except ValueError as error:
        raise InvalidSpec(f"spec {path}: redis_url: {error}") from error
    return spec
