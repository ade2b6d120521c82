"""Which runners are started, restarted, given up and let go; the children are real processes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from stratops.crew import Crew
from stratops.manifests import CheckedStrategy, read
from stratops.notices import Kind, Notices
from stratops.processes import Command
from stratops.rollouts import CRASHES, Rollouts, Runner
from stratops.supervisor import Child, Death
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.gateway_client import GatewayUnavailable

pytestmark = pytest.mark.servers

STAYS = "import time; time.sleep(60)"
ENDS = "raise SystemExit('broken')"


class Desk:
    """A desk of the test's own: a gateway that arms at once what is ready, and real children."""

    def __init__(self, folder: Path, tasks: asyncio.TaskGroup) -> None:
        self.notices = Notices()
        self.crew = Crew(tasks, folder, self.notices)
        self.rollouts = Rollouts(self, self, self.notices)
        self.code: dict[str, str] = {}  # by revision; STAYS where nothing is said
        self.asked: list[str] = []
        self.tokens: dict[str, str] = {}
        self.away = False
        self.task = tasks.create_task(self.rollouts.run())

    async def deploy(self, strategy: str, revision: str, content: bytes, runner_token: str) -> None:
        if self.away:
            raise GatewayUnavailable("away")
        self.asked.append(revision)
        self.tokens[revision] = runner_token

    async def withdraw(self, strategy: str, reason: str) -> None:
        self.asked.append(f"withdraw {strategy}")

    def write_spec(self, strategy: CheckedStrategy) -> Path:
        return Path(strategy.revision)

    def seat(
        self, runner: Runner, on_death: Callable[[Death], None], again: Callable[[int], bool]
    ) -> Child:
        code = self.code.get(runner.strategy.revision, STAYS)
        command = Command("runner", (sys.executable, "-S", "-c", code), dict(os.environ))
        name = f"runner {runner.strategy.revision}"
        return self.crew.keep(name, lambda life: command, on_death, again)

    def arm(self, revision: str, epoch: int) -> None:
        """The gateway says that this revision is armed."""
        status = pb.StrategyStatus(
            strategy="probe", revision=revision, role="armed", epoch=epoch, wanted_revision=revision
        )
        self.rollouts.observe(pb.Desk(strategies=[status]))

    def alive(self, revision: str) -> bool:
        child = self.crew.children.get(f"runner {revision}")
        return child is not None and child.alive


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with asyncio.TaskGroup() as tasks:
        one = Desk(tmp_path, tasks)
        yield one
        one.task.cancel()
        one.crew.kill()


async def until(fact: Callable[[], bool], deadline_s: float = 60) -> None:
    async with asyncio.timeout(deadline_s):
        while not fact():
            await asyncio.sleep(0.01)


def probe(folder: Path, version: str) -> CheckedStrategy:
    path = folder / "probe.yaml"
    path.write_text(
        "apiVersion: stratops.dev/v1alpha1\nkind: Strategy\nmetadata: {name: probe}\n"
        f"spec: {{strategy: {{builtin: momentum}}, version: {version}, symbols: [BTCUSDT]}}\n"
    )
    return read([path]).strategies[0]


@pytest.fixture
def one(tmp_path: Path) -> CheckedStrategy:
    return probe(tmp_path, "1.0.0")


@pytest.fixture
def two(tmp_path: Path) -> CheckedStrategy:
    return probe(tmp_path, "2.0.0")


async def armed(desk: Desk, strategy: CheckedStrategy, epoch: int = 1) -> None:
    desk.rollouts.want([strategy])
    await until(lambda: desk.alive(strategy.revision))
    desk.arm(strategy.revision, epoch)


async def test_a_new_revision_starts_beside_the_old_one(
    desk: Desk, one: CheckedStrategy, two: CheckedStrategy
) -> None:
    await armed(desk, one)
    desk.rollouts.want([two])
    await until(lambda: desk.alive(two.revision))
    assert desk.alive(one.revision)
    assert desk.asked == [one.revision, two.revision]
    assert desk.tokens[one.revision] != desk.tokens[two.revision]


