"""The committed modules are what the .proto files make."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.servers
def test_the_committed_stubs_are_what_the_contracts_generate(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts/generate_proto.sh", tmp_path], check=True)
    fresh = {path.name: path.read_bytes() for path in tmp_path.rglob("*_pb2*")}
    committed = ROOT / "proto/stratops_api/v1"
    assert fresh == {path.name: path.read_bytes() for path in committed.glob("*_pb2*")}
    assert fresh


@pytest.mark.servers
@pytest.mark.skipif(shutil.which("npx") is None, reason="buf comes from npm: needs node")
def test_the_contracts_keep_bufs_rules() -> None:
    lint = ["npx", "--yes", "@bufbuild/buf@1.75.0", "lint", "proto"]
    said = subprocess.run(lint, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
