"""`python -m strategy_runner`: can be ended from its first moment on; `process` has the rest.

Nothing but `ending` is imported before that: the rest takes a third of a second, or many of them
where fifty runners start at once.
"""

from typing import NoReturn

from stratops_process import ending


def main() -> NoReturn:
    ending.at_once(lambda _: ending.leave("strategy_runner", "asked to end while starting", 143))
    from strategy_runner import process

    process.main()


if __name__ == "__main__":
    main()
