"""What a person is told while something takes time."""

import sys


def say(what: str) -> None:
    sys.stderr.write(f"stratops cluster: {what}\n")
    sys.stderr.flush()
