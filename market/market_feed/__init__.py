"""Replays market data files into Redis, no faster than its consumers can take them."""
