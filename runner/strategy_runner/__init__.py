"""One revision of one strategy, in a process of its own: `python -m strategy_runner`."""
