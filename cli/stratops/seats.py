"""Where runners are started: one seat for each revision that is wanted."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stratops import plan as plans
from stratops.crew import Crew
from stratops.folder import DeskFolder
from stratops.manifests import CheckedStrategy
from stratops.plan import DeskPlan, RunnerLife
from stratops.processes import Command
from stratops.rollouts import Runner
from stratops.supervisor import Child, Death


class RunnerSeats:
    def __init__(
        self, plan: DeskPlan, folder: DeskFolder, crew: Crew, environ: Mapping[str, str]
    ) -> None:
        self.symbols: dict[str, Sequence[str]] = {}  # by strategy, of all that ever ran
        self._plan = plan
        self._folder = folder
        self._crew = crew
        self._environ = environ

    def write_spec(self, strategy: CheckedStrategy) -> Path:
        spec = strategy.runner_spec(self._plan.redis_url)
        if not self._plan.feed_url:  # the manifest's channels are those of its own feed
            spec = json.dumps(json.loads(spec) | {"channels": self._channels(strategy)}).encode()
        return self._folder.write_spec(strategy.ref, strategy.revision, spec)

    def seat(
        self, runner: Runner, on_death: Callable[[Death], None], again: Callable[[int], bool]
    ) -> Child:
        def command(life: int) -> Command:
            told = self._life(runner, runner.next_instance(life))
            return plans.runner(self._plan, self._environ, told)

        name = plans.runner_name(runner.strategy.ref, runner.strategy.revision)
        self.symbols[runner.strategy.ref] = tuple(runner.strategy.model.spec.symbols)
        return self._crew.keep(name, command, on_death, again)

    def _life(self, runner: Runner, instance: str) -> RunnerLife:
        strategy = runner.strategy
        return RunnerLife(
            strategy=strategy.ref,
            revision=strategy.revision,
            instance=instance,
            token=runner.token,
            spec=runner.spec,
            symbols=tuple(strategy.model.spec.symbols),
            channels=self._channels(strategy),
            rss_bytes=strategy.model.spec.memory_limit_bytes() or plans.RUNNER_RSS_BYTES,
        )

    def _channels(self, strategy: CheckedStrategy) -> tuple[str, ...]:
        if self._plan.feed_url:
            return strategy.model.spec.channels_in_force()
        return tuple(f"market:{symbol.lower()}" for symbol in strategy.model.spec.symbols)
