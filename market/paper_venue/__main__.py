"""`python -m paper_venue`: can be ended from its first moment on; `process` has the rest."""

from typing import NoReturn

from stratops_process import ending


def main() -> NoReturn:
    ending.at_once(lambda _: ending.leave("paper_venue", "asked to end while starting", 0))
    from paper_venue import process

    process.main()


if __name__ == "__main__":
    main()
