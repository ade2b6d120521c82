"""Whom a token is for: each desk's gateway by itself, so that no other takes what it was shown."""

SHARED = "stratops-gateway"  # of all gateways, in tokens of pods that an earlier operator made


def audience_of(namespace: str) -> str:
    """A desk is a namespace."""
    return f"{SHARED}.{namespace}"
