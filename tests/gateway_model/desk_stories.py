"""Stories of a whole desk, by chance: what happens, how often, and how it is told again.

A story is a list of steps, each the name of what happens and a seed for its details. Details depend
on nothing but that seed and the world as it stands, so any part of a story is a story: what fails
is shrunk by leaving steps out.
"""

import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from random import Random

from desk_adoption import adopting_start, by_hand
from desk_bounds import people_stand
from desk_busts import bust
from desk_draws import FEATURES, LATER, Scene, content, policies, policy
from desk_happenings import (
    answer,
    bad_message,
    bring,
    calm,
    cancel_all,
    change_orders,
    change_policy,
    come_back,
    decide,
    decide_ahead,
    decide_together,
    deliver,
    deploy,
    deploy_again,
    fenced,
    fill_again,
    flood,
    foreign_fill,
    halt,
    hand_over,
    leave,
    lift,
    list_policies,
    look,
    lose_runner,
    lost_tick,
    market_runs,
    prune,
    repeat,
    replaced,
    restart,
    resume,
    session,
    settle,
    submit,
    tick,
    trade,
    venue_away,
    venue_back,
    venue_ends,
    wait,
    went_back,
    withdraw,
)
from desk_modifications import late_copy
from desk_venues import reroute, some_routes
from desk_world import DeskWorld, proven
from model_venues import EVERYTHING
from trading.reasons import Reason
from world_pools import CLAIMED

Step = tuple[str, int]
Story = Sequence[Step]
SHM = Path("/dev/shm")  # where there is one: a commit that a disk would make wait for it

Happening = Callable[[Random, Scene], Awaitable[None]]
HAPPENINGS: Mapping[str, tuple[Happening, float]] = {
    "tick": (tick, 8),
    "lost_tick": (lost_tick, 1),
    "market_runs": (market_runs, 3),
    "look": (look, 16),
    "lift": (lift, 0.5),
    "bad_message": (bad_message, 1),
    "decide": (decide, 30),
    "decide_together": (decide_together, 5),
    "decide_ahead": (decide_ahead, 2),
    "flood": (flood, 0.01),
    "submit": (submit, 3),
    "fenced": (fenced, 1),
    "replaced": (replaced, 1),
    "went_back": (went_back, 0.2),
    "repeat": (repeat, 1),
    "wait": (wait, 0.5),
    "session": (session, 0.3),
    "leave": (leave, 25),
    "answer": (answer, 8),
    "trade": (trade, 14),
    "deliver": (deliver, 16),
    "fill_again": (fill_again, 2),
    "foreign_fill": (foreign_fill, 1),
    "venue_ends": (venue_ends, 1),
    "settle": (settle, 4),
    "venue_away": (venue_away, 0.5),
    "venue_back": (venue_back, 2),
    "halt": (halt, 0.5),
    "resume": (resume, 4),
    "change_policy": (change_policy, 1),
    "list_policies": (list_policies, 0.5),
    "calm": (calm, 3),
    "deploy": (deploy, 0.8),
    "hand_over": (hand_over, 0.8),
    "lose_runner": (lose_runner, 0.1),
    "come_back": (come_back, 1),
    "restart": (restart, 0.5),
    "prune": (prune, 2),
    "change_orders": (change_orders, 8),
    "late_copy": (late_copy, 2),
    "withdraw": (withdraw, 3),
    "cancel_all": (cancel_all, 0.3),
    "by_hand": (by_hand, 3),
    "adopting_start": (adopting_start, 4),
    "reroute": (reroute, 1.5),
    "deploy_again": (deploy_again, 1),
    "people_stand": (people_stand, 3),
    "bust": (bust, 8),
}
NAMES = list(HAPPENINGS)
SHARE = 0.15  # of the stories have any one of what most leave out
_WEIGHTS = [weight for _, weight in HAPPENINGS.values()]
# For who chooses evenly, or nearly so: what is rare is never met in 50,000 steps. A flood takes
# a second: it is left to the seeded stories.
_LEAST = 6
WEIGHED = [
    name
    for name in NAMES
    if name != "flood"
    for _ in range(max(_LEAST, ceil(4 * HAPPENINGS[name][1])))
]