async def test_the_same_revision_again_asks_for_nothing(desk: Desk, one: CheckedStrategy) -> None:
    await armed(desk, one)
    desk.rollouts.want([one])
    await asyncio.sleep(0.1)
    assert desk.asked == [one.revision]


async def test_a_gateway_that_is_away_is_asked_when_it_is_back(
    desk: Desk, one: CheckedStrategy
) -> None:
    desk.away = True
    desk.rollouts.want([one])
    await asyncio.sleep(0.1)
    desk.away = False
    await until(lambda: desk.asked == [one.revision])


async def test_a_released_runner_is_not_started_again(
    desk: Desk, one: CheckedStrategy, two: CheckedStrategy
) -> None:
    await armed(desk, one)
    await armed(desk, two, epoch=2)
    child = desk.crew.children[f"runner {one.revision}"]
    assert child.process
    child.process.terminate()
    await until(lambda: child.ended)
    assert desk.crew.restarts == {}


async def test_a_revision_that_keeps_ending_is_given_up_and_the_old_one_trades_on(
    desk: Desk, one: CheckedStrategy, two: CheckedStrategy
) -> None:
    await armed(desk, one)
    desk.code[two.revision] = ENDS
    desk.rollouts.want([two])
    await until(lambda: desk.asked == [one.revision, two.revision, one.revision])
    assert desk.alive(one.revision)
    assert "crash_loop" in desk.notices.problems["probe"]
    assert "broken" in desk.notices.problems["probe"]
    assert desk.crew.restarts[f"runner {two.revision}"] == CRASHES


async def test_what_the_gateway_gave_up_falls_back_to_the_one_before(
    desk: Desk, one: CheckedStrategy, two: CheckedStrategy
) -> None:
    await armed(desk, one)
    await armed(desk, two, epoch=2)
    lost = pb.StrategyStatus(
        strategy="probe", role="none", none_reason="crash_loop", wanted_revision=two.revision
    )
    desk.rollouts.observe(pb.Desk(strategies=[lost]))
    await until(lambda: desk.asked == [one.revision, two.revision, one.revision])
    assert "crash_loop" in desk.notices.problems["probe"]


async def test_what_was_given_up_is_not_tried_again(
    desk: Desk, one: CheckedStrategy, two: CheckedStrategy
) -> None:
    await armed(desk, one)
    desk.code[two.revision] = ENDS
    desk.rollouts.want([two])
    await until(lambda: len(desk.asked) == 3)
    desk.rollouts.want([two])
    await asyncio.sleep(0.1)
    assert desk.asked[-1] == one.revision
    assert "probe" in desk.notices.problems


async def test_a_first_revision_that_keeps_ending_is_a_problem_and_is_tried_on(
    desk: Desk, one: CheckedStrategy
) -> None:
    desk.code[one.revision] = ENDS
    desk.rollouts.want([one])
    await until(lambda: "probe" in desk.notices.problems)
    assert "keeps ending: exit 1: broken" in desk.notices.problems["probe"]
    assert desk.asked == [one.revision]


async def test_back_to_the_old_revision_is_asked_for_again(
    desk: Desk, one: CheckedStrategy, two: CheckedStrategy
) -> None:
    await armed(desk, one)
    await armed(desk, two, epoch=2)
    desk.rollouts.want([one])
    await until(lambda: desk.asked == [one.revision, two.revision, one.revision])


async def test_a_strategy_that_no_manifest_names_is_withdrawn(
    desk: Desk, one: CheckedStrategy
) -> None:
    await armed(desk, one)
    desk.rollouts.want([])
    await until(lambda: desk.asked[-1] == "withdraw probe")


async def test_what_an_earlier_run_left_wanted_is_withdrawn(desk: Desk) -> None:
    desk.rollouts.forget_others(["old"])
    await until(lambda: desk.asked == ["withdraw old"])


async def test_a_switch_is_a_notice_with_both_revisions(
    desk: Desk, one: CheckedStrategy, two: CheckedStrategy
) -> None:
    await armed(desk, one)
    await armed(desk, two, epoch=2)
    [switched] = [notice for notice in desk.notices.all if notice.kind is Kind.SWITCHED]
    assert switched.message == f"{one.revision} -> {two.revision} armed, epoch 2"
