"""What a strategy's code says of itself: whether it loads, and whether it takes the parameters.

An author's code runs in a process of its own with a deadline, which ends with ours: it may hang,
exit or eat memory, and it must be read afresh each time. That process is
`python -m stratops.inspection`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from strategy_sdk import loading, parameters
from stratops import launch

DEADLINE_S = 10.0
_MOST_BYTES = 2 * 1024**3  # libraries for numbers map much and use little


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with the code, or with the parameter named."""

    value: str
    expected: str = ""
    did_you_mean: str = ""
    parameter: str | None = None  # "": several do not fit together
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Inspection:
    """The digest is empty when the code does not load."""

    code_digest: str = ""
    findings: tuple[Finding, ...] = ()


def inspect(source: Mapping[str, str], values: Mapping[str, Any]) -> Inspection:
    """Loads the source and holds the parameter values against its class."""
    return look(source, values) if "builtin" in source else _in_a_child(source, values)


def look(source: Mapping[str, str], values: Mapping[str, Any]) -> Inspection:
    """As `inspect`, in this process."""
    try:
        strategy = loading.load(source)
        digest = loading.code_digest(source)
    except loading.CannotLoad as error:
        return Inspection(findings=(_of_loading(error),))
    try:
        found = parameters.validate(strategy, values)
    except Exception as error:  # noqa: BLE001  # `conflicts` is the author's code
        finding = Finding(f"{type(error).__name__}: {error}", "conflicts() to answer", "", "")
        return Inspection(digest, (finding,))
    return Inspection(digest, tuple(map(_of_parameter, found)))


def _of_loading(error: loading.CannotLoad) -> Finding:
    value, expected = _parted(error.message)
    return Finding(value, expected, error.nearest, file=error.file, line=error.line)


def _of_parameter(problem: parameters.Problem) -> Finding:
    if not problem.parameter:
        value, expected = _parted(problem.expected)
        return Finding(value, expected, parameter="")
    value = repr(problem.value) if problem.known else "unknown parameter"
    return Finding(value, problem.expected, problem.nearest, problem.parameter)


def _parted(message: str) -> tuple[str, str]:
    """Value and expectation of a message; a hint at its end is told apart."""
    value, _, expected = message.partition(", expected ")
    return value, expected.partition("; did you mean")[0]


def _in_a_child(source: Mapping[str, str], values: Mapping[str, Any]) -> Inspection:
    wanted = json.dumps({"source": dict(source), "values": dict(values)})
    launcher = (sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(_MOST_BYTES))
    command = (*launcher, sys.executable, "-P", "-m", "stratops.inspection")
    try:
        child = subprocess.run(  # noqa: S603  # our own module
            command, input=wanted.encode(), capture_output=True, timeout=DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired:
        finding = Finding(f"still loading after {DEADLINE_S:.0f} s", "code that loads and returns")
        return Inspection(findings=(finding,))
    if child.returncode != 0:
        last = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        ended = f"its process ended with {child.returncode} while it loaded"
        finding = Finding(f"{ended}: {last}" if last else ended, "code that loads")
        return Inspection(findings=(finding,))
    answer = json.loads(child.stdout)
    return Inspection(answer["code_digest"], tuple(Finding(**each) for each in answer["findings"]))


def main() -> None:
    """Answers on stdout, which the author's code gets no hold of."""
    answer_to = os.dup(1)
    os.dup2(2, 1)
    wanted = json.load(sys.stdin)
    inspection = look(wanted["source"], wanted["values"])
    os.write(answer_to, json.dumps(asdict(inspection)).encode())
    os._exit(0)  # threads and exit handlers of the author's code do not hold us up


if __name__ == "__main__":
    main()
