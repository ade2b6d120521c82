"""`make long`: a million events of the desk and its model, from one printed seed.

Each story is one desk's. What differs is shrunk and printed as a story that can be told again. The
last line is the row for docs/long-runs.md.
"""

import argparse
import asyncio
import sys
import time
from random import Random

import desk_stories
from desk_stories import Result, never_happened, shrunk, some_story, tell
from desk_world import Differs
from quiet_log import quiet

STEPS = 120  # of a story: what the model works out grows with its square


async def run(seed: int, events: int) -> Result:
    """Raises Differs."""
    chance, result, began = Random(seed), Result(), time.monotonic()
    while result.steps < events:
        story_seed = chance.randrange(2**32)
        story = some_story(Random(story_seed), STEPS)
        before = result.steps
        try:
            await tell(story, story_seed, result)
        except Exception as error:  # also what no rule covers has to be shown
            await _show(story[: result.steps - before + 1], story_seed, error)
            raise
        if result.steps // 10_000 > before // 10_000:
            rate = result.steps / (time.monotonic() - began)
            print(f"{result.steps:,} events, {rate:.0f}/s", flush=True)
    return result


async def _show(story: list[tuple[str, int]], seed: int, error: Exception) -> None:
    print(f"{type(error).__name__}: {error}\nshrinking {len(story)} steps", flush=True)
    print(f"await tell({await shrunk(story, seed)}, {seed})", flush=True)


def row(seed: int, result: Result, seconds: float, cpu_s: float) -> str:
    decided = result.reasons.total()
    accepted = result.reasons["accepted"]
    refused = ", ".join(f"{k} {n}" for k, n in result.reasons.most_common() if k != "accepted")
    cost = f"{seconds:.0f} s, {cpu_s / result.steps * 1e3:.2f} ms of CPU each"
    return f"| {seed} | {result.steps} | {decided} | {accepted} | {refused} | {cost} | equal |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=Random().randrange(2**32))
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--share", type=float, default=desk_stories.SHARE)
    asked = parser.parse_args()
    desk_stories.SHARE = asked.share
    print(f"seed {asked.seed}, {asked.events:,} events", flush=True)
    began = time.monotonic()
    with quiet():
        try:
            result = asyncio.run(run(asked.seed, asked.events))
        except Differs:
            return 1
    print(result)
    print(row(asked.seed, result, time.monotonic() - began, time.process_time()))
    missing = never_happened(result)
    if missing:
        print(f"never happened: {', '.join(sorted(missing))}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
