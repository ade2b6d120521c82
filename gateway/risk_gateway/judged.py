"""What a signal was judged by, kept with its verdict, so that every check can be made again.

A check is a pure function of the `Request`. What a decision has in other words already (signal,
bid, ask, time) is not repeated; what changes seldom (the terms) lies in a record of its own, under
its digest; all else of the request is kept under its own name, whatever it will once have.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from hashlib import sha256
from operator import attrgetter
from typing import Any, get_type_hints

import msgspec

from trading.accounts import Terms
from trading.instruments import Instrument
from trading.market import Touch
from trading.risk import UNLISTED, Request
from trading.signals import Signal
from trading.values import value

_ELSEWHERE = {
    "signal", "strategy", "revision", "epoch", "now_ns", "limits", "symbols", "instrument",
    "touch", "max_quote_age_ns",
}  # fmt: skip
_TYPES = get_type_hints(Request)
_KEPT = tuple(each.name for each in fields(Request) if each.name not in _ELSEWHERE)
_kept_of = attrgetter(*_KEPT)
# What only some limits ask for. Without it, it was not asked for, or nobody could.
_IF_ASKED = frozenset(each.name for each in fields(Request) if each.default is not MISSING)


class NotKept(Exception):
    """An older gateway did not keep what this one's checks read."""


@value(frozen=True, slots=True)
class Judged:
    """`values`: of the request's fields, by name; `age_ns`: of the bid and ask."""

    terms: str
    age_ns: int | None
    values: Mapping[str, Any] = field(compare=False)  # read back, its numbers are text


@dataclass(frozen=True, slots=True)
class Decision:
    """What a decision has in its own words."""

    signal: Signal
    strategy: str
    revision: str
    epoch: int
    now_ns: int
    touch: Touch | None


def judged_by(request: Request, terms: str) -> Judged:
    touch = request.touch
    values = dict(zip(_KEPT, _kept_of(request), strict=True))
    for name in _IF_ASKED:
        if values[name] is None:
            del values[name]
    return Judged(terms, touch.age_ns if touch else None, values)


def request_of(
    decision: Decision, judged: Judged, terms: Terms, instrument: Instrument | None
) -> Request:
    """The request as it was. Raises NotKept."""
    try:
        values = {
            name: msgspec.convert(judged.values[name], _TYPES[name], strict=False)
            for name in _KEPT
            if name in judged.values or name not in _IF_ASKED
        }
    except (KeyError, msgspec.ValidationError) as error:
        raise NotKept(f"request: {error}, expected what this version's checks read") from error
    return Request(
        signal=decision.signal,
        strategy=decision.strategy,
        revision=decision.revision,
        epoch=decision.epoch,
        now_ns=decision.now_ns,
        limits=terms.limits,
        symbols=terms.symbols,
        instrument=instrument or UNLISTED,
        touch=decision.touch,
        max_quote_age_ns=terms.max_quote_age_ns,
        **values,
    )


def terms_digest(terms: Terms) -> str:
    return sha256(msgspec.json.encode(terms, order="deterministic")).hexdigest()[:16]
