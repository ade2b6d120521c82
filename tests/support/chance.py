"""The chance of one test run: another one each time, and one for all processes of the run."""

import os
import random

_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID")  # None, where there is one process: by the clock
SEED = random.Random(_RUN).randrange(2**32)
