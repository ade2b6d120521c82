"""Whether the manifests, or the files their strategies are made of, were saved.

Polled: inotify does not see a network folder or another container's writes. A change counts once
the files have been the same for two polls, so that a half-written one is not read.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from stratops.manifests import Checked

POLL_S = 0.2
RETRY_POLLS = 5  # while problems stand: what is missing may appear in a file not known yet

Signature = tuple[tuple[str, int, int, int], ...]


class ManifestWatch:
    """`poll()` answers with what the manifests say now, when that may have changed."""

    def __init__(
        self,
        manifests: Sequence[Path],
        first: Checked,
        read: Callable[[Sequence[Path]], Checked],
    ) -> None:
        """`first` is what `read(manifests)` answered when the desk was started."""
        self._manifests = tuple(manifests)
        self._read = read
        self._files = self._watched(first)
        self._read_at = self._last = _signature(self._files)
        self._invalid_polls = 0
        self._invalid = bool(first.problems)

    def poll(self) -> Checked | None:
        now = _signature(self._files)
        settled, self._last = now == self._last, now
        if not settled or (now == self._read_at and not self._retry_is_due()):
            return None
        checked = self._read(self._manifests)
        self._invalid = bool(checked.problems)
        if not self._invalid:
            self._files = self._watched(checked)
            now = _signature(self._files)
        self._read_at = self._last = now
        return checked

    def _retry_is_due(self) -> bool:
        self._invalid_polls = self._invalid_polls + 1 if self._invalid else 0
        return self._invalid_polls > 0 and self._invalid_polls % RETRY_POLLS == 0

    def _watched(self, checked: Checked) -> tuple[Path, ...]:
        files = {file for strategy in checked.strategies for file in strategy.files}
        return tuple(sorted({*self._manifests, *files}))


def _signature(files: Iterable[Path]) -> Signature:
    return tuple(_one(file) for file in files)


def _one(file: Path) -> tuple[str, int, int, int]:
    try:
        stat = file.stat()
    except OSError:
        return (str(file), 0, 0, 0)
    return (str(file), stat.st_ino, stat.st_size, stat.st_mtime_ns)
