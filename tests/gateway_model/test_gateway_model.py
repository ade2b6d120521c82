"""The whole desk against its slow model: the same verdicts, ledger and outcomes, at each step.

`make check` tells a few stories, `make test` 50,000 steps of hypothesis', `make long` a million of
the seeded generator's (see docs/long-runs.md).
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from chance import SEED
from desk_draws import Scene
from desk_stories import (
    SHM,
    WEIGHED,
    Result,
    begin,
    finish,
    happen,
    never_happened,
    some_story,
    tell,
)

EVENTS = 50_000
STEPS = 100
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("seed", [SEED + n for n in range(4)])
async def test_the_desk_and_its_model_say_the_same(seed: int) -> None:
    await tell(some_story(Random(seed), 150), seed)


class Together(RuleBasedStateMachine):
    """One story; hypothesis chooses what happens, and shrinks what differs."""

    result: ClassVar[Result] = Result()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None)
        self.scene: Scene | None = None

    @rule(name=st.sampled_from(WEIGHED), seed=SEEDS)
    def step(self, name: str, seed: int) -> None:
        if self.scene is None:
            self.scene = self.loop.run(begin(Path(self.folder.name), seed))
        self.loop.run(happen(self.scene, (name, seed)))
        self.result.steps += 1

    def teardown(self) -> None:
        if self.scene is not None:
            try:
                self.loop.run(finish(self.scene))
            finally:
                self.result.note(self.scene)
                self.scene.world.close()
        self.loop.close()
        self.folder.cleanup()


def _has_to_go_on(result: Result) -> bool:
    """Some losses are so rare that chance may leave one out of the first fifty thousand."""
    return result.steps < 3 * EVENTS and bool(never_happened(result, rare=False))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_fifty_thousand_events_of_any_kind(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = settings(
        max_examples=EVENTS // STEPS,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    while Together.result.steps < EVENTS or _has_to_go_on(Together.result):
        run_state_machine_as_test(Together, settings=chosen)
    with capsys.disabled():
        sys.stdout.write(f"\n{Together.result}\n")
    assert not never_happened(Together.result, rare=False)
