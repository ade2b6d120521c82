"""`python -m strategy_operator`: can be ended from its first moment on; `process` has the rest."""

import sys

from stratops_process import ending


def main() -> int:
    ending.at_once(lambda _: ending.leave("strategy_operator", "asked to end while starting", 0))
    # kopf would import the official client where it is installed: a third of the memory, unused.
    sys.modules["kubernetes"] = None  # type: ignore[assignment]  # what `import` takes for missing
    from strategy_operator import process

    return process.main()


if __name__ == "__main__":
    sys.exit(main())
