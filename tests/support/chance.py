"""The chance of one test run: another one each time, and one for all processes of the run."""

import os
import random

SEED = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID")).randrange(
    2**32
)  # None: by the clock
