"""This machine's way to its Python package index, lent to a build as secrets: no layer has them."""

import ast
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What reaches an index; pip's other settings are about this machine's folders.
_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries", "proxy")
_NAMES = {"default-timeout": "timeout"}  # the environment's word for a setting
_CERTIFICATES = "/run/secrets/ca.crt"


@contextmanager
def lent() -> Iterator[list[str]]:
    """Options of a build; the Dockerfile says where it takes them."""
    settings = _settings()
    certificates = settings.get("cert") or ssl.get_default_verify_paths().cafile
    has_certificates = certificates is not None and Path(certificates).is_file()
    with tempfile.TemporaryDirectory() as folder:  # nobody else may read it
        path = Path(folder) / "pip.conf"
        path.write_text(_configuration(settings, _CERTIFICATES if has_certificates else ""))
        options = [f"--secret=id=pip.conf,src={path}"]
        if has_certificates:
            options.append(f"--secret=id=ca.crt,src={certificates}")
        yield options


def _configuration(settings: dict[str, str], certificates: str) -> str:
    found = {name: value for name, value in settings.items() if name in _SETTINGS}
    found |= {"cert": certificates} if certificates else {}
    values = ((name, "\n    ".join(value.split())) for name, value in found.items())
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in values)


def _settings() -> dict[str, str]:
    """What files and environment tell pip, if there is one; what it names last wins, as in pip."""
    words = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    settings: dict[str, str] = {}
    for line in said.stdout.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        settings[_NAMES.get(name, name)] = ast.literal_eval(value)
    return settings
