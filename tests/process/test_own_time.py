"""The tests' own watch: what is slow is slow, and what was held up is not."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from own_time import Watch, seconds_to_end

pytestmark = pytest.mark.servers

SLOW = """
import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("on", flush=True)
signal.sigwait([signal.SIGTERM])
time.sleep(1.5)
"""


def test_what_takes_its_time_to_end_is_caught() -> None:
    process = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        assert seconds_to_end(process) > 1
        assert process.returncode == 0


STOPPED = """
import os, signal
from own_time import Watch
with Watch() as watch:
    os.kill(os.getpid(), signal.SIGSTOP)
print(watch.seconds)
"""


def test_what_stands_still_as_a_whole_is_not_held_against_anybody() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, env=environment
    )
    stopped = psutil.Process(process.pid)
    while stopped.status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    time.sleep(1.5)
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate(timeout=60)
    assert float(said) < 1


def test_the_watch_runs() -> None:
    with Watch() as watch:
        threading.Event().wait(0.5)
    assert watch.seconds > 0.2
