"""The programs of a cluster, built from the Go modules in `go/`, whose go.sum pins every byte."""

import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev_cluster import cache, go_toolchain
from dev_cluster.notices import say

SOURCES = Path(__file__).parent / "go"
KUBERNETES = "v1.36.3"
# One program is all of these: the name it is called by selects.
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)
_VERSION = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = KUBERNETES.removeprefix("v").split(".")
# Without a version the API server says v0.0.0-master, and clients that compare versions fail.
_LINK = (
    f"-s -w -X {_VERSION}.gitVersion={KUBERNETES}"
    f" -X {_VERSION}.gitMajor={_MAJOR} -X {_VERSION}.gitMinor={_MINOR}"
)
_FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly", f"-ldflags={_LINK}")
_NODE, _RUNTIME = ("node", "./..."), ("runtime", "tool")  # module, what of it
_REPORT_EVERY_S = 20.0


class BuildFailed(Exception):
    """The message has what Go said."""


def ready() -> Path:
    """The folder of the programs, built if need be: some minutes the first time."""
    return cache.provide(_folder(), _build)


def built() -> Path | None:
    """The folder of the programs if they are built already."""
    return _folder() if cache.difference(_folder()) is None else None


def _folder() -> Path:
    return cache.root() / f"cluster-{key(SOURCES, platform.machine())}"


def key(sources: Path, machine: str) -> str:
    """Of everything that decides what the programs are, except the compiler."""
    digest = hashlib.sha256(repr((_FLAGS, COMPONENTS, machine)).encode())
    for path in sorted(path for path in sources.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(sources)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(folder: Path) -> None:
    began = time.monotonic()
    go = go_toolchain.find()
    say(f"building Kubernetes {KUBERNETES}: some minutes the first time, then never again")
    for module, what in (_NODE, _RUNTIME):
        _go(go, SOURCES / module, ["mod", "download"])
        _compile(go, SOURCES / module, what, folder)
    for name in COMPONENTS:
        (folder / name).symlink_to("node")
    say(f"built in {time.monotonic() - began:.0f} s")


def _compile(go: str, module: Path, what: str, folder: Path) -> None:
    """Go names each package that it compiles; those in its cache it does not."""
    packages = len(_go(go, module, ["list", "-deps", what]).splitlines())
    command = [go, "build", "-v", *_FLAGS, f"-o={folder}/", what]
    said: list[str] = []
    reported = time.monotonic()
    with subprocess.Popen(  # noqa: S603
        command, cwd=module, env=_environment(os.environ), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if time.monotonic() - reported > _REPORT_EVERY_S:
                reported = time.monotonic()
                say(f"{module.name}: compiled {len(said)} of at most {packages} packages")
    if process.returncode:
        raise BuildFailed("".join(said[-40:]))


def _go(go: str, module: Path, arguments: Sequence[str]) -> str:
    done = subprocess.run(  # noqa: S603
        [go, *arguments],
        cwd=module,
        env=_environment(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildFailed(f"go {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The user's caches, proxy and checksum database; nothing that changes what is built."""
    changing = ("GOFLAGS", "GOOS", "GOARCH", "GOEXPERIMENT")
    kept = {name: value for name, value in inherited.items() if name not in changing}
    return kept | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
