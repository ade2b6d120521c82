"""Which saves of a manifest count."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from stratops.manifests import Checked, read
from stratops.watch import RETRY_POLLS, ManifestWatch

MANIFEST = """
apiVersion: stratops.dev/v1alpha1
kind: Strategy
metadata: {name: probe}
spec: {strategy: {builtin: sma_crossover}, version: 1.0.0, symbols: [BTCUSDT]}
"""

Polls = Callable[[], list[Checked]]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "probe.yaml"
    path.write_text(MANIFEST)
    return path


@pytest.fixture
def polls(manifest: Path) -> Polls:
    """Polls until everything is read; answers with what was."""
    watch = ManifestWatch([manifest], read([manifest]), read)
    return lambda: [checked for _ in range(3) if (checked := watch.poll())]


def test_nothing_saved_is_nothing_read(polls: Polls) -> None:
    assert polls() == []


def test_a_saved_manifest_is_read_once(manifest: Path, polls: Polls) -> None:
    manifest.write_text(MANIFEST.replace("1.0.0", "1.0.1"))
    [checked] = polls()
    assert checked.strategies[0].model.spec.version == "1.0.1"


def test_a_comment_changes_no_revision(manifest: Path, polls: Polls) -> None:
    before = read([manifest]).strategies[0].revision
    manifest.write_text(MANIFEST + "# nothing\n")
    [checked] = polls()
    assert checked.strategies[0].revision == before


def test_a_replaced_file_is_seen(manifest: Path, polls: Polls) -> None:
    other = manifest.with_suffix(".new")
    other.write_text(MANIFEST.replace("1.0.0", "1.0.2"))
    other.replace(manifest)
    assert len(polls()) == 1


def test_a_file_that_still_changes_is_not_read(manifest: Path) -> None:
    reads: list[Sequence[Path]] = []

    def count(paths: Sequence[Path]) -> Checked:
        reads.append(paths)
        return read(paths)

    watch = ManifestWatch([manifest], read([manifest]), count)
    for length in range(1, 5):
        manifest.write_text(MANIFEST + "#" * length)
        watch.poll()
    assert reads == []


def test_the_code_of_a_strategy_is_watched(tmp_path: Path, manifest: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text("from strategy_sdk import Strategy\n\n\nclass Mine(Strategy):\n    pass\n")
    manifest.write_text(MANIFEST.replace("{builtin: sma_crossover}", "{source: {file: mine.py}}"))
    first = read([manifest])
    watch = ManifestWatch([manifest], first, read)
    code.write_text(code.read_text() + "\n# changed\n")
    [checked] = [each for _ in range(3) if (each := watch.poll())]
    assert checked.strategies[0].revision != first.strategies[0].revision


def test_while_problems_stand_the_manifest_is_read_again(manifest: Path, polls: Polls) -> None:
    manifest.write_text("not: a strategy\n")
    watch = ManifestWatch([manifest], read([manifest]), read)
    assert any(watch.poll() for _ in range(RETRY_POLLS))
