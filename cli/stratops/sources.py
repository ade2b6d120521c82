"""Where the code of a strategy is, and the text of it, on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platform_spec.documents import LARGEST
from platform_spec.manifest import Written
from platform_spec.problems import Problem, nearest, shown
from platform_spec.strategy import ConfigMapKey, Source

ConfigMaps = Mapping[str, Mapping[str, str]]
_SOURCE = ("spec", "strategy", "source")


@dataclass(frozen=True, slots=True)
class Located:
    """Code that can run here: a source as `strategy_sdk.loading` takes it, and the files it has."""

    source: Mapping[str, str]
    path: tuple[str, ...]  # of the field that names it
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Code that only a cluster has; `problem` is for those who need it here."""

    problem: Problem


def locate(
    written: Written, folder: Path, config_maps: ConfigMaps
) -> Located | Elsewhere | Problem:
    """The code of a strategy whose manifest is in `folder`; a Problem when it cannot be read."""
    runnable = written.strategy.spec.strategy
    if runnable.builtin is not None:
        return Located({"builtin": runnable.builtin}, ("spec", "strategy", "builtin"))
    if runnable.class_ is not None:
        return Located({"class": runnable.class_}, ("spec", "strategy", "class"))
    if runnable.source is not None:
        return _located(written, runnable.source, folder, config_maps)
    path = ("spec", "strategy", "image")
    expected = "builtin, class or source: images run on a cluster"
    return Elsewhere(written.problem(path, shown(runnable.image), expected))


def _located(
    written: Written, source: Source, folder: Path, config_maps: ConfigMaps
) -> Located | Elsewhere | Problem:
    if source.inline is not None:
        return _inline(written, source.inline, "inline")
    if source.config_map is not None:
        return _in_config_map(written, source.config_map, config_maps)
    return _in_file(written, folder, str(source.file))


def _inline(written: Written, code: str, field: str) -> Located:
    name = f"{written.strategy.ref}.py"
    return Located({"inline": code, "name": name}, (*_SOURCE, field))


def _in_config_map(
    written: Written, wanted: ConfigMapKey, config_maps: ConfigMaps
) -> Located | Elsewhere | Problem:
    namespace = written.strategy.metadata.namespace
    ref = f"{namespace}/{wanted.name}" if namespace else wanted.name
    if ref not in config_maps:
        expected = "a ConfigMap of these files"
        hint = nearest(ref, config_maps)
        path = (*_SOURCE, "configMap", "name")
        return Elsewhere(written.problem(path, shown(ref), expected, hint))
    keys = config_maps[ref]
    if wanted.key not in keys:
        expected = f"one of its keys: {', '.join(keys) or 'it has none'}"
        hint = nearest(wanted.key, keys)
        return written.problem((*_SOURCE, "configMap", "key"), shown(wanted.key), expected, hint)
    return _inline(written, keys[wanted.key], "configMap")


def _in_file(written: Written, folder: Path, name: str) -> Located | Problem:
    """Read once: what was checked is what runs, whatever becomes of the file."""
    file = folder / name
    try:
        code = read_at_most(file, LARGEST).decode()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        expected = f"a Python file beside the manifest ({reason})"
        return written.problem((*_SOURCE, "file"), shown(name), expected, _near(file))
    return Located({"inline": code, "name": str(file)}, (*_SOURCE, "file"), (file,))


def _near(file: Path) -> str:
    try:
        return nearest(file.name, [each.name for each in file.parent.glob("*.py")])
    except (OSError, ValueError):
        return ""


def read_at_most(file: Path, most: int) -> bytes:
    """The bytes of a file, one more than `most` if it is longer. Raises OSError."""
    with file.open("rb") as opened:
        return opened.read(most + 1)
