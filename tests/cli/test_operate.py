"""`stratops` against a desk that somebody else runs: whose token it shows, and what it is told."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from desk_driver import OPERATOR
from gateway_driver import Stack
from held_ports import free_port

pytestmark = pytest.mark.servers

Ask = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "roster.toml").write_text(
        "".join(
            f'[{name}]\nroles = ["{role}"]\ntoken_sha256 = "{sha256(name.encode()).hexdigest()}"\n'
            for name, role in (("ana", "risk-officer"), ("bo", "reader"))
        )
    )
    away = SimpleNamespace(url="redis://127.0.0.1:1", port=1)
    bus = SimpleNamespace(url="nats://127.0.0.1:1")
    roster = str(folder / "roster.toml")
    started = Stack(folder, free_port, away, bus, OPERATOR_TOKEN=OPERATOR, ROSTER=roster)
    yield started
    started.close()


@pytest.fixture
def ask(stack: Stack, tmp_path: Path) -> Ask:
    def run(*arguments: str, who: str = "") -> "subprocess.CompletedProcess[str]":
        (tmp_path / "token").write_text(f"{who}\n")
        whose = ("--token-file", str(tmp_path / "token")) if who else ()
        command = [sys.executable, "-m", "stratops", *arguments, *whose]
        command += ["--gateway", stack.gateway.address]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


def test_a_risk_officer_halts_and_a_reader_sees_why(ask: Ask) -> None:
    done = ask("halt", "--reason", "drill", who="ana")
    assert (done.returncode, done.stderr) == (0, "")
    seen = ask("status", "-o", "json", who="bo")
    assert '"halted": "drill"' in seen.stdout


def test_who_was_refused_and_what_it_lacks_is_said(ask: Ask) -> None:
    done = ask("resume", who="bo")
    assert done.returncode == 1
    assert done.stderr.endswith("Resume needs role operator or risk-officer; bo has reader\n")


def test_a_token_of_nobody_is_refused(ask: Ask) -> None:
    done = ask("status", who="eve")
    assert done.returncode == 1
    assert done.stderr == "stratops: risk gateway: UNAUTHENTICATED: unknown token\n"


def test_without_a_token_another_desk_is_not_asked(ask: Ask) -> None:
    done = ask("status")
    assert done.returncode == 1
    assert "expected --token-file beside it" in done.stderr
