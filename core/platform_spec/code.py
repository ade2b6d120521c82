"""The code of a strategy, as far as it was found: its digest, and how a runner comes to it.

Three kinds are told apart. A built-in ships along, so its digest is that of its module's source.
Text is its own digest, and travels with the revision. A class is only known by the image that holds
it: its digest names both, and a runner has nothing to compare.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    digest: str  # 64 hex digits
    source: Mapping[str, str]  # as `strategy_sdk.loading` takes it
    comparable: bool = True  # a runner finds the same digest where it loads the code


def text(code: str, name: str) -> Code:
    """Code that travels as text; `name` is what messages call it."""
    return Code(_sha256(code), {"inline": code, "name": name})


def in_image(class_path: str, image: str | None) -> Code:
    """A class of the image; None: of the runner's image that ships, whose name does not count."""
    digest = _sha256(f"{image or 'installed'}|{class_path}")
    return Code(digest, {"class": class_path}, comparable=False)


def _sha256(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()
