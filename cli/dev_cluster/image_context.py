"""What images are made of: a copy of those files, and a hash that is theirs alone.

`.dockerignore` says which files those are. The copy is what gets built: nobody edits it meanwhile,
and times and modes in it depend on nothing but the content.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

_TIME = 315532800  # 1980: layers of one content are one layer, and a wheel (a zip) takes no earlier
_IGNORE_FILE = ".dockerignore"


def snapshot(project: Path, target: Path) -> str:
    """Copies the build context from `project` into `target`; its hash."""
    digest = hashlib.sha256()
    for path in [project / "Dockerfile", project / _IGNORE_FILE, *_taken(project)]:
        name = path.relative_to(project)
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
        content = copy.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    _settle(target)
    return digest.hexdigest()


def _taken(project: Path) -> Iterator[Path]:
    """In a fixed order."""
    rules = (project / _IGNORE_FILE).read_text().split()
    ignored = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    for rule in sorted(rule for rule in rules if rule.startswith("!")):
        start = project / rule[1:]
        for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
            parts = path.relative_to(project).parts
            if path.is_file() and not any(fnmatch(part, one) for part in parts for one in ignored):
                yield path


def _settle(folder: Path) -> None:
    """One time and one mode for all; folders last, since writing in them changes theirs."""
    for where, _, files in os.walk(folder, topdown=False):
        for name in files:
            os.utime(Path(where, name), (_TIME, _TIME))
        Path(where).chmod(0o755)
        os.utime(where, (_TIME, _TIME))
