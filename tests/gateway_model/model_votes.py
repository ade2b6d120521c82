"""What a slow reading of decision 0014 makes of votes: facts of the model, counted when asked."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from trading.signals import Side

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact
    from model_verdict import Asked

SECOND_NS = 10**9
BILLIONTH = Decimal("1e-9")
Rules = Mapping[tuple[str, str], Mapping[str, Any]]  # by policy and mode: who votes together


def session_of(model: "DeskModel", strategy: str) -> str:
    found = model.of("begins_anew", strategy)
    return str(found[-1]["session"]) if found else ""


def votes(model: "DeskModel", strategy: str, symbol: str) -> list["Fact"]:
    """Of the run of the feed in which it voted last, by time."""
    found = [each for each in model.of("vote", strategy) if each["symbol"] == symbol]
    kept = [each for each in found if each["session"] == found[-1]["session"]]
    return sorted(kept, key=lambda each: each["at_ns"])


def wants(asked: "Asked") -> str:
    signal = asked.signal
    if signal.direction is not None:
        return str(signal.direction.value)
    if asked.closing or (signal.closing and not asked.observed):
        return "CLOSE"
    return "LONG" if signal.side is Side.BUY else "SHORT"


def vote(asked: "Asked", by: str) -> None:
    """Notes it, where anybody counts it. What the gateway closes is nobody's wish."""
    model, strategy, symbol = asked.model, asked.strategy, asked.signal.symbol
    rules: Rules = asked.terms["aggregations"]
    if not rules or asked.own:
        return
    direction, now_ns = wants(asked), asked.now_ns
    session = session_of(model, strategy)
    before = _until(votes(model, strategy, symbol), session, now_ns)
    longest = max(rule["windowSeconds"] for rule in rules.values()) * SECOND_NS
    goes_on = before and before["direction"] == direction and now_ns - before["at_ns"] <= longest
    confidence = asked.signal.confidence
    model.note(
        "vote",
        strategy=strategy,
        symbol=symbol,
        direction=direction,
        confidence=1 if confidence is None else confidence // BILLIONTH * BILLIONTH,
        at_ns=now_ns,
        since_ns=before["since_ns"] if before and goes_on else now_ns,
        session=session,
        by=by,
    )


def _until(given: Sequence["Fact"], session: str, at_ns: int) -> "Fact | None":
    there = [each for each in given if each["session"] == session and each["at_ns"] <= at_ns]
    return there[-1] if there else None


def has_consensus(asked: "Asked") -> bool:
    """By each policy that says how, with its own vote as it is."""
    wanted = wants(asked)
    rules: Rules = asked.terms["aggregations"]
    return wanted == "CLOSE" or all(
        _comes_to(rule, _counted(asked, group, rule)) == wanted for group, rule in rules.items()
    )


def _counted(asked: "Asked", group: tuple[str, str], rule: Mapping[str, Any]) -> list["Fact"]:
    model, symbol = asked.model, asked.signal.symbol
    session, found = session_of(model, asked.strategy), []
    for name in model.strategies():
        if model.terms(name)["aggregations"].get(group) != rule:  # withdrawn before it changed
            continue
        last = _until(votes(model, name, symbol), session, asked.now_ns)
        if name == asked.strategy:  # the vote that was just taken, wherever the clock stands
            last = [e for e in model.of("vote", name) if e["symbol"] == symbol][-1]
        young = last and asked.now_ns - last["at_ns"] <= rule["windowSeconds"] * SECOND_NS
        if last and young and last["direction"] != "NONE":
            found.append(last)
    return found


def _comes_to(rule: Mapping[str, Any], counted: Sequence["Fact"]) -> str:
    weights = {
        each: sum(
            (Fraction(vote["confidence"]) for vote in counted if vote["direction"] == each),
            Fraction(0),
        )
        for each in ("LONG", "SHORT", "CLOSE")
    }
    everything, method = sum(weights.values()), rule["method"]
    if method == "unanimous":
        return _common(counted)
    if method == "first_signal":
        first = min(each["since_ns"] for each in counted)
        return _common([each for each in counted if each["since_ns"] == first])
    if not everything:
        return "NONE"
    if method == "majority":
        return next((name for name, sure in weights.items() if sure / everything * 2 > 1), "NONE")
    leaning = (weights["LONG"] - weights["SHORT"]) / everything
    threshold = Fraction(str(rule["threshold"]))
    return "LONG" if leaning > threshold else "SHORT" if leaning < -threshold else "CLOSE"


def _common(counted: Sequence["Fact"]) -> str:
    wanted = {each["direction"] for each in counted}
    return str(wanted.pop()) if len(wanted) == 1 else "NONE"