# What a run of a million must have met, or the generator does not do what it says.
_OF_ORDERS = (
    "adoption: left as it is", "adoption: taken over", "by hand: an order",
    "deploy: after a withdrawal", "modify: a late copy", "modify: answer lost",
    "modify: asked for", "modify: never arrived", "modify: not taken", "modify: overtaken",
    "modify: taken", "modify: the call was wrong", "post only: it rests",
    "post only: it would take", "signal: modify", "signal: post only", "signal: resting",
    "trade: it would not only reduce", "venues: a venue is gone", "venues: routes moved",
    "withdrawn: as it is", "withdrawn: closed", "withdrawn: flattened",
)  # fmt: skip
DETAILS = (
    *_OF_ORDERS,
    "answer: garbled", "breach: alert", "breach: closed", "breach: halted", "breach: of account",
    "breach: of desk",
    "breach: pause", "breach: reduce", "breach: stop", "breach: taken back by a day",
    "breach: taken back by a person", "call: answer lost", "call: answered", "call: held back",
    "call: never arrived", "call: refused", "cancel: answer lost", "cancel: answered",
    "cancel: never arrived", "cause: lost", "cause: of another time", "clock: a long wait",
    "clock: midnight",
    "clock: stepped", "deploy: capital in another currency", "deploy: one from before",
    "fence: went back", "fill: counted",
    "fill: foreign", "fill: late",
    "fill: bust again", "fill: bust of records that are gone", "fill: bust waits",
    "fill: bust wrong", "fill: of records that are gone", "fill: repeated", "fill: stray",
    "fill: taken back", "fill: taken back after a kill", "fill: taken back at once",
    "grant: fresh",
    "journal: pruned",
    "grant: switched", "halt: file", "halt: operator", "message: lost", "policy: changed",
    "policy: removed", "restart: with signals waiting", "signal: again", "signal: cancel",
    "signal: closing", "signal: order", "signal: twice in a batch", "signal: wrong",
    "standing: account", "standing: strategy", "standing: symbol",
    "trade: in part", "trade: more than ordered",
)  # fmt: skip
# Reasons that this desk never gives: no such caller gets this far, nothing here pauses or warms up,
# a journal that cannot be written ends the process, and a venue's rejection is an outcome.
_NOT_HERE = {
    Reason.PAUSED, Reason.UNKNOWN_CALLER, Reason.UNKNOWN_STRATEGY, Reason.JOURNAL_UNAVAILABLE,
    Reason.NOT_WARM, Reason.VENUE_REJECTED,
}  # fmt: skip
REASONS = ("accepted", *(each.value for each in Reason if each not in _NOT_HERE))
_RARE = {
    "flood",
    "queue_full",
    "breach: taken back by a day",
    "fill: bust of records that are gone",
    "fill: of records that are gone",
    "fill: taken back after a kill",
    "fill: taken back at once",
    "modify: a late copy",
    "modify: overtaken",
}


def some_story(r: Random, steps: int) -> list[Step]:
    names = r.choices(NAMES, _WEIGHTS, k=steps)
    return [(name, r.randrange(2**32)) for name in names]


# ---- telling one


async def begin(folder: Path, seed: int) -> Scene:
    """A desk with two or three strategies that trade."""
    r, besides = Random(seed), Random(f"{seed} besides")  # which a story without has no draw of
    features = frozenset(each for each in FEATURES if besides.random() < SHARE)
    features |= {each for each in LATER if Random(f"{seed} {each}").random() < SHARE}
    market_clock, asks = r.random() < 0.7, r.random() < 0.5
    routes = some_routes(besides) if "venues" in features else EVERYTHING
    several = Random(f"{seed} currency").choice(["USDT", "USDT", "BTC"])
    world = DeskWorld(
        folder,
        market_clock=market_clock,
        asks_for_policies=asks or bool(features),
        routes=routes,
        currency=several if "currencies" in features else "",
    )
    scene = Scene(world, features=features)
    for each in features:
        scene.count(f"story: {each}")
    if r.random() < 0.9:
        world.list_policies(policies(besides, scene, {"main": {}, "other": policy(r)}))
    if features & {"pools", "totals", "samples", "standings", "venues"}:
        world.accounts["s2"] = "other"
    for n in range(r.choice([2, 2, 3])):
        name = f"s{n + 1}"
        world.deploy(name, "r1", content(r, scene, r.choice(["", "main"])))
        await world.quiet()
        await world.arm(world.seats[name])
    world.compare()
    return scene


async def happen(scene: Scene, step: Step) -> None:
    """One step, and the comparison behind it."""
    name, seed = step
    scene.count(name)
    await HAPPENINGS[name][0](Random(seed), scene)
    await scene.world.quiet()
    scene.world.compare()


async def finish(scene: Scene) -> None:
    """All that is under way arrives: then ledger, venue and journal agree too."""
    world = scene.world
    await calm(Random(0), scene)
    await world.pass_time(1.2)
    while world.fills:
        await bring(scene, world.fills.pop(0))
    world.compare()
    world.answers.clear()
    world.driver.between = proven
    await world.restart()
    world.compare()


@dataclass
class Result:
    steps: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def note(self, scene: Scene) -> None:
        self.happened += scene.world.happened
        self.reasons += scene.world.reasons

    def __str__(self) -> str:
        parts = (self.happened, self.reasons)
        lines = (", ".join(f"{k} {n}" for k, n in sorted(part.items())) for part in parts)
        return "\n".join((f"{self.steps} events", *lines))


def never_happened(result: Result, *, rare: bool = True) -> set[str]:
    """What the generator claims, and did not do."""
    met = {*result.happened, *result.reasons}
    claimed = {*NAMES, *DETAILS, *REASONS, *CLAIMED}
    return claimed - met - (set() if rare else _RARE | CLAIMED)


async def tell(story: Story, seed: int, result: Result | None = None) -> None:
    """Raises Differs. `seed` is that of the beginning."""
    result = result or Result()
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as folder:
        scene = await begin(Path(folder), seed)
        try:
            for step in story:
                await happen(scene, step)
                result.steps += 1
            await finish(scene)
        finally:
            result.note(scene)
            scene.world.close()


async def shrunk(story: Story, seed: int) -> list[Step]:
    """The fewest steps, by leaving out, that still fail in the same way."""
    kept, size = list(story), max(1, len(story) // 2)
    while size:
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + size :]
            if await _fails(fewer, seed):
                kept = fewer
            else:
                start += size
        size //= 2
    return kept


async def _fails(story: Story, seed: int) -> bool:
    try:
        await tell(story, seed)
    except Exception:  # noqa: BLE001  # whatever it is: there is something to look at
        return True
    return False
