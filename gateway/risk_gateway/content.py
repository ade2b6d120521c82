"""What the gateway reads of a revision's content: mode, money, limits (see Deploy.content).

Of two revisions, what tightens acts at once; what loosens waits until the new one is armed.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from stratops_wire import InvalidMessage
from stratops_wire.scalars import decimal_from
from trading.accounts import Terms
from trading.currencies import Currencies
from trading.limits import InvalidLimits, Limits, parse_limits
from trading.limits import tighter as tighter_limits
from trading.scopes import DEFAULT_ACCOUNT

_MOST_BYTES = 256 * 1024
_LONGEST_NAME = 253  # of an object on a cluster


class Mode(StrEnum):
    """From the least to the most that it may do."""

    OBSERVATION = "observation"  # verdicts only, no order leaves
    SIMULATION = "simulation"
    LIVE = "live"

    @property
    def rank(self) -> int:
        return list(Mode).index(self)


@dataclass(frozen=True, slots=True)
class Content:
    mode: Mode
    terms: Terms
    policy: str = ""  # the risk policy that it names
    account: str = DEFAULT_ACCOUNT
    currency: str = ""  # of the capital; empty: the desk's


def parse_content(text: str) -> Content:
    """Raises InvalidMessage, which names the field."""
    document = _document(text)
    symbols = _symbols(document)
    terms = Terms(_capital(document), symbols, _limits(document))
    currency = _currency(document)
    return Content(_mode(document), terms, _policy(document), _account(document), currency)


def capital_objection(currencies: Currencies, content: Content) -> str:
    """Why its capital is not money of this desk; empty: it is."""
    if not currencies.own or content.currency in ("", currencies.own):
        return ""
    return f"capital is in {content.currency}, the desk's currency is {currencies.own}"


def tighter(one: Content, other: Content) -> Content:
    """What both allow. Capital and symbols are `one`'s: they say what a revision is about and move
    when it is armed. A successor that never comes must not keep the old one from its own symbols.
    """
    mode = min(one.mode, other.mode, key=lambda mode: mode.rank)
    symbols = one.terms.symbols
    limits = tighter_limits(one.terms.limits, other.terms.limits)
    both_name_some = one.terms.limits.allowed_symbols and other.terms.limits.allowed_symbols
    if both_name_some and not limits.allowed_symbols:
        symbols = frozenset()  # an empty intersection would mean "all"
    terms = replace(one.terms, symbols=symbols, limits=limits)
    return replace(one, mode=mode, terms=terms)


def _document(text: str) -> dict[str, Any]:
    if len(text) > _MOST_BYTES:
        raise InvalidMessage("content", f"{len(text)} bytes", f"at most {_MOST_BYTES}")
    try:
        document = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise InvalidMessage("content", error, "JSON") from error
    if not isinstance(document, dict):
        raise InvalidMessage("content", text, "a JSON object")
    return document


def _symbols(document: dict[str, Any]) -> frozenset[str]:
    symbols = document.get("symbols")
    if not isinstance(symbols, list) or not symbols or not all(_is_name(each) for each in symbols):
        raise InvalidMessage("content.symbols", symbols, "a list of at least one symbol")
    return frozenset(symbols)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _mode(document: dict[str, Any]) -> Mode:
    mode = document.get("mode")
    if not isinstance(mode, str) or mode not in set(Mode):
        raise InvalidMessage("content.mode", mode, f"one of {', '.join(Mode)}")
    return Mode(mode)


def _policy(document: dict[str, Any]) -> str:
    policy = document.get("policy", "")
    if not isinstance(policy, str) or len(policy) > _LONGEST_NAME:
        raise InvalidMessage("content.policy", policy, "the name of a risk policy, or nothing")
    return policy


def _account(document: dict[str, Any]) -> str:
    account = document.get("account") or DEFAULT_ACCOUNT
    if not isinstance(account, str) or len(account) > _LONGEST_NAME:
        raise InvalidMessage("content.account", account, "the name of an account, or nothing")
    return account


def _capital(document: dict[str, Any]) -> Decimal:
    capital = document.get("capital")
    amount = capital.get("amount") if isinstance(capital, dict) else None
    if not isinstance(amount, str):
        raise InvalidMessage("content.capital.amount", amount, "a decimal string")
    number = decimal_from("content.capital.amount", amount)
    if number < 0:
        raise InvalidMessage("content.capital.amount", amount, "0 or more")
    return number


def _currency(document: dict[str, Any]) -> str:
    currency = document["capital"].get("currency", "")
    if not isinstance(currency, str) or len(currency) > _LONGEST_NAME:
        raise InvalidMessage("content.capital.currency", currency, "a currency, or nothing")
    return currency


def _limits(document: dict[str, Any]) -> Limits:
    limits = document.get("limits")
    if not isinstance(limits, dict):
        raise InvalidMessage("content.limits", limits, "an object")
    try:
        return parse_limits(limits)
    except (InvalidLimits, RecursionError) as error:
        raise InvalidMessage("content.limits", error, "limits as in the manifest") from error
