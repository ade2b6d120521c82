"""`make long`: a million events of the desk and its model, from one printed seed.

Each story is one desk's, and each processor tells every so manieth. What differs is shrunk and
printed as a story that can be told again. The last line is the row for docs/long-runs.md.
"""

import argparse
import asyncio
import os
import sys
import time
from functools import partial
from multiprocessing import Pool
from random import Random

import desk_stories
from desk_stories import Result, never_happened, shrunk, some_story, tell
from desk_world import Differs
from quiet_log import quiet

STEPS = 120  # of a story: what the model works out grows with its square


def share(seed: int, events: int, jobs: int, job: int) -> tuple[Result, float]:
    """What one of so many processes tells, and its seconds of CPU. Raises Differs."""
    with quiet():
        return asyncio.run(run(seed, events // jobs, jobs, job)), time.process_time()


async def run(seed: int, events: int, jobs: int, job: int) -> Result:
    """Raises Differs."""
    chance, result, began = Random(seed), Result(), time.monotonic()
    while result.steps < events:
        story_seed = [chance.randrange(2**32) for _ in range(jobs)][job]
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
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    desk_stories.SHARE = asked.share
    print(f"seed {asked.seed}, {asked.events:,} events, {asked.jobs} jobs", flush=True)
    began = time.monotonic()
    with Pool(asked.jobs) as pool:  # forks, which take SHARE along; the first that differs ends all
        told = partial(share, asked.seed, asked.events, asked.jobs)
        try:
            shares = list(pool.imap_unordered(told, range(asked.jobs)))
        except Differs:
            return 1
    result, cpu_s = Result(), 0.0
    for part, spent_s in shares:
        result.steps += part.steps
        result.happened += part.happened
        result.reasons += part.reasons
        cpu_s += spent_s
    print(result)
    print(row(asked.seed, result, time.monotonic() - began, cpu_s))
    missing = never_happened(result)
    if missing:
        print(f"never happened: {', '.join(sorted(missing))}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
