"""The middle: trading as plain values and pure functions. Time and ids come in as arguments."""
