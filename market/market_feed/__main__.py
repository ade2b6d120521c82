"""`python -m market_feed`: can be ended from its first moment on; `process` has the rest."""

from typing import NoReturn

from stratops_process import ending


def main() -> NoReturn:
    ending.at_once(lambda _: ending.leave("market_feed", "asked to end while starting", 0))
    from market_feed import process

    process.main()


if __name__ == "__main__":
    main()
