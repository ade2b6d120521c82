"""Makes the virtual environment that the Makefile runs things in, and installs this checkout there.

    python3 scripts/bootstrap.py FOLDER EXTRA[,EXTRA...]

Only the standard library, no root; an older Python finds a newer one. A plain Debian has `venv`
without `ensurepip`: there pip comes as its wheel from the package index.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urljoin, urlsplit

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")
INDEX = "https://pypi.org/simple"


def main(folder: Path, extras: str) -> None:
    if sys.version_info < OLDEST:  # whichever python3 a machine has runs this
        run_with_newer_python()
    python = folder / "bin" / "python"
    if not has_pip(python):
        make_environment(folder)
    stamp = folder / f"installed-{extras.replace(',', '-')}"
    if not stamp.exists() or stamp.stat().st_mtime < (ROOT / "pyproject.toml").stat().st_mtime:
        say(f"installing stratops[{extras}]")
        call(python, "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[{extras}]")
        stamp.touch()


def run_with_newer_python() -> None:
    """Replaces this process with the same under a Python that is new enough, if there is one."""
    for name in NEWER:
        found = shutil.which(name)
        if found:
            os.execv(found, [found, *sys.argv])  # noqa: S606  # no shell is wanted
    sys.exit("Python {}.{} or newer is needed, and none is on the PATH".format(*OLDEST))


def has_pip(python: Path) -> bool:
    """Whether there is an environment whose Python runs and has pip."""
    if not python.exists():
        return False
    asked = [str(python), "-m", "pip", "--version"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0  # noqa: S603


def make_environment(folder: Path) -> None:
    say(f"making {folder}")
    if find_spec("ensurepip"):
        call(sys.executable, "-m", "venv", "--clear", folder)
    else:
        call(sys.executable, "-m", "venv", "--clear", "--without-pip", folder)
        install_pip(folder / "bin" / "python")


def install_pip(python: Path) -> None:
    """A wheel is a zip file that Python can run from: pip installs itself."""
    index = os.environ.get("PIP_INDEX_URL", INDEX).rstrip("/") + "/pip/"
    url, _, digest = newest_wheel(links(fetch(index).decode())).partition("#sha256=")
    content = fetch(urljoin(index, url))
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit(f"{url}: not the file that {index} names")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(urlsplit(url).path).name
        path.write_bytes(content)
        call(python, f"{path}/pip", "install", "--quiet", "--no-index", path)


def links(page: str) -> list[str]:
    """Where the links of an index page lead; yanked files are left out."""
    anchors = re.findall(r"<a\s[^>]*>", page)
    hrefs = (re.search(r'href="([^"]+)"', one) for one in anchors if "data-yanked" not in one)
    return [html.unescape(found[1]) for found in hrefs if found]


def newest_wheel(urls: list[str]) -> str:
    """Of the final releases, by their number."""
    return max((url for url in urls if release(url)), key=release)


def release(url: str) -> tuple[int, ...]:
    """(24, 0) of pip-24.0-py3-none-any.whl; empty for whatever is no final release."""
    found = re.search(r"/pip-([0-9.]+)-py3-none-any\.whl(#|$)", f"/{url}")
    return tuple(map(int, found[1].split("."))) if found else ()


def fetch(url: str) -> bytes:
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
    # The index is the user's own setting, or PyPI.
    with urllib.request.urlopen(url, timeout=60, context=context) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content


def call(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], cwd=ROOT, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(done.returncode)


def say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2])
